//! How much of each author's log was written to this disk today, and which votes cost nothing.
//!
//! The rules are in `core/quota.rs`. The counts are written in the same transaction as the nodes that they count, so
//! neither a crash nor a restart gives an author more room.

use super::{
    circuit::Reader,
    error::StateError,
    recorded::Recorded,
    records::{Cost, Duty, Usage},
    tables::{Account, ASKED, DUTIES, GATES, GATES_ASKED, LISTED, USAGE},
    MemberState,
};
use redb::ReadTransaction;
use rings_protocol::{circuit::GateTable, Address};

impl MemberState {
    /// What was counted for each author, on the day on which something was counted last.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn usage(&self) -> Result<Vec<(Address, Usage)>, StateError> {
        self.database.read(|transaction| {
            let mut usage = Vec::new();
            for entry in transaction.open_table(USAGE)?.range::<Account>(..)? {
                let (author, of) = entry?;
                let (day, nodes, bytes) = of.value();
                let cost = Cost { nodes, bytes };
                usage.push((Address(author.value()), Usage { day, cost }));
            }
            Ok(usage)
        })
    }

    /// How many messages of an author for a duty are on disk, if it is one: somebody whose gates are computed has asked for
    /// the gate, the request is held or listed, the ring node comes next.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn duty(&self, author: Address, duty: Duty) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let is_known = match duty {
                Duty::Gate(gate) => is_asked(transaction, gate)?,
                Duty::Request(request) => {
                    transaction.open_table(ASKED)?.get(request.0)?.is_some()
                        || transaction.open_table(LISTED)?.get(request.0)?.is_some()
                }
                Duty::RingNode(_) => true,
            };
            if !is_known {
                return Ok(None);
            }
            let count = transaction.open_table(DUTIES)?.get((author.0, key(duty)))?;
            Ok(Some(count.map_or(0, |count| count.value())))
        })
    }
}

/// Whether somebody asked for a gate whose gates are computed. A database of an earlier version knows it from the record
/// alone.
fn is_asked(transaction: &ReadTransaction, gate: Address) -> Result<bool, StateError> {
    if transaction.open_table(GATES_ASKED)?.get(gate.0)?.is_some() {
        return Ok(true);
    }
    let record = Reader(transaction.open_table(GATES)?).gate(gate)?;
    Ok(record.is_some_and(|record| !record.requesters.is_empty()))
}

/// Gates are known by their address, requests by the beginning of their digest, ring nodes by their number.
fn key(duty: Duty) -> Account {
    let mut key = [0; 20];
    match duty {
        Duty::Gate(gate) => key = gate.0,
        Duty::Request(request) => key.copy_from_slice(&request.0[..20]),
        Duty::RingNode(number) => key[12..].copy_from_slice(&number.to_be_bytes()),
    }
    key
}

/// Counts a message of another member for a duty.
pub(super) fn count_duty(
    table: &mut Recorded<'_, (Account, Account), u64>,
    author: Address,
    duty: Duty,
) -> Result<(), StateError> {
    let key = (author.0, key(duty));
    let before = table.get(key)?.map_or(0, |count| count.value());
    table.insert(key, before.saturating_add(1))?;
    Ok(())
}

/// Adds what a node costs to what is on disk.
pub(super) fn charge(
    table: &mut Recorded<'_, Account, (u64, u64, u64)>,
    author: Address,
    usage: Usage,
) -> Result<(), StateError> {
    let Usage { day, cost } = usage;
    table.insert(author.0, (day, cost.nodes, cost.bytes))?;
    Ok(())
}
