//! What is kept of processes, in any order in which members hear of it.

use super::{Ended, Found, Heard, Opening, ProcessState, ReadTo, RunEnd, RunKey};
use crate::state::Identity;
use rings_process::{
    attempt::{Attempt, Stage as How, Verdict},
    data::Fields,
    document::{cid_of, Document},
    event::{Event, Source, VERSION as EVENT_VERSION},
    words::{Activity, Change, Happened, Installation, Progress, Stage, Word, VERSION},
};
use rings_protocol::{cids::digest_of, Address, Digest};
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;

pub(super) fn open(directory: &TempDir) -> ProcessState {
    let identity = Identity {
        chain_id: 31337,
        ring: Address([7; 20]),
        member: Address([1; 20]),
    };
    ProcessState::open(&directory.path().join("processes.redb"), &identity).unwrap()
}

fn installation(number: u8, since: u64) -> Installation {
    Installation {
        heads: BTreeMap::new(),
        instances: BTreeMap::from([("car".into(), Digest([number; 32]))]),
        nonce: 0,
        process: cid_of(b"process"),
        since,
        version: VERSION,
    }
}

pub(super) fn event(number: i64, source: Source) -> Event {
    Event {
        data: Fields::from([("number".into(), number.into())]),
        event: "came".into(),
        instance: None,
        process: None,
        service: None,
        source,
        version: EVENT_VERSION,
    }
}

pub(super) fn by_chain() -> Source {
    Source::Chain {
        chain: 1,
        contract: Address([2; 20]).to_string(),
        index: 0,
        transaction: Digest([3; 32]),
    }
}

pub(super) fn happened(event: &Event, starts: &[Digest]) -> Word {
    Word::Happened(Box::new(Happened {
        event: event.clone(),
        starts: starts.iter().copied().collect(),
        version: VERSION,
    }))
}

pub(super) fn hear(state: &ProcessState, author: u8, next: u64, words: Vec<Word>) -> super::News {
    let author = Address([author; 20]);
    let heard = [Heard {
        author,
        next,
        words,
    }];
    state.hear(&heard, 5).unwrap()
}

fn key(installation: Digest, event: &Event) -> RunKey {
    (installation, digest_of(&event.cid().unwrap()).unwrap())
}

fn keys(openings: &[Opening]) -> BTreeSet<RunKey> {
    openings.iter().map(|opening| opening.key).collect()
}

fn openings(state: &ProcessState) -> BTreeSet<RunKey> {
    keys(&state.openings(|_| false, (100, 100)).unwrap().0)
}

#[test]
fn the_earliest_block_counts_in_whatever_order_it_is_heard() {
    for order in [[9, 4], [4, 9]] {
        let directory = TempDir::new().unwrap();
        let state = open(&directory);
        let read = ReadTo {
            next_block: Some((0, 20)),
            times: Vec::new(),
        };
        state.found(&[], &read, 0).unwrap();
        for (author, since) in (1..).zip(order) {
            let word = Word::Installation(installation(1, since));
            hear(&state, author, 7, vec![word]);
        }
        drop(state);
        let state = open(&directory);
        let id = installation(1, 0).id().unwrap();
        let installed = state.installed(id).unwrap().unwrap();
        assert_eq!(installed.installation.since, 4);
        assert_eq!(
            state.next_block(0).unwrap(),
            Some(4),
            "it is read again from there"
        );
        assert_eq!(state.cursor(Address([2; 20])).unwrap(), 7);
        assert_eq!(state.all_installed(None, 9).unwrap().len(), 1);
        assert_eq!(state.all_installed(Some(id), 9).unwrap(), []);
    }
}

#[test]
fn an_event_by_hand_starts_once_and_one_of_the_chain_when_it_was_found_and_written() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let id = installation(1, 0).id().unwrap();
    hear(&state, 1, 1, vec![Word::Installation(installation(1, 0))]);
    let hand = event(1, Source::Hand { nonce: 0 });
    hear(&state, 1, 2, vec![happened(&hand, &[id])]);
    hear(&state, 2, 2, vec![happened(&hand, &[id])]);
    assert_eq!(openings(&state), [key(id, &hand)].into());
    assert_eq!(state.run_counts(id).unwrap(), (1, 1));

    // The word of one member is not enough.
    let said = event(2, by_chain());
    hear(&state, 2, 3, vec![happened(&said, &[id])]);
    assert_eq!(openings(&state), [key(id, &hand)].into());
    let found = |event: &Event| {
        let found = [Found {
            installation: id,
            event: event.to_bytes().unwrap(),
            place: None,
        }];
        state.found(&found, &ReadTo::default(), 6).unwrap();
    };
    found(&said);
    assert_eq!(openings(&state), [key(id, &hand), key(id, &said)].into());
    assert!(state.unwritten(9).unwrap().is_empty());

    // The other way about: it is found first, and waits for a log.
    let seen = event(3, by_chain());
    found(&seen);
    assert_eq!(keys(&state.unwritten(9).unwrap()), [key(id, &seen)].into());
    assert!(!openings(&state).contains(&key(id, &seen)));
    hear(&state, 3, 1, vec![happened(&seen, &[id])]);
    assert!(openings(&state).contains(&key(id, &seen)));
    assert!(state.unwritten(9).unwrap().is_empty());

    // What is over does not begin again.
    state.end(&[], &[(key(id, &hand), RunEnd::Done)]).unwrap();
    hear(&state, 1, 3, vec![happened(&hand, &[id])]);
    found(&seen);
    assert!(!openings(&state).contains(&key(id, &hand)));
    let newest = state.newest_runs(id, None, 2).unwrap();
    let numbers: Vec<_> = newest.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, [2, 1]);
    let rest = state.newest_runs(id, Some(1), 2).unwrap();
    assert_eq!(rest[0].2.end, Some(RunEnd::Done));
}

/// The logs of members are read in any order, so the word of a later event may come first.
#[test]
fn runs_are_in_the_order_in_which_their_events_were_found() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let id = installation(1, 0).id().unwrap();
    hear(&state, 1, 1, vec![Word::Installation(installation(1, 0))]);
    let log = |index: u64| Source::Chain {
        chain: 1,
        contract: Address([2; 20]).to_string(),
        index,
        transaction: Digest([3; 32]),
    };
    let events = [1, 2, 3].map(|number| event(number, log(number as u64)));
    let names = || {
        let newest = state.newest_runs(id, None, 9).unwrap();
        let runs = newest.iter().rev();
        runs.map(|(number, name, _)| (*number, *name))
            .collect::<Vec<_>>()
    };
    for later in [2, 1] {
        hear(
            &state,
            later,
            2,
            vec![happened(&events[usize::from(later)], &[id])],
        );
    }
    assert_eq!(names(), [], "nobody here has found them");
    assert_eq!(state.run_counts(id).unwrap(), (0, 0));
    let found = events.each_ref().map(|event| Found {
        installation: id,
        event: event.to_bytes().unwrap(),
        place: None,
    });
    state.found(&found, &ReadTo::default(), 6).unwrap();
    let expected: Vec<_> = (0..)
        .zip(events.iter().map(|event| key(id, event).1))
        .collect();
    assert_eq!(names(), expected);
    hear(&state, 3, 1, vec![happened(&events[0], &[id])]);
    state.found(&found, &ReadTo::default(), 7).unwrap();
    assert_eq!(names(), expected, "each has one number");
    assert_eq!(state.run_counts(id).unwrap(), (3, 3));
}

#[test]
fn a_process_with_many_events_leaves_room_for_others() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let ids = [1, 2, 3].map(|number| installation(number, 0).id().unwrap());
    let installed = [1, 2, 3].map(|number| Word::Installation(installation(number, 0)));
    hear(&state, 1, 1, installed.to_vec());
    let events: Vec<_> = (0..50)
        .map(|number| event(number, Source::Hand { nonce: 0 }))
        .collect();
    let words = events.iter().map(|event| happened(event, &[ids[0]]));
    hear(&state, 1, 2, words.collect());
    hear(&state, 1, 3, vec![happened(&events[0], &ids)]);
    let (first, is_all) = state.openings(|_| false, (20, 8)).unwrap();
    assert!(!is_all, "there are more of the first one");
    let first = keys(&first);
    assert_eq!(first.iter().filter(|key| key.0 == ids[0]).count(), 8);
    assert!(ids[1..]
        .iter()
        .all(|id| first.iter().any(|key| key.0 == *id)));
    let (few, is_all) = state.openings(|_| false, (5, 50)).unwrap();
    assert_eq!((few.len(), is_all), (5, false));
    let (others, is_all) = state.openings(|key| first.contains(key), (20, 8)).unwrap();
    assert!(keys(&others).is_disjoint(&first) && !is_all);
    let (rest, is_all) = state
        .openings(|key| first.contains(key), (100, 100))
        .unwrap();
    assert_eq!((rest.len(), is_all), (52 - first.len(), true));
    let room = rest.len();
    let (rest, is_all) = state
        .openings(|key| first.contains(key), (room, 100))
        .unwrap();
    assert_eq!((rest.len(), is_all), (room, true));
}

#[test]
fn what_opens_no_run_does_not_make_anybody_look_for_open_ones() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let id = installation(1, 0).id().unwrap();
    hear(&state, 1, 1, vec![Word::Installation(installation(1, 0))]);
    let opened = state.opened();
    let progress = Progress {
        event: cid_of(b"event"),
        execution: cid_of(b"execution"),
        installation: id,
        request: Digest([4; 32]),
        state: Stage::Started,
        version: VERSION,
    };
    hear(&state, 1, 2, vec![Word::Progress(progress)]);
    // An event on the chain that stands in no log yet, and how far schedules were followed.
    let chain = event(1, by_chain());
    let found = Found {
        installation: id,
        event: chain.to_bytes().unwrap(),
        place: None,
    };
    let times = vec![(id, 7)];
    let read = ReadTo {
        next_block: None,
        times,
    };
    state.found(&[found], &read, 5).unwrap();
    assert_eq!(state.opened(), opened);
    hear(&state, 2, 1, vec![happened(&chain, &[id])]);
    assert_eq!(state.opened(), opened + 1);
    hear(&state, 3, 1, vec![happened(&chain, &[id])]);
    assert_eq!(state.opened(), opened + 1, "it is known");
    assert_eq!(openings(&state), [key(id, &chain)].into());
}

fn change(id: Digest, number: u64, to: Activity) -> Change {
    Change {
        installation: id,
        number,
        to,
        version: VERSION,
    }
}

#[test]
fn a_process_becomes_what_the_ring_decides_one_change_after_the_other() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let id = installation(1, 0).id().unwrap();
    hear(&state, 1, 1, vec![Word::Installation(installation(1, 0))]);
    let hand = event(1, Source::Hand { nonce: 0 });
    hear(&state, 1, 2, vec![happened(&hand, &[id])]);
    let (pause, cancel) = (
        change(id, 1, Activity::Paused),
        change(id, 1, Activity::Cancelled),
    );
    let resume = change(id, 2, Activity::Active);
    let words = [&resume, &pause, &cancel].map(|change| Word::Change(change.clone()));
    let news = hear(&state, 1, 3, words.to_vec());
    assert_eq!(news.choices.len(), 1, "one slot, and one choice for it");
    assert_eq!(news.choices[0].slot, pause.slot());
    state.chosen(&news.choices).unwrap();
    assert!(hear(&state, 2, 1, vec![]).choices.is_empty());

    let choice = |change: &Change| change.choice().unwrap().choice;
    assert!(!state.decided(id, 2, choice(&resume)).unwrap(), "not yet");
    assert!(state.decided(id, 1, choice(&pause)).unwrap());
    assert!(!state.decided(id, 1, choice(&cancel)).unwrap(), "over");
    let activity = || state.installed(id).unwrap().unwrap().activity;
    assert_eq!(activity(), Activity::Paused);
    assert!(openings(&state).is_empty());
    assert_eq!(hear(&state, 2, 2, vec![]).choices[0].slot, resume.slot());
    assert!(state.decided(id, 2, choice(&resume)).unwrap());
    assert_eq!(activity(), Activity::Active);
    // Nothing is left to go through, also when another member tells of them later.
    hear(&state, 3, 1, words.to_vec());
    let left = state.database.read(|transaction| {
        let changes = transaction.open_table(super::base::CHANGES)?;
        Ok(redb::ReadableTableMetadata::len(&changes)?)
    });
    assert_eq!(left.unwrap(), 0);
    assert_eq!(openings(&state), [key(id, &hand)].into());
}

#[test]
fn results_are_found_by_their_event_and_written_once() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let hand = event(1, Source::Hand { nonce: 0 });
    let run = key(Digest([9; 32]), &hand);
    let execution = cid_of(b"execution");
    let progress = |request: u8| {
        Word::Progress(Progress {
            event: hand.cid().unwrap(),
            execution,
            installation: run.0,
            request: Digest([request; 32]),
            state: Stage::Started,
            version: VERSION,
        })
    };
    hear(&state, 1, 1, (0..20).map(progress).collect());
    let requests = state.requests(&execution).unwrap();
    assert_eq!(
        requests.len(),
        8,
        "a member cannot make others look for ever"
    );
    let ended = |time| Ended {
        gate: None,
        installation: run.0,
        event: run.1,
        request: Some(Digest([1; 32])),
        by: Vec::new(),
        stage: Stage::Succeeded,
        result: Some(cid_of(b"result")),
        reason: None,
        time,
    };
    state.end(&[(execution, ended(1))], &[]).unwrap();
    state.end(&[(execution, ended(2))], &[]).unwrap();
    assert_eq!(state.ended(&execution).unwrap().unwrap().time, 1);
    for event in [None, Some(run.1)] {
        let newest = state.newest_ended(event, 9).unwrap();
        assert_eq!(newest, [(execution, ended(1))]);
    }
    assert!(state
        .newest_ended(Some(Digest([4; 32])), 9)
        .unwrap()
        .is_empty());
}

#[test]
fn the_first_final_word_of_a_member_counts_and_none_can_hide_the_verdicts_of_others() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let execution = cid_of(b"execution");
    let attempt = |how: How, result: &[u8]| Attempt {
        execution,
        reason: None,
        result: (how == How::Answered).then(|| cid_of(result)),
        state: how,
        version: VERSION,
    };
    let words = [
        attempt(How::Started, b""),
        attempt(How::Answered, b"one"),
        attempt(How::Answered, b"other"),
    ];
    let heard = hear(&state, 1, 3, words.clone().map(Word::Attempt).to_vec());
    assert_eq!(heard.attempts, [execution, execution]);
    let attempts = state.attempts(&execution).unwrap();
    assert_eq!(
        attempts,
        BTreeMap::from([(Address([1; 20]), words[1].clone())])
    );
    // What it alone comes to is known; another member need not say it.
    let verdict = Verdict::of_one(Address([1; 20]), &words[1]).unwrap();
    let choice = verdict.choice().unwrap().choice;
    assert_eq!(state.verdict(&execution, choice).unwrap(), Some(verdict));
    let second = Verdict::of_one(Address([1; 20]), &words[2]).unwrap();
    let second = second.choice().unwrap().choice;
    assert_eq!(state.verdict(&execution, second).unwrap(), None);
    let propose = |number: u8| Verdict {
        by: vec![Address([number; 20])],
        execution,
        reason: None,
        results: vec![cid_of(&[number])],
        version: VERSION,
    };
    hear(
        &state,
        2,
        1,
        (10..40).map(propose).map(Word::Verdict).collect(),
    );
    hear(&state, 3, 1, vec![Word::Verdict(propose(50))]);
    let is_known = |number: u8| {
        let choice = propose(number).choice().unwrap().choice;
        state.verdict(&execution, choice).unwrap().is_some()
    };
    assert_eq!((10..40).filter(|number| is_known(*number)).count(), 8);
    assert!(is_known(50));
}
