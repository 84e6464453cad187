//! The types that other crates see: no type of the Ethereum library is among them.
//!
//! Positions: [`BlockRef`] and [`Cursor`]. What is sent: [`Call`]. The membership: [`RingTerms`] for a new ring,
//! [`RingState`] with [`Keeping`] for an existing one. What happened: a [`ChainEvent`] with its place is a [`Located`];
//! how a result was accepted is a [`RegisteredResult`]. Amounts are in wei, times in seconds since 1970, data is named
//! by its digest.

use rings_protocol::{
    crypto::{CryptoError, PublicKey, Signature},
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

/// The state of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateState {
    /// Every future is set.
    pub ready: bool,
    /// Every output pin is set, or the failure pin is.
    pub resolved: bool,
    /// It, or a gate that it waits for, has failed.
    pub failed: bool,
}

/// What a proven fork does to its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForkRule {
    /// It is removed from the ring: for rings of operators.
    Remove,
    /// It stays a member, and its log is frozen: for rings of people.
    Freeze,
}

/// An account that the keeper has announced as a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingEntry {
    /// The account.
    pub member: Address,
    /// Unix time, in seconds, from which on anybody can make it a member.
    pub settles_at: u64,
}

/// How the membership of a new ring can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingTerms {
    /// The account that announces entries and puts members out; `None` for a self-kept ring.
    pub keeper: Option<Address>,
    /// The time, in seconds, until what the keeper does counts. It never changes.
    pub entry_delay: u64,
    /// What a proven fork does to its author. It never changes.
    pub fork_rule: ForkRule,
}

/// Who can change the membership of a ring, and how fast. Two thirds of the members always can, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// The account that announces entries and puts members out; `None` for a self-kept ring.
    pub keeper: Option<Address>,
    /// The time, in seconds, until what the keeper does counts. It never changes.
    pub entry_delay: u64,
    /// What a proven fork does to its author. It never changes.
    pub fork_rule: ForkRule,
    /// Entries that are announced, and neither settled nor cancelled.
    pub pending: Vec<PendingEntry>,
}

/// A ring, read at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingState {
    /// The height of the block at which everything here was read.
    pub block: u64,
    /// The hash of that block. If the block is no longer canonical, read the ring again.
    pub hash: Digest,
    /// Members in the ring's own order.
    pub members: Vec<Address>,
    /// Counter of membership changes.
    pub epoch: u64,
    /// Signatures that a result needs.
    pub quorum: u64,
    /// Members that the quorum counts: also those that the keeper put out a short time ago.
    pub counted: u64,
    /// Who can change the membership, and how fast.
    pub keeping: Keeping,
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

/// What happened on chain. The engine emits requests, rings emit everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// Somebody asked the watched ring for a gate, new or not.
    GateRequested {
        /// Its address.
        gate: Address,
        /// Who asked.
        requester: Address,
        /// What the gate asks, read from its code, which its address commits to.
        spec: GateSpec,
    },
    /// A gate that a requested gate waits for, directly or not, is followed from now on.
    GateFollowed {
        /// Its address.
        gate: Address,
        /// What it asks.
        spec: GateSpec,
    },
    /// A ring accepted a result: all outputs of a gate, or the one pin of a failure.
    OutputsRegistered {
        /// The ring: the watched one, or another for a gate that is followed.
        ring: Address,
        /// The gate that it belongs to.
        gate: Address,
        /// The epoch of the signatures.
        epoch: u64,
        /// Output pins.
        pins: Vec<u128>,
        /// Digest of the data on each pin.
        cids: Vec<Digest>,
    },
    /// The primary ring of a gate was challenged because of its silence.
    PrimaryRingChallenged {
        /// The gate.
        gate: Address,
        /// Who did it.
        challenger: Address,
    },
    /// The fall-back rings of a gate may register its outputs from now on.
    FloodgateOpened {
        /// The gate.
        gate: Address,
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
    /// The keeper announced that an account shall become a member.
    EntryAnnounced {
        /// The account.
        member: Address,
        /// Unix time, in seconds, from which on anybody can make it a member.
        settles_at: u64,
    },
    /// An announced entry was cancelled.
    EntryCancelled {
        /// The account.
        member: Address,
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
    /// The members made this ring node the newest of the ring log.
    RingNodeRegistered {
        /// The digest of its header.
        node: Digest,
        /// The one before; zero for the first.
        prev: Digest,
        /// The epoch of the signatures.
        epoch: u64,
    },
    /// The head of a member's log moved on chain.
    HeadMoved {
        /// The member.
        member: Address,
        /// Where it is now.
        head: Digest,
    },
    /// A member was removed, or its log frozen, because it signed two nodes for one position.
    ForkProven {
        /// The member.
        member: Address,
        /// The position.
        seq: u64,
    },
}

/// An event and its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its block.
    pub block: BlockRef,
    /// Hash of its transaction.
    pub transaction: Digest,
    /// Its index among the events of the block.
    pub log_index: u64,
    /// What happened.
    pub event: ChainEvent,
}

/// A result as it was accepted by a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredResult {
    /// The ring that registered it.
    pub ring: Address,
    /// Hash of the transaction.
    pub transaction: Digest,
    /// Its block.
    pub block: BlockRef,
    /// Gas that the transaction used; `None` when the endpoint does not keep the receipt.
    pub gas_used: Option<u64>,
    /// The epoch of the signatures.
    pub epoch: u64,
    /// Output pins.
    pub pins: Vec<u128>,
    /// Digest of the data on each pin.
    pub cids: Vec<Digest>,
    /// Signatures in the order of the call; empty when the ring was called by another contract, or the endpoint does not
    /// keep the transaction.
    pub signatures: Vec<Signature>,
}

impl RegisteredResult {
    /// The accounts whose signatures were registered. `signed` is the digest of `Outputs` in the ring's domain, for this
    /// result.
    ///
    /// # Errors
    /// When a signature is invalid; the contract would not have accepted it.
    pub fn signers(&self, signed: &Digest) -> Result<Vec<Address>, CryptoError> {
        let signatures = self.signatures.iter();
        signatures
            .map(|signature| Ok(signature.recover(signed)?.address()))
            .collect()
    }
}

/// The history of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateHistory {
    /// What it asks.
    pub spec: GateSpec,
    /// The block that created it.
    pub created: BlockRef,
    /// Who asked for it, in order, each once.
    pub requesters: Vec<Address>,
}
