//! Sends transactions to the pool, and handles the pool's answer.
//!
//! What an answer means is said by [`Verdict`]; what follows from it depends on whether any pool has ever taken a
//! transaction of this nonce. As long as none has, a refusal goes to the caller and the nonce is free again. Otherwise
//! the transaction may still be mined, so it is tried again and never forgotten.

use super::{
    done::Done,
    flight::{Acceptance, Refee},
    request::answer,
    verdict::Verdict,
    writer::Writer,
};
use crate::error::ChainError;
use ethers_core::types::Bytes;
use serde_json::json;
use tokio::time::Instant;

/// After this many answers that are not understood, the transaction counts as refused.
const MAX_UNCLEAR: u32 = 8;

impl Writer {
    /// Sends the newest transaction of a nonce.
    pub(super) fn broadcast(&mut self, nonce: u64) {
        let height = self.height();
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        let Some(variant) = flight.record.variants.last() else {
            return;
        };
        let (chain, raw) = (self.chain.clone(), Bytes::from(variant.raw.clone()));
        flight.sent = Some(Instant::now());
        flight.height.get_or_insert(height);
        flight.retry_at = None;
        self.start(async move {
            let result = chain.request("eth_sendRawTransaction", json!([raw])).await;
            Done::Sent { nonce, result }
        });
    }

    /// Handles the pool's answer to the newest transaction of a nonce.
    pub(super) async fn on_sent(&mut self, nonce: u64, verdict: Verdict) {
        let account = self.account;
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if !flight.record.is_pending() {
            return;
        }
        match verdict {
            Verdict::Accepted => self.on_accepted(nonce),
            Verdict::NonceUsed => {
                // One of our own variants may have used it, or somebody else who has the key. The receipts tell; until
                // then nobody is told anything.
                flight.lost_since.get_or_insert_with(Instant::now);
                self.check(nonce);
                self.count();
            }
            Verdict::Underpriced => self.on_underpriced(nonce).await,
            Verdict::Unsent => flight.retry(),
            Verdict::Unaffordable(message) => {
                // Fees may have fallen since it was signed, so the account may be able to pay for a new signature.
                flight.refee = Some(Refee::Current);
                let error = ChainError::InsufficientFunds { account, message };
                self.on_refused(nonce, error).await;
            }
            Verdict::Never(reason) => {
                let error = ChainError::Transaction { reason };
                self.on_refused(nonce, error).await;
            }
            Verdict::Unclear(reason) if flight.tries >= MAX_UNCLEAR => {
                let error = ChainError::Transaction { reason };
                self.on_refused(nonce, error).await;
            }
            Verdict::Unclear(reason) => {
                tracing::debug!(nonce, reason, "a transaction was not taken; trying again");
                flight.retry();
            }
        }
    }

    fn on_accepted(&mut self, nonce: u64) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.acceptance = Acceptance::Taken;
            flight.tries = 0;
            self.check(nonce);
        }
    }

    /// The pool wants higher fees. The transaction is signed again with higher ones, unless the pool has one of the same
    /// nonce that offers more, or the cap is reached. In the last case, if no pool ever took it, the callers are told.
    async fn on_underpriced(&mut self, nonce: u64) {
        let (quote, cap) = (self.market.quote, self.config.fee_cap);
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        let newest = flight.record.variants.last().map(|variant| variant.fees);
        let Some(fees) = newest else { return };
        if flight.has_dearer_variant() {
            flight.acceptance = Acceptance::Taken;
        } else if fees.raise(quote, cap).is_some() {
            flight.refee = Some(Refee::Higher);
            flight.retry();
        } else {
            let price = fees.most();
            self.on_refused(nonce, ChainError::FeeCap { price, cap })
                .await;
        }
    }

    /// No pool takes it. If none ever did, the nonce can be used for another. Otherwise it may still be mined, so it is
    /// tried again. If only an earlier run may have sent it, the callers are told why nothing happens.
    async fn on_refused(&mut self, nonce: u64, error: ChainError) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if flight.acceptance == Acceptance::Never && flight.record.purpose.is_some() {
            return self.abandon(nonce, error).await;
        }
        tracing::warn!(nonce, %error, "a transaction is not taken; trying again");
        flight.retry();
        if flight.acceptance == Acceptance::Perhaps {
            answer(std::mem::take(&mut flight.waiters), Err(error));
        }
    }
}
