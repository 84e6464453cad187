//! What a member shows of a sealed node to who may read it, and has no key.

use super::seal::{node_key, SealedError};
use crate::{
    eip712::Domain,
    log::{read_messages, LogNode, NodeError},
    Digest,
};

/// The signed node without its seal, and its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsealed {
    /// The bytes of the node that its author signed, with the body sealed.
    pub node: Vec<u8>,
    /// The list of messages.
    pub body: Vec<u8>,
}

/// Why that is not a node.
#[derive(Debug, thiserror::Error)]
pub enum UnsealedError {
    /// The node.
    #[error("it is not a log node of this ring")]
    Node(#[from] NodeError),
    /// The messages.
    #[error("the messages that a member unsealed cannot be read")]
    Body(#[from] SealedError),
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

    /// The node in a block, by this: its signature is checked. That the block seals this node, and the node these messages, is
    /// what the member says who unsealed it.
    ///
    /// # Errors
    /// [`UnsealedError`] when it is no node of the ring.
    pub fn open(&self, block: &[u8], domain: &Domain) -> Result<LogNode, UnsealedError> {
        let body = read_messages(&self.body).map_err(SealedError::from)?;
        let node = LogNode::open(&self.node, domain)?;
        Ok(node.in_block(block.to_vec()).with_body(body))
    }
}
