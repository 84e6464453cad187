//! The tables of the state database, and how records are written in them. A change here is a change of the format
//! (`open.rs`).

use super::error::StateError;
use redb::{ReadableTable, TableDefinition};
use rings_protocol::{Address, Digest};
use serde::{de::DeserializeOwned, Serialize};
use std::ops::Bound;

/// An address as a key.
pub(super) type Account = [u8; 20];
/// A digest as a key.
pub(super) type Word = [u8; 32];
/// A computation: gate, and hash of what its futures hold.
pub(super) type Work = (Account, Word);
/// Gate, hash of what its futures hold, member, epoch.
pub(super) type VoteKey = (Account, Word, Account, u64);

/// Request, member, hash of what its inputs resolved to.
pub(super) type RequestVoteKey = (Word, Account, Word);

/// A message in a log: author, position of its node, place in the node.
pub(super) type SaidKey = (Account, u64, u32);

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// The name of this database in its redo log, which no copy of it has.
pub(super) const REDO_NAME_KEY: &str = "redo_name";
/// The number of the last round that the database holds, as the redo log counts them.
pub(super) const REDO_NUMBER_KEY: &str = "redo_number";
/// The signing journal: computation → the one result ever signed. Nothing is ever removed from it.
pub(super) const JOURNAL: TableDefinition<'_, Work, Word> = TableDefinition::new("journal");
/// (author, sequence number) → digest of the node.
pub(super) const NODES: TableDefinition<'_, (Account, u64), Word> = TableDefinition::new("nodes");
/// Author → end of its log.
pub(super) const TIPS: TableDefinition<'_, Account, (u64, Word)> = TableDefinition::new("tips");
/// The votes, DAG-CBOR. An epoch may come back, so a member has votes in a few of them.
pub(super) const VOTES: TableDefinition<'_, VoteKey, &[u8]> = TableDefinition::new("votes");
/// (block, gate): votes on this gate were stored when events up to this block were known, and nobody had asked for it.
pub(super) const UNASKED: TableDefinition<'_, (u64, Account), ()> = TableDefinition::new("unasked");
/// (member, gate): this member voted for another result than the one on chain, or for two.
pub(super) const DIVERGED: TableDefinition<'_, (Account, Account), ()> =
    TableDefinition::new("diverged");
/// Author → the first position of its log that is held, where the copy began at a head on chain. Before it, only what is in
/// `earlier` is known.
pub(super) const HELD_FROM: TableDefinition<'_, Account, u64> = TableDefinition::new("held_from");
/// (author, position before the first that is held) → digest of the node: later nodes link to it, or somebody asked for it.
pub(super) const EARLIER: TableDefinition<'_, (Account, u64), Word> =
    TableDefinition::new("earlier");
/// Author → the first position of its log whose block must be here.
pub(super) const KEPT_FROM: TableDefinition<'_, Account, u64> = TableDefinition::new("kept_from");
/// Author → two nodes that it signed for one position, DAG-CBOR.
pub(super) const FORKS: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("forks");
/// Gate → record, JSON.
pub(super) const GATES: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("gates");
/// (gate, gate that waits for it).
pub(super) const DEPENDANTS: TableDefinition<'_, (Account, Account), ()> =
    TableDefinition::new("dependants");
/// (block, gate whose record changed in it); nothing is kept behind the trail.
pub(super) const CHANGED: TableDefinition<'_, (u64, Account), ()> = TableDefinition::new("changed");
/// Gates on which this ring may work.
pub(super) const OPEN: TableDefinition<'_, Account, ()> = TableDefinition::new("open");
/// Gates that were asked for and wait for others.
pub(super) const WAITING: TableDefinition<'_, Account, ()> = TableDefinition::new("waiting");
/// (block, gate that got its result in it, or can never get one since it).
pub(super) const PAST: TableDefinition<'_, (u64, Account), ()> = TableDefinition::new("past");
/// Gate → the transaction that registered its result.
pub(super) const TRANSACTIONS: TableDefinition<'_, Account, Word> =
    TableDefinition::new("transactions");
/// Gates for which an account asked whose gates are computed → the block in which it first did. Nothing is removed: a vote
/// on one of them costs its author nothing, however old it is.
pub(super) const GATES_ASKED: TableDefinition<'_, Account, u64> =
    TableDefinition::new("gates_asked");
/// (author, duty) → how many messages for it the author's log has. Nothing is removed: only the first few cost nothing.
pub(super) const DUTIES: TableDefinition<'_, (Account, Account), u64> =
    TableDefinition::new("duties");
/// Author → day since 1970, and the nodes and bytes of its log that were counted on it.
pub(super) const USAGE: TableDefinition<'_, Account, (u64, u64, u64)> =
    TableDefinition::new("usage");
/// Number of a block up to which events are in the tables → its hash.
pub(super) const TRAIL: TableDefinition<'_, u64, Word> = TableDefinition::new("trail");

/// The part of the signing journal that is for requests: (request, hash of what its inputs resolved to) → the one result
/// ever voted for. It is forgotten with the request.
pub(super) const REQUEST_JOURNAL: TableDefinition<'_, (Word, Word), Word> =
    TableDefinition::new("request_journal");
/// (first 8 bytes of the digest of a log node, its position in the log of its author). Digests of several nodes may begin alike,
/// so whoever finds a position compares the digest in `nodes`: the whole digest here would cost each node 24 bytes more.
pub(super) const PLACES: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("places");
/// Request → the account in whose log it stands, and the request's bytes.
pub(super) const ASKED: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("asked");
/// (request, member, hash of what its inputs resolved to) → the payload of the vote.
pub(super) const REQUEST_VOTES: TableDefinition<'_, RequestVoteKey, &[u8]> =
    TableDefinition::new("request_votes");
/// (number of ring nodes at that time, request): votes on a request were stored before anybody had asked it.
pub(super) const STRAY: TableDefinition<'_, (u64, Word), ()> = TableDefinition::new("stray");
/// What was asked in the own log (the digest of the request with an `until` of 0) → the newest request of it.
pub(super) const QUESTIONS: TableDefinition<'_, Word, Word> = TableDefinition::new("questions");
/// (member, slot) → what the member would choose; until a final ring node decides the slot.
pub(super) const CHOICES: TableDefinition<'_, (Account, Word), Word> =
    TableDefinition::new("choices");
/// The newest proposals of ring nodes of each member: where one stands → the payload of its message.
pub(super) const PROPOSED: TableDefinition<'_, SaidKey, &[u8]> = TableDefinition::new("proposed");
/// The newest endorsements of each member, in the same form.
pub(super) const ENDORSED: TableDefinition<'_, SaidKey, &[u8]> = TableDefinition::new("endorsed");
/// (number of ring nodes that were final then, request): the request was over at that time.
pub(super) const OVER: TableDefinition<'_, (u64, Word), ()> = TableDefinition::new("over");
/// (block, gate that got a result of this ring in it, which no final ring node lists) → seconds since 1970 when that was
/// read.
pub(super) const UNLISTED: TableDefinition<'_, (u64, Account), u64> =
    TableDefinition::new("unlisted");
/// Name of a read key of the ring → the epoch in which it was made, and the key, wrapped to this member's own account.
pub(super) const KEYS: TableDefinition<'_, Word, (u64, &[u8])> = TableDefinition::new("keys");
/// (epoch, name of a read key, author) → the name of its replica key: the author's log says that it seals in that epoch.
pub(super) const ROTATIONS: TableDefinition<'_, (u64, Word, Account), Word> =
    TableDefinition::new("rotations");
/// Number of a ring node → its digest, and block and transaction of its registration.
pub(super) const RING_NODES: TableDefinition<'_, u64, (Word, u64, Word)> =
    TableDefinition::new("ring_nodes");
/// Request or slot → number of the ring node that lists it (8 bytes, big-endian), and the bytes of the entry.
pub(super) const LISTED: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("listed");
/// (number of a ring node, request or slot that it lists).
pub(super) const LISTED_BY: TableDefinition<'_, (u64, Word), ()> =
    TableDefinition::new("listed_by");

/// Digest → the bytes of a block in DAG-CBOR that a round wrote, until the block store has it.
pub(super) const LATE: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("late");

/// How the digest of a node begins, as `places` has it.
pub(super) fn beginning_of(digest: Word) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Bytes of the database that are kept in memory.
pub(super) const CACHE_BYTES: usize = 4 << 20;

/// Nodes of a table by author and position, behind these, in that order, `limit` at most.
pub(super) fn nodes_behind(
    table: &impl ReadableTable<(Account, u64), Word>,
    after: Option<(Address, u64)>,
    limit: usize,
) -> Result<Vec<(Address, u64, Digest)>, StateError> {
    let start = match after {
        Some((author, seq)) => Bound::Excluded((author.0, seq)),
        None => Bound::Unbounded,
    };
    let range = table.range::<(Account, u64)>((start, Bound::Unbounded))?;
    let page = range.take(limit).map(|entry| {
        let (place, digest) = entry?;
        let (author, seq) = place.value();
        Ok((Address(author), seq, Digest(digest.value())))
    });
    page.collect()
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(value).map_err(|error| StateError::Format(error.into()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(bytes).map_err(|error| StateError::Format(error.into()))
}
