//! Which members keep another one's log whole, however much the others collect.
//!
//! A member that loses its disk gets its own log back from the others. If all of them had collected its old nodes, it could
//! never sign again, for it would not know what it signed. So of each log a few others never collect anything: one more
//! than may be faulty in any way, so at least one of them is honest. Who they are follows from the ring, the author and the
//! members, so nobody has to ask.

use crate::{cids::keccak256, Address};

/// How many members beside the author keep a log whole in a ring of so many: one more than may be faulty.
pub fn keepers_needed(members: usize) -> usize {
    members.saturating_sub(1) / 3 + 1
}

/// The members that keep the log of `author` whole, besides the author. Members are sorted by
/// `keccak256(ring ‖ author ‖ member)`, so when one of them leaves, the others stay the same.
pub fn log_keepers(ring: Address, author: Address, members: &[Address]) -> Vec<Address> {
    let rank = |member: &Address| keccak256(&[ring.0, author.0, member.0].concat());
    let others = members.iter().filter(|member| **member != author);
    let mut order: Vec<_> = others.copied().collect();
    order.sort_by_cached_key(rank);
    order.truncate(keepers_needed(members.len()));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const RING: Address = Address([9; 20]);

    #[test]
    fn one_more_than_may_be_faulty() {
        let table = [(1, 1), (3, 1), (4, 2), (5, 2), (7, 3), (31, 11), (100, 34)];
        for (members, needed) in table {
            assert_eq!(keepers_needed(members), needed, "{members} members");
        }
    }

    proptest! {
        #[test]
        fn a_log_has_keepers_and_the_work_is_spread(members in proptest::collection::btree_set(any::<[u8; 20]>(), 4..40)) {
            let members: Vec<_> = members.into_iter().map(Address).collect();
            let mut all = BTreeSet::new();
            for author in &members {
                let keepers = log_keepers(RING, *author, &members);
                prop_assert_eq!(keepers.len(), keepers_needed(members.len()));
                prop_assert!(!keepers.contains(author));
                // When one of them leaves, the others go on.
                let rest: Vec<_> = members.iter().filter(|member| **member != keepers[0]).copied().collect();
                let after = log_keepers(RING, *author, &rest);
                prop_assert!(keepers[1..].iter().take(after.len()).all(|keeper| after.contains(keeper)));
                all.extend(keepers);
            }
            prop_assert!(all.len() > members.len() / 3, "few do all the work: {}", all.len());
        }
    }
}
