//! One block of a UnixFS file, compared with what `ipfs add` makes and with what its parent says about it.
//!
//! Every rule here looks only at one block and the link that leads to it. So whether a block is refused, and for what
//! reason, is the same on every machine. The rules allow one encoding for each content: no unknown fields, no padding,
//! no names, and all sizes must agree. Therefore a block has few bytes besides those of the file.
//!
//! [`Part::decode`] gives the bytes that stand in the block, or the links to the blocks below with what the parent says
//! about each. Checking a file (`check.rs`) and reading one (`file.rs`) both go through it, so a file that was accepted
//! can be read to its end. The rules are part of what members vote on: a change of one is a change of results.

use crate::{
    dagpb::{Kind, Node, NodeLink, UnixFs},
    walk::{Link, Stated},
    Block, StoreError,
};
use cid::Cid;
use rings_protocol::cids::{digest_of, DAG_PB, RAW};

/// Most links between the root of a file and one of its leaves. `ipfs add` reaches 4 at 60 TB.
pub const MAX_FILE_DEPTH: u32 = 32;

/// Most links in one node of a file. `ipfs add` makes 174 by default, and 1,024 in its newer profile.
pub const MAX_FILE_LINKS: usize = 1024;

/// A block of a file that keeps all the rules.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Bytes of the file in this block and all below it.
    pub(crate) bytes: u64,
    /// Bytes of the blocks: this one and all below it.
    pub(crate) weight: u64,
    /// The bytes of the file that stand in this block. Only leaves have any.
    pub(crate) content: &'a [u8],
    /// What comes next, in order. Leaves have none.
    pub(crate) children: Vec<Link>,
}

/// Refuses a CID that cannot name a part of a file, before anything is fetched.
pub(crate) fn check_name(cid: &Cid) -> Result<(), StoreError> {
    digest_of(cid)?;
    match cid.codec() {
        RAW | DAG_PB => Ok(()),
        _ => Err(StoreError::NotAFile {
            cid: *cid,
            kind: "a DAG-CBOR node",
        }),
    }
}

impl<'a> Part<'a> {
    /// Reads a block that `link` leads to.
    pub(crate) fn decode(link: &Link, block: &'a Block) -> Result<Self, StoreError> {
        check_name(&link.cid)?;
        if link.depth > MAX_FILE_DEPTH {
            return Err(too_deep(link.cid));
        }
        let part = match link.cid.codec() {
            RAW => Self::raw(block),
            _ => Self::dag_pb(link, block)?,
        };
        part.check_stated(link)?;
        Ok(part)
    }

    fn raw(block: &'a Block) -> Self {
        let length = block.data().len() as u64;
        Self {
            bytes: length,
            weight: length,
            content: block.data(),
            children: Vec::new(),
        }
    }

    /// Reads a dag-pb node with UnixFS in it. The order of the checks is part of the rules: all members must find the
    /// same reason.
    fn dag_pb(link: &Link, block: &'a Block) -> Result<Self, StoreError> {
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
        let bytes = check_sizes(&node, &unixfs).map_err(malformed)?;
        check_form(&node, &unixfs).map_err(malformed)?;
        let weight = check_weights(block, &node).map_err(malformed)?;
        Ok(Self {
            bytes,
            weight,
            content: unixfs.data.unwrap_or_default(),
            children: children(link, &node, &unixfs)?,
        })
    }

    /// Compares with what the parent says.
    fn check_stated(&self, link: &Link) -> Result<(), StoreError> {
        let found = Stated {
            bytes: self.bytes,
            weight: self.weight,
        };
        match link.stated {
            Some(stated) => stated.check(link.cid, found),
            None => Ok(()),
        }
    }
}

/// The graph at `cid` is too deep for a file.
pub(crate) fn too_deep(cid: Cid) -> StoreError {
    StoreError::TooBig {
        cid,
        what: "levels",
        limit: MAX_FILE_DEPTH,
    }
}

impl Stated {
    /// Compares what a parent says of a block with what was found there.
    pub(crate) fn check(self, cid: Cid, found: Self) -> Result<(), StoreError> {
        let reason = match (self.bytes == found.bytes, self.weight == found.weight) {
            (true, true) => return Ok(()),
            (false, _) => format!(
                "it has {} bytes of the file, and its parent says {}",
                found.bytes, self.bytes
            ),
            (true, false) => format!(
                "it and all below it have {} bytes, and its parent says {}",
                found.weight, self.weight
            ),
        };
        Err(StoreError::Malformed {
            cid,
            reason: reason.into(),
        })
    }
}

/// The bytes of the file in this node and all below it, if all statements about them agree. A link to an empty part is
/// refused: with such links a few blocks could keep a reader busy for ever.
fn check_sizes(node: &Node<'_>, unixfs: &UnixFs<'_>) -> Result<u64, String> {
    let (links, sizes) = (node.links.len(), &unixfs.block_sizes);
    if links != sizes.len() {
        return Err(format!("{links} links and {} sizes", sizes.len()));
    }
    if links > MAX_FILE_LINKS {
        return Err(format!("{links} links, more than {MAX_FILE_LINKS}"));
    }
    if sizes.contains(&0) {
        return Err("a link to a part of 0 bytes".into());
    }
    let own = unixfs.data.map_or(0, |data| data.len() as u64);
    let sum = sizes
        .iter()
        .try_fold(own, |sum, size| sum.checked_add(*size));
    let sum = sum.ok_or("parts of more than 2^64 bytes")?;
    match unixfs.file_size {
        Some(size) if size != sum => Err(format!("parts of {sum} bytes in a file of {size}")),
        None => Err("no file size".into()),
        _ => Ok(sum),
    }
}

/// Refuses what is well-formed and `ipfs add` does not make.
fn check_form(node: &Node<'_>, unixfs: &UnixFs<'_>) -> Result<(), String> {
    if let Some(unusual) = &unixfs.unusual {
        return Err(unusual.clone());
    }
    let is_named = |link: &NodeLink<'_>| link.name.is_none_or(|name| !name.is_empty());
    match unixfs.data {
        Some([]) => Err("an empty field for bytes".into()),
        Some(_) if !node.links.is_empty() => Err("bytes of its own beside links".into()),
        _ if node.data_first => Err("links behind the data".into()),
        _ if node.links.iter().any(is_named) => {
            Err("a link whose name is not the empty one".into())
        }
        _ => Ok(()),
    }
}

/// The bytes of the blocks: this one, and all below it as its links say.
fn check_weights(block: &Block, node: &Node<'_>) -> Result<u64, String> {
    let mut sum = block.data().len() as u64;
    for link in &node.links {
        let weight = link.weight.ok_or("a link without a size")?;
        sum = sum
            .checked_add(weight)
            .ok_or("blocks of more than 2^64 bytes")?;
    }
    Ok(sum)
}

fn children(link: &Link, node: &Node<'_>, unixfs: &UnixFs<'_>) -> Result<Vec<Link>, StoreError> {
    let sized = node.links.iter().zip(&unixfs.block_sizes);
    let mut next = link.at;
    let child = |(child, bytes): (&NodeLink<'_>, &u64)| {
        check_name(&child.cid)?;
        let at = next;
        // Their sum is the length of this part, which fits.
        next = next.saturating_add(*bytes);
        Ok(Link {
            cid: child.cid,
            depth: link.depth + 1,
            stated: Some(Stated {
                bytes: *bytes,
                weight: child.weight.unwrap_or_default(),
            }),
            at,
        })
    };
    sized.map(child).collect()
}
