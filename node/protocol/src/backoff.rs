//! How long to wait before something that failed is tried again: the one schedule of the whole project.
//!
//! A [`Backoff`] counts failures. Each one doubles the wait, from the first up to the longest. The wait is between half
//! of that and all of it. A random number (jitter) chooses where, so that nodes that failed at the same moment do not
//! come back at the same moment. The caller gives the random number and does the sleeping, because this crate has no
//! randomness and no clock.

use std::{ops::RangeInclusive, time::Duration};

/// After this many failures a wait is not doubled any more, so that the factor stays finite.
const MAX_DOUBLINGS: u32 = 20;

/// Counts failures in a row and says how long to wait after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// A schedule that waits `first` after the first failure and never more than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// How many failures there were since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// To be called after a success: the next failure counts as the first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure. Returns how long to wait before the next try.
    ///
    /// `random` is any number that is evenly distributed over all of `u64`; it places the wait in [`Backoff::range`].
    pub fn failed(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let range = self.range();
        let spread = range.end().saturating_sub(*range.start());
        // The upper 32 bits are as random as the rest, and a fraction of them is exact in a float.
        let fraction = f64::from((random >> 32) as u32) / f64::from(u32::MAX);
        // A float may round up by a nanosecond.
        (*range.start() + spread.mul_f64(fraction)).min(*range.end())
    }

    /// The shortest and the longest wait after the last failure: half of the doubled wait, and all of it.
    pub fn range(&self) -> RangeInclusive<Duration> {
        let doublings = self.failures.saturating_sub(1).min(MAX_DOUBLINGS);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        full / 2..=full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn waits_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let waits: Vec<_> = (0..9)
            .map(|_| backoff.failed(u64::MAX).as_millis())
            .collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.failures(), 9);
        backoff.reset();
        assert_eq!(backoff.failed(0), FIRST / 2);
    }

    proptest! {
        #[test]
        fn every_wait_is_in_its_range(randoms in proptest::collection::vec(any::<u64>(), 1..100)) {
            let mut backoff = Backoff::new(FIRST, LONGEST);
            for random in randoms {
                let wait = backoff.failed(random);
                prop_assert!(backoff.range().contains(&wait), "{wait:?}");
                prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
            }
        }

        #[test]
        fn no_number_of_failures_and_no_duration_overflows(failures: u32, first: u32, longest: u32) {
            let mut backoff = Backoff::new(Duration::from_secs(first.into()), Duration::from_secs(longest.into()));
            backoff.failures = failures;
            prop_assert!(backoff.failed(u64::MAX) <= Duration::from_secs(longest.into()));
        }
    }
}
