//! `rings log`: shown, followed, proven, and taken to IPFS.

use super::quick::wc;
use rings_protocol::{cids, log::LogNode, Address};
use rings_tests::{signal, until, Call, Kubo, Program, Ring, Signal, LONG};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// Gates before a test begins.
const GATES: usize = 9;
/// Of so many bytes of a proof one is flipped.
const FLIP_EVERY: usize = 61;

/// A ring of three with some gates, and a member that has voted for all of them.
fn worked() -> (Ring, Address) {
    let ring = Ring::up(3);
    for round in 0..GATES {
        let text = format!("round {round}\n").into_bytes();
        assert_eq!(ring.result("wc", &text).0, wc(&text));
    }
    let member = ring.json().member(0);
    until("each gate has the member's vote", LONG, || {
        (ring.log(0, 0).votes.len() == GATES).then_some(())
    });
    (ring, member)
}

/// A call that no directory of a ring helps.
fn offline(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args).env("RINGS_DIR", "")
}

fn last(ring: &Ring) -> LogNode {
    ring.log(0, 0).nodes.last().unwrap().clone()
}

#[test]
fn a_log_is_readable_at_a_glance_and_followed() {
    let (ring, member) = worked();
    let text = ring.rings(["log", "show", &member.to_string()]).text();
    let head = last(&ring);
    let first = text.lines().next().unwrap();
    let parts = [
        head.seq().to_string(),
        head.cid().to_string(),
        member.to_string(),
    ];
    assert!(parts.iter().all(|part| first.contains(part)), "{first}");
    // When: a date of this century and a time, in UTC.
    assert!(first.contains("  20") && first.contains("Z  0x"), "{first}");
    assert_eq!(text.matches("voted on gate 0x").count(), GATES, "{text}");

    let from_first = [
        "log",
        "follow",
        "--json",
        "--from",
        "0",
        &member.to_string(),
    ];
    let follower = Follower::start(&ring, &from_first);
    let known = head.seq() as usize + 1;
    follower.wait(known);
    let new = Follower::start(&ring, &["log", "follow", &member.to_string()]);
    new.wait_told("following the log");
    let (_, receipt) = ring.result("wc", b"while it is followed\n");
    let gate = receipt.gate().to_string();
    new.wait_for(&gate);
    follower.wait(known + 1);
    for line in new.end() {
        assert!(!line.contains("round"), "only new nodes: {line}");
    }
    let log = ring.log(0, 0);
    for (line, node) in follower.end().iter().zip(&log.nodes) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["content"]["seq"], node.seq());
        let prev = node.content().prev.map(|cid| cid.to_string());
        assert_eq!(line["content"]["prev"]["/"].as_str(), prev.as_deref());
        assert_eq!(line["content"]["body"][0]["type"], "Vote");
    }
}

/// A `rings log follow` and the lines that it has written so far.
struct Follower {
    child: std::process::Child,
    lines: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Follower {
    fn start(ring: &Ring, args: &[&str]) -> Self {
        let mut child = Command::new(Program::Honest.path())
            .args(args)
            .env("RINGS_DIR", ring.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            lines: collect(child.stdout.take().unwrap()),
            told: collect(child.stderr.take().unwrap()),
            child,
        }
    }

    fn wait(&self, lines: usize) {
        until("the lines are there", LONG, || {
            (self.lines.lock().unwrap().len() >= lines).then_some(())
        });
    }

    fn wait_for(&self, part: &str) {
        wait_in(&self.lines, part);
    }

    fn wait_told(&self, part: &str) {
        wait_in(&self.told, part);
    }

    /// Ctrl-C ends it, as a success.
    fn end(mut self) -> Vec<String> {
        signal(self.child.id(), Signal::INT);
        let ended = until("it ends", LONG, || self.child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(0), "{:?}", self.told.lock().unwrap());
        let lines = self.lines.lock().unwrap().clone();
        lines
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn wait_in(lines: &Mutex<Vec<String>>, part: &str) {
    until("a line is there", LONG, || {
        let lines = lines.lock().unwrap();
        lines.iter().any(|line| line.contains(part)).then_some(())
    });
}

fn collect(from: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            to.lock().unwrap().push(line);
        }
    });
    lines
}

#[test]
fn a_node_is_proven_without_its_log() {
    let (ring, member) = worked();
    let (account, log) = (member.to_string(), ring.log(0, 0));
    let head = log.nodes.last().unwrap();
    let path = ring.file("node.proof");
    let file = path.to_str().unwrap();
    for node in &log.nodes {
        let proof = ring.rings(["log", "prove", &account, &node.seq().to_string()]);
        fs::write(&path, proof.ok()).unwrap();
        let report = offline(&["log", "verify", file, "--json"]).ok();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["author"], account);
        assert_eq!(report["node"]["seq"], node.seq());
        assert_eq!(report["node"]["cid"], node.cid().to_string());
        assert_eq!(report["head"]["cid"], head.cid().to_string());
        assert_eq!(report["chain"], Value::Null);
    }
    let text = offline(&["log", "verify", file]).text();
    for part in [
        &account,
        &head.cid().to_string(),
        "voted on gate",
        "not asked",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let proof = fs::read(&path).unwrap();
    let piped = offline(&["log", "verify", "-"]).stdin(proof.clone()).text();
    assert_eq!(piped, text);

    // Results of gates are on chain by themselves, so no ring node, which moves the heads, is due yet. The chain says so.
    let json = ring.json();
    let place = ["--rpc", json.text("/rpcUrl"), "--ring", json.text("/ring")];
    let done = offline(&["log", "verify", file]).args(place).call();
    done.ends_with(1);
    assert!(done.text().contains("NEVER NAMED"), "{}", done.text());
    assert!(
        done.stderr.contains("does not name head"),
        "{}",
        done.stderr
    );
    let other = ["--rpc", json.text("/rpcUrl"), "--ring", &account];
    offline(&["log", "verify", file]).args(other).refused(2);

    flips_are_refused(&proof, &["log", "verify", "-"]);
    mistakes_with_proofs(&ring, &account, head.seq());
}

/// Each file with one changed byte is refused in one line.
pub fn flips_are_refused<S: AsRef<std::ffi::OsStr>>(file: &[u8], args: &[S]) {
    for at in (0..file.len()).step_by(FLIP_EVERY) {
        let mut changed = file.to_vec();
        changed[at] ^= 1;
        let done = offline(&["--quiet"]).args(args).stdin(changed).call();
        let status = done.status.code();
        assert!(matches!(status, Some(1 | 2)), "byte {at}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "byte {at}");
        done.line();
    }
}

fn mistakes_with_proofs(ring: &Ring, account: &str, head: u64) {
    let after = (head + 1).to_string();
    let line = ring.rings(["log", "prove", account, &after]).refused(2);
    assert!(line.contains(&format!("ends with node {head}")), "{line}");
    let unknown = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for command in [
        &["log", "prove", unknown, "0"][..],
        &["log", "follow", unknown],
        &["log", "export", unknown],
    ] {
        let line = ring.rings(command).refused(2);
        assert!(line.contains("not a member"), "{line}");
    }
    let line = offline(&["log", "verify", "no-such-file"]).refused(2);
    assert!(line.contains("No such file"), "{line}");
    let line = offline(&["log", "verify", "-"]).stdin("hello").refused(2);
    assert!(line.contains("not a proof"), "{line}");
    let place = [
        "--rpc",
        ring.json().text("/rpcUrl"),
        "--ring",
        ring.json().text("/ring"),
    ]
    .map(str::to_owned);
    let line = offline(&["log", "prove", account, "0"])
        .args(&place)
        .refused(2);
    assert!(line.contains("--member URL"), "{line}");
    let member = ring.json().text("/members/1/rpcUrl").to_owned();
    let elsewhere = offline(&["log", "prove", account, "0", "--member", &member]);
    let here = ring.rings(["log", "prove", account, "0"]).ok();
    assert_eq!(elsewhere.args(&place).ok(), here);
    let line = ring
        .rings(["log", "export", account, "no/such/place.car"])
        .refused(2);
    assert!(line.contains("no/such/place.car"), "{line}");
}

#[test]
fn an_exported_log_is_read_by_ipfs() {
    let (ring, member) = worked();
    let (account, log) = (member.to_string(), ring.log(0, 0));
    let head = log.nodes.last().unwrap().cid().to_string();
    let kubo = Kubo::start();
    let path = ring.file("log.car");
    ring.rings(["log", "export", &account]).arg(&path).ok();
    import(&kubo, &path, &head);
    let pinned = kubo.ipfs(&["pin", "ls", "--type=recursive", &head]).text();
    assert!(pinned.contains(&head), "{pinned}");
    for node in &log.nodes {
        let bytes = kubo.ipfs(&["block", "get", &node.cid().to_string()]).ok();
        assert_eq!(bytes, node.bytes());
    }
    let got = kubo.ipfs(&["dag", "get", &head]).text();
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["content"]["seq"], log.nodes.len() as u64 - 1);

    // The archive of this log alone has its nodes and nothing else.
    let alone = ring.rings(["log", "export", "--alone", &account]).ok();
    let blocks = blocks(&alone);
    let names: Vec<_> = log.nodes.iter().rev().map(|node| node.bytes()).collect();
    assert!(blocks.iter().copied().eq(names), "{} blocks", blocks.len());
    let other = Kubo::start();
    let call = other.ipfs(&["dag", "import", "--pin-roots=false"]);
    call.stdin(alone).ok();
    let got_alone = other.ipfs(&["dag", "get", &head]).text();
    assert_eq!(serde_json::from_str::<Value>(&got_alone).unwrap(), got);
}

fn import(kubo: &Kubo, path: &Path, head: &str) {
    let said = kubo.ipfs(&["dag", "import"]).arg(path).text();
    assert!(said.contains(head) && said.contains("success"), "{said}");
}

/// The bytes of an archive's blocks, whose names must fit them.
fn blocks(car: &[u8]) -> Vec<&[u8]> {
    let mut rest = section(car).1;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (block, behind) = section(rest);
        let cid = cid::Cid::read_bytes(block).unwrap();
        let data = &block[cid.to_bytes().len()..];
        cids::verify(&cid, data).unwrap();
        blocks.push(data);
        rest = behind;
    }
    blocks
}

/// What comes behind a length, and what comes behind that.
fn section(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let digits = bytes[..end].iter().rev();
    let length = digits.fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    bytes[end..].split_at(length)
}
