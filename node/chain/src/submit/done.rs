//! Results of the work that the writer has started.
//!
//! The writer never waits for the chain itself. Each question runs as a future beside it and returns one of these, and
//! [`Writer`](super::writer::Writer) handles it in `run.rs`.

use super::{
    market::Market,
    record::{Message, Outcome},
};
use crate::{
    error::ChainError,
    header::Header,
    rpc::RpcFailure,
    types::{BlockRef, Call},
};
use ethers_core::types::H256;
use rings_protocol::Digest;

/// The result of one question to the chain.
pub(super) enum Done {
    /// Whether the outcome of a purpose that was final long ago still stands.
    Recalled {
        purpose: Digest,
        call: Call,
        outcome: Outcome,
        stands: Result<bool, ChainError>,
    },
    /// A submission has its gas, and the market a quote if it needed one.
    Prepared {
        purpose: Digest,
        message: Result<Message, ChainError>,
        /// Whether its gas is an estimate, to which a margin is added.
        estimated: bool,
        market: Option<Market>,
    },
    /// A new quote for fees.
    Asked(Result<Market, ChainError>),
    /// The endpoint's answer to a transaction.
    Sent {
        nonce: u64,
        result: Result<H256, RpcFailure>,
    },
    /// The outcome of a nonce, if there is one.
    Checked {
        nonce: u64,
        result: Result<Option<Outcome>, ChainError>,
    },
    /// How many of the account's transactions are mined.
    Counted(Result<u64, ChainError>),
    /// The account's next nonce as the pool sees it.
    Pooled {
        nonce: u64,
        next: Result<u64, ChainError>,
    },
    /// The newest head.
    Headed(Result<Header, ChainError>),
    /// Whether a block with a transaction of ours is still on the chain.
    Compared {
        block: BlockRef,
        /// How often heads had jumped when it was asked.
        jumps: u64,
        stands: Result<bool, ChainError>,
    },
}
