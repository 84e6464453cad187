//! Nonces that block all later ones: they are given back, or filled, or another transaction of the account used them.
//!
//! An account's transactions are mined in the order of their nonces. If no pool ever took a transaction and none will,
//! its nonce is given back when it is the highest, else filled with a transfer of 0 wei (`abandon`, `fill`). If another
//! program used a nonce, the call gets a new one (`on_missing`). If the pool misses something below our nonces, it is
//! noticed by asking for the account's count (`mind_gap`).

use super::{
    fees::Fees,
    journal::Change,
    record::{FlightRecord, Message, Progress},
    request::answer,
    sign::sign,
    writer::{Prepared, Writer},
};
use crate::error::ChainError;
use rings_protocol::Digest;
use tokio::time::Instant;

impl Writer {
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
        // Only the highest nonces can be given back; one with others above it must be used, or those would wait for ever.
        if nonce + 1 == self.next_nonce {
            self.free_tail(forget).await;
        } else {
            self.fill(nonce, forget).await;
        }
    }

    /// Gives back the highest nonces, as far down as no pool has taken a transaction with them.
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
            // The records stay as they are and are sent again. That costs a nonce, and nothing is lost.
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
        let fees = self.filler_fees(nonce);
        let variant = match sign(&*self.key, self.chain.id(), nonce, &message, fees) {
            Ok(variant) => variant,
            Err(error) => {
                tracing::error!(nonce, %error, "cannot fill a nonce");
                return;
            }
        };
        tracing::warn!(nonce, "filling a nonce whose transaction cannot be mined");
        let record = FlightRecord {
            purpose: None,
            message,
            variants: vec![variant],
            state: Progress::Pending,
        };
        if self.replace(nonce, record, changes).await {
            self.broadcast(nonce);
        }
    }

    /// Fees of a filler: the current ones when no pool has the nonce, otherwise enough to replace the transaction in
    /// the pool.
    fn filler_fees(&self, nonce: u64) -> Fees {
        let (quote, cap) = (self.market.quote, self.config.fee_cap);
        let taken = self
            .flights
            .get(&nonce)
            .filter(|flight| !flight.is_void())
            .and_then(|flight| flight.record.variants.last());
        taken
            .and_then(|variant| variant.fees.raise(quote, cap))
            .unwrap_or_else(|| Fees::offer(quote, cap))
    }

    /// When to ask whether something below this nonce is missing.
    pub(super) fn gap_check_at(&self, nonce: u64) -> Instant {
        let since = self.flights.get(&nonce).map(|flight| flight.since);
        since.unwrap_or_else(Instant::now) + self.config.rebroadcast
    }

    /// The chain says how many transactions of the account are mined. All of ours below that number are looked for.
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
        self.counted_at = Some(self.count_asked);
        self.next_nonce = self.next_nonce.max(count);
        let mined: Vec<_> = self.pending().take_while(|nonce| *nonce < count).collect();
        for nonce in mined {
            self.check(nonce);
        }
        // These were mined on a branch that is gone.
        self.check_settled_from(count);
        self.mind_gap(count).await;
    }

    /// The next nonce to be mined should be one of ours. If it stays otherwise, a transaction is missing, and none of
    /// the later ones can be mined.
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

    /// There is no receipt. If the nonce is nevertheless used, and stays so, another transaction took it, and the call
    /// gets a new nonce. The chain must have said so after all that time: what it said before may have been of a branch
    /// that is gone, on which our own transaction used the nonce, and then the call would be sent twice.
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
        let given_up = since + self.config.lost;
        if Instant::now() < given_up {
            return;
        }
        if self.counted_at.is_none_or(|at| at < given_up) {
            return self.count();
        }
        tracing::warn!(nonce, "another transaction of this account took the nonce");
        match flight.record.purpose {
            Some(purpose) => self.give_new_nonce(nonce, purpose),
            None => self.drop_filler(nonce).await,
        }
    }

    /// Prepares the call once more. The old record goes from the journal in the commit that writes the new one.
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

    /// A filler has no caller: it only has to be forgotten.
    async fn drop_filler(&mut self, nonce: u64) {
        match self.journal.commit(vec![Change::Remove(nonce)]).await {
            Ok(()) => {
                self.flights.remove(&nonce);
            }
            Err(error) => tracing::error!(nonce, %error, "cannot remove a nonce that is used"),
        }
    }
}
