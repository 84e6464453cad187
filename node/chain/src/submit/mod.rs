//! Sends transactions, each exactly once, whatever happens to this process or to the chain.
//!
//! One task owns the account's nonces. It writes every signed transaction into a journal before it sends
//! it; several are in flight at once. When it is opened again it looks what became of the unfinished
//! ones and sends them again. A transaction that is stuck is replaced with higher fees; a nonce whose
//! transaction can never be mined is filled with a transfer of nothing, so that later ones do not wait.

mod fees;
mod flight;
mod journal;
mod outcome;
mod probe;
mod record;
mod repair;
mod sign;
mod verdict;
mod writer;

use crate::{
    chain::Chain,
    error::ChainError,
    types::{BlockRef, Call},
};
use rings_protocol::{cids::keccak256, crypto::SecretKey, Address, Digest};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, Mutex},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use journal::KEPT_OUTCOMES;
pub use probe::bare_transactions;

/// Submissions that wait to be taken up; beyond that `submit` waits itself.
pub const SUBMIT_QUEUE: usize = 256;

/// Tells the second try of a bounded call from the first.
const ESTIMATED: &[u8] = b"estimated";

/// How a submitter treats fees and time.
#[derive(Debug, Clone)]
pub struct SubmitterConfig {
    /// The most that one gas may cost, in wei.
    pub fee_cap: u128,
    /// After so long without a block, a transaction is sent again as it is.
    pub rebroadcast: Duration,
    /// After so long, and two more blocks, a transaction is replaced with higher fees.
    pub stuck: Duration,
    /// After so long, a nonce that is used by none of our transactions is given up, and the call sent with another.
    pub lost: Duration,
    /// Transactions in flight at once.
    pub in_flight: usize,
}

impl Default for SubmitterConfig {
    fn default() -> Self {
        Self {
            fee_cap: 500_000_000_000,
            rebroadcast: Duration::from_secs(10),
            stuck: Duration::from_secs(30),
            lost: Duration::from_secs(15),
            in_flight: 64,
        }
    }
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is in a block and did what it should.
    Mined {
        /// Hash of the transaction.
        transaction: Digest,
        /// Its block.
        block: BlockRef,
        /// Gas that it used.
        gas_used: u64,
    },
    /// It is in a block, and the contract refused.
    Reverted {
        /// Hash of the transaction.
        transaction: Digest,
        /// The contract's error in words.
        reason: String,
    },
}

type Reply = oneshot::Sender<Result<Submitted, ChainError>>;

/// One submission on its way to the task.
struct Request {
    purpose: Digest,
    call: Call,
    reply: Reply,
}

/// Sends transactions from one account. Cheap to clone; it stops when the last clone is dropped, and goes
/// on from its journal when it is opened again.
#[derive(Clone)]
pub struct Submitter {
    account: Address,
    requests: mpsc::Sender<Request>,
    stop: CancellationToken,
    /// Stops the task with the last clone.
    _guard: Arc<DropGuard>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Submitter {
    /// Opens the journal of an account (made if there is none) and takes up what is unfinished in it.
    ///
    /// # Errors
    /// The journal's own, of which [`ChainError::JournalInUse`] and [`ChainError::JournalForeign`] say that it
    /// is somebody else's; and when the chain cannot be asked.
    pub async fn open(
        path: impl AsRef<Path>,
        chain: Chain,
        key: SecretKey,
    ) -> Result<Self, ChainError> {
        Self::open_with(path, chain, key, SubmitterConfig::default()).await
    }

    /// The same with other fees and times.
    ///
    /// # Errors
    /// As [`Submitter::open`].
    pub async fn open_with(
        path: impl AsRef<Path>,
        chain: Chain,
        key: SecretKey,
        config: SubmitterConfig,
    ) -> Result<Self, ChainError> {
        let account = key.address();
        let (requests, queue) = mpsc::channel(SUBMIT_QUEUE);
        let stop = CancellationToken::new();
        let writer = writer::Writer::open(path.as_ref(), chain, key, config, queue).await?;
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
    /// cannot be reached this waits.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] when an estimate (`gas: None`) finds that the contract would refuse, in which case
    /// nothing was sent and the purpose is free again; likewise [`ChainError::InsufficientFunds`] and
    /// [`ChainError::Transaction`]. [`ChainError::Journal`] when it could not be written, so nothing was sent.
    /// [`ChainError::Closed`] after [`Submitter::shutdown`].
    pub async fn submit(&self, purpose: Digest, call: Call) -> Result<Submitted, ChainError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            purpose,
            call,
            reply,
        };
        let queued = self.requests.send(request).await;
        queued.map_err(|_| ChainError::Closed)?;
        answer.await.unwrap_or(Err(ChainError::Closed))
    }

    /// Sends a call whose gas limit is a bound by formula. Where the chain charges more than the formula knows (a new
    /// fork, a chain of another kind) it runs out of gas, and is sent once more with the chain's own estimate; that
    /// sends nothing if the contract would refuse in earnest.
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

    /// Stops, and returns when the journal is closed. What is in flight goes on at the next opening.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take() {
            if let Err(error) = task.await {
                tracing::error!(%error, "the submitter did not end well");
            }
        }
    }
}

impl std::fmt::Debug for Submitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Submitter({})", self.account)
    }
}
