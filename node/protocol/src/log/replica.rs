//! A copy of another member's log, and how a node that comes in fits it.
//!
//! A [`Replica`] remembers only where the copy ends. [`Replica::offer`] compares a node with it: the position says
//! whether the node is the next, an earlier or a later one; for the next one both links have to lead to nodes that are
//! held. The caller stores what was called [`Offer::Next`] and then calls [`Replica::advance`], in this order, so that
//! the copy never claims more than is on disk.
//!
//! The signature, and everything that a position fixes, was checked when the node was opened ([`LogNode::open`]). Here
//! it is checked what only the holder of the log can know. An [`Offer::Taken`] is the beginning of a proof against the
//! author, or another encoding of the node that is held: digests do not say which, and
//! [`ForkProof::new`](super::ForkProof::new) decides with both nodes.

use super::{
    node::{LogNode, Tip},
    skip::skip_target,
};
use crate::Digest;

/// A copy of one author's log, as far as its links were followed without a gap from the first node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    tip: Option<Tip>,
}

/// How a node fits a [`Replica`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The next one: store it, then call [`Replica::advance`].
    Next,
    /// Held already.
    Held,
    /// Nodes between are missing: ask for them, from this sequence number on.
    Gap {
        /// The first that is missing.
        from: u64,
    },
    /// Other bytes at a position that is held. If the author signed another content, it is a fork; the same content sealed
    /// under another key is the same node. See [`ForkProof`](super::ForkProof).
    Taken {
        /// The node that is held at that position.
        held: Digest,
    },
    /// Its links do not lead to the nodes that are held. The author made an error, or began its log again from the
    /// start.
    Unlinked,
}

impl Replica {
    /// A copy that ends at `tip`; `None` for an empty one.
    pub fn new(tip: Option<Tip>) -> Self {
        Self { tip }
    }

    /// Where the copy ends.
    pub fn tip(&self) -> Option<Tip> {
        self.tip
    }

    /// The sequence number that comes next.
    pub fn next_seq(&self) -> u64 {
        self.tip.map_or(0, |tip| tip.seq + 1)
    }

    /// Says how `node` fits this copy. `digest_at` looks up the digest of a node that is held.
    pub fn offer(&self, node: &LogNode, mut digest_at: impl FnMut(u64) -> Option<Digest>) -> Offer {
        let (seq, next) = (node.seq(), self.next_seq());
        if seq > next {
            return Offer::Gap { from: next };
        }
        if seq < next {
            return match digest_at(seq) {
                Some(held) if held == node.digest() => Offer::Held,
                Some(held) => Offer::Taken { held },
                // The index has lost a node that should be there, so the node is fetched again.
                None => Offer::Gap { from: seq },
            };
        }
        match self.links_here(node, digest_at) {
            true => Offer::Next,
            false => Offer::Unlinked,
        }
    }

    /// Whether both links of the next node are to nodes that are held. The signature alone would not show that its author
    /// has one log and not two.
    fn links_here(&self, node: &LogNode, digest_at: impl FnMut(u64) -> Option<Digest>) -> bool {
        let content = node.content();
        let digest = |cid: &Option<cid::Cid>| {
            cid.as_ref()
                .and_then(|cid| crate::cids::digest_of(cid).ok())
        };
        let prev_fits = digest(&content.prev) == self.tip.map(|tip| tip.digest);
        let skip_fits = digest(&content.skip) == skip_target(node.seq()).and_then(digest_at);
        prev_fits && skip_fits
    }

    /// To be called when a node that [`Replica::offer`] called [`Offer::Next`] is stored.
    pub fn advance(&mut self, node: &LogNode) {
        self.tip = Some(node.tip());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::node::tests::{key, log};

    fn replica_of(nodes: &[LogNode]) -> (Replica, Vec<Digest>) {
        let mut replica = Replica::default();
        let mut digests: Vec<Digest> = Vec::new();
        for node in nodes {
            assert_eq!(
                replica.offer(node, |seq| digests.get(seq as usize).copied()),
                Offer::Next
            );
            replica.advance(node);
            digests.push(node.digest());
        }
        (replica, digests)
    }

    #[test]
    fn a_log_is_followed_in_order() {
        let nodes = log(&key(1), 40, "x");
        let (replica, digests) = replica_of(&nodes[..20]);
        let at = |seq: u64| digests.get(seq as usize).copied();
        assert_eq!(replica.next_seq(), 20);
        assert_eq!(replica.offer(&nodes[25], at), Offer::Gap { from: 20 });
        assert_eq!(replica.offer(&nodes[7], at), Offer::Held);
    }

    #[test]
    fn a_second_node_finds_its_position_taken() {
        let (nodes, other) = (log(&key(1), 5, "x"), log(&key(1), 6, "y"));
        let (replica, digests) = replica_of(&nodes);
        let at = |seq: u64| digests.get(seq as usize).copied();
        assert_eq!(
            replica.offer(&other[3], at),
            Offer::Taken {
                held: nodes[3].digest()
            }
        );
        assert_eq!(
            replica.offer(&other[5], at),
            Offer::Unlinked,
            "a chain that never meets ours"
        );
    }

    #[test]
    fn a_wrong_skip_link_is_seen() {
        let nodes = log(&key(1), 4, "x");
        let (replica, mut digests) = replica_of(&nodes[..3]);
        digests[0] = Digest([9; 32]);
        assert_eq!(
            replica.offer(&nodes[3], |seq| digests.get(seq as usize).copied()),
            Offer::Unlinked
        );
    }
}
