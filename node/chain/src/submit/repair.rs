//! Transactions that do not get into a block: their fees are too low, the pool has misplaced them, or the account
//! cannot pay what they offer.
//!
//! `is_due` says when to look at a nonce, and `send_again` sends its transaction again, with new fees if they differ.
//! The lowest nonce blocks all others, so only it is pushed: it is replaced by one with higher fees when new blocks do
//! not contain it, or when the pool does not count it. A replacement is in the journal before it is sent, and any of a
//! nonce's transactions may be mined in the end.

use super::{
    done::Done,
    fees::Fees,
    flight::{Acceptance, Flight, Refee},
    journal::Change,
    record::FlightRecord,
    sign::sign,
    writer::Writer,
};
use crate::error::ChainError;
use std::time::Duration;
use tokio::time::Instant;

/// Blocks that must have passed a transaction over before it counts as stuck.
const STUCK_BLOCKS: u64 = 2;
/// After this time the pool should count a transaction that it has taken as the account's next. The time is four times
/// as long after each replacement, because some pools never show it.
const MISPLACED: Duration = Duration::from_secs(1);
/// The wait before the next try after a failure of the journal.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

impl Writer {
    /// Whether it is time to send this nonce's transaction again.
    pub(super) fn is_due(&self, nonce: u64, now: Instant) -> bool {
        self.flights.get(&nonce).is_some_and(|flight| {
            let silent = |at: Instant| now >= at + self.config.rebroadcast;
            flight.retry_at.is_some_and(|at| now >= at) || flight.sent.is_some_and(silent)
        })
    }

    /// Sends a nonce's transaction again. New fees are signed into the journal first; without them, the same bytes go out
    /// again, which pools that know them ignore.
    pub(super) async fn send_again(&mut self, nonce: u64) {
        let refee = self
            .flights
            .get_mut(&nonce)
            .and_then(|flight| flight.refee.take());
        let fees = refee.and_then(|refee| self.fees_for(nonce, refee));
        if let Some(fees) = fees {
            self.sign_anew(nonce, fees).await;
        }
        self.broadcast(nonce);
    }

    /// The fees with which a nonce's transaction is signed anew, if they differ.
    fn fees_for(&self, nonce: u64, refee: Refee) -> Option<Fees> {
        let newest = self.flights.get(&nonce)?.record.variants.last()?;
        let (quote, cap) = (self.market.quote, self.config.fee_cap);
        match refee {
            Refee::Higher => newest.fees.raise(quote, cap),
            Refee::Current => newest.fees.lower(quote, cap),
        }
    }

    /// The lowest nonce blocks all others: replaces its transaction when new blocks do not contain it.
    pub(super) async fn push_through(&mut self, nonce: u64, now: Instant) {
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
            flight.acceptance != Acceptance::Never && now >= flight.since + patience
        });
        if !due {
            return;
        }
        let (chain, account) = (self.chain.clone(), self.account);
        self.start(async move {
            let next = chain.pending_nonce(account).await;
            Done::Pooled { nonce, next }
        });
    }

    /// If a pool took a transaction and does not count it, it has dropped it, or it keeps it among those that wait for
    /// another one (anvil does so when that other one was mined at that moment). Sending it again helps in the first
    /// case, replacing it in the second.
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

    /// Signs a nonce again with fees raised by an eighth, and writes it to the journal. `false` when the cap is reached
    /// or the journal fails.
    async fn raise(&mut self, nonce: u64) -> bool {
        match self.fees_for(nonce, Refee::Higher) {
            Some(fees) => self.sign_anew(nonce, fees).await,
            None => false,
        }
    }

    /// Signs a nonce again with other fees, and writes it to the journal.
    async fn sign_anew(&mut self, nonce: u64, fees: Fees) -> bool {
        let Some(flight) = self.flights.get(&nonce) else {
            return false;
        };
        let mut record = flight.record.clone();
        match sign(&*self.key, self.chain.id(), nonce, &record.message, fees) {
            Ok(variant) => record.variants.push(variant),
            Err(error) => {
                tracing::error!(nonce, %error, "cannot replace a transaction");
                return false;
            }
        }
        self.replace(nonce, record, Vec::new()).await
    }

    /// Writes a nonce's new record to the journal, and then uses it.
    pub(super) async fn replace(
        &mut self,
        nonce: u64,
        record: FlightRecord,
        mut changes: Vec<Change>,
    ) -> bool {
        changes.push(Change::Put(nonce, Box::new(record.clone())));
        if let Err(error) = self.journal.commit(changes).await {
            tracing::error!(nonce, %error, "a transaction cannot be written to the journal, so it is not sent");
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
}
