//! Which gates exist, which are ready, which are resolved: what follows from the chain's events alone.
//!
//! The table behind it is the caller's, so that a page of events and the cursor that names its end can be
//! stored in one transaction. Every change remembers its block, so that a reorganisation can take it back.

use crate::{
    gate::{GateInput, GateSpec, FAILURE_PIN},
    Address, Digest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A block, as far as a gate's history needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Number of the block.
    pub block: u64,
    /// Its timestamp: seconds since 1970.
    pub time: u64,
}

/// An output pin that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinSet {
    /// Number of the block that set it.
    pub block: u64,
    /// The token on the pin.
    pub token: Digest,
}

/// Everything the chain has said of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRecord {
    /// When it was created.
    pub created: Moment,
    /// A gate it waits for has failed, so that it can never become ready.
    pub doomed: Option<u64>,
    /// Output pins, by the decimal text of their number.
    pub outputs: BTreeMap<u128, PinSet>,
    /// The block in which its last future was set; its clock.
    pub ready: Option<Moment>,
    /// Who asked for it, and in which block first.
    pub requesters: BTreeMap<Address, u64>,
    /// The block in which it resolved.
    pub resolved: Option<Moment>,
    /// What it asks for.
    pub spec: GateSpec,
}

/// What the chain says of gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateEvent {
    /// It exists now.
    Created(GateSpec),
    /// Somebody asked for it.
    Requested(Address),
    /// An output pin was set.
    OutputSet {
        /// The pin.
        pin: u128,
        /// The token on it.
        token: Digest,
    },
    /// It is resolved: nothing more will be set.
    Resolved,
}

/// What follows from an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// All futures of this gate are set.
    Ready(Address),
    /// Somebody asked for this gate, which exists.
    Requested(Address),
    /// This gate is resolved.
    Resolved(Address),
    /// This gate can never become ready.
    Doomed(Address),
}

/// Where the records are kept.
pub trait GateTable {
    /// What the storage behind it can fail with.
    type Error;
    /// The record of a gate.
    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, Self::Error>;
    /// Stores a record; `block` is the one whose event changed it.
    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), Self::Error>;
    /// Removes the record of a gate that was never created after all.
    fn remove(&mut self, gate: Address) -> Result<(), Self::Error>;
    /// The gates that wait for outputs of this one.
    fn dependants(&self, gate: Address) -> Result<Vec<Address>, Self::Error>;
    /// Remembers that `dependant` waits for outputs of `gate`.
    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), Self::Error>;
    /// The gates whose records were changed by events after this block.
    fn changed_after(&self, block: u64) -> Result<Vec<Address>, Self::Error>;
}

impl GateRecord {
    fn new(spec: GateSpec, created: Moment) -> Self {
        Self {
            created,
            doomed: None,
            outputs: BTreeMap::new(),
            ready: None,
            requesters: BTreeMap::new(),
            resolved: None,
            spec,
        }
    }

    /// Whether the program behind it failed.
    pub fn failed(&self) -> bool {
        self.outputs.contains_key(&FAILURE_PIN)
    }

    /// Whether there is work to do for it: ready, and neither resolved nor doomed.
    pub fn is_open(&self) -> bool {
        self.ready.is_some() && self.resolved.is_none()
    }
}

/// Takes one event into the table.
///
/// Events of gates that the engine did not create are ignored: anybody can emit events that look like a gate's.
///
/// # Errors
/// What the table fails with.
pub fn apply<T: GateTable>(
    table: &mut T,
    gate: Address,
    event: &GateEvent,
    at: Moment,
) -> Result<Vec<Signal>, T::Error> {
    match (event, table.gate(gate)?) {
        (GateEvent::Created(spec), None) => create(table, gate, spec, at),
        (GateEvent::Created(_), Some(_)) | (_, None) => Ok(Vec::new()),
        (GateEvent::Requested(requester), Some(mut record)) => {
            record.requesters.entry(*requester).or_insert(at.block);
            table.put(gate, &record, at.block)?;
            Ok(vec![Signal::Requested(gate)])
        }
        (GateEvent::OutputSet { pin, token }, Some(mut record)) => {
            record.outputs.entry(*pin).or_insert(PinSet {
                block: at.block,
                token: *token,
            });
            table.put(gate, &record, at.block)?;
            Ok(Vec::new())
        }
        (GateEvent::Resolved, Some(record)) => resolve(table, gate, record, at),
    }
}

fn create<T: GateTable>(
    table: &mut T,
    gate: Address,
    spec: &GateSpec,
    at: Moment,
) -> Result<Vec<Signal>, T::Error> {
    let mut record = GateRecord::new(spec.clone(), at);
    for upstream in spec.upstream() {
        table.add_dependant(upstream, gate)?;
    }
    let signal = settle(table, gate, &mut record, at)?;
    table.put(gate, &record, at.block)?;
    let mut signals = Vec::from_iter(signal);
    if record.doomed.is_some() {
        signals.extend(doom_dependants(table, gate, at)?);
    }
    Ok(signals)
}

fn resolve<T: GateTable>(
    table: &mut T,
    gate: Address,
    mut record: GateRecord,
    at: Moment,
) -> Result<Vec<Signal>, T::Error> {
    if record.resolved.is_some() {
        return Ok(Vec::new());
    }
    record.resolved = Some(at);
    table.put(gate, &record, at.block)?;
    let mut signals = vec![Signal::Resolved(gate)];
    signals.extend(settle_dependants(table, gate, at)?);
    Ok(signals)
}

/// Looks again at everything that waits for `gate`.
fn settle_dependants<T: GateTable>(
    table: &mut T,
    gate: Address,
    at: Moment,
) -> Result<Vec<Signal>, T::Error> {
    let mut signals = Vec::new();
    for dependant in table.dependants(gate)? {
        let Some(mut record) = table.gate(dependant)? else {
            continue;
        };
        let Some(signal) = settle(table, dependant, &mut record, at)? else {
            continue;
        };
        table.put(dependant, &record, at.block)?;
        signals.push(signal);
        if matches!(signal, Signal::Doomed(_)) {
            signals.extend(doom_dependants(table, dependant, at)?);
        }
    }
    Ok(signals)
}

/// Everything that waits for a doomed gate is doomed with it. Futures make no cycles, for a gate's address
/// commits to those before it, so this ends; a work list instead of recursion bounds the stack.
fn doom_dependants<T: GateTable>(
    table: &mut T,
    gate: Address,
    at: Moment,
) -> Result<Vec<Signal>, T::Error> {
    let mut signals = Vec::new();
    let mut waiting = table.dependants(gate)?;
    while let Some(dependant) = waiting.pop() {
        let Some(mut record) = table.gate(dependant)? else {
            continue;
        };
        if record.doomed.is_some() {
            continue;
        }
        record.doomed = Some(at.block);
        table.put(dependant, &record, at.block)?;
        signals.push(Signal::Doomed(dependant));
        waiting.extend(table.dependants(dependant)?);
    }
    Ok(signals)
}

/// Marks a gate ready or doomed where its upstream gates decide so.
fn settle<T: GateTable>(
    table: &T,
    gate: Address,
    record: &mut GateRecord,
    at: Moment,
) -> Result<Option<Signal>, T::Error> {
    if record.ready.is_some() || record.doomed.is_some() {
        return Ok(None);
    }
    let mut ready = true;
    for input in &record.spec.inputs {
        let GateInput::Output {
            gate: upstream,
            pin,
        } = input
        else {
            continue;
        };
        let upstream = table.gate(*upstream)?;
        if upstream
            .as_ref()
            .is_some_and(|up| up.failed() || up.doomed.is_some())
        {
            record.doomed = Some(at.block);
            return Ok(Some(Signal::Doomed(gate)));
        }
        ready &= upstream.is_some_and(|up| up.outputs.contains_key(pin));
    }
    record.ready = ready.then_some(at);
    Ok(ready.then_some(Signal::Ready(gate)))
}

/// Takes back everything that events after `block` changed. Returns the gates that are no longer what they
/// were, for work on them to stop or start again.
///
/// # Errors
/// What the table fails with.
pub fn rewind<T: GateTable>(table: &mut T, block: u64) -> Result<Vec<Address>, T::Error> {
    let changed = table.changed_after(block)?;
    for gate in &changed {
        match table.gate(*gate)? {
            Some(record) if record.created.block > block => table.remove(*gate)?,
            Some(record) => table.put(*gate, &before(record, block), block)?,
            None => {}
        }
    }
    Ok(changed)
}

/// The record as it stood after `block`.
fn before(mut record: GateRecord, block: u64) -> GateRecord {
    record.outputs.retain(|_, set| set.block <= block);
    record.requesters.retain(|_, first| *first <= block);
    record.doomed = record.doomed.filter(|at| *at <= block);
    record.ready = record.ready.filter(|at| at.block <= block);
    record.resolved = record.resolved.filter(|at| at.block <= block);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, convert::Infallible};

    #[derive(Default, Clone, PartialEq, Debug)]
    struct Memory {
        gates: BTreeMap<Address, GateRecord>,
        dependants: BTreeMap<Address, BTreeSet<Address>>,
        changed: BTreeSet<(u64, Address)>,
    }

    impl GateTable for Memory {
        type Error = Infallible;
        fn gate(&self, gate: Address) -> Result<Option<GateRecord>, Infallible> {
            Ok(self.gates.get(&gate).cloned())
        }
        fn put(
            &mut self,
            gate: Address,
            record: &GateRecord,
            block: u64,
        ) -> Result<(), Infallible> {
            self.gates.insert(gate, record.clone());
            self.changed.insert((block, gate));
            Ok(())
        }
        fn remove(&mut self, gate: Address) -> Result<(), Infallible> {
            self.gates.remove(&gate);
            Ok(())
        }
        fn dependants(&self, gate: Address) -> Result<Vec<Address>, Infallible> {
            Ok(self
                .dependants
                .get(&gate)
                .into_iter()
                .flatten()
                .copied()
                .collect())
        }
        fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), Infallible> {
            self.dependants.entry(gate).or_default().insert(dependant);
            Ok(())
        }
        fn changed_after(&self, block: u64) -> Result<Vec<Address>, Infallible> {
            let gates: BTreeSet<_> = self
                .changed
                .range((block + 1, Address::ZERO)..)
                .map(|(_, gate)| *gate)
                .collect();
            Ok(gates.into_iter().collect())
        }
    }

    fn gate(n: u8) -> Address {
        Address([n; 20])
    }

    fn spec(upstream: &[u8]) -> GateSpec {
        let futures = upstream.iter().map(|n| GateInput::Output {
            gate: gate(*n),
            pin: 0,
        });
        GateSpec {
            scope: gate(200),
            rings: vec![gate(201)],
            inputs: std::iter::once(GateInput::Token(Digest([2; 32])))
                .chain(futures)
                .collect(),
            outputs: 1,
            salt: Digest::ZERO,
        }
    }

    fn at(block: u64) -> Moment {
        Moment {
            block,
            time: 1000 + block,
        }
    }

    fn run(table: &mut Memory, block: u64, n: u8, event: GateEvent) -> Vec<Signal> {
        apply(table, gate(n), &event, at(block)).unwrap()
    }

    fn succeed(table: &mut Memory, block: u64, n: u8) -> Vec<Signal> {
        run(
            table,
            block,
            n,
            GateEvent::OutputSet {
                pin: 0,
                token: Digest([4; 32]),
            },
        );
        run(table, block, n, GateEvent::Resolved)
    }

    fn fail(table: &mut Memory, block: u64, n: u8) -> Vec<Signal> {
        run(
            table,
            block,
            n,
            GateEvent::OutputSet {
                pin: FAILURE_PIN,
                token: Digest([6; 32]),
            },
        );
        run(table, block, n, GateEvent::Resolved)
    }

    #[test]
    fn a_gate_without_futures_is_ready_at_once() {
        let mut table = Memory::default();
        assert_eq!(
            run(&mut table, 1, 1, GateEvent::Created(spec(&[]))),
            [Signal::Ready(gate(1))]
        );
        assert_eq!(table.gates[&gate(1)].ready, Some(at(1)));
        assert!(
            run(&mut table, 2, 1, GateEvent::Created(spec(&[]))).is_empty(),
            "once is enough"
        );
    }

    #[test]
    fn a_join_is_ready_in_the_block_of_its_last_future() {
        let mut table = Memory::default();
        run(&mut table, 1, 1, GateEvent::Created(spec(&[])));
        run(&mut table, 1, 2, GateEvent::Created(spec(&[])));
        assert!(run(&mut table, 2, 3, GateEvent::Created(spec(&[1, 2]))).is_empty());
        assert_eq!(succeed(&mut table, 3, 2), [Signal::Resolved(gate(2))]);
        assert_eq!(
            succeed(&mut table, 5, 1),
            [Signal::Resolved(gate(1)), Signal::Ready(gate(3))]
        );
        assert_eq!(table.gates[&gate(3)].ready, Some(at(5)));
    }

    #[test]
    fn failure_dooms_everything_behind_it_and_what_comes_later() {
        let mut table = Memory::default();
        run(&mut table, 1, 1, GateEvent::Created(spec(&[])));
        run(&mut table, 1, 2, GateEvent::Created(spec(&[1])));
        run(&mut table, 1, 3, GateEvent::Created(spec(&[2])));
        let signals = fail(&mut table, 2, 1);
        assert_eq!(
            signals,
            [
                Signal::Resolved(gate(1)),
                Signal::Doomed(gate(2)),
                Signal::Doomed(gate(3))
            ]
        );
        assert_eq!(
            run(&mut table, 3, 4, GateEvent::Created(spec(&[3]))),
            [Signal::Doomed(gate(4))]
        );
    }

    #[test]
    fn strangers_events_are_ignored() {
        let mut table = Memory::default();
        for event in [
            GateEvent::Resolved,
            GateEvent::Requested(gate(9)),
            GateEvent::OutputSet {
                pin: 0,
                token: Digest::ZERO,
            },
        ] {
            assert!(run(&mut table, 1, 66, event).is_empty());
        }
        assert_eq!(table, Memory::default());
    }

    #[test]
    fn a_pin_is_set_once() {
        let mut table = Memory::default();
        run(&mut table, 1, 1, GateEvent::Created(spec(&[])));
        run(
            &mut table,
            2,
            1,
            GateEvent::OutputSet {
                pin: 0,
                token: Digest([2; 32]),
            },
        );
        run(
            &mut table,
            3,
            1,
            GateEvent::OutputSet {
                pin: 0,
                token: Digest([8; 32]),
            },
        );
        assert_eq!(table.gates[&gate(1)].outputs[&0].token, Digest([2; 32]));
    }

    proptest! {
        /// A history, cut at any block and played on, ends as if it had never been otherwise.
        #[test]
        fn rewinding_is_as_if_it_had_not_happened(events in proptest::collection::vec((1u8..6, 0u8..4, proptest::collection::vec(1u8..6, 0..3)), 1..40), cut in 0u64..40) {
            let play = |table: &mut Memory, from: u64, to: u64| {
                for (block, (n, kind, upstream)) in events.iter().enumerate().map(|(i, e)| (i as u64 + 1, e)) {
                    if block <= from || block > to { continue }
                    // Futures only lead back, as addresses that are hashes must.
                    let upstream: Vec<u8> = upstream.iter().copied().filter(|up| up < n).collect();
                    match kind {
                        0 => drop(run(table, block, *n, GateEvent::Created(spec(&upstream)))),
                        1 => drop(run(table, block, *n, GateEvent::Requested(gate(100)))),
                        2 => drop(succeed(table, block, *n)),
                        _ => drop(fail(table, block, *n)),
                    }
                }
            };
            let last = events.len() as u64;
            let cut = cut.min(last);
            let (mut straight, mut rewound) = (Memory::default(), Memory::default());
            play(&mut straight, 0, cut);
            play(&mut rewound, 0, last);
            rewind(&mut rewound, cut).unwrap();
            prop_assert_eq!(&straight.gates, &rewound.gates);
            play(&mut straight, cut, last);
            play(&mut rewound, cut, last);
            prop_assert_eq!(straight.gates, rewound.gates);
        }
    }
}
