//! A queue that is fair to those who put things into it.
//!
//! Each owner has a queue of its own, and the owners have their turns. So one requester with a thousand gates delays
//! another requester's first gate by one turn and not by a thousand.

use rings_protocol::Address;
use std::collections::{BTreeMap, VecDeque};

/// Queues of several requesters, of which each has its turn.
#[derive(Debug)]
pub(super) struct Fair<T> {
    queues: BTreeMap<Address, VecDeque<T>>,
    /// Those who have something in their queue, the next first.
    turns: VecDeque<Address>,
    /// How many things there are.
    count: usize,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            turns: VecDeque::new(),
            count: 0,
        }
    }
}

impl<T> Fair<T> {
    /// Puts something at the end of a requester's queue.
    pub fn push(&mut self, requester: Address, item: T) {
        let queue = self.queues.entry(requester).or_default();
        if queue.is_empty() {
            self.turns.push_back(requester);
        }
        queue.push_back(item);
        self.count += 1;
    }

    /// Takes the oldest of the next requester who `may` have one more; its next turn comes after those of the others.
    pub fn next(&mut self, mut may: impl FnMut(Address) -> bool) -> Option<(Address, T)> {
        let turn = self.turns.iter().position(|requester| may(*requester))?;
        let requester = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&requester)?;
        let item = queue.pop_front()?;
        self.count -= 1;
        match queue.is_empty() {
            true => drop(self.queues.remove(&requester)),
            false => self.turns.push_back(requester),
        }
        Some((requester, item))
    }

    /// How many things wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// All things that wait, by requester.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.queues.values().flatten()
    }

    /// Removes the things for which `keep` is false. Turns stay as they are.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for queue in self.queues.values_mut() {
            queue.retain(&mut keep);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        let queues = &self.queues;
        self.turns
            .retain(|requester| queues.contains_key(requester));
        self.count = self.queues.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(n: u8) -> Address {
        Address([n; 20])
    }

    #[test]
    fn who_asks_for_one_thing_waits_for_one_of_each_other_only() {
        let mut fair = Fair::default();
        for item in 0..100 {
            fair.push(account(1), item);
        }
        fair.push(account(2), 100);
        let first: Vec<_> = (0..3).filter_map(|_| fair.next(|_| true)).collect();
        assert_eq!(first, [(account(1), 0), (account(2), 100), (account(1), 1)]);
    }

    #[test]
    fn who_may_not_have_more_is_passed_over() {
        let mut fair = Fair::default();
        fair.push(account(1), 1);
        fair.push(account(2), 2);
        assert_eq!(fair.next(|who| who != account(1)), Some((account(2), 2)));
        assert_eq!(fair.next(|who| who != account(1)), None);
        assert_eq!(fair.next(|_| true), Some((account(1), 1)));
        assert!(fair.queues.is_empty() && fair.turns.is_empty());
    }

    #[test]
    fn what_is_taken_out_has_no_turn() {
        let mut fair = Fair::default();
        for (who, item) in [(1, 1), (2, 2), (1, 3)] {
            fair.push(account(who), item);
        }
        fair.retain(|item| *item != 2);
        assert_eq!((fair.len(), fair.iter().count()), (2, 2));
        assert_eq!(fair.next(|_| true), Some((account(1), 1)));
        assert_eq!(fair.next(|_| true), Some((account(1), 3)));
        assert_eq!((fair.next(|_| true), fair.len()), (None, 0));
    }

    proptest! {
        /// Nothing is lost, each requester's things come in their order, and no two turns of one requester come while
        /// another one waits for its first.
        #[test]
        fn everything_comes_in_turn(items in proptest::collection::vec(0u8..5, 0..60)) {
            let mut fair = Fair::default();
            for (n, who) in items.iter().enumerate() {
                fair.push(account(*who), n);
            }
            let mut taken = Vec::new();
            while let Some(next) = fair.next(|_| true) {
                taken.push(next);
            }
            prop_assert_eq!(taken.len(), items.len());
            let counts = |who: u8| items.iter().filter(|other| **other == who).count();
            for who in 0..5 {
                let of = taken.iter().filter(|(requester, _)| *requester == account(who));
                let order: Vec<_> = of.map(|(_, n)| *n).collect();
                prop_assert!(order.is_sorted());
                let last = taken.iter().rposition(|(requester, _)| *requester == account(who));
                let most: usize = (0..5).map(|other| counts(other).min(counts(who))).sum();
                prop_assert!(last.is_none_or(|last| last < most));
            }
        }
    }
}
