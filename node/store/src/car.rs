//! Content archives (CARv1): all blocks below a root, in one stream.

use crate::{
    block::{key_of, Key},
    links::links,
    protobuf::put_varint,
    walk::{Link, Visit, Visitor, Walk},
    Block, BlockSource, StoreError,
};
use bytes::Bytes;
use cid::Cid;
use futures::{
    stream::{self, BoxStream},
    StreamExt,
};
use std::{collections::HashSet, sync::Arc};

/// Most blocks of one archive (as `ipfs add` cuts files, 64 GiB).
pub const MAX_CAR_BLOCKS: u32 = 256 * 1024;

/// Most links between the root of an archive and one of its blocks: a log is a chain.
pub const MAX_CAR_DEPTH: u32 = MAX_CAR_BLOCKS;

/// The graph below `root` as a CARv1 stream: the header, then every block once, depth first, in the order of
/// the links. Ends after the first error, which leaves the archive incomplete.
///
/// # Errors
/// [`StoreError::Malformed`] and [`StoreError::Cid`] for blocks whose links cannot be followed,
/// [`StoreError::TooBig`] beyond [`MAX_CAR_BLOCKS`] or [`MAX_PENDING_LINKS`](crate::MAX_PENDING_LINKS), and
/// whatever the source says.
pub fn read_car(
    source: Arc<dyn BlockSource>,
    root: Cid,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let header = stream::iter([Ok(car_header(&root))]);
    let blocks = Walk::new(
        source,
        CarVisitor {
            root,
            seen: HashSet::new(),
        },
        root,
    );
    header.chain(blocks).boxed()
}

/// `{"roots": [root], "version": 1}` in DAG-CBOR, with its length before it.
fn car_header(root: &Cid) -> Bytes {
    const BEFORE: &[u8] = b"\xa2\x65roots\x81\xd8\x2a";
    const BEHIND: &[u8] = b"\x67version\x01";
    // A link is a byte string of a zero byte and the CID; 0x58 announces its length in one byte, which
    // holds that of any CID that Rings accepts (37 bytes at most).
    let cid = root.to_bytes();
    let link = [&[0x58, cid.len() as u8 + 1, 0x00][..], &cid].concat();
    framed(&[BEFORE, &link, BEHIND].concat(), 0)
}

/// `prefix` behind the length of itself and of `more` bytes that will follow.
fn framed(prefix: &[u8], more: usize) -> Bytes {
    let mut frame = Vec::with_capacity(prefix.len() + 10);
    put_varint(&mut frame, (prefix.len() + more) as u64);
    frame.extend_from_slice(prefix);
    frame.into()
}

/// The visitor of an archive: its output is the sections.
struct CarVisitor {
    root: Cid,
    seen: HashSet<Key>,
}

impl Visitor for CarVisitor {
    fn visit(&mut self, link: &Link, block: Block) -> Result<Visit, StoreError> {
        let depth = link.depth + 1;
        if depth > MAX_CAR_DEPTH {
            return Err(StoreError::TooBig {
                cid: self.root,
                what: "levels",
                limit: MAX_CAR_DEPTH,
            });
        }
        let children = links(&block)?
            .into_iter()
            .map(|cid| Link {
                cid,
                depth,
                size: None,
            })
            .collect();
        let name = framed(&link.cid.to_bytes(), block.data().len());
        Ok(Visit {
            output: vec![name, block.into_data()],
            children,
        })
    }

    fn leave_out(&mut self, cid: &Cid) -> Result<bool, StoreError> {
        let new = self.seen.insert(key_of(cid)?);
        if self.seen.len() > MAX_CAR_BLOCKS as usize {
            return Err(StoreError::TooBig {
                cid: self.root,
                what: "blocks",
                limit: MAX_CAR_BLOCKS,
            });
        }
        Ok(!new)
    }

    fn is_known(&self, cid: &Cid) -> bool {
        key_of(cid).is_ok_and(|key| self.seen.contains(&key))
    }
}
