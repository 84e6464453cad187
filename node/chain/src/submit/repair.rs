//! What goes wrong with transactions after they were sent: stuck, lost, impossible, reorganised away.

use super::{
    fees::Fees,
    flight::{Done, Flight, FINAL_DEPTH},
    journal::Change,
    record::{Message, Record, State},
    sign::sign,
    writer::{answer, Prepared, Writer, HEAD_POLL},
};
use crate::{
    chain::{Chain, Header},
    error::ChainError,
};
use futures::FutureExt;
use rings_protocol::Digest;
use std::time::Duration;
use tokio::time::Instant;

/// Blocks that must have passed a transaction over before it counts as stuck.
const STUCK_BLOCKS: u64 = 2;
/// A transaction that a pool has taken is in it as the account's next after so long, unless the pool has lost
/// or misplaced it. Four times as long after each replacement, for some pools do not tell.
const MISPLACED: Duration = Duration::from_secs(1);
/// After a failure of the journal, the next attempt waits so long.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

impl Writer {
    /// Looks after everything that is in flight.
    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self
            .pending()
            .filter(|nonce| self.is_due(*nonce, now))
            .collect();
        for nonce in due {
            self.send_again(nonce).await;
        }
        let lowest = self.pending().next();
        if let Some(lowest) = lowest {
            self.push_through(lowest, now).await;
            self.look();
        }
        if !self.market.is_fresh(self.chain.pushes()) || self.market.is_old() {
            self.ask_market();
        }
        if !self.chain.pushes() && self.head_asked.elapsed() >= HEAD_POLL {
            self.ask_head();
        }
        self.flush().await;
        self.tick_at = Instant::now() + self.tick_interval();
    }

    /// Whether it is time to send this nonce's transaction again.
    fn is_due(&self, nonce: u64, now: Instant) -> bool {
        self.flights.get(&nonce).is_some_and(|flight| {
            let silent = |at: Instant| now >= at + self.config.rebroadcast;
            flight.retry_at.is_some_and(|at| now >= at) || flight.sent.is_some_and(silent)
        })
    }

    async fn send_again(&mut self, nonce: u64) {
        let raise = self
            .flights
            .get_mut(&nonce)
            .is_some_and(|flight| std::mem::take(&mut flight.raise));
        if raise && !self.raise(nonce).await {
            tracing::warn!(
                nonce,
                "a transaction offers too little, and the fee cap is reached"
            );
        }
        self.broadcast(nonce);
    }

    /// The lowest nonce holds up all others: replaces it when blocks pass it over.
    async fn push_through(&mut self, nonce: u64, now: Instant) {
        let height = self.height();
        let stuck = self.flights.get(&nonce).is_some_and(|flight| {
            let passed_over = |at: u64| height >= at + STUCK_BLOCKS;
            now >= flight.since + self.config.stuck && flight.height.is_some_and(passed_over)
        });
        if now >= self.gap_check_at(nonce) {
            self.count();
        }
        self.ask_pool(nonce, now);
        if stuck && self.raise(nonce).await {
            tracing::info!(nonce, "a transaction is stuck; sent again with higher fees");
            self.broadcast(nonce);
        }
    }

    /// Asks whether the pool counts the lowest nonce as the account's next.
    fn ask_pool(&mut self, nonce: u64, now: Instant) {
        let due = self.flights.get(&nonce).is_some_and(|flight| {
            let patience = MISPLACED.saturating_mul(4u32.saturating_pow(flight.replaced));
            flight.accepted && now >= flight.since + patience
        });
        if !due {
            return;
        }
        let (chain, account) = (self.chain.clone(), self.account);
        let asking = async move {
            let next = chain.pending_nonce(account).await;
            Done::Pooled { nonce, next }
        };
        self.work.push(asking.boxed());
    }

    /// A pool that took a transaction and does not count it has dropped it, or keeps it among those that wait for
    /// another one (anvil does, when that other one was mined at that moment). Sending it again mends the
    /// first, replacing it the second.
    pub(super) async fn on_pooled(&mut self, nonce: u64, next: Result<u64, ChainError>) {
        let counted = next.map_or(true, |next| next > nonce);
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if counted || !flight.record.is_pending() {
            flight.nudged = false;
            return;
        }
        if std::mem::replace(&mut flight.nudged, true) {
            flight.nudged = false;
            flight.replaced += 1;
            tracing::info!(
                nonce,
                "a transaction is misplaced in the pool; replacing it"
            );
            if !self.raise(nonce).await {
                return;
            }
        }
        self.broadcast(nonce);
    }

    /// When to ask whether something below this nonce is missing.
    fn gap_check_at(&self, nonce: u64) -> Instant {
        let since = self.flights.get(&nonce).map(|flight| flight.since);
        since.unwrap_or_else(Instant::now) + self.config.rebroadcast
    }

    /// Signs a nonce again with fees raised by an eighth, and writes it down. `false` when the cap is
    /// reached or the journal fails.
    async fn raise(&mut self, nonce: u64) -> bool {
        let Some(flight) = self.flights.get(&nonce) else {
            return false;
        };
        let raised = flight
            .record
            .variants
            .last()
            .and_then(|variant| variant.fees.raise(self.market.quote, self.config.fee_cap));
        let Some(fees) = raised else {
            return false;
        };
        let mut record = flight.record.clone();
        match sign(&self.key, self.chain.id(), nonce, &record.message, fees) {
            Ok(variant) => record.variants.push(variant),
            Err(error) => {
                tracing::error!(nonce, %error, "cannot replace a transaction");
                return false;
            }
        }
        self.replace(nonce, record, Vec::new()).await
    }

    /// Writes a nonce's record anew, and then takes it over.
    async fn replace(&mut self, nonce: u64, record: Record, mut changes: Vec<Change>) -> bool {
        changes.push(Change::Put(nonce, Box::new(record.clone())));
        if let Err(error) = self.journal.commit(changes).await {
            tracing::error!(nonce, %error, "cannot write a transaction down; it is not sent");
            if let Some(flight) = self.flights.get_mut(&nonce) {
                flight.retry_at = Some(Instant::now() + JOURNAL_PAUSE);
            }
            return false;
        }
        let flight = self
            .flights
            .entry(nonce)
            .or_insert_with(|| Flight::new(record.clone()));
        flight.record = record;
        flight.since = Instant::now();
        flight.height = None;
        true
    }

    /// A transaction that no pool ever took: tells those who wait, and frees or fills its nonce.
    pub(super) async fn abandon(&mut self, nonce: u64, error: ChainError) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        answer(std::mem::take(&mut flight.waiters), Err(error));
        let purpose = flight.record.purpose.take();
        let forget: Vec<_> = purpose.map(Change::Forget).into_iter().collect();
        if let Some(purpose) = purpose {
            self.purposes.remove(&purpose);
        }
        if nonce + 1 == self.next_nonce {
            self.free_tail(forget).await;
        } else {
            self.fill(nonce, forget).await;
        }
    }

    /// Gives back the highest nonces as long as nothing that was taken has them.
    async fn free_tail(&mut self, mut changes: Vec<Change>) {
        let free: Vec<_> = self
            .flights
            .iter()
            .rev()
            .zip((0..self.next_nonce).rev())
            .take_while(|((nonce, flight), expected)| **nonce == *expected && flight.is_void())
            .map(|((nonce, _), _)| *nonce)
            .collect();
        changes.extend(free.iter().copied().map(Change::Remove));
        if let Err(error) = self.journal.commit(changes).await {
            // The records stay as they are and are sent again: a nonce is used, and nothing is lost.
            tracing::error!(%error, "cannot give a nonce back");
            return;
        }
        for nonce in free {
            self.flights.remove(&nonce);
            self.next_nonce = nonce;
        }
    }

    /// Puts a transfer of nothing on a nonce, so that later ones need not wait for ever.
    async fn fill(&mut self, nonce: u64, changes: Vec<Change>) {
        let message = Message::filler(self.account);
        let before = self
            .flights
            .get(&nonce)
            .and_then(|f| f.record.variants.last());
        let offer = Fees::offer(self.market.quote, self.config.fee_cap);
        let fees = before
            .and_then(|variant| variant.fees.raise(self.market.quote, self.config.fee_cap))
            .unwrap_or(offer);
        let variant = match sign(&self.key, self.chain.id(), nonce, &message, fees) {
            Ok(variant) => variant,
            Err(error) => {
                tracing::error!(nonce, %error, "cannot fill a nonce");
                return;
            }
        };
        tracing::warn!(nonce, "filling a nonce whose transaction cannot be mined");
        let record = Record {
            purpose: None,
            message,
            variants: vec![variant],
            state: State::Pending,
        };
        if self.replace(nonce, record, changes).await {
            self.broadcast(nonce);
        }
    }

    pub(super) async fn on_counted(&mut self, count: Result<u64, ChainError>) {
        self.counting = false;
        let count = match count {
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, "the account's nonce could not be asked for");
                return;
            }
        };
        self.mined = count;
        self.next_nonce = self.next_nonce.max(count);
        let mined: Vec<_> = self.pending().take_while(|nonce| *nonce < count).collect();
        for nonce in mined {
            self.check(nonce);
        }
        self.mind_gap(count).await;
    }

    /// The next nonce to be mined should be one of ours. If it is not, and that does not change, something
    /// is missing, and nothing behind it can be mined.
    async fn mind_gap(&mut self, count: u64) {
        let gap = self.pending().next().is_some_and(|lowest| lowest > count)
            && !self.flights.contains_key(&count);
        if !gap {
            self.gap_since = None;
            return;
        }
        let since = *self.gap_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.config.rebroadcast {
            self.gap_since = None;
            self.fill(count, Vec::new()).await;
        }
    }

    /// No receipt. When the nonce is used all the same, and stays so, another transaction took it: the
    /// call goes on with a new nonce.
    pub(super) async fn on_missing(&mut self, nonce: u64) {
        let used = nonce < self.mined;
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if !used {
            flight.lost_since = None;
            return;
        }
        let since = *flight.lost_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.config.lost {
            return;
        }
        tracing::warn!(nonce, "another transaction of this account took the nonce");
        match flight.record.purpose {
            Some(purpose) => self.give_new_nonce(nonce, purpose),
            None => self.drop_filler(nonce).await,
        }
    }

    fn give_new_nonce(&mut self, nonce: u64, purpose: Digest) {
        if let Some(flight) = self.flights.remove(&nonce) {
            self.purposes.remove(&purpose);
            self.preparing.insert(purpose, flight.waiters);
            self.ready.push(Prepared {
                purpose,
                message: flight.record.message,
                taken: Some(nonce),
            });
        }
    }

    async fn drop_filler(&mut self, nonce: u64) {
        match self.journal.commit(vec![Change::Remove(nonce)]).await {
            Ok(()) => {
                self.flights.remove(&nonce);
            }
            Err(error) => tracing::error!(nonce, %error, "cannot remove a nonce that is used"),
        }
    }

    /// Compares a new head with the one before: if that is not its parent, the chain may have been
    /// reorganised, and mined transactions with it.
    pub(super) fn compare(&mut self, head: &Header) {
        let Some(before) = &self.head else {
            return;
        };
        let follows = head.parent_hash == before.hash || head.hash == before.hash;
        let settled = self.flights.values().any(|f| !f.record.is_pending());
        if follows || !settled {
            return;
        }
        let (chain, before): (Chain, Header) = (self.chain.clone(), before.clone());
        let comparing = async move {
            let now = chain.header(before.height()).await;
            Done::Compared(now.map(|header| header.is_none_or(|h| h.hash != before.hash)))
        };
        self.work.push(comparing.boxed());
    }

    pub(super) fn on_compared(&mut self, reorganised: Result<bool, ChainError>) {
        // An error hides a reorganisation at worst until the next opening, which checks everything.
        if !matches!(reorganised, Ok(true)) {
            return;
        }
        let settled = self.flights.iter().filter(|(_, f)| !f.record.is_pending());
        let settled: Vec<_> = settled.map(|(nonce, _)| *nonce).collect();
        for nonce in settled {
            self.check(nonce);
        }
    }

    /// Marks what is deep enough as final.
    pub(super) fn finalise(&mut self) {
        let Some(depth) = self.height().checked_sub(FINAL_DEPTH) else {
            return;
        };
        for (nonce, flight) in &mut self.flights {
            let deep = matches!(&flight.record.state, State::Mined(o) if o.block.number <= depth);
            if deep {
                flight.record.finalise();
                self.dirty.insert(*nonce);
            }
        }
    }
}

impl Flight {
    /// Whether its nonce is as good as unused: a filler that no pool has taken.
    fn is_void(&self) -> bool {
        self.record.purpose.is_none() && self.record.is_pending() && !self.accepted
    }
}
