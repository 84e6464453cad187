//! Reading a UnixFS file as a stream.
//!
//! [`read_file`] gives the bytes of a file in order, while blocks further on are asked for already (`walk.rs`). Every
//! statement of a node about sizes is checked before the bytes that it covers are given out, by the same rules that
//! [`check_file`](crate::check_file) uses. [`read_file_from`] begins in the middle, for HTTP ranges, and fetches only
//! the way down to that place.

use crate::{
    part::{check_name, Part},
    walk::{fetch, Link, Visit, Visitor, Walk},
    Block, BlockSource, StoreError,
};
use bytes::Bytes;
use cid::Cid;
use futures::{stream::BoxStream, StreamExt};
use std::sync::Arc;

/// The content of the UnixFS file `cid`, in order, in pieces of at most one block; ends after the first error.
///
/// All bytes before a fault come first, then the fault. It comes at the same byte from every source, fast or slow.
/// Blocks are asked for ahead, at most [`READ_AHEAD_BLOCKS`](crate::READ_AHEAD_BLOCKS) at once, and no more than twice
/// [`READ_AHEAD_BYTES`](crate::READ_AHEAD_BYTES) are in memory. Leaves may be dag-pb or raw. Every size that the file
/// states about itself is checked before the bytes it covers are given out.
///
/// If [`check_file`](crate::check_file) has accepted the file, a read can fail only because a block is gone.
///
/// # Errors
/// [`StoreError::NotAFile`] for a directory, a link or a log node; [`StoreError::Malformed`] when a block breaks a
/// rule, is not as `ipfs add` makes it, or the sizes do not add up; [`StoreError::TooBig`] beyond
/// [`MAX_FILE_DEPTH`](crate::MAX_FILE_DEPTH); and the errors of the source.
pub fn read_file(
    source: Arc<dyn BlockSource>,
    cid: Cid,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    read_file_from(source, cid, 0)
}

/// As [`read_file`], from byte `first` on. Parts of the file that lie before it are neither fetched nor checked, so a few
/// blocks that repeat to make a very long file cost nothing but the way down.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_from(
    source: Arc<dyn BlockSource>,
    cid: Cid,
    first: u64,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    Walk::new(source, FileVisitor { first }, cid).boxed()
}

/// The length of the UnixFS file `cid` in bytes, as its root block says. One block is read.
///
/// # Errors
/// As [`read_file`], as far as the root shows it.
pub async fn file_size(source: &dyn BlockSource, cid: Cid) -> Result<u64, StoreError> {
    check_name(&cid)?;
    let mut fetched = fetch(source, &[cid]).await;
    let block = fetched.pop().ok_or(StoreError::WrongAnswer { cid })??;
    Ok(Part::decode(&Link::root(cid), &block)?.bytes)
}

/// The whole of a file that may have at most `limit` bytes. If the root block states more, nothing else is read.
///
/// # Errors
/// [`StoreError::TooBig`] when it has more bytes; otherwise as [`read_file`].
pub async fn read_small_file(
    source: Arc<dyn BlockSource>,
    cid: Cid,
    limit: u32,
) -> Result<Vec<u8>, StoreError> {
    let size = file_size(&*source, cid).await?;
    if size > u64::from(limit) {
        return Err(StoreError::TooBig {
            cid,
            what: "bytes",
            limit,
        });
    }
    let mut content = read_file(source, cid);
    // Not more than `limit`, so this many at once are no surprise.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    while let Some(piece) = content.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

/// The visitor of a file: its output is the content.
struct FileVisitor {
    /// The first byte that is wanted.
    first: u64,
}

impl Visitor for FileVisitor {
    fn check_root(&self, root: &Cid) -> Result<(), StoreError> {
        check_name(root)
    }

    fn visit(&mut self, link: &Link, block: Block) -> Result<Visit, StoreError> {
        let part = Part::decode(link, &block)?;
        let before = usize::try_from(self.first.saturating_sub(link.at)).unwrap_or(usize::MAX);
        let output = match part.content.get(before..) {
            None | Some([]) => Vec::new(),
            Some(content) => vec![block.data().slice_ref(content)],
        };
        let mut children = part.children;
        children.retain(|child| {
            let bytes = child.stated.map_or(u64::MAX, |stated| stated.bytes);
            child.at.saturating_add(bytes) > self.first
        });
        Ok(Visit { output, children })
    }

    fn leave_out(&mut self, _: &Cid) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn is_known(&self, _: &Cid) -> bool {
        false
    }
}
