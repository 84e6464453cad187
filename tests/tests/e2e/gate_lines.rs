//! What the log of a member tells at its default level: one line for each step of a gate.

use rings_tests::{until, Program, Ring, LONG};
use serde_json::Value;
use std::fs;

/// The steps, in their order.
const STEPS: [&str; 4] = ["taken up", "computed", "voted", "resolved"];

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap()
}

#[test]
fn the_log_tells_each_step_of_a_gate_once_and_each_line_is_json_where_that_is_wanted() {
    let ring = Ring::up(1);
    ring.terminate(&[0]);
    ring.launch_member(0, Program::Honest, &[("RINGS_LOG_FORMAT", "json")]);
    ring.wait_connected(0, 0);
    let path = ring.member_dir(0).join("node.log");
    let before = fs::read_to_string(&path).unwrap().lines().count();
    let (_, receipt) = ring.result("wc", b"told\n");
    let gate = receipt.gate().to_string();
    let lines = until("the last step is told", LONG, || {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text
            .lines()
            .skip(before)
            .filter(|line| line.contains(&gate));
        let lines: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let has = |text: &str| lines.iter().any(|line| message(line).starts_with(text));
        (has("resolved") && has("submitted")).then_some(lines)
    });
    let said = lines.iter().map(message);
    let steps: Vec<_> = said.filter(|text| STEPS.contains(text)).collect();
    assert_eq!(steps, STEPS);
    for (step, field) in [
        ("taken up", "peers"),
        ("computed", "milliseconds"),
        ("voted", "peers"),
        ("resolved", "milliseconds"),
    ] {
        let line = lines.iter().find(|line| message(line) == step).unwrap();
        assert!(line["fields"][field].is_number(), "{step}: {line}");
    }
    let submitted = lines
        .iter()
        .filter(|line| message(line).starts_with("submitted"));
    assert_eq!(submitted.count(), 1, "{lines:?}");
}
