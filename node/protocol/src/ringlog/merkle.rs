//! The keccak Merkle trees of a ring node, as the ring's contract computes them (`RingNodeHeader.sol`).
//!
//! A leaf is `keccak256(0x00 ‖ its bytes)`, an inner node `keccak256(0x01 ‖ lesser child ‖ greater child)`. Each level
//! pairs its nodes from the left, and one that is left over goes up as it is. So a path is only the sisters, the lowest
//! first: it does not have to say left or right.

use crate::{cids::keccak256, Digest};

/// Longest path that is accepted. A tree of 2^32 leaves has no longer one.
pub const MAX_PATH: usize = 32;

/// The leaf of an entry or of a head.
pub fn leaf(bytes: &[u8]) -> Digest {
    let mut prefixed = Vec::with_capacity(1 + bytes.len());
    prefixed.push(0);
    prefixed.extend_from_slice(bytes);
    keccak256(&prefixed)
}

fn parent(one: Digest, other: Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&one.min(other).0);
    bytes[33..].copy_from_slice(&one.max(other).0);
    keccak256(&bytes)
}

fn level_above(level: &[Digest]) -> Vec<Digest> {
    let pairs = level.chunks(2).map(|pair| match pair {
        [one, other] => parent(*one, *other),
        rest => rest.first().copied().unwrap_or_default(),
    });
    pairs.collect()
}

/// The root above these leaves; zero for none.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_above(&level);
    }
    level.first().copied().unwrap_or(Digest::ZERO)
}

/// The path from the leaf at `index` up to the root; `None` when there is no such leaf.
pub fn path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    leaves.get(index)?;
    let (mut level, mut at, mut path) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        path.extend(level.get(at ^ 1));
        level = level_above(&level);
        at /= 2;
    }
    Some(path)
}

/// The root to which `path` leads up from `leaf`.
pub fn root_of(leaf: Digest, path: &[Digest]) -> Digest {
    path.iter()
        .fold(leaf, |below, sister| parent(below, *sister))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    #[test]
    fn a_single_leaf_is_the_root_and_no_leaf_is_zero() {
        assert_eq!(root(&leaves(1)), leaf(&0usize.to_be_bytes()));
        assert_eq!(root(&[]), Digest::ZERO);
        assert_eq!(path(&leaves(1), 0), Some(vec![]));
        assert_eq!(path(&leaves(3), 3), None);
    }

    /// The leaf that `contracts/test/Proofs.t.sol` computed with other tools.
    #[test]
    fn the_contract_hashes_a_leaf_so() {
        assert_eq!(
            leaf(b"entry").to_string(),
            "0x6777368f8eda18f876480ec68b0438926573669c5f2bffd70608a17374ef71c0"
        );
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let two = leaves(2);
        let (less, more) = (two[0].min(two[1]), two[0].max(two[1]));
        assert_ne!(leaf(&[less.0, more.0].concat()), root(&two));
    }

    proptest! {
        #[test]
        fn each_leaf_is_proven_and_nothing_else(count in 1usize..200, index: usize, other: usize) {
            let (index, other) = (index % count, other % (2 * count));
            let leaves = leaves(count);
            let path = path(&leaves, index).unwrap();
            prop_assert!(path.len() <= (count as f64).log2().ceil() as usize);
            prop_assert_eq!(root_of(leaves[index], &path), root(&leaves));
            if other != index {
                prop_assert_ne!(root_of(leaf(&other.to_be_bytes()), &path), root(&leaves));
            }
        }
    }
}
