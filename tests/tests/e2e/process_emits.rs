//! Tasks that emit events: a process starts another one, and one that starts itself comes to an end.

use super::processes::example;
use rings_api::processes::{ListProcessesParams, ProcessView};
use rings_tests::{block_on, until, Ring, LONG};

/// How many tasks may emit events in a row.
const MOST: u64 = 16;

fn process(ring: &Ring, member: usize, name: &str) -> Option<ProcessView> {
    let listed = block_on(
        ring.client(member)
            .list_processes(&ListProcessesParams::default()),
    );
    let mut listed = listed.ok()?.processes.into_iter();
    listed.find(|process| process.name.as_deref() == Some(name))
}

#[test]
fn a_task_emits_an_event_that_starts_a_process_and_one_that_starts_itself_ends() {
    let ring = Ring::up(3);
    let car = example("electric-car");
    let service = std::fs::read_to_string(car.join("service.yml")).unwrap();
    let programs = example("../target").canonicalize().unwrap();
    let service = service
        .replace("../../target", programs.to_str().unwrap())
        .replace(
            "tasks:\n",
            "  billed:\n    data: {cents: integer}\ntasks:\n",
        )
        .replace(
            "    args: [price]\n",
            "    args: [price]\n    emits: {priced: billed}\n",
        );
    let service = ring.write("service.yml", service);
    let instance = ring
        .rings(["service", "deploy", service.to_str().unwrap()])
        .text();
    let again = "process: again\nservices: {car: service.yml}\non: car.billed\nnodes:\n  price: {task: car.price, inputs: {kwh: \"${event.cents}\", minutes: 90, cents_per_kwh: 1}}\n";
    let again = ring.write("again.yml", again);
    let charging = ring.file("process.yml");
    std::fs::copy(car.join("process.yml"), &charging).unwrap();
    for file in [again, charging] {
        let file = file.to_str().unwrap();
        ring.rings(["process", "create", file]).ok();
    }
    let data = r#"{"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90}"#;
    ring.rings(["emit", instance.trim(), "charged", data]).ok();
    for member in 0..3 {
        until(
            "the process has started itself as often as it may",
            LONG,
            || {
                let again = process(&ring, member, "again")?;
                assert!(again.runs <= MOST, "{again:?}");
                (again.runs == MOST && again.open == 0).then_some(())
            },
        );
    }
    let charging = process(&ring, 1, "charging").unwrap();
    assert_eq!((charging.runs, charging.open), (1, 0));
    let last = until("the last run shows what was executed", LONG, || {
        let newest = ["process", "show", "again", "--limit", "1"];
        let shown = ring.rings(newest).text();
        let mut lines = shown.lines();
        lines
            .find(|line| line.contains("price"))
            .map(ToOwned::to_owned)
    });
    let traced = ring
        .rings(["trace", last.split_whitespace().last().unwrap()])
        .text();
    assert!(traced.contains("event billed by execution Qm"), "{traced}");
}
