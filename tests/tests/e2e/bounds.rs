//! The bounds on what members spend, and second opinions.

use super::quick::wc;
use rings_protocol::Address;
use rings_tests::{until, Receipt, Ring, LONG};
use std::fs;

const TEXT: &[u8] = b"so many words\n";

/// Adds lines to the configuration of a member's `[compute]`, with the ring down.
fn configure(ring: &Ring, index: usize, lines: &str) {
    let path = ring.member_dir(index).join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("[compute]\n"), "{text}");
    let text = text.replace("[compute]\n", &format!("[compute]\n{lines}\n"));
    fs::write(&path, text).unwrap();
}

/// What `rings gate show` says when it asks this member.
fn told(ring: &Ring, index: usize, gate: Address) -> (String, String) {
    let view = serde_json::to_value(ring.gate(index, gate)).unwrap();
    let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[test]
fn what_costs_more_than_members_spend_is_declined_in_sight() {
    let ring = Ring::up(3);
    ring.stop();
    configure(&ring, 0, "fuel = 1000000000");
    configure(&ring, 1, "memory = 100000000");
    ring.start(&[]);
    let receipt = ring.file("receipt.json");
    let run = |options: &[&str]| {
        let options = [&["--receipt", receipt.to_str().unwrap()], options].concat();
        ring.run(&options, "wc", &[]).stdin(TEXT).call()
    };

    // Both decline: one vote of three.
    let done = run(&["--timeout", "3"]);
    done.ends_with(4);
    for words in ["units of fuel", "bytes of memory", "[compute] memory"] {
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
    let gate = Receipt::read(&receipt).gate();
    for (index, key) in [(0, "[compute] fuel"), (1, "[compute] memory")] {
        let (state, reason) = told(&ring, index, gate);
        assert_eq!(state, "declined");
        assert!(reason.contains(key), "{reason}");
        let voted = ring.log(index, index).result(gate);
        assert_eq!(voted, None, "declining is no vote");
    }

    // One declines: the others are two thirds.
    let done = run(&["--memory", "50000000"]).ok();
    assert_eq!(done.stdout, wc(TEXT));
    let signers = Receipt::read(&receipt).signers();
    assert_eq!(signers.len(), 2);
    assert!(!signers.contains(&ring.json().member(0)));

    // When a member is allowed to spend more, it votes for gates that are still open.
    ring.stop();
    let path = ring.member_dir(0).join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("fuel = 1000000000\n", "")).unwrap();
    ring.start(&[]);
    ring.wait_resolved(0, gate);
}

#[test]
fn a_second_engine_is_asked_and_agrees() {
    let ring = Ring::up(3);
    ring.stop();
    (0..3).for_each(|index| configure(&ring, index, "second_opinion = 100"));
    ring.start(&[]);
    let (output, receipt) = ring.result("mean", b"1 2 3 4.5\n");
    assert!(!output.is_empty() && receipt.signers().len() >= 2);
    let agreed = || {
        let metrics = (0..3).filter_map(|index| ring.metrics(index));
        let asked = "rings_second_opinions_total{outcome=\"agreed\"} 1";
        metrics.filter(move |text| text.lines().any(|line| line == asked))
    };
    // The third need not compute what the other two have resolved.
    until("two thirds have asked the second engine", LONG, || {
        (agreed().count() >= 2).then_some(())
    });
    let first = fs::read_to_string(ring.member_dir(0).join("node.log")).unwrap();
    assert!(first.contains("programs run behind seccomp"), "{first}");
}
