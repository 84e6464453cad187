//! The gates' records inside one write transaction, and the indexes over them.
//!
//! [`Gates`] is the table that `rings_protocol::circuit` works on. It remembers which records a transaction has changed
//! and brings the indexes up to date at the end: which gates are open, which wait for others, which are over, and which
//! changed in which block, so that a reorganisation finds them.
//!
//! The protocol decides what a record says; this file only stores it. Gates that are over are forgotten with all votes
//! on them, the oldest first, and only those that no reorganisation that is followed can change any more.

use super::{
    error::StateError,
    tables::{
        decode, encode, Account, Word, CHANGED, DEPENDANTS, GATES, OPEN, PAST, TRANSACTIONS, VOTES,
        WAITING,
    },
};
use redb::{ReadableTable, Table, WriteTransaction};
use rings_protocol::{
    circuit::{GateRecord, GateTable},
    Address, Digest,
};
use std::collections::BTreeSet;

/// The tables of the circuit in one write transaction.
pub(super) struct Gates<'a> {
    /// Gate to its record.
    gates: Table<'a, Account, &'static [u8]>,
    /// (gate, gate that waits for it).
    dependants: Table<'a, (Account, Account), ()>,
    /// (block, gate whose record changed in it).
    changed: Table<'a, (u64, Account), ()>,
    /// Gates that this ring may work on now.
    open: Table<'a, Account, ()>,
    /// Gates that were asked for and are not ready.
    waiting: Table<'a, Account, ()>,
    /// (block, gate that has been over since).
    past: Table<'a, (u64, Account), ()>,
    /// Gate to the transaction that registered its result.
    transactions: Table<'a, Account, Word>,
    /// Gates whose records this transaction has changed.
    touched: BTreeSet<Address>,
    /// Whether the gates of an account are computed.
    accepts: &'a dyn Fn(Address) -> bool,
}

impl<'a> Gates<'a> {
    pub fn open(
        transaction: &'a WriteTransaction,
        accepts: &'a dyn Fn(Address) -> bool,
    ) -> Result<Self, StateError> {
        Ok(Self {
            gates: transaction.open_table(GATES)?,
            dependants: transaction.open_table(DEPENDANTS)?,
            changed: transaction.open_table(CHANGED)?,
            open: transaction.open_table(OPEN)?,
            waiting: transaction.open_table(WAITING)?,
            past: transaction.open_table(PAST)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
            touched: BTreeSet::new(),
            accepts,
        })
    }

    /// Deletes the marks of changes after a block, which have been taken back.
    pub fn forget_changes_after(&mut self, block: u64) -> Result<(), StateError> {
        self.changed
            .retain_in((block + 1, [0; 20]).., |_, ()| false)?;
        self.past.retain_in((block + 1, [0; 20]).., |_, ()| false)?;
        Ok(())
    }

    /// Deletes the marks of changes before a block: no reorganisation that deep is followed.
    pub fn forget_changes_before(&mut self, block: u64) -> Result<(), StateError> {
        self.changed.retain_in(..(block, [0; 20]), |_, ()| false)?;
        Ok(())
    }

    /// Notes the transaction that registered a gate's result.
    pub fn registered_by(&mut self, gate: Address, transaction: Digest) -> Result<(), StateError> {
        self.transactions.insert(gate.0, transaction.0)?;
        Ok(())
    }

    /// Brings the indexes up to date with the records that this transaction changed.
    pub fn index(&mut self, ring: Address) -> Result<(), StateError> {
        for gate in std::mem::take(&mut self.touched) {
            let Some(record) = self.gate(gate)? else {
                continue;
            };
            set(&mut self.open, gate, record.is_open_for(ring))?;
            set(&mut self.waiting, gate, is_waiting(&record))?;
            match over_since(&record) {
                Some(block) => drop(self.past.insert((block, gate.0), ())?),
                None => drop(self.transactions.remove(gate.0)?),
            }
        }
        Ok(())
    }

    /// Forgets the oldest of those that were over before `block`, `limit` at most, until no more than `keep` are left.
    pub fn forget_past(
        &mut self,
        transaction: &WriteTransaction,
        (block, keep): (u64, u64),
        limit: usize,
    ) -> Result<(), StateError> {
        // Only the excess goes, and at most `limit` in one transaction, so that no page of the chain takes long.
        let excess = redb::ReadableTableMetadata::len(&self.past)?.saturating_sub(keep);
        let mut old = Vec::new();
        for entry in self.past.range(..(block, [0; 20]))?.take(limit) {
            old.push(entry?.0.value());
        }
        for (block, gate) in old.into_iter().take(excess as usize) {
            self.past.remove((block, gate))?;
            self.forget(transaction, Address(gate))?;
        }
        Ok(())
    }

    /// Forgets a gate and all votes on it.
    fn forget(&mut self, transaction: &WriteTransaction, gate: Address) -> Result<(), StateError> {
        if let Some(record) = self.gate(gate)? {
            for upstream in record.spec.upstream() {
                self.dependants.remove((upstream.0, gate.0))?;
            }
        }
        self.gates.remove(gate.0)?;
        self.transactions.remove(gate.0)?;
        forget_votes(transaction, gate)
    }

    fn read(&self, gate: Account) -> Result<Option<GateRecord>, StateError> {
        let record = self.gates.get(gate)?;
        record.map(|bytes| decode(bytes.value())).transpose()
    }
}

/// Removes all votes on a gate.
pub(super) fn forget_votes(
    transaction: &WriteTransaction,
    gate: Address,
) -> Result<(), StateError> {
    let mut votes = transaction.open_table(VOTES)?;
    let (first, last) = votes_on(gate);
    votes.retain_in(first..=last, |_, _| false)?;
    Ok(())
}

/// The first and the last key that a vote on a gate can have.
pub(super) fn votes_on(gate: Address) -> (super::tables::VoteKey, super::tables::VoteKey) {
    (
        (gate.0, [0; 32], [0; 20], 0),
        (gate.0, [0xff; 32], [0xff; 20], u64::MAX),
    )
}

fn set(table: &mut Table<'_, Account, ()>, gate: Address, holds: bool) -> Result<(), StateError> {
    match holds {
        true => table.insert(gate.0, ())?,
        false => table.remove(gate.0)?,
    };
    Ok(())
}

/// Whether somebody asked for it and its upstream gates have no result yet.
fn is_waiting(record: &GateRecord) -> bool {
    let is_decided = record.ready.is_some() || record.doomed.is_some() || record.result.is_some();
    !record.requesters.is_empty() && !is_decided
}

/// The block since which the gate is over: it has a result, or can never get one.
fn over_since(record: &GateRecord) -> Option<u64> {
    let result = record.result.as_ref().map(|result| result.block);
    result.or(record.doomed)
}

impl GateTable for Gates<'_> {
    type Error = StateError;

    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, StateError> {
        self.read(gate.0)
    }

    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), StateError> {
        self.gates.insert(gate.0, encode(record)?.as_slice())?;
        self.changed.insert((block, gate.0), ())?;
        self.touched.insert(gate);
        Ok(())
    }

    fn dependants(&self, gate: Address) -> Result<Vec<Address>, StateError> {
        let mut found = Vec::new();
        for entry in self
            .dependants
            .range((gate.0, [0; 20])..=(gate.0, [0xff; 20]))?
        {
            found.push(Address(entry?.0.value().1));
        }
        Ok(found)
    }

    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), StateError> {
        self.dependants.insert((gate.0, dependant.0), ())?;
        Ok(())
    }

    fn changed_after(&self, block: u64) -> Result<Vec<Address>, StateError> {
        let mut gates = BTreeSet::new();
        for entry in self.changed.range((block + 1, [0; 20])..)? {
            gates.insert(Address(entry?.0.value().1));
        }
        Ok(gates.into_iter().collect())
    }

    fn is_accepted(&self, requester: Address) -> bool {
        (self.accepts)(requester)
    }
}
