use super::{
    runs::Found,
    tests::{event, open},
};
use rings_process::{
    document::{cid_of, Document},
    event::Source,
    words::{Installation, Word, VERSION},
};
use rings_protocol::{Address, Digest};
use std::collections::BTreeMap;
use tempfile::TempDir;

const RING: Address = Address([2; 20]);
const AUTHOR: Address = Address([5; 20]);

fn installation(nonce: u64, since: u64, heads: &[(Address, u64)]) -> Installation {
    Installation {
        heads: BTreeMap::from([(RING, heads.iter().copied().collect())]),
        instances: BTreeMap::new(),
        nonce,
        process: cid_of(b"process"),
        since,
        version: VERSION,
    }
}

fn message(position: u64) -> Source {
    Source::Message {
        chain: 1,
        log: AUTHOR,
        node: cid_of(&position.to_be_bytes()),
        place: 0,
        position,
        ring: RING,
    }
}

#[test]
fn a_message_is_taken_in_once_with_how_far_its_log_was_read() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let install = |nonce, since, heads: &[(Address, u64)]| {
        let word = Word::Installation(installation(nonce, since, heads));
        let heard = super::hear::Heard {
            author: Address([1; 20]),
            next: nonce + 1,
            words: vec![word],
        };
        state.hear(&[heard], 0).unwrap();
        installation(nonce, since, heads).id().unwrap()
    };
    let id = install(0, 7, &[(AUTHOR, 4)]);
    assert_eq!(state.next_message(RING, AUTHOR).unwrap(), None);
    let found = Found {
        installation: id,
        event: event(1, message(4)).to_bytes().unwrap(),
        place: None,
    };
    let place = (RING, AUTHOR);
    let hear = |before, next| {
        let found = std::slice::from_ref(&found);
        state.heard_messages(found, (place, before, next), (0, 9))
    };
    hear(None, 9).unwrap();
    hear(None, 5).unwrap();
    assert_eq!(state.next_message(RING, AUTHOR).unwrap(), Some(9));
    assert_eq!(state.unwritten(8).unwrap().len(), 1);

    // A later one that reaches further back has the log read again from there, also if a page was being read meanwhile.
    install(1, 7, &[(AUTHOR, 6)]);
    assert_eq!(state.next_message(RING, AUTHOR).unwrap(), Some(6));
    hear(Some(9), 12).unwrap();
    assert_eq!(state.next_message(RING, AUTHOR).unwrap(), Some(6));
    hear(Some(6), 12).unwrap();
    install(2, 7, &[]);
    assert_eq!(state.next_message(RING, AUTHOR).unwrap(), Some(0));
    assert_eq!(state.unwritten(8).unwrap().len(), 1);
}

#[test]
fn results_are_read_again_from_where_a_later_installation_begins() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let followed = (RING, 3);
    state
        .found_results(&[], (followed, None, 90), (0, 0))
        .unwrap();
    let heard = super::hear::Heard {
        author: Address([1; 20]),
        next: 1,
        words: vec![Word::Installation(installation(0, 50, &[]))],
    };
    state.hear(&[heard], 0).unwrap();
    assert_eq!(state.next_result(followed).unwrap(), Some(50));
    state
        .found_results(&[], (followed, Some(90), 95), (0, 0))
        .unwrap();
    assert_eq!(state.next_result(followed).unwrap(), Some(50));
    let source = Source::Result {
        depth: 0,
        chain: 1,
        line: 0,
        node: cid_of(b"ring node"),
        ring: RING,
    };
    let found = Found {
        installation: installation(0, 50, &[]).id().unwrap(),
        event: event(1, source).to_bytes().unwrap(),
        place: None,
    };
    let read = (followed, Some(50), 95);
    state.found_results(&[found], read, (0, 0)).unwrap();
    assert_eq!(state.next_result(followed).unwrap(), Some(95));
    let unwritten = state.unwritten(8).unwrap();
    assert_eq!(unwritten[0].key.0, installation(0, 50, &[]).id().unwrap());
    assert_ne!(unwritten[0].key.1, Digest::ZERO);
}

/// Between a word about an installation and its plan, logs are read for others. What came meanwhile is for the new one too.
#[test]
fn what_was_read_before_an_installation_was_looked_at_is_read_again_for_it() {
    let directory = TempDir::new().unwrap();
    let state = open(&directory);
    let installed = installation(0, 50, &[(AUTHOR, 4)]);
    let id = installed.id().unwrap();
    let heard = super::hear::Heard {
        author: Address([1; 20]),
        next: 1,
        words: vec![Word::Installation(installed.clone())],
    };
    state.hear(&[heard], 0).unwrap();
    // Another one that is not new changes nothing.
    let both = [(Digest([7; 32]), installation(1, 0, &[])), (id, installed)];
    let (log, followed) = ((RING, AUTHOR), (RING, 3));
    let read_for_others = |put_back| {
        let next_block = Some((2, 60));
        let read = super::ReadTo {
            next_block,
            times: Vec::new(),
        };
        state.found(&[], &read, 0).unwrap();
        let before = state.next_message(RING, AUTHOR).unwrap();
        let messages = state.heard_messages(&[], (log, before, 8), (put_back, 0));
        let before = state.next_result(followed).unwrap();
        let results = state.found_results(&[], (followed, before, 60), (put_back, 0));
        (messages.unwrap(), results.unwrap())
    };
    let places = || {
        let message = state.next_message(RING, AUTHOR).unwrap();
        (
            state.next_block(2).unwrap(),
            message,
            state.next_result(followed).unwrap(),
        )
    };
    let (read, again) = ((Some(60), Some(8), Some(60)), (Some(50), Some(4), Some(50)));
    assert_eq!(read_for_others(0), (true, true));
    assert_eq!(places(), read);
    state.look_for(&both).unwrap();
    assert_eq!(places(), again);
    // A page that was being read for the others does not count.
    assert_eq!(read_for_others(0), (false, false));
    assert_eq!((places().1, places().2), (again.1, again.2));
    let now = state.put_back();
    assert_eq!(read_for_others(now), (true, true));
    // Once is enough, also after a restart; but not when it could not be looked at then.
    state.look_for(&both).unwrap();
    assert_eq!(places(), read);
    state.look_later(id).unwrap();
    state.look_for(&both).unwrap();
    assert_eq!(places(), again);
}
