//! A service: a chain of gates, each of which gets the state that the gate before it left.

use rings_api::views::GateState;
use rings_protocol::Address;
use rings_tests::{block_on, program, until, Newcomer, Receipt, Ring, LONG};
use serde_json::{json, Value};
use std::{collections::BTreeMap, fs};

/// Gates of the service.
const GATES: usize = 100;

/// The service as it should be: what it says to the lines, and what it keeps.
#[derive(Default)]
struct Model(BTreeMap<String, String>);

impl Model {
    fn lines(&mut self, round: usize) -> (String, String) {
        let visits: i64 = (1..=round as i64).sum();
        let (key, value) = (format!("key-{}", round % 17), format!("value of {round}"));
        self.0.insert("visits".into(), visits.to_string());
        self.0.insert(key.clone(), value.clone());
        let mut input = format!("add visits {round}\nset {key} {value}\nget {key}\n");
        let mut answer = format!("{visits}\n{value}\n");
        if round % 10 == 3 {
            self.0.remove(&key);
            input += &format!("del {key}\n");
        }
        input += "count\n";
        answer += &format!("{}\n", self.0.len());
        (input, answer)
    }

    fn state(&self) -> String {
        let lines = self.0.iter().map(|(key, value)| format!("{key} {value}\n"));
        lines.collect()
    }
}

/// One more gate of the service.
fn step(ring: &Ring, state: &str, input: &str, options: &[&str]) -> (String, Receipt) {
    let receipt = ring.file("receipt.json");
    let fixed = ["--state", state, "--receipt", receipt.to_str().unwrap()];
    let options = [&fixed, options].concat();
    let output = ring.run(&options, "kv", &[]).stdin(input).text();
    (output, Receipt::read(&receipt))
}

#[test]
fn a_service_of_a_hundred_gates_is_the_same_for_a_new_member() {
    let ring = Ring::up(4);
    let (mut model, mut state) = (Model::default(), "new".to_owned());
    let (mut last, mut before) = (None, None);
    for round in 1..=GATES {
        let (input, answer) = model.lines(round);
        let (output, receipt) = step(&ring, &state, &input, &[]);
        assert_eq!(output, answer, "round {round}");
        before = last;
        state = receipt.gate().to_string();
        last = Some(receipt);
    }
    let (last, before) = (last.unwrap(), before.unwrap());
    let next = ring.rings(["cat", last.text("/outputs/1/cid")]).text();
    assert_eq!(next, model.state());
    assert_eq!(last.text("/state"), before.gate().to_string());

    // Someone who has only the chain and the blocks gets the same state.
    let report = history(&ring, last.gate());
    assert_eq!(
        (&report["right"], &report["gates"]),
        (&json!(true), &json!(GATES))
    );
    assert_eq!(report["state"], *last.get("/outputs/1/cid"));
    // And on this machine, without a ring, from the state before.
    let kept = ring.write(
        "before",
        ring.rings(["cat", before.text("/outputs/1/cid")]).ok(),
    );
    let (input, answer) = Model::default().lines(GATES);
    let dry = ring.file("dry");
    let options = [
        "--dry",
        "--state",
        kept.to_str().unwrap(),
        "--next-state",
        dry.to_str().unwrap(),
    ];
    let output = ring.run(&options, "kv", &[]).stdin(input).text();
    // The answers are those to a visitor who has seen it all, but for the number of keys.
    assert_eq!(output.lines().next(), answer.lines().next());
    assert_eq!(fs::read_to_string(&dry).unwrap(), model.state());

    newcomer_goes_on(&ring, &mut model, last.gate());
}

/// A member that enters now, with nothing, votes for the next gate as the others do.
fn newcomer_goes_on(ring: &Ring, model: &mut Model, last: Address) {
    let newcomer = Newcomer::start(ring, &[]);
    let (input, answer) = model.lines(GATES + 1);
    let (output, receipt) = step(ring, &last.to_string(), &input, &[]);
    assert_eq!(output, answer);
    let gate = receipt.gate();
    let view = until("the newcomer's vote has come", LONG, || {
        let view = ring.gate(0, gate);
        let voted = view
            .votes
            .iter()
            .any(|vote| vote.member == newcomer.address);
        (voted && view.state == GateState::Resolved).then_some(view)
    });
    assert!(
        view.votes.iter().all(|vote| vote.agrees == Some(true)),
        "{view:?}"
    );
    assert_eq!(view.quorum, 4, "two thirds of five");
    // It also answers for all that was before it came.
    let shown = block_on(newcomer.client.gate(last)).unwrap();
    assert_eq!(shown.state, GateState::Resolved);
    let report = history(ring, gate);
    assert_eq!(report["gates"], GATES + 1);
    newcomer.stop();
}

fn history(ring: &Ring, gate: Address) -> Value {
    let gate = gate.to_string();
    let report = ring.rings(["verify", "--history", "--json", &gate]).ok();
    serde_json::from_slice(&report).unwrap()
}

#[test]
fn a_step_that_fails_leaves_the_state_and_ends_what_builds_on_it() {
    let ring = Ring::up(3);
    let (output, good) = step(&ring, "new", "add a 5\n", &[]);
    assert_eq!(output, "5\n");
    let receipt = ring.file("failed.json");
    let options = [
        "--state",
        &good.gate().to_string(),
        "--receipt",
        receipt.to_str().unwrap(),
    ];
    let failed = ring.run(&options, "kv", &[]).stdin("nonsense\n").call();
    failed.ends_with(3);
    assert!(
        failed.stderr.contains("kv: line 1: there are"),
        "{}",
        failed.stderr
    );

    // A run that waits for a state that will never come is told so.
    let failed = Receipt::read(&receipt).gate().to_string();
    let behind = ring
        .run(&["--state", &failed], "kv", &[])
        .stdin("get a\n")
        .call();
    behind.ends_with(3);
    assert!(
        behind.stderr.contains("never gets a result"),
        "{}",
        behind.stderr
    );
    // The service goes on from the last good state.
    let (output, _) = step(&ring, &good.gate().to_string(), "get a\n", &[]);
    assert_eq!(output, "5\n");
}

#[test]
fn a_state_of_a_file_goes_in_and_out() {
    let ring = Ring::up(3);
    let (before, after) = (
        ring.write("before", "a 1\nb two words\n"),
        ring.file("after"),
    );
    let options = ["--next-state", after.to_str().unwrap()];
    let (output, receipt) = step(
        &ring,
        before.to_str().unwrap(),
        "add a 41\nget b\n",
        &options,
    );
    assert_eq!(output, "42\ntwo words\n");
    assert_eq!(fs::read_to_string(&after).unwrap(), "a 42\nb two words\n");
    let outputs = receipt.get("/outputs").as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    // The next state alone is not shown, and a program that knows of no state leaves an empty one.
    let wc = ring.run(&["--state", "new"], "wc", &[]).stdin("x\n").text();
    assert_eq!(wc.split_whitespace().collect::<Vec<_>>(), ["1", "1", "2"]);
    // What is not a state of this service is the service's own failure.
    let bad = ring.write("bad", "nospace\n");
    let refused = ring
        .run(&["--state", bad.to_str().unwrap()], "kv", &[])
        .stdin("count\n")
        .call();
    refused.ends_with(3);
    assert!(
        refused.stderr.contains("the state is not one of kv"),
        "{}",
        refused.stderr
    );
    // Usage.
    let missing = ring
        .run(&["--state", "no/such/file"], "kv", &[])
        .stdin("")
        .call();
    missing.ends_with(2);
    let each = ring
        .run(&["--state", "new", "--each"], "kv", &[])
        .stdin("")
        .call();
    each.ends_with(2);
    assert!(program("kv").exists());
}
