//! One action on its way to the chain.
//!
//! The members have their turns in an order that follows from the action. Whoever's turn it is looks first whether the action
//! is on chain already, then sends it through the submitter, whose journal gives the same transaction for the same action
//! after a restart. The others look when it should be there, and take over when it is not. The action ends as `relayed` when
//! its transaction is final, or as `failed` when the chain can never accept it any more.

use super::{keeper::Clients, refusal::of_state};
use crate::state::{Flush, StateError};
use rings_api::{with_causes, ApiError};
use rings_chain::{Call, ChainError, Landed, Submitted};
use rings_protocol::{
    cids::keccak256,
    flush::{relayers, FlushMessage, FlushStatus, Signed},
    Digest,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

/// Between two looks at a transaction that is not final, or that the endpoint does not show yet.
const LOOK: Duration = Duration::from_millis(250);
/// Looks after which an action is given up whose nonce was used, though no action took it: the avatar left, or used its
/// account otherwise.
const LOOKS: u32 = 40;
/// Gas beyond what the simulation needed: the state may change until the transaction is in a block.
const SPARE_GAS: u64 = 50_000;

/// One action on its way.
pub(super) struct Errand {
    clients: Arc<Clients>,
    msg_hash: Digest,
    flush: Flush,
    signed: Signed,
    news: Arc<Notify>,
}

/// How far this member is with an action.
struct Progress {
    /// When it is this member's turn.
    due: Instant,
    /// Looks at which the nonce was used, and no action was found.
    unknown: u32,
    /// It was sent, or there is news of it: it is looked for in blocks first.
    may_have_landed: bool,
}

/// Where an action is.
enum ErrandState {
    /// The contract would accept it.
    Open {
        /// The time of the newest block.
        now: u64,
    },
    /// It is in a block.
    Landed(Landed),
    /// Something took its nonce, and the chain does not show what.
    Unknown,
    /// It can never be accepted any more.
    Gone(String),
}

/// How an attempt to send it ended.
enum Attempt {
    /// It should be on chain.
    Sent,
    /// The contract refused it.
    Refused(String),
    /// This member cannot send it now; another one may.
    Passed(String),
}

impl Errand {
    /// The errand of an action that is open; nothing for one that has ended.
    pub(super) fn new(
        clients: Arc<Clients>,
        msg_hash: Digest,
        flush: Flush,
        news: Arc<Notify>,
    ) -> Result<Option<Self>, StateError> {
        if flush.status != FlushStatus::Received {
            return Ok(None);
        }
        let (mtx, signature) = flush.signed()?;
        let domain = clients.domain(flush.ring);
        let signed = Signed::read(&domain, flush.avatar, &mtx, &signature);
        let signed = signed.map_err(|error| StateError::Format(error.into()))?;
        Ok(Some(Self {
            clients,
            msg_hash,
            flush,
            signed,
            news,
        }))
    }

    /// Runs until the action has ended. `places` bounds how many errands ask the chain at once.
    pub(super) async fn run(self, places: &Semaphore) {
        let (turn, position) = (self.clients.parts.turn, self.position());
        let mut progress = Progress {
            due: Instant::now() + turn * position,
            unknown: 0,
            may_have_landed: false,
        };
        if position > 0 {
            // Whose turn it is not has nothing to look at before there is news.
            let news = timeout(turn * position, self.news.notified()).await;
            progress.may_have_landed = news.is_ok();
        }
        loop {
            let stepped = {
                // The semaphore is never closed.
                let _place = places.acquire().await;
                self.step(&mut progress).await
            };
            let pause = match stepped {
                Ok(None) => return,
                Ok(Some(pause)) => pause,
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::warn!(msg = %self.msg_hash, cause, "an action cannot be looked after now; trying again");
                    turn
                }
            };
            // Either way it looks again.
            let news = timeout(pause, self.news.notified()).await;
            progress.may_have_landed |= news.is_ok();
        }
    }

    /// This member's place in the order; behind all others if it is not a member.
    fn position(&self) -> u32 {
        let members = self.clients.parts.ring.snapshot().members;
        let order = relayers(self.msg_hash, &members);
        let place = order.iter().position(|member| *member == self.clients.me);
        place.unwrap_or(order.len()) as u32
    }

    /// How long it takes until all members have had their turns.
    fn round(&self) -> Duration {
        let members = self.clients.parts.ring.snapshot().members.len().max(1);
        self.clients.parts.turn * members as u32
    }

    /// Looks, and does what is to be done now. Returns how long to wait then; nothing when the action has ended.
    async fn step(&self, progress: &mut Progress) -> Result<Option<Duration>, ApiError> {
        let may_have_landed = std::mem::take(&mut progress.may_have_landed);
        match self.find(may_have_landed).await.map_err(failed)? {
            ErrandState::Landed(landed) => {
                // If it is not final yet.
                progress.may_have_landed = true;
                self.finish(landed).await
            }
            ErrandState::Gone(reason) => self.fail(reason).await,
            ErrandState::Unknown if progress.unknown >= LOOKS => {
                let reason = "stale: the avatar's nonce was used, but not by an action".to_owned();
                self.fail(reason).await
            }
            ErrandState::Unknown => {
                progress.unknown += 1;
                Ok(Some(LOOK))
            }
            ErrandState::Open { .. } if progress.due > Instant::now() => {
                let due = progress.due;
                Ok(Some(due.saturating_duration_since(Instant::now())))
            }
            ErrandState::Open { now } => {
                progress.due = Instant::now() + self.round();
                progress.may_have_landed = true;
                self.go(now).await
            }
        }
    }

    async fn go(&self, now: u64) -> Result<Option<Duration>, ApiError> {
        match self.attempt(now).await {
            Attempt::Sent => Ok(Some(Duration::ZERO)),
            Attempt::Passed(reason) => {
                tracing::warn!(msg = %self.msg_hash, reason, "this member passes its turn to relay on");
                Ok(Some(self.round()))
            }
            Attempt::Refused(reason) => match self.look().await.map_err(failed)? {
                ErrandState::Open { .. } => self.fail(reason).await,
                _ => Ok(Some(Duration::ZERO)),
            },
        }
    }

    /// Where the action is. One that may be in a block is looked for there: that is one question in place of four.
    async fn find(&self, may_have_landed: bool) -> Result<ErrandState, ChainError> {
        if may_have_landed {
            let (chain, action) = (&self.clients.parts.chain, self.signed.action());
            let landed = chain
                .landed(self.flush.ring, action, self.flush.since)
                .await?;
            if let Some(landed) = landed.filter(|landed| landed.is_this) {
                return Ok(ErrandState::Landed(landed));
            }
        }
        self.look().await
    }

    /// Where the action is now.
    async fn look(&self) -> Result<ErrandState, ChainError> {
        let (chain, action) = (&self.clients.parts.chain, self.signed.action());
        let (ring, nonce) = (self.flush.ring, action.nonce.saturating_u64());
        let on_chain = chain.avatar(ring, self.flush.avatar).await?;
        if on_chain.nonce > nonce {
            return Ok(match chain.landed(ring, action, self.flush.since).await? {
                Some(landed) if landed.is_this => ErrandState::Landed(landed),
                Some(_) => {
                    ErrandState::Gone("stale: another action of the avatar has its nonce".into())
                }
                None => ErrandState::Unknown,
            });
        }
        let now = on_chain.block.timestamp;
        Ok(if !on_chain.is_member {
            ErrandState::Gone("the avatar is not a member of its ring any more".into())
        } else if now > action.deadline.saturating_u64() {
            ErrandState::Gone("expired: its deadline is over".into())
        } else if on_chain.head != action.prev_head {
            ErrandState::Gone("stale: the head of the avatar's log has moved on".into())
        } else {
            ErrandState::Open { now }
        })
    }

    /// Sends it, and waits until it is in a block.
    async fn attempt(&self, now: u64) -> Attempt {
        let (chain, flush) = (&self.clients.parts.chain, &self.flush);
        if self.position() > 0 {
            // The pool of an endpoint may not be visible; then only the chain counts.
            let nonce = chain.nonce_in_pool(flush.ring, flush.avatar).await;
            let waiting = nonce.unwrap_or(0) > self.signed.action().nonce.saturating_u64();
            if waiting {
                return Attempt::Passed("a transaction with its nonce waits in the pool".into());
            }
        }
        let call = Call::contract(flush.ring, self.signed.calldata());
        let gas = match chain.simulate(self.clients.me, &call).await {
            Ok(gas) => gas,
            Err(ChainError::Reverted { reason }) => return Attempt::Refused(reason),
            Err(error) => return Attempt::Passed(with_causes(&error)),
        };
        let place = (flush.ring, flush.avatar);
        let reserved = self.clients.purse.reserve(self.msg_hash, place, gas, now);
        if let Err(error) = reserved {
            return Attempt::Passed(error.to_string());
        }
        let gas = gas.saturating_add(gas / 4).saturating_add(SPARE_GAS);
        let call = Call {
            gas: Some(gas),
            ..call
        };
        tracing::info!(msg = %self.msg_hash, avatar = %flush.avatar, ring = %flush.ring, "relaying an action");
        let submitter = &self.clients.parts.submitter;
        match submitter.submit(purpose(self.msg_hash), call).await {
            Ok(Submitted::Mined { .. }) => Attempt::Sent,
            Ok(Submitted::Reverted { reason, .. }) => Attempt::Refused(reason),
            Err(error) => {
                if matches!(error, ChainError::InsufficientFunds { .. }) {
                    self.clients.cannot_pay().await;
                }
                Attempt::Passed(with_causes(&error))
            }
        }
    }

    /// It is in a block. When that is final, it has ended.
    async fn finish(&self, landed: Landed) -> Result<Option<Duration>, ApiError> {
        let parts = &self.clients.parts;
        let head = parts.chain.block_number().await.map_err(failed)?;
        if head < landed.block.number.saturating_add(parts.confirmations) {
            return Ok(Some(LOOK));
        }
        let is_mine = landed.sender == self.clients.me;
        let members = parts.ring.snapshot().members;
        // If no member sent it, whoever took it in says so.
        let says = is_mine || (self.flush.mine && members.binary_search(&landed.sender).is_err());
        let paid = match is_mine {
            true => landed.gas_used,
            false => 0,
        };
        if self.signed.action().to == parts.domain.ring {
            // It may have ended the registration of its ring.
            self.clients.known.forget(self.flush.ring);
            self.clients.ended.notify_one();
        }
        let status = FlushStatus::Relayed {
            transaction: landed.transaction,
            fee: landed.fee,
        };
        self.end(status, says, (paid, landed.block.timestamp)).await
    }

    /// It will never be on chain. Whoever took it in says so in its log.
    async fn fail(&self, reason: String) -> Result<Option<Duration>, ApiError> {
        tracing::warn!(msg = %self.msg_hash, avatar = %self.flush.avatar, reason, "an action failed");
        let head = self.clients.parts.chain.head().await.map_err(failed)?;
        let status = FlushStatus::Failed { reason };
        self.end(status, self.flush.mine, (0, head.timestamp)).await
    }

    /// Writes the end: into the own log if it `says` it, then into the index.
    async fn end(
        &self,
        status: FlushStatus,
        says: bool,
        (paid, now): (u64, u64),
    ) -> Result<Option<Duration>, ApiError> {
        let msg_hash = self.msg_hash;
        if says {
            let status = status.clone();
            let ended = FlushMessage::Ended { msg_hash, status };
            self.clients.say(ended.to_message()).await?;
        }
        let place = (self.flush.ring, self.flush.avatar);
        let spent = self.clients.purse.settle(msg_hash, place, paid, now);
        let spent = (paid > 0).then_some(spent);
        let state = &self.clients.state;
        tokio::task::block_in_place(|| state.end(msg_hash, status.clone(), spent))
            .map_err(of_state)?;
        self.clients.tell_message(place, msg_hash, &status);
        Ok(None)
    }
}

/// Names the transaction in the submitter's journal.
fn purpose(msg_hash: Digest) -> Digest {
    keccak256(&[b"flush".as_slice(), &msg_hash.0].concat())
}

fn failed(error: ChainError) -> ApiError {
    ApiError::internal("the chain cannot be asked", error)
}
