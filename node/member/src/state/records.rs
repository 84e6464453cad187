//! Values that are passed into the state database and out of it.

use bytes::Bytes;
use rings_protocol::{
    circuit::GateEvent,
    gate::{Computation, GateSpec},
    log::LogNode,
    message::Vote,
    Address, Digest,
};

/// A fact about a gate from the chain, with its block and transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFact {
    /// The gate.
    pub gate: Address,
    /// What was said.
    pub said: Said,
    /// Number of the block.
    pub block: u64,
    /// The transaction.
    pub transaction: Digest,
}

/// A ring node that was registered, with its block and transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingNodeFact {
    /// The digest of its header.
    pub node: Digest,
    /// The one before; zero for the first.
    pub prev: Digest,
    /// Number of the block.
    pub block: u64,
    /// The transaction.
    pub transaction: Digest,
}

/// A ring node as the chain names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredNode {
    /// Its number in the ring log.
    pub number: u64,
    /// The digest of its header.
    pub digest: Digest,
    /// Number of the block in which it was registered.
    pub block: u64,
    /// The transaction that registered it.
    pub transaction: Digest,
}

/// What happened to a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What it asks. It is followed because another gate waits for it.
    Asks(GateSpec),
    /// Something happened to it.
    Event(GateEvent),
}

/// A log node of another member with the votes that it carries, checked and ready to be indexed.
#[derive(Debug, Clone)]
pub struct ReceivedNode {
    /// The node.
    pub node: LogNode,
    /// Its votes.
    pub votes: Vec<Vote>,
    /// What is counted of its author's quota with it.
    pub usage: Usage,
    /// What its messages are for that others asked of it.
    pub duties: Vec<Duty>,
}

/// What a member writes into its log because others ask it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// A vote on a gate.
    Gate(Address),
    /// A vote on a request.
    Request(Digest),
    /// A part in the ring node that has this number.
    RingNode(u64),
}

/// Members that signed two results for one computation, found while votes were stored.
pub type Equivocations = Vec<(Computation, Address)>;

/// What one node counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Nodes: one or none.
    pub nodes: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What was counted for an author on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Days since 1970.
    pub day: u64,
    /// What its nodes cost.
    pub cost: Cost,
}

impl Usage {
    /// The usage after a further node on `day`. What was counted on an earlier day is dropped.
    pub fn and(self, day: u64, cost: Cost) -> Self {
        let before = match self.day == day {
            true => self.cost,
            false => Cost::default(),
        };
        Self {
            day,
            cost: Cost {
                nodes: before.nodes.saturating_add(cost.nodes),
                bytes: before.bytes.saturating_add(cost.bytes),
            },
        }
    }
}

/// The data of one gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateData {
    /// The block in which it was over.
    pub block: u64,
    /// The data on its input pins, as far as they are set; the first is the operation.
    pub inputs: Vec<Digest>,
    /// Its outputs, or what this member voted for, by pin.
    pub outputs: Vec<(u128, Digest)>,
}

/// Blocks of a round, and those of earlier rounds that the block store has by now.
#[derive(Debug, Default)]
pub struct LateBlocks {
    /// Digest and bytes of blocks in DAG-CBOR.
    pub taken: Vec<(Digest, Bytes)>,
    /// The store has them.
    pub stored: Vec<Digest>,
}
