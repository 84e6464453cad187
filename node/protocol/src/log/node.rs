//! One node of a log: its content, its author's signature, and the one encoding that it has.
//!
//! A [`Content`] is what the author says: position, links to earlier nodes, heads of other logs, and messages. A
//! [`LogNode`] is a content with its author's signature, as strict DAG-CBOR (`form.rs` beside this file). There are only
//! two ways to get one: [`LogNode::seal`], and [`LogNode::open`], which reads bytes that came from somewhere, refuses every
//! encoding but the canonical one, checks all that the position fixes (which links there must be, and to where), and
//! recovers the author from the signature.
//!
//! What `open` cannot know is left to the caller: whether the author is a member, and whether the links lead to the
//! nodes that are held ([`Replica`](super::Replica)). The signature covers position, predecessor and content
//! ([`Domain::log_node`]), so a contract can check it too.

use super::{
    content::{Content, MAX_BODY_MESSAGES, MAX_NODE_BYTES, MAX_REFS},
    form,
    skip::skip_target,
};
use crate::{
    cbor::CborError,
    cids::{digest_of, node_cid, sha256, CidError, DAG_CBOR},
    crypto::{CryptoError, Signature, Signer},
    eip712::Domain,
    message::Message,
    Address, Digest,
};
use cid::Cid;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node whose signature was made or checked here. It cannot be made in any other way.
#[derive(Clone, PartialEq, Eq)]
pub struct LogNode {
    /// Whose signature it has.
    author: Address,
    /// The name of the block in which it is stored.
    cid: Cid,
    /// The name by which other nodes link to it.
    digest: Digest,
    /// The bytes of that block; those of a node of a private ring are sealed.
    bytes: Vec<u8>,
    /// What is in it; of a node of a private ring the messages, if it was opened by who has the read key.
    content: Content,
    signed: SignedNode,
}

/// What the author of a node signed besides its position, and the signature: `SignedNode` of the ring's ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNode {
    /// Digest of the node before; zero for the first.
    pub prev: Digest,
    /// sha2-256 of the content's canonical DAG-CBOR.
    pub content: Digest,
    /// Over [`Domain::log_node`].
    pub signature: Signature,
}

/// Where a log ends: what the next node must link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Sequence number of the newest node.
    pub seq: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Why a node is refused.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Larger than [`MAX_NODE_BYTES`].
    #[error("the node has {length} bytes; at most {MAX_NODE_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not DAG-CBOR of the right shape.
    #[error("not a log node in DAG-CBOR")]
    Shape(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The content is right, but it is encoded in other bytes than the canonical ones.
    #[error("the DAG-CBOR of the node is not canonical")]
    NotCanonical,
    /// A link is missing, superfluous, of another codec or hash, or links are out of order.
    #[error("the links of node {seq} do not fit its position in the log")]
    Links {
        /// The node's sequence number.
        seq: u64,
    },
    /// A link that is not a sha2-256 CID.
    #[error("node {seq} has a link that Rings does not accept")]
    Cid {
        /// The node's sequence number.
        seq: u64,
        /// What is wrong with the link.
        #[source]
        source: CidError,
    },
    /// Too many messages or references.
    #[error(
        "node {seq} holds too much: at most {MAX_BODY_MESSAGES} messages and {MAX_REFS} references"
    )]
    TooMany {
        /// The node's sequence number.
        seq: u64,
    },
    /// The signature is malformed, or could not be made.
    #[error("the signature of node {seq} cannot be used")]
    Signature {
        /// The node's sequence number.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: CryptoError,
    },
}

impl From<CborError> for NodeError {
    fn from(error: CborError) -> Self {
        match error {
            CborError::NotShortest { .. } => Self::NotCanonical,
            other => Self::Shape(other.into()),
        }
    }
}

impl Content {
    /// Checks the parts of a node's content that its position fixes: links and their number.
    pub(super) fn check(&self) -> Result<(), NodeError> {
        let seq = self.seq;
        if self.body.len() > MAX_BODY_MESSAGES || self.refs.len() > MAX_REFS {
            return Err(NodeError::TooMany { seq });
        }
        let links_fit = self.prev.is_some() == (seq > 0) && self.skip.is_some() == (seq > 0);
        let skip_is_prev = skip_target(seq).map(|target| target + 1) == Some(seq);
        let sorted = self
            .refs
            .windows(2)
            .all(|pair| pair[0].to_bytes() < pair[1].to_bytes());
        if !links_fit || !sorted || (skip_is_prev && self.skip != self.prev) {
            return Err(NodeError::Links { seq });
        }
        self.check_codecs()
    }

    /// All links must be to log nodes, that is to DAG-CBOR by SHA-256.
    fn check_codecs(&self) -> Result<(), NodeError> {
        let seq = self.seq;
        for link in self.refs.iter().chain(&self.prev).chain(&self.skip) {
            digest_of(link).map_err(|source| NodeError::Cid { seq, source })?;
            if link.codec() != DAG_CBOR {
                return Err(NodeError::Links { seq });
            }
        }
        Ok(())
    }

    /// The digest of the node before; zero for the first.
    fn prev_digest(&self) -> Result<Digest, NodeError> {
        let broken = |source| NodeError::Cid {
            seq: self.seq,
            source,
        };
        match &self.prev {
            Some(prev) => digest_of(prev).map_err(broken),
            None => Ok(Digest::ZERO),
        }
    }
}

impl LogNode {
    /// Signs a node.
    ///
    /// # Errors
    /// [`NodeError`] when the content does not fit its position, or is too large.
    pub fn seal(
        content: Content,
        domain: &Domain,
        key: &(impl Signer + ?Sized),
    ) -> Result<Self, NodeError> {
        content.check()?;
        let seq = content.seq;
        let encoded = form::content(&content);
        let (prev, digest) = (content.prev_digest()?, sha256(&encoded));
        let signature = key
            .sign_hashed(&domain.log_node(seq, prev, digest).bytes())
            .map_err(|source| NodeError::Signature { seq, source })?;
        let signed = SignedNode {
            prev,
            content: digest,
            signature,
        };
        let bytes = form::node(&encoded, &signature.to_bytes());
        if bytes.len() > MAX_NODE_BYTES {
            return Err(NodeError::TooLong {
                length: bytes.len(),
            });
        }
        Ok(Self::new(key.address(), bytes, content, signed))
    }

    /// Reads a node and recovers its author from the signature. The caller must check whether the author is a member,
    /// and whether the node fits the author's log.
    ///
    /// # Errors
    /// [`NodeError`] for anything but the canonical bytes of a well-formed node.
    pub fn open(bytes: &[u8], domain: &Domain) -> Result<Self, NodeError> {
        if bytes.len() > MAX_NODE_BYTES {
            return Err(NodeError::TooLong {
                length: bytes.len(),
            });
        }
        let read = form::read(bytes)?;
        read.content.check()?;
        let (author, signed) = recover(&read, domain)?;
        Ok(Self::new(author, bytes.to_vec(), read.content, signed))
    }

    /// The messages of a node that was opened here before: recovering its author again would take most of the time. The caller
    /// must have the bytes by the digest of the node that was opened. Of a node of a private ring these are the sealed ones.
    ///
    /// # Errors
    /// [`NodeError`] for bytes that are no node.
    pub fn messages_again(bytes: &[u8]) -> Result<Vec<Message>, NodeError> {
        Ok(form::read(bytes)?.content.body)
    }

    fn new(author: Address, bytes: Vec<u8>, content: Content, signed: SignedNode) -> Self {
        let digest = sha256(&bytes);
        Self {
            author,
            cid: node_cid(digest),
            digest,
            bytes,
            content,
            signed,
        }
    }

    /// This node as it stands in `bytes`, the block that holds it sealed. The block gives the node its digest and CID.
    pub(crate) fn in_block(self, bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        Self {
            cid: node_cid(digest),
            digest,
            bytes,
            ..self
        }
    }

    /// This node with its body as who has the read key sees it. Bytes, digest and signature stay those of the sealed node.
    pub(crate) fn with_body(self, body: Vec<Message>) -> Self {
        Self {
            content: Content {
                body,
                ..self.content
            },
            ..self
        }
    }

    /// Who signed it.
    pub fn author(&self) -> Address {
        self.author
    }

    /// Its name.
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// The 32 bytes of its name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its serialised form: the bytes of its block.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// What its author signed, and the signature.
    pub fn signed(&self) -> SignedNode {
        self.signed
    }

    /// Its position.
    pub fn seq(&self) -> u64 {
        self.content.seq
    }

    /// The end of a log that ends with this node.
    pub fn tip(&self) -> Tip {
        Tip {
            seq: self.seq(),
            digest: self.digest,
        }
    }
}

impl fmt::Debug for LogNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LogNode({} of {}, {})",
            self.seq(),
            self.author,
            self.cid
        )
    }
}

/// Who signed a node, and what.
fn recover(read: &form::Read<'_>, domain: &Domain) -> Result<(Address, SignedNode), NodeError> {
    let (content, signature) = (&read.content, read.signature);
    let seq = content.seq;
    let broken = |source| NodeError::Signature { seq, source };
    // A `v` of 0 or 1 would be a second encoding of the same node.
    if !matches!(signature.last(), Some(27 | 28)) {
        return Err(broken(CryptoError::Malformed));
    }
    let signed = SignedNode {
        prev: content.prev_digest()?,
        content: sha256(read.encoded),
        signature: Signature::from_slice(signature).map_err(broken)?,
    };
    let digest = domain.log_node(seq, signed.prev, signed.content).digest();
    let key = signed.signature.recover(&digest).map_err(broken)?;
    Ok((key.address(), signed))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use proptest::prelude::*;

    pub fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&sha256(&[seed]).0).unwrap()
    }

    pub fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    /// A log of `length` nodes.
    pub fn log(author: &SecretKey, length: u64, note: &str) -> Vec<LogNode> {
        let mut nodes: Vec<LogNode> = Vec::new();
        for seq in 0..length {
            let cid_at = |seq: u64| nodes[seq as usize].cid();
            let content = Content {
                body: vec![message(note)],
                prev: seq.checked_sub(1).map(cid_at),
                refs: vec![],
                seq,
                skip: skip_target(seq).map(cid_at),
                time: None,
            };
            nodes.push(LogNode::seal(content, &domain(), author).unwrap());
        }
        nodes
    }

    fn message(note: &str) -> Message {
        Message {
            domain: "test".into(),
            payload: note.as_bytes().to_vec().into(),
            status: "new".into(),
            kind: "Note".into(),
        }
    }

    #[test]
    fn a_node_survives_its_bytes() {
        for node in log(&key(1), 5, "hello") {
            assert_eq!(LogNode::open(node.bytes(), &domain()).unwrap(), node);
            assert_eq!(node.author(), key(1).address());
        }
    }

    #[test]
    fn the_signature_is_for_one_ring_and_one_chain() {
        let node = &log(&key(1), 1, "x")[0];
        for other in [
            Domain::new(1, Address([7; 20])),
            Domain::new(31337, Address([8; 20])),
        ] {
            assert_ne!(
                LogNode::open(node.bytes(), &other).unwrap().author(),
                key(1).address()
            );
        }
    }

    #[test]
    fn every_flipped_bit_is_another_author_or_refused() {
        let node = &log(&key(1), 2, "hello")[1];
        for bit in 0..8 * node.bytes().len() {
            let mut bytes = node.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = LogNode::open(&bytes, &domain()) {
                assert_ne!(other.author(), key(1).address(), "bit {bit}");
            }
        }
    }

    #[test]
    fn links_must_fit_the_position() {
        let nodes = log(&key(1), 4, "x");
        let good = nodes[3].content().clone();
        let cid = nodes[0].cid();
        let raw = crate::cids::cid_of(crate::cids::RAW, nodes[0].digest());
        let bad = [
            Content {
                prev: None,
                ..good.clone()
            },
            Content {
                skip: None,
                ..good.clone()
            },
            Content {
                seq: 0,
                ..good.clone()
            },
            Content {
                prev: Some(raw),
                ..good.clone()
            },
            Content {
                refs: vec![cid, cid],
                ..good.clone()
            },
            Content {
                refs: vec![cid; MAX_REFS + 1],
                ..good.clone()
            },
            // Node 2 is node 1's successor and its skip link is the same node.
            Content {
                skip: Some(nodes[0].cid()),
                ..nodes[2].content().clone()
            },
        ];
        for content in bad {
            assert!(
                LogNode::seal(content.clone(), &domain(), &key(1)).is_err(),
                "{content:?}"
            );
        }
    }

    #[test]
    fn non_canonical_encodings_are_refused() {
        let node = &log(&key(1), 1, "x")[0];
        let mut trailing = node.bytes().to_vec();
        trailing.push(0);
        assert!(LogNode::open(&trailing, &domain()).is_err());
        // A map of two entries with a long header, and an indefinite one.
        for header in [&[0xb8, 2][..], &[0xbf]] {
            let bytes = [header, &node.bytes()[1..]].concat();
            assert!(LogNode::open(&bytes, &domain()).is_err());
        }
        // `time: null` instead of no time.
        let content = Content {
            time: Some(24),
            ..node.content().clone()
        };
        let sealed = LogNode::seal(content, &domain(), &key(1)).unwrap();
        let at = sealed
            .bytes()
            .windows(4)
            .position(|w| w == b"time")
            .unwrap()
            + 4;
        let mut null = sealed.bytes().to_vec();
        null.splice(at..at + 2, [0xf6]);
        assert!(matches!(
            LogNode::open(&null, &domain()),
            Err(NodeError::Shape(_))
        ));
    }

    #[test]
    fn the_zero_one_form_of_v_is_a_second_encoding() {
        let node = &log(&key(1), 1, "x")[0];
        let mut bytes = node.bytes().to_vec();
        *bytes.last_mut().unwrap() -= 27;
        assert!(matches!(
            LogNode::open(&bytes, &domain()),
            Err(NodeError::Signature { .. })
        ));
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(LogNode::open(&bytes, &domain()).is_err());
        }
    }
}
