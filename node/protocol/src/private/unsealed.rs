//! What a member shows of a sealed node to who may read it, and has no key.

use super::seal::{node_key, open_node_by, SealedError};
use crate::{
    eip712::Domain,
    log::{read_messages, LogNode, NodeError, Opening, ProofNode},
    Digest,
};

/// The signed node without its seal, and its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsealed {
    /// The bytes of the node that its author signed, with the body sealed.
    pub node: Vec<u8>,
    /// The list of messages.
    pub body: Vec<u8>,
    /// What opens the block to who has no key; nothing where a member of an earlier version gave this.
    pub opening: Option<Opening>,
}

/// Why that is not a node.
#[derive(Debug, thiserror::Error)]
pub enum UnsealedError {
    /// The node.
    #[error("it is not a log node of this ring")]
    Node(#[from] NodeError),
    /// The block, or the messages.
    #[error("what a member unsealed cannot be read")]
    Body(#[from] SealedError),
    /// It is not the node that the block seals.
    #[error("what a member unsealed is not in the block; ask another member")]
    Other,
    /// It is sealed, and was not unsealed.
    #[error(
        "it is sealed with key {name}; who may read it asks a member with that member's token"
    )]
    Sealed {
        /// The replica key's name.
        name: Digest,
    },
}

impl Unsealed {
    /// A node that nobody has unsealed, which can be read if it is not sealed.
    ///
    /// # Errors
    /// [`UnsealedError`] when it is no node of the ring, or is sealed.
    pub fn open_plain(bytes: &[u8], domain: &Domain) -> Result<LogNode, UnsealedError> {
        match node_key(bytes) {
            Ok(name) => Err(UnsealedError::Sealed { name }),
            Err(_) => Ok(LogNode::open(bytes, domain)?),
        }
    }

    /// The node of a proof, opened without any key. The body stays as it is in the node, so that of a private ring is sealed.
    ///
    /// # Errors
    /// [`UnsealedError`] when it is no node of the ring, or is sealed and has no opening.
    pub fn open_proven(proven: &ProofNode, domain: &Domain) -> Result<LogNode, UnsealedError> {
        let Some(opening) = &proven.opening else {
            return Self::open_plain(&proven.block, domain);
        };
        let node = open_node_by(opening, domain, &proven.block)?;
        Ok(LogNode::open(&node, domain)?.in_block(proven.block.clone()))
    }

    /// The node in a block, by this: its signature is checked, and that the block seals it, if there is an opening. That the
    /// node seals these messages is what the member says who unsealed it.
    ///
    /// # Errors
    /// [`UnsealedError`] when it is no node of the ring, or not the one in the block.
    pub fn open(&self, block: &[u8], domain: &Domain) -> Result<LogNode, UnsealedError> {
        if let Some(opening) = &self.opening {
            if open_node_by(opening, domain, block)? != self.node {
                return Err(UnsealedError::Other);
            }
        }
        let body = read_messages(&self.body).map_err(SealedError::from)?;
        let node = LogNode::open(&self.node, domain)?;
        Ok(node.in_block(block.to_vec()).with_body(body))
    }
}
