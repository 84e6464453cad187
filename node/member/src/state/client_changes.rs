//! What is written into the database of client rings: the records of actions, and the changes that those who come at the same
//! moment write together.

use super::{
    client_tables::{CURSORS, FLUSHES, NODES, OPEN, PLACES, SINCE, SIZES, SPENT, TIPS},
    error::StateError,
    tables::{decode, encode, Account, Word},
};
use redb::{ReadableTable, WriteTransaction};
use rings_protocol::{
    crypto::{CryptoError, Signature},
    flush::FlushStatus,
    log::LogNode,
    Address, Digest,
};
use serde::{Deserialize, Serialize};

/// An action of an avatar, as this member has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flush {
    /// The avatar's ring.
    pub ring: Address,
    /// Who acts.
    pub avatar: Address,
    /// `abi.encode(CompoundAction)`, in hexadecimal.
    mtx: String,
    /// The avatar's signature.
    signature: Signature,
    /// The height of the chain when it was taken in: its transaction is in a later block.
    pub since: u64,
    /// Whether this member wrote into its own log that it took it in.
    pub mine: bool,
    /// How far it is.
    pub status: FlushStatus,
}

/// What was paid for an avatar on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The day, counted from 1970.
    pub day: u64,
    /// The avatar's ring.
    pub ring: Address,
    /// The avatar.
    pub avatar: Address,
    /// Gas.
    pub gas: u64,
}

impl Flush {
    /// An action that was taken in.
    pub fn received(
        (ring, avatar): (Address, Address),
        mtx: &[u8],
        signature: Signature,
        since: u64,
        mine: bool,
    ) -> Self {
        Self {
            ring,
            avatar,
            mtx: hex::encode(mtx),
            signature,
            since,
            mine,
            status: FlushStatus::Received,
        }
    }

    /// The bytes of the action and of its signature.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn signed(&self) -> Result<(Vec<u8>, [u8; 65]), StateError> {
        let mtx = hex::decode(&self.mtx).map_err(|error| StateError::Format(error.into()))?;
        let bytes = self.signature.to_bytes();
        let checked: Result<_, CryptoError> = Signature::from_slice(&bytes);
        checked.map_err(|error| StateError::Format(error.into()))?;
        Ok((mtx, bytes))
    }
}

/// What is written together with what others write at the same moment.
pub(super) enum Change {
    Taken(Taken),
    Ended(Ending),
    Paid(Spent),
    /// All nodes of a member's log before this one were read.
    ReadUpTo(Address, u64),
}

impl Change {
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        match self {
            Self::Taken(taken) => taken.write(transaction),
            Self::Ended(ending) => ending.write(transaction),
            Self::Paid(spent) => spent.write(transaction),
            Self::ReadUpTo(member, next) => {
                transaction.open_table(CURSORS)?.insert(member.0, *next)?;
                Ok(())
            }
        }
    }
}

/// How an action ended, and what was paid for its avatar today.
pub(super) struct Ending {
    pub(super) msg_hash: Digest,
    pub(super) status: FlushStatus,
    pub(super) spent: Option<Spent>,
}

impl Ending {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let name = self.msg_hash.0;
        let mut flushes = transaction.open_table(FLUSHES)?;
        let record = flushes.get(name)?.map(|record| decode(record.value()));
        if let Some(record) = record {
            let status = self.status.clone();
            let flush = Flush { status, ..record? };
            flushes.insert(name, encode(&flush)?.as_slice())?;
        }
        transaction.open_table(OPEN)?.remove(name)?;
        let spent = self.spent.as_ref();
        spent.map_or(Ok(()), |spent| spent.write(transaction))
    }
}

impl Spent {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let mut spent = transaction.open_table(SPENT)?;
        spent.insert((self.ring.0, self.avatar.0), (self.day, self.gas))?;
        Ok(())
    }
}

/// What is written when nodes are taken in.
pub(super) struct Taken {
    ring: Address,
    nodes: Vec<TakenNode>,
    /// The name of the action that came with them, and its record.
    flush: Option<(Digest, Vec<u8>)>,
    now: u64,
}

/// A node as the index has it.
struct TakenNode {
    author: Account,
    seq: u64,
    digest: Word,
    bytes: u64,
}

impl TakenNode {
    fn of(node: &LogNode) -> Self {
        Self {
            author: node.author().0,
            seq: node.seq(),
            digest: node.digest().0,
            bytes: node.bytes().len() as u64,
        }
    }
}

impl Taken {
    /// Nodes that are new, and the action that came with them.
    pub(super) fn new(
        ring: Address,
        nodes: &[LogNode],
        flush: Option<(Digest, &Flush)>,
        now: u64,
    ) -> Result<Self, StateError> {
        Ok(Self {
            ring,
            nodes: nodes.iter().map(TakenNode::of).collect(),
            flush: match flush {
                Some((msg_hash, flush)) => Some((msg_hash, encode(flush)?)),
                None => None,
            },
            now,
        })
    }

    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let ring = self.ring.0;
        let mut index = transaction.open_table(NODES)?;
        let mut tips = transaction.open_table(TIPS)?;
        let mut places = transaction.open_table(PLACES)?;
        let mut since = transaction.open_table(SINCE)?;
        for node in &self.nodes {
            let (author, seq, digest) = (node.author, node.seq, node.digest);
            index.insert((ring, author, seq), digest)?;
            tips.insert((ring, author), (seq, digest))?;
            since.insert((ring, author), self.now)?;
            places.insert((ring, digest), (author, seq))?;
        }
        // What a ring takes on this disk is counted with its nodes, so that its limit holds after a restart too.
        let added: u64 = self.nodes.iter().map(|node| node.bytes).sum();
        let mut sizes = transaction.open_table(SIZES)?;
        let before = sizes.get(ring)?.map_or(0, |size| size.value());
        sizes.insert(ring, before.saturating_add(added))?;
        if let Some((msg_hash, record)) = &self.flush {
            let mut flushes = transaction.open_table(FLUSHES)?;
            flushes.insert(msg_hash.0, record.as_slice())?;
            transaction.open_table(OPEN)?.insert(msg_hash.0, ())?;
        }
        Ok(())
    }
}
