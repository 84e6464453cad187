//! Submissions come in: each gets gas and fees, then a nonce; it is written to the journal, and only then sent.
//!
//! A submission whose purpose is known gets the outcome of the first one (`recall`). A new one is prepared beside the
//! others: its gas is estimated if it has no limit, and the market is asked if the quote is old. All submissions that
//! are ready get their nonces together, are signed, and written in one commit (`launch`, `write_down`); then each is
//! sent (`fly`).

use super::{
    done::Done,
    estimate::{prepare, with_margin},
    fees::Fees,
    flight::Flight,
    journal::Change,
    market::Market,
    record::{FlightRecord, Message, Outcome, Progress},
    request::{answer, Submission, Waiter},
    sign::sign,
    writer::{Prepared, Writer},
};
use crate::{convert::digest, error::ChainError, types::Call};
use rings_protocol::Digest;
use std::time::Duration;
use tokio::time::Instant;

/// The pause before a signer that gave no signature is asked again.
const SIGNER_PAUSE: Duration = Duration::from_secs(1);

impl Writer {
    /// Takes a submission and all that are queued behind it, so that one commit is enough for all of them.
    pub(super) fn accept_all(&mut self, first: Submission) {
        self.accept(first);
        while self.has_room() {
            match self.requests.try_recv() {
                Ok(request) => self.accept(request),
                Err(_) => break,
            }
        }
    }

    /// Looks a purpose up where it may be: among those that are being prepared, in flight, or in the journal. Only a
    /// purpose that is nowhere becomes a new transaction.
    fn accept(&mut self, request: Submission) {
        let Submission {
            purpose,
            call,
            waiter,
        } = request;
        if let Some(waiters) = self.preparing.get_mut(&purpose) {
            waiters.push(waiter);
            return;
        }
        if let Some(nonce) = self.purposes.get(&purpose).copied() {
            return self.attach(nonce, waiter);
        }
        // One short read of a small database, so no other thread is used.
        match self.journal.find(purpose) {
            Err(error) => answer(vec![waiter], Err(error)),
            Ok(found) => {
                self.preparing.insert(purpose, vec![waiter]);
                match found.and_then(|(_, record)| record.outcome().cloned()) {
                    Some(outcome) => self.recall(purpose, call, outcome),
                    None => self.prepare(purpose, call),
                }
            }
        }
    }

    /// The purpose has a transaction: answers with its outcome, now or later. An outcome that is known is looked up again
    /// first, since its block may have been reorganised away; then the transaction is sent again, and waited for.
    fn attach(&mut self, nonce: u64, waiter: Waiter) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if let Progress::Final(outcome) = &flight.record.state {
            return answer(vec![waiter], Ok(outcome.into()));
        }
        flight.waiters.push(waiter);
        if !flight.record.is_pending() {
            flight.unverified = true;
            self.check(nonce);
        }
    }

    /// The purpose was final long ago: checks that the chain still has the block of its transaction. It does not ask
    /// for the receipt, because an endpoint may not keep old ones.
    fn recall(&mut self, purpose: Digest, call: Call, outcome: Outcome) {
        let chain = self.chain.clone();
        self.start(async move {
            let header = chain.header(outcome.block.number).await;
            let hash = header.map(|header| header.map(|header| digest(header.hash)));
            Done::Recalled {
                purpose,
                call,
                stands: hash.map(|hash| hash == Some(outcome.block.hash)),
                outcome,
            }
        });
    }

    /// The chain has been asked for the block of an old outcome. If that block is not canonical any more, the call is
    /// sent again.
    pub(super) fn on_recalled(
        &mut self,
        purpose: Digest,
        call: Call,
        outcome: &Outcome,
        stands: Result<bool, ChainError>,
    ) {
        match stands {
            Ok(true) => {
                let waiters = self.preparing.remove(&purpose).unwrap_or_default();
                answer(waiters, Ok(outcome.into()));
            }
            Ok(false) => self.prepare(purpose, call),
            Err(error) => self.refuse(purpose, &error),
        }
    }

    /// Finds gas and fees. With a gas limit and fresh fees nothing is asked.
    fn prepare(&mut self, purpose: Digest, call: Call) {
        let fresh = self.market.is_fresh(self.chain.pushes());
        let estimated = call.gas.is_none();
        if let (Some(gas), true) = (call.gas, fresh) {
            self.make_ready(purpose, Message::new(call, gas), estimated);
        } else {
            let (chain, account) = (self.chain.clone(), self.account);
            self.start(async move {
                let (message, market) = prepare(&chain, account, call, fresh).await;
                Done::Prepared {
                    purpose,
                    message,
                    estimated,
                    market,
                }
            });
        }
        if self.market.is_old() {
            self.ask_market();
        }
    }

    /// Gas and fees are known, or it is known that the call would fail: then nothing is sent, and the purpose is free
    /// again.
    pub(super) fn on_prepared(
        &mut self,
        purpose: Digest,
        message: Result<Message, ChainError>,
        estimated: bool,
        market: Option<Market>,
    ) {
        if let Some(market) = market {
            self.market = market;
        }
        match message {
            Ok(message) => self.make_ready(purpose, message, estimated),
            Err(error) => self.refuse(purpose, &error),
        }
    }

    /// Asks for the current fees, beside all other work.
    pub(super) fn ask_market(&mut self) {
        let chain = self.chain.clone();
        self.market.asking();
        self.start(async move { Done::Asked(Market::ask(&chain).await) });
    }

    pub(super) fn on_market(&mut self, market: Result<Market, ChainError>) {
        match market {
            Ok(market) => self.market = market,
            Err(error) => tracing::debug!(%error, "no new quote for fees"),
        }
    }

    /// Settles the gas limit; refuses while the chain is too expensive.
    fn make_ready(&mut self, purpose: Digest, mut message: Message, estimated: bool) {
        if let Err(error) = self.market.quote.within(self.config.fee_cap) {
            return self.refuse(purpose, &error);
        }
        message.gas = match estimated {
            true => self.market.gas_limit(message.gas, with_margin(&message)),
            false => self.market.gas_limit(0, message.gas),
        };
        self.ready.push(Prepared {
            purpose,
            message,
            taken: None,
        });
    }

    /// Gives nonces to all submissions that are ready, writes them to the journal in one commit, and sends them.
    pub(super) async fn launch(&mut self) {
        let waits = |until: Instant| Instant::now() < until;
        if self.ready.is_empty() || self.unsigned_until.is_some_and(waits) {
            return;
        }
        if !self.is_active() {
            self.tick_at = Instant::now() + self.first_tick();
        }
        let batch = std::mem::take(&mut self.ready);
        let purposes: Vec<_> = batch.iter().map(|prepared| prepared.purpose).collect();
        self.unsigned_until = None;
        match self.write_down(&batch).await {
            Ok(nonces) => {
                for (purpose, nonce) in purposes.into_iter().zip(nonces) {
                    self.fly(purpose, nonce);
                }
            }
            Err(ChainError::Key(error)) if error.is_transient() => {
                tracing::warn!(%error, transactions = batch.len(), "transactions wait for their signatures");
                self.unsigned_until = Some(Instant::now() + SIGNER_PAUSE);
                self.ready = batch;
            }
            Err(error) => {
                for purpose in purposes {
                    self.refuse(purpose, &error);
                }
            }
        }
    }

    /// Signs a batch and commits it. The nonces are taken only after the commit: if it fails, they are free for the next
    /// batch, and nothing that was signed has left.
    async fn write_down(&mut self, batch: &[Prepared]) -> Result<Vec<u64>, ChainError> {
        let fees = Fees::offer(self.market.quote, self.config.fee_cap);
        let mut changes = Vec::new();
        let mut records = Vec::new();
        for (nonce, prepared) in (self.next_nonce..).zip(batch) {
            let variant = sign(&*self.key, self.chain.id(), nonce, &prepared.message, fees)?;
            let record = FlightRecord {
                purpose: Some(prepared.purpose),
                message: prepared.message.clone(),
                variants: vec![variant],
                state: Progress::Pending,
            };
            // The nonce that another transaction took goes in the same commit, so that the purpose has one nonce at any
            // time.
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
}
