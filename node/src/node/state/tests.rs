use super::*;
use rings_chain::BlockRef;
use rings_protocol::{
    crypto::SecretKey,
    eip712::Domain,
    gate::{GateInput, GateSpec},
    journal::{prepare, Draft, Journal},
};
use std::fs;

const RING: Address = Address([7; 20]);
const GATE: Address = Address([8; 20]);
const SCOPE: Address = Address([9; 20]);

fn key() -> SecretKey {
    SecretKey::from_bytes(&[3; 32]).unwrap()
}

fn identity() -> Identity {
    Identity {
        chain_id: 31337,
        ring: RING,
        member: key().address(),
    }
}

fn open(directory: &tempfile::TempDir) -> Result<State, StateError> {
    State::open(&directory.path().join("state.redb"), &identity())
}

fn block(number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: Digest([number as u8; 32]),
        timestamp: 1000 + number,
    }
}

fn at(number: u64, event: ChainEvent) -> Located {
    Located {
        block: block(number),
        transaction: Digest([number as u8; 32]),
        log_index: 0,
        event,
    }
}

fn cursor(number: u64) -> Cursor {
    Cursor {
        number,
        hash: block(number).hash,
    }
}

fn spec(ring: Address) -> GateSpec {
    GateSpec {
        scope: SCOPE,
        rings: vec![ring],
        inputs: vec![GateInput::Token(Digest([2; 32]))],
        outputs: 1,
        salt: Digest::ZERO,
    }
}

fn created() -> ChainEvent {
    ChainEvent::GateCreated {
        gate: GATE,
        spec: spec(RING),
    }
}

fn resolved() -> [ChainEvent; 3] {
    let (cid, token) = (Digest([5; 32]), Digest([5; 32]).token_id());
    [
        ChainEvent::OutputsRegistered {
            gate: GATE,
            epoch: 1,
            pins: vec![0],
            cids: vec![cid],
        },
        ChainEvent::OutputSet {
            gate: GATE,
            pin: 0,
            token,
        },
        ChainEvent::GateResolved {
            gate: GATE,
            ring: RING,
        },
    ]
}

fn draft(result: u8) -> Draft {
    let outputs = Outputs::new([(0, Digest([result; 32]))]).unwrap();
    Draft {
        engine: "e".into(),
        epoch: 1,
        fuel: 5,
        gate: GATE,
        outputs,
    }
}

/// Signs and stores a vote; whether it was accepted.
fn vote(state: &State, result: u8) -> bool {
    let domain = Domain::new(31337, RING);
    let journal = state.journal(key().address()).unwrap();
    let prepared = prepare(&journal, &[draft(result)], vec![], None, &domain, &key()).unwrap();
    state.append(Some(&prepared), &[]).unwrap();
    prepared.committed().is_some()
}

#[test]
fn a_page_and_its_cursor_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(state.trail().unwrap().is_empty());
    let signals = state.page(RING, &[at(3, created())], cursor(4)).unwrap();
    assert_eq!(signals, [Signal::Ready(GATE)]);
    drop(state);
    let state = open(&directory).unwrap();
    assert_eq!(state.trail().unwrap(), [cursor(4)]);
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    let events = resolved().map(|event| at(5, event));
    assert_eq!(
        state.page(RING, &events, cursor(5)).unwrap(),
        [Signal::Resolved(GATE)]
    );
    assert!(state.open_gates().unwrap().is_empty());
    assert_eq!(
        state
            .registered(GATE)
            .unwrap()
            .unwrap()
            .outputs()
            .unwrap()
            .cids(),
        [Digest([5; 32])]
    );
}

#[test]
fn gates_of_other_rings_are_not_open_here() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let event = ChainEvent::GateCreated {
        gate: GATE,
        spec: spec(Address([66; 20])),
    };
    state.page(RING, &[at(1, event)], cursor(1)).unwrap();
    assert!(state.open_gates().unwrap().is_empty());
    assert!(
        state.gate(GATE).unwrap().is_some(),
        "its outputs may be somebody's futures"
    );
}

#[test]
fn a_rewind_takes_back_results_and_gates() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    state.page(RING, &[at(3, created())], cursor(3)).unwrap();
    state
        .page(RING, &resolved().map(|event| at(5, event)), cursor(5))
        .unwrap();
    assert_eq!(state.rewind(RING, Some(cursor(3))).unwrap(), [GATE]);
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    assert_eq!(state.registered(GATE).unwrap(), None);
    assert_eq!(state.trail().unwrap(), [cursor(3)]);
    state.rewind(RING, None).unwrap();
    assert!(state.gate(GATE).unwrap().is_none() && state.trail().unwrap().is_empty());
}

#[test]
fn the_trail_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    for number in 1..=MAX_TRAIL as u64 + 10 {
        state.page(RING, &[], cursor(number)).unwrap();
    }
    let trail = state.trail().unwrap();
    assert_eq!(
        (trail.len(), trail.last()),
        (MAX_TRAIL, Some(&cursor(MAX_TRAIL as u64 + 10)))
    );
}

#[test]
fn another_result_is_refused_after_a_restart_and_after_a_rewind() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(vote(&state, 1));
    drop(state);
    let state = open(&directory).unwrap();
    assert!(!vote(&state, 2));
    state.rewind(RING, None).unwrap();
    assert!(
        !vote(&state, 2),
        "a reorganisation does not take back what was signed"
    );
    assert!(vote(&state, 1), "the same result may be signed again");
    let journal = state.journal(key().address()).unwrap();
    assert_eq!(journal.tip().unwrap().unwrap().seq, 1);
    assert_eq!(state.votes(GATE).unwrap().len(), 1);
}

#[test]
fn a_database_that_cannot_be_used_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let held = open(&directory).unwrap();
    assert!(matches!(open(&directory), Err(StateError::Locked { .. })));
    drop(held);
    let other = Identity {
        chain_id: 1,
        ..identity()
    };
    assert!(matches!(
        State::open(&path, &other),
        Err(StateError::Foreign { .. })
    ));
    fs::write(&path, b"no database, and quite a bit too short for one").unwrap();
    assert!(matches!(open(&directory), Err(StateError::Corrupt { .. })));
}

#[test]
fn a_database_of_something_else_is_no_member_without_a_past() {
    let directory = tempfile::tempdir().unwrap();
    let other = redb::Database::create(directory.path().join("state.redb")).unwrap();
    let transaction = other.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("another program's");
    transaction.open_table(table).unwrap();
    transaction.commit().unwrap();
    drop(other);
    assert!(matches!(open(&directory), Err(StateError::Corrupt { .. })));
}
