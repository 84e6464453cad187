//! Members that vote for another result than their program gave.

use super::quick::wc;
use rings_api::views::GateView;
use rings_protocol::Address;
use rings_tests::{until, Program, Receipt, Ring, LONG};
use serde_json::Value;
use std::collections::BTreeSet;

const TEXT: &[u8] = b"what is true\n";

/// Makes members of a ring liars.
fn turn(ring: &Ring, members: &[usize]) {
    ring.terminate(members);
    members
        .iter()
        .for_each(|index| ring.start_member(*index, Program::Faulty));
}

/// The gate at member `at`, once this member's vote has come there.
fn wait_vote(ring: &Ring, at: usize, gate: Address, of: Address) -> GateView {
    until("the vote has come", LONG, || {
        let view = ring.gate(at, gate);
        let voted = view
            .votes
            .iter()
            .any(|vote| vote.member == of && vote.agrees.is_some());
        voted.then_some(view)
    })
}

#[test]
fn one_liar_changes_nothing_and_is_named() {
    let ring = Ring::up(4);
    let liar = ring.json().member(2);
    turn(&ring, &[2]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    assert_eq!(receipt.signers().len(), 3);
    assert!(!receipt.signers().contains(&liar));

    let gate = receipt.gate();
    let view = wait_vote(&ring, 0, gate, liar);
    for vote in &view.votes {
        assert_eq!(vote.agrees, Some(vote.member != liar), "{vote:?}");
    }
    let gate_text = gate.to_string();
    let shown = ring.rings(["gate", "show", &gate_text]).text();
    assert!(names(&shown, "DIVERGED", liar), "{shown}");
    let shown = ring.rings(["verify", &gate_text]).text();
    assert!(
        names(&shown, "DIVERGED", liar) && shown.contains("right "),
        "{shown}"
    );
    let report: Value =
        serde_json::from_slice(&ring.rings(["verify", "--json", &gate_text]).ok()).unwrap();
    assert_eq!(report["right"], true);
    for member in report["members"].as_array().unwrap() {
        let is_liar = member["address"].as_str().unwrap().parse() == Ok(liar);
        assert_eq!(member["right"], !is_liar, "{member}");
    }
    let status: Value = serde_json::from_slice(&ring.rings(["status", "--json"]).ok()).unwrap();
    for member in status["members"].as_array().unwrap() {
        let is_liar = member["address"].as_str().unwrap().parse() == Ok(liar);
        assert_eq!(
            member["diverged"].as_array().unwrap().len(),
            usize::from(is_liar),
            "{member}"
        );
    }
    let shown = ring.rings(["status"]).text();
    assert!(
        shown.contains(&format!("DIVERGED on gate {gate}")),
        "{shown}"
    );
    let shown = ring.rings(["ring", "show"]).text();
    assert!(
        shown.contains(&format!("DIVERGED on gate {gate}")),
        "{shown}"
    );

    // When it is honest again, it does not sign a second result: no log has one.
    ring.terminate(&[2]);
    ring.start(&[]);
    let (_, later) = ring.result("wc", b"later\n");
    let view = wait_vote(&ring, 0, later.gate(), liar);
    assert!(
        view.votes.iter().all(|vote| vote.agrees == Some(true)),
        "{view:?}"
    );
    let log = ring.log(2, 0);
    assert_ne!(log.result(gate), ring.log(0, 0).result(gate));
}

/// Whether a line names both.
fn names(text: &str, word: &str, member: Address) -> bool {
    text.lines()
        .any(|line| line.contains(word) && line.contains(&member.to_string()))
}

#[test]
fn half_of_the_ring_lies_and_nothing_is_accepted() {
    let ring = Ring::up(4);
    turn(&ring, &[1, 3]);
    let path = ring.file("receipt.json");
    let options = ["--timeout", "4", "--receipt", path.to_str().unwrap()];
    let done = ring.run(&options, "wc", &[]).stdin(TEXT).call();
    done.ends_with(4);
    let receipt = Receipt::read(&path);
    let votes = receipt.get("/votes").as_array().unwrap();
    let results: BTreeSet<_> = votes
        .iter()
        .map(|vote| vote["result"].as_str().unwrap())
        .collect();
    assert_eq!((votes.len(), results.len()), (4, 2), "{votes:?}");
    assert_eq!(receipt.get("/silent").as_array().unwrap().len(), 0);
    let told = done
        .stderr
        .lines()
        .filter(|line| line.contains("voted for"))
        .count();
    assert_eq!(told, 2, "{}", done.stderr);

    // When they are honest again, the two refuse to sign anything else for that gate, for ever.
    ring.terminate(&[1, 3]);
    ring.start(&[]);
    assert_eq!(ring.result("wc", b"later\n").0, wc(b"later\n"));
    let logs = ring.logs();
    let results: Vec<_> = logs
        .iter()
        .map(|log| log.result(receipt.gate()).unwrap())
        .collect();
    assert!(results[0] == results[2] && results[1] == results[3] && results[0] != results[1]);
    assert!(
        !rings_tests::block_on(ring.chain().gate_state(receipt.gate()))
            .unwrap()
            .resolved
    );
}

#[test]
fn two_thirds_lie_and_the_logs_prove_it() {
    let ring = Ring::up(3);
    let json = ring.json();
    turn(&ring, &[0, 2]);
    let path = ring.file("receipt.json");
    let options = ["--timeout", "20", "--receipt", path.to_str().unwrap()];
    // The CID that they registered names no existing data.
    let done = ring.run(&options, "wc", &[]).stdin(TEXT).call();
    assert_ne!(done.status.code(), Some(0));
    let status: Value = serde_json::from_slice(&ring.rings(["status", "--json"]).ok()).unwrap();
    let gate: Address = status["gates"][0]["gate"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    ring.wait_resolved(1, gate);
    wait_vote(&ring, 1, gate, json.member(1));
    let done = ring.rings(["verify", &gate.to_string()]).call();
    done.ends_with(1);
    let text = done.text();
    assert!(text.contains("WRONG"), "{text}");
    for index in [0, 2] {
        assert!(names(&text, "DIVERGED", json.member(index)), "{text}");
    }
    assert!(names(&text, "voted right", json.member(1)), "{text}");
    assert!(
        done.stderr.lines().last().unwrap().starts_with("error: "),
        "{}",
        done.stderr
    );
}
