//! Forks: one author, two nodes at one position.
//!
//! The two nodes together are a [`ForkProof`], which the ring's contract accepts (`IRing.proveFork`). One proof for
//! each author is enough, and an author can make any number of them at no cost. So [`Forks`] says which proof is the
//! first against its author, and only that one is stored and passed on.
//!
//! Two encodings of one signed content are not a fork: what counts is what the author signed, that is predecessor and
//! content. Honest members cannot fork by a crash, because the signing journal and the node are on disk before the node
//! leaves.

use super::node::{LogNode, SignedNode};
use crate::Address;
use std::collections::BTreeSet;

/// Two nodes that one author signed for one position, with different contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    nodes: [LogNode; 2],
}

/// Why two nodes are not the proof of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkProofError {
    /// They have different authors.
    #[error("the two nodes are by {one} and {other}; a fork is made by one author")]
    Authors {
        /// The author of one.
        one: Address,
        /// The author of the other.
        other: Address,
    },
    /// They have different positions.
    #[error("the two nodes stand at positions {one} and {other}; a fork is at one position")]
    Positions {
        /// The position of one.
        one: u64,
        /// The position of the other.
        other: u64,
    },
    /// They have the same content: the same node, or one content signed twice.
    #[error("the two nodes have the same content, so they do not prove a fork")]
    SameContent,
}

impl ForkProof {
    /// Makes the proof from two nodes.
    ///
    /// # Errors
    /// [`ForkProofError`] when the contract would not accept them.
    pub fn new(one: LogNode, other: LogNode) -> Result<Self, ForkProofError> {
        if one.author() != other.author() {
            return Err(ForkProofError::Authors {
                one: one.author(),
                other: other.author(),
            });
        }
        if one.seq() != other.seq() {
            return Err(ForkProofError::Positions {
                one: one.seq(),
                other: other.seq(),
            });
        }
        let signed = |node: &LogNode| (node.signed().prev, node.signed().content);
        if signed(&one) == signed(&other) {
            return Err(ForkProofError::SameContent);
        }
        Ok(Self {
            nodes: [one, other],
        })
    }

    /// Who signed both.
    pub fn author(&self) -> Address {
        self.nodes[0].author()
    }

    /// The position of both.
    pub fn seq(&self) -> u64 {
        self.nodes[0].seq()
    }

    /// The two nodes.
    pub fn nodes(&self) -> &[LogNode; 2] {
        &self.nodes
    }

    /// What was signed, as `IRing.proveFork` takes it.
    pub fn signed(&self) -> [SignedNode; 2] {
        [self.nodes[0].signed(), self.nodes[1].signed()]
    }
}

/// The authors against whom a proof is held. There are at most as many as the ring ever had members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forks(BTreeSet<Address>);

impl Forks {
    /// The authors whose proofs are on disk.
    pub fn new(authors: impl IntoIterator<Item = Address>) -> Self {
        Self(authors.into_iter().collect())
    }

    /// Takes a proof against `author`. Returns whether it is the first: only then store it and pass it on.
    pub fn is_first(&mut self, author: Address) -> bool {
        self.0.insert(author)
    }

    /// Whether a proof against `author` is held.
    pub fn contains(&self, author: Address) -> bool {
        self.0.contains(&author)
    }

    /// The authors against whom a proof is held, in ascending order.
    pub fn authors(&self) -> impl Iterator<Item = Address> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::node::tests::{domain, key, log};

    #[test]
    fn two_contents_at_one_position_are_a_fork() {
        let (one, other) = (log(&key(1), 3, "x"), log(&key(1), 3, "y"));
        let proof = ForkProof::new(one[2].clone(), other[2].clone()).unwrap();
        assert_eq!((proof.author(), proof.seq()), (key(1).address(), 2));
        for (node, signed) in proof.nodes().iter().zip(proof.signed()) {
            let digest = domain()
                .log_node(node.seq(), signed.prev, signed.content)
                .digest();
            let signer = signed.signature.recover(&digest).unwrap();
            assert_eq!(signer.address(), key(1).address());
        }
        let signed = proof.signed();
        assert_ne!(
            (signed[0].prev, signed[0].content),
            (signed[1].prev, signed[1].content)
        );
    }

    #[test]
    fn what_the_contract_would_refuse_is_no_proof() {
        let (one, other, stranger) = (
            log(&key(1), 3, "x"),
            log(&key(1), 3, "y"),
            log(&key(2), 3, "y"),
        );
        let prove = |a: &LogNode, b: &LogNode| ForkProof::new(a.clone(), b.clone()).unwrap_err();
        assert_eq!(prove(&one[2], &one[2]), ForkProofError::SameContent);
        assert!(matches!(
            prove(&one[2], &other[1]),
            ForkProofError::Positions { .. }
        ));
        assert!(matches!(
            prove(&one[2], &stranger[2]),
            ForkProofError::Authors { .. }
        ));
    }

    #[test]
    fn one_proof_for_each_author_is_kept() {
        let mut forks = Forks::new([Address([1; 20])]);
        assert!(!forks.is_first(Address([1; 20])));
        assert!(forks.is_first(Address([2; 20])));
        assert!(!forks.is_first(Address([2; 20])));
        assert_eq!(forks.authors().count(), 2);
        assert!(forks.contains(Address([2; 20])));
    }
}
