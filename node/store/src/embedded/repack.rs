//! Short blocks of DAG-CBOR that an earlier version stored as pieces go into packs.

use super::{
    database::{piece_key, pieces_of, DatabaseError, PieceKey, PIECES},
    packing::Packing,
    packs::{is_packed, name_of},
};
use crate::block::{Key, KEY_BYTES};
use redb::{Database, ReadableTable, WriteTransaction};
use rings_protocol::cids::DAG_CBOR;
use std::ops::Bound;

/// Blocks that are moved in one transaction.
const PACKED_AT_ONCE: usize = 4096;

/// Moves all of them.
pub(super) fn pack_all(database: &Database) -> Result<(), DatabaseError> {
    let mut last = None;
    loop {
        let transaction = database.begin_write()?;
        last = pack_some(&transaction, last)?;
        match last {
            Some(_) => transaction.commit()?,
            None => return Ok(transaction.abort()?),
        }
    }
}

/// Moves some of those behind `after`. Returns the last that was looked at.
fn pack_some(
    transaction: &WriteTransaction,
    after: Option<Key>,
) -> Result<Option<Key>, DatabaseError> {
    let mut pieces = transaction.open_table(PIECES)?;
    let mut packing = Packing::open(transaction)?;
    let mut first: Key = [0; KEY_BYTES];
    first[0] = DAG_CBOR as u8;
    let start = match after {
        Some(after) => Bound::Excluded(pieces_of(&after).1),
        None => Bound::Included(pieces_of(&first).0),
    };
    let mut end: Key = [0xff; KEY_BYTES];
    end[0] = DAG_CBOR as u8;
    let end = pieces_of(&end).1;
    let mut found: Vec<(Key, Option<Vec<u8>>)> = Vec::new();
    for entry in pieces.range::<&PieceKey>((start.as_ref(), Bound::Included(&end)))? {
        if found.len() >= PACKED_AT_ONCE {
            break;
        }
        let (piece, data) = entry?;
        let mut key: Key = [0; KEY_BYTES];
        key.copy_from_slice(&piece.value()[..KEY_BYTES]);
        // The last piece of a long block is short as well.
        let is_first = piece.value()[KEY_BYTES..] == [0, 0];
        let is_short = is_first && is_packed(&key, data.value().len());
        found.push((key, is_short.then(|| data.value().to_vec())));
    }
    for (key, data) in &found {
        if let Some(data) = data {
            pieces.remove(&piece_key(key, 0))?;
            // A damaged one has no place in an index of digests: it is fetched again by whoever needs it.
            if name_of(data) == *key {
                packing.add(key, data)?;
            }
        }
    }
    packing.end()?;
    Ok(found.last().map(|(key, _)| *key))
}
