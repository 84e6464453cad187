//! How many signatures are two thirds, and whose turn it is to submit.
//!
//! [`quorum`] is the contract's rule `3 * signers >= 2 * members` in Rust. While a change of the membership is
//! announced, the contract may count more members than vote, so a running member reads the number that is needed from
//! the chain; this function serves what has only a list of members. [`submitters`] gives the order in which members
//! send the registration of a gate. The order saves gas and nothing else: the contract accepts a registration from
//! anybody.

use crate::{cids::keccak256, Address};

/// Most members that a ring may have (`MAX_MEMBERS` of the contract).
pub const MAX_MEMBERS: usize = 256;

/// The least number of signers with `3 * signers >= 2 * members`.
///
/// For an empty ring it is one, so that a ring without members accepts nothing.
pub fn quorum(members: usize) -> usize {
    match members {
        0 => 1,
        n => n.saturating_mul(2).div_ceil(3),
    }
}

/// The order in which members submit the registration for `gate`: a permutation seeded by the gate, the
/// same for everybody, so that the work is spread and the next in line is known.
///
/// Members are sorted by `keccak256(gate ‖ member)`: this needs no state, and when a member leaves, the order of the
/// others stays the same.
pub fn submitters(gate: Address, members: &[Address]) -> Vec<Address> {
    let mut order: Vec<_> = members
        .iter()
        .map(|member| (rank(gate, *member), *member))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, member)| member).collect()
}

fn rank(gate: Address, member: Address) -> [u8; 32] {
    let mut seed = [0; 40];
    seed[..20].copy_from_slice(&gate.0);
    seed[20..].copy_from_slice(&member.0);
    keccak256(&seed).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_of_the_design() {
        let table = [
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (5, 4),
            (6, 4),
            (7, 5),
            (10, 7),
            (16, 11),
            (31, 21),
            (100, 67),
        ];
        for (members, needed) in table {
            assert_eq!(quorum(members), needed, "{members} members");
        }
    }

    #[test]
    fn it_is_the_least_number_that_satisfies_the_contract() {
        for n in 1..=MAX_MEMBERS {
            let q = quorum(n);
            assert!(3 * q >= 2 * n && 3 * (q - 1) < 2 * n, "{n}");
            let faulty = (n - 1) / 3;
            assert!(
                2 * q > n + faulty,
                "two quorums of {n} share an honest member"
            );
        }
        assert!(quorum(0) > 0);
    }

    proptest! {
        #[test]
        fn everybody_gets_the_same_permutation(gate: [u8; 20], mut bytes in proptest::collection::btree_set(any::<[u8; 20]>(), 1..40)) {
            let members: Vec<_> = bytes.iter().copied().map(Address).collect();
            let order = submitters(Address(gate), &members);
            let mut reversed = members.clone();
            reversed.reverse();
            prop_assert_eq!(&order, &submitters(Address(gate), &reversed));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, members);
            let gone = order[0];
            bytes.remove(&gone.0);
            let rest: Vec<_> = bytes.iter().copied().map(Address).collect();
            prop_assert_eq!(submitters(Address(gate), &rest), order[1..].to_vec());
        }
    }
}
