//! The ring log as the chain names it, and what its ring nodes list.
//!
//! A ring node goes into the tables twice: its digest with the page of events that registers it, and its entries when
//! its pages are here ([`MemberState::list`]). A reorganisation takes back both.
//!
//! The gates that got a result of this ring and are not listed by a final ring node are kept here as well, with the
//! time when that was read, because ring nodes list them too. What becomes final is decided by depth (`core/terms.rs`);
//! from then on the requests that were listed are forgotten, and a slot that was decided stays decided.

use super::{
    error::StateError,
    records::{GateFact, RegisteredNode, RingNodeFact, Said},
    tables::{Word, LISTED, LISTED_BY, META, RING_NODES, UNLISTED},
    MemberState,
};
use crate::clock;
use redb::{ReadableTable, WriteTransaction};
use rings_protocol::{
    circuit::{GateEvent, Signal},
    ringlog::{gate_of_subject, Entry, RingNode, Subject},
    Address, Digest,
};
use std::{collections::BTreeSet, ops::RangeInclusive};

/// How many ring nodes are final, as far as they are followed here: 8 bytes, big-endian.
const FINAL: &str = "final ring nodes";
/// Bytes of a number before the entry in a record.
const NUMBER_BYTES: usize = 8;

impl MemberState {
    /// How many ring nodes the chain has, as far as it was read.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn ring_node_count(&self) -> Result<u64, StateError> {
        self.database
            .read(|transaction| next_number(&transaction.open_table(RING_NODES)?))
    }

    /// Ring node `number`, as the chain names it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn ring_node(&self, number: u64) -> Result<Option<RegisteredNode>, StateError> {
        self.database.read(|transaction| {
            let found = transaction.open_table(RING_NODES)?.get(number)?;
            Ok(found.map(|found| registered(number, found.value())))
        })
    }

    /// How many ring nodes are final for this member: the requests that they list are forgotten.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn final_ring_nodes(&self) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let found = transaction.open_table(META)?.get(FINAL)?;
            Ok(found.map_or(0, |bytes| number(bytes.value())))
        })
    }

    /// Stores what a ring node lists, if it is the one that the chain names. The first listing of a request or slot counts.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn list(&self, node: &RingNode) -> Result<(), StateError> {
        let number = node.number();
        self.database.write(|transaction| {
            let nodes = transaction.open_table(RING_NODES)?;
            let named = nodes.get(number)?.map(|found| found.value().0);
            if named != Some(node.digest().0) {
                return Ok(());
            }
            let mut listed = transaction.open_table(LISTED)?;
            let mut by = transaction.open_table(LISTED_BY)?;
            for entry in node.entries() {
                let subject = subject(entry);
                if listed.get(subject)?.is_some() {
                    continue;
                }
                let record = [&number.to_be_bytes()[..], &entry.to_bytes()].concat();
                listed.insert(subject, record.as_slice())?;
                by.insert((number, subject), ())?;
            }
            Ok(())
        })
    }

    /// The gates that got a result of this ring in these blocks, and that no final ring node lists, with the seconds
    /// since 1970 when that was read.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn unlisted_gates(
        &self,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<(Address, u64)>, StateError> {
        let (first, last) = blocks.into_inner();
        self.database.read(|transaction| {
            let unlisted = transaction.open_table(UNLISTED)?;
            let mut gates = Vec::new();
            if first <= last {
                for entry in unlisted.range((first, [0; 20])..=(last, [0xff; 20]))? {
                    let (key, since) = entry?;
                    gates.push((Address(key.value().1), since.value()));
                }
            }
            Ok(gates)
        })
    }

    /// The requests and slots that a ring node lists.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn listed_by(&self, number: u64) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let by = transaction.open_table(LISTED_BY)?;
            let listed = by.range((number, [0; 32])..=(number, [0xff; 32]))?;
            listed.map(|entry| Ok(Digest(entry?.0.value().1))).collect()
        })
    }

    /// The number of the ring node that lists a request or a slot, and the entry.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn listed(&self, subject: Digest) -> Result<Option<(u64, Entry)>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(LISTED)?.get(subject.0)?;
            record.map(|record| read(record.value())).transpose()
        })
    }
}

/// How many ring nodes are in the table: the number of the next one.
pub(super) fn next_number(
    nodes: &impl ReadableTable<u64, (Word, u64, Word)>,
) -> Result<u64, StateError> {
    let last = nodes.last()?;
    Ok(last.map_or(0, |(number, _)| number.value() + 1))
}

/// Takes ring nodes that were registered into the tables.
pub(super) fn take(
    transaction: &WriteTransaction,
    facts: &[RingNodeFact],
) -> Result<(), StateError> {
    let mut nodes = transaction.open_table(RING_NODES)?;
    for fact in facts {
        let last = nodes
            .last()?
            .map(|(number, found)| registered(number.value(), found.value()));
        let (number, prev) = last.map_or((0, Digest::ZERO), |last| (last.number + 1, last.digest));
        if fact.prev != prev {
            let (node, prev) = (fact.node, fact.prev);
            tracing::error!(%node, %prev, "a ring node follows one that was not read; check [chain] start_block");
            continue;
        }
        nodes.insert(number, (fact.node.0, fact.block, fact.transaction.0))?;
    }
    Ok(())
}

/// Notes the gates that got a result of this ring: ring nodes list them too.
pub(super) fn note_gates(
    transaction: &WriteTransaction,
    facts: &[GateFact],
    signals: &[Signal],
    ring: Address,
) -> Result<(), StateError> {
    let resolved = signals.iter().filter_map(|signal| match signal {
        Signal::Resolved(gate) => Some(*gate),
        _ => None,
    });
    let resolved: BTreeSet<_> = resolved.collect();
    let now = clock::seconds();
    let mut unlisted = transaction.open_table(UNLISTED)?;
    for fact in facts.iter().filter(|fact| resolved.contains(&fact.gate)) {
        if matches!(&fact.said, Said::Event(GateEvent::Registered { ring: by, .. }) if *by == ring)
        {
            unlisted.insert((fact.block, fact.gate.0), now)?;
        }
    }
    Ok(())
}

/// The slots that ring nodes before `next` decide, and that were not final before.
pub(super) fn decided(
    transaction: &WriteTransaction,
    next: u64,
) -> Result<BTreeSet<Word>, StateError> {
    let meta = transaction.open_table(META)?;
    let before = meta.get(FINAL)?.map_or(0, |bytes| number(bytes.value()));
    let by = transaction.open_table(LISTED_BY)?;
    let listed = transaction.open_table(LISTED)?;
    let mut decided = BTreeSet::new();
    for entry in by.range((before, [0; 32])..(next, [0; 32]))? {
        let (_, subject) = entry?.0.value();
        let record = listed.get(subject)?;
        let record = record.map(|record| read(record.value())).transpose()?;
        if matches!(record, Some((_, Entry::Decision { .. }))) {
            decided.insert(subject);
        }
    }
    Ok(decided)
}

/// Forgets those of these that are gates: a final ring node lists them.
pub(super) fn gates_listed(
    transaction: &WriteTransaction,
    listed: &[Digest],
) -> Result<(), StateError> {
    let gates = listed.iter().copied().filter_map(gate_of_subject);
    let gates: BTreeSet<_> = gates.collect();
    if !gates.is_empty() {
        let mut unlisted = transaction.open_table(UNLISTED)?;
        unlisted.retain(|(_, gate), _| !gates.contains(&Address(gate)))?;
    }
    Ok(())
}

/// Takes back what was registered after a block (`None`: everything).
pub(super) fn take_back(
    transaction: &WriteTransaction,
    after: Option<u64>,
) -> Result<(), StateError> {
    let mut nodes = transaction.open_table(RING_NODES)?;
    let is_left = |block: u64| after.is_some_and(|after| block <= after);
    let mut unlisted = transaction.open_table(UNLISTED)?;
    unlisted.retain(|(block, _), _| is_left(block))?;
    nodes.retain(|_, (_, block, _)| is_left(block))?;
    let count = next_number(&nodes)?;
    // The table is ordered by the numbers of ring nodes, so what the lost ones list is at its end.
    let mut by = transaction.open_table(LISTED_BY)?;
    let mut lost = Vec::new();
    for entry in by.range((count, [0; 32])..)? {
        lost.push(entry?.0.value());
    }
    let mut listed = transaction.open_table(LISTED)?;
    for (number, subject) in lost {
        by.remove((number, subject))?;
        listed.remove(subject)?;
    }
    let mut meta = transaction.open_table(META)?;
    let before = meta.get(FINAL)?.map(|bytes| number(bytes.value()));
    if before.is_some_and(|before| before > count) {
        meta.insert(FINAL, count.to_be_bytes().as_slice())?;
    }
    Ok(())
}

/// Ring nodes before `next` are final.
pub(super) fn set_final(transaction: &WriteTransaction, next: u64) -> Result<(), StateError> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(FINAL, next.to_be_bytes().as_slice())?;
    Ok(())
}

fn registered(number: u64, (digest, block, transaction): (Word, u64, Word)) -> RegisteredNode {
    RegisteredNode {
        number,
        digest: Digest(digest),
        block,
        transaction: Digest(transaction),
    }
}

fn subject(entry: &Entry) -> Word {
    match entry.subject() {
        Subject::Request(subject) | Subject::Slot(subject) => subject.0,
    }
}

/// A number of 8 bytes, big-endian; 0 for anything else.
fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_be_bytes).unwrap_or(0)
}

fn read(record: &[u8]) -> Result<(u64, Entry), StateError> {
    let (number, entry) = record
        .split_first_chunk::<NUMBER_BYTES>()
        .ok_or_else(|| StateError::Format("what is listed has no ring node".into()))?;
    let entry = Entry::from_bytes(entry).map_err(|error| StateError::Format(error.into()))?;
    Ok((u64::from_be_bytes(*number), entry))
}
