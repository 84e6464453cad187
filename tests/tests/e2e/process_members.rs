//! The members drive processes by themselves: while no command runs, with members killed at any state, and after the whole ring
//! was down.

use super::processes::example;
use rings_api::processes::{
    ExecutionState, ExecutionView, GetProcessParams, ListExecutionsParams, ListProcessesParams,
    ProcessState, ProcessView, RunState,
};
use rings_tests::{block_on, until, Program, Ring, LONG};
use serde_json::{json, Value};
use std::collections::BTreeSet;

const CHARGED: &str = r#"{"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90}"#;

/// A ring that runs the process of the electric car. Also gives the instance.
fn charging(members: usize) -> (Ring, String) {
    let ring = Ring::up(members);
    let car = example("electric-car");
    let car = car.to_str().unwrap();
    let instance = ring.rings(["service", "deploy", car]).text();
    ring.rings(["process", "create", car]).ok();
    (ring, instance.trim().to_owned())
}

/// Tells the ring of an event, and does not wait for what follows.
fn told(ring: &Ring, instance: &str, data: &str) -> String {
    let line = ring
        .rings(["emit", instance, "charged", data, "--no-wait"])
        .text();
    line.split_whitespace().last().unwrap().to_owned()
}

/// The only process, as a member sees it.
pub fn process(ring: &Ring, member: usize) -> Option<ProcessView> {
    let listed = block_on(
        ring.client(member)
            .list_processes(&ListProcessesParams::default()),
    );
    let mut listed = listed.ok()?.processes;
    assert!(listed.len() <= 1);
    listed.pop()
}

/// The executions of an event that have ended at a member.
pub fn ended(ring: &Ring, member: usize, event: &str) -> Option<Vec<ExecutionView>> {
    let which = ListExecutionsParams {
        event: Some(event.parse().unwrap()),
        limit: None,
    };
    let listed = block_on(ring.client(member).list_executions(&which)).ok()?;
    let has_ended = |view: &ExecutionView| {
        !matches!(
            view.state,
            ExecutionState::Created | ExecutionState::Started
        )
    };
    Some(listed.executions.into_iter().filter(has_ended).collect())
}

/// Waits until the newest run of the only process is over at a member, and gives what its executions gave.
pub fn over(ring: &Ring, member: usize, event: &str) -> BTreeSet<(String, String, String)> {
    until("a process is over", LONG, || {
        let process = process(ring, member)?;
        let which = GetProcessParams {
            installation: process.installation,
            before: None,
            limit: None,
        };
        let runs = block_on(ring.client(member).get_process(&which)).ok()?.runs;
        let run = runs.iter().find(|run| run.event.to_string() == event)?;
        (run.state == RunState::Done).then_some(())
    });
    let ended = ended(ring, member, event).unwrap();
    ended
        .iter()
        .map(|view| {
            let result = view.result.map(|result| result.to_string());
            (
                view.node.clone().unwrap(),
                view.execution.to_string(),
                result.unwrap_or_default(),
            )
        })
        .collect()
}

fn nodes(results: &BTreeSet<(String, String, String)>) -> Vec<&str> {
    results.iter().map(|(node, ..)| node.as_str()).collect()
}

/// How many requests stand in the logs for each execution.
fn asked(ring: &Ring) -> Vec<usize> {
    let listed = ring.rings(["execution", "list", "--json", "--limit", "100"]);
    let listed: Value = serde_json::from_slice(&listed.ok()).unwrap();
    let mut requests: std::collections::BTreeMap<String, BTreeSet<String>> = Default::default();
    for line in listed.as_array().unwrap() {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        requests
            .entry(text("execution"))
            .or_default()
            .insert(text("request"));
    }
    requests.values().map(BTreeSet::len).collect()
}

#[test]
fn a_process_goes_on_with_no_command_and_all_members_find_the_same() {
    let (ring, instance) = charging(4);
    let event = told(&ring, &instance, CHARGED);
    let first = over(&ring, 0, &event);
    assert_eq!(nodes(&first), ["pay", "price", "tell_paid"]);
    for member in 1..4 {
        assert_eq!(over(&ring, member, &event), first);
    }
    // The same event at another member starts nothing.
    let params = json!({ "instance": instance, "event": "charged", "data": serde_json::from_str::<Value>(CHARGED).unwrap() });
    let again = block_on(ring.client(2).call::<Value>("rings_emit", params)).unwrap();
    assert_eq!(again["event"], event);
    assert_eq!(again["fresh"], false);
    let shown = process(&ring, 2).unwrap();
    assert_eq!((shown.runs, shown.open), (1, 0));
    assert!(asked(&ring).iter().all(|requests| *requests == 1));
    let listed = ring.rings(["process", "list"]).text();
    assert!(
        listed.contains("charging  on car.charged  1 run, 0 open"),
        "{listed}"
    );
    let shown = ring
        .rings(["process", "show", &shown.process.to_string()])
        .text();
    assert!(shown.contains("tell_paid  succeeded"), "{shown}");
    let services = ring.rings(["service", "list"]).text();
    assert!(
        services.contains(&instance) && services.contains("charging"),
        "{services}"
    );
}

#[test]
fn whoever_is_killed_at_whatever_moment_the_result_is_the_same() {
    let (ring, instance) = charging(4);
    let mut killed = None;
    for (round, ended_before) in [0, 1, 2].into_iter().enumerate() {
        // The member that took the event down goes first, then one after the other.
        let victim = round % 4;
        let data = CHARGED.replace("Ada", &format!("driver {round}"));
        let event = told(&ring, &instance, &data);
        until("so many executions have ended", LONG, || {
            (ended(&ring, victim, &event)?.len() >= ended_before).then_some(())
        });
        ring.kill(&[victim]);
        let other = (victim + 1) % 4;
        let results = over(&ring, other, &event);
        assert_eq!(nodes(&results), ["pay", "price", "tell_paid"]);
        ring.start_member(victim, Program::Honest);
        assert_eq!(over(&ring, victim, &event), results);
        killed = Some(victim);
    }
    assert_eq!(killed, Some(2));
    // Who takes over asks the same request.
    assert!(
        asked(&ring).iter().all(|requests| *requests == 1),
        "{:?}",
        asked(&ring)
    );
}

#[test]
fn a_process_goes_on_after_the_whole_ring_was_down() {
    let (ring, instance) = charging(3);
    // With two of three down, nobody agrees on anything.
    ring.kill(&[1, 2]);
    let event = told(&ring, &instance, CHARGED);
    until("an execution is asked", LONG, || {
        let which = ListExecutionsParams::default();
        let listed = block_on(ring.client(0).list_executions(&which)).unwrap();
        let mut states = listed.executions.iter().map(|view| view.state);
        states
            .any(|state| state == ExecutionState::Started)
            .then_some(())
    });
    ring.kill(&[0]);
    ring.start(&[]);
    let results = over(&ring, 2, &event);
    assert_eq!(nodes(&results), ["pay", "price", "tell_paid"]);
    assert_eq!(over(&ring, 0, &event), results);
    assert!(asked(&ring).iter().all(|requests| *requests == 1));
}

#[test]
fn a_process_is_paused_goes_on_and_is_cancelled_when_the_ring_has_decided_it() {
    let (ring, instance) = charging(3);
    let process_id = process(&ring, 0).unwrap().process.to_string();
    let changed = |what: &str| ring.rings(["process", what, &process_id]).text();
    assert_eq!(changed("pause"), "paused\n");
    let all_know = |state: ProcessState| {
        for member in 0..3 {
            until("all members know it", LONG, || {
                (process(&ring, member)?.state == state).then_some(())
            });
        }
    };
    all_know(ProcessState::Paused);
    let again = ring.rings(["process", "pause", &process_id]).refused(2);
    assert!(
        again.contains("is paused, and cannot become paused"),
        "{again}"
    );
    let event = told(&ring, &instance, CHARGED);
    until("the event is known to another member", LONG, || {
        (process(&ring, 1)?.open == 1).then_some(())
    });
    assert_eq!(ended(&ring, 1, &event), Some(Vec::new()));
    assert_eq!(changed("resume"), "active\n");
    assert_eq!(
        nodes(&over(&ring, 1, &event)),
        ["pay", "price", "tell_paid"]
    );
    assert_eq!(changed("cancel"), "cancelled\n");
    all_know(ProcessState::Cancelled);
    let resumed = ring.rings(["process", "resume", &process_id]).refused(2);
    assert!(resumed.contains("is cancelled"), "{resumed}");
    let gone = ring
        .rings(["emit", &instance, "charged", CHARGED, "--again"])
        .refused(2);
    assert!(gone.contains("no process starts with event"), "{gone}");
}
