use super::*;
use rings_process::{
    data::Data,
    document::cid_of,
    execution::{Answer, VERSION},
    service_file::ServiceDraft,
};
use std::{fs, path::Path, process::Command, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn task(text: &str) -> Task {
    let text = format!("service: s\nconfig: [token]\ntasks:\n  t: {text}\n");
    let draft = ServiceDraft::read("service.yml", &text).unwrap();
    let service = draft.finish(|_| Ok(cid_of(b"program"))).unwrap();
    service.tasks["t"].clone()
}

fn execution(inputs: &[(&str, Data)]) -> Execution {
    let inputs = inputs.iter();
    Execution {
        awaits: None,
        each: None,
        event: cid_of(b"event"),
        inputs: inputs
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        node: "n".into(),
        parents: Vec::new(),
        process: cid_of(b"process"),
        service: cid_of(b"service"),
        task: "t".into(),
        version: VERSION,
    }
}

fn config() -> ConnectorsConfig {
    ConnectorsConfig {
        programs: Default::default(),
        hosts: Vec::new(),
        private_hosts: Vec::new(),
        instances: None,
        at_once: 4,
    }
}

/// A connector that is this script. Another process writes it: a child of another test could hold it open for writing here, and
/// then nobody may run it.
fn script(home: &Path, text: &str) -> Connectors {
    let path = home.join("mail");
    let written = Command::new("/bin/sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 700 "$1""#,
            "sh",
        ])
        .args([path.as_os_str(), text.as_ref()])
        .status();
    assert!(written.unwrap().success());
    let programs = [("mail".to_owned(), path)].into();
    Connectors::new(
        &ConnectorsConfig {
            programs,
            ..config()
        },
        None,
    )
}

/// Seconds for what does not hang.
const LONG: u64 = 60;
const SECRET: &str = "open sesame";

async fn run(connectors: &Connectors, task: &Task) -> Result<Answer, String> {
    let values = Fields::from([("token".to_owned(), SECRET.into())]);
    let ran = connectors.run(task, &execution(&[]), &values).await;
    ran.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

fn mail(seconds: u64, more: &str) -> Task {
    task(&format!("{{external: mail, seconds: {seconds}, {more} with: {{token: '${{config.token}}'}}, statuses: {{sent: {{text: string}}}}}}"))
}

#[tokio::test]
async fn a_connector_reads_one_line_and_answers() {
    let home = tempfile::tempdir().unwrap();
    let told = r#"read line; env > "$(dirname "$0")/env"; echo "$line" > "$(dirname "$0")/line"; echo '{"status": "sent", "outputs": {"text": "hi"}}'"#;
    let connectors = script(home.path(), told);
    assert!(connectors.allows("mail") && !connectors.allows("sms") && !connectors.allows(HTTP));
    let answer = run(&connectors, &mail(LONG, "")).await.unwrap();
    assert_eq!(
        (answer.status.as_str(), &answer.outputs["text"]),
        ("sent", &Data::from("hi"))
    );
    let line = fs::read_to_string(home.path().join("line")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["with"]["token"], SECRET);
    assert_eq!(line["key"], execution(&[]).cid_text());
    assert_eq!((&line["attempt"], &line["task"]), (&1.into(), &"t".into()));
    // Nothing of this process's environment, and no secret there.
    let environment = fs::read_to_string(home.path().join("env")).unwrap();
    assert!(
        !environment.contains("CARGO") && !environment.contains(SECRET),
        "{environment}"
    );
}

trait CidText {
    fn cid_text(&self) -> String;
}

impl CidText for Execution {
    fn cid_text(&self) -> String {
        use rings_process::document::Document;
        self.cid().unwrap().to_string()
    }
}

#[tokio::test]
async fn whatever_a_connector_does_wrong_has_a_name_and_an_end_and_tells_no_secret() {
    let home = tempfile::tempdir().unwrap();
    for (text, told) in [
        ("sleep 1000", "did not end within 1 seconds"),
        // Also one that leaves a process behind which holds its output open.
        ("sleep 1000 & exit 0", "did not end within 1 seconds"),
        ("cat /dev/zero", "wrote more than 65536 bytes"),
        ("yes", "wrote more than 65536 bytes"),
        ("exit 3", "exit status 3"),
        ("kill -9 $$", "ended by a signal"),
        ("true", "its output is no answer (line 1, column 0)"),
        (
            "echo '{\"status\": \"lost\"}'",
            "is none of the task's: sent",
        ),
        (
            "echo '{\"status\": \"sent\", \"outputs\": {\"text\": 7}}'",
            "its output text",
        ),
        ("cat; exit 1", "exit status 1"),
        ("cat >&2; exit 1", "exit status 1"),
        ("cat", "its output is no answer"),
        (
            "read line; printf '{\"status\": \"sent\", \"outputs\": {\"text\": \"open sesame\"}}'",
            "must not tell it",
        ),
        (
            "read line; printf '{\"status\": \"open sesame\"}'",
            "cannot be shown",
        ),
    ] {
        let connectors = script(home.path(), text);
        let begun = Instant::now();
        // What hangs is to end soon; the rest gets the time that it needs on a busy machine.
        let seconds = if text.contains("sleep") { 1 } else { LONG };
        let why = run(&connectors, &mail(seconds, "")).await.unwrap_err();
        assert!(why.contains(told), "{text}: {why}");
        assert!(!why.contains("sesame"), "{why}");
        assert!(begun.elapsed() < Duration::from_secs(LONG), "{text}");
    }
    let programs = [("mail".to_owned(), home.path().join("gone"))].into();
    let gone = Connectors::new(
        &ConnectorsConfig {
            programs,
            ..config()
        },
        None,
    );
    let why = run(&gone, &mail(LONG, "")).await.unwrap_err();
    assert!(
        why.contains("cannot be started (entity not found)"),
        "{why}"
    );
    let none = Connectors::new(&config(), None);
    let why = run(&none, &mail(LONG, "")).await.unwrap_err();
    assert!(why.contains("connector mail is not allowed here"), "{why}");
}

#[tokio::test]
async fn what_a_connector_has_started_ends_with_it() {
    let home = tempfile::tempdir().unwrap();
    let connectors = script(
        home.path(),
        "sleep 1000 & echo $! > \"$(dirname \"$0\")/pid\"; wait",
    );
    run(&connectors, &mail(5, "")).await.unwrap_err();
    let pid = fs::read_to_string(home.path().join("pid")).unwrap();
    let gone = || match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    let begun = Instant::now();
    while !gone() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it runs still");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn it_is_tried_again_under_the_same_key() {
    let home = tempfile::tempdir().unwrap();
    let text = r#"read line; here="$(dirname "$0")"; echo "$line" >> "$here/lines"
[ "$(wc -l < "$here/lines")" -ge 3 ] || exit 1
echo '{"status": "sent", "outputs": {"text": "at last"}}'"#;
    let connectors = script(home.path(), text);
    let why = run(&connectors, &mail(LONG, "retry: {tries: 2},"))
        .await
        .unwrap_err();
    assert_eq!(
        why,
        "2 tries have failed; the last one: it ended with exit status 1"
    );
    let answer = run(&connectors, &mail(LONG, "retry: {tries: 2},"))
        .await
        .unwrap();
    assert_eq!(answer.outputs["text"], Data::from("at last"));
    let lines = fs::read_to_string(home.path().join("lines")).unwrap();
    let key = execution(&[]).cid_text();
    assert!(
        lines.lines().count() == 3 && lines.lines().all(|line| line.contains(&key)),
        "{lines}"
    );
}

/// A web server that answers each question with this, and gives its address.
async fn server(response: &'static [u8]) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).await.unwrap_or_default();
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let whole = String::from_utf8_lossy(response).replace(
                "{asked}",
                &asked.lines().next().unwrap_or_default().replace('"', ""),
            );
            let whole = match response.starts_with(b"endless") {
                true => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                false => whole,
            };
            drop(stream.write_all(whole.as_bytes()).await);
            while response.starts_with(b"endless") && stream.write_all(&[b'x'; 4096]).await.is_ok()
            {
            }
            if response.is_empty() {
                // It says nothing, and does not hang up.
                std::future::pending::<()>().await;
            }
        }
    });
    (address, served)
}

async fn asked(address: &str, task_text: &str, private: bool) -> Result<Answer, String> {
    let hosts = vec![address.to_owned()];
    let private_hosts = hosts.iter().filter(|_| private).cloned().collect();
    let connectors = Connectors::new(
        &ConnectorsConfig {
            hosts,
            private_hosts,
            ..config()
        },
        None,
    );
    let task = task(&task_text.replace("HOST", address));
    let values = Fields::from([("token".to_owned(), SECRET.into())]);
    let ran = connectors
        .run(&task, &execution(&[("pair", "a b".into())]), &values)
        .await;
    ran.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

const PRICE: &str = "{external: http, seconds: 60, inputs: {pair: string}, with: {url: 'http://HOST/price?pair=${inputs.pair}', headers: {x-token: '${config.token}'}, take: {cents: /cents, euro: /euro}}, statuses: {ok: {cents: integer, euro: string}}}";

#[tokio::test]
async fn http_takes_what_the_task_names_out_of_the_answer() {
    let (address, _served) =
        server(b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"cents\": 150, \"euro\": 1.50}")
            .await;
    let answer = asked(&address, PRICE, true).await.unwrap();
    assert_eq!(answer.outputs["cents"], Data::Int(150));
    assert_eq!(answer.outputs["euro"], Data::from("1.5"));
    let refused = asked(&address, PRICE, false).await.unwrap_err();
    assert!(
        refused.contains("the private address 127.0.0.1"),
        "{refused}"
    );
    let fraction = PRICE.replace("cents: /cents", "cents: /euro");
    let told = asked(&address, &fraction, true).await.unwrap_err();
    assert!(told.contains("has a fraction"), "{told}");
    let missing = PRICE.replace("cents: /cents", "cents: /dollar");
    let told = asked(&address, &missing, true).await.unwrap_err();
    assert!(told.contains("has nothing at /dollar"), "{told}");
}

#[tokio::test]
async fn what_a_web_page_does_wrong_has_a_name_and_an_end() {
    for (response, told) in [
        (
            &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
            "answered with status 404",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "is no JSON",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{",
            "the answer ends too early",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
            "sent on to another host",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
            "sent on more than 5 times",
        ),
        (b"endless", "wrote more than 65536 bytes"),
        (b"", "did not end within 1 seconds"),
        (b"no such protocol\r\n\r\n", "speaks no HTTP"),
    ] {
        let (address, served) = server(response).await;
        let hangs = PRICE.replace("seconds: 60", "seconds: 1");
        let task = if told.contains("did not end") {
            hangs.as_str()
        } else {
            PRICE
        };
        let why = asked(&address, task, true).await.unwrap_err();
        assert!(why.contains(told), "{why}");
        assert!(!why.contains("sesame"), "{why}");
        served.abort();
    }
    let gone = asked("127.0.0.1:1", PRICE, true).await.unwrap_err();
    assert!(gone.contains("no connection can be made"), "{gone}");
}

#[tokio::test]
async fn a_status_that_the_task_declares_is_no_failure() {
    let (address, _served) = server(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n").await;
    let task = "{external: http, inputs: {pair: string}, with: {url: 'http://HOST/', method: POST, body: '${inputs.pair}'}, statuses: {ok: {}, refused: {code: integer}}}";
    let answer = asked(&address, task, true).await.unwrap();
    assert_eq!(
        (answer.status.as_str(), &answer.outputs["code"]),
        ("refused", &Data::Int(409))
    );
}
