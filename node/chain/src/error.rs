//! Errors between this machine and the chain, and what the caller should do about each.
//!
//! A [`ChainError`] has its context in fields, and its text says what to do. Its [`Class`] tells a caller whether to
//! try again later, to give up, or to correct the request; [`ChainError::is_outage`] whether only waiting can help.
//! URLs are shown as scheme and host only, because the rest may hold a key.
//!
//! The error is `Clone`, with its cause shared, because callers that asked for the same thing at the same time get one
//! answer (`rpc/single.rs`). Failures of one exchange are `RpcFailure`s until `Chain` adds the endpoint and the method.
//! An error of a library never passes this crate's edge except as a cause.

use super::lacking::Lacking;
use rings_protocol::{crypto::CryptoError, Address};
use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

/// The cause of an error, shared so that several waiters can have the same one.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again later: the network, the provider or its load.
    Transient,
    /// Do not go on: a damaged or foreign journal.
    Fatal,
    /// The request itself is wrong and will fail again.
    Invalid,
}

/// Why something that needed the chain failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChainError {
    /// The URL is malformed, or its scheme is not supported.
    #[error(
        "the chain's URL {url} cannot be used ({reason}); give http://, https://, ws:// or wss://"
    )]
    Url {
        /// The URL without user, path and query, which may hold a key.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or it broke.
    #[error(
        "the chain at {endpoint} cannot be reached; check that it runs and that its URL is right"
    )]
    Unreachable {
        /// Scheme and host.
        endpoint: String,
        /// What the transport says.
        #[source]
        source: Cause,
    },
    /// The endpoint refuses because of too many requests.
    #[error("the chain at {endpoint} refused {method}: too many requests{}; wait, or use an endpoint that allows more", said(.wait))]
    RateLimited {
        /// Scheme and host.
        endpoint: String,
        /// JSON-RPC method.
        method: String,
        /// How long the endpoint wants us to wait, if it says so.
        wait: Option<Duration>,
    },
    /// The chain's endpoint took too long.
    #[error("the chain at {endpoint} did not answer {method} within {seconds} s; try again")]
    Timeout {
        /// Scheme and host.
        endpoint: String,
        /// JSON-RPC method.
        method: String,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The endpoint serves another chain than before.
    #[error(
        "the chain at {endpoint} has id {found}, not {expected}; point the URL at chain {expected}"
    )]
    WrongChain {
        /// Scheme and host.
        endpoint: String,
        /// The chain id that was seen first.
        expected: u64,
        /// The chain id that is served now.
        found: u64,
    },
    /// The endpoint answered with a JSON-RPC error.
    #[error("the chain at {endpoint} refused {method}: {message} (code {code})")]
    Refused {
        /// Scheme and host.
        endpoint: String,
        /// JSON-RPC method.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The endpoint's words.
        message: String,
    },
    /// The answer is larger than this node accepts.
    #[error("the chain's answer to {method} is larger than {limit} bytes; ask for less")]
    TooLarge {
        /// JSON-RPC method.
        method: String,
        /// The limit, in bytes.
        limit: u32,
    },
    /// The answer does not have the form that was expected.
    #[error(
        "the chain's answer to {method} cannot be read ({what}); check that the URL is that of an Ethereum endpoint"
    )]
    Malformed {
        /// JSON-RPC method, or the call of a contract.
        method: String,
        /// What is wrong with it.
        what: String,
    },
    /// The endpoint does not know this block (yet, or any more).
    #[error(
        "the chain has no block {number}; it may be behind, or the block was reorganised away"
    )]
    NoSuchBlock {
        /// The block that was asked for.
        number: u64,
    },
    /// A contract is not there, and the endpoint's chain may not be as far yet as the block in which it was made.
    #[error("the chain at {endpoint} has no {what} at {address}, and {why}; wait, or use another endpoint")]
    Behind {
        /// Scheme and host.
        endpoint: String,
        /// The address that was called.
        address: Address,
        /// Which contract was expected.
        what: &'static str,
        /// What shows that the endpoint is behind.
        why: Lacking,
    },
    /// A contract refused the call.
    #[error("the contract refused: {reason}")]
    Reverted {
        /// The contract's error in words.
        reason: String,
    },
    /// There is no contract of this project at the address.
    #[error("there is no {what} at {address}; check the address and the chain")]
    NotAContract {
        /// The address that was called.
        address: Address,
        /// Which contract was expected.
        what: &'static str,
    },
    /// The sender cannot pay.
    #[error("{account} cannot pay for the transaction ({message}); send it ether")]
    InsufficientFunds {
        /// The sender.
        account: Address,
        /// The endpoint's words.
        message: String,
    },
    /// The chain's price of gas is above what may be offered.
    #[error("the chain asks for {} gwei for each unit of gas, and at most {} are offered; wait until it is cheaper, or raise the fee cap", gwei(.price), gwei(.cap))]
    FeeCap {
        /// The chain's price, in wei for one gas.
        price: u128,
        /// The most that may be offered, in wei for one gas.
        cap: u128,
    },
    /// The chain lacks something that the contracts need.
    #[error("the chain {chain_id} cannot run the contracts: {what}")]
    Unsupported {
        /// Its chain id.
        chain_id: u64,
        /// What is missing, and what to do.
        what: String,
    },
    /// The endpoint will never take this transaction.
    #[error("the chain does not take the transaction: {reason}")]
    Transaction {
        /// The endpoint's words.
        reason: String,
    },
    /// The transaction journal cannot be read or written.
    #[error("the transaction journal {path} cannot be used; check the disk, or restore the file")]
    Journal {
        /// The journal's file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Cause,
    },
    /// Another process has the journal open.
    #[error("the transaction journal {path} is in use by another process; stop that one first")]
    JournalInUse {
        /// The journal's file.
        path: PathBuf,
    },
    /// The journal belongs to another account or chain.
    #[error(
        "the transaction journal {path} is for {found}, not for {expected}; use its own directory"
    )]
    JournalForeign {
        /// The journal's file.
        path: PathBuf,
        /// Whose it is: account and chain.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The submitter has been shut down.
    #[error("the submitter has stopped; its journal goes on when it is opened again")]
    Closed,
    /// Signing failed.
    #[error("a transaction could not be signed; check the key")]
    Key(#[from] CryptoError),
}

impl ChainError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. }
            | Self::RateLimited { .. }
            | Self::Timeout { .. }
            | Self::WrongChain { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::NoSuchBlock { .. }
            | Self::Behind { .. } => Class::Transient,
            Self::Key(error) if error.is_transient() => Class::Transient,
            Self::Journal { .. }
            | Self::JournalInUse { .. }
            | Self::JournalForeign { .. }
            | Self::Closed
            | Self::Key(_) => Class::Fatal,
            Self::Url { .. }
            | Self::TooLarge { .. }
            | Self::Reverted { .. }
            | Self::NotAContract { .. }
            | Self::InsufficientFunds { .. }
            | Self::FeeCap { .. }
            | Self::Unsupported { .. }
            | Self::Transaction { .. } => Class::Invalid,
        }
    }

    /// Whether the endpoint cannot be reached now, so that the caller can only wait.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::RateLimited { .. }
                | Self::Timeout { .. }
                | Self::WrongChain { .. }
        )
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        self.class() == Class::Transient
    }

    /// An answer that does not have the expected form.
    pub(crate) fn malformed(method: &str, what: impl ToString) -> Self {
        Self::Malformed {
            method: method.into(),
            what: what.to_string(),
        }
    }
}

/// The pause that an endpoint wants, in words.
fn said(wait: &Option<Duration>) -> String {
    match wait {
        Some(wait) => format!(" (it wants a pause of {} s)", wait.as_secs().max(1)),
        None => String::new(),
    }
}

/// Wei as gwei, with as many decimals as it needs and at most nine.
fn gwei(wei: &u128) -> String {
    const GWEI: u128 = 1_000_000_000;
    let decimals = format!("{:09}", wei % GWEI);
    match decimals.trim_end_matches('0') {
        "" => (wei / GWEI).to_string(),
        decimals => format!("{}.{decimals}", wei / GWEI),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_shown_in_gwei() {
        let error = ChainError::FeeCap {
            price: 5_000_000_000_000,
            cap: 1_500_000_000,
        };
        let said = error.to_string();
        assert!(
            said.contains("5000 gwei") && said.contains("at most 1.5 are"),
            "{said}"
        );
    }
}
