//! How much of the others' logs is held: each author has nodes and bytes for a day.
//!
//! Only what an author writes of its own accord counts. A node is free if all its messages are what others ask of
//! its author: votes on gates for which somebody asked whose gates are computed here, votes on requests that are held or
//! listed, and its part in the ring node that comes next; a few messages for each. So an honest voter is never cut off by
//! what others ask of it. Beyond its quota an author's log is not held further; nothing is lost, for the rest is
//! requested again later, when a day is over or the votes are asked for.

use crate::{
    clock,
    state::{Cost, Duty, Usage},
};
use rings_protocol::Address;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long nobody is asked for the nodes of an author whose quota is used up.
pub(super) const HELD_BACK: Duration = Duration::from_secs(30);
/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Messages of one author for one duty that cost nothing. A gate or a request is voted on once, again when the epoch rises,
/// and again with other inputs after a reorganisation; a ring node is proposed and endorsed a few times at most.
pub(super) const FREE_MESSAGES: u64 = 16;

/// What was used of each author's quota.
#[derive(Debug)]
pub(super) struct Quotas {
    daily: Cost,
    usage: HashMap<Address, Usage>,
    /// Until when nobody is asked for the nodes of an author.
    pub(super) waits: HashMap<Address, Instant>,
    /// How many messages of an author for a duty were taken in and are not on disk yet.
    pub(super) fresh: HashMap<(Address, Duty), u64>,
}

impl Quotas {
    /// `daily` is what each author has for a day; `usage` was counted before and is read from disk.
    pub fn new(daily: Cost, usage: impl IntoIterator<Item = (Address, Usage)>) -> Self {
        Self {
            daily,
            usage: usage.into_iter().collect(),
            waits: HashMap::new(),
            fresh: HashMap::new(),
        }
    }

    /// Counts a node, if there is room for it. Gives what is counted then, to be written with the node.
    pub fn charge(&mut self, author: Address, day: u64, cost: Cost) -> Option<Usage> {
        let before = self.usage.get(&author).copied().unwrap_or_default();
        let usage = before.and(day, cost);
        let fits = usage.cost.nodes <= self.daily.nodes && usage.cost.bytes <= self.daily.bytes;
        if cost != Cost::default() && !fits {
            return None;
        }
        self.usage.insert(author, usage);
        Some(usage)
    }

    /// Whether nobody is to be asked for this author's nodes now.
    pub fn waits(&self, author: Address, now: Instant) -> bool {
        self.waits.get(&author).is_some_and(|until| now < *until)
    }

    /// All that was taken in is on disk.
    pub fn written(&mut self) {
        self.fresh.clear();
    }
}

/// Days since 1970. A clock that is wrong gives an author more or less room, and nothing else.
pub(super) fn today() -> u64 {
    clock::seconds() / DAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AUTHOR: Address = Address([7; 20]);

    fn cost(nodes: u64, bytes: u64) -> Cost {
        Cost { nodes, bytes }
    }

    #[test]
    fn a_day_has_its_quota_and_what_costs_nothing_is_always_let_in() {
        let mut quotas = Quotas::new(cost(2, 100), []);
        assert!(quotas.charge(AUTHOR, 1, cost(1, 40)).is_some());
        assert!(quotas.charge(AUTHOR, 1, cost(1, 61)).is_none(), "bytes");
        assert!(quotas.charge(AUTHOR, 1, cost(1, 60)).is_some());
        assert!(quotas.charge(AUTHOR, 1, cost(1, 0)).is_none(), "nodes");
        assert!(quotas.charge(AUTHOR, 1, Cost::default()).is_some());
        assert!(quotas.charge(Address([8; 20]), 1, cost(1, 1)).is_some());
        assert!(
            quotas.charge(AUTHOR, 2, cost(1, 100)).is_some(),
            "another day"
        );
    }

    proptest! {
        /// Whatever comes, and across restarts, no day has more than its quota.
        #[test]
        fn no_day_has_more(nodes in proptest::collection::vec((0u64..3, 0u64..50, any::<bool>()), 0..200)) {
            let daily = cost(20, 300);
            let mut quotas = Quotas::new(daily, []);
            let (mut day, mut held) = (0, cost(0, 0));
            for (next_day, bytes, restarts) in nodes {
                if next_day == 0 {
                    day += 1;
                    held = cost(0, 0);
                }
                if restarts {
                    let usage: Vec<_> = quotas.usage.drain().collect();
                    quotas = Quotas::new(daily, usage);
                }
                if quotas.charge(AUTHOR, day, cost(1, bytes)).is_some() {
                    held = cost(held.nodes + 1, held.bytes + bytes);
                }
                prop_assert!(held.nodes <= daily.nodes && held.bytes <= daily.bytes);
            }
        }
    }
}
