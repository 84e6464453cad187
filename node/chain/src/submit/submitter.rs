//! The handle with which callers submit transactions.
//!
//! A [`Submitter`] is a queue to the writer's task and nothing else. A caller names a purpose, a digest of what the
//! transaction is for. The journal maps each purpose to one transaction, so the same purpose submitted twice, even
//! after a crash in between, gives one transaction and one outcome. A caller that wants to try again after a failure
//! chooses another purpose.

use super::{
    config::SubmitterConfig,
    request::{Submission, Submitted},
    writer::Writer,
};
use crate::{chain::Chain, error::ChainError, types::Call};
use rings_protocol::{cids::keccak256, crypto::Signer, Address, Digest};
use std::{path::Path, sync::Arc};
use tokio::{
    sync::{mpsc, oneshot, Mutex},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Submissions that wait to be taken up; beyond that `submit` waits itself.
pub const SUBMIT_QUEUE: usize = 256;

/// Makes the purpose of the second try of a bounded call different from that of the first.
const ESTIMATED: &[u8] = b"estimated";

/// Sends transactions from one account. Cheap to clone; it stops when the last clone is dropped, and goes
/// on from its journal when it is opened again.
#[derive(Clone)]
pub struct Submitter {
    account: Address,
    requests: mpsc::Sender<Submission>,
    stop: CancellationToken,
    /// Stops the task with the last clone.
    _guard: Arc<DropGuard>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Submitter {
    /// Opens the journal of an account, or makes it, and goes on with the unfinished transactions in it.
    ///
    /// # Errors
    /// [`ChainError::JournalInUse`] when another process has it open, [`ChainError::JournalForeign`] when it is for another
    /// account or chain, [`ChainError::Journal`] when it cannot be read; and when the chain cannot be asked.
    pub async fn open(
        path: impl AsRef<Path>,
        chain: Chain,
        key: impl Signer + 'static,
    ) -> Result<Self, ChainError> {
        Self::open_with(path, chain, key, SubmitterConfig::default()).await
    }

    /// Opens the journal with other fees and times than the default ones.
    ///
    /// # Errors
    /// As [`Submitter::open`].
    pub async fn open_with(
        path: impl AsRef<Path>,
        chain: Chain,
        key: impl Signer + 'static,
        config: SubmitterConfig,
    ) -> Result<Self, ChainError> {
        let account = key.address();
        let (requests, queue) = mpsc::channel(SUBMIT_QUEUE);
        let stop = CancellationToken::new();
        let writer = Writer::open(path.as_ref(), chain, Arc::new(key), config, queue).await?;
        let task = tokio::spawn(writer.run(stop.clone()));
        Ok(Self {
            account,
            requests,
            _guard: Arc::new(stop.clone().drop_guard()),
            stop,
            task: Arc::new(Mutex::new(Some(task))),
        })
    }

    /// The account that sends and pays.
    pub fn account(&self) -> Address {
        self.account
    }

    /// Sends a call and waits until it is in a block.
    ///
    /// `purpose` names what it is for: submitting the same purpose again, also after a restart, gives the
    /// outcome of the first. Dropping the future does not take the transaction back. While the chain
    /// cannot be reached, or a signer gives no signature, this waits.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] when an estimate (`gas: None`) finds that the contract would refuse, in which case
    /// nothing was sent and the purpose is free again. The same holds for [`ChainError::FeeCap`] while gas is too
    /// expensive, [`ChainError::InsufficientFunds`] and [`ChainError::Transaction`]. These three may also be returned for
    /// a transaction of an earlier run that no pool takes; that one is still tried again. [`ChainError::Journal`] when it
    /// could not be written, so nothing was sent. [`ChainError::Closed`] after [`Submitter::shutdown`].
    pub async fn submit(&self, purpose: Digest, call: Call) -> Result<Submitted, ChainError> {
        let (waiter, answered) = oneshot::channel();
        let request = Submission {
            purpose,
            call,
            waiter,
        };
        let queued = self.requests.send(request).await;
        queued.map_err(|_| ChainError::Closed)?;
        answered.await.unwrap_or(Err(ChainError::Closed))
    }

    /// Sends a call whose gas limit is a bound by formula. Where the chain charges more than the formula knows (a new
    /// fork, a chain of another kind) it runs out of gas, and is sent once more with the chain's own estimate; that
    /// sends nothing if the call reverts even with enough gas.
    ///
    /// # Errors
    /// As [`Submitter::submit`].
    pub async fn submit_bounded(
        &self,
        purpose: Digest,
        call: Call,
    ) -> Result<Submitted, ChainError> {
        let estimated = Call {
            gas: None,
            ..call.clone()
        };
        let bound = call.gas;
        let first = self.submit(purpose, call).await?;
        if bound.is_none() || matches!(first, Submitted::Mined { .. }) {
            return Ok(first);
        }
        let again = keccak256(&[&purpose.0, ESTIMATED].concat());
        match self.submit(again, estimated).await {
            Err(ChainError::Reverted { .. }) => Ok(first),
            second => second,
        }
    }

    /// Stops, and returns when the journal is closed. Transactions in flight go on when it is opened again.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take() {
            if let Err(error) = task.await {
                tracing::error!(%error, "the submitter ended with an error");
            }
        }
    }
}

impl std::fmt::Debug for Submitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Submitter({})", self.account)
    }
}
