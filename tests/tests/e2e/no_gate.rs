//! Requests from the command line: `rings run --no-gate`, and what proves their results.

use super::{logs::flips_are_refused, quick::wc};
use rings_api::GatewaySource;
use rings_protocol::{cids::node_cid, request::Request, ringlog::EntryProof, Digest};
use rings_store::BlockSource;
use rings_tests::{block_on, until, Call, Program, Ring, LONG};
use serde_json::Value;
use std::{fs, path::Path};

const TEXT: &[u8] = b"agreed on without a gate\nby all\n";

pub fn offline(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args).env("RINGS_DIR", "")
}

/// `--rpc` and `--ring` of a ring.
pub fn place(ring: &Ring) -> [String; 4] {
    let json = ring.json();
    ["--rpc", json.text("/rpcUrl"), "--ring", json.text("/ring")].map(str::to_owned)
}

pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn read(path: &Path) -> Value {
    json(&fs::read(path).unwrap())
}

/// A run without a gate: its output and its receipt.
pub fn run(ring: &Ring, options: &[&str], name: &str, input: &[u8]) -> (Vec<u8>, Value) {
    let receipt = ring.file("receipt.json");
    let fixed = ["--no-gate", "--receipt", receipt.to_str().unwrap()];
    let call = ring.run(&[&fixed, options].concat(), name, &[]);
    (call.stdin(input).ok(), read(&receipt))
}

#[test]
fn the_same_bytes_as_with_a_gate_and_a_proof_of_them() {
    let ring = Ring::up(4);
    let (with_gate, _) = ring.result("wc", TEXT);
    let sent = ring.sent_by_client();
    let path = ring.file("result.proof");
    let proof = path.to_str().unwrap();
    let (output, receipt) = run(&ring, &["--proof", proof], "wc", TEXT);
    assert_eq!(output, with_gate);
    assert_eq!(ring.sent_by_client(), sent, "the client pays nothing");
    check_receipt(&ring, &receipt);
    let request = receipt["request"].as_str().unwrap().to_owned();

    // The same question has the same answer; another time is another request.
    let (output, again) = run(&ring, &[], "wc", TEXT);
    assert_eq!(
        (&output, &again["request"]),
        (&with_gate, &receipt["request"])
    );
    let (output, other) = run(&ring, &["--again"], "wc", TEXT);
    assert_eq!(output, with_gate);
    assert_ne!(other["request"], receipt["request"]);

    is_verified(&ring, &request, proof);
    is_a_block_of_every_member(&ring, &request);
    flips_are_refused(&fs::read(&path).unwrap(), &verify_here(&ring, &["-"]));
    is_shown(&ring, &request);
    heads_are_on_chain(&ring);
    mistakes(&ring, proof);
}

/// `verify`, with the chain and nothing else.
fn verify_here(ring: &Ring, args: &[&str]) -> Vec<String> {
    let args = args.iter().map(|arg| (*arg).to_owned());
    let place = place(ring);
    ["verify".to_owned()]
        .into_iter()
        .chain(args)
        .chain(place)
        .collect()
}

fn check_receipt(ring: &Ring, receipt: &Value) {
    for name in ["gate", "transaction", "block", "gasUsed"] {
        assert!(receipt.get(name).is_none(), "{name}: {receipt}");
    }
    assert_eq!(receipt["version"], 1);
    assert_eq!(receipt["ring"], ring.json().text("/ring"));
    assert_eq!(receipt["request"].as_str().unwrap().len(), 66);
    assert!(receipt["ringNode"].as_str().unwrap().starts_with("bafy"));
    assert_eq!(receipt["final"], true);
    assert_eq!(
        (&receipt["quorum"], &receipt["members"]),
        (&3.into(), &4.into())
    );
    assert!(
        receipt["signers"].as_array().unwrap().len() >= 3,
        "{receipt}"
    );
    assert!(receipt["fuel"].as_u64().unwrap() > 0);
    assert_eq!(receipt["failure"], Value::Null);
    assert_eq!(receipt["outputs"][0]["bytes"], wc(TEXT).len());
    let transaction = receipt["ringNodeTransaction"].as_str().unwrap();
    let mined = ring.eth(
        "eth_getTransactionReceipt",
        &serde_json::json!([transaction]),
    );
    assert_eq!(mined["status"], "0x1");
    let to = ring.json().text("/ring").to_lowercase();
    assert_eq!(mined["to"].as_str().unwrap().to_lowercase(), to);
}

/// By the request's digest, and by the proof: with the chain alone, and with a member that has the blocks.
fn is_verified(ring: &Ring, request: &str, proof: &str) {
    let text = ring.rings(["verify", request]).text();
    assert!(
        text.contains("right ") && text.contains("two thirds have agreed"),
        "{text}"
    );
    assert!(!text.contains("DIVERGED"), "{text}");
    let report = json(&ring.rings(["verify", "--json", request]).ok());
    assert_eq!(
        (&report["right"], &report["request"]),
        (&true.into(), &request.into())
    );
    assert_eq!(report["listed"], report["computed"]["outputs"]);

    let alone = Call::new(Program::Honest).env("RINGS_DIR", "");
    let alone = alone.args(verify_here(ring, &["--json", proof]));
    let alone = json(&alone.ok());
    assert_eq!(
        (&alone["right"], &alone["computed"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(alone["listed"], report["listed"]);
    assert_eq!(alone["request"], request);
    let member = ring.json().text("/members/1/rpcUrl").to_owned();
    let with_blocks = verify_here(ring, &["--json", proof, "--member", &member]);
    let with_blocks = Call::new(Program::Honest)
        .env("RINGS_DIR", "")
        .args(with_blocks);
    let with_blocks = json(&with_blocks.ok());
    assert_eq!(with_blocks["right"], true);
    let voted = with_blocks["members"].as_array().unwrap().iter();
    assert!(
        voted.filter(|member| member["right"] == true).count() >= 3,
        "{with_blocks}"
    );

    let line = offline(&["verify", proof])
        .current_dir(ring.dir().parent().unwrap())
        .refused(2);
    assert!(line.contains("--rpc URL --ring 0x"), "{line}");
}

/// Whoever knows the name of a request finds what it asks, wherever it asks.
fn is_a_block_of_every_member(ring: &Ring, request: &str) {
    let digest: Digest = request.parse().unwrap();
    for index in 0..ring.json().count() {
        let member = ring.client(index);
        let source = GatewaySource::of(&[&member]).unwrap();
        let block = until("the request came with its author's log", LONG, || {
            let blocks = block_on(source.blocks(&[node_cid(digest)]));
            blocks.ok().and_then(|blocks| blocks.into_iter().next())
        });
        let asked = Request::from_bytes(block.data()).unwrap();
        assert_eq!(asked.digest().unwrap(), digest);
    }
}

fn is_shown(ring: &Ring, request: &str) {
    let shown = ring.rings(["request", "show", request]).text();
    assert!(
        shown.contains("listed") && shown.contains("agrees"),
        "{shown}"
    );
    let shown = json(&ring.rings(["request", "show", "--json", request]).ok());
    assert_eq!(shown["state"], "listed");
    let list = json(&ring.rings(["request", "list", "--json"]).ok());
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(list.iter().any(|line| line["request"] == request));
    assert!(
        list.iter().all(|line| line["state"] == "listed"),
        "{list:?}"
    );
    let proof = ring.rings(["request", "proof", request]).ok();
    assert!(EntryProof::from_bytes(&proof).is_ok());
    let author = shown["author"].as_str().unwrap();
    let text = ring.rings(["log", "show", author]).text();
    for part in [&format!("asked for request {request}"), "voted on request"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A ring node moves the members' heads, so a node of a log is proven from a head that the chain names.
fn heads_are_on_chain(ring: &Ring) {
    let chain = ring.chain();
    let (address, member) = (ring.json().address("/ring"), ring.json().member(0));
    until("the head is on chain", LONG, || {
        let head = block_on(chain.log_head(address, member)).unwrap();
        (head != Digest::ZERO).then_some(())
    });
    let account = member.to_string();
    let proof = ring.rings(["log", "prove", &account, "0"]).ok();
    let mut args = vec![
        "log".to_owned(),
        "verify".into(),
        "-".into(),
        "--json".into(),
    ];
    args.extend(place(ring));
    let report = Call::new(Program::Honest).env("RINGS_DIR", "").args(&args);
    let report = json(&report.stdin(proof.clone()).ok());
    assert_eq!(report["chain"]["member"], true);
    assert!(
        matches!(report["chain"]["named"].as_str(), Some("now" | "before")),
        "{report}"
    );

    // The log moves on, and the chain has named the older head all the same.
    let head = block_on(chain.log_head(address, member)).unwrap();
    run(ring, &[], "wc", b"one more\n");
    until("the head has moved", LONG, || {
        (block_on(chain.log_head(address, member)).unwrap() != head).then_some(())
    });
    let report = Call::new(Program::Honest).env("RINGS_DIR", "").args(&args);
    let report = json(&report.stdin(proof).ok());
    assert_eq!(report["chain"]["named"], "before");
    assert!(report["chain"]["block"].as_u64().unwrap() > 0);
}

fn mistakes(ring: &Ring, proof: &str) {
    let unknown = Digest([7; 32]).to_string();
    for command in [&["verify"][..], &["request", "show"], &["request", "proof"]] {
        let line = ring.rings(command).arg(&unknown).refused(2);
        assert!(line.contains(&unknown), "{line}");
    }
    let line = ring.rings(["verify", "-"]).stdin("hello").refused(2);
    assert!(line.contains("neither the proof"), "{line}");
    let line = ring.rings(["log", "verify", proof]).refused(2);
    assert!(line.contains("not a proof of `rings log prove`"), "{line}");
    for (options, part) in [
        (&["--no-wait"][..], "--no-gate"),
        (&["--proof", "x"], "--no-gate"),
        (
            &["--no-gate", "--no-wait", "--proof", "x"],
            "cannot be used with",
        ),
        (&["--no-gate", "--dry"], "cannot be used with"),
    ] {
        let done = ring.run(options, "wc", &[]).stdin(TEXT).call();
        done.ends_with(2);
        assert!(done.stderr.contains(part), "{options:?}: {}", done.stderr);
    }
    let gate = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let call = ring.run(&["--no-gate", "--state", gate], "kv", &[]);
    assert!(call
        .stdin(TEXT)
        .refused(2)
        .contains("takes its state from a request"));
    let options = ["--no-gate", "--proof", "no/such/place"];
    let line = ring.run(&options, "wc", &[]).stdin(TEXT).refused(2);
    assert!(line.contains("no/such/place"), "{line}");
}

#[test]
fn failures_states_and_results_that_nobody_waits_for() {
    let ring = Ring::up(3);
    // A failure is a result too.
    let receipt = ring.file("failed.json");
    let options = ["--no-gate", "--receipt", receipt.to_str().unwrap()];
    let done = ring.run(&options, "exit", &["7"]).stdin("").call();
    done.ends_with(3);
    assert_eq!(done.stdout, b"");
    let failed = read(&receipt);
    assert_eq!(failed["failure"]["reason"], "exit");
    assert_eq!(
        (&failed["final"], &failed["outputs"]),
        (&true.into(), &Value::Array(vec![]))
    );
    let report = ring.rings(["verify", "--json", failed["request"].as_str().unwrap()]);
    assert_eq!(json(&report.ok())["right"], true);

    // A state goes from one request to the next.
    let step = |state: &str, text: &str| {
        let (output, receipt) = run(&ring, &["--state", state], "kv", text.as_bytes());
        (output, receipt["request"].as_str().unwrap().to_owned())
    };
    let (output, first) = step("new", "add visits 1\n");
    assert_eq!(output, b"1\n");
    let (output, second) = step(&first, "add visits 2\n");
    assert_eq!(output, b"3\n");
    let report = json(&ring.rings(["verify", "--json", &second]).ok());
    assert_eq!(report["right"], true);

    let (output, receipt) = run(&ring, &["--no-wait"], "wc", TEXT);
    assert_eq!(output, wc(TEXT));
    assert_eq!(
        (&receipt["final"], &receipt["ringNode"]),
        (&false.into(), &Value::Null)
    );
    assert!(
        receipt["signers"].as_array().unwrap().len() >= 2,
        "{receipt}"
    );
    let request = receipt["request"].as_str().unwrap().to_owned();
    until("it becomes final by itself", LONG, || {
        let shown = json(&ring.rings(["request", "show", "--json", &request]).ok());
        (shown["state"] == "listed").then_some(())
    });

    // One output of each input.
    let files = [ring.write("a", "a b\n"), ring.write("b", "c\n")];
    let each = ring.rings(["run", "--no-gate", "--each"]).inputs(&files);
    let each = each.arg(rings_tests::program("wc")).ok();
    assert_eq!(each, [wc(b"a b\n"), wc(b"c\n")].concat());

    // Without two thirds there is no result; the request stays.
    ring.terminate(&[1, 2]);
    let receipt = ring.file("none.json");
    let options = [
        "--no-gate",
        "--timeout",
        "3",
        "--receipt",
        receipt.to_str().unwrap(),
    ];
    let done = ring.run(&options, "wc", &[]).stdin("alone\n").call();
    done.ends_with(4);
    let last = done.stderr.lines().last().unwrap();
    assert!(
        last.contains("no quorum") && last.contains("the request stays"),
        "{last}"
    );
    let none = read(&receipt);
    assert_eq!(none["final"], false);
    assert_eq!(none["silent"].as_array().unwrap().len(), 2, "{none}");
    ring.start(&[]);
    assert_eq!(
        run(&ring, &[], "wc", b"alone\n").1["request"],
        none["request"]
    );
}

#[test]
fn a_throw_away_ring_works_without_a_gate_too() {
    let ring = Ring::prepare();
    let call = ring.run(&["--no-gate"], "wc", &[]);
    // In a directory where no ring is, and none is named.
    let done = call.stdin(TEXT).env("RINGS_DIR", "").call().ok();
    assert_eq!(done.stdout, wc(TEXT));
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("throw-away"), "{last}");
}
