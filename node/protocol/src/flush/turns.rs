//! Whose turn it is to bring an action to the chain.
//!
//! As with [`submitters`](crate::quorum::submitters), the order only saves gas: whoever comes second finds the action
//! on chain.

use crate::{cids::keccak256, Address, Digest};

/// The order in which the members of a ring relay an action: a permutation seeded by the action's name, so that the cost is
/// spread and all know who is next. Members are sorted by `keccak256(msg_hash ‖ member)`.
pub fn relayers(msg_hash: Digest, members: &[Address]) -> Vec<Address> {
    let mut order = members.to_vec();
    order.sort_by_cached_key(|member| keccak256(&[&msg_hash.0[..], &member.0].concat()));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_order_is_a_permutation_that_the_action_decides() {
        let members: Vec<_> = (0..4).map(|n| Address([n; 20])).collect();
        let mut first: BTreeMap<Address, usize> = BTreeMap::new();
        for n in 0..4_000u32 {
            let msg_hash = keccak256(&n.to_be_bytes());
            let order = relayers(msg_hash, &members);
            let mut reversed = members.clone();
            reversed.reverse();
            assert_eq!(order, relayers(msg_hash, &reversed));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, members);
            *first.entry(order[0]).or_default() += 1;
        }
        assert!(
            first.values().all(|times| (850..1150).contains(times)),
            "{first:?}"
        );
    }
}
