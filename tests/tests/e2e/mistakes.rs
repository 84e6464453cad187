//! What a person gets wrong who runs a ring: each mistake is told in one line that says what to do.

use rings_tests::{
    children, program, signal, until, until_said, Anvil, Kubo, Program, Ring, Signal, LONG,
};
use serde_json::{json, Value};
use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

const STRANGER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const DAY: &str = "86400";

fn secret(ring: &Ring, name: &str, text: &str) -> PathBuf {
    let path = ring.write(name, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn what_is_not_there_or_no_file_is_named_with_status_2() {
    let ring = Ring::prepare();
    for down in [&["down"][..], &["down", "--remove"]] {
        let line = ring
            .rings(down)
            .args(["--dir", "/nonexistent/nothere"])
            .refused(2);
        assert!(line.contains("/nonexistent/nothere"), "{line}");
    }
    let text = secret(&ring, "text", "no key at all\n");
    let line = ring.rings(["key", "show"]).arg(&text).refused(2);
    assert!(
        line.contains(text.to_str().unwrap()) && line.contains("64 hexadecimal digits"),
        "{line}"
    );
    let directory = ring.file("directory");
    fs::create_dir(&directory).unwrap();
    let rpc = ["--rpc", "http://127.0.0.1:1", "--key"];
    let text = text.to_str().unwrap();
    for args in [
        &["run"][..],
        &["run", "--dry", "--input"],
        &["add"],
        &["node", "--config"],
        &["key", "show"],
        &["key", "import"],
        &["restore"],
        &["verify"],
        &["log", "verify"],
        &["deploy", rpc[0], rpc[1], rpc[2], text, "--members"],
        &["ring", "create", "--members"],
        &["up", rpc[0], rpc[1], rpc[2]],
    ] {
        let call = ring.rings(args).arg(&directory);
        let call = match args.contains(&"--input") {
            true => call.arg(program("wc")),
            false => call,
        };
        let line = call.refused(2);
        assert!(line.contains("directory"), "{args:?}: {line}");
    }
    assert!(!ring.dir().exists(), "nothing was made");
}

#[test]
fn a_store_that_does_not_answer_leaves_no_ring_behind() {
    let ring = Ring::prepare();
    let up = |url: &str| {
        let store = format!("kubo={url}");
        ring.rings(["up", "--detach", "--members", "1", "--store", &store])
    };
    let line = up("http://127.0.0.1:1").refused(5);
    assert!(line.contains("http://127.0.0.1:1"), "{line}");
    assert!(!ring.dir().exists(), "nothing was made");
    let kubo = Kubo::start();
    up(&kubo.url()).ok();
}

/// A keeper changes a ring with an entry delay: what is foretold is what comes, and what cannot be done is told in words.
#[test]
fn a_replacement_is_foretold_with_its_numbers_and_settled_when_it_is_due() {
    let ring = Ring::prepare();
    ring.start(&["--members", "4", "--entry-delay", DAY]);
    let old = ring.json().member(3).to_string();
    let said = ring.rings(["ring", "replace", &old, STRANGER]).call();
    assert!(said.status.success(), "{}", said.stderr);
    for expected in [
        format!("{old} will not vote any more, which leaves 3 members; for {DAY} s 3 of 4 must still sign, after that 2 of 3 must sign instead of 3"),
        format!("{STRANGER} will be a member {DAY} s from now, when anybody runs `rings ring settle {STRANGER}`; then 3 of 4 must sign"),
    ] {
        assert!(said.stderr.contains(&expected), "{expected}: {}", said.stderr);
    }
    let shown = || -> Value {
        serde_json::from_slice(&ring.rings(["ring", "show", "--json"]).ok()).unwrap()
    };
    let keeping = &shown()["keeping"];
    assert_eq!(
        (&keeping["quorum"], &keeping["counted"]),
        (&json!(3), &json!(4))
    );

    // The member that was put out says so itself.
    until_said(
        &ring.member_dir(3).join("node.log"),
        "this member is not in the ring any more",
    );

    let settle = |account: &str| ring.rings(["ring", "settle", account]);
    let line = settle(STRANGER).refused(5);
    assert!(
        line.contains("does not count before 20") && line.contains("settle it then"),
        "{line}"
    );
    let member = ring.json().member(0).to_string();
    let line = settle(&member).refused(2);
    assert!(line.contains("is a member of the ring already"), "{line}");
    let line = settle("0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB").refused(2);
    assert!(line.contains("rings ring enter"), "{line}");
    let line = ring.rings(["ring", "accept"]).refused(5);
    assert!(line.contains("rings ring transfer"), "{line}");

    ring.eth("evm_increaseTime", &json!([86_401]));
    ring.eth("evm_mine", &json!([]));
    settle(STRANGER).ok();
    let keeping = &shown()["keeping"];
    assert_eq!(
        (&keeping["quorum"], &keeping["counted"]),
        (&json!(3), &json!(4))
    );
    assert!(shown().to_string().contains(STRANGER));
    // The directory knows no URL of the new member, and the old one keeps its number.
    let status = ring.rings(["status"]).text();
    for expected in [
        format!("member 3 {old}  NOT A MEMBER any more, process "),
        format!("member 4 {STRANGER}  no URL is known; `rings join --member URL` adds it"),
        "quorum 3 of 4".into(),
    ] {
        assert!(status.contains(&expected), "{expected}: {status}");
    }
}

#[test]
fn urls_tokens_and_rings_that_are_down_are_told_apart() {
    let ring = Ring::up(1);
    let json = ring.json();
    let (chain, member) = (json.text("/rpcUrl"), json.text("/members/0/rpcUrl"));
    let address = json.text("/ring");
    let line = ring
        .rings(["status", "--rpc", member, "--ring", address])
        .refused(2);
    assert!(
        line.contains("is the URL of a member") && line.contains("--member"),
        "{line}"
    );
    let place = ["--rpc", chain, "--ring", address, "--member"];
    let line = ring.rings(["status"]).args(place).arg(chain).refused(2);
    assert!(
        line.contains("is the URL of chain 31337") && line.contains("--rpc"),
        "{line}"
    );
    let line = ring.rings(["status"]).args(place).arg("0").refused(2);
    assert!(line.contains("`rings store`"), "{line}");
    let line = ring
        .rings(["store", "check", "--member", member])
        .refused(2);
    assert!(line.contains("not by its URL"), "{line}");

    // What is no archive is the caller's mistake, whether the member runs or not.
    let garbage = ring.write("garbage", "no archive\n");
    let import = || ring.rings(["store", "import"]).arg(&garbage);
    let line = import().refused(2);
    assert!(line.contains("archive"), "{line}");
    let avatar = ["avatar", "show", "--ring", STRANGER, "--key"];
    let key = ring.dir().join("client.key");
    let line = ring.rings(avatar).arg(key).refused(2);
    assert!(line.contains("there is no ring at"), "{line}");

    // A directory without a token, and one with a wrong one.
    let joined = ring.file("joined");
    let join = || {
        let call = ring.rings(["join", "--dir"]).arg(&joined);
        call.args(place).arg(member)
    };
    join().ok();
    let input = ring.write("input", "to be added\n");
    let add = || ring.rings(["add", "--dir"]).arg(&joined).arg(&input);
    let line = add().refused(5);
    assert!(
        line.contains("rings join --member URL --token FILE"),
        "{line}"
    );
    let empty = secret(&ring, "empty.token", "\n");
    let line = join().arg("--token").arg(&empty).refused(2);
    assert!(line.contains("empty.token"), "{line}");
    let wrong = secret(&ring, "wrong.token", &"w".repeat(40));
    let line = join().arg("--token").arg(wrong).refused(2);
    assert!(
        line.contains("is not the one of member 0x") && line.contains("token_file"),
        "{line}"
    );
    // It is not kept.
    let line = add().refused(5);
    assert!(
        line.contains("rings join --member URL --token FILE"),
        "{line}"
    );
    a_member_that_is_started_twice(&ring);

    // An account of its own, whose gates no member computes, is told so and does not wait.
    let asked = ring.rings(["join", "--json", "--dir"]).arg(&joined);
    let asked: Value = serde_json::from_slice(&asked.args(place).arg(member).ok()).unwrap();
    ring.eth(
        "anvil_setBalance",
        &json!([asked["client"], "0xde0b6b3a7640000"]),
    );
    let token = fs::read(ring.dir().join("token")).unwrap();
    join().args(["--token", "-"]).stdin(token).ok();
    let run = ring.rings(["run", "--timeout", "5m", "--dir"]).arg(&joined);
    let done = run.arg(program("wc")).stdin("x\n").call();
    done.ends_with(4);
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("[ring] requesters"), "{last}");

    ring.stop();
    for args in [
        &["ring", "show"][..],
        &["ring", "enter", STRANGER],
        &["gate", "list"],
        &["gate", "show", STRANGER],
        &["add", input.to_str().unwrap()],
    ] {
        let line = ring.rings(args).refused(5);
        assert!(line.contains("`rings up`"), "{args:?}: {line}");
    }
    a_fatal_error_is_json_where_the_log_is(&ring);
}

/// A second process of a member whose data directory was removed meets the first one at its port.
fn a_member_that_is_started_twice(ring: &Ring) {
    let member = ring.member_dir(0);
    let text = fs::read_to_string(member.join("config.toml")).unwrap();
    let config = member.join("elsewhere.toml");
    fs::write(
        &config,
        text.replace("path = \"data\"", "path = \"elsewhere\""),
    )
    .unwrap();
    let line = ring
        .rings(["node", "--config"])
        .arg(&config)
        .env("RUST_LOG", "off")
        .refused(5);
    assert!(
        line.contains("may be this member, started before") && line.contains("[rpc] listen"),
        "{line}"
    );
}

fn a_fatal_error_is_json_where_the_log_is(ring: &Ring) {
    let keystore = ring.member_dir(0).join("key.json");
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o644)).unwrap();
    let done = ring
        .rings(["node", "--config"])
        .arg(ring.member_dir(0).join("config.toml"))
        .env("RINGS_LOG_FORMAT", "json")
        .call();
    done.ends_with(2);
    let last = done.stderr.lines().last().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["level"], "ERROR");
    let said = last["fields"]["message"].as_str().unwrap();
    assert!(said.contains("key.json"), "{last}");
}

/// Columns of a terminal that is narrower than what a spinner says.
const COLUMNS: usize = 20;

#[test]
fn a_spinner_that_is_interrupted_leaves_a_clean_line() {
    let ring = Ring::prepare();
    // Somebody who never answers, so that the command waits.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let members = ring.write("members", STRANGER);
    let key = Anvil::write_key(ring.dir().parent().unwrap());
    for (sent, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let command = format!(
            "stty cols {COLUMNS} rows 24; exec {} deploy --rpc {url} --key {} --members {} --dir {}",
            Program::Honest.path().display(),
            key.display(),
            members.display(),
            ring.dir().display()
        );
        let (shown, ended) = interrupted(&command, sent);
        assert_eq!(ended, Some(status), "as the signal says: {shown:?}");
        let rows = shown.split(['\r', '\n']).map(visible);
        let widest = rows.map(|row| row.chars().count()).max().unwrap();
        assert!(widest <= COLUMNS, "{shown:?}");
        let (_, after) = shown.rsplit_once("deploying").unwrap();
        let (_, after) = after.split_once("\x1b[2K").expect("the line is cleared");
        assert_eq!(visible(after).trim(), "", "{shown:?}");
    }
}

/// Runs a command in a terminal, and sends a signal when its spinner is there. Gives what was shown, and the exit status.
fn interrupted(command: &str, sent: Signal) -> (String, Option<i32>) {
    let mut terminal = Command::new("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            command,
            "/dev/null",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = terminal.stdout.take().unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reading = Arc::clone(&shown);
    let reader = thread::spawn(move || {
        let mut piece = [0; 1024];
        while let Ok(count @ 1..) = stdout.read(&mut piece) {
            reading.lock().unwrap().extend(&piece[..count]);
        }
    });
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    let pid = until("the spinner is there", LONG, || {
        let pid = children(terminal.id()).first().copied()?;
        text().contains("deploying").then_some(pid)
    });
    signal(pid, sent);
    let ended = until("it has ended", LONG, || terminal.try_wait().unwrap());
    reader.join().unwrap();
    (text(), ended.code())
}

/// What is seen of a text, without what moves the cursor or clears.
fn visible(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |seen, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        seen + &part[end.map_or(part.len(), |end| end + 1)..]
    })
}
