//! Requests of callers to the writer, and the answers.

use super::record::Outcome;
use crate::{
    error::ChainError,
    types::{BlockRef, Call},
};
use rings_protocol::Digest;
use tokio::sync::oneshot;

/// The outcome of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is in a block and succeeded.
    Mined {
        /// Hash of the transaction.
        transaction: Digest,
        /// Its block.
        block: BlockRef,
        /// Gas that it used.
        gas_used: u64,
    },
    /// It is in a block and reverted.
    Reverted {
        /// Hash of the transaction.
        transaction: Digest,
        /// The contract's error in words.
        reason: String,
    },
}

/// Where a caller waits for the outcome.
pub(super) type Waiter = oneshot::Sender<Result<Submitted, ChainError>>;

/// One submission on its way to the writer.
pub(super) struct Submission {
    pub purpose: Digest,
    pub call: Call,
    pub waiter: Waiter,
}

/// Tells all callers that still wait.
pub(super) fn answer(waiters: Vec<Waiter>, result: Result<Submitted, ChainError>) {
    for waiter in waiters {
        if waiter.send(result.clone()).is_err() {
            tracing::debug!("a caller did not wait until its submission ended");
        }
    }
}

impl From<&Outcome> for Submitted {
    fn from(outcome: &Outcome) -> Self {
        let transaction = outcome.transaction;
        match outcome.revert.clone() {
            None => Self::Mined {
                transaction,
                block: outcome.block,
                gas_used: outcome.gas_used,
            },
            Some(reason) => Self::Reverted {
                transaction,
                reason,
            },
        }
    }
}
