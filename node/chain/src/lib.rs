//! The chain behind Rings: what the contracts say, what happened on the chain since a cursor, and transactions that
//! take effect at most once, also when this process is killed.
//!
//! * [`Chain`] is the connection, and reads: contracts, blocks, and the history of a result.
//! * [`watch`] follows events from a durable cursor, through restarts and reorganisations. It hands pages of
//!   [`Located`] events and rewinds to one consumer, which stores each page with its cursor.
//! * [`calls`] builds calls of the contracts, and [`Submitter`] sends them from a durable journal.
//! * [`deploy`] puts the contracts on a chain, and [`register`] an entry into the chain's registry of services and processes.
//!
//! Data passes upwards: `rpc` (endpoints, their limits and failures) → `chain` (typed requests) → `accounts`, `reads`,
//! `history` and `fetch` (accounts, contracts and events) → `watch` and `submit`. [`ChainError`] says what went wrong and
//! what to do; [`Chain::trouble`] says what a running node waits for.
//!
//! Nothing here depends on one implementation of an Ethereum node, and no type of the Ethereum library leaves this crate.
//!
//! # What a caller can rely on
//!
//! * **Events come once, in order.** Each page of [`watch`] ends with a cursor. A consumer that stores cursor and effects
//!   in one transaction takes in each event exactly once, also when its process is killed.
//! * **What is undone is told.** After a reorganisation, or when an event had been missed, [`Update::Rewind`] names the
//!   newest cursor that still holds. All after it is told again.
//! * **A transaction takes effect at most once.** Each has a purpose that the caller names. [`Submitter`] writes the
//!   signed transaction into its journal before it sends it, and gives the outcome of the first for each later call with
//!   the same purpose, also after a restart. Only one task gives out nonces.
//! * **Endpoints are not trusted beyond need.** A block near the head is asked for by its hash, so an endpoint that is
//!   behind gives an error and not an empty answer. With `agree` above one ([`Chain::connect_to`]), what would cost if it
//!   were a lie counts only when that many endpoints say the same.
//! * **Outages are waited for.** [`watch`] does not end because of an endpoint; [`Chain::trouble`] says what it waits
//!   for.
//! * **No secret is shown.** Of an endpoint's URL only scheme and host are in messages and logs, because its path may
//!   hold a key.

mod abi;
mod accounts;
mod avatars;
mod backoff;
pub mod calls;
mod chain;
mod condition;
mod contract_logs;
mod convert;
mod deploy;
mod error;
mod events;
mod fetch;
mod gate_code;
mod gate_results;
mod header;
mod heads;
mod history;
mod interest;
mod lacking;
mod log_heads;
mod presence;
mod raw_event;
mod reads;
mod receipt;
mod registry;
mod revert;
mod rpc;
mod specs;
mod submit;
mod types;
mod watch;

pub use avatars::{AvatarState, Landed};
pub use chain::Chain;
pub use condition::Trouble;
pub use contract_logs::ContractLog;
pub use deploy::{create_ring, deploy, ensure_registry, fund, Deployed};
pub use error::{Cause, ChainError, Class};
pub use gate_code::CREATE2_DEPLOYER;
pub use gate_results::GateOutcome;
pub use lacking::Lacking;
pub use registry::{
    register, registry_address, withdraw, Registered, Registration, RegistryEntry, RegistryPage,
    MAX_REGISTERED_NAME, MAX_REGISTERED_VERSION, REGISTRY_PAGE,
};
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
