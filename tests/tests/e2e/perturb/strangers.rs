//! Attacks on the contracts of a live ring, by those who know the written interface and nothing else.

use super::super::quick::wc;
use ethers_core::abi::Token;
use rings_protocol::Digest;
use rings_store as store;
use rings_tests::{
    block_on,
    perturb::{call_data, Account, Contracts, Pin, Stage, RECOVERY},
    signal, Program, Signal, LONG,
};
use serde_json::json;

/// The digest of these bytes as a file, as every tool computes it.
fn digest(bytes: &[u8]) -> Digest {
    let added = block_on(store::hash(bytes)).unwrap();
    Digest(added.cid.hash().digest().try_into().unwrap())
}

#[test]
fn a_stranger_declares_ahead_and_blocks_nothing() {
    let stage = Stage::http(4);
    let (stranger, contracts) = (stage.stranger(), stage.contracts());
    for (number, text) in [b"first\n".as_slice(), b"second\n", b"third\n"]
        .into_iter()
        .enumerate()
    {
        let expected = digest(&wc(text));
        let mut twin = expected;
        twin.0[31] ^= 1;
        // The expected output itself, its twin, both, and all of it twice.
        let ahead = match number {
            0 => vec![twin],
            1 => vec![expected],
            _ => vec![twin, expected, twin, expected],
        };
        contracts.declare(&stranger, &ahead, false);
        let began = stage.eth().block_number();
        assert_eq!(stage.result("wc", text).0, wc(text));
        let (good, reverted) = stage.registrations(began);
        assert_eq!((good, reverted), (1, 0), "one transaction for the result");
        // A constant's id is its digest, and its data what it says.
        assert_eq!(contracts.read_data(expected), Some(expected));
        assert_eq!(
            contracts.declare(&stranger, &[expected, twin], false),
            [expected, twin]
        );
    }
    // A constant is there for good, whoever declared it.
    let token = contracts.declare(&stranger, &[digest(b"mine\n")], false)[0];
    assert_eq!(contracts.delete_data(&stranger, token)["status"], "0x0");
    assert_eq!(
        contracts.write_data(&stranger, token, digest(b"yours\n"))["status"],
        "0x0"
    );
    // Digests that could be a variable's id, and the null digest, are refused.
    let mut small = digest(b"small\n");
    small.0[..12].fill(0);
    for refused in [small, Digest::ZERO] {
        let words = Token::Array(vec![Token::FixedBytes(refused.0.to_vec())]);
        let data = call_data(
            "declareData(bytes32[],uint8)",
            &[words, Token::Uint(0.into())],
        );
        let answer = contracts.view(contracts.scope, &data, None);
        assert!(answer.is_err(), "{refused} was declared");
    }
}

#[test]
fn the_owner_of_a_variable_wedges_nobody() {
    let stage = Stage::http(4);
    let (owner, contracts) = (stage.stranger(), stage.contracts());
    let job = stage.job("wc", None, b"");
    let (asked, later) = (b"as it was asked\n", b"as it became\n\n");
    let digests = [stage.add(asked), stage.add(later)];
    let variable = contracts.declare(&owner, &digests[..1], true)[0];
    let spec = |salt: u8| {
        let pins = vec![Pin::Token(job.operation), Pin::Token(variable)];
        let mut spec = stage.spec_of(pins);
        spec.salt = [salt; 32];
        spec
    };
    // Nobody computes anything before the owner has done its worst.
    let pids = stage.pids();
    pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
    // The gate holds what the variable held when it was made.
    let first = contracts.create_gate(&stage.requester(), &spec(1));
    contracts.write_data(&owner, variable, digests[1]);
    let second = contracts.create_gate(&stage.requester(), &spec(1));
    assert_ne!(first, second, "what is asked is in the address");
    let third = contracts.create_gate(&stage.requester(), &spec(2));
    assert_eq!(contracts.delete_data(&owner, variable)["status"], "0x1");
    pids.iter().for_each(|pid| signal(*pid, Signal::CONT));
    stage.wait_ended(&[first, second, third], LONG);
    assert_eq!(stage.output(first), wc(asked));
    assert_eq!(stage.output(second), wc(later));
    assert_eq!(stage.output(third), wc(later));
    [first, second, third]
        .iter()
        .for_each(|gate| stage.verify(*gate));
    // One that is gone cannot be asked for any more, and wedges nothing: the transaction says so.
    let data = contracts.create_gate_data(&spec(3));
    let from = Some(stage.requester().address());
    assert!(contracts.view(contracts.engine, &data, from).is_err());
    // The next variable of this owner is another token.
    assert_ne!(contracts.declare(&owner, &digests[..1], true)[0], variable);
}

/// The same members, in a ring of their own whose entries count only after a delay.
fn move_to_ring_with_delay(stage: &Stage, delay: u64) -> Contracts {
    let (json, contracts) = (stage.ring.json(), stage.contracts());
    let slow = contracts.create_ring(&stage.deployer(), &json.members(), delay);
    assert_eq!(
        (slow.entry_delay(), slow.keeper()),
        (delay, stage.deployer().address())
    );
    let ring = slow.ring.to_string();
    for index in 0..json.count() {
        stage.ring.terminate(&[index]);
        let store = stage.ring.file(&format!("store-{index}"));
        let environment = [
            ("RINGS_RING_ADDRESS", ring.as_str()),
            ("RINGS_STORE_PATH", store.to_str().unwrap()),
        ];
        stage
            .ring
            .launch_member(index, Program::Honest, &environment);
    }
    (0..json.count()).for_each(|index| stage.ring.wait_connected(index, json.count() - 1));
    slow
}

#[test]
fn a_keeper_with_puppets_registers_nothing() {
    const PUPPETS: u8 = 10;
    const DELAY: u64 = 86_400;
    let stage = Stage::http(5);
    let contracts = move_to_ring_with_delay(&stage, DELAY);
    let (keeper, eth) = (stage.deployer(), stage.eth());
    let (epoch, members) = (contracts.epoch(), contracts.members());
    let ask = |byte: u8, digests: &[Digest]| {
        let tokens = contracts.declare(&stage.requester(), digests, false);
        let mut spec = stage.spec_of(tokens.into_iter().map(Pin::Token).collect());
        (spec.rings, spec.salt[0]) = (vec![contracts.ring], byte);
        contracts.create_gate(&stage.requester(), &spec)
    };
    // Nobody has the data of this one, so that no honest vote is in the way of a forged one.
    let gate = ask(
        1,
        &[digest(b"no such operation\n"), digest(b"no such input\n")],
    );
    let puppets: Vec<_> = (0..PUPPETS)
        .map(|byte| Account::from_bytes(&[100 + byte; 32]))
        .collect();
    for puppet in &puppets {
        let receipt = contracts.change(&keeper, "enter", puppet.address());
        assert_eq!(
            receipt["status"], "0x1",
            "an entry may be announced: {receipt}"
        );
        assert_eq!(
            contracts.settle(&keeper, puppet.address())["status"],
            "0x0",
            "before its time"
        );
        assert!(!contracts.is_member(puppet.address()));
    }
    assert_eq!(
        (contracts.epoch(), contracts.members()),
        (epoch, members.clone())
    );

    // What the puppets sign counts for nothing, whichever epoch and however many.
    let lie = [(0, digest(b"a lie\n"))];
    for signed_epoch in [epoch, epoch + 1, epoch + u64::from(PUPPETS)] {
        let sign = |puppet: &Account| contracts.sign_outputs(puppet, gate, &[], signed_epoch, &lie);
        let receipt = contracts.register(&keeper, gate, &lie, puppets.iter().map(sign).collect());
        assert_eq!(receipt["status"], "0x0", "{receipt}");
    }
    // Nor does one member's signature when the keeper exits the others: the number needed still counts them.
    let colluding = Account::from_bytes(&stage.ring.member_key(0).to_bytes());
    let needed = contracts.quorum();
    for member in members
        .iter()
        .filter(|member| **member != colluding.address())
    {
        assert_eq!(contracts.change(&keeper, "exit", *member)["status"], "0x1");
    }
    assert_eq!(
        contracts.quorum(),
        needed,
        "exits lower the number needed only after the delay"
    );
    let signed = vec![contracts.sign_outputs(&colluding, gate, &[], contracts.epoch(), &lie)];
    let receipt = contracts.register(&keeper, gate, &lie, signed);
    assert_eq!(
        receipt["status"], "0x0",
        "one member of five is not two thirds: {receipt}"
    );
    assert!(!contracts.has_ended(gate));
    // After the delay, and by a settle that anyone calls, it is as the keeper wants: everybody could see it coming.
    eth.call("evm_increaseTime", &json!([DELAY + 1]));
    eth.mine(1);
    assert_eq!(
        contracts.settle(&stage.stranger(), puppets[0].address())["status"],
        "0x1"
    );
    assert!(contracts.is_member(puppets[0].address()));
}

#[test]
fn who_can_change_the_membership_is_said() {
    let stage = Stage::http(4);
    let keeper = stage.contracts().keeper().to_string();
    for command in [&["ring", "show"][..], &["status"]] {
        let text = stage.ring.rings(command.iter()).text();
        assert!(
            text.contains(&keeper),
            "{command:?} names who keeps the ring: {text}"
        );
    }
    let (_, receipt) = stage.result("wc", b"who\n");
    let text = stage
        .ring
        .rings(["verify", &receipt.gate().to_string()])
        .text();
    assert!(
        text.contains(&keeper),
        "verify names who keeps the ring: {text}"
    );
    stage.wait_ended(&[receipt.gate()], RECOVERY);
}
