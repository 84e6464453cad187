//! The chain behind Rings: what the contracts say, what happened on the chain since a cursor, and
//! transactions that are sent exactly once.
//!
//! * [`Chain`] reads: contracts, blocks, and the history of a result.
//! * [`watch`] follows events from a durable cursor, through restarts and reorganisations.
//! * [`Submitter`] sends, from a durable journal, what [`calls`] has built.
//! * [`deploy`] puts the contracts on a chain.
//!
//! Nothing here rests on one implementation of an Ethereum node, and no type of the Ethereum library
//! leaves this crate.

mod abi;
pub mod calls;
mod chain;
mod convert;
mod deploy;
mod error;
mod events;
mod heads;
mod history;
mod pages;
mod reads;
mod revert;
mod rpc;
mod submit;
mod types;
mod watch;

pub use chain::Chain;
pub use deploy::{deploy, fund, Deployed, CREATE2_DEPLOYER};
pub use error::{Cause, ChainError, Class};
pub use rpc::{
    CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
    REQUEST_TIMEOUT,
};
pub use submit::{
    bare_transactions, Submitted, Submitter, SubmitterConfig, KEPT_OUTCOMES, SUBMIT_QUEUE,
};
pub use types::{
    BlockRef, Call, ChainEvent, Contact, Cursor, GateHistory, GateState, Located, Registration,
    RingState,
};
pub use watch::{watch, Update, WatchConfig, TRAIL_LENGTH};
