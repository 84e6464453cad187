//! A process is run to its end, with results in every order.

use crate::{
    bounds::MAX_EMITTED,
    data::{Data, Fields},
    document::{cid_of, Document},
    event::{Event, Source, VERSION},
    execution::{Execution, State},
    plan::Plan,
    process_file::ProcessDraft,
    run::{NodeState, Run, RunError},
    service_file::ServiceDraft,
    trace::{self, Link},
    wait,
};
use cid::Cid;
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

const SERVICE: &str = "\
service: s
events: {came: {data: {n: integer, list: {type: array, items: {type: integer}}}}}
tasks:
  double: {program: p, inputs: {n: integer}, statuses: {even: {n: integer}, odd: {n: integer}}}
  add: {program: p, inputs: {all: {type: array, items: {type: object}}, more: integer, text: string}, statuses: {done: {n: integer}}}
";

const EMITTING: &str = "\
service: s
events:
  came: {data: {n: integer, list: {type: array, items: {type: integer}}}}
  halved: {data: {n: integer}}
tasks:
  double: {program: p, inputs: {n: integer}, emits: {even: halved}, statuses: {even: {n: integer}, odd: {n: integer}}}
  add: {program: p, inputs: {all: {type: array, items: {type: object}}, more: integer, text: string}, statuses: {done: {n: integer}}}
";

const PROCESS: &str = "\
process: p
services: {s: s}
on: s.came
nodes:
  one: {task: s.double, inputs: {n: \"${event.n}\"}}
  all: {task: s.double, each: event.list, inputs: {n: \"${item}\"}}
  big: {after: one.even, filter: one.n > 10}
  more: {after: [big, all.even], map: one.n + 1, gives: integer}
  sum: {after: more, task: s.add, inputs: {all: \"${all}\", more: \"${more}\", text: \"of ${event.n} and ${one.n}\"}}
  small: {after: big.no, map: one.n, gives: integer}
  odd: {after: one.odd, map: one.n, gives: integer}
";

fn plan() -> Arc<Plan> {
    plan_of(SERVICE)
}

fn plan_of(service: &str) -> Arc<Plan> {
    let service = ServiceDraft::read("s", service).unwrap();
    let service = service.finish(|_| Ok(cid_of(b"program"))).unwrap();
    let draft = ProcessDraft::read("p", PROCESS).unwrap();
    Arc::new(draft.finish(|_| Ok(service.clone())).unwrap())
}

fn event(plan: &Plan, n: i64, list: &[i64]) -> Event {
    let list = list.iter().map(|n| Data::Int(*n)).collect();
    Event {
        data: Fields::from([
            ("n".to_owned(), Data::Int(n)),
            ("list".to_owned(), Data::List(list)),
        ]),
        event: "came".into(),
        instance: None,
        process: None,
        service: Some(plan.event().unwrap().0),
        source: Source::Hand { nonce: 0 },
        version: VERSION,
    }
}

/// What the programs of these tests give.
fn compute(execution: &Execution) -> Vec<u8> {
    let int = |data: &Data| match data {
        Data::Int(n) => *n,
        other => panic!("{other:?}"),
    };
    match execution.task.as_str() {
        "ship" => br#"{"status":"shipped","outputs":{}}"#.to_vec(),
        "cancel" => br#"{"status":"cancelled","outputs":{}}"#.to_vec(),
        "double" => {
            let n = int(&execution.inputs["n"]);
            let status = if n % 2 == 0 { "even" } else { "odd" };
            format!(r#"{{"status":"{status}","outputs":{{"n":{}}}}}"#, n * 2).into_bytes()
        }
        _ => {
            let Data::List(all) = &execution.inputs["all"] else {
                panic!("no list")
            };
            let sum: i64 = all.iter().map(|each| int(each.field("n").unwrap())).sum();
            let sum = sum + int(&execution.inputs["more"]);
            format!(r#"{{"status":"done","outputs":{{"n":{sum}}}}}"#).into_bytes()
        }
    }
}

/// Runs to the end; `choose` says which of the executions that are there comes next.
fn to_the_end(run: &mut Run, mut choose: impl FnMut(usize) -> usize) -> BTreeMap<Cid, Vec<u8>> {
    let mut results = BTreeMap::new();
    let mut started: Vec<(Cid, Vec<u8>)> = Vec::new();
    loop {
        let new: Vec<(Cid, Vec<u8>)> = run
            .created()
            .map(|(id, execution)| (id, compute(execution)))
            .collect();
        for (id, bytes) in new {
            run.started(id).unwrap();
            started.push((id, bytes));
        }
        if started.is_empty() {
            return results;
        }
        let (id, bytes) = started.swap_remove(choose(started.len()));
        run.answered(id, &bytes).unwrap();
        results.insert(id, bytes);
    }
}

fn states(run: &Run) -> BTreeMap<String, String> {
    run.nodes()
        .map(|(name, state, _)| (name.to_owned(), state.to_string()))
        .collect()
}

#[test]
fn what_follows_is_done_and_what_does_not_is_skipped() {
    let plan = plan();
    let mut run = Run::new(Arc::clone(&plan), &event(&plan, 8, &[2, 4, 6])).unwrap();
    to_the_end(&mut run, |_| 0);
    assert!(run.is_over() && run.is_good());
    let expected = [
        ("one", "even"),
        ("all", "even"),
        ("big", "yes"),
        ("more", "done"),
        ("sum", "done"),
        ("small", "skipped: big is yes, not no"),
        ("odd", "skipped: one is even, not odd"),
    ];
    assert_eq!(
        states(&run),
        expected
            .map(|(name, state)| (name.to_owned(), state.to_owned()))
            .into()
    );
    assert_eq!(
        run.value("sum"),
        Some(&serde_json::from_str(r#"{"n":41}"#).unwrap())
    );
    let (_, _, ids) = run.nodes().find(|(name, ..)| *name == "sum").unwrap();
    let job = run.job(&ids[0]).unwrap();
    assert_eq!(job.execution.inputs["text"], Data::from("of 8 and 16"));
    // Its parents are the executions behind the map and the filter, and those of the list.
    assert_eq!(job.execution.parents.len(), 4);
    let lines = trace::of(&run, ids[0]).unwrap();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.link == Link::Event(run.event()))
            .count(),
        4
    );
    assert_eq!(lines.len(), 1 + 4 * 2);
}

#[test]
fn a_node_whose_elements_differ_fails_and_nothing_follows() {
    let plan = plan();
    let mut run = Run::new(Arc::clone(&plan), &event(&plan, 3, &[1, 2])).unwrap();
    to_the_end(&mut run, |_| 0);
    let states = states(&run);
    assert_eq!(
        states["all"],
        "failed: its elements ended differently: even, odd"
    );
    assert_eq!(states["odd"], "done");
    assert_eq!(states["big"], "skipped: one is odd, not even");
    assert!(run.is_over() && !run.is_good());
}

#[test]
fn an_answer_that_is_none_fails_for_everybody_alike() {
    for (bytes, told) in [
        (&b"hello"[..], "its output is no answer"),
        (
            br#"{"status":"odd","outputs":{"n":1},"x":1}"#,
            "its output is no answer",
        ),
        (
            br#"{"status":"seven","outputs":{}}"#,
            "none of the task's: even, odd",
        ),
        (
            br#"{"status":"odd","outputs":{}}"#,
            "its output n: is missing",
        ),
        (br#"{"status":"odd","outputs":{"n":"1"}}"#, "its output n: "),
        (br#"{"status":"odd","outputs":{"n":1.5}}"#, "smallest unit"),
        (
            br#"{"status":"odd","outputs":{"n":1,"m":2}}"#,
            "its output m: is not declared",
        ),
    ] {
        let plan = plan();
        let mut run = Run::new(Arc::clone(&plan), &event(&plan, 3, &[])).unwrap();
        let (id, _) = run.created().next().unwrap();
        run.started(id).unwrap();
        run.answered(id, bytes).unwrap();
        let State::Failed(reason) = &run.job(&id).unwrap().state else {
            panic!("{bytes:?}")
        };
        assert!(reason.contains(told), "{reason}");
        assert!(matches!(
            run.nodes().find(|(name, ..)| *name == "one").unwrap().1,
            NodeState::Failed(_)
        ));
    }
}

#[test]
fn an_event_of_another_kind_or_with_other_data_starts_nothing() {
    let plan = plan();
    let right = event(&plan, 1, &[]);
    let start = |event: &Event| Run::new(Arc::clone(&plan), event).unwrap_err();
    let other = Event {
        event: "went".into(),
        ..right.clone()
    };
    assert!(matches!(start(&other), RunError::OtherEvent { .. }));
    let foreign = Event {
        service: Some(cid_of(b"other")),
        ..right.clone()
    };
    assert!(matches!(start(&foreign), RunError::OtherEvent { .. }));
    let mut text = right;
    text.data.insert("n".into(), "1".into());
    assert!(matches!(start(&text), RunError::Data(_)));
}

#[test]
fn an_execution_is_started_once_and_ends_once() {
    let plan = plan();
    let mut run = Run::new(Arc::clone(&plan), &event(&plan, 3, &[])).unwrap();
    let (id, execution) = run.created().next().unwrap();
    let bytes = compute(execution);
    assert!(
        matches!(run.answered(id, &bytes), Err(RunError::State { .. })),
        "it does not run yet"
    );
    run.started(id).unwrap();
    assert!(matches!(run.started(id), Err(RunError::State { .. })));
    run.expired(id).unwrap();
    assert!(
        matches!(run.answered(id, &bytes), Err(RunError::State { .. })),
        "its time is over"
    );
    assert!(matches!(
        run.failed(cid_of(b"x"), "x"),
        Err(RunError::Unknown(_))
    ));
    assert!(run.is_over());
}

/// The ids of executions are made of hashes alone; a change of them is a change of the format.
#[test]
fn ids_are_fixed() {
    let plan = plan();
    let mut run = Run::new(Arc::clone(&plan), &event(&plan, 8, &[2])).unwrap();
    to_the_end(&mut run, |_| 0);
    let (_, _, ids) = run.nodes().find(|(name, ..)| *name == "sum").unwrap();
    let job = run.job(&ids[0]).unwrap();
    let text = String::from_utf8(job.execution.to_bytes().unwrap()).unwrap();
    assert!(text.starts_with(&format!(r#"{{"event":{{"/":"{}"}},"inputs":{{"all":[{{"n":4}}],"more":17,"text":"of 8 and 16"}},"node":"sum","parents":[{{"execution":"#, run.event())), "{text}");
    assert_eq!(cid_of(text.as_bytes()), ids[0]);
    assert_eq!(
        Execution::from_bytes(text.as_bytes()).unwrap(),
        job.execution
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In whatever order results come, the same executions are made, and everything ends in the same way.
    #[test]
    fn the_order_of_results_changes_nothing(
        n in -20i64..20,
        list in prop::collection::vec(-9i64..9, 0..6),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let plan = plan();
        let event = event(&plan, n, &list);
        let mut first = Run::new(Arc::clone(&plan), &event).unwrap();
        let results = to_the_end(&mut first, |_| 0);
        let mut second = Run::new(Arc::clone(&plan), &event).unwrap();
        let mut choices = choices.into_iter().cycle();
        let other = to_the_end(&mut second, |length| choices.next().unwrap().index(length));
        prop_assert_eq!(&results, &other);
        prop_assert_eq!(states(&first), states(&second));
        // Going the whole way again, with the results, ends there too; without one, everything behind it is missing.
        let again = Run::follow(Arc::clone(&plan), &event, |id| results.get(id).cloned()).unwrap();
        prop_assert_eq!(states(&first), states(&again));
        for id in results.keys() {
            let without = Run::follow(Arc::clone(&plan), &event, |other| results.get(other).filter(|_| other != id).cloned()).unwrap();
            prop_assert_eq!(&without.job(id).unwrap().state, &State::Created);
            prop_assert!(!without.is_over());
        }
    }
}

#[test]
fn a_task_emits_an_event_with_its_outputs_and_not_for_ever() {
    let plan = plan_of(EMITTING);
    let mut run = Run::new(Arc::clone(&plan), &event(&plan, 6, &[3])).unwrap();
    let results = to_the_end(&mut run, |_| 0);
    let instance = rings_protocol::Digest([4; 32]);
    let instances = BTreeMap::from([("s".to_owned(), instance)]);
    let mut emitted = 0;
    for (id, bytes) in &results {
        let job = run.job(id).unwrap();
        let event = run.emitted(id, &instances, 3).unwrap();
        assert_eq!(
            event.is_some(),
            job.state == State::Succeeded("even".into())
        );
        let Some(event) = event else { continue };
        emitted += 1;
        assert_eq!(
            (event.event.as_str(), event.instance),
            ("halved", Some(instance))
        );
        assert_eq!(event.data, Fields::from([("n".to_owned(), Data::Int(12))]));
        let source = Source::Task {
            depth: 4,
            execution: *id,
            result: cid_of(bytes),
        };
        assert_eq!(event.source, source);
        let last = run.emitted(id, &instances, MAX_EMITTED).unwrap_err();
        assert!(matches!(last, RunError::Depth { .. }), "{last}");
        assert_eq!(run.emitted(id, &BTreeMap::new(), 0).unwrap(), None);
    }
    assert_eq!(emitted, 1);
}

const SHOP: &str = "\
service: shop
events:
  ordered: {data: {order: integer}}
  paid: {data: {order: integer, cents: integer}}
tasks:
  ship: {program: p, inputs: {cents: integer}, statuses: {shipped: {}}}
  cancel: {program: p, inputs: {order: integer}, statuses: {cancelled: {}}}
";

const ORDER: &str = "\
process: order
services: {shop: s}
on: shop.ordered
nodes:
  paid: {wait: shop.paid, match: {order: \"${event.order}\"}, within: 60}
  ship: {task: shop.ship, inputs: {cents: \"${paid.cents}\"}}
  cancel: {after: paid.expired, task: shop.cancel, inputs: {order: \"${event.order}\"}}
";

fn shop_event(plan: &Plan, name: &str, data: &[(&str, i64)]) -> Event {
    Event {
        data: data
            .iter()
            .map(|(field, n)| ((*field).to_owned(), Data::Int(*n)))
            .collect(),
        event: name.into(),
        ..event(plan, 0, &[])
    }
}

fn shop() -> (Arc<Plan>, Event) {
    let service = ServiceDraft::read("s", SHOP).unwrap();
    let service = service.finish(|_| Ok(cid_of(b"program"))).unwrap();
    let draft = ProcessDraft::read("p", ORDER).unwrap();
    let plan = Arc::new(draft.finish(|_| Ok(service.clone())).unwrap());
    let ordered = shop_event(&plan, "ordered", &[("order", 7)]);
    (plan, ordered)
}

/// The run up to the wait, and the execution that waits.
fn waiting() -> (Run, Cid) {
    let (plan, ordered) = shop();
    let mut run = Run::new(plan, &ordered).unwrap();
    let created: Vec<_> = run
        .created()
        .map(|(id, execution)| (id, execution.clone()))
        .collect();
    let [(id, execution)] = created.as_slice() else {
        panic!("{created:?}")
    };
    assert_eq!(execution.awaits.as_deref(), Some("paid"));
    assert_eq!(execution.inputs["order"], Data::Int(7));
    let bytes = execution.to_bytes().unwrap();
    assert_eq!(&Execution::from_bytes(&bytes).unwrap(), execution);
    run.started(*id).unwrap();
    assert!(!run.is_over());
    (run, *id)
}

#[test]
fn a_node_waits_for_one_more_event_and_uses_its_data() {
    let (mut run, wait) = waiting();
    let paid = shop_event(run.plan(), "paid", &[("order", 7), ("cents", 100)]);
    run.answered(wait, &paid.to_bytes().unwrap()).unwrap();
    assert_eq!(run.job(&wait).unwrap().result, Some(paid.cid().unwrap()));
    let results = to_the_end(&mut run, |_| 0);
    assert_eq!(results.len(), 1);
    let ship = *results.keys().next().unwrap();
    let parents = &run.job(&ship).unwrap().execution.parents;
    assert_eq!(parents.len(), 1);
    assert_eq!(parents[0].result, paid.cid().unwrap());
    assert_eq!(states(&run)["cancel"], "skipped: paid is came, not expired");
    let links: Vec<_> = trace::of(&run, ship)
        .unwrap()
        .into_iter()
        .map(|line| (line.depth, line.link))
        .collect();
    let execution = |id| Link::Execution { id, again: false };
    assert_eq!(
        links,
        [
            (0, execution(ship)),
            (1, execution(wait)),
            (2, Link::Awaited(paid.cid().unwrap())),
            (2, Link::Event(run.event())),
        ]
    );
}

#[test]
fn a_wait_expires_and_that_is_the_cause_of_what_follows() {
    let (mut run, wait) = waiting();
    run.answered(wait, &wait::expired()).unwrap();
    let job = run.job(&wait).unwrap();
    assert_eq!(job.state, State::Expired);
    assert_eq!(states(&run)["paid"], "expired");
    assert_eq!(states(&run)["ship"], "skipped: paid is expired, not came");
    let cancel: Vec<_> = run.created().map(|(id, _)| id).collect();
    let parents = &run.job(&cancel[0]).unwrap().execution.parents;
    assert_eq!(parents[0].result, cid_of(&wait::expired()));
    to_the_end(&mut run, |_| 0);
    assert!(run.is_over());
}

#[test]
fn what_is_not_waited_for_is_no_result_of_a_wait() {
    let (plan, _) = shop();
    let right = shop_event(&plan, "paid", &[("order", 7), ("cents", 100)]);
    let wrong = [
        shop_event(&plan, "paid", &[("order", 8), ("cents", 100)]),
        shop_event(&plan, "paid", &[("order", 7)]),
        shop_event(&plan, "ordered", &[("order", 7)]),
        Event {
            service: Some(cid_of(b"other")),
            ..right.clone()
        },
        Event {
            instance: Some(rings_protocol::Digest([1; 32])),
            ..right
        },
    ];
    for event in wrong {
        let (mut run, wait) = waiting();
        run.answered(wait, &event.to_bytes().unwrap()).unwrap();
        let state = &run.job(&wait).unwrap().state;
        assert!(matches!(state, State::Failed(_)), "{event:?}: {state}");
    }
}
