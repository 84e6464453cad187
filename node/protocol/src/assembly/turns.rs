//! Whose turn it is to propose a ring node.
//!
//! The order is different for each number, so the work is spread, and it is the same for everybody, so all know who is
//! next. Since number and epoch are in the seed, nobody can choose to be first. Nothing rests on the order but time: a
//! proposal out of turn is as good as any other.

use crate::{cids::keccak256, Address};

/// The order in which members propose ring node `number`: a permutation seeded by ring, epoch and number, so that nobody
/// can choose to be first. Members are sorted by `keccak256(ring ‖ epoch ‖ number ‖ member)`, the numbers as 8 bytes,
/// big-endian.
pub fn proposers(ring: Address, epoch: u64, number: u64, members: &[Address]) -> Vec<Address> {
    let rank = |member: &Address| {
        let (epoch, number) = (epoch.to_be_bytes(), number.to_be_bytes());
        let seed = [&ring.0[..], &epoch, &number, &member.0].concat();
        keccak256(&seed)
    };
    let mut order: Vec<_> = members.to_vec();
    order.sort_by_cached_key(rank);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_order_depends_on_ring_epoch_and_number_and_is_fair() {
        let members: Vec<_> = (0..7).map(|n| Address([n; 20])).collect();
        let ring = Address([9; 20]);
        let order = proposers(ring, 1, 1, &members);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, members);
        let mut first: BTreeMap<Address, usize> = BTreeMap::new();
        for number in 0..7_000 {
            *first
                .entry(proposers(ring, 1, number, &members)[0])
                .or_default() += 1;
        }
        assert!(
            first.values().all(|times| (850..1150).contains(times)),
            "{first:?}"
        );
        let others = [(ring, 2, 1), (ring, 1, 2), (Address([8; 20]), 1, 1)];
        let differing =
            others.map(|(ring, epoch, number)| proposers(ring, epoch, number, &members) != order);
        assert_eq!(differing, [true; 3]);
    }
}
