//! Transactions between the journal and a block: sending, and looking for receipts.

use super::{
    fees::Market,
    outcome::find,
    record::{Message, Outcome, Record, State},
    verdict::Verdict,
    writer::{answer, Writer},
    Reply,
};
use crate::{
    chain::{Chain, Header},
    error::ChainError,
    rpc::RpcFailure,
    types::Call,
};
use ethers_core::types::{Bytes, H256};
use futures::FutureExt;
use rings_protocol::Digest;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Receipts that are asked for at each new head. An account's transactions are mined in order, so these
/// are the lowest nonces; when there are more, the account's nonce says which.
const CHECKED_AT_ONCE: usize = 4;
/// An answer that is not understood is taken as final after so many times.
const MAX_UNCLEAR: u32 = 8;
/// Blocks behind the head at which a transaction is final.
pub(super) const FINAL_DEPTH: u64 = 64;
/// The wait before an unclear or unsent transaction is tried again, times the number of tries.
const RETRY: Duration = Duration::from_millis(50);

/// A nonce in flight.
pub(super) struct Flight {
    pub record: Record,
    pub waiters: Vec<Reply>,
    /// When it was taken up.
    pub since: Instant,
    /// When its newest transaction was sent last.
    pub sent: Option<Instant>,
    /// The chain's height when its newest transaction was sent first.
    pub height: Option<u64>,
    /// When to send it again.
    pub retry_at: Option<Instant>,
    /// Whether to send it with higher fees then.
    pub raise: bool,
    pub tries: u32,
    /// Whether a pool has taken it, so that it may be mined at any time.
    pub accepted: bool,
    pub checking: bool,
    /// Whether the pool was found not to count it, and it was sent again for that.
    pub nudged: bool,
    /// How often it was replaced for that.
    pub replaced: u32,
    /// Since when its nonce has been used by none of its transactions.
    pub lost_since: Option<Instant>,
}

/// Something that was asked for has come back.
pub(super) enum Done {
    Recalled {
        purpose: Digest,
        call: Call,
        outcome: Outcome,
        stands: Result<bool, ChainError>,
    },
    Prepared {
        purpose: Digest,
        message: Result<Message, ChainError>,
        market: Result<Option<Market>, ChainError>,
    },
    Asked(Result<Market, ChainError>),
    Sent {
        nonce: u64,
        result: Result<H256, RpcFailure>,
    },
    Checked {
        nonce: u64,
        result: Result<Option<Outcome>, ChainError>,
    },
    Counted(Result<u64, ChainError>),
    /// The account's next nonce as the pool sees it.
    Pooled {
        nonce: u64,
        next: Result<u64, ChainError>,
    },
    Headed(Result<Header, ChainError>),
    /// Whether the chain was reorganised.
    Compared(Result<bool, ChainError>),
}

impl Flight {
    pub(super) fn new(record: Record) -> Self {
        Self {
            record,
            waiters: Vec::new(),
            since: Instant::now(),
            sent: None,
            height: None,
            retry_at: None,
            raise: false,
            tries: 0,
            accepted: false,
            checking: false,
            nudged: false,
            replaced: 0,
            lost_since: None,
        }
    }

    /// From the journal of an earlier run, which may have sent it.
    pub(super) fn resumed(record: Record) -> Self {
        Self {
            accepted: true,
            retry_at: record.is_pending().then(Instant::now),
            ..Self::new(record)
        }
    }

    fn retry(&mut self) {
        self.tries += 1;
        self.retry_at = Some(Instant::now() + RETRY * self.tries.min(40));
    }
}

impl Writer {
    pub(super) async fn handle(&mut self, done: Done) {
        match done {
            Done::Recalled {
                purpose,
                call,
                outcome,
                stands,
            } => self.on_recalled(purpose, call, &outcome, stands),
            Done::Prepared {
                purpose,
                message,
                market,
            } => self.on_prepared(purpose, message, market),
            Done::Asked(market) => self.on_market(market),
            Done::Sent { nonce, result } => self.on_sent(nonce, Verdict::of(result)).await,
            Done::Checked { nonce, result } => self.on_checked(nonce, result).await,
            Done::Counted(count) => self.on_counted(count).await,
            Done::Pooled { nonce, next } => self.on_pooled(nonce, next).await,
            Done::Headed(head) => self.on_head(head),
            Done::Compared(reorganised) => self.on_compared(reorganised),
        }
    }

    fn on_recalled(
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

    fn on_prepared(
        &mut self,
        purpose: Digest,
        message: Result<Message, ChainError>,
        market: Result<Option<Market>, ChainError>,
    ) {
        match market {
            Ok(Some(market)) => self.market = market,
            Ok(None) => {}
            Err(error) => return self.refuse(purpose, &error),
        }
        match message {
            Ok(message) => self.make_ready(purpose, message),
            Err(error) => self.refuse(purpose, &error),
        }
    }

    fn on_market(&mut self, market: Result<Market, ChainError>) {
        match market {
            Ok(market) => self.market = market,
            Err(error) => tracing::debug!(%error, "no new quote for fees"),
        }
    }

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
        let sending = async move {
            let result = chain.request("eth_sendRawTransaction", json!([raw])).await;
            Done::Sent { nonce, result }
        };
        self.work.push(sending.boxed());
    }

    pub(super) fn height(&self) -> u64 {
        self.head.as_ref().map_or(0, Header::height)
    }

    async fn on_sent(&mut self, nonce: u64, verdict: Verdict) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if !flight.record.is_pending() {
            return;
        }
        match verdict {
            Verdict::Accepted => {
                flight.accepted = true;
                flight.tries = 0;
                self.check(nonce);
            }
            Verdict::NonceUsed => {
                flight.lost_since.get_or_insert_with(Instant::now);
                self.check(nonce);
                self.count();
            }
            Verdict::Underpriced => {
                flight.raise = true;
                flight.retry();
            }
            Verdict::Unsent => flight.retry(),
            Verdict::Unaffordable(message) => {
                let account = self.account;
                let error = ChainError::InsufficientFunds { account, message };
                self.on_refused(nonce, error).await;
            }
            Verdict::Never(reason) => {
                self.on_refused(nonce, ChainError::Transaction { reason })
                    .await;
            }
            Verdict::Unclear(reason) if flight.tries >= MAX_UNCLEAR => {
                self.on_refused(nonce, ChainError::Transaction { reason })
                    .await;
            }
            Verdict::Unclear(reason) => {
                tracing::debug!(nonce, reason, "a transaction was not taken; trying again");
                flight.retry();
            }
        }
    }

    /// No pool takes it. If none ever did, the nonce can serve another; else it may still be mined.
    async fn on_refused(&mut self, nonce: u64, error: ChainError) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if flight.accepted || flight.record.purpose.is_none() {
            tracing::warn!(nonce, %error, "a transaction is not taken; trying again");
            flight.retry();
        } else {
            self.abandon(nonce, error).await;
        }
    }

    /// Looks for the receipt of a nonce.
    pub(super) fn check(&mut self, nonce: u64) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if std::mem::replace(&mut flight.checking, true) {
            return;
        }
        let (chain, account) = (self.chain.clone(), self.account);
        let message = flight.record.message.clone();
        let hashes: Vec<_> = flight.record.variants.iter().map(|v| v.hash).collect();
        let checking = async move {
            let result = find(&chain, account, &message, &hashes).await;
            Done::Checked { nonce, result }
        };
        self.work.push(checking.boxed());
    }

    async fn on_checked(&mut self, nonce: u64, result: Result<Option<Outcome>, ChainError>) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        flight.checking = false;
        match result {
            Ok(Some(outcome)) => self.settle(nonce, outcome),
            Ok(None) if flight.record.is_pending() => self.on_missing(nonce).await,
            Ok(None) => self.unsettle(nonce),
            Err(error) => tracing::debug!(nonce, %error, "no receipt could be asked for"),
        }
    }

    fn settle(&mut self, nonce: u64, outcome: Outcome) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        answer(std::mem::take(&mut flight.waiters), Ok((&outcome).into()));
        flight.record.state = State::Mined(outcome);
        flight.retry_at = None;
        flight.lost_since = None;
        self.mined = self.mined.max(nonce + 1);
        self.dirty.insert(nonce);
    }

    /// A block was reorganised away, and its transaction with it: send it again.
    fn unsettle(&mut self, nonce: u64) {
        tracing::warn!(
            nonce,
            "a transaction was reorganised away; sending it again"
        );
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.record.state = State::Pending;
            flight.since = Instant::now();
            flight.height = None;
            self.mined = self.mined.min(nonce);
            self.dirty.insert(nonce);
            self.broadcast(nonce);
        }
    }

    pub(super) fn on_head(&mut self, head: Result<Header, ChainError>) {
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                tracing::debug!(%error, "no new head");
                return;
            }
        };
        self.market.renew(&head);
        self.compare(&head);
        self.head = Some(head);
        self.look();
        self.finalise();
    }

    /// Asks for the newest head.
    pub(super) fn ask_head(&mut self) {
        let chain = self.chain.clone();
        self.head_asked = Instant::now();
        let asked = async move { Done::Headed(chain.latest().await) };
        self.work.push(asked.boxed());
    }

    /// Asks for the receipts that a new block may have brought.
    pub(super) fn look(&mut self) {
        let lowest: Vec<_> = self.pending().take(CHECKED_AT_ONCE + 1).collect();
        for nonce in lowest.iter().take(CHECKED_AT_ONCE) {
            self.check(*nonce);
        }
        if lowest.len() > CHECKED_AT_ONCE {
            self.count();
        }
    }

    /// Asks how many of the account's transactions are mined.
    pub(super) fn count(&mut self) {
        if std::mem::replace(&mut self.counting, true) {
            return;
        }
        let (chain, account): (Chain, _) = (self.chain.clone(), self.account);
        let counting = async move { Done::Counted(chain.nonce(account).await) };
        self.work.push(counting.boxed());
    }
}
