//! Members that are killed, stopped and started again, at any moment.

use super::{programs::busy, quick::wc};
use rings_api::views::{GateState, GateView};
use rings_protocol::Address;
use rings_tests::{block_on, until, CheckedLog, Receipt, Ring, LONG};
use serde_json::Value;
use std::{collections::BTreeSet, thread, time::Duration};

const TEXT: &[u8] = b"one two\nthree\n";

fn set(addresses: impl IntoIterator<Item = Address>) -> BTreeSet<Address> {
    addresses.into_iter().collect()
}

fn texts(value: &Value) -> BTreeSet<Address> {
    set(value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().parse().unwrap()))
}

/// `rings status --json`
fn status(ring: &Ring) -> Value {
    serde_json::from_slice(&ring.rings(["status", "--json"]).ok()).unwrap()
}

/// Reads all logs, and checks that those that voted at this gate voted for what is on chain.
fn check_logs(ring: &Ring, view: &GateView) -> Vec<CheckedLog> {
    let logs = ring.logs();
    let results: BTreeSet<_> = logs
        .iter()
        .filter_map(|log| log.result(view.gate))
        .collect();
    assert_eq!(
        results.len(),
        1,
        "all that voted for gate {} agree",
        view.gate
    );
    let voted = logs
        .iter()
        .filter(|log| log.result(view.gate).is_some())
        .count();
    assert!(voted as u64 >= view.quorum, "{voted} votes in logs");
    logs
}

#[test]
fn seven_members_do_without_two_and_not_without_three() {
    let ring = Ring::up(7);
    let json = ring.json();
    ring.kill(&[1, 4]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    let dead = set([json.member(1), json.member(4)]);
    assert_eq!(receipt.signers().len(), 5);
    assert!(set(receipt.signers()).is_disjoint(&dead));

    ring.kill(&[6]);
    let path = ring.file("receipt.json");
    let options = ["--timeout", "4", "--receipt", path.to_str().unwrap()];
    let done = ring.run(&options, "wc", &["-"]).stdin(b"more\n").call();
    done.ends_with(4);
    assert_eq!(done.stdout, b"");
    let receipt = Receipt::read(&path);
    let silent = set([1, 4, 6].map(|index| json.member(index)));
    assert_eq!(texts(receipt.get("/silent")), silent);
    let votes = receipt.get("/votes").as_array().unwrap().clone();
    let voted = set(votes
        .iter()
        .map(|vote| vote["member"].as_str().unwrap().parse().unwrap()));
    assert_eq!(voted, set([0, 2, 3, 5].map(|index| json.member(index))));
    assert_eq!(receipt.get("/transaction"), &Value::Null);
    let last = done.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("error: no quorum within 4 s")
            && last.contains(&receipt.gate().to_string()),
        "{last}"
    );
    for member in json.members() {
        assert!(
            done.stderr.contains(&member.to_string()),
            "{member} is named: {}",
            done.stderr
        );
    }

    // One returns, without a word about the gate.
    ring.start_member(4, rings_tests::Program::Honest);
    let view = ring.wait_resolved(0, receipt.gate());
    assert_eq!(view.state, GateState::Resolved);
    let again = ring.run(&[], "wc", &["-"]).stdin(b"more\n").ok();
    assert_eq!(again, wc(b"more\n"));
    ring.start(&[]);
    check_logs(&ring, &view);
}

#[test]
fn all_killed_in_mid_run_and_nothing_is_signed_twice() {
    let ring = Ring::up(5);
    let call = ring
        .rings(["run", "--timeout", "80"])
        .arg(busy(&ring, 1_500_000_000));
    let run = call.start();
    let gate = until("the gate is there", LONG, || {
        let gate = status(&ring)["gates"][0]["gate"]
            .as_str()?
            .parse::<Address>()
            .ok()?;
        let seen = (0..5).all(|index| ring.gate(index, gate).state == GateState::Ready);
        seen.then_some(gate)
    });
    ring.kill(&[0, 1, 2, 3, 4]);
    assert!(
        !block_on(ring.chain().gate_state(gate)).unwrap().resolved,
        "it was killed in time"
    );
    ring.start(&[]);
    assert_eq!(run.end().ok().stdout, b"done\n");
    let view = ring.wait_resolved(0, gate);
    for log in check_logs(&ring, &view) {
        assert!(log.votes.keys().all(|voted| *voted == gate));
    }
}

#[test]
fn all_killed_at_any_moment() {
    let ring = Ring::up(4);
    let mut gates = BTreeSet::new();
    for milliseconds in [0, 15, 30, 45, 60, 80, 100, 130] {
        let input = format!("{milliseconds}\n").into_bytes();
        let run = ring
            .run(&["--timeout", "60"], "wc", &[])
            .stdin(input.clone())
            .start();
        // This does not wait for a condition, because the test varies the moment.
        thread::sleep(Duration::from_millis(milliseconds));
        ring.kill(&[0, 1, 2, 3]);
        ring.start(&[]);
        let done = run.end();
        match done.status.code() {
            Some(0) => assert_eq!(done.stdout, wc(&input)),
            // Nobody took its files, before there was a gate; or took its question about the output.
            Some(5) => assert!(done.stderr.contains("member"), "{}", done.stderr),
            _ => done.ends_with(0),
        }
        let (output, receipt) = ring.result("wc", &input);
        assert_eq!(output, wc(&input));
        gates.insert(receipt.gate());
    }
    let logs = ring.logs();
    for gate in gates {
        let view = ring.wait_resolved(0, gate);
        let results: BTreeSet<_> = logs.iter().filter_map(|log| log.result(gate)).collect();
        assert_eq!(results.len(), 1, "{view:?}");
    }
}

#[test]
fn a_member_that_was_away_catches_up() {
    const GATES: u32 = 12;
    let ring = Ring::up(4);
    ring.result("wc", b"before\n");
    ring.terminate(&[3]);
    let gates: Vec<_> = (0..GATES)
        .map(|n| ring.result("wc", n.to_string().as_bytes()).1.gate())
        .collect();
    ring.start(&[]);
    for gate in gates {
        let (there, here) = (ring.wait_resolved(3, gate), ring.wait_resolved(0, gate));
        assert_eq!(there.result, here.result);
        assert_eq!(there.transaction, here.transaction);
    }
    // Its vote counts again: without it there is no quorum.
    ring.terminate(&[0]);
    let (output, receipt) = ring.result("wc", b"after\n");
    assert_eq!(output, wc(b"after\n"));
    assert!(receipt.signers().contains(&ring.json().member(3)));
    // And the others have its log, as it has theirs.
    for (of, from) in [(3, 1), (1, 3), (0, 3)] {
        let log = ring.log(of, from);
        assert!(!log.nodes.is_empty(), "the log of {of} at {from}");
    }
}

#[test]
fn members_return_while_nothing_happens() {
    let ring = Ring::up(3);
    let block = ring.eth("eth_blockNumber", &serde_json::json!([]));
    ring.kill(&[1]);
    ring.start(&[]);
    ring.terminate(&[0, 1, 2]);
    ring.start(&[]);
    assert_eq!(
        ring.eth("eth_blockNumber", &serde_json::json!([])),
        block,
        "the chain has rested"
    );
    assert_eq!(ring.result("wc", TEXT).0, wc(TEXT));
}

#[test]
fn the_whole_ring_stops_and_goes_on() {
    let ring = Ring::up(3);
    let (_, before) = ring.result("wc", TEXT);
    let heads: Vec<_> = ring.logs().iter().map(|log| log.nodes.len()).collect();
    ring.stop();
    assert_eq!(ring.left(), Vec::<u32>::new(), "nothing runs");
    ring.start(&[]);
    let (output, after) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    assert_eq!(
        after.transaction(),
        before.transaction(),
        "the chain has kept it"
    );
    let logs = ring.logs();
    assert!(logs
        .iter()
        .zip(heads)
        .all(|(log, length)| log.nodes.len() >= length));
    assert_eq!(ring.result("wc", b"new\n").0, wc(b"new\n"));
}

#[test]
fn the_chain_is_away_for_a_while() {
    let ring = Ring::up(3);
    ring.result("wc", TEXT);
    rings_tests::signal(ring.chain_pid(), rings_tests::Signal::STOP);
    let line = ring
        .run(&["--timeout", "5"], "wc", &[])
        .stdin(b"x\n")
        .refused(5);
    assert!(line.contains("127.0.0.1"), "{line}");
    rings_tests::signal(ring.chain_pid(), rings_tests::Signal::CONT);
    assert_eq!(ring.result("wc", b"x\n").0, wc(b"x\n"));
    for index in 0..3 {
        ring.wait_connected(index, 2);
    }
}
