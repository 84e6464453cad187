//! A whole log, checked by its head alone.
//!
//! The head's digest fixes every node before it: each node names its predecessor by a hash. So whoever knows the head from
//! somewhere it trusts, such as the chain, needs no signature but that of the head to know that these are the nodes behind
//! it, in order, and that none is missing. What it does not know by that is whether the author has signed each node in a way
//! that a contract accepts: a member that takes a log over opens each of its nodes
//! ([`LogNode::open`](super::LogNode::open)).

use super::{
    form,
    node::{LogNode, NodeError},
    skip::skip_target,
    skip_proof::Links,
};
use crate::{cids::sha256, eip712::Domain, Address, Digest};

/// Why bytes are not the log that ends with a head.
#[derive(Debug, thiserror::Error)]
pub enum AnchoredError {
    /// A node cannot be read.
    #[error("the bytes at position {seq} are not a log node")]
    Node {
        /// The position.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: Box<NodeError>,
    },
    /// A node stands elsewhere, or does not link to those before it.
    #[error("the nodes do not lead from one to the next at position {seq}")]
    Broken {
        /// The position.
        seq: u64,
    },
    /// They end with another node, or there is none.
    #[error("the nodes do not end with the head {head}")]
    Head {
        /// The head.
        head: Digest,
    },
}

/// Some nodes of a log in a row, read and hashed. Nothing is said of them before [`verify_parts`]: so the parts of a log can be read
/// on all cores at once, which is nearly all of the work.
#[derive(Debug)]
pub struct LogPart<'a> {
    nodes: Vec<(Links, Digest)>,
    last: Option<&'a [u8]>,
}

impl<'a> LogPart<'a> {
    /// Reads nodes, of which the first is at the position `from`.
    ///
    /// # Errors
    /// [`AnchoredError::Node`] for the first that is none.
    pub fn read(
        from: u64,
        nodes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, AnchoredError> {
        let mut part = Self {
            nodes: Vec::new(),
            last: None,
        };
        for (seq, bytes) in (from..).zip(nodes) {
            let failed = |source: NodeError| AnchoredError::Node {
                seq,
                source: Box::new(source),
            };
            let read = form::read(bytes).map_err(|error| failed(error.into()))?;
            read.content.check().map_err(failed)?;
            let links = Links::of_content(&read.content);
            part.nodes.push((links, sha256(bytes)));
            part.last = Some(bytes);
        }
        Ok(part)
    }
}

/// Checks that `nodes`, from the first one on, are the log that ends with `head`: positions, links, and the signature of the
/// head. Returns who signed that.
///
/// # Errors
/// [`AnchoredError`].
pub fn verify_anchored<'a>(
    nodes: impl IntoIterator<Item = &'a [u8]>,
    head: Digest,
    domain: &Domain,
) -> Result<Address, AnchoredError> {
    verify_parts(&[LogPart::read(0, nodes)?], head, domain)
}

/// As [`verify_anchored`], for a log whose parts were read before, in order and without a gap.
///
/// # Errors
/// [`AnchoredError`].
pub fn verify_parts(
    parts: &[LogPart<'_>],
    head: Digest,
    domain: &Domain,
) -> Result<Address, AnchoredError> {
    let mut digests = Vec::with_capacity(parts.iter().map(|part| part.nodes.len()).sum());
    for (seq, (links, digest)) in (0..).zip(parts.iter().flat_map(|part| &part.nodes)) {
        let at = |seq: u64| digests.get(usize::try_from(seq).ok()?).copied();
        let fits = links.seq == seq
            && links.prev == seq.checked_sub(1).and_then(at)
            && links.skip == skip_target(seq).and_then(at);
        if !fits {
            return Err(AnchoredError::Broken { seq });
        }
        digests.push(*digest);
    }
    let ends = digests.last() == Some(&head);
    let last = parts.iter().rev().find_map(|part| part.last);
    let bytes = last.filter(|_| ends).ok_or(AnchoredError::Head { head })?;
    let head = LogNode::open(bytes, domain).map_err(|source| AnchoredError::Node {
        seq: digests.len() as u64 - 1,
        source: Box::new(source),
    })?;
    Ok(head.author())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::node::tests::{domain, key, log};

    fn bytes(nodes: &[LogNode]) -> Vec<&[u8]> {
        nodes.iter().map(LogNode::bytes).collect()
    }

    #[test]
    fn a_head_fixes_all_nodes_behind_it() {
        let nodes = log(&key(1), 70, "x");
        let head = nodes[69].digest();
        let author = verify_anchored(bytes(&nodes), head, &domain()).unwrap();
        assert_eq!(author, key(1).address());
        for wrong in [0, 33, 68, 69] {
            let mut changed = bytes(&nodes);
            changed.remove(wrong);
            verify_anchored(changed, head, &domain()).unwrap_err();
        }
        let other = log(&key(1), 70, "y");
        let mut changed = bytes(&nodes);
        changed[40] = other[40].bytes();
        let refused = verify_anchored(changed, head, &domain());
        assert!(matches!(refused, Err(AnchoredError::Broken { seq: 40 })));
        let mut swapped = bytes(&nodes);
        swapped.swap(3, 4);
        verify_anchored(swapped, head, &domain()).unwrap_err();
        let empty = verify_anchored([], head, &domain());
        assert!(matches!(empty, Err(AnchoredError::Head { .. })));
    }

    #[test]
    fn parts_are_a_log_in_their_order_and_without_a_gap() {
        let nodes = log(&key(1), 70, "x");
        let head = nodes[69].digest();
        let part =
            |from: usize, to: usize| LogPart::read(from as u64, bytes(&nodes[from..to])).unwrap();
        let checked = |parts: &[LogPart<'_>]| verify_parts(parts, head, &domain());
        let whole = [
            part(0, 1),
            part(1, 1),
            part(1, 30),
            part(30, 70),
            part(70, 70),
        ];
        assert_eq!(checked(&whole).unwrap(), key(1).address());
        let gap = checked(&[part(0, 30), part(31, 70)]);
        assert!(matches!(gap, Err(AnchoredError::Broken { seq: 30 })));
        let late = checked(&[part(1, 70)]);
        assert!(matches!(late, Err(AnchoredError::Broken { seq: 0 })));
        checked(&[part(30, 70), part(0, 30)]).unwrap_err();
        let short = checked(&[part(0, 69)]);
        assert!(matches!(short, Err(AnchoredError::Head { .. })));
        let bad = LogPart::read(5, [&b"no node"[..]]);
        assert!(matches!(bad, Err(AnchoredError::Node { seq: 5, .. })));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let nodes = log(&key(1), 6, "x");
        let head = nodes[5].digest();
        for (place, node) in nodes.iter().enumerate() {
            for byte in 0..node.bytes().len() {
                let mut flipped = node.bytes().to_vec();
                flipped[byte] ^= 1;
                let mut changed = bytes(&nodes);
                changed[place] = &flipped;
                verify_anchored(changed, head, &domain()).unwrap_err();
            }
        }
    }
}
