//! The task's loop: submissions, what comes back from the chain, new heads, and time.
//!
//! A submission is taken up only while there is room for one more in flight; the others wait in the bounded queue. When
//! the task is told to stop, it writes the outcomes that are not in the journal yet. The pauses between checks follow
//! the age of the youngest transaction where heads are not pushed: short at first, because a development chain makes
//! its block at once.

use super::{
    done::Done,
    verdict::Verdict,
    writer::{Writer, HEAD_POLL},
};
use crate::{error::ChainError, header::Header, heads::Heads};
use futures::StreamExt;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often transactions in flight are checked when new heads are pushed.
const TICK: Duration = Duration::from_millis(250);
/// The shortest pause between checks when they are not. It grows with the age of the youngest transaction: the pause is
/// at most an eighth of that age.
const FIRST_TICK: Duration = Duration::from_millis(5);
const AGE_PER_TICK: u32 = 8;

impl Writer {
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
                () = until(self.unsigned_until) => {}
            }
            self.launch().await;
        }
        self.flush().await;
    }

    /// Looks up the transactions of an earlier run on the chain; those that are not mined are sent again.
    fn resume(&mut self) {
        let nonces: Vec<_> = self.flights.keys().copied().collect();
        for nonce in nonces {
            self.check(nonce);
        }
    }

    async fn handle(&mut self, done: Done) {
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
                estimated,
                market,
            } => self.on_prepared(purpose, message, estimated, market),
            Done::Asked(market) => self.on_market(market),
            Done::Sent { nonce, result } => self.on_sent(nonce, Verdict::of(result)).await,
            Done::Checked { nonce, result } => self.on_checked(nonce, result).await,
            Done::Counted(count) => self.on_counted(count).await,
            Done::Pooled { nonce, next } => self.on_pooled(nonce, next).await,
            Done::Headed(head) => self.on_head(head),
            Done::Compared {
                block,
                jumps,
                stands,
            } => self.on_compared(block, jumps, stands),
        }
    }

    /// Checks everything that is in flight.
    async fn tick(&mut self) {
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
        if self.is_in_doubt() {
            self.ask_whether_it_stands();
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

    /// How soon to check a transaction that has just been sent.
    pub(super) fn first_tick(&self) -> Duration {
        match self.chain.pushes() {
            true => TICK,
            false => FIRST_TICK,
        }
    }

    /// How soon to check again. When heads are not pushed, often at first, because a block may come at once.
    fn tick_interval(&self) -> Duration {
        if self.chain.pushes() {
            return TICK;
        }
        let pending = self.flights.values().filter(|f| f.record.is_pending());
        let youngest = pending.map(|flight| flight.since.elapsed()).min();
        let pause = youngest.map_or(HEAD_POLL, |age| age / AGE_PER_TICK);
        pause.clamp(FIRST_TICK, HEAD_POLL)
    }
}

/// Waits until a moment; for ever when there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The next pushed head. Waits for ever when heads are not pushed.
async fn pushed(heads: &mut Option<Heads>) -> Result<Header, ChainError> {
    match heads {
        Some(heads) => heads.next().await,
        None => std::future::pending().await,
    }
}
