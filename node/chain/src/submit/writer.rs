//! The state of the task that owns the account's nonces.
//!
//! One [`Writer`] has all nonces in flight, the callers that wait for each purpose, the market's quote, and the chain's
//! head. Only this task changes them. Work that takes time is started as a future whose result comes back as a
//! [`Done`](super::done::Done); the other files of this module add the methods that handle each kind.
//!
//! The rule is that a signed transaction is in the journal before it is sent. After a crash, every transaction that any
//! pool may have is therefore known here, with its nonce, and can be looked up, sent again or replaced. The account
//! must not be used by anything else at the same time; where that happens all the same, the nonce that was taken is
//! noticed and the submission gets another.

use super::{
    config::SubmitterConfig,
    done::Done,
    flight::Flight,
    journal::{Change, TransactionJournal, KEPT_OUTCOMES},
    market::Market,
    record::{FlightRecord, Message},
    request::{answer, Submission, Waiter},
};
use crate::{chain::Chain, error::ChainError, header::Header, heads::Heads};
use futures::{future::BoxFuture, stream::FuturesUnordered, FutureExt};
use rings_protocol::{crypto::Signer, Address, Digest};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// How often new heads are asked for where they are not pushed.
pub(super) const HEAD_POLL: Duration = Duration::from_secs(1);

/// A submission that is complete except for its nonce.
#[derive(Clone)]
pub(super) struct Prepared {
    pub purpose: Digest,
    pub message: Message,
    /// The nonce that it had before another transaction took that nonce.
    pub taken: Option<u64>,
}

/// The task that owns the account's nonces and its journal.
pub(super) struct Writer {
    pub chain: Chain,
    pub key: Arc<dyn Signer>,
    pub account: Address,
    pub config: SubmitterConfig,
    /// Where each transaction is before it is sent.
    pub journal: TransactionJournal,
    /// Submissions that come in.
    pub requests: mpsc::Receiver<Submission>,
    /// New heads, where the chain pushes them.
    pub heads: Option<Heads>,
    /// What the chain charges now.
    pub market: Market,
    /// Every nonce that is not final.
    pub flights: BTreeMap<u64, Flight>,
    /// The nonce of each purpose in `flights`.
    pub purposes: HashMap<Digest, u64>,
    /// Who waits for a purpose that has no nonce yet.
    pub preparing: HashMap<Digest, Vec<Waiter>>,
    /// Submissions that get their nonces with the next commit.
    pub ready: Vec<Prepared>,
    /// Until when they wait, because there is no signature now.
    pub unsigned_until: Option<Instant>,
    /// The nonce of the next transaction.
    pub next_nonce: u64,
    /// The account's transactions that are mined, as far as is known.
    pub mined: u64,
    /// Whether the number of mined transactions is being asked for.
    pub counting: bool,
    /// When the number of mined transactions was asked for last.
    pub count_asked: Instant,
    /// When the number in `mined` was asked for, if the chain has told it since the start.
    pub counted_at: Option<Instant>,
    /// The newest head that was seen.
    pub head: Option<Header>,
    /// When the head was asked for last, where heads are not pushed.
    pub head_asked: Instant,
    /// Heads that were not the child of the one before.
    pub jumps: u64,
    /// Whether the newest block with a transaction of ours is known to be behind `head`.
    pub stands: bool,
    /// Whether the chain is being asked for that block.
    pub comparing: bool,
    /// Outcomes that are not in the journal yet. They may be lost, because the chain has them.
    pub dirty: BTreeSet<u64>,
    /// Since when a nonce without a transaction of ours blocks the others.
    pub gap_since: Option<Instant>,
    /// Questions to the chain that have no answer yet.
    pub work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// When flights are looked at next.
    pub tick_at: Instant,
}

impl Writer {
    /// Opens the journal and asks the chain where the account stands. Nothing is sent yet: `run` does that.
    pub(super) async fn open(
        path: &Path,
        chain: Chain,
        key: Arc<dyn Signer>,
        config: SubmitterConfig,
        requests: mpsc::Receiver<Submission>,
    ) -> Result<Self, ChainError> {
        let account = key.address();
        let journal = TransactionJournal::open(path, chain.id(), account)?;
        let rows = journal.load()?;
        let (mined, pending, market) = tokio::try_join!(
            chain.nonce(account),
            chain.pending_nonce(account),
            Market::ask(&chain),
        )?;
        let mut writer = Self {
            heads: chain.pushes().then(|| Heads::new(chain.clone(), HEAD_POLL)),
            chain,
            key,
            account,
            config,
            journal,
            requests,
            market,
            flights: BTreeMap::new(),
            purposes: HashMap::new(),
            preparing: HashMap::new(),
            ready: Vec::new(),
            unsigned_until: None,
            // The pool may have transactions of this account that the journal does not know, so it counts as well.
            next_nonce: pending.max(mined),
            mined,
            counting: false,
            count_asked: Instant::now(),
            counted_at: None,
            head: None,
            head_asked: Instant::now(),
            jumps: 0,
            stands: false,
            comparing: false,
            dirty: BTreeSet::new(),
            gap_since: None,
            work: FuturesUnordered::new(),
            tick_at: Instant::now(),
        };
        writer.take_up(rows).await?;
        Ok(writer)
    }

    /// Loads unfinished records, and removes those that are too old or belong to a history that the chain has lost.
    async fn take_up(&mut self, rows: Vec<(u64, FlightRecord)>) -> Result<(), ChainError> {
        let oldest = rows
            .last()
            .map_or(0, |(newest, _)| newest.saturating_sub(KEPT_OUTCOMES));
        let mut changes = Vec::new();
        for (nonce, record) in rows {
            // A final record whose nonce is not mined: the chain was replaced by another history, or by another chain
            // with the same id, as a development chain that began anew. What was sent there has never happened here.
            let lost = record.is_final() && nonce >= self.mined;
            if lost || (record.is_final() && nonce < oldest) {
                changes.push(Change::Remove(nonce));
                changes.extend(record.purpose.map(Change::Forget));
            } else if !record.is_final() {
                self.next_nonce = self.next_nonce.max(nonce + 1);
                self.purposes.extend(record.purpose.map(|p| (p, nonce)));
                self.flights.insert(nonce, Flight::resumed(record));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.journal.commit(changes).await
    }

    /// Starts work whose result comes back as a [`Done`].
    pub(super) fn start(&mut self, work: impl Future<Output = Done> + Send + 'static) {
        self.work.push(work.boxed());
    }

    /// Nonces that are not mined yet, lowest first.
    pub(super) fn pending(&self) -> impl Iterator<Item = u64> + '_ {
        self.flights
            .iter()
            .filter(|(_, flight)| flight.record.is_pending())
            .map(|(nonce, _)| *nonce)
    }

    /// Whether one more transaction may be in flight.
    pub(super) fn has_room(&self) -> bool {
        self.pending().count() + self.preparing.len() < self.config.in_flight
    }

    /// Whether there is something to check.
    pub(super) fn is_active(&self) -> bool {
        !self.dirty.is_empty() || self.is_in_doubt() || self.pending().next().is_some()
    }

    /// The chain's height, 0 while no head has been seen.
    pub(super) fn height(&self) -> u64 {
        self.head.as_ref().map_or(0, Header::height)
    }

    /// Nothing was sent for this purpose, and nothing will be.
    pub(super) fn refuse(&mut self, purpose: Digest, error: &ChainError) {
        let waiters = self.preparing.remove(&purpose).unwrap_or_default();
        answer(waiters, Err(error.clone()));
    }
}
