//! `rings run` while what it relies on goes away: the branch with its gate, and the member that took its files.

use super::super::quick::wc;
use rings_tests::{signal, Eth, Program, Ring, Running, Signal, LONG};
use serde_json::json;

/// Runs `wc` on these bytes, and waits until it waits for the result.
fn asked(ring: &Ring, input: &[u8]) -> Running {
    let call = ring.run(&["--timeout", "120"], "wc", &[]).stdin(input);
    let running = call.limit(2 * LONG).start();
    running.wait_said("waiting for 3 of 4");
    running
}

#[test]
fn a_gate_that_is_gone_is_asked_for_again() {
    let ring = Ring::up(4);
    let eth = Eth::at(ring.json().text("/rpcUrl"));
    // Too few are left for a result.
    ring.kill(&[1, 2, 3]);
    let before = eth.block_number();
    let running = asked(&ring, b"gone\n");
    // The same height, without the transactions.
    let depth = eth.block_number() - before;
    eth.call("anvil_reorg", &json!([depth, []]));
    for index in 1..4 {
        ring.start_member(index, Program::Honest);
    }
    let done = running.end().ok();
    assert_eq!(done.stdout, wc(b"gone\n"));
    assert!(
        done.stderr.contains("asking for it again"),
        "{}",
        done.stderr
    );
}

#[test]
fn files_are_given_to_another_member_when_the_first_is_gone() {
    let ring = Ring::up(4);
    // So that the program is compiled: members on one machine wait for the one that compiles it.
    ring.result("wc", b"before\n");
    let others: Vec<_> = (1..4).map(|index| ring.pid(index)).collect();
    // Only the first answers, so it gets the files, and then it says nothing more.
    others.iter().for_each(|pid| signal(*pid, Signal::STOP));
    let running = asked(&ring, b"given once\n");
    signal(ring.pid(0), Signal::STOP);
    others.iter().for_each(|pid| signal(*pid, Signal::CONT));
    let done = running.end().ok();
    signal(ring.pid(0), Signal::CONT);
    assert_eq!(done.stdout, wc(b"given once\n"));
}
