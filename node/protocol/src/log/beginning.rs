//! Beginning a copy of a log at a head that the chain names, without the nodes before it.
//!
//! Later nodes link back by their skip links, also to nodes before that head. Which of those they can link to is known: they
//! all lie on the way back from the head by skip links alone ([`Beginning`] walks it), and the node before the head. So with
//! the digests of these few nodes, about two for each doubling of the log's length, every later link can be checked as if the
//! whole log were here. The head's digest fixes each of them, so nothing has to be believed.

use super::{
    node::{LogNode, Tip},
    skip::skip_target,
    skip_proof::Links,
};
use crate::{Address, Digest};
use std::collections::BTreeMap;

/// Why nodes are no beginning of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeginningError {
    /// The head, or a node that it leads to, is by somebody else.
    #[error("node {seq} is by {author}, not by the author of the log; the head on chain is not one of this log")]
    Author {
        /// The node's position.
        seq: u64,
        /// Who signed it.
        author: Address,
    },
    /// The node is not the one that was asked for.
    #[error("node {seq} does not stand where the link to it leads; the author of the log breaks its rules")]
    Broken {
        /// The node's position.
        seq: u64,
    },
}

/// A head, and the digests of those nodes before it to which later nodes may link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    author: Address,
    head: LogNode,
    earlier: BTreeMap<u64, Digest>,
    /// The node on the way back that comes next: its position and its digest.
    wanted: Option<(u64, Digest)>,
}

impl Beginning {
    /// Begins at `head`, which the chain names by the digest `named`.
    ///
    /// # Errors
    /// [`BeginningError`] when it is not that node, or not by `author`.
    pub fn at(head: LogNode, named: Digest, author: Address) -> Result<Self, BeginningError> {
        if head.digest() != named {
            return Err(BeginningError::Broken { seq: head.seq() });
        }
        let mut beginning = Self {
            author,
            earlier: BTreeMap::new(),
            wanted: None,
            head: head.clone(),
        };
        beginning.follow(&head)?;
        let links = Links::of(&head);
        let before = head.seq().checked_sub(1).zip(links.prev);
        beginning.earlier.extend(before);
        Ok(beginning)
    }

    /// The node to be added next; `None` when all that is needed is known.
    pub fn wanted(&self) -> Option<Digest> {
        self.wanted.map(|(_, digest)| digest)
    }

    /// Adds the node that was [`Beginning::wanted`].
    ///
    /// # Errors
    /// [`BeginningError`] when it is another one.
    pub fn add(&mut self, node: &LogNode) -> Result<(), BeginningError> {
        let seq = node.seq();
        match self.wanted == Some((seq, node.digest())) {
            true => self.follow(node),
            false => Err(BeginningError::Broken { seq }),
        }
    }

    /// Notes where a node's skip link leads.
    fn follow(&mut self, node: &LogNode) -> Result<(), BeginningError> {
        let (seq, author) = (node.seq(), node.author());
        if author != self.author {
            return Err(BeginningError::Author { seq, author });
        }
        let target = skip_target(seq).zip(Links::of(node).skip);
        self.earlier.extend(target);
        // The first node links nowhere.
        self.wanted = target.filter(|(seq, _)| *seq > 0);
        Ok(())
    }

    /// Whose log it is.
    pub fn author(&self) -> Address {
        self.author
    }

    /// The head: the first node that is held.
    pub fn head(&self) -> &LogNode {
        &self.head
    }

    /// The end of a copy to which the head comes next.
    pub fn before(&self) -> Option<Tip> {
        let seq = self.head.seq().checked_sub(1)?;
        let digest = *self.earlier.get(&seq)?;
        Some(Tip { seq, digest })
    }

    /// Digests of nodes before the head, by position.
    pub fn earlier(&self) -> &BTreeMap<u64, Digest> {
        &self.earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        node::tests::{key, log},
        Offer, Replica,
    };
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn begun(nodes: &[LogNode], at: usize) -> Beginning {
        let author = key(1).address();
        let mut beginning = Beginning::at(nodes[at].clone(), nodes[at].digest(), author).unwrap();
        while let Some(wanted) = beginning.wanted() {
            let node = nodes.iter().find(|node| node.digest() == wanted);
            beginning.add(node.unwrap()).unwrap();
        }
        beginning
    }

    #[test]
    fn a_copy_that_begins_at_a_head_checks_every_later_link() {
        let nodes = log(&key(1), 130, "x");
        for at in [0, 1, 2, 5, 31, 64, 77, 100] {
            let beginning = begun(&nodes, at);
            assert!(beginning.earlier().len() <= 2 * 7 + 1, "{at}");
            let mut held = beginning.earlier().clone();
            let mut replica = Replica::new(beginning.before());
            for node in &nodes[at..] {
                let offer = replica.offer(node, |seq| held.get(&seq).copied());
                assert_eq!(offer, Offer::Next, "{} after {at}", node.seq());
                replica.advance(node);
                held.insert(node.seq(), node.digest());
            }
        }
    }

    #[test]
    fn another_node_on_the_way_is_refused() {
        let (nodes, other) = (log(&key(1), 20, "x"), log(&key(2), 20, "x"));
        let author = key(1).address();
        let strange = Beginning::at(other[9].clone(), other[9].digest(), author);
        assert!(matches!(
            strange,
            Err(BeginningError::Author { seq: 9, .. })
        ));
        let unnamed = Beginning::at(nodes[9].clone(), nodes[8].digest(), author);
        assert_eq!(unnamed, Err(BeginningError::Broken { seq: 9 }));
        let mut beginning = Beginning::at(nodes[19].clone(), nodes[19].digest(), author).unwrap();
        for wrong in [&nodes[3], &other[skip_target(19).unwrap() as usize]] {
            assert!(beginning.add(wrong).is_err());
        }
    }

    proptest! {
        /// Which nodes before a head later ones link to.
        #[test]
        fn later_nodes_link_to_the_way_back_only(at in 1u64..1 << 40, further in 1u64..1 << 20) {
            let mut way = BTreeSet::from([at - 1]);
            let mut position = at;
            while let Some(target) = skip_target(position) {
                way.insert(target);
                position = target;
            }
            prop_assert!(way.len() <= 2 * (at + 2).ilog2() as usize + 3, "{}", way.len());
            for seq in [at + 1, at + 2, at + further, at + 2 * further] {
                let target = skip_target(seq).unwrap();
                prop_assert!(target >= at || way.contains(&target), "{seq} links to {target}");
            }
        }
    }
}
