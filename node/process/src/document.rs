//! Documents: definitions, events, executions and results, as canonical DAG-JSON, and the CID by which others name them.
//!
//! A document is at most one chunk of a file, so its CID is that of a single UnixFS block: the one that `ipfs add` gives the
//! same bytes, and under which any store of a ring keeps them.

use crate::bounds::MAX_DOCUMENT_BYTES;
use cid::Cid;
use rings_protocol::cids::{data_cid, sha256};
use serde::{Deserialize, Serialize};

/// Why something is not a document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Larger than [`MAX_DOCUMENT_BYTES`].
    #[error("{what} has {length} bytes; at most {MAX_DOCUMENT_BYTES} are accepted: put what is large into a file")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// Not of the form.
    #[error("not {what} of Rings")]
    Form {
        /// What it should be.
        what: &'static str,
        /// What the decoder says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The same content, written in another way.
    #[error("{what} is not in canonical DAG-JSON: keys must be sorted and nothing may stand between tokens")]
    NotCanonical {
        /// What it is.
        what: &'static str,
    },
}

/// What is written as a document: a type whose fields stand in the order of their names.
pub trait Document: Serialize + for<'de> Deserialize<'de> {
    /// What it is, for messages.
    const WHAT: &'static str;

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`].
    fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let bytes = encode(self)?;
        match bytes.len() {
            length if length > MAX_DOCUMENT_BYTES => Err(DocumentError::TooLong {
                what: Self::WHAT,
                length,
            }),
            _ => Ok(bytes),
        }
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DocumentError`] for anything that [`Document::to_bytes`] would not have written.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLong {
                what: Self::WHAT,
                length: bytes.len(),
            });
        }
        let document = serde_ipld_dagjson::from_slice(bytes).map_err(form::<Self>)?;
        match encode(&document)? == bytes {
            true => Ok(document),
            false => Err(DocumentError::NotCanonical { what: Self::WHAT }),
        }
    }

    /// Its name.
    ///
    /// # Errors
    /// As [`Document::to_bytes`].
    fn cid(&self) -> Result<Cid, DocumentError> {
        self.to_bytes().map(|bytes| cid_of(&bytes))
    }
}

fn form<D: Document>(source: impl std::error::Error + Send + Sync + 'static) -> DocumentError {
    DocumentError::Form {
        what: D::WHAT,
        source: Box::new(source),
    }
}

fn encode<D: Document>(document: &D) -> Result<Vec<u8>, DocumentError> {
    serde_ipld_dagjson::to_vec(document).map_err(form::<D>)
}

/// The CID of a file of at most [`MAX_DOCUMENT_BYTES`] bytes, as `ipfs add` gives it.
pub fn cid_of(bytes: &[u8]) -> Cid {
    data_cid(sha256(&block_of(bytes)))
}

/// The one block of a file of at most [`MAX_DOCUMENT_BYTES`] bytes, as `ipfs add` makes it.
pub fn block_of(bytes: &[u8]) -> Vec<u8> {
    /// Field 1 of UnixFS, the type: a file.
    const FILE: [u8; 2] = [0x08, 0x02];
    /// Field 2 of UnixFS: the bytes.
    const BYTES: u8 = 0x12;
    /// Field 3 of UnixFS: how many there are.
    const SIZE: u8 = 0x18;
    /// Field 1 of dag-pb: the UnixFS message.
    const DATA: u8 = 0x0a;
    let mut unixfs = Vec::with_capacity(bytes.len() + 16);
    unixfs.extend_from_slice(&FILE);
    if !bytes.is_empty() {
        unixfs.push(BYTES);
        varint(&mut unixfs, bytes.len());
        unixfs.extend_from_slice(bytes);
    }
    unixfs.push(SIZE);
    varint(&mut unixfs, bytes.len());
    let mut node = vec![DATA];
    varint(&mut node, unixfs.len());
    node.extend_from_slice(&unixfs);
    node
}

fn varint(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ipfs add` prints for these; the end-to-end tests compare other lengths with the ring's own store.
    #[test]
    fn the_cid_is_that_of_ipfs_add() {
        for (bytes, cid) in [
            (&b""[..], "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
            (b"hello\n", "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"),
            (
                b"hello world\n",
                "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
            ),
        ] {
            assert_eq!(cid_of(bytes).to_string(), cid);
        }
    }
}
