//! How regularly blocks come, so that a chain that stands still is noticed.
//!
//! Without it a chain, or an endpoint, that has stopped would look like one on which nothing happens. It is only a
//! report for status and health: nothing is decided by it.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How many similar intervals must be seen before a missing block means something. A development chain that makes
/// blocks on demand has no such intervals.
const INTERVALS: usize = 8;
/// How many for a block to be late: if that is wrong, it costs one question.
const FEW: usize = 4;
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

/// When new heads came. How far blocks are from each other is taken from their own times: how they arrive depends on the load of
/// machines, and on whether each of them is told.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Beat>,
    intervals: VecDeque<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    came: Instant,
    height: u64,
    /// Seconds since 1970, as the block says.
    time: u64,
}

impl Rhythm {
    /// A new head of this height and time has come.
    pub(super) fn beat(&mut self, came: Instant, height: u64, time: u64) {
        let beat = Beat { came, height, time };
        let Some(last) = self.last.replace(beat).filter(|last| last.height < height) else {
            return;
        };
        let blocks = u32::try_from(height - last.height).unwrap_or(u32::MAX);
        let interval = Duration::from_secs(time.saturating_sub(last.time)) / blocks;
        self.intervals.push_back(interval);
        if self.intervals.len() > INTERVALS {
            self.intervals.pop_front();
        }
    }

    /// The moment from which on the chain counts as standing still, if its blocks have been regular.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.after(INTERVALS, MISSED, AT_LEAST)
    }

    /// The moment from which on a block is late, if blocks have been regular: where heads are pushed, the endpoint may have stopped
    /// pushing them.
    pub(super) fn late(&self) -> Option<Instant> {
        self.after(FEW, LATE, LATE_AT_LEAST)
    }

    /// So many intervals after the newest head, and not before this time; nothing if the newest `seen` were not regular.
    fn after(&self, seen: usize, intervals: u32, at_least: Duration) -> Option<Instant> {
        let newest = || self.intervals.iter().rev().take(seen);
        let (longest, shortest) = (*newest().max()?, *newest().min()?);
        let regular =
            self.intervals.len() >= seen && shortest >= SHORTEST && longest <= shortest * REGULAR;
        let patience = (longest * intervals).max(at_least);
        let last = self.last.filter(|_| regular)?;
        Some(last.came + patience)
    }

    /// How long ago the newest head came.
    pub(super) fn silence(&self) -> Duration {
        self.last
            .map(|last| last.came.elapsed())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_chain_can_stand_still() {
        let mut rhythm = Rhythm::default();
        let start = Instant::now();
        // All that were made meanwhile arrive at one moment, and some are not told of.
        for block in [0, 1, 2, 4, 5, 6, 7, 9, 10] {
            rhythm.beat(start, block, 1_000 + 12 * block);
        }
        let last = start;
        assert_eq!(rhythm.deadline(), Some(last + Duration::from_secs(120)));
        assert_eq!(rhythm.late(), Some(last + Duration::from_secs(36)));
        rhythm.beat(last, 11, 1_120);
        assert_eq!(rhythm.deadline(), None, "two blocks at one time");
        assert_eq!(rhythm.late(), None);
        for block in 12..=15 {
            rhythm.beat(last, block, 1_120 + 12 * (block - 11));
        }
        assert_eq!(rhythm.deadline(), None, "too few since");
        assert_eq!(rhythm.late(), Some(last + Duration::from_secs(36)));
    }
}
