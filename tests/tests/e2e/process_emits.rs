//! Tasks that emit events: a process starts another one, and one that starts itself comes to an end. Events that two thirds
//! have to see.

use super::{
    process_members::{ended, over},
    processes::example,
};
use rings_api::{
    notices::{Notice, ProcessChange, SubscribeParams, Topic},
    processes::{GetProcessParams, ListInstancesParams, ListProcessesParams, ProcessView},
};
use rings_tests::{block_on, until, Ring, LONG};
use serde_json::{json, Value};

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

#[test]
fn an_event_that_two_thirds_have_to_see_starts_nothing_on_the_word_of_one() {
    let ring = Ring::up(4);
    let car = example("electric-car");
    let programs = example("../target").canonicalize().unwrap();
    let service = std::fs::read_to_string(car.join("service.yml")).unwrap();
    let service = service
        .replace("../../target", programs.to_str().unwrap())
        .replace("  charged:\n", "  charged:\n    observed: quorum\n");
    let service = ring.write("service.yml", service);
    let process_file = ring.file("process.yml");
    std::fs::copy(car.join("process.yml"), &process_file).unwrap();
    let instance = ring
        .rings(["service", "deploy", service.to_str().unwrap()])
        .text();
    ring.rings(["process", "create", process_file.to_str().unwrap()])
        .ok();
    let data = json!({"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90});
    let params = json!({"instance": instance.trim(), "event": "charged", "data": data});
    let emit = |member: usize| {
        let client = ring.client(member);
        let told = client.call::<Value>("rings_emit", params.clone());
        let told = block_on(told).unwrap();
        assert_eq!(told["fresh"], true, "each member says its own word");
        told["event"].as_str().unwrap().to_owned()
    };
    let event = emit(0);
    assert_eq!(emit(1), event);
    let seen_by = |member: usize, count: usize| {
        until("so many have seen it", LONG, || {
            let installation = process(&ring, member, "charging")?.installation;
            let which = GetProcessParams {
                installation,
                before: None,
                limit: None,
            };
            let runs = block_on(ring.client(member).get_process(&which)).ok()?.runs;
            (runs.first()?.seen_by.len() == count).then_some(())
        });
    };
    (0..4).for_each(|member| seen_by(member, 2));
    for member in 0..4 {
        assert_eq!(ended(&ring, member, &event), Some(Vec::new()));
        assert_eq!(process(&ring, member, "charging").unwrap().runs, 1);
    }
    // Whoever subscribes is told how it goes on.
    let told = block_on(async {
        let client = ring.client(3);
        let mut notices = client
            .subscribe(&SubscribeParams::all(Topic::Processes))
            .await
            .unwrap();
        let params = params.clone();
        ring.client(2)
            .call::<Value>("rings_emit", params)
            .await
            .unwrap();
        let mut told = Vec::new();
        while told.last() != Some(&ProcessChange::Over) {
            if let Notice::Processes(notice) = notices.next().await.unwrap() {
                assert_eq!(notice.event.to_string(), event);
                assert_eq!(
                    notice.execution.is_some(),
                    notice.change == ProcessChange::Succeeded
                );
                told.push(notice.change);
            }
        }
        told
    });
    let succeeded = ProcessChange::Succeeded;
    assert_eq!(
        told,
        [
            ProcessChange::Began,
            succeeded,
            succeeded,
            succeeded,
            ProcessChange::Over
        ]
    );
    let listed = block_on(
        ring.client(1)
            .list_instances(&ListInstancesParams::default()),
    )
    .unwrap();
    assert_eq!(listed.next, None);
    let [only] = listed.instances.as_slice() else {
        panic!("{listed:?}")
    };
    assert_eq!(only.instance.to_string(), instance.trim());
    assert!(
        only.values && only.service.is_some() && only.processes.len() == 1,
        "{only:?}"
    );
    let results = over(&ring, 3, &event);
    assert_eq!(results.len(), 3);
    assert_eq!(over(&ring, 0, &event), results);
}
