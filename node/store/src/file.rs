//! Reading a UnixFS file as a stream.

use crate::{
    dagpb::{Kind, Node, UnixFs},
    walk::{Link, Visit, Visitor, Walk},
    Block, BlockSource, StoreError,
};
use bytes::Bytes;
use cid::Cid;
use futures::{stream::BoxStream, StreamExt};
use rings_protocol::cids::{DAG_PB, RAW};
use std::sync::Arc;

/// Most links between the root of a file and one of its leaves. `ipfs add` reaches 4 at 60 TB.
pub const MAX_FILE_DEPTH: u32 = 32;

/// The content of the UnixFS file `cid`, in order, in pieces of at most one block; ends after the first error.
///
/// Blocks are asked for ahead, at most [`READ_AHEAD_BLOCKS`](crate::READ_AHEAD_BLOCKS) at once, and no more than
/// twice [`READ_AHEAD_BYTES`](crate::READ_AHEAD_BYTES) are in memory. Leaves may be dag-pb or raw. Every size
/// that the file states about itself is checked before the bytes it covers are given out.
///
/// # Errors
/// [`StoreError::NotAFile`] for a directory, a link or a log node; [`StoreError::Malformed`] when the block breaks
/// a rule or the sizes do not add up; [`StoreError::TooBig`] beyond [`MAX_FILE_DEPTH`] or
/// [`MAX_PENDING_LINKS`](crate::MAX_PENDING_LINKS); and whatever the source says.
pub fn read_file(
    source: Arc<dyn BlockSource>,
    cid: Cid,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    Walk::new(source, FileVisitor, cid).boxed()
}

/// The length of the UnixFS file `cid` in bytes, as its root block says. One block is read.
///
/// # Errors
/// As [`read_file`], as far as the root shows it.
pub async fn file_size(source: &dyn BlockSource, cid: Cid) -> Result<u64, StoreError> {
    let mut blocks = source.blocks(&[cid]).await?;
    let block = blocks
        .pop()
        .filter(|block| *block.cid() == cid)
        .ok_or(StoreError::WrongAnswer { cid })?;
    Ok(Part::decode(&Link::root(cid), &block)?.size)
}

/// The visitor of a file: its output is the content.
struct FileVisitor;

impl Visitor for FileVisitor {
    fn visit(&mut self, link: &Link, block: Block) -> Result<Visit, StoreError> {
        let part = Part::decode(link, &block)?;
        let output = match part.content.is_empty() {
            true => Vec::new(),
            false => vec![block.data().slice_ref(part.content)],
        };
        Ok(Visit {
            output,
            children: part.children,
        })
    }

    fn leave_out(&mut self, _: &Cid) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn is_known(&self, _: &Cid) -> bool {
        false
    }
}

/// One node of a file, with its sizes checked.
struct Part<'a> {
    size: u64,
    content: &'a [u8],
    children: Vec<Link>,
}

impl<'a> Part<'a> {
    fn decode(link: &Link, block: &'a Block) -> Result<Self, StoreError> {
        if link.depth > MAX_FILE_DEPTH {
            return Err(StoreError::TooBig {
                cid: link.cid,
                what: "levels",
                limit: MAX_FILE_DEPTH,
            });
        }
        let part = match link.cid.codec() {
            RAW => Self {
                size: block.data().len() as u64,
                content: block.data(),
                children: Vec::new(),
            },
            DAG_PB => Self::decode_dag_pb(link, block)?,
            _ => {
                return Err(StoreError::NotAFile {
                    cid: link.cid,
                    kind: "a DAG-CBOR node",
                })
            }
        };
        match link.size {
            Some(size) if size != part.size => {
                let reason = format!(
                    "it has {} bytes of the file, and its parent says {size}",
                    part.size
                );
                Err(StoreError::Malformed {
                    cid: link.cid,
                    reason: reason.into(),
                })
            }
            _ => Ok(part),
        }
    }

    fn decode_dag_pb(link: &Link, block: &'a Block) -> Result<Self, StoreError> {
        let malformed = |reason: String| StoreError::Malformed {
            cid: link.cid,
            reason: reason.into(),
        };
        let node = Node::decode(block.data()).map_err(malformed)?;
        let message = node
            .data
            .ok_or_else(|| malformed("a dag-pb node without UnixFS".into()))?;
        let unixfs = UnixFs::decode(message).map_err(malformed)?;
        if let Kind::Other(kind) = unixfs.kind {
            return Err(StoreError::NotAFile {
                cid: link.cid,
                kind,
            });
        }
        let size = check_sizes(&node, &unixfs).map_err(malformed)?;
        let sized = node.links.iter().zip(&unixfs.block_sizes);
        let child = |(cid, size): (&Cid, &u64)| Link {
            cid: *cid,
            depth: link.depth + 1,
            size: Some(*size),
        };
        Ok(Self {
            size,
            content: unixfs.data,
            children: sized.map(child).collect(),
        })
    }
}

/// The size of this node and all below it, when all that is said about it agrees. A link to nothing is
/// refused: a few blocks of such links could keep a reader busy for ever.
fn check_sizes(node: &Node<'_>, unixfs: &UnixFs<'_>) -> Result<u64, String> {
    let sizes = &unixfs.block_sizes;
    if node.links.len() != sizes.len() {
        return Err(format!(
            "{} links and {} sizes",
            node.links.len(),
            sizes.len()
        ));
    }
    if sizes.contains(&0) {
        return Err("a link to a part of 0 bytes".into());
    }
    let sum = sizes
        .iter()
        .try_fold(unixfs.data.len() as u64, |sum, size| sum.checked_add(*size));
    let sum = sum.ok_or("parts of more than 2^64 bytes")?;
    match unixfs.file_size {
        Some(size) if size != sum => Err(format!("parts of {sum} bytes in a file of {size}")),
        None if !sizes.is_empty() => Err("links, and no file size".into()),
        _ => Ok(sum),
    }
}
