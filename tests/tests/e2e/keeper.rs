//! The keeper's work: what will happen is said before it does, and the keeping goes to another account, or to the members.

use super::quick::wc;
use rings_tests::{Call, Ring};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

fn keeping(ring: &Ring) -> Value {
    let shown = ring.rings(["ring", "show", "--json"]).ok();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    shown
}

#[test]
fn files_are_not_given_to_a_node_that_was_removed() {
    let ring = Ring::up(4);
    let leaving = ring.json().member(3).to_string();
    ring.rings(["ring", "exit", &leaving]).ok();
    // Its node runs and answers. What it is given reaches no member, so no result would come.
    for number in 0..8 {
        let input = format!("{number}\n");
        let (output, receipt) = ring.result("wc", input.as_bytes());
        assert_eq!(output, wc(input.as_bytes()));
        assert_eq!(receipt.number("/members"), 3);
    }
}

#[test]
fn what_a_change_brings_is_said_before_it_and_the_keeping_is_handed_on() {
    let ring = Ring::up(4);
    let json = ring.json();
    ring.kill(&[2]);
    let silent = json.member(2).to_string();

    // It counts for one delay more, but the ring on this machine has none.
    let leaving = json.member(3).to_string();
    let said = ring.rings(["ring", "exit", &leaving]).call();
    assert!(said.status.success(), "{}", said.stderr);
    for expected in [
        format!("{leaving} will not vote any more, which leaves 3 members"),
        "2 of 3 must sign instead of 3".into(),
        format!("{silent} does not answer now"),
    ] {
        assert!(
            said.stderr.contains(&expected),
            "{expected}: {}",
            said.stderr
        );
    }
    let said = ring.rings(["ring", "enter", &leaving]).call();
    assert!(said.status.success(), "{}", said.stderr);
    assert!(
        said.stderr
            .contains("will be a member at once; then 3 of 4 must sign"),
        "{}",
        said.stderr
    );

    // Another account is offered the keeping, takes it, and gives it up for good.
    let key = ring.file("keeper.key");
    let made = Call::new(rings_tests::Program::Honest).args(["key", "new", "--light", "--out"]);
    let password = ring.write("password", "correct horse battery staple");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let made = made.arg(&key).arg("--password-file").arg(&password).text();
    let heir = made.trim();
    ring.eth(
        "anvil_setBalance",
        &serde_json::json!([heir, "0xde0b6b3a7640000"]),
    );
    let by_heir = |command: &[&str]| {
        let call = ring.rings(command).arg("--key").arg(&key);
        call.arg("--password-file").arg(&password)
    };
    let line = by_heir(&["ring", "accept"]).refused(5);
    assert!(!line.is_empty());
    let said = ring.rings(["ring", "transfer", heir]).call();
    assert!(
        said.stderr
            .contains("can take the keeping with `rings ring accept`"),
        "{}",
        said.stderr
    );
    by_heir(&["ring", "accept"]).ok();
    let line = ring.rings(["ring", "exit", &leaving]).refused(2);
    assert!(line.contains(&format!("is kept by {heir}")), "{line}");
    let said = by_heir(&["ring", "renounce"]).call();
    assert!(
        said.status.success() && said.stderr.contains("self-kept for good"),
        "{}",
        said.stderr
    );
    let line = by_heir(&["ring", "enter", heir]).refused(2);
    assert!(line.contains("is self-kept"), "{line}");
    assert!(keeping(&ring).to_string().contains("\"keeper\":null"));
    // It works as before: whoever is a member may ask, and the one that runs it here was told to the members.
    let (output, _) = ring.result("wc", b"self-kept\n");
    assert_eq!(output, wc(b"self-kept\n"));
}
