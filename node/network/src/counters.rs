//! Counters of what was dropped or refused.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Gossip messages dropped because the consumer did not keep up.
    pub gossip_dropped: u64,
    /// Requests answered "busy": too many of one peer, or the consumer did not keep up.
    pub requests_refused: u64,
    /// Connections refused: not on the list of peers, or a limit reached.
    pub connections_refused: u64,
    /// Dials that failed.
    pub dials_failed: u64,
}

/// What the driver counts, for everybody who reads the statistics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) gossip_dropped: Counter,
    pub(crate) requests_refused: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) dials_failed: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            gossip_dropped: self.gossip_dropped.get(),
            requests_refused: self.requests_refused.get(),
            connections_refused: self.connections_refused.get(),
            dials_failed: self.dials_failed.get(),
        }
    }
}
