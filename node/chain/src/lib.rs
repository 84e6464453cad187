//! The chain behind Rings: what the contracts say, what happened on the chain since a cursor, and transactions that
//! take effect at most once, also when this process is killed.
//!
//! * [`Chain`] is the connection, and reads: contracts, blocks, and the history of a result.
//! * [`watch`] follows events from a durable cursor, through restarts and reorganisations. It hands pages of
//!   [`Located`] events and rewinds to one consumer, which stores each page with its cursor.
//! * [`calls`] builds calls of the contracts, and [`Submitter`] sends them from a durable journal.
//! * [`deploy`] puts the contracts on a chain.
//!
//! Data passes upwards: `rpc` (endpoints, their limits and failures) → `chain` (typed requests) → `accounts`, `reads`, `history`
//! and `fetch` (accounts, contracts and events) → `watch` and `submit`. [`ChainError`] says what went wrong and what to do;
//! [`Chain::trouble`] says what a running node waits for.
//!
//! Nothing here depends on one implementation of an Ethereum node, and no type of the Ethereum library leaves this crate.

mod abi;
mod accounts;
mod avatars;
mod backoff;
pub mod calls;
mod chain;
mod condition;
mod convert;
mod deploy;
mod error;
mod events;
mod fetch;
mod gate_code;
mod header;
mod heads;
mod history;
mod interest;
mod log_heads;
mod raw_event;
mod reads;
mod receipt;
mod revert;
mod rpc;
mod specs;
mod submit;
mod types;
mod watch;

pub use avatars::{AvatarState, Landed};
pub use chain::Chain;
pub use condition::Trouble;
pub use deploy::{create_ring, deploy, fund, Deployed, CREATE2_DEPLOYER};
pub use error::{Cause, ChainError, Class};
pub use rpc::{
    is_on_this_machine, ProviderState, CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_PROVIDERS,
    MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT,
};
pub use submit::{
    bare_transactions, Submitted, Submitter, SubmitterConfig, KEPT_OUTCOMES, SUBMIT_QUEUE,
};
pub use types::{
    BlockRef, Call, ChainEvent, Contact, Cursor, ForkRule, GateHistory, GateState, Keeping,
    Located, PendingEntry, RegisteredResult, RingState, RingTerms,
};
pub use watch::{watch, Update, WatchConfig, TRAIL_LENGTH};
