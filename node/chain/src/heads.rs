//! New heads of the chain for one reader: pushed over a websocket, else polled.
//!
//! An endpoint may charge for each request, so polling follows the work. While gates of the own ring are open, it is
//! quick. Otherwise the pause is as long as nothing has happened already, up to [`IDLE`] pauses of a quick poll, and
//! longer where a new head costs further requests: an idle reader makes at most one request in that time.
//!
//! [`Heads::next`] gives the newest head that the reader has not had; heads in between are left out. The reader says
//! what it found: [`Heads::hurry`] after events, [`Heads::spent`] how many requests the head cost. `Pace` computes the
//! pauses from that, without I/O. A transaction of this process that is in a block ends a pause at once, because it
//! brings an event. So does a hint from elsewhere (a vote for a gate that is unknown here, a file for a new gate); hints
//! that nothing follows are heeded more and more seldom.

use crate::{
    chain::Chain,
    error::ChainError,
    header::Header,
    rpc::{HeadReceiver, RpcFailure},
};
use ethers_core::types::H256;
use rings_protocol::backoff::Backoff;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep_until, Instant},
};

/// Pause before the error of a subscription task that has ended, so that its reader does not spin.
const ENDED_PAUSE: Duration = Duration::from_secs(15);
/// Time for one request of an idle reader, in pauses between quick polls.
const IDLE: u32 = 14;
/// While the endpoint limits requests, at most one request in this many is a poll.
const SHARE: u32 = 4;
/// How long after the newest event an endpoint is polled quickly because gates are open.
const BUSY: Duration = Duration::from_secs(20);
/// A hint is heeded this long after another one. While no event follows, the time doubles, up to
/// [`LONGEST_HINT_PAUSE`]: false hints cost little.
const HINT_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_HINT_PAUSE: Duration = Duration::from_secs(90);

/// A reader of new heads.
pub(crate) struct Heads {
    chain: Chain,
    source: Source,
}

/// Where new heads come from.
enum Source {
    Pushed(HeadReceiver),
    Polled(Polling),
}

/// When a polled endpoint is asked next.
struct Polling {
    pace: Pace,
    next: Instant,
    /// The requests that the newest head has cost beside the poll.
    spent: u32,
    last: Option<H256>,
    /// Changes when a transaction of this process is in a block.
    mined: watch::Receiver<()>,
    hints: Hints,
}

/// Signs from elsewhere that there is a new block with something for this reader.
struct Hints {
    /// Changes with each hint.
    given: watch::Receiver<()>,
    /// From when on the next one is heeded.
    heeded_from: Instant,
    /// How long none is heeded after the next one. Only this process waits, so there is no jitter.
    pauses: Backoff,
}

/// How long to pause between two polls.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The pause while there is work.
    quick: Duration,
    /// When something happened last.
    active_at: Instant,
    /// Until when there is work.
    busy_until: Instant,
}

impl Heads {
    /// Heads of a chain; `poll` is the pause between two polls while there is work.
    pub(crate) fn new(chain: Chain, poll: Duration) -> Self {
        let source = match chain.pushed_heads() {
            Some(receiver) => Source::Pushed(receiver),
            None => Source::Polled(Polling::new(poll, chain.mined(), chain.hints())),
        };
        Self { chain, source }
    }

    /// To be called when something has happened that may be followed by more; `open` when there is work that is not
    /// done.
    pub(crate) fn hurry(&mut self, open: bool) {
        if let Source::Polled(polling) = &mut self.source {
            polling.pace.hurry(Instant::now(), open);
            polling.hints.were_true();
        }
    }

    /// Notes how many requests the work on the newest head took.
    pub(crate) fn spent(&mut self, requests: u32) {
        if let Source::Polled(polling) = &mut self.source {
            polling.spent = requests;
            polling.plan(Instant::now(), self.chain.gap());
        }
    }

    /// Whether each request should be spared: the endpoint is polled, and there is no work.
    pub(crate) fn is_sparing(&self) -> bool {
        match &self.source {
            Source::Pushed(_) => false,
            Source::Polled(polling) => polling.pace.is_idle(Instant::now()),
        }
    }

    /// The head now, for a reader that failed with the one before. The answer may come from a machine that is behind, and
    /// be an older head: then the one before is still given by [`Heads::next`].
    pub(crate) async fn again(&mut self) -> Result<Header, ChainError> {
        let header = self.chain.latest().await?;
        match &mut self.source {
            Source::Pushed(receiver) => {
                let pushed = receiver
                    .borrow()
                    .as_ref()
                    .and_then(|newest| newest.clone().ok());
                if pushed.is_some_and(|pushed| pushed.height() > header.height()) {
                    receiver.mark_changed();
                    // Or the chain is shorter now, and nothing was pushed.
                    self.chain.hint();
                }
            }
            Source::Polled(polling) => polling.last = Some(header.hash),
        }
        Ok(header)
    }

    /// Waits for a head that this reader has not had. May be dropped and called again.
    ///
    /// # Errors
    /// The reason why the chain cannot be followed now. It may be called again afterwards.
    pub(crate) async fn next(&mut self) -> Result<Header, ChainError> {
        match &mut self.source {
            Source::Pushed(receiver) => next_pushed(&self.chain, receiver).await,
            Source::Polled(polling) => next_polled(&self.chain, polling).await,
        }
    }
}

impl Pace {
    fn new(quick: Duration, now: Instant) -> Self {
        Self {
            quick: quick.max(Duration::from_millis(1)),
            active_at: now,
            busy_until: now,
        }
    }

    fn hurry(&mut self, now: Instant, open: bool) {
        self.active_at = now;
        self.busy_until = if open { now + BUSY } else { now };
    }

    /// The longest pause before a poll that costs nothing more.
    fn idle(&self) -> Duration {
        self.quick * IDLE
    }

    fn is_idle(&self, now: Instant) -> bool {
        now >= self.busy_until && now >= self.active_at + self.idle()
    }

    /// The pause before the next poll, when the head of the last one cost `requests` further requests.
    fn pause(&self, now: Instant, requests: u32) -> Duration {
        if now < self.busy_until {
            return self.quick;
        }
        match self.is_idle(now) {
            true => self.idle() * (1 + requests),
            false => (now - self.active_at).max(self.quick),
        }
    }
}

impl Hints {
    fn new(given: watch::Receiver<()>) -> Self {
        Self {
            given,
            heeded_from: Instant::now(),
            pauses: Backoff::new(HINT_PAUSE, LONGEST_HINT_PAUSE),
        }
    }

    /// There were events. What was hinted at is among them, so a hint that still waits says nothing new.
    fn were_true(&mut self) {
        self.given.mark_unchanged();
        self.pauses.reset();
    }

    /// Waits for a hint. One that comes while none is heeded is heeded later. May be dropped and called again.
    async fn next(&mut self) {
        sleep_until(self.heeded_from).await;
        if self.given.changed().await.is_err() {
            // The chain's connection has ended, and with it its reader.
            std::future::pending::<()>().await;
        }
        self.heeded(Instant::now());
    }

    fn heeded(&mut self, now: Instant) {
        self.heeded_from = now + self.pauses.failed(u64::MAX);
    }
}

impl Polling {
    fn new(quick: Duration, mined: watch::Receiver<()>, hints: watch::Receiver<()>) -> Self {
        let now = Instant::now();
        Self {
            pace: Pace::new(quick, now),
            next: now,
            spent: 0,
            last: None,
            mined,
            hints: Hints::new(hints),
        }
    }

    /// Plans the next poll. `gap` is the pause between two requests that the endpoint bears.
    fn plan(&mut self, now: Instant, gap: Duration) {
        let pause = self.pace.pause(now, self.spent);
        self.next = now + pause.max(gap * SHARE);
    }

    /// Waits until it is time for a poll. A transaction of this process that is in a block brings an event, and a hint
    /// says that there is one, so then it is time at once.
    async fn wait(&mut self) {
        tokio::select! {
            () = sleep_until(self.next) => {}
            Ok(()) = self.mined.changed() => self.pace.active_at = Instant::now(),
            () = self.hints.next() => self.pace.active_at = Instant::now(),
        }
    }
}

async fn next_pushed(chain: &Chain, receiver: &mut HeadReceiver) -> Result<Header, ChainError> {
    loop {
        if receiver.changed().await.is_err() {
            // The task has ended, with the runtime or by a panic.
            tokio::time::sleep(ENDED_PAUSE).await;
            let ended = RpcFailure::unreachable("the subscription has ended");
            return Err(chain.explain("eth_subscribe", ended));
        }
        let newest = receiver.borrow_and_update().clone();
        match newest {
            Some(Ok(header)) => {
                chain.remember(&header);
                return Ok(header);
            }
            Some(Err(failure)) => return Err(chain.explain("eth_subscribe", failure)),
            None => {}
        }
    }
}

/// Asks for the head, at the pace of the plan, until it is another one than the last.
async fn next_polled(chain: &Chain, polling: &mut Polling) -> Result<Header, ChainError> {
    loop {
        polling.wait().await;
        polling.spent = 0;
        polling.plan(Instant::now(), chain.gap());
        let header = chain.latest().await?;
        if polling.last != Some(header.hash) {
            polling.last = Some(header.hash);
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(250);
    const SLOW: Duration = Duration::from_millis(3500);

    #[test]
    fn polling_is_quick_while_gates_are_open() {
        let now = Instant::now();
        let mut pace = Pace::new(QUICK, now);
        pace.hurry(now, true);
        assert_eq!(pace.pause(now + BUSY - QUICK, 5), QUICK);
        assert!(!pace.is_idle(now + BUSY - QUICK));
        // A gate that nobody computes does not keep it quick.
        assert_eq!(pace.pause(now + BUSY, 0), SLOW);
    }

    #[test]
    fn an_idle_reader_asks_once_in_three_and_a_half_seconds() {
        let start = Instant::now();
        let pace = Pace::new(QUICK, start);
        let (mut at, mut polls) = (start, Vec::new());
        while at < start + Duration::from_secs(60) {
            at += pace.pause(at, 0);
            polls.push(at - start);
        }
        let soon = polls.iter().take_while(|at| **at <= SLOW).count();
        assert!((3..=5).contains(&soon), "{polls:?}");
        for from in 4..50 {
            let window = Duration::from_secs(from)..Duration::from_secs(from + 10);
            let asked = polls.iter().filter(|at| window.contains(*at)).count();
            assert!(asked <= 3, "{asked} in 10 s from {from} s on: {polls:?}");
        }
    }

    #[tokio::test]
    async fn a_hint_ends_a_pause() {
        let (hints, mined) = (watch::Sender::new(()), watch::Sender::new(()));
        let mut polling = Polling::new(QUICK, mined.subscribe(), hints.subscribe());
        polling.pace.active_at = Instant::now() - SLOW;
        polling.next = Instant::now() + Duration::from_secs(60 * 60);
        hints.send_replace(());
        polling.wait().await;
        let pause = polling.pace.pause(Instant::now(), 0);
        assert!(pause < 2 * QUICK, "it is polled again soon: {pause:?}");
    }

    #[test]
    fn false_hints_cost_less_and_less() {
        let began = Instant::now();
        let mut hints = Hints::new(watch::Sender::new(()).subscribe());
        let (mut now, mut heeded) = (began, 0);
        while now < began + Duration::from_secs(60 * 60) {
            hints.heeded(now);
            assert!(hints.heeded_from > now, "a second one waits");
            now = hints.heeded_from;
            heeded += 1;
        }
        assert!(heeded < 50, "{heeded} in an hour");
        assert_eq!(*hints.pauses.range().end(), LONGEST_HINT_PAUSE);
    }

    #[test]
    fn what_a_head_costs_is_waited_for() {
        let now = Instant::now();
        let pace = Pace::new(QUICK, now);
        assert_eq!(pace.pause(now + SLOW, 3), 4 * SLOW);
        assert!(pace.is_idle(now + SLOW));
    }
}
