//! Content archives (CARv1): all blocks below a root, in one stream.
//!
//! [`read_car`] walks the graph below a root, depth first and in the order of the links, and gives each block once, so
//! the archive of one root is the same bytes from every store. It serves `GET /ipfs/{cid}?format=car` and exports.
//! Memory stays at the walk's window and a short key for each block; both numbers of blocks and of levels are bounded.
//! An error ends the stream, which leaves the archive incomplete and never wrong.

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
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most blocks of one archive (as `ipfs add` cuts files, 64 GiB).
pub const MAX_CAR_BLOCKS: u32 = 256 * 1024;

/// Most links between the root of an archive and one of its blocks. It is large because a log is a chain.
pub const MAX_CAR_DEPTH: u32 = MAX_CAR_BLOCKS;

/// The graph below `root` as a CARv1 stream: the header, then every block once, depth first, in the order of
/// the links. Ends after the first error, which leaves the archive incomplete.
///
/// # Errors
/// [`StoreError::Malformed`] and [`StoreError::Cid`] for blocks whose links cannot be followed, [`StoreError::TooBig`]
/// beyond [`MAX_CAR_BLOCKS`] or [`MAX_PENDING_LINKS`](crate::MAX_PENDING_LINKS), and the errors of the source.
pub fn read_car(
    source: Arc<dyn BlockSource>,
    root: Cid,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    read_cars(source, vec![root])
}

/// As [`read_car`], for several roots: the graphs follow each other, and a block that is in two of them comes once.
///
/// # Errors
/// As [`read_car`].
pub fn read_cars(
    source: Arc<dyn BlockSource>,
    roots: Vec<Cid>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let header = stream::iter([Ok(car_header(&roots))]);
    let seen = Arc::default();
    let graphs = roots.into_iter().map(move |root| {
        let seen = Arc::clone(&seen);
        Walk::new(Arc::clone(&source), CarVisitor { root, seen }, root)
    });
    // After an error nothing follows, or the archive would look whole.
    let blocks = stream::iter(graphs).flatten().scan(false, |failed, item| {
        let goes_on = !*failed;
        *failed = item.is_err();
        async move { goes_on.then_some(item) }
    });
    header.chain(blocks).boxed()
}

/// What an archive begins with: `{"roots": [root, …], "version": 1}` in DAG-CBOR, with its length before it.
pub fn car_header(roots: &[Cid]) -> Bytes {
    const BEFORE: &[u8] = b"\xa2\x65roots";
    const BEHIND: &[u8] = b"\x67version\x01";
    let mut header = BEFORE.to_vec();
    match roots.len() {
        few @ 0..=23 => header.push(0x80 + few as u8),
        some @ 24..=255 => header.extend([0x98, some as u8]),
        many => header.extend([0x99, (many >> 8) as u8, many as u8]),
    }
    for root in roots {
        // A link is a byte string of a zero byte and the CID; 0x58 announces its length in one byte, which
        // holds that of any CID that Rings accepts (37 bytes at most).
        let cid = root.to_bytes();
        header.extend([0xd8, 0x2a, 0x58, cid.len() as u8 + 1, 0x00]);
        header.extend(cid);
    }
    header.extend(BEHIND);
    framed(&header, 0)
}

/// A section of an archive: the length of what follows, the name, the bytes.
pub(crate) fn section(block: &Block) -> [Bytes; 2] {
    let name = framed(&block.cid().to_bytes(), block.data().len());
    [name, block.data().clone()]
}

/// What comes before the bytes of each block in an archive: the length of both, and the block's name. `length` is in bytes.
pub fn car_section_head(cid: &Cid, length: usize) -> Bytes {
    framed(&cid.to_bytes(), length)
}

/// The length of `prefix` and of `more` bytes that will follow, then `prefix`.
fn framed(prefix: &[u8], more: usize) -> Bytes {
    let mut frame = Vec::with_capacity(prefix.len() + 10);
    put_varint(&mut frame, (prefix.len() + more) as u64);
    frame.extend_from_slice(prefix);
    frame.into()
}

/// The visitor of an archive: its output is the sections.
struct CarVisitor {
    root: Cid,
    seen: Arc<Mutex<HashSet<Key>>>,
}

impl CarVisitor {
    fn seen(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor for CarVisitor {
    fn check_root(&self, root: &Cid) -> Result<(), StoreError> {
        key_of(root).map(drop)
    }

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
                stated: None,
                at: 0,
            })
            .collect();
        let name = car_section_head(&link.cid, block.data().len());
        Ok(Visit {
            output: vec![name, block.into_data()],
            children,
        })
    }

    fn leave_out(&mut self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid)?;
        let mut seen = self.seen();
        let new = seen.insert(key);
        if seen.len() > MAX_CAR_BLOCKS as usize {
            return Err(StoreError::TooBig {
                cid: self.root,
                what: "blocks",
                limit: MAX_CAR_BLOCKS,
            });
        }
        Ok(!new)
    }

    fn is_known(&self, cid: &Cid) -> bool {
        key_of(cid).is_ok_and(|key| self.seen().contains(&key))
    }
}
