//! The gates as the chain's events describe them, with the cursor up to which events were read.
//!
//! `page` applies facts to the gates' records by the rules of `rings_protocol::circuit`, moves the cursor, and forgets
//! what is too old, in one transaction; it returns what the core has to do. `rewind` takes back everything after a
//! cursor. The other methods read: a gate, what is to be computed for it, the gates that are open, the gates that the
//! watcher has to follow.

use super::{
    error::StateError,
    gates::{forget_votes, Gates},
    records::{GateFact, RingNodeFact, Said},
    ring_log,
    tables::{
        decode, Account, CHANGED, DEPENDANTS, GATES, GATES_ASKED, OPEN, PAST, TRAIL, TRANSACTIONS,
        UNASKED, WAITING,
    },
    MemberState,
};
use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata, WriteTransaction};
use rings_chain::{Cursor, TRAIL_LENGTH};
use rings_protocol::{
    circuit::{self, GateEvent, GateRecord, GateTable, Signal},
    gate::{Computation, ResolvedInputs},
    Address, Digest,
};
use std::collections::BTreeSet;

/// How many gates that are over keep their records and votes.
pub const KEPT_GATES: u64 = 16_384;
/// Gates, or marks of votes on gates that nobody asked for, that are forgotten with one page of events at most.
const FORGOTTEN_AT_ONCE: usize = 256;

impl MemberState {
    /// The cursors up to which events are in the tables, newest last.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn trail(&self) -> Result<Vec<Cursor>, StateError> {
        self.database.read(|transaction| {
            let mut trail = Vec::new();
            for entry in transaction.open_table(TRAIL)?.range::<u64>(..)? {
                let (number, hash) = entry?;
                trail.push(cursor(number.value(), hash.value()));
            }
            Ok(trail)
        })
    }

    /// Takes in a page of facts about gates and of ring nodes that were registered, with the cursor that ends it, in one
    /// transaction. `accepts` says whose gates are computed: strangers cannot push their requests out of a gate's record.
    ///
    /// # Errors
    /// [`StateError`]; then nothing of the page is stored.
    pub fn page(
        &self,
        facts: &[GateFact],
        ring_nodes: &[RingNodeFact],
        cursor: Cursor,
        accepts: &dyn Fn(Address) -> bool,
    ) -> Result<Vec<Signal>, StateError> {
        self.database.write(|transaction| {
            let mut gates = Gates::open(transaction, accepts)?;
            let signals = self.take(&mut gates, facts)?;
            ring_log::take(transaction, ring_nodes)?;
            ring_log::note_gates(transaction, facts, &signals, self.identity.ring)?;
            let oldest = push_trail(transaction, cursor)?;
            gates.forget_changes_before(oldest)?;
            gates.forget_past(transaction, (oldest, KEPT_GATES), FORGOTTEN_AT_ONCE)?;
            forget_unasked(transaction, &gates, oldest)?;
            note_asked(transaction, facts, accepts)?;
            Ok(signals)
        })
    }

    fn take(&self, gates: &mut Gates<'_>, facts: &[GateFact]) -> Result<Vec<Signal>, StateError> {
        // A result that is older than the request for its gate comes before the request in the page, so specifications
        // are learned first.
        let mut signals = Vec::new();
        for fact in facts {
            if let Said::Asks(spec) | Said::Event(GateEvent::Requested { spec, .. }) = &fact.said {
                signals.extend(circuit::learn(gates, fact.gate, spec)?);
            }
        }
        for fact in facts {
            signals.extend(apply(gates, fact)?);
        }
        gates.index(self.identity.ring)?;
        Ok(signals)
    }

    /// Takes back all that came after a cursor (`None`: everything). Returns the gates concerned.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn rewind(&self, to: Option<Cursor>) -> Result<Vec<Address>, StateError> {
        self.database.write(|transaction| {
            let changed = match to {
                Some(to) => self.rewind_to(transaction, to.number)?,
                None => forget_all_gates(transaction)?,
            };
            let mut trail = transaction.open_table(TRAIL)?;
            trail.retain(|number, _| to.is_some_and(|to| number <= to.number))?;
            ring_log::take_back(transaction, to.map(|to| to.number))?;
            Ok(changed)
        })
    }

    /// The records of gates as they stood after a block, and the indexes over them.
    fn rewind_to(
        &self,
        transaction: &WriteTransaction,
        block: u64,
    ) -> Result<Vec<Address>, StateError> {
        let mut gates = Gates::open(transaction, &|_| false)?;
        let changed = circuit::rewind(&mut gates, block)?;
        gates.forget_changes_after(block)?;
        gates.index(self.identity.ring)?;
        Ok(changed)
    }

    /// The record of a gate.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn gate(&self, gate: Address) -> Result<Option<GateRecord>, StateError> {
        self.database
            .read(|transaction| Reader(transaction.open_table(GATES)?).gate(gate))
    }

    /// The transaction that registered a gate's result.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn transaction(&self, gate: Address) -> Result<Option<Digest>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(TRANSACTIONS)?;
            let found = table.get(gate.0)?;
            Ok(found.map(|transaction| Digest(transaction.value())))
        })
    }

    /// What is to be computed for a gate, and from which data; `None` while a future is unset.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn resolve(
        &self,
        gate: Address,
    ) -> Result<Option<(Computation, ResolvedInputs)>, StateError> {
        self.database
            .read(|transaction| circuit::resolve(&Reader(transaction.open_table(GATES)?), gate))
    }

    /// The gates on which this ring may work.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_gates(&self) -> Result<Vec<Address>, StateError> {
        self.database.read(|transaction| {
            let open = transaction.open_table(OPEN)?;
            addresses(open.range::<Account>(..)?)
        })
    }

    /// The gates without a result whose other rings have to be followed too: those that gates of this ring wait for,
    /// and those on which other rings may work.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn following(&self) -> Result<Vec<Address>, StateError> {
        self.database.read(|transaction| {
            let waiting = transaction.open_table(WAITING)?;
            let open = transaction.open_table(OPEN)?;
            let mut own = addresses(waiting.range::<Account>(..)?)?;
            own.extend(addresses(open.range::<Account>(..)?)?);
            following(&Reader(transaction.open_table(GATES)?), own)
        })
    }
}

/// Takes one fact into the tables.
fn apply(gates: &mut Gates<'_>, fact: &GateFact) -> Result<Vec<Signal>, StateError> {
    let Said::Event(event) = &fact.said else {
        return Ok(Vec::new());
    };
    let signals = circuit::apply(gates, fact.gate, event, fact.block)?;
    let resolves = signals.contains(&Signal::Resolved(fact.gate));
    if resolves && matches!(event, GateEvent::Registered { .. }) {
        gates.registered_by(fact.gate, fact.transaction)?;
    }
    Ok(signals)
}

/// Of `own` and all that they wait for: those without a result that other rings may register.
fn following(gates: &Reader, own: Vec<Address>) -> Result<Vec<Address>, StateError> {
    let (mut seen, mut followed) = (BTreeSet::new(), Vec::new());
    let mut left: Vec<_> = own.into_iter().map(|gate| (gate, true)).collect();
    while let Some((gate, is_own)) = left.pop() {
        let record = gates
            .gate(gate)?
            .filter(|record| record.result.is_none() && record.doomed.is_none());
        let Some(record) = record.filter(|_| seen.insert(gate)) else {
            continue;
        };
        if !is_own || record.spec.rings.len() > 1 {
            followed.push(gate);
        }
        left.extend(record.spec.upstream().into_iter().map(|gate| (gate, false)));
    }
    followed.sort_unstable();
    Ok(followed)
}

/// The records of gates, to be read only.
pub(super) struct Reader(pub(super) ReadOnlyTable<Account, &'static [u8]>);

/// Of its methods, only [`GateTable::gate`] is used.
impl GateTable for Reader {
    type Error = StateError;

    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, StateError> {
        let record = self.0.get(gate.0)?;
        record.map(|bytes| decode(bytes.value())).transpose()
    }

    fn put(&mut self, _: Address, _: &GateRecord, _: u64) -> Result<(), StateError> {
        Err(StateError::ReadOnly)
    }

    fn dependants(&self, _: Address) -> Result<Vec<Address>, StateError> {
        Err(StateError::ReadOnly)
    }

    fn add_dependant(&mut self, _: Address, _: Address) -> Result<(), StateError> {
        Err(StateError::ReadOnly)
    }

    fn changed_after(&self, _: u64) -> Result<Vec<Address>, StateError> {
        Err(StateError::ReadOnly)
    }
}

fn addresses(entries: redb::Range<'_, Account, ()>) -> Result<Vec<Address>, StateError> {
    let mut found = Vec::new();
    for entry in entries {
        found.push(Address(entry?.0.value()));
    }
    Ok(found)
}

fn cursor(number: u64, hash: [u8; 32]) -> Cursor {
    Cursor {
        number,
        hash: Digest(hash),
    }
}

pub(super) fn newest(transaction: &WriteTransaction) -> Result<Option<Cursor>, StateError> {
    let trail = transaction.open_table(TRAIL)?;
    let newest = trail.last()?;
    Ok(newest.map(|(number, hash)| cursor(number.value(), hash.value())))
}

/// Adds a cursor, and forgets the oldest if there are too many. Returns the height of the oldest that is left.
fn push_trail(transaction: &WriteTransaction, cursor: Cursor) -> Result<u64, StateError> {
    let mut trail = transaction.open_table(TRAIL)?;
    trail.insert(cursor.number, cursor.hash.0)?;
    while trail.len()? > TRAIL_LENGTH as u64 {
        trail.pop_first()?;
    }
    let oldest = trail.first()?;
    Ok(oldest.map_or(cursor.number, |(number, _)| number.value()))
}

/// Notes for good for which gates somebody asked whose gates are computed.
fn note_asked(
    transaction: &WriteTransaction,
    facts: &[GateFact],
    accepts: &dyn Fn(Address) -> bool,
) -> Result<(), StateError> {
    let mut asked = transaction.open_table(GATES_ASKED)?;
    for fact in facts {
        let Said::Event(GateEvent::Requested { requester, .. }) = &fact.said else {
            continue;
        };
        if accepts(*requester) && asked.get(fact.gate.0)?.is_none() {
            asked.insert(fact.gate.0, fact.block)?;
        }
    }
    Ok(())
}

/// Forgets votes on gates that nobody has asked for in the time in which a reorganisation is followed.
fn forget_unasked(
    transaction: &WriteTransaction,
    gates: &Gates<'_>,
    before: u64,
) -> Result<(), StateError> {
    let mut unasked = transaction.open_table(UNASKED)?;
    let mut old = Vec::new();
    for entry in unasked.range(..(before, [0; 20]))?.take(FORGOTTEN_AT_ONCE) {
        old.push(entry?.0.value());
    }
    for (block, gate) in old {
        unasked.remove((block, gate))?;
        if gates.gate(Address(gate))?.is_none() {
            forget_votes(transaction, Address(gate))?;
        }
    }
    Ok(())
}

/// Forgets everything that was read from the chain. What was signed stays. Returns the gates that were known.
fn forget_all_gates(transaction: &WriteTransaction) -> Result<Vec<Address>, StateError> {
    let mut gates = transaction.open_table(GATES)?;
    let mut known = Vec::new();
    for entry in gates.range::<Account>(..)? {
        known.push(Address(entry?.0.value()));
    }
    gates.retain(|_, _| false)?;
    transaction.open_table(DEPENDANTS)?.retain(|_, ()| false)?;
    transaction.open_table(CHANGED)?.retain(|_, ()| false)?;
    transaction.open_table(OPEN)?.retain(|_, ()| false)?;
    transaction.open_table(WAITING)?.retain(|_, ()| false)?;
    transaction.open_table(PAST)?.retain(|_, ()| false)?;
    transaction.open_table(TRANSACTIONS)?.retain(|_, _| false)?;
    Ok(known)
}
