mod beginnings;
mod disk;
mod opening;
mod ring_log;
mod rounds;
mod signing;

use super::{circuit::KEPT_GATES, *};
use rings_chain::{Cursor, TRAIL_LENGTH};
use rings_protocol::{
    circuit::{GateEvent, Signal},
    crypto::SecretKey,
    eip712::Domain,
    gate::{Computation, GateInput, GateSpec, FAILURE_PIN},
    journal::{prepare, Draft, Prepared},
    log::{Content, LogNode, OwnLog},
    message::{Outputs, Vote},
    Address, Digest,
};

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

fn open(directory: &tempfile::TempDir) -> Result<MemberState, StateError> {
    MemberState::open(&directory.path().join("state.redb"), &identity())
}

fn address(n: u64) -> Address {
    let mut address = [0xaa; 20];
    address[..8].copy_from_slice(&n.to_be_bytes());
    Address(address)
}

fn cursor(number: u64) -> Cursor {
    Cursor {
        number,
        hash: Digest([number as u8; 32]),
    }
}

/// Whose gates are computed, where it does not matter.
fn nobody(_: Address) -> bool {
    false
}

fn spec(rings: &[Address], inputs: Vec<GateInput>) -> GateSpec {
    GateSpec {
        scope: SCOPE,
        rings: rings.to_vec(),
        inputs,
        outputs: 1,
        salt: Digest::ZERO,
    }
}

fn operation() -> Vec<GateInput> {
    vec![GateInput::Constant(Digest([2; 32]))]
}

fn event(gate: Address, block: u64, event: GateEvent) -> GateFact {
    GateFact {
        gate,
        said: Said::Event(event),
        block,
        transaction: Digest([block as u8; 32]),
    }
}

fn requested_of(gate: Address, block: u64, spec: GateSpec) -> GateFact {
    let requester = Address([5; 20]);
    event(gate, block, GateEvent::Requested { requester, spec })
}

fn requested(block: u64) -> GateFact {
    requested_of(GATE, block, spec(&[RING], operation()))
}

fn registered_of(gate: Address, ring: Address, block: u64) -> GateFact {
    let (pins, cids) = (vec![0], vec![Digest([5; 32])]);
    event(gate, block, GateEvent::Registered { ring, pins, cids })
}

fn registered(block: u64) -> GateFact {
    registered_of(GATE, RING, block)
}

fn computation(inputs: u8) -> Computation {
    Computation {
        gate: GATE,
        inputs: Digest([inputs; 32]),
    }
}

fn draft_of(computation: Computation, epoch: u64, result: u8) -> Draft {
    let outputs = Outputs::new([(0, Digest([result; 32]))]).unwrap();
    Draft {
        computation,
        profile: "p".into(),
        epoch,
        fuel: 5,
        outputs,
    }
}

fn domain() -> Domain {
    Domain::new(31337, RING)
}

fn sign(state: &MemberState, draft: Draft) -> Prepared {
    let journal = state.journal().unwrap();
    prepare(&journal, &[draft], vec![], None, &domain(), &key()).unwrap()
}

/// Signs and stores a vote; whether it was accepted.
fn vote(state: &MemberState, draft: Draft) -> bool {
    let prepared = sign(state, draft);
    state.append(Some(&prepared), &[], &[]).unwrap();
    prepared.committed().is_some()
}

/// A node of another member's log with one vote.
fn of_other(seq: u64, draft: &Draft) -> ReceivedNode {
    let other = SecretKey::from_bytes(&[4; 32]).unwrap();
    let vote = Vote {
        epoch: draft.epoch,
        fuel: draft.fuel,
        gate: draft.computation.gate,
        inputs: draft.computation.inputs,
        outputs: draft.outputs.clone(),
        profile: draft.profile.clone(),
        signature: other.sign(&Digest([1; 32])).unwrap(),
    };
    ReceivedNode {
        usage: Usage::default(),
        duties: Vec::new(),
        node: node(&other, seq, "x"),
        votes: vec![vote],
    }
}

fn node(key: &SecretKey, seq: u64, text: &str) -> LogNode {
    // Only its place counts here: it links to nothing.
    let link = (seq > 0).then(|| rings_protocol::cids::node_cid(Digest([1; 32])));
    let skip = rings_protocol::log::skip_target(seq).and(link);
    let content = Content {
        body: vec![],
        prev: link,
        refs: vec![],
        seq,
        skip,
        time: Some(text.len() as u64),
    };
    LogNode::seal(content, &domain(), key).unwrap()
}

/// Lets the chain go on to block `to` without events: all but the last page in one transaction, which is quicker.
fn go_on(state: &MemberState, to: u64) {
    let from = state.trail().unwrap().last().unwrap().number + 1;
    let added = state.database.write(|transaction| {
        let mut trail = transaction.open_table(tables::TRAIL)?;
        for number in from..to {
            trail.insert(number, cursor(number).hash.0)?;
        }
        Ok(())
    });
    added.unwrap();
    state.page(&[], &[], cursor(to), &nobody).unwrap();
}

#[test]
fn a_page_and_its_cursor_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(state.trail().unwrap().is_empty());
    let signals = state
        .page(&[requested(3)], &[], cursor(4), &nobody)
        .unwrap();
    assert!(signals.contains(&Signal::Ready(GATE)), "{signals:?}");
    drop(state);
    let state = open(&directory).unwrap();
    assert_eq!(state.trail().unwrap(), [cursor(4)]);
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    let signals = state
        .page(&[registered(5)], &[], cursor(5), &nobody)
        .unwrap();
    assert_eq!(signals, [Signal::Resolved(GATE)]);
    assert!(state.open_gates().unwrap().is_empty());
    assert_eq!(state.transaction(GATE).unwrap(), Some(Digest([5; 32])));
    let result = state.gate(GATE).unwrap().unwrap().result.unwrap();
    assert_eq!(result.outputs[&0], Digest([5; 32]));
}

#[test]
fn a_fall_back_ring_may_work_once_the_floodgate_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let spec = spec(&[Address([66; 20]), RING], operation());
    state
        .page(&[requested_of(GATE, 1, spec)], &[], cursor(1), &nobody)
        .unwrap();
    assert!(state.open_gates().unwrap().is_empty());
    let opened = event(GATE, 2, GateEvent::FloodgateOpened);
    state.page(&[opened], &[], cursor(2), &nobody).unwrap();
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    assert_eq!(
        state.following().unwrap(),
        [GATE],
        "the primary ring may still be first"
    );
    state.rewind(Some(cursor(1))).unwrap();
    assert!(state.open_gates().unwrap().is_empty());
}

#[test]
fn upstream_gates_are_followed_until_they_have_a_result() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let (upstream, other) = (address(1), Address([66; 20]));
    let asks = GateFact {
        said: Said::Asks(spec(&[other], operation())),
        ..requested_of(upstream, 1, spec(&[other], operation()))
    };
    let mut inputs = operation();
    inputs.push(GateInput::Future {
        gate: upstream,
        pin: 0,
    });
    let waits = requested_of(GATE, 1, spec(&[RING], inputs));
    state.page(&[asks, waits], &[], cursor(1), &nobody).unwrap();
    assert_eq!(state.following().unwrap(), [upstream]);
    assert_eq!(state.resolve(GATE).unwrap(), None);
    let signals = state
        .page(
            &[registered_of(upstream, other, 2)],
            &[],
            cursor(2),
            &nobody,
        )
        .unwrap();
    assert!(signals.contains(&Signal::Ready(GATE)), "{signals:?}");
    let (_, inputs) = state.resolve(GATE).unwrap().unwrap();
    assert_eq!(inputs.data, [Digest([2; 32]), Digest([5; 32])]);
    assert!(state.following().unwrap().is_empty());
    // The branch with the result is gone.
    state.rewind(Some(cursor(1))).unwrap();
    assert_eq!(state.following().unwrap(), [upstream]);
    assert!(state.open_gates().unwrap().is_empty());
}

#[test]
fn a_failure_behind_two_gates_of_other_rings_is_known_here() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let (first, second, other) = (address(1), address(2), Address([66; 20]));
    let behind = |gate| {
        let mut inputs = operation();
        inputs.push(GateInput::Future { gate, pin: 0 });
        inputs
    };
    let follows = |gate, spec: GateSpec| GateFact {
        said: Said::Asks(spec.clone()),
        ..requested_of(gate, 1, spec)
    };
    let page = [
        follows(first, spec(&[other], operation())),
        follows(second, spec(&[other], behind(first))),
        requested_of(GATE, 1, spec(&[RING], behind(second))),
    ];
    state.page(&page, &[], cursor(1), &nobody).unwrap();
    assert_eq!(state.following().unwrap().len(), 2);
    let (ring, pins, cids) = (other, vec![FAILURE_PIN], vec![Digest([5; 32])]);
    let failed = event(first, 2, GateEvent::Registered { ring, pins, cids });
    let signals = state.page(&[failed], &[], cursor(2), &nobody).unwrap();
    assert!(signals.contains(&Signal::Doomed(GATE)), "{signals:?}");
    assert_eq!(state.gate(GATE).unwrap().unwrap().doomed, Some(2));
    assert!(state.following().unwrap().is_empty());
    state.rewind(Some(cursor(1))).unwrap();
    assert_eq!(state.gate(GATE).unwrap().unwrap().doomed, None);
    assert_eq!(state.following().unwrap().len(), 2);
}

#[test]
fn a_result_that_is_older_than_the_request_is_taken_in_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let page = [registered(3), requested(9)];
    let signals = state.page(&page, &[], cursor(9), &nobody).unwrap();
    assert!(signals.contains(&Signal::Resolved(GATE)), "{signals:?}");
    assert!(state.open_gates().unwrap().is_empty());
}

#[test]
fn a_rewind_takes_back_results_and_gates() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    state
        .page(&[requested(3)], &[], cursor(3), &nobody)
        .unwrap();
    state
        .page(&[registered(5)], &[], cursor(5), &nobody)
        .unwrap();
    assert_eq!(state.rewind(Some(cursor(3))).unwrap(), [GATE]);
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    assert_eq!(state.transaction(GATE).unwrap(), None);
    assert_eq!(state.trail().unwrap(), [cursor(3)]);
    assert_eq!(state.rewind(None).unwrap(), [GATE]);
    assert!(state.gate(GATE).unwrap().is_none() && state.trail().unwrap().is_empty());
}

/// Found by a rewind beyond the trail: marks of changes that old were gone, and the gates stayed.
#[test]
fn a_rewind_beyond_the_trail_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    state
        .page(&[requested(1)], &[], cursor(1), &nobody)
        .unwrap();
    go_on(&state, TRAIL_LENGTH as u64 + 10);
    let trail = state.trail().unwrap();
    assert_eq!(
        (trail.len(), trail.last()),
        (TRAIL_LENGTH, Some(&cursor(TRAIL_LENGTH as u64 + 10)))
    );
    assert_eq!(state.rewind(None).unwrap(), [GATE]);
    assert!(state.open_gates().unwrap().is_empty());
    assert!(state.gate(GATE).unwrap().is_none());
}

#[test]
fn the_past_is_forgotten_behind_what_a_reorganisation_can_reach() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let count = KEPT_GATES + 10;
    let facts: Vec<_> = (0..count)
        .flat_map(|n| {
            let asked = requested_of(address(n), 1, spec(&[RING], operation()));
            [asked, registered_of(address(n), RING, 1)]
        })
        .collect();
    let first = Computation {
        gate: address(0),
        inputs: Digest::ZERO,
    };
    state.page(&facts, &[], cursor(1), &nobody).unwrap();
    assert!(vote(&state, draft_of(first, 1, 1)));
    assert!(
        state.gate(address(0)).unwrap().is_some(),
        "within the trail"
    );
    go_on(&state, TRAIL_LENGTH as u64 + 1);
    let kept = (0..count).filter(|n| state.gate(address(*n)).unwrap().is_some());
    assert_eq!(kept.count() as u64, KEPT_GATES);
    assert!(state.votes(address(0)).unwrap().is_empty());
    assert!(
        !vote(&state, draft_of(first, 1, 2)),
        "the journal is never forgotten"
    );
}

#[test]
fn votes_on_gates_that_nobody_asks_for_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    state.page(&[], &[], cursor(1), &nobody).unwrap();
    let entry = of_other(0, &draft_of(computation(1), 1, 1));
    state.append(None, &[entry], &[]).unwrap();
    assert_eq!(state.votes(GATE).unwrap().len(), 1);
    go_on(&state, TRAIL_LENGTH as u64 + 1);
    assert!(state.votes(GATE).unwrap().is_empty());
}
