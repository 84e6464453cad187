//! Executions that wait for events, in any order in which members hear of both.

use super::{
    tests::{by_chain, event, happened, hear, open},
    Begun, Ended, Found, LogPlace, ProcessState, ReadTo, RunKey, RunRecord, Waiting,
};
use cid::Cid;
use rings_process::{
    data::Fields,
    document::{cid_of, Document},
    event::{Event, Source},
    execution::{Execution, VERSION},
    wait,
    words::Stage,
};
use rings_protocol::{cids::digest_of, Digest};
use tempfile::TempDir;

const INSTALLED: Digest = Digest([9; 32]);
const UNTIL: u64 = 1_000;

fn source() -> Digest {
    wait::source(Digest([1; 32]), "came")
}

fn by_hand(number: i64) -> Event {
    event(number, Source::Hand { nonce: 0 })
}

/// An execution that waits for an event with a number, of a run that began then.
fn waiting(number: i64, since: u64) -> (Cid, Waiting) {
    let execution = Execution {
        awaits: Some("came".into()),
        each: None,
        event: cid_of(b"order"),
        inputs: Fields::from([("number".to_owned(), number.into())]),
        node: "wait".into(),
        parents: Vec::new(),
        process: cid_of(b"process"),
        service: cid_of(b"service"),
        task: String::new(),
        version: VERSION,
    };
    let waiting = Waiting {
        gate: None,
        installation: INSTALLED,
        event: digest_of(&cid_of(b"order")).unwrap(),
        source: source(),
        until: UNTIL,
        behind: None,
        since,
        execution,
    };
    (waiting.execution.cid().unwrap(), waiting)
}

fn begin(state: &ProcessState, (id, waiting): &(Cid, Waiting)) -> usize {
    match state.begin_wait(id, waiting).unwrap() {
        Begun::Waits(earlier) => earlier.len(),
        other => panic!("{other:?}"),
    }
}

fn ended(waiting: &Waiting, stage: Stage) -> Ended {
    Ended {
        gate: None,
        installation: waiting.installation,
        event: waiting.event,
        request: None,
        by: Vec::new(),
        stage,
        result: None,
        reason: None,
        time: 7,
    }
}

#[test]
fn an_event_finds_who_waits_for_its_fields_whichever_came_first() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    state.await_source(source(), false).unwrap();
    let one = waiting(1, 0);
    assert_eq!(begin(&state, &one), 0);
    hear(&state, 1, 1, vec![happened(&by_hand(1), &[source()])]);
    let open_events = state.awaited_events(10).unwrap();
    assert_eq!(open_events.len(), 1);
    let name = digest_of(&one.0).unwrap();
    assert_eq!(state.waits_for(source(), &by_hand(1)).unwrap(), [name]);
    assert!(state.waits_for(source(), &by_hand(2)).unwrap().is_empty());
    // It starts nothing.
    assert!(state.openings(|_| false, (10, 10)).unwrap().0.is_empty());
    let key = open_events[0].key;
    let other = RunRecord::default();
    state.postpone(&[(key, other)]).unwrap();
    let still = state.awaited_events(9).unwrap();
    assert_eq!(still.len(), open_events.len(), "more is known of it now");
    let known = state.run(key).unwrap().unwrap();
    state.postpone(&[(key, known)]).unwrap();
    assert!(state.awaited_events(10).unwrap().is_empty());
    // Who begins later finds it among those of before, unless the run is younger than the event.
    assert_eq!(begin(&state, &waiting(2, 0)), 1);
    assert_eq!(begin(&state, &waiting(3, u64::MAX)), 0);
}

#[test]
fn an_event_of_the_chain_counts_when_it_was_found_here() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    state.await_source(source(), false).unwrap();
    let came = event(1, by_chain());
    hear(&state, 1, 1, vec![happened(&came, &[source()])]);
    assert!(state.awaited_events(10).unwrap().is_empty());
    let found = Found {
        installation: source(),
        event: came.to_bytes().unwrap(),
        place: None,
    };
    state.found(&[found], &ReadTo::default(), 5).unwrap();
    assert_eq!(state.awaited_events(10).unwrap().len(), 1);
    let name = digest_of(&came.cid().unwrap()).unwrap();
    let (bytes, record) = state.known_event(source(), name).unwrap().unwrap();
    assert_eq!(bytes, came.to_bytes().unwrap());
    assert!(record.may_begin());
}

/// Members find logs when enough blocks are on top, and one source may need fewer than another: what came first, the chain says.
#[test]
fn of_two_logs_the_place_on_the_chain_says_which_came_first() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    state.await_source(source(), false).unwrap();
    let place = |block, log| LogPlace { block, log };
    let logs = [
        (1, place(4, 9)),
        (2, place(5, 2)),
        (3, place(5, 4)),
        (4, place(6, 0)),
    ];
    let mut next = 1;
    let mut come = |number: u64, place, time| {
        let source_of_log = Source::Chain {
            chain: 1,
            contract: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".into(),
            index: number,
            transaction: Digest([3; 32]),
        };
        let came = event(1, source_of_log);
        let found = Found {
            installation: source(),
            event: came.to_bytes().unwrap(),
            place: Some(place),
        };
        state.found(&[found], &ReadTo::default(), time).unwrap();
        hear(&state, 1, next, vec![happened(&came, &[source()])]);
        next += 1;
        let name = digest_of(&came.cid().unwrap()).unwrap();
        state.run((source(), name)).unwrap().unwrap()
    };
    // All were found before the process began, which needs more blocks on top.
    let records = logs.map(|(number, place)| come(number, place, 5));
    let (id, waits) = waiting(1, 7);
    let waits = Waiting {
        behind: Some(place(5, 3)),
        ..waits
    };
    let is_behind: Vec<_> = records.iter().map(|record| waits.may_be(record)).collect();
    assert_eq!(is_behind, [false, false, true, true]);
    assert_eq!(begin(&state, &(id, waits.clone())), 2);
    // One that needs more blocks than the process is found later, and came before all the same.
    let late = come(5, place(3, 0), 9);
    assert!(!waits.may_be(&late));
    // What has no place on the chain goes by its time.
    let by_time = |since| RunRecord {
        since,
        ..RunRecord::default()
    };
    assert!(waits.may_be(&by_time(7)) && !waits.may_be(&by_time(6)));
}

/// An event that this member alone has found is to be written into a log, although no installation has its source as a name.
#[test]
fn an_event_that_stands_in_no_log_is_written_if_it_is_waited_for() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let found = Found {
        installation: source(),
        event: event(1, by_chain()).to_bytes().unwrap(),
        place: None,
    };
    state.found(&[found], &ReadTo::default(), 5).unwrap();
    assert!(state.unwritten(10).unwrap().is_empty());
    state.await_source(source(), false).unwrap();
    assert_eq!(state.unwritten(10).unwrap().len(), 1);
}

#[test]
fn a_run_that_waits_is_parked_and_open_again_when_that_has_ended() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let run: RunKey = (INSTALLED, digest_of(&by_hand(7).cid().unwrap()).unwrap());
    hear(&state, 1, 1, vec![happened(&by_hand(7), &[INSTALLED])]);
    assert_eq!(state.run_counts(INSTALLED).unwrap(), (1, 1));
    let (id, waits) = waiting(1, 0);
    begin(&state, &(id, waits.clone()));
    assert!(state.add_waiters(&id, &[run]).unwrap());
    state.park(&[run]).unwrap();
    assert_eq!(state.run_counts(INSTALLED).unwrap(), (1, 1));
    drop(state);

    let state = open(&directory);
    let name = digest_of(&id).unwrap();
    assert_eq!(state.waiting(name).unwrap().as_ref(), Some(&waits));
    assert_eq!(state.wait_of_slot(wait::slot(&id)).unwrap(), Some(name));
    assert!(state.overdue(UNTIL - 1, 10).unwrap().is_empty());
    assert_eq!(state.overdue(UNTIL, 10).unwrap(), [name]);
    state.waits_chosen(&[(name, waits.clone())]).unwrap();
    assert!(state.overdue(UNTIL, 10).unwrap().is_empty());
    let runs = state.end_wait(&id, &waits, &ended(&waits, Stage::Expired));
    assert_eq!(runs.unwrap(), [run]);
    assert_eq!(state.ended(&id).unwrap().unwrap().stage, Stage::Expired);
    assert!(state.all_waiting(None, 10).unwrap().is_empty());
    assert!(state.waits_for(source(), &by_hand(1)).unwrap().is_empty());
    assert!(!state.add_waiters(&id, &[run]).unwrap());
    assert!(matches!(
        state.begin_wait(&id, &waits).unwrap(),
        Begun::Ended
    ));
    assert_eq!(state.run_counts(INSTALLED).unwrap(), (1, 1));
    state.end(&[], &[(run, super::RunEnd::Done)]).unwrap();
    assert_eq!(state.run_counts(INSTALLED).unwrap(), (1, 0));
}
