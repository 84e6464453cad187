//! The task that owns the account's nonces: takes submissions up, writes them down, sends them.

use super::{
    fees::{Fees, Market},
    flight::{Done, Flight},
    journal::{Change, Journal, KEPT_OUTCOMES},
    outcome::request,
    record::{Message, Outcome, Record, State},
    sign::sign,
    verdict::Verdict,
    Reply, Request, Submitted, SubmitterConfig,
};
use crate::{
    chain::{Chain, Header},
    convert::h256,
    error::ChainError,
    heads::Heads,
    types::Call,
};
use futures::{future::BoxFuture, stream::FuturesUnordered, FutureExt, StreamExt};
use rings_protocol::{crypto::SecretKey, Address, Digest};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// How often transactions in flight are looked after where new heads are pushed.
const TICK: Duration = Duration::from_millis(250);
/// The same where they are not: for a transaction of the last seconds, and for one of the last half minute.
const FAST_TICK: Duration = Duration::from_millis(5);
const SLOW_TICK: Duration = Duration::from_millis(100);
/// How often new heads are asked for where they are not pushed.
pub(super) const HEAD_POLL: Duration = Duration::from_secs(1);

/// A submission that has all it needs but a nonce.
pub(super) struct Prepared {
    pub purpose: Digest,
    pub message: Message,
    /// A nonce that it had, and that another transaction took.
    pub taken: Option<u64>,
}

pub(super) struct Writer {
    pub chain: Chain,
    pub key: SecretKey,
    pub account: Address,
    pub config: SubmitterConfig,
    pub journal: Journal,
    pub requests: mpsc::Receiver<Request>,
    /// New heads, where the chain pushes them.
    heads: Option<Heads>,
    pub market: Market,
    /// Every nonce that is not final.
    pub flights: BTreeMap<u64, Flight>,
    /// The nonce of each purpose in `flights`.
    pub purposes: HashMap<Digest, u64>,
    /// Who waits for a purpose that has no nonce yet.
    pub preparing: HashMap<Digest, Vec<Reply>>,
    pub ready: Vec<Prepared>,
    pub next_nonce: u64,
    /// The account's transactions that are mined, as far as is known.
    pub mined: u64,
    /// Whether that is being asked for.
    pub counting: bool,
    pub head: Option<Header>,
    /// When the head was asked for last, where heads are not pushed.
    pub head_asked: Instant,
    /// Outcomes that are not in the journal yet. Losing them loses nothing: the chain has them.
    pub dirty: BTreeSet<u64>,
    /// Since when a nonce without a transaction of ours blocks the others.
    pub gap_since: Option<Instant>,
    pub work: FuturesUnordered<BoxFuture<'static, Done>>,
    pub tick_at: Instant,
}

impl Writer {
    pub(super) async fn open(
        path: &Path,
        chain: Chain,
        key: SecretKey,
        config: SubmitterConfig,
        requests: mpsc::Receiver<Request>,
    ) -> Result<Self, ChainError> {
        let account = key.address();
        let journal = Journal::open(path, chain.id(), account)?;
        let rows = journal.load()?;
        let (mined, pending, market) = tokio::try_join!(
            chain.nonce(account),
            chain.pending_nonce(account),
            Market::ask(&chain),
        )?;
        let mut writer = Self {
            heads: chain.pushes().then(|| chain.heads(HEAD_POLL)),
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
            next_nonce: pending.max(mined),
            mined,
            counting: false,
            head: None,
            head_asked: Instant::now(),
            dirty: BTreeSet::new(),
            gap_since: None,
            work: FuturesUnordered::new(),
            tick_at: Instant::now(),
        };
        writer.take_up(rows).await?;
        Ok(writer)
    }

    /// Takes unfinished records up, and removes what is too old or of a history that the chain has lost.
    async fn take_up(&mut self, rows: Vec<(u64, Record)>) -> Result<(), ChainError> {
        let oldest = rows
            .last()
            .map_or(0, |(newest, _)| newest.saturating_sub(KEPT_OUTCOMES));
        let mut changes = Vec::new();
        for (nonce, record) in rows {
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

    /// Runs until `stop`, or until nobody can submit any more.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.resume();
        loop {
            let tick_at = self.tick_at;
            tokio::select! {
                () = stop.cancelled() => break,
                request = self.requests.recv(), if self.has_room() => match request {
                    Some(request) => self.accept_all(request),
                    None => break,
                },
                Some(done) = self.work.next(), if !self.work.is_empty() => self.handle(done).await,
                head = pushed(&mut self.heads) => self.on_head(head),
                () = tokio::time::sleep_until(tick_at), if self.is_active() => self.tick().await,
            }
            self.launch().await;
        }
        self.flush().await;
    }

    /// Sends again what an earlier run left, and looks whether it is mined already.
    fn resume(&mut self) {
        let nonces: Vec<_> = self.flights.keys().copied().collect();
        for nonce in nonces {
            self.check(nonce);
        }
    }

    /// Whether one more transaction may be in flight.
    fn has_room(&self) -> bool {
        self.room() > 0
    }

    fn room(&self) -> usize {
        let busy = self.pending().count() + self.preparing.len();
        self.config.in_flight.saturating_sub(busy)
    }

    /// Nonces that are not mined yet, lowest first.
    pub(super) fn pending(&self) -> impl Iterator<Item = u64> + '_ {
        self.flights
            .iter()
            .filter(|(_, flight)| flight.record.is_pending())
            .map(|(nonce, _)| *nonce)
    }

    fn is_active(&self) -> bool {
        !self.dirty.is_empty() || self.pending().next().is_some()
    }

    /// Takes a submission up, and those that are queued behind it, so that one commit serves them all.
    fn accept_all(&mut self, first: Request) {
        self.accept(first);
        while self.has_room() {
            match self.requests.try_recv() {
                Ok(request) => self.accept(request),
                Err(_) => break,
            }
        }
    }

    fn accept(&mut self, request: Request) {
        let Request {
            purpose,
            call,
            reply,
        } = request;
        if let Some(waiters) = self.preparing.get_mut(&purpose) {
            waiters.push(reply);
            return;
        }
        if let Some(nonce) = self.purposes.get(&purpose).copied() {
            return self.attach(nonce, reply);
        }
        // One short read of a small database: not worth a thread.
        match self.journal.find(purpose) {
            Err(error) => answer(vec![reply], Err(error)),
            Ok(found) => {
                self.preparing.insert(purpose, vec![reply]);
                match found.and_then(|(_, record)| record.outcome().cloned()) {
                    Some(outcome) => self.recall(purpose, call, outcome),
                    None => self.prepare(purpose, call),
                }
            }
        }
    }

    /// The purpose has a transaction: answer with its outcome, now or later.
    fn attach(&mut self, nonce: u64, reply: Reply) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            match flight.record.outcome() {
                Some(outcome) => answer(vec![reply], Ok(outcome.into())),
                None => flight.waiters.push(reply),
            }
        }
    }

    /// The purpose was final long ago: make sure that the chain still has its transaction.
    fn recall(&mut self, purpose: Digest, call: Call, outcome: Outcome) {
        let chain = self.chain.clone();
        let recalled = async move {
            let receipt = chain.receipt(h256(outcome.transaction)).await;
            Done::Recalled {
                purpose,
                call,
                outcome,
                stands: receipt.map(|receipt| receipt.is_some()),
            }
        };
        self.work.push(recalled.boxed());
    }

    /// Finds gas and fees. With a gas limit and fresh fees nothing is asked.
    pub(super) fn prepare(&mut self, purpose: Digest, call: Call) {
        let fresh = self.market.is_fresh(self.chain.pushes());
        if let (Some(gas), true) = (call.gas, fresh) {
            let message = Message::new(call, gas);
            self.make_ready(purpose, message);
        } else {
            let (chain, account) = (self.chain.clone(), self.account);
            let prepared = async move {
                let market = async {
                    match fresh {
                        true => Ok(None),
                        false => Market::ask(&chain).await.map(Some),
                    }
                };
                let (message, market) = tokio::join!(estimated(&chain, account, call), market);
                Done::Prepared {
                    purpose,
                    message,
                    market,
                }
            };
            self.work.push(prepared.boxed());
        }
        if self.market.is_old() {
            self.ask_market();
        }
    }

    pub(super) fn ask_market(&mut self) {
        let chain = self.chain.clone();
        let asked = async move { Done::Asked(Market::ask(&chain).await) };
        self.market.asking();
        self.work.push(asked.boxed());
    }

    pub(super) fn make_ready(&mut self, purpose: Digest, message: Message) {
        self.ready.push(Prepared {
            purpose,
            message,
            taken: None,
        });
    }

    /// Gives nonces to all that is ready, writes them down in one commit, and sends them.
    async fn launch(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        if !self.is_active() {
            self.tick_at = Instant::now() + self.first_tick();
        }
        let batch = std::mem::take(&mut self.ready);
        let purposes: Vec<_> = batch.iter().map(|prepared| prepared.purpose).collect();
        match self.write_down(batch).await {
            Ok(nonces) => {
                for (purpose, nonce) in purposes.into_iter().zip(nonces) {
                    self.fly(purpose, nonce);
                }
            }
            Err(error) => {
                for purpose in purposes {
                    self.refuse(purpose, &error);
                }
            }
        }
    }

    async fn write_down(&mut self, batch: Vec<Prepared>) -> Result<Vec<u64>, ChainError> {
        let fees = Fees::offer(self.market.quote, self.config.fee_cap);
        let mut changes = Vec::new();
        let mut records = Vec::new();
        for (nonce, prepared) in (self.next_nonce..).zip(batch) {
            let variant = sign(&self.key, self.chain.id(), nonce, &prepared.message, fees)?;
            let record = Record {
                purpose: Some(prepared.purpose),
                message: prepared.message,
                variants: vec![variant],
                state: State::Pending,
            };
            changes.extend(prepared.taken.map(Change::Remove));
            changes.push(Change::Put(nonce, Box::new(record.clone())));
            records.push((nonce, record));
        }
        self.journal.commit(changes).await?;
        let nonces = records.iter().map(|(nonce, _)| *nonce).collect();
        for (nonce, record) in records {
            self.next_nonce = nonce + 1;
            self.flights.insert(nonce, Flight::new(record));
        }
        Ok(nonces)
    }

    /// A transaction is in the journal: now it may leave.
    fn fly(&mut self, purpose: Digest, nonce: u64) {
        let waiters = self.preparing.remove(&purpose).unwrap_or_default();
        self.purposes.insert(purpose, nonce);
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.waiters = waiters;
        }
        self.broadcast(nonce);
    }

    /// Nothing was sent for this purpose, and nothing will be.
    pub(super) fn refuse(&mut self, purpose: Digest, error: &ChainError) {
        let waiters = self.preparing.remove(&purpose).unwrap_or_default();
        answer(waiters, Err(error.clone()));
    }

    /// How soon to look after a transaction that has just been sent.
    fn first_tick(&self) -> Duration {
        match self.chain.pushes() {
            true => TICK,
            false => FAST_TICK,
        }
    }

    /// How soon to look again. Where heads are not pushed, often at first, for a block may come at once.
    pub(super) fn tick_interval(&self) -> Duration {
        if self.chain.pushes() {
            return TICK;
        }
        let pending = self.flights.values().filter(|f| f.record.is_pending());
        let youngest = pending.map(|flight| flight.since.elapsed()).min();
        match youngest {
            Some(age) if age < Duration::from_secs(2) => FAST_TICK,
            Some(age) if age < Duration::from_secs(30) => SLOW_TICK,
            _ => HEAD_POLL,
        }
    }

    /// Writes the outcomes down that are not yet.
    pub(super) async fn flush(&mut self) {
        if self.dirty.is_empty() {
            return;
        }
        let changes = self.dirty.iter().filter_map(|nonce| {
            Some(Change::Put(
                *nonce,
                Box::new(self.flights.get(nonce)?.record.clone()),
            ))
        });
        match self.journal.commit(changes.collect()).await {
            Ok(()) => {
                for nonce in std::mem::take(&mut self.dirty) {
                    self.forget_final(nonce);
                }
            }
            Err(error) => tracing::error!(%error, "outcomes are not written down; trying again"),
        }
    }

    /// A final record is on disk, and need not be in memory.
    fn forget_final(&mut self, nonce: u64) {
        if !self
            .flights
            .get(&nonce)
            .is_some_and(|f| f.record.is_final())
        {
            return;
        }
        if let Some(purpose) = self.flights.remove(&nonce).and_then(|f| f.record.purpose) {
            self.purposes.remove(&purpose);
        }
    }
}

/// The next pushed head; never, where heads are not pushed.
async fn pushed(heads: &mut Option<Heads>) -> Result<Header, ChainError> {
    match heads {
        Some(heads) => heads.next().await,
        None => std::future::pending().await,
    }
}

/// The gas of a call, which is a quarter more than it needs now: the state may change until it runs.
async fn estimated(chain: &Chain, account: Address, call: Call) -> Result<Message, ChainError> {
    if let Some(gas) = call.gas {
        return Ok(Message::new(call, gas));
    }
    let mut message = Message::new(call, 0);
    let needed = chain
        .estimate(request(account, &message))
        .await
        .map_err(|error| poor(account, error))?;
    // A plain transfer needs what it needs.
    message.gas = if message.data.is_empty() && needed == 21_000 {
        needed
    } else {
        needed.saturating_add(needed / 4)
    };
    Ok(message)
}

/// An estimate refused for want of ether is a matter of the sender, not of the endpoint.
fn poor(account: Address, error: ChainError) -> ChainError {
    let words = match &error {
        ChainError::Refused { message, .. } => message,
        ChainError::Reverted { reason } => reason,
        _ => return error,
    };
    match Verdict::of_words(words) {
        Verdict::Unaffordable(message) => ChainError::InsufficientFunds { account, message },
        Verdict::Never(reason) => ChainError::Transaction { reason },
        _ => error,
    }
}

/// Tells all who wait; those who do not wait any more are no failure.
pub(super) fn answer(waiters: Vec<Reply>, result: Result<Submitted, ChainError>) {
    for waiter in waiters {
        if waiter.send(result.clone()).is_err() {
            tracing::debug!("a submission ended with nobody waiting");
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
