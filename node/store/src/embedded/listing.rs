//! Going through all blocks in the order of their keys, a page at a time, so that neither memory nor a transaction
//! grows with the store.

use super::database::{pieces_of, read_block, DatabaseError, PieceKey, PIECES};
use crate::{
    block::{Key, KEY_BYTES},
    inventory::{BlockKey, Stored, PAGE_BLOCKS, PAGE_BYTES},
};
use redb::{Database, ReadOnlyTable, ReadableDatabase};
use std::ops::Bound;

type Pieces = ReadOnlyTable<&'static PieceKey, &'static [u8]>;

/// The next blocks with their bytes.
pub(super) fn page(
    database: &Database,
    after: Option<BlockKey>,
) -> Result<Vec<Stored>, DatabaseError> {
    let pieces = database.begin_read()?.open_table(PIECES)?;
    let (mut found, mut last, mut bytes) = (Vec::new(), after, 0);
    while bytes < PAGE_BYTES && found.len() < PAGE_BLOCKS {
        let Some(key) = next(&pieces, last)? else {
            break;
        };
        let data = read_block(&pieces, &key.0)?.unwrap_or_default();
        bytes += data.len();
        last = Some(key);
        found.push(Stored {
            key,
            data: data.into(),
        });
    }
    Ok(found)
}

/// The next keys.
pub(super) fn names(
    database: &Database,
    after: Option<BlockKey>,
) -> Result<Vec<BlockKey>, DatabaseError> {
    let pieces = database.begin_read()?.open_table(PIECES)?;
    let (mut found, mut last) = (Vec::new(), after);
    while found.len() < PAGE_BLOCKS {
        let Some(key) = next(&pieces, last)? else {
            break;
        };
        last = Some(key);
        found.push(key);
    }
    Ok(found)
}

/// The first key behind another.
fn next(pieces: &Pieces, after: Option<BlockKey>) -> Result<Option<BlockKey>, DatabaseError> {
    let behind = after.map(|key| pieces_of(&key.0).1);
    let start = behind.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut range = pieces.range::<&PieceKey>((start, Bound::Unbounded))?;
    let Some(entry) = range.next() else {
        return Ok(None);
    };
    let mut key: Key = [0; KEY_BYTES];
    key.copy_from_slice(&entry?.0.value()[..KEY_BYTES]);
    Ok(Some(BlockKey(key)))
}
