//! What a member must remember: the signing journal, the logs' indexes, the gates and the chain cursor.
//!
//! One redb database. Everything that one cause changes is written in one transaction: a page of chain events with
//! the cursor that ends it, a signature's result with the log node that carries it.

mod error;
mod logs;
mod open;
mod table;

pub use error::StateError;
pub use logs::Entry;
pub use open::Identity;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use rings_chain::{ChainEvent, Cursor, Located};
use rings_protocol::{
    circuit::{self, GateEvent, GateRecord, GateTable, Moment, Signal},
    log::LogNode,
    message::{Outputs, Vote},
    Address, Digest,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use table::Gates;

type Account = [u8; 20];
type Word = [u8; 32];

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// The signing journal: gate → the one result ever signed.
const JOURNAL: TableDefinition<'_, Account, Word> = TableDefinition::new("journal");
/// (author, sequence number) → digest of the node.
const NODES: TableDefinition<'_, (Account, u64), Word> = TableDefinition::new("nodes");
/// Author → end of its log.
const TIPS: TableDefinition<'_, Account, (u64, Word)> = TableDefinition::new("tips");
/// (gate, member) → the vote, DAG-CBOR.
const VOTES: TableDefinition<'_, (Account, Account), &[u8]> = TableDefinition::new("votes");
/// (member, gate): this member voted for another result than the chain holds.
const DIVERGED: TableDefinition<'_, (Account, Account), ()> = TableDefinition::new("diverged");
/// Gate → record, JSON.
const GATES: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("gates");
/// (gate, gate that waits for it).
const DEPENDANTS: TableDefinition<'_, (Account, Account), ()> = TableDefinition::new("dependants");
/// (block, gate whose record changed in it); pruned behind the cursor trail.
const CHANGED: TableDefinition<'_, (u64, Account), ()> = TableDefinition::new("changed");
/// Gates that are ready and not resolved.
const OPEN: TableDefinition<'_, Account, ()> = TableDefinition::new("open");
/// Gate → what the ring registered for it, JSON.
const REGISTERED: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("registered");

/// (author, sequence number) → another node that the author signed for a position that is held.
const FORKS: TableDefinition<'_, (Account, u64), &[u8]> = TableDefinition::new("forks");

const TRAIL: &str = "trail";
/// How many cursors are kept to find the place where a reorganisation began.
pub const MAX_TRAIL: usize = 128;
/// Bytes of the database that are kept in memory.
const CACHE_BYTES: usize = 4 << 20;

/// What the ring registered for a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The transaction.
    pub transaction: Digest,
    /// Number of its block.
    pub block: u64,
    /// Pins and digests.
    pub outputs: BTreeMap<u128, Digest>,
}

impl Registered {
    /// The outputs as votes name them; nothing if a contract of another kind emitted them.
    pub fn outputs(&self) -> Option<Outputs> {
        Outputs::new(self.outputs.iter().map(|(pin, cid)| (*pin, *cid))).ok()
    }
}

/// A member's memory.
pub struct State {
    database: Database,
}

impl State {
    /// Opens or creates the database at `path` for one member of one ring on one chain.
    ///
    /// # Errors
    /// [`StateError`]: locked by another process, damaged, or another member's.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, StateError> {
        open::open(path, identity).map(|database| Self { database })
    }

    /// The cursors up to which events are in the tables, newest last.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn trail(&self) -> Result<Vec<Cursor>, StateError> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let trail = match meta.get(TRAIL)? {
            Some(bytes) => table::decode(bytes.value())?,
            None => Vec::new(),
        };
        Ok(trail)
    }

    /// Takes in a page of events, with the cursor that ends it, in one transaction.
    ///
    /// # Errors
    /// [`StateError`]; then nothing of the page is stored.
    pub fn page(
        &self,
        ring: Address,
        events: &[Located],
        cursor: Cursor,
    ) -> Result<Vec<Signal>, StateError> {
        let transaction = self.database.begin_write()?;
        let mut signals = Vec::new();
        {
            let mut gates = Gates::open(&transaction)?;
            let mut registered = transaction.open_table(REGISTERED)?;
            for located in events {
                let at = Moment {
                    block: located.block.number,
                    time: located.block.timestamp,
                };
                if let ChainEvent::OutputsRegistered {
                    gate, pins, cids, ..
                } = &located.event
                {
                    let outputs = pins.iter().copied().zip(cids.iter().copied()).collect();
                    let (transaction, block) = (located.transaction, located.block.number);
                    let value = Registered {
                        transaction,
                        block,
                        outputs,
                    };
                    registered.insert(gate.0, table::encode(&value)?.as_slice())?;
                }
                if let Some((gate, event)) = gate_event(&located.event) {
                    signals.extend(circuit::apply(&mut gates, gate, &event, at)?);
                }
            }
            gates.index_open(ring)?;
        }
        push_trail(&transaction, cursor)?;
        transaction.commit()?;
        Ok(signals)
    }

    /// Takes back all that came after a cursor (`None`: everything). Returns the gates concerned.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn rewind(&self, ring: Address, to: Option<Cursor>) -> Result<Vec<Address>, StateError> {
        let transaction = self.database.begin_write()?;
        let changed;
        {
            let mut gates = Gates::open(&transaction)?;
            // Block 0 holds no gate: going back to it is going back to nothing.
            let block = to.map_or(0, |cursor| cursor.number);
            changed = circuit::rewind(&mut gates, block)?;
            gates.forget_changes_after(block)?;
            gates.index_open(ring)?;
            let mut registered = transaction.open_table(REGISTERED)?;
            for gate in &changed {
                if gates
                    .gate(*gate)?
                    .is_none_or(|record| record.resolved.is_none())
                {
                    registered.remove(gate.0)?;
                }
            }
        }
        cut_trail(&transaction, to)?;
        transaction.commit()?;
        Ok(changed)
    }

    /// The record of a gate.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn gate(&self, gate: Address) -> Result<Option<GateRecord>, StateError> {
        let transaction = self.database.begin_read()?;
        let gates = transaction.open_table(GATES)?;
        let record = gates.get(gate.0)?;
        record.map(|bytes| table::decode(bytes.value())).transpose()
    }

    /// This ring's gates that are ready and not resolved.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_gates(&self) -> Result<Vec<Address>, StateError> {
        let transaction = self.database.begin_read()?;
        let open = transaction.open_table(OPEN)?;
        let mut gates = Vec::new();
        for entry in open.range::<Account>(..)? {
            gates.push(Address(entry?.0.value()));
        }
        Ok(gates)
    }

    /// What the ring registered for a gate.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn registered(&self, gate: Address) -> Result<Option<Registered>, StateError> {
        let transaction = self.database.begin_read()?;
        let registered = transaction.open_table(REGISTERED)?;
        let value = registered.get(gate.0)?;
        value.map(|bytes| table::decode(bytes.value())).transpose()
    }

    /// Remembers members whose vote differs from the result.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn diverged(&self, pairs: &[(Address, Address)]) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(DIVERGED)?;
            for (gate, member) in pairs {
                table.insert((member.0, gate.0), ())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The gates for which a member voted for another result than the chain holds: `limit` of them at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn divergences(&self, member: Address, limit: usize) -> Result<Vec<Address>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(DIVERGED)?;
        let mut gates = Vec::new();
        for entry in table
            .range((member.0, [0; 20])..=(member.0, [0xff; 20]))?
            .take(limit)
        {
            gates.push(Address(entry?.0.value().1));
        }
        Ok(gates)
    }

    /// Keeps a node that contradicts one that is held: the two prove what their author did.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn fork(&self, node: &LogNode) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        transaction
            .open_table(FORKS)?
            .insert((node.author().0, node.seq()), node.bytes())?;
        transaction.commit()?;
        Ok(())
    }

    /// All votes seen on a gate.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn votes(&self, gate: Address) -> Result<Vec<(Address, Vote)>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(VOTES)?;
        let mut votes = Vec::new();
        for entry in table.range((gate.0, [0; 20])..=(gate.0, [0xff; 20]))? {
            let (key, value) = entry?;
            let vote = serde_ipld_dagcbor::from_slice(value.value())
                .map_err(|error| StateError::Format(error.into()))?;
            votes.push((Address(key.value().1), vote));
        }
        Ok(votes)
    }
}

fn gate_event(event: &ChainEvent) -> Option<(Address, GateEvent)> {
    match event {
        ChainEvent::GateCreated { gate, spec } => Some((*gate, GateEvent::Created(spec.clone()))),
        ChainEvent::GateRequested { gate, requester } => {
            Some((*gate, GateEvent::Requested(*requester)))
        }
        ChainEvent::OutputSet { gate, pin, token } => Some((
            *gate,
            GateEvent::OutputSet {
                pin: *pin,
                token: *token,
            },
        )),
        ChainEvent::GateResolved { gate, .. } => Some((*gate, GateEvent::Resolved)),
        _ => None,
    }
}

fn push_trail(transaction: &redb::WriteTransaction, cursor: Cursor) -> Result<(), StateError> {
    let mut meta = transaction.open_table(META)?;
    let mut trail: Vec<Cursor> = match meta.get(TRAIL)? {
        Some(bytes) => table::decode(bytes.value())?,
        None => Vec::new(),
    };
    if trail.last() != Some(&cursor) {
        trail.push(cursor);
    }
    let surplus = trail.len().saturating_sub(MAX_TRAIL);
    trail.drain(..surplus);
    let oldest = trail.first().map_or(0, |cursor| cursor.number);
    meta.insert(TRAIL, table::encode(&trail)?.as_slice())?;
    let mut changed = transaction.open_table(CHANGED)?;
    changed.retain_in(..(oldest, [0; 20]), |_, ()| false)?;
    Ok(())
}

fn cut_trail(transaction: &redb::WriteTransaction, to: Option<Cursor>) -> Result<(), StateError> {
    let mut meta = transaction.open_table(META)?;
    let mut trail: Vec<Cursor> = match meta.get(TRAIL)? {
        Some(bytes) => table::decode(bytes.value())?,
        None => Vec::new(),
    };
    trail.retain(|cursor| to.is_some_and(|to| cursor.number <= to.number));
    meta.insert(TRAIL, table::encode(&trail)?.as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests;
