//! After a backup was put back: where the own log ends is asked of the others, before anything is signed.
//!
//! What a backup holds is older than what this member signed with it at work. A new node would take the position of one
//! that is known to others, and a vote could contradict one that was sent. So nothing is signed before two thirds of the
//! other members have said how far they hold this member's log, and all of that is here. A member that claims more than
//! it can deliver does not count; at most a third does so.

use rings_protocol::Address;
use std::collections::BTreeMap;

/// What the others have said.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// How many nodes of this member's log each of the others holds.
    pub(super) lengths: BTreeMap<Address, u64>,
}

impl Recovery {
    /// How many of `others` hold no more than the `own` nodes, and how many must.
    pub fn progress(&self, others: &[Address], own: u64) -> (usize, usize) {
        let covered = others.iter().filter(|other| {
            let length = self.lengths.get(*other);
            length.is_some_and(|length| *length <= own)
        });
        (covered.count(), (2 * others.len()).div_ceil(3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u8) -> Address {
        Address([n; 20])
    }

    #[test]
    fn two_thirds_of_the_others_must_hold_no_more() {
        let others: Vec<_> = (1..=4).map(member).collect();
        let mut recovery = Recovery::default();
        assert_eq!(recovery.progress(&others, 5), (0, 3));
        for (n, length) in [(1, 5), (2, 9), (3, 0), (9, 0)] {
            recovery.lengths.insert(member(n), length);
        }
        assert_eq!(
            recovery.progress(&others, 5),
            (2, 3),
            "2 holds more, 9 is no member"
        );
        assert_eq!(recovery.progress(&others, 9), (3, 3));
        assert_eq!(
            recovery.progress(&[], 0),
            (0, 0),
            "a ring of one has nobody to ask"
        );
        assert_eq!(recovery.progress(&others[..2], 5), (1, 2));
        assert_eq!(recovery.progress(&others[..3], 5), (2, 2));
    }
}
