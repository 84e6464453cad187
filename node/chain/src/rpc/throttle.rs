//! Sends fewer requests after the endpoint has refused some because they were too many.
//!
//! After such a refusal nothing is sent until the endpoint's `Retry-After` is over, or, where it names none, for a
//! while that doubles. Then requests leave one after the other, at half the rate of the second before the refusal, and
//! faster with each answer, as in additive-increase/multiplicative-decrease (RFC 5681 has it for TCP): a process that
//! had asked little before the refusal is at a usable rate again within seconds.
//!
//! A refusal is not an outage: the endpoint is there, and asking less is all that helps. No pause is longer than
//! [`MAX_RETRY_AFTER`], and a request that would have to wait longer than [`MAX_WAIT`] fails at once with the time
//! after which to come back. Several requests of one burst that are refused together count as one refusal. `Pace` has
//! no I/O; the moments are arguments.

use super::failure::RpcFailure;
use crate::backoff::Backoff;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The longest pause that is accepted from an endpoint.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// An endpoint that says a longer time than this is not believed: its limits of requests are over sooner.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// A request that would have to wait longer than this fails instead.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Pauses when the endpoint names none.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Answers that are remembered to know the rate.
const REMEMBERED: usize = 512;
/// The slowest pace: one request in this time.
const SLOWEST: Duration = Duration::from_secs(1);
/// A pause between requests that is shorter than this is left out.
const SHORTEST: Duration = Duration::from_millis(5);
/// By how many requests a second the rate grows in a second of answers, while it is low.
const GROWTH: f64 = 2.0;
/// By what share of itself the rate grows with each answer, once that is more.
const GROWTH_SHARE: f64 = 0.005;

/// The pace of requests to one endpoint, for all who ask it.
pub(super) struct Throttle(Mutex<Pace>);

struct Pace {
    /// Nothing is sent before this moment.
    paused_until: Option<Instant>,
    /// When the newest refusal that counted came.
    limited_at: Option<Instant>,
    /// The pause between two requests.
    gap: Duration,
    /// When the next request may leave.
    next: Instant,
    /// When the newest answers came.
    answers: VecDeque<Instant>,
    pauses: Backoff,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(Pace {
            paused_until: None,
            limited_at: None,
            gap: Duration::ZERO,
            next: Instant::now(),
            answers: VecDeque::new(),
            pauses: Backoff::between(FIRST_PAUSE, LONGEST_PAUSE),
        }))
    }
}

impl Throttle {
    /// Waits until a request may leave. Without a refusal that is at once: a sleep until now would take a millisecond, because
    /// the timer counts in whole ones.
    pub(super) async fn turn(&self) -> Result<(), RpcFailure> {
        let asked = Instant::now();
        loop {
            let now = Instant::now();
            let at = self.lock().reserve(now, asked)?;
            if at <= now {
                return Ok(());
            }
            tokio::time::sleep_until(at).await;
            // Meanwhile another request may have been refused.
            if !self.lock().is_paused(Instant::now()) {
                return Ok(());
            }
        }
    }

    /// The pause between two requests that the endpoint bears; zero while it has refused none.
    pub(super) fn gap(&self) -> Duration {
        self.lock().gap
    }

    /// An answer has come.
    pub(super) fn answered(&self) {
        self.lock().answered(Instant::now());
    }

    /// A request that was sent at `sent` was refused because of too many requests.
    pub(super) fn limited(&self, sent: Instant, retry_after: Option<Duration>) {
        self.lock().limited(sent, Instant::now(), retry_after);
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        // The values are plain numbers, so they are usable even if another thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// The moment for one more request of a caller that has been waiting since `asked`.
    fn reserve(&mut self, now: Instant, asked: Instant) -> Result<Instant, RpcFailure> {
        let free = self.paused_until.unwrap_or(now).max(now);
        let at = if self.gap.is_zero() {
            free
        } else {
            free.max(self.next)
        };
        if at.duration_since(asked) > MAX_WAIT {
            let after = Some(at.duration_since(now));
            return Err(RpcFailure::RateLimited { after });
        }
        self.next = at + self.gap;
        Ok(at)
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// An answer came, so the gap between two requests shrinks a little; below the shortest one it is none.
    fn answered(&mut self, now: Instant) {
        self.answers.push_back(now);
        if self.answers.len() > REMEMBERED {
            self.answers.pop_front();
        }
        self.pauses.reset();
        self.gap = shorter(self.gap);
    }

    /// Several requests of one burst are refused together: only the first refusal counts.
    fn limited(&mut self, sent: Instant, now: Instant, retry_after: Option<Duration>) {
        if self.limited_at.is_some_and(|at| sent <= at) {
            return;
        }
        let said = retry_after.filter(|pause| *pause <= BELIEVED);
        let pause = said.unwrap_or_else(|| self.pauses.next());
        self.limited_at = Some(now);
        self.paused_until = Some(now + pause.min(MAX_RETRY_AFTER));
        let second = Duration::from_secs(1);
        let recent = self
            .answers
            .iter()
            .filter(|at| **at + second >= now)
            .count();
        let rate = (recent / 2).max(1) as u32;
        self.gap = (second / rate).clamp(SHORTEST, SLOWEST);
    }
}

/// The gap after one more answer; below the shortest one it is none.
fn shorter(gap: Duration) -> Duration {
    if gap < SHORTEST {
        return Duration::ZERO;
    }
    let rate = gap.as_secs_f64().recip();
    let rate = rate + (GROWTH / rate).max(GROWTH_SHARE * rate);
    Duration::from_secs_f64(rate.recip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let Throttle(pace) = Throttle::default();
        pace.into_inner().unwrap()
    }

    #[tokio::test]
    async fn nothing_is_sent_before_the_endpoints_retry_after() {
        let mut pace = pace();
        let now = Instant::now();
        pace.limited(now, now, Some(Duration::from_secs(10)));
        assert!(pace.is_paused(now + Duration::from_secs(9)));
        let first = pace.reserve(now, now).unwrap();
        assert_eq!(first, now + Duration::from_secs(10));
        let mut absurd = self::pace();
        absurd.limited(now, now, Some(Duration::from_secs(31_000_000)));
        assert!(!absurd.is_paused(now + FIRST_PAUSE));
        // Then one after the other.
        let second = pace.reserve(now, now).unwrap();
        assert_eq!(second, first + SLOWEST);
        // One refusal of a burst counts, not each.
        pace.limited(now, now, Some(Duration::from_secs(50)));
        assert!(!pace.is_paused(now + Duration::from_secs(11)));
    }

    #[tokio::test]
    async fn the_pace_is_half_of_what_it_was_and_grows_again() {
        let mut pace = pace();
        let now = Instant::now();
        for _ in 0..20 {
            pace.answered(now);
        }
        pace.limited(now, now, None);
        assert_eq!(pace.gap, Duration::from_millis(100));
        let mut answers = 0;
        while !pace.gap.is_zero() {
            pace.answered(now);
            answers += 1;
        }
        assert!((100..2000).contains(&answers), "{answers}");
    }

    #[tokio::test]
    async fn a_process_that_had_asked_little_is_soon_at_a_usable_rate() {
        let mut pace = pace();
        let mut now = Instant::now();
        pace.limited(now, now, Some(Duration::ZERO));
        assert_eq!(pace.gap, SLOWEST);
        let began = now;
        for _ in 0..60 {
            now = pace.reserve(now, now).unwrap();
            pace.answered(now);
        }
        let took = now.duration_since(began);
        assert!(took <= Duration::from_secs(8), "60 requests took {took:?}");
    }

    #[tokio::test]
    async fn the_rate_stays_near_what_the_endpoint_bears() {
        const BORNE: usize = 5;
        let mut pace = pace();
        let began = Instant::now();
        let (mut now, mut window, mut served, mut asked) = (began, began, 0, 0);
        let end = began + Duration::from_secs(60);
        while now < end {
            now = pace
                .reserve(now, now)
                .unwrap()
                .max(now + Duration::from_millis(1));
            if now >= window + Duration::from_secs(1) {
                (window, served) = (now, 0);
            }
            asked += 1;
            served += 1;
            if served > BORNE {
                pace.limited(now, now, None);
            } else {
                pace.answered(now);
            }
        }
        assert!(asked <= 60 * 2 * BORNE, "asked {asked} times in a minute");
        assert!(asked >= 60 * BORNE / 3, "asked {asked} times in a minute");
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told() {
        let throttle = Throttle::default();
        throttle.limited(Instant::now(), Some(Duration::from_secs(59)));
        let refused = throttle.turn().await;
        assert!(matches!(
            refused,
            Err(RpcFailure::RateLimited { after: Some(_) })
        ));
    }
}
