//! The words of the chain as the other rooms see them: no type of the Ethereum library is among them.

use rings_protocol::{
    crypto::{PublicKey, Signature},
    gate::GateSpec,
    Address, Digest,
};
use serde::{Deserialize, Serialize};

/// A block of the canonical chain, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Block hash.
    pub hash: Digest,
    /// Unix time of the block, in seconds.
    pub timestamp: u64,
}

/// A position in the chain up to which events have been processed, that block included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// Height.
    pub number: u64,
    /// Hash of the block at that height: tells whether it is still canonical.
    pub hash: Digest,
}

/// A message to the chain that is not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The receiver; `None` creates a contract.
    pub to: Option<Address>,
    /// Calldata, or the creation code.
    pub data: Vec<u8>,
    /// Wei that goes along.
    pub value: u128,
    /// Gas limit; `None` asks the chain for an estimate, which costs a round trip and finds reverts early.
    pub gas: Option<u64>,
}

impl Call {
    /// A call of a contract, without ether.
    pub fn contract(to: Address, data: Vec<u8>) -> Self {
        Self {
            to: Some(to),
            data,
            value: 0,
            gas: None,
        }
    }

    /// A transfer of ether (wei) to an account.
    pub fn transfer(to: Address, value: u128) -> Self {
        Self {
            to: Some(to),
            data: Vec::new(),
            value,
            gas: None,
        }
    }
}

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateState {
    /// Every future is set.
    pub ready: bool,
    /// Every output pin is set, or the failure pin is.
    pub resolved: bool,
    /// It, or a gate that it waits for, has failed.
    pub failed: bool,
}

/// A ring, read at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingState {
    /// The block at which everything here was read.
    pub block: u64,
    /// Members in the ring's own order.
    pub members: Vec<Address>,
    /// Counter of membership changes.
    pub epoch: u64,
    /// Signatures that a result needs.
    pub quorum: u64,
    /// The engine that owns the ring.
    pub engine: Address,
    /// Digest of each member's newest registered log node, in the order of `members`; zero when none.
    pub heads: Vec<Digest>,
    /// Digest of the newest ring node; zero when none.
    pub ring_node_head: Digest,
}

/// How a member can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The member's public key; its PeerId follows from it.
    pub public_key: PublicKey,
    /// Binary multiaddress.
    pub multiaddress: Vec<u8>,
}

/// An event of the engine, of the watched ring, or of some gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// A gate was made.
    GateCreated {
        /// Its address.
        gate: Address,
        /// What it asks.
        spec: GateSpec,
    },
    /// Somebody asked for a gate, new or not.
    GateRequested {
        /// Its address.
        gate: Address,
        /// Who asked.
        requester: Address,
    },
    /// An output pin was set. The gate may be one of another engine.
    OutputSet {
        /// The gate whose pin it is.
        gate: Address,
        /// Number of the pin.
        pin: u128,
        /// The token that it carries now.
        token: Digest,
    },
    /// The last output pin was set. The gate may be one of another engine.
    GateResolved {
        /// The gate.
        gate: Address,
        /// The ring that resolved it.
        ring: Address,
    },
    /// The gate resolved with a failure record. The gate may be one of another engine.
    GateFailed {
        /// The gate.
        gate: Address,
        /// The ring that said so.
        ring: Address,
    },
    /// An account became a member of the ring.
    Entered {
        /// The account.
        member: Address,
        /// The epoch that began with it.
        epoch: u64,
    },
    /// A member left the ring.
    Exited {
        /// The account.
        member: Address,
        /// The epoch that began with it.
        epoch: u64,
    },
    /// A member published how it can be reached.
    Announced {
        /// The member.
        member: Address,
        /// Its public key, which hashes to its address.
        public_key: PublicKey,
        /// Binary multiaddress, as published.
        multiaddress: Vec<u8>,
    },
    /// The ring accepted a result.
    OutputsRegistered {
        /// The gate that it belongs to.
        gate: Address,
        /// The epoch of the signatures.
        epoch: u64,
        /// Output pins.
        pins: Vec<u128>,
        /// Digest of the data on each pin.
        cids: Vec<Digest>,
    },
}

/// An event and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its block.
    pub block: BlockRef,
    /// Hash of its transaction.
    pub transaction: Digest,
    /// Its index among the logs of the block.
    pub log_index: u64,
    /// What happened.
    pub event: ChainEvent,
}

/// A result as it was accepted by a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Hash of the transaction.
    pub transaction: Digest,
    /// Its block.
    pub block: BlockRef,
    /// Gas that the transaction used.
    pub gas_used: u64,
    /// The epoch of the signatures.
    pub epoch: u64,
    /// Output pins.
    pub pins: Vec<u128>,
    /// Digest of the data on each pin.
    pub cids: Vec<Digest>,
    /// Signatures in the order of the call; empty when the ring was called by another contract.
    pub signatures: Vec<Signature>,
    /// Accounts that signed, recovered from `signatures`; empty when those are unknown.
    pub signers: Vec<Address>,
}

/// What the chain tells about the life of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateHistory {
    /// What it asks.
    pub spec: GateSpec,
    /// The block that created it.
    pub created: BlockRef,
    /// Who asked for it, in order, each once.
    pub requesters: Vec<Address>,
    /// The block that made it ready: its own, or the one that set its last future.
    pub ready: Option<BlockRef>,
}
