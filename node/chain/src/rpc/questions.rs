//! When an endpoint that pushes its heads is asked for the head all the same: a schedule without I/O.
//!
//! A subscription can die without a sign, or push what is of no use. There are three reasons to ask, each with its time:
//! a long silence ([`SILENCE`]); a doubt, after a pushed head that does not follow the newest one; and a hint from
//! elsewhere (a transaction in a block that was not pushed), or that an answer was news which should have been pushed. An
//! endpoint whose answers are news is asked again every two seconds until it pushes a head that follows. Doubts and hints
//! that no news follows come less and less often: what others can cause costs little.

use crate::backoff::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// After this long without a pushed block, the head is asked for. This finds a subscription that the endpoint has
/// forgotten; a lost connection is noticed much sooner, by its pings.
const SILENCE: Duration = Duration::from_secs(90);
/// After a hint that there is a newer block, this long is left to the endpoint to push it.
const HINT_PATIENCE: Duration = Duration::from_secs(2);
/// After a pushed head that does not follow the newest one, this long: of a reorganisation the endpoint pushes several.
const DOUBT_PATIENCE: Duration = Duration::from_millis(50);

/// When the head is asked for next, by reason.
#[derive(Debug)]
pub(super) struct Questions {
    silent_until: Instant,
    doubt: Option<Instant>,
    hint: Option<Instant>,
    doubts: Backoff,
    hints: Backoff,
}

impl Questions {
    /// Right after an answer.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            silent_until: now + SILENCE,
            doubt: None,
            hint: None,
            doubts: Backoff::between(DOUBT_PATIENCE, SILENCE),
            hints: Backoff::between(HINT_PATIENCE, SILENCE),
        }
    }

    /// When the next question is due.
    pub(super) fn next(&self) -> Instant {
        let earlier = |at: Instant, other: Option<Instant>| other.map_or(at, |other| other.min(at));
        earlier(earlier(self.silent_until, self.doubt), self.hint)
    }

    /// Whether a hint, or an answer that was news, waits for its question already.
    pub(super) const fn is_hinted(&self) -> bool {
        self.hint.is_some()
    }

    /// Something was told that is in no block that was pushed.
    pub(super) fn hinted(&mut self, now: Instant) {
        if self.hint.is_none() {
            self.hint = Some(now + self.hints.next());
        }
    }

    /// A head was pushed that does not follow the newest one.
    pub(super) fn doubted(&mut self, now: Instant) {
        if self.doubt.is_none() {
            self.doubt = Some(now + self.doubts.next());
        }
    }

    /// A head was pushed that follows the newest one: the subscription works.
    pub(super) fn followed(&mut self, now: Instant) {
        self.silent_until = now + SILENCE;
        self.hint = None;
        self.hints.reset();
        self.doubts.reset();
    }

    /// The endpoint was asked, and its answer was a new head, which should have been pushed, or was not.
    pub(super) fn answered(&mut self, now: Instant, is_news: bool) {
        self.silent_until = now + SILENCE;
        self.doubt = None;
        if is_news {
            self.hints.reset();
        }
        let was_due = self.hint.is_some_and(|at| at <= now);
        if is_news || was_due {
            self.hint = Some(now + self.hints.next());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each question until `end`, and returns when they were due.
    fn ask_until(questions: &mut Questions, end: Instant, is_news: bool) -> Vec<Instant> {
        let mut asked = Vec::new();
        while questions.next() < end {
            let due = questions.next();
            asked.push(due);
            questions.answered(due, is_news);
        }
        asked
    }

    #[test]
    fn an_endpoint_that_pushes_is_not_asked() {
        let start = Instant::now();
        let mut questions = Questions::new(start);
        for second in 0..3_600 {
            let now = start + Duration::from_secs(second);
            assert!(questions.next() > now);
            questions.followed(now);
        }
        assert_eq!(
            questions.next(),
            start + Duration::from_secs(3_599) + SILENCE
        );
    }

    #[test]
    fn false_hints_and_doubts_cost_less_and_less() {
        let start = Instant::now();
        for reason in [Questions::hinted, Questions::doubted] {
            let (mut questions, mut now, mut asked) = (Questions::new(start), start, 0);
            while now < start + Duration::from_secs(3_600) {
                reason(&mut questions, now);
                now = questions.next();
                questions.answered(now, false);
                asked += 1;
            }
            assert!(asked < 110, "{asked} in an hour");
        }
    }

    #[test]
    fn a_doubt_is_settled_at_once_and_a_hint_soon() {
        let start = Instant::now();
        let mut questions = Questions::new(start);
        questions.hinted(start);
        assert!(questions.next() <= start + HINT_PATIENCE);
        questions.doubted(start);
        assert!(questions.next() <= start + DOUBT_PATIENCE);
        // The answer to the doubt does not end the hint.
        let due = questions.next();
        questions.answered(due, false);
        assert!(questions.is_hinted());
        assert!(questions.next() <= start + HINT_PATIENCE);
    }

    #[test]
    fn an_endpoint_whose_heads_must_be_asked_for_is_asked_again_until_it_pushes() {
        let start = Instant::now();
        let end = start + Duration::from_secs(60);
        let mut questions = Questions::new(start);
        questions.answered(start, true);
        // Pushing what is of no use changes nothing.
        let mut asked = Vec::new();
        while questions.next() < end {
            let now = questions.next();
            asked.push(now);
            questions.answered(now, true);
            questions.doubted(now);
        }
        for pair in asked.windows(2) {
            assert!(pair[1] - pair[0] <= HINT_PATIENCE, "{asked:?}");
        }
        questions.followed(end);
        questions.answered(questions.next(), false);
        assert_eq!(ask_until(&mut questions, end + SILENCE, false), []);
    }
}
