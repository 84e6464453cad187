//! Chains that reorganise: what was on the branch that is gone must not be missed, and must not make anything wrong.

use super::super::quick::wc;
use rings_protocol::{Address, Digest};
use rings_tests::{
    perturb::{reorganise, time_of, Account, Branch, Contracts, Pin, Spec, Stage, RECOVERY},
    Program, LONG,
};
use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};

/// A time that no block of these chains has.
const TIME: u64 = 1_000_000_007;

#[test]
fn the_same_run_after_its_transactions_are_gone() {
    let stage = Stage::http(4);
    let eth = stage.eth();
    for (number, shorter) in [true, false].into_iter().enumerate() {
        let input = format!("gone {number}\n").into_bytes();
        let first = eth.block_number();
        let (output, _) = stage.result("wc", &input);
        let depth = eth.block_number() - first;
        match shorter {
            true => eth.call("anvil_rollback", &json!([depth])),
            false => eth.call("anvil_reorg", &json!([depth, []])),
        };
        for _ in 0..2 {
            let began = Instant::now();
            let (again, _) = stage.result("wc", &input);
            assert_eq!((&again, &output), (&wc(&input), &output));
            assert!(began.elapsed() < 2 * RECOVERY, "{:?}", began.elapsed());
        }
        assert_eq!(stage.result("wc", b"another job\n").0, wc(b"another job\n"));
    }
    stage.check_nobody_named();
}

/// What the example `clock` says first: the seconds of its clock.
fn seconds(stage: &Stage, gate: Address) -> u64 {
    let text = String::from_utf8(stage.output(gate)).unwrap();
    text.split(' ').next().unwrap().trim().parse().unwrap()
}

#[test]
fn a_clock_shows_what_was_asked_on_every_branch() {
    let stage = Stage::web_socket(4);
    let (eth, job) = (stage.eth(), stage.job("clock", Some(TIME), b""));
    let gate = stage.gate(&job);
    stage.wait_ended(&[gate], LONG);
    assert_eq!(seconds(&stage, gate), TIME);
    eth.mine(3);

    // The same transactions in later blocks: those of the gate, and those of its registration.
    let branch = Branch::here(&eth);
    let gate = stage.gate(&job);
    stage.wait_ended(&[gate], LONG);
    let output = stage.output(gate);
    branch.replay_later(30);
    stage.wait_ended(&[gate], 2 * RECOVERY);
    assert_eq!(stage.output(gate), output);
    stage.verify(gate);

    // Before its members have registered anything, at depths of one to three blocks.
    for depth in [1, 2, 3] {
        let (spec, contracts) = (stage.spec(&job), stage.contracts());
        eth.call("evm_setAutomine", &json!([false]));
        let data = contracts.create_gate_data(&spec);
        let sent = stage
            .requester()
            .send(&eth, Some(contracts.engine), &data, 5_000_000);
        eth.mine(1);
        eth.receipt(&sent.unwrap());
        let gate = contracts.gate_of(&spec);
        // Members compute and sign meanwhile.
        for _ in 1..depth {
            thread::sleep(Duration::from_millis(300));
            eth.mine(1);
        }
        thread::sleep(Duration::from_millis(300));
        reorganise(&eth, depth, 3);
        eth.call("evm_setAutomine", &json!([true]));
        eth.mine(4);
        stage.wait_ended(&[gate], 2 * RECOVERY);
        assert_eq!(seconds(&stage, gate), TIME, "depth {depth}");
        stage.verify(gate);
    }
    stage.check_nobody_named();
}

#[test]
fn a_program_that_reads_a_clock_that_nobody_set_is_told_of() {
    let stage = Stage::http(3);
    let run = |options: &[&str]| stage.ring.run(options, "clock", &[]).call().ok();
    let unset = run(&[]);
    assert!(unset.text().starts_with("0 "), "1970: {}", unset.text());
    assert!(unset.stderr.contains("clock"), "{}", unset.stderr);
    let set = run(&["--time", &TIME.to_string()]);
    assert!(
        set.text().starts_with(&format!("{TIME} ")),
        "{}",
        set.text()
    );
    assert!(!set.stderr.contains("clock"), "{}", set.stderr);
    let now = run(&["--time", "now"]).text();
    let shown: u64 = now.split(' ').next().unwrap().parse().unwrap();
    assert!(shown.abs_diff(time_of(&stage.eth())) < 3600, "{shown}");
}

#[test]
fn a_membership_that_is_gone_is_not_followed() {
    let stage = Stage::web_socket(5);
    let (eth, contracts) = (stage.eth(), stage.contracts());
    let job = stage.job("wc", None, b"membership\n");
    stage.wait_ended(&[stage.gate(&job)], LONG);
    eth.mine(3);
    let (branch, first) = (Branch::here(&eth), contracts.epoch());
    let leaves = stage.ring.json().member(4);
    let receipt = contracts.change(&stage.keeper(), "exit", leaves);
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    assert!(contracts.epoch() > first);
    let there = stage.gate(&job);
    stage.wait_ended(&[there], LONG);
    // One starts on the branch that will be gone, within the confirmations.
    stage.ring.kill(&[1]);
    stage.ring.launch_member(1, Program::Honest, &[]);
    stage.ring.wait_connected(1, 3);
    branch.cut();
    eth.mine(6);
    assert_eq!(contracts.epoch(), first);
    let before = eth.block_number();
    let gates = stage.gates(&job, 3);
    println!(
        "gates after the reorganisation: {:?}",
        stage.wait_ended(&gates, RECOVERY)
    );
    let (good, reverted) = stage.registrations(before);
    // Who has sent a registration on the branch that is gone may send it once more; the contract refuses it.
    assert!(
        good >= 3 && reverted <= gates.len(),
        "{good} registered and {reverted} reverted"
    );

    // The epoch comes back with another set: the votes of before count for nothing, and are cast again.
    let branch = Branch::here(&eth);
    contracts.change(&stage.keeper(), "exit", leaves);
    let gate = stage.gate(&job);
    stage.wait_ended(&[gate], LONG);
    branch.cut();
    let other = stage.ring.json().member(0);
    contracts.change(&stage.keeper(), "exit", other);
    let gates = stage.gates(&job, 2);
    println!(
        "another change in its place: {:?}",
        stage.wait_ended(&gates, 2 * RECOVERY)
    );
    gates.iter().for_each(|gate| stage.verify(*gate));
    stage.check_nobody_named();
}

/// A ring whose members' keys the test has, so that it decides what the ring says.
struct Upstream {
    contracts: Contracts,
    members: Vec<Account>,
}

impl Upstream {
    fn new(stage: &Stage) -> Self {
        let keeper = stage.stranger();
        let members: Vec<_> = (11..14)
            .map(|byte| Account::from_bytes(&[byte; 32]))
            .collect();
        let addresses: Vec<_> = members.iter().map(Account::address).collect();
        Self {
            contracts: stage.contracts().create_ring(&keeper, &addresses, 0),
            members,
        }
    }

    /// Registers this as the only output of a gate without futures.
    fn resolve(&self, by: &Account, gate: Address, cid: Digest) {
        let (outputs, epoch) = ([(0, cid)], self.contracts.epoch());
        let signed = self.members.iter().map(|member| {
            self.contracts
                .sign_outputs(member, gate, &[], epoch, &outputs)
        });
        let receipt = self
            .contracts
            .register(by, gate, &outputs, signed.collect());
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }
}

#[test]
fn an_upstream_gate_of_another_ring_resolves_to_something_else() {
    let stage = Stage::http(4);
    let (eth, stranger) = (stage.eth(), stage.stranger());
    let upstream = Upstream::new(&stage);
    let job = stage.job("wc", None, b"");
    let texts: [&[u8]; 2] = [b"on the first branch\n", b"and this\non the other\n"];
    let digests = texts.map(|text| stage.add(text));
    let spec = Spec {
        rings: vec![upstream.contracts.ring],
        ..stage.spec(&job)
    };
    let above = upstream.contracts.create_gate(&stranger, &spec);
    let below = stage.spec_of(vec![Pin::Token(job.operation), Pin::Output(above, 0)]);
    let below = stage.contracts().create_gate(&stage.requester(), &below);
    eth.mine(1);

    let branch = Branch::here(&eth);
    upstream.resolve(&stranger, above, digests[0]);
    stage.wait_ended(&[below], LONG);
    assert_eq!(stage.output(below), wc(texts[0]));
    let old = branch.transactions();
    branch.cut();
    upstream.resolve(&stranger, above, digests[1]);
    // Whoever kept the first registration sends it again: its signatures are for other inputs.
    let registration = old.last().unwrap();
    if let Ok(hash) = eth.ask("eth_sendRawTransaction", &json!([registration])) {
        assert_eq!(
            eth.receipt(&hash)["status"],
            "0x0",
            "an old signature was taken for other inputs"
        );
    }
    eth.mine(3);
    stage.wait_ended(&[below], 2 * RECOVERY);
    assert_eq!(
        stage.output(below),
        wc(texts[1]),
        "of what is on this branch"
    );
    stage.verify(below);
    stage.check_nobody_named();
    // And back: a vote that is on disk is right for ever.
    stage.ring.kill(&[0, 1, 2, 3]);
    stage.ring.start(&[]);
    stage.wait_ended(&[stage.gate(&job)], LONG);
    stage.check_nobody_named();
}
