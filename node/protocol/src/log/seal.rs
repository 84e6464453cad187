//! Making the next node of one's own log.
//!
//! The author has the messages; where the node stands and what it links to follow from the log that is on its disk,
//! an [`OwnLog`]. [`seal`] puts both together and signs.

use super::{
    content::Content,
    node::{LogNode, NodeError, Tip},
    skip::skip_target,
};
use crate::{cids::node_cid, crypto::Signer, eip712::Domain, message::Message, Digest};
use cid::Cid;

/// The author's own log, as its disk has it.
pub trait OwnLog {
    /// What the storage fails with.
    type Error;
    /// The end of the log; `None` while it is empty.
    fn tip(&self) -> Result<Option<Tip>, Self::Error>;
    /// The digest of the node at this position.
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Self::Error>;
}

/// Why a node could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError<E> {
    /// The own log cannot be read.
    #[error("the own log cannot be read, so nothing is added to it")]
    Log(#[source] E),
    /// The own log misses a node.
    #[error("the own log has no node {seq}; restore the data directory from a copy taken when this member was stopped")]
    Missing {
        /// The position without a node.
        seq: u64,
    },
    /// The node would be malformed, or cannot be signed.
    #[error("the log node cannot be written")]
    Node(#[source] NodeError),
}

/// Signs the node that comes next in `log`: its position and links come from the log, all else from the arguments.
///
/// The node is not in the log yet. It must be on disk before anybody else sees it, or the author may sign another one
/// for the same position after a crash.
///
/// # Errors
/// [`SealError`]; then nothing was signed.
pub fn seal<L: OwnLog>(
    log: &L,
    body: Vec<Message>,
    refs: Vec<Cid>,
    time: Option<u64>,
    domain: &Domain,
    key: &(impl Signer + ?Sized),
) -> Result<LogNode, SealError<L::Error>> {
    let tip = log.tip().map_err(SealError::Log)?;
    let seq = tip.map_or(0, |tip| tip.seq + 1);
    let content = Content {
        body,
        prev: tip.map(|tip| node_cid(tip.digest)),
        refs,
        seq,
        skip: skip_link(log, seq)?,
        time,
    };
    LogNode::seal(content, domain, key).map_err(SealError::Node)
}

fn skip_link<L: OwnLog>(log: &L, seq: u64) -> Result<Option<Cid>, SealError<L::Error>> {
    let Some(target) = skip_target(seq) else {
        return Ok(None);
    };
    let digest = log.digest_at(target).map_err(SealError::Log)?;
    let digest = digest.ok_or(SealError::Missing { seq: target })?;
    Ok(Some(node_cid(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::node::tests::{domain, key};
    use std::convert::Infallible;

    #[derive(Default)]
    struct Nodes {
        nodes: Vec<LogNode>,
        lost: Option<u64>,
    }

    impl OwnLog for Nodes {
        type Error = Infallible;
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(self.nodes.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
            let kept = self.nodes.get(seq as usize);
            Ok(kept.filter(|_| self.lost != Some(seq)).map(LogNode::digest))
        }
    }

    fn next(log: &Nodes) -> Result<LogNode, SealError<Infallible>> {
        seal(log, vec![], vec![], None, &domain(), &key(1))
    }

    #[test]
    fn the_log_grows_with_its_links() {
        let mut log = Nodes::default();
        for _ in 0..20 {
            let node = next(&log).unwrap();
            log.nodes.push(node);
        }
        for (seq, node) in log.nodes.iter().enumerate() {
            let before = seq.checked_sub(1).map(|before| log.nodes[before].cid());
            let skip = skip_target(seq as u64).map(|target| log.nodes[target as usize].cid());
            assert_eq!(node.seq(), seq as u64);
            assert_eq!((node.content().prev, node.content().skip), (before, skip));
        }
    }

    #[test]
    fn a_log_that_lost_a_node_is_not_continued() {
        let mut log = Nodes::default();
        for _ in 0..6 {
            let node = next(&log).unwrap();
            log.nodes.push(node);
        }
        log.lost = skip_target(6);
        assert!(
            matches!(next(&log), Err(SealError::Missing { seq }) if Some(seq) == skip_target(6))
        );
    }
}
