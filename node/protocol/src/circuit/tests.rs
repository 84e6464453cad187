use super::*;
use proptest::prelude::*;
use std::{collections::BTreeSet, convert::Infallible};

#[derive(Default, Clone, PartialEq, Debug)]
struct Memory {
    gates: BTreeMap<Address, GateRecord>,
    dependants: BTreeMap<Address, BTreeSet<Address>>,
    changed: BTreeSet<(u64, Address)>,
    /// Whose gates are computed.
    accepted: BTreeSet<Address>,
}

impl GateTable for Memory {
    type Error = Infallible;
    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, Infallible> {
        Ok(self.gates.get(&gate).cloned())
    }
    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), Infallible> {
        self.gates.insert(gate, record.clone());
        self.changed.insert((block, gate));
        Ok(())
    }
    fn dependants(&self, gate: Address) -> Result<Vec<Address>, Infallible> {
        let dependants = self.dependants.get(&gate);
        Ok(dependants.into_iter().flatten().copied().collect())
    }
    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), Infallible> {
        self.dependants.entry(gate).or_default().insert(dependant);
        Ok(())
    }
    fn changed_after(&self, block: u64) -> Result<Vec<Address>, Infallible> {
        let changed = self.changed.range((block + 1, Address::ZERO)..);
        let gates: BTreeSet<_> = changed.map(|(_, gate)| *gate).collect();
        Ok(gates.into_iter().collect())
    }
    fn is_accepted(&self, requester: Address) -> bool {
        self.accepted.contains(&requester)
    }
}

impl Memory {
    /// The records that say more than a spec, which is never taken back.
    fn facts(&self) -> BTreeMap<Address, GateRecord> {
        let facts = self
            .gates
            .iter()
            .filter(|(_, record)| **record != GateRecord::new(record.spec.clone()));
        facts
            .map(|(gate, record)| (*gate, record.clone()))
            .collect()
    }
}

const PRIMARY: Address = Address([201; 20]);
const FALL_BACK: Address = Address([202; 20]);

fn gate(n: u8) -> Address {
    Address([n; 20])
}

fn spec(upstream: &[u8]) -> GateSpec {
    let futures = upstream.iter().map(|n| GateInput::Future {
        gate: gate(*n),
        pin: 0,
    });
    GateSpec {
        scope: gate(200),
        rings: vec![PRIMARY, FALL_BACK],
        inputs: std::iter::once(GateInput::Constant(Digest([2; 32])))
            .chain(futures)
            .collect(),
        outputs: 1,
        salt: Digest::ZERO,
    }
}

fn run(table: &mut Memory, block: u64, n: u8, event: GateEvent) -> Vec<Signal> {
    apply(table, gate(n), &event, block).unwrap()
}

fn request(table: &mut Memory, block: u64, n: u8, upstream: &[u8]) -> Vec<Signal> {
    let event = GateEvent::Requested {
        requester: gate(100),
        spec: spec(upstream),
    };
    run(table, block, n, event)
}

fn registered(ring: Address, pin: u128, cid: u8) -> GateEvent {
    GateEvent::Registered {
        ring,
        pins: vec![pin],
        cids: vec![Digest([cid; 32])],
    }
}

fn succeed(table: &mut Memory, block: u64, n: u8) -> Vec<Signal> {
    run(table, block, n, registered(PRIMARY, 0, 4))
}

fn fail(table: &mut Memory, block: u64, n: u8) -> Vec<Signal> {
    run(table, block, n, registered(PRIMARY, FAILURE_PIN, 6))
}

#[test]
fn a_gate_without_futures_is_ready_at_once() {
    let mut table = Memory::default();
    let signals = request(&mut table, 1, 1, &[]);
    assert_eq!(
        signals,
        [Signal::Requested(gate(1)), Signal::Ready(gate(1))]
    );
    assert_eq!(table.gates[&gate(1)].ready, Some(1));
    let again = request(&mut table, 2, 1, &[]);
    assert_eq!(again, [Signal::Requested(gate(1))], "once is enough");
}

#[test]
fn a_join_is_ready_with_its_last_future() {
    let mut table = Memory::default();
    request(&mut table, 1, 1, &[]);
    request(&mut table, 1, 2, &[]);
    assert_eq!(
        request(&mut table, 2, 3, &[1, 2]),
        [Signal::Requested(gate(3))]
    );
    assert_eq!(succeed(&mut table, 3, 2), [Signal::Resolved(gate(2))]);
    assert_eq!(
        succeed(&mut table, 5, 1),
        [Signal::Resolved(gate(1)), Signal::Ready(gate(3))]
    );
    assert!(table.gates[&gate(3)].is_open());
}

#[test]
fn an_upstream_gate_may_be_learned_after_its_dependant() {
    let mut table = Memory::default();
    let signals = request(&mut table, 9, 3, &[1]);
    assert_eq!(
        signals,
        [Signal::Requested(gate(3)), Signal::Follow(gate(1))]
    );
    assert_eq!(unknown_upstream(&table, gate(3)).unwrap(), [gate(1)]);
    assert!(
        succeed(&mut table, 5, 1).is_empty(),
        "its rings are not known yet"
    );
    learn(&mut table, gate(1), &spec(&[])).unwrap();
    assert!(unknown_upstream(&table, gate(3)).unwrap().is_empty());
    assert_eq!(
        succeed(&mut table, 5, 1),
        [Signal::Resolved(gate(1)), Signal::Ready(gate(3))]
    );
    // Ready since the later of its request and its inputs, so that taking back the request takes this back too.
    assert_eq!(table.gates[&gate(3)].ready, Some(9));
    assert_eq!(rewind(&mut table, 6).unwrap(), [gate(3)]);
    assert!(!table.gates[&gate(3)].is_open());
    assert!(table.gates[&gate(1)].result.is_some());
}

#[test]
fn a_followed_gate_is_nobodys_work_until_it_is_asked_for() {
    let mut table = Memory::default();
    learn(&mut table, gate(1), &spec(&[])).unwrap();
    assert!(!table.gates[&gate(1)].is_open());
    let signals = request(&mut table, 4, 1, &[]);
    assert_eq!(
        signals,
        [Signal::Requested(gate(1)), Signal::Ready(gate(1))]
    );
}

#[test]
fn failure_dooms_everything_behind_it_and_what_comes_later() {
    let mut table = Memory::default();
    request(&mut table, 1, 1, &[]);
    request(&mut table, 1, 2, &[1]);
    request(&mut table, 1, 3, &[2]);
    let doomed = [
        Signal::Resolved(gate(1)),
        Signal::Doomed(gate(2)),
        Signal::Doomed(gate(3)),
    ];
    assert_eq!(fail(&mut table, 2, 1), doomed);
    assert_eq!(
        request(&mut table, 3, 4, &[3]),
        [Signal::Requested(gate(4)), Signal::Doomed(gate(4))]
    );
}

#[test]
fn failure_passes_through_gates_that_are_only_followed() {
    // Gates 1 to 4 belong to other rings; nobody here asked for them.
    let mut followed = Memory::default();
    for n in (1..=4).rev() {
        let upstream: &[u8] = if n == 1 { &[] } else { &[n - 1] };
        learn(&mut followed, gate(n), &spec(upstream)).unwrap();
    }
    request(&mut followed, 3, 5, &[4]);
    let unharmed = followed.clone();
    let doomed = |n: u8| Signal::Doomed(gate(n));
    let signals = [
        Signal::Resolved(gate(1)),
        doomed(2),
        doomed(3),
        doomed(4),
        doomed(5),
    ];
    assert_eq!(fail(&mut followed, 7, 1), signals);
    assert_eq!(rewind(&mut followed, 6).unwrap().len(), 5);
    assert_eq!(followed.facts(), unharmed.facts());
    // It may have failed before anybody here heard of the gates behind it.
    let mut late = Memory::default();
    learn(&mut late, gate(1), &spec(&[])).unwrap();
    fail(&mut late, 2, 1);
    let signals = learn(&mut late, gate(3), &spec(&[2])).unwrap();
    assert_eq!(signals, [Signal::Follow(gate(2))]);
    let signals = learn(&mut late, gate(2), &spec(&[1])).unwrap();
    assert_eq!(signals, [doomed(2), doomed(3)]);
    assert_eq!(
        request(&mut late, 9, 5, &[3]),
        [Signal::Requested(gate(5)), doomed(5)]
    );
}

#[test]
fn a_gate_doomed_twice_stays_doomed_while_one_reason_stands() {
    let mut table = Memory::default();
    for n in 1..=2 {
        request(&mut table, 1, n, &[]);
    }
    request(&mut table, 1, 3, &[1, 2]);
    fail(&mut table, 5, 1);
    fail(&mut table, 4, 2);
    assert_eq!(table.gates[&gate(3)].doomed, Some(5));
    rewind(&mut table, 4).unwrap();
    assert_eq!(table.gates[&gate(3)].doomed, Some(4));
}

#[test]
fn what_no_contract_of_the_gate_emits_is_ignored() {
    let mut table = Memory::default();
    for event in [
        registered(PRIMARY, 0, 1),
        GateEvent::Challenged,
        GateEvent::FloodgateOpened,
    ] {
        assert!(run(&mut table, 1, 66, event).is_empty());
    }
    assert_eq!(table, Memory::default());
    request(&mut table, 1, 1, &[]);
    let partial = GateEvent::Registered {
        ring: PRIMARY,
        pins: vec![],
        cids: vec![],
    };
    for event in [
        registered(gate(203), 0, 1),
        registered(PRIMARY, 1, 1),
        partial,
    ] {
        assert!(run(&mut table, 2, 1, event).is_empty());
    }
    assert_eq!(table.gates[&gate(1)].result, None);
}

#[test]
fn the_first_result_stands() {
    let mut table = Memory::default();
    request(&mut table, 1, 1, &[]);
    succeed(&mut table, 2, 1);
    assert!(run(&mut table, 3, 1, registered(FALL_BACK, 0, 9)).is_empty());
    let result = table.gates[&gate(1)].result.clone().unwrap();
    assert_eq!(
        (result.ring, result.outputs[&0]),
        (PRIMARY, Digest([4; 32]))
    );
}

#[test]
fn a_fall_back_ring_works_once_the_floodgate_is_open() {
    let mut table = Memory::default();
    request(&mut table, 1, 1, &[]);
    let open_for = |table: &Memory| {
        [PRIMARY, FALL_BACK, gate(203)].map(|ring| table.gates[&gate(1)].is_open_for(ring))
    };
    assert_eq!(open_for(&table), [true, false, false]);
    assert!(run(&mut table, 2, 1, GateEvent::Challenged).is_empty());
    assert_eq!(open_for(&table), [true, false, false]);
    let signals = run(&mut table, 3, 1, GateEvent::FloodgateOpened);
    assert_eq!(signals, [Signal::FloodgateOpened(gate(1))]);
    assert_eq!(open_for(&table), [true, true, false]);
    rewind(&mut table, 2).unwrap();
    assert_eq!(open_for(&table), [true, false, false]);
    run(&mut table, 4, 1, GateEvent::FloodgateOpened);
    run(&mut table, 5, 1, registered(FALL_BACK, 0, 9));
    assert_eq!(open_for(&table), [false; 3]);
}

#[test]
fn another_result_upstream_is_another_computation() {
    let mut table = Memory::default();
    request(&mut table, 1, 1, &[]);
    request(&mut table, 1, 2, &[1]);
    assert_eq!(resolve(&table, gate(2)).unwrap(), None);
    let mut computations = Vec::new();
    for cid in [4, 5, 4] {
        run(&mut table, 3, 1, registered(PRIMARY, 0, cid));
        let (computation, inputs) = resolve(&table, gate(2)).unwrap().unwrap();
        assert_eq!(inputs.data, [Digest([2; 32]), Digest([cid; 32])]);
        assert_eq!(computation.inputs, crate::cids::keccak256(&[cid; 32]));
        computations.push(computation);
        let changed = rewind(&mut table, 2).unwrap();
        assert_eq!(changed, [gate(1), gate(2)]);
        assert!(!table.gates[&gate(2)].is_open());
    }
    assert_ne!(computations[0], computations[1]);
    assert_eq!(computations[0], computations[2]);
}

#[test]
fn the_record_of_a_popular_gate_is_bounded() {
    let mut table = Memory::default();
    for n in 0..MAX_REQUESTERS as u64 + 9 {
        let mut requester = Address::ZERO;
        requester.0[..8].copy_from_slice(&n.to_be_bytes());
        let event = GateEvent::Requested {
            requester,
            spec: spec(&[]),
        };
        run(&mut table, n, 1, event);
    }
    assert_eq!(table.gates[&gate(1)].requesters.len(), MAX_REQUESTERS);
}

#[test]
fn strangers_do_not_keep_out_those_whose_gates_are_computed() {
    let account = |n: u64| {
        let mut account = Address::ZERO;
        account.0[..8].copy_from_slice(&n.to_be_bytes());
        account
    };
    let full = MAX_REQUESTERS as u64;
    let mut table = Memory {
        accepted: [account(3), account(full + 1), account(full + 2)].into(),
        ..Memory::default()
    };
    let ask = |table: &mut Memory, n: u64| {
        let event = GateEvent::Requested {
            requester: account(n),
            spec: spec(&[]),
        };
        drop(run(table, n, 1, event));
    };
    (0..=full + 3).for_each(|n| ask(&mut table, n));
    let requesters = &table.gates[&gate(1)].requesters;
    assert_eq!(requesters.len(), MAX_REQUESTERS);
    assert!(table
        .accepted
        .iter()
        .all(|own| requesters.contains_key(own)));
    // Of the strangers, those who came last gave way.
    let gone = |n: u64| !requesters.contains_key(&account(n));
    assert!(gone(full - 1) && gone(full - 2) && gone(full) && gone(full + 3));
    assert_eq!(requesters[&account(full - 3)], full - 3);
}

/// One random event: which kind, of which gate, with which upstream gates.
type Step = (u8, u8, BTreeSet<u8>);

fn step(table: &mut Memory, block: u64, (kind, n, upstream): &Step) {
    let upstream: Vec<u8> = upstream.iter().copied().filter(|up| up < n).collect();
    match kind {
        0 | 1 => drop(request(table, block, *n, &upstream)),
        2 | 3 => drop(succeed(table, block, *n)),
        4 => drop(fail(table, block, *n)),
        _ => drop(run(table, block, *n, GateEvent::FloodgateOpened)),
    }
}

proptest! {
    /// Going back to a block and on again is the same as never having gone beyond it.
    #[test]
    fn a_rewind_undoes_everything_after_a_block(
        steps in proptest::collection::vec((0u8..6, 1u8..8, proptest::collection::btree_set(1u8..8, 0..3)), 1..40),
        cut in 0u64..40,
    ) {
        // What a gate asks for follows from its name: the first step that names it decides.
        let mut specs: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
        let steps: Vec<Step> = steps.into_iter().map(|(kind, n, upstream)| {
            (kind, n, specs.entry(n).or_insert(upstream).clone())
        }).collect();
        let play = |table: &mut Memory, from: u64, to: u64| {
            for block in from..to {
                step(table, block + 1, &steps[block as usize]);
            }
        };
        // All specs are known from the start: learning one is no event, and is not taken back.
        let mut known = Memory::default();
        for (n, upstream) in &specs {
            let upstream: Vec<u8> = upstream.iter().copied().filter(|up| up < n).collect();
            learn(&mut known, gate(*n), &spec(&upstream)).unwrap();
        }
        let last = steps.len() as u64;
        let cut = cut.min(last);
        let (mut straight, mut rewound) = (known.clone(), known);
        play(&mut straight, 0, cut);
        play(&mut rewound, 0, last);
        rewind(&mut rewound, cut).unwrap();
        prop_assert_eq!(straight.facts(), rewound.facts());
        play(&mut straight, cut, last);
        play(&mut rewound, cut, last);
        prop_assert_eq!(straight.facts(), rewound.facts());
    }
}
