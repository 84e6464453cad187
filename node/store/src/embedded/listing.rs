//! Going through all blocks in the order of their keys, a page at a time, so that neither memory nor a transaction
//! grows with the store.

use super::{
    database::{pieces_of, read_block, DatabaseError, PieceKey, PIECES},
    packs::Packs,
};
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
    let mut walk = Walk::open(database, after)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES && found.len() < PAGE_BLOCKS {
        let Some((key, packed)) = walk.next()? else {
            break;
        };
        let data = match packed {
            Some(data) => data,
            None => read_block(&walk.pieces, &key.0)?.unwrap_or_default(),
        };
        bytes += data.len();
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
    let mut walk = Walk::open(database, after)?;
    let mut found = Vec::new();
    while found.len() < PAGE_BLOCKS {
        let Some((key, _)) = walk.next()? else {
            break;
        };
        found.push(key);
    }
    Ok(found)
}

/// The bytes of a block that is in a pack.
type Packed = Vec<u8>;

/// Goes through pieces and packs, which both come in the order of their keys.
struct Walk {
    pieces: Pieces,
    packs: Packs,
    /// The next of each.
    piece: Option<BlockKey>,
    packed: Option<(BlockKey, Packed)>,
}

impl Walk {
    fn open(database: &Database, after: Option<BlockKey>) -> Result<Self, DatabaseError> {
        let transaction = database.begin_read()?;
        let pieces = transaction.open_table(PIECES)?;
        let mut packs = Packs::open(&transaction)?;
        Ok(Self {
            piece: next_piece(&pieces, after)?,
            packed: next_packed(&mut packs, after)?,
            pieces,
            packs,
        })
    }

    fn next(&mut self) -> Result<Option<(BlockKey, Option<Packed>)>, DatabaseError> {
        let is_packed = match (&self.piece, &self.packed) {
            (Some(piece), Some((packed, _))) => packed < piece,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if is_packed {
            let Some((key, data)) = self.packed.take() else {
                return Ok(None);
            };
            self.packed = next_packed(&mut self.packs, Some(key))?;
            return Ok(Some((key, Some(data))));
        }
        let Some(key) = self.piece else {
            return Ok(None);
        };
        self.piece = next_piece(&self.pieces, Some(key))?;
        Ok(Some((key, None)))
    }
}

fn next_packed(
    packs: &mut Packs,
    after: Option<BlockKey>,
) -> Result<Option<(BlockKey, Packed)>, DatabaseError> {
    let next = packs.next(after.as_ref().map(|after| &after.0))?;
    Ok(next.map(|(key, data)| (BlockKey(key), data)))
}

/// The first key of a piece behind another.
fn next_piece(pieces: &Pieces, after: Option<BlockKey>) -> Result<Option<BlockKey>, DatabaseError> {
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
