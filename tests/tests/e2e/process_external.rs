//! External tasks: connectors of members, on one machine and on a ring.

use super::{
    process_members::over,
    processes::{example, id_of},
};
use rings_api::processes::{ExecutionState, ListExecutionsParams};
use rings_protocol::Address;
use rings_tests::{block_on, program, repository, until, Call, Program, Ring, LONG};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};
use tempfile::TempDir;

/// A value of the configuration, which must be nowhere but in its own file.
const SECRET: &str = "correct-horse-battery-staple";

/// A connector that notes the key of each call. The first one that is to hang does so, as one process: what it started would
/// outlive a member that is killed.
const NOTIFY: &str = r#"#!/bin/sh
here="$(dirname "$0")"
read -r call
echo "$call" | sed 's/.*"key":"\([^"]*\)".*/\1/' >> "$here/keys"
case $call in *hang*) mkdir "$here/hangs" 2>/dev/null && exec sleep 1000 ;; esac
case $call in *fail*) echo "it says $call" >&2; exit 3 ;; esac
case $call in *correct-horse*) echo '{"status": "told", "outputs": {}}' ;; *) exit 4 ;; esac
"#;

/// A page whose price goes up by a cent each time, for those that have the token; gives its address. It ends with the test.
fn page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let has_token = asked.iter().any(|line| line.ends_with(SECRET));
            let body = format!("{{\"price\": {{\"cents\": {}}}}}", 100 + number);
            let status = match has_token {
                true => "200 OK",
                false => "401 Unauthorized",
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

/// The example with this page, a connector and the values; all of it in `home`.
struct Oracle {
    process: PathBuf,
    service: PathBuf,
    connectors: PathBuf,
    values: PathBuf,
    keys: PathBuf,
}

fn oracle(home: &Path) -> Oracle {
    let address = page();
    // It is built if it is not there.
    program("median");
    let programs = repository().join("examples/target");
    let service = fs::read_to_string(example("oracle/service.yml")).unwrap();
    let service = service
        .replace("../../target", programs.to_str().unwrap())
        .replace("127.0.0.1:8099", &address)
        .replace(
            "external: notify\n    seconds: 5",
            "external: notify\n    seconds: 60",
        );
    let connectors = fs::read_to_string(example("oracle/connectors.toml")).unwrap();
    let write = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let notify = write("notify", NOTIFY);
    fs::set_permissions(&notify, fs::Permissions::from_mode(0o700)).unwrap();
    Oracle {
        service: write("service.yml", &service),
        process: write(
            "process.yml",
            &fs::read_to_string(example("oracle/process.yml")).unwrap(),
        ),
        connectors: write(
            "connectors.toml",
            &connectors.replace("127.0.0.1:8099", &address),
        ),
        values: write("values.json", &format!("{{\"token\": \"{SECRET}\"}}")),
        keys: home.join("keys"),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files below a directory that have the secret in them.
fn with_secret(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            with_secret(&path, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes
                .windows(SECRET.len())
                .any(|part| part == SECRET.as_bytes())
            {
                found.push(path);
            }
        }
    }
}

#[test]
fn on_one_machine_connectors_run_under_the_same_rules() {
    let home = TempDir::new().unwrap();
    let oracle = oracle(home.path());
    let records = home.path().join("records");
    let dev = |more: &[&str], event: &str| {
        let call = Call::new(Program::Honest).args([
            "process",
            "dev",
            text(&oracle.process),
            "--records",
            text(&records),
        ]);
        call.args(more).env("RINGS_DIR", "").stdin(event).call()
    };
    let values = format!("oracle={}", text(&oracle.values));
    let all = [
        "--connectors",
        text(&oracle.connectors),
        "--config",
        &values,
    ];
    let done = dev(&all, "{\"pair\": \"EUR-USD\"}\n").ok();
    let lines = done.text();
    assert!(lines.contains("look  succeeded(ok)  {\"by\":[\"0x0000000000000000000000000000000000000000\"],\"seen\":[{\"cents\":100}]}"), "{lines}");
    assert!(
        lines.contains("median  succeeded(done)  {\"cents\":100,\"spread\":0}"),
        "{lines}"
    );
    let tell = id_of(&lines, "tell");
    let key = fs::read_to_string(&oracle.keys).unwrap();
    assert_eq!(key.trim(), tell);
    let trace = Call::new(Program::Honest)
        .args(["trace", tell, "--records", text(&records)])
        .env("RINGS_DIR", "")
        .text();
    assert!(
        trace.contains("by connector http: the word of whoever ran it"),
        "{trace}"
    );
    // What is wrong has a name, and no secret in it.
    let failed = dev(&all, "{\"pair\": \"fail\"}\n").ok();
    assert!(
        failed
            .text()
            .contains("tell  failed: it ended with exit status 3"),
        "{}",
        failed.text()
    );
    let unnamed = dev(&[], "{\"pair\": \"b\"}\n").ok();
    assert!(
        unnamed
            .text()
            .contains("look  failed: config.token is not there"),
        "{}",
        unnamed.text()
    );
    let with_values = dev(&["--config", &values], "{\"pair\": \"c\"}\n").ok();
    assert!(
        with_values
            .text()
            .contains("is not allowed here; name it in the configuration"),
        "{}",
        with_values.text()
    );
    let mut found = Vec::new();
    with_secret(home.path(), &mut found);
    found.retain(|path| path != &oracle.values);
    assert_eq!(found, Vec::<PathBuf>::new());
}

#[test]
fn each_member_looks_one_tells_the_next_takes_over_and_everything_says_whose_word_it_is() {
    let ring = Ring::prepare();
    let home = ring.file("oracle");
    fs::create_dir(&home).unwrap();
    let oracle = oracle(&home);
    ring.start(&["--members", "4", "--connectors", text(&oracle.connectors)]);
    let deployed = ring.rings([
        "service",
        "deploy",
        text(&oracle.service),
        "--config",
        text(&oracle.values),
    ]);
    let instance = deployed.text();
    let instance = instance.trim();
    ring.rings(["process", "create", text(&oracle.process)])
        .ok();

    let lines = ring
        .rings(["emit", instance, "asked", r#"{"pair": "EUR-USD"}"#])
        .text();
    let event = lines
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap();
    assert!(
        lines.contains("median  succeeded(done)") && lines.contains("tell  succeeded(told)"),
        "{lines}"
    );
    let results = over(&ring, 0, event);
    for member in 1..4 {
        assert_eq!(over(&ring, member, event), results);
    }
    let tell = id_of(&lines, "tell").to_owned();
    assert_eq!(
        fs::read_to_string(&oracle.keys).unwrap().trim(),
        tell,
        "it was told once"
    );
    says_whose_word(&ring, &tell);

    // The member that has begun is killed; the next one takes over, under the same key.
    let told = ring
        .rings([
            "emit",
            instance,
            "asked",
            r#"{"pair": "hang"}"#,
            "--no-wait",
        ])
        .text();
    let event = told.split_whitespace().last().unwrap();
    until("the connector hangs", LONG, || {
        home.join("hangs").exists().then_some(())
    });
    let victim = runner(&ring, event);
    ring.kill(&[victim]);
    let other = (victim + 1) % 4;
    let results = over(&ring, other, event);
    ring.start_member(victim, Program::Honest);
    assert_eq!(over(&ring, victim, event), results);
    let keys = fs::read_to_string(&oracle.keys).unwrap();
    let keys: Vec<_> = keys.lines().skip(1).collect();
    assert!(
        keys.len() >= 2 && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );

    // A failure is named, and what the connector has said to it is nowhere.
    let failed = ring
        .rings(["emit", instance, "asked", r#"{"pair": "fail"}"#])
        .call();
    failed.ends_with(3);
    let lines = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(
        lines.contains("tell  failed: it ended with exit status 3"),
        "{lines}"
    );
    let mut found = Vec::new();
    with_secret(&ring.dir(), &mut found);
    let instances = ring.dir().join("instances");
    found.retain(|path| !path.starts_with(&instances));
    assert_eq!(found, Vec::<PathBuf>::new());
    assert!(!ring.written().contains(SECRET));
}

/// The trace of the last node, and one execution of it.
fn says_whose_word(ring: &Ring, tell: &str) {
    let members = ring.json().members();
    let steps: Value = serde_json::from_slice(&ring.rings(["trace", "--json", tell]).ok()).unwrap();
    let step = |node: &str| {
        let mut steps = steps.as_array().unwrap().iter();
        steps.find(|step| step["node"] == node).unwrap().clone()
    };
    let by = |step: &Value| -> Vec<Address> {
        let by = step["saidBy"].as_array().unwrap().iter();
        by.map(|member| member.as_str().unwrap().parse().unwrap())
            .collect()
    };
    let (look, told) = (step("look"), step("tell"));
    assert!(by(&look).len() >= 3 && by(&told).len() == 1, "{steps}");
    assert!(by(&look)
        .iter()
        .chain(&by(&told))
        .all(|member| members.contains(member)));
    assert!(
        look["ringNode"].is_u64() && told["connector"] == "notify",
        "{steps}"
    );
    assert!(
        step("median")["request"].is_string(),
        "two thirds have agreed on it"
    );
    let shown = ring.rings(["trace", tell]).text();
    assert!(
        shown.contains("by connector notify: the word of 0x"),
        "{shown}"
    );
    let shown = ring.rings(["execution", "show", tell]).text();
    assert!(shown.contains("said       by 0x"), "{shown}");
    let listed = ring.rings(["execution", "list"]).text();
    for node in [
        "look  succeeded  by 0x",
        "tell  succeeded  by 0x",
        "median  succeeded  0x",
    ] {
        assert!(listed.contains(node), "{node}\n{listed}");
    }
}

/// The member that runs the connector of an event's last node.
fn runner(ring: &Ring, event: &str) -> usize {
    let which = ListExecutionsParams {
        event: Some(event.parse().unwrap()),
        limit: None,
    };
    let member = until("a member says that it has begun", LONG, || {
        let listed = block_on(ring.client(0).list_executions(&which)).unwrap();
        let mut running = listed.executions.into_iter();
        let tell = running.find(|view| view.node.as_deref() == Some("tell"))?;
        assert_eq!(tell.state, ExecutionState::Started);
        tell.by.first().copied()
    });
    let members = ring.json().members();
    members.iter().position(|other| *other == member).unwrap()
}
