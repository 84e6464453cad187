//! A content archive (CAR v1) of a whole store: its blocks in the order of their keys, page by page, each hashed on the
//! way. Unlike [`read_car`](crate::read_car) it follows no links, so it also has blocks that nothing leads to.

use crate::{
    car::{car_header, section},
    inventory::{BlockKey, Inventory},
    Block, StoreError,
};
use bytes::Bytes;
use cid::Cid;
use futures::{
    stream::{self, BoxStream},
    StreamExt,
};
use std::sync::Arc;

/// Most roots in the header of an archive.
pub const MAX_CAR_ROOTS: usize = 16_384;

/// All blocks of the store as a CARv1 stream, in the order of their keys; every block is hashed. Its header names `roots`,
/// of which those beyond [`MAX_CAR_ROOTS`] are left out. Memory stays at one page of blocks. Blocks that come while it
/// runs may be in it or not. Ends after the first error, which leaves the archive incomplete.
///
/// # Errors
/// [`StoreError::Corrupt`] for a damaged block, and those of the store.
pub fn export_all(
    inventory: Arc<dyn Inventory>,
    mut roots: Vec<Cid>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    roots.truncate(MAX_CAR_ROOTS);
    let header = stream::iter([Ok(car_header(&roots))]);
    let pages = stream::unfold(Some((inventory, None)), |state| async move {
        let (inventory, after) = state?;
        match page(&*inventory, after).await {
            Ok((pieces, Some(last))) => Some((pieces, Some((inventory, Some(last))))),
            Ok((_, None)) => None,
            Err(error) => Some((vec![Err(error)], None)),
        }
    });
    header.chain(pages.flat_map(stream::iter)).boxed()
}

/// An archive of these blocks, without roots.
pub fn archive_of(blocks: &[Block]) -> Vec<Bytes> {
    let sections = blocks.iter().flat_map(section);
    [car_header(&[])].into_iter().chain(sections).collect()
}

type Pieces = Vec<Result<Bytes, StoreError>>;

/// The sections of the next blocks, and the last of their keys; `None` at the end.
async fn page(
    inventory: &dyn Inventory,
    after: Option<BlockKey>,
) -> Result<(Pieces, Option<BlockKey>), StoreError> {
    let stored = inventory.page(after).await?;
    let last = stored.last().map(|stored| stored.key);
    let mut pieces = Vec::with_capacity(2 * stored.len());
    for stored in stored {
        pieces.extend(section(&stored.checked()?).map(Ok));
    }
    Ok((pieces, last))
}
