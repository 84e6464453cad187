//! Accusation files: a member's vote against what two thirds registered, in one file that anybody checks.

use rings_tests::{until, Call, Program, Ring, LONG};
use serde_json::Value;
use std::fs;

const TEXT: &[u8] = b"what is true\n";
/// Of so many bytes of a file one is flipped.
const FLIP_EVERY: usize = 23;

fn offline(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args).env("RINGS_DIR", "")
}

#[test]
fn a_liar_is_accused_in_a_file_that_anybody_checks() {
    let ring = Ring::up(4);
    let json = ring.json();
    let liar = json.member(2);
    let honest = ring.result("wc", b"all agree\n").1.gate().to_string();
    ring.terminate(&[2]);
    ring.start_member(2, Program::Faulty);
    // A step of a service: what its future held is in the file too.
    let step = |state: &str, text: &str| {
        let receipt = ring.file("receipt.json");
        let options = ["--state", state, "--receipt", receipt.to_str().unwrap()];
        ring.run(&options, "kv", &[]).stdin(text).ok();
        rings_tests::Receipt::read(&receipt).gate().to_string()
    };
    let first = step("new", "add visits 1\n");
    let second = step(&first, "add visits 2\n");
    for gate in [ring.result("wc", TEXT).1.gate().to_string(), second] {
        until("the liar's vote is known", LONG, || {
            let view = ring.gate(0, gate.parse().unwrap());
            view.votes
                .iter()
                .any(|vote| vote.member == liar)
                .then_some(())
        });
        accuse(&ring, &gate);
    }
    let path = ring.file("nobody");
    let file = path.to_str().unwrap();
    let line = ring.rings(["verify", &honest, "--accuse", file]).call();
    line.ends_with(2);
    assert!(
        line.stderr.contains("nobody voted against"),
        "{}",
        line.stderr
    );
    assert!(!path.exists());
}

/// A file with one changed byte is refused in one line, or says the same: the fuel that a voter tells is not signed.
fn flips_change_nothing(file: &[u8], text: &str) {
    for at in (0..file.len()).step_by(FLIP_EVERY) {
        let mut changed = file.to_vec();
        changed[at] ^= 1;
        let done = offline(&["--quiet", "verify", "-"]).stdin(changed).call();
        if done.status.success() {
            assert_eq!(done.text(), text, "byte {at}");
            continue;
        }
        let status = done.status.code();
        assert!(matches!(status, Some(1 | 2)), "byte {at}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "byte {at}");
        done.line();
    }
}

fn accuse(ring: &Ring, gate: &str) {
    let json = ring.json();
    let liar = json.member(2).to_string();
    let path = ring.file("liar.accusation");
    let file = path.to_str().unwrap();
    ring.rings(["verify", gate, "--accuse", file]).ok();
    let text = offline(&["verify", file]).text();
    for part in [
        &liar,
        gate,
        "accused",
        "voted for",
        "registered",
        "not asked",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = |args: &[&str]| -> Value {
        let call = offline(&["verify", "--json", file]).args(args);
        serde_json::from_slice(&call.ok()).unwrap()
    };
    let alone = report(&[]);
    assert_eq!(
        (&alone["accused"], &alone["gate"]),
        (&liar.as_str().into(), &gate.into())
    );
    assert_ne!(alone["voted"], alone["registered"]);
    assert_eq!(alone["onChain"], Value::Null);
    assert_eq!(alone["must"]["members"]["epoch"], 1);
    let place = ["--rpc", json.text("/rpcUrl"), "--ring", json.text("/ring")];
    assert_eq!(report(&place)["onChain"], true);
    let unknown = [
        "--rpc",
        json.text("/rpcUrl"),
        "--ring",
        json.text("/engine"),
    ];
    offline(&["verify", file]).args(unknown).refused(2);

    flips_change_nothing(&fs::read(&path).unwrap(), &text);
    let honest = json.member(0).to_string();
    let other = ring.file("other");
    let options = ["--accuse", other.to_str().unwrap(), "--accused", &honest];
    let done = ring.rings(["verify", gate]).args(options).call();
    done.ends_with(2);
    assert!(
        done.stderr.contains("did not vote against"),
        "{}",
        done.stderr
    );
    assert!(!other.exists());
    for (args, part) in [
        (&["verify", "no-such-file"][..], "No such file"),
        (&["verify", "0x12"], "0x12"),
        (&["verify", file, "--history"], "for a gate"),
    ] {
        let done = offline(args).call();
        done.ends_with(2);
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
}
