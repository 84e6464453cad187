//! How regularly blocks come, so that a chain that stands still is noticed.
//!
//! Without it a chain, or an endpoint, that has stopped would look like one on which nothing happens. It is only a
//! report for status and health: nothing is decided by it.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How many similar intervals must be seen before a missing block means something. A development chain that makes
/// blocks on demand has no such intervals.
const INTERVALS: usize = 8;
/// The longest of them is at most this many times the shortest.
const REGULAR: u32 = 3;
/// The shortest interval that counts as a rhythm.
const SHORTEST: Duration = Duration::from_millis(500);
/// The chain stands still after this many intervals without a block, and not before a minute.
const MISSED: u32 = 10;
const AT_LEAST: Duration = Duration::from_secs(60);
/// A block is late after this many intervals, and not before some seconds.
const LATE: u32 = 3;
const LATE_AT_LEAST: Duration = Duration::from_secs(5);

/// When new heads came.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Instant>,
    intervals: VecDeque<Duration>,
}

impl Rhythm {
    /// A new head has come.
    pub(super) fn beat(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.intervals.push_back(now - last);
            if self.intervals.len() > INTERVALS {
                self.intervals.pop_front();
            }
        }
    }

    /// The moment from which on the chain counts as standing still, if its blocks have been regular.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.after(MISSED, AT_LEAST)
    }

    /// The moment from which on a block is late, if blocks have been regular: where heads are pushed, the endpoint may have stopped
    /// pushing them.
    pub(super) fn late(&self) -> Option<Instant> {
        self.after(LATE, LATE_AT_LEAST)
    }

    /// So many intervals after the newest head, and not before this time.
    fn after(&self, intervals: u32, at_least: Duration) -> Option<Instant> {
        let longest = *self.intervals.iter().max()?;
        let shortest = *self.intervals.iter().min()?;
        let regular = self.intervals.len() == INTERVALS
            && shortest >= SHORTEST
            && longest <= shortest * REGULAR;
        let patience = (longest * intervals).max(at_least);
        self.last.filter(|_| regular).map(|last| last + patience)
    }

    /// How long ago the newest head came.
    pub(super) fn silence(&self) -> Duration {
        self.last.map(|last| last.elapsed()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_chain_can_stand_still() {
        let mut rhythm = Rhythm::default();
        let start = Instant::now();
        for block in 0..=8 {
            rhythm.beat(start + block * Duration::from_secs(12));
        }
        let last = start + Duration::from_secs(96);
        assert_eq!(rhythm.deadline(), Some(last + Duration::from_secs(120)));
        assert_eq!(rhythm.late(), Some(last + Duration::from_secs(36)));
        rhythm.beat(last + Duration::from_millis(10));
        assert_eq!(rhythm.deadline(), None);
    }
}
