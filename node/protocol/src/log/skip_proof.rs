//! The proof that a node belongs to a log: the nodes on the way back from the log's head.
//!
//! Each node on the way links to the next one, by its skip link or to its predecessor, so the head's digest fixes them
//! all. There are at most `3 · log₂(head + 1) + 3`. Making a proof needs only these nodes, and checking one needs only
//! the digest of the head, which the chain or a ring node names.
//!
//! [`SkipProof::make`] takes the way from [`path`] and the bytes from the caller. [`SkipProof::verify`] opens each
//! node, so all signatures are checked, and follows the links with [`Links::to`]; the whole nodes are in the file, for
//! a digest alone would not show where they link to.
//!
//! In a private ring each node has its [`Opening`] beside it, which a member who has the key puts there. So whoever gets
//! the proof can check it without a key, and learns position, links, author and time of these nodes, and of no others. Their
//! bodies stay sealed.

use super::{
    content::{Content, MAX_NODE_BYTES},
    node::{LogNode, Tip},
    skip::{path, skip_target},
};
use crate::{
    cbor::{CborError, Reader, Writer},
    cids::digest_of,
    eip712::Domain,
    Address, Digest,
};
use std::fmt;

/// Most nodes in a proof: enough for the longest log.
pub const MAX_PROOF_NODES: usize = 3 * 64 + 3;
/// Most bytes of a proof file.
pub const MAX_LOG_PROOF_BYTES: usize = 16 * 1024 * 1024;
const VERSION: u64 = 1;
/// Bytes of an [`Opening`].
const OPENING_BYTES: usize = 32;
/// The version of a proof in which a node is sealed.
const SEALED_VERSION: u64 = 2;

/// What opens the seal of one node of a private ring, and of no other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opening(pub [u8; 32]);

/// A node of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofNode {
    /// The bytes of its block.
    pub block: Vec<u8>,
    /// What opens it, if it is sealed.
    pub opening: Option<Opening>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening(…)")
    }
}

impl From<Vec<u8>> for ProofNode {
    /// A node that is not sealed.
    fn from(block: Vec<u8>) -> Self {
        Self {
            block,
            opening: None,
        }
    }
}

/// That a node belongs to a log that ends with a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipProof {
    /// The chain's id.
    pub chain: u64,
    /// The ring.
    pub ring: Address,
    /// Whose log.
    pub author: Address,
    /// The nodes, from the head back to the one that is proven.
    pub nodes: Vec<ProofNode>,
}

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum SkipProofError {
    /// Not the canonical encoding.
    #[error("not a proof in DAG-CBOR")]
    Form(#[source] CborError),
    /// Larger than [`MAX_LOG_PROOF_BYTES`].
    #[error("a proof of {length} bytes; at most {MAX_LOG_PROOF_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Another version.
    #[error(
        "a proof of version {version}; this program reads versions {VERSION} and {SEALED_VERSION}"
    )]
    Version {
        /// The version that it names.
        version: u64,
    },
    /// What should open a node has another length.
    #[error("the opening of a node has {OPENING_BYTES} bytes or none, and this one has {length}")]
    Opening {
        /// Its length in bytes.
        length: usize,
    },
    /// A node cannot be read.
    #[error("a node of the proof cannot be used")]
    Node(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is for another ring or chain.
    #[error("the proof is for ring {ring} on chain {chain}")]
    Elsewhere {
        /// Its ring.
        ring: Address,
        /// Its chain.
        chain: u64,
    },
    /// A node is by somebody else.
    #[error("node {seq} is by {author}, not by the author of the log")]
    Author {
        /// The node's position.
        seq: u64,
        /// Who signed it.
        author: Address,
    },
    /// The first node is not the head, or a node does not link to the next.
    #[error("the nodes of the proof do not lead from one to the next at position {seq}")]
    Broken {
        /// Where the links end.
        seq: u64,
    },
    /// A node on the way is not held.
    #[error("node {seq} is not held here; fetch it first")]
    Missing {
        /// Its position.
        seq: u64,
    },
}

impl From<CborError> for SkipProofError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

/// Position and links of a node: all that a proof follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// Its position.
    pub seq: u64,
    /// The node before.
    pub prev: Option<Digest>,
    /// The node at [`skip_target`].
    pub skip: Option<Digest>,
}

impl Links {
    /// The digest that a node at `target` must have, if this node links to that position.
    pub fn to(&self, target: u64) -> Option<Digest> {
        let by_skip = skip_target(self.seq).zip(self.skip);
        let by_prev = self.seq.checked_sub(1).zip(self.prev);
        let mut links = by_skip.into_iter().chain(by_prev);
        links
            .find(|(seq, _)| *seq == target)
            .map(|(_, digest)| digest)
    }

    /// The links of a node.
    pub fn of(node: &LogNode) -> Self {
        Self::of_content(node.content())
    }

    pub(super) fn of_content(content: &Content) -> Self {
        let digest = |cid: &Option<cid::Cid>| cid.as_ref().and_then(|cid| digest_of(cid).ok());
        Self {
            seq: content.seq,
            prev: digest(&content.prev),
            skip: digest(&content.skip),
        }
    }
}

impl SkipProof {
    /// Makes the proof that the node at `seq` belongs to the log whose head stands at `head`. `node` gives a node by its
    /// position.
    ///
    /// # Errors
    /// [`SkipProofError::Missing`] when a node on the way is not held, or `seq` is after the head.
    pub fn make(
        domain: &Domain,
        author: Address,
        head: u64,
        seq: u64,
        mut node: impl FnMut(u64) -> Option<ProofNode>,
    ) -> Result<Self, SkipProofError> {
        let steps = path(head, seq);
        if steps.is_empty() {
            return Err(SkipProofError::Missing { seq });
        }
        let nodes = steps
            .into_iter()
            .map(|seq| node(seq).ok_or(SkipProofError::Missing { seq }));
        Ok(Self {
            chain: domain.chain_id,
            ring: domain.ring,
            author,
            nodes: nodes.collect::<Result<_, _>>()?,
        })
    }

    /// Checks the proof against the digest of the head. Returns the node that is proven. `open` reads a node:
    /// [`crate::private::Unsealed::open_proven`], which needs no key.
    ///
    /// # Errors
    /// [`SkipProofError`] when it proves nothing.
    pub fn verify<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        domain: &Domain,
        head: Digest,
        mut open: impl FnMut(&ProofNode) -> Result<LogNode, E>,
    ) -> Result<LogNode, SkipProofError> {
        let (ring, chain) = (self.ring, self.chain);
        if (ring, chain) != (domain.ring, domain.chain_id) {
            return Err(SkipProofError::Elsewhere { ring, chain });
        }
        let mut before: Option<LogNode> = None;
        for node in &self.nodes {
            let node = open(node).map_err(|error| SkipProofError::Node(error.into()))?;
            let Tip { seq, digest } = node.tip();
            if node.author() != self.author {
                let author = node.author();
                return Err(SkipProofError::Author { seq, author });
            }
            // The head is known from elsewhere; each node fixes the digest of the next.
            let expected = match &before {
                Some(before) => Links::of(before).to(seq),
                None => Some(head),
            };
            if expected != Some(digest) {
                return Err(SkipProofError::Broken { seq });
            }
            before = Some(node);
        }
        before.ok_or(SkipProofError::Missing { seq: 0 })
    }

    /// Its bytes: `[version, chain, ring, author, [node …]]`. Each node is a byte string; in a proof in which one is sealed,
    /// `[node, opening]`, where the opening of a node that is not sealed has no bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        let version = self.version();
        writer.list(5).uint(version).uint(self.chain);
        writer.bytes(&self.ring.0).bytes(&self.author.0);
        writer.list(self.nodes.len());
        for node in &self.nodes {
            if version == SEALED_VERSION {
                writer.list(2);
            }
            writer.bytes(&node.block);
            if version == SEALED_VERSION {
                let opening = node.opening.as_ref();
                writer.bytes(opening.map_or(&[], |opening| opening.0.as_slice()));
            }
        }
        writer.finish()
    }

    fn version(&self) -> u64 {
        match self.nodes.iter().any(|node| node.opening.is_some()) {
            true => SEALED_VERSION,
            false => VERSION,
        }
    }

    /// Reads a proof. It is not verified yet.
    ///
    /// # Errors
    /// [`SkipProofError`] for anything but the canonical bytes of a proof.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SkipProofError> {
        if bytes.len() > MAX_LOG_PROOF_BYTES {
            return Err(SkipProofError::TooLong {
                length: bytes.len(),
            });
        }
        let mut reader = Reader::new(bytes);
        reader.tuple(5)?;
        let version = reader.uint()?;
        if !(VERSION..=SEALED_VERSION).contains(&version) {
            return Err(SkipProofError::Version { version });
        }
        let (chain, ring, author) = (
            reader.uint()?,
            Address(reader.fixed()?),
            Address(reader.fixed()?),
        );
        let count = reader.list(MAX_PROOF_NODES, 4)?;
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            nodes.push(read_node(&mut reader, version)?);
        }
        reader.end()?;
        let proof = Self {
            chain,
            ring,
            author,
            nodes,
        };
        // A proof in which nothing is sealed has one encoding too.
        match proof.version() == version {
            true => Ok(proof),
            false => Err(SkipProofError::Version { version }),
        }
    }
}

fn read_node(reader: &mut Reader<'_>, version: u64) -> Result<ProofNode, SkipProofError> {
    if version == VERSION {
        return Ok(reader.bytes(MAX_NODE_BYTES)?.to_vec().into());
    }
    reader.tuple(2)?;
    let block = reader.bytes(MAX_NODE_BYTES)?.to_vec();
    let opening = reader.bytes(OPENING_BYTES)?;
    let opening = match opening.is_empty() {
        true => None,
        false => Some(Opening(opening.try_into().map_err(|_| {
            SkipProofError::Opening {
                length: opening.len(),
            }
        })?)),
    };
    Ok(ProofNode { block, opening })
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::{domain, key, log};
    use super::*;
    use crate::cids::sha256;
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn prove(nodes: &[LogNode], head: u64, seq: u64) -> Result<SkipProof, SkipProofError> {
        let author = nodes[0].author();
        SkipProof::make(&domain(), author, head, seq, |seq| {
            nodes
                .get(seq as usize)
                .map(|node| node.bytes().to_vec().into())
        })
    }

    fn verify(proof: &SkipProof, head: &LogNode) -> Result<LogNode, SkipProofError> {
        proof.verify(&domain(), head.digest(), |node| {
            LogNode::open(&node.block, &domain())
        })
    }

    #[test]
    fn each_node_is_proven_from_each_later_one() {
        let nodes = log(&key(1), 40, "x");
        for head in 0..40 {
            for seq in 0..=head {
                let proof = prove(&nodes, head, seq).unwrap();
                let again = SkipProof::from_bytes(&proof.to_bytes()).unwrap();
                assert_eq!(
                    verify(&again, &nodes[head as usize]).unwrap(),
                    nodes[seq as usize]
                );
            }
        }
        assert!(prove(&nodes, 3, 4).is_err());
    }

    #[test]
    fn what_is_left_out_put_in_or_by_another_is_seen() {
        let (nodes, other) = (log(&key(1), 40, "x"), log(&key(2), 40, "x"));
        let good = prove(&nodes, 39, 5).unwrap();
        let head = &nodes[39];
        for at in 0..good.nodes.len() {
            let mut less = good.clone();
            less.nodes.remove(at);
            let proven = verify(&less, head).ok();
            assert!(proven.is_none_or(|node| node.seq() != 5), "{at}");
            let mut strange = good.clone();
            strange.nodes[at] = other[20].bytes().to_vec().into();
            assert!(verify(&strange, head).is_err(), "{at}");
        }
        assert!(verify(&good, &nodes[38]).is_err());
        let elsewhere = SkipProof { chain: 1, ..good };
        assert!(matches!(
            verify(&elsewhere, head),
            Err(SkipProofError::Elsewhere { .. })
        ));
    }

    /// The model: a log of a million nodes, of which only links are kept.
    fn model() -> &'static Vec<(Links, Digest)> {
        static MODEL: OnceLock<Vec<(Links, Digest)>> = OnceLock::new();
        MODEL.get_or_init(|| {
            let mut nodes: Vec<(Links, Digest)> = Vec::with_capacity(1_000_001);
            for seq in 0..=1_000_000u64 {
                let at = |seq: u64| nodes[seq as usize].1;
                let links = Links {
                    seq,
                    prev: seq.checked_sub(1).map(at),
                    skip: skip_target(seq).map(at),
                };
                let word = |link: Option<Digest>| link.unwrap_or_default().0;
                let bytes = [&seq.to_be_bytes()[..], &word(links.prev), &word(links.skip)].concat();
                nodes.push((links, sha256(&bytes)));
            }
            nodes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_million_nodes_are_a_few_steps_deep(head in 0u64..=1_000_000, back in 0.0f64..=1.0) {
            let seq = (head as f64 * back) as u64;
            let steps = path(head, seq);
            let bound = 3.0 * ((head + 1) as f64).log2() + 3.0;
            prop_assert!(steps.len() as f64 <= bound, "{} steps from {head} to {seq}", steps.len());
            prop_assert!(steps.len() <= MAX_PROOF_NODES);
            let mut expected = model()[head as usize].1;
            for pair in steps.windows(2) {
                let (links, digest) = &model()[pair[0] as usize];
                prop_assert_eq!(*digest, expected);
                expected = links.to(pair[1]).unwrap();
            }
            prop_assert_eq!(model()[seq as usize].1, expected);
            prop_assert_eq!(steps.last(), Some(&seq));
        }
    }

    /// All pairs up to 1,500.
    #[test]
    fn the_bound_holds_for_every_pair() {
        for head in 0u64..1_500 {
            let bound = 3.0 * ((head + 1) as f64).log2() + 3.0;
            let deepest = (0..=head).map(|seq| path(head, seq).len()).max();
            assert!(deepest.unwrap() as f64 <= bound, "{head}");
        }
    }
}
