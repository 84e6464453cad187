//! Pins: what a person added, and what is needed for a while.
//!
//! A pin names a block, says whether all below it is pinned too, and until when. Of two pins of one block the later end
//! counts. A database from before there were pins gets one for each block, because nobody knows any more what a person
//! has added to it.

use super::{
    database::{DatabaseError, PinKey, FACTS, FORMAT, FORMAT_FIRST, FORMAT_NOW, PIECES, PINS},
    packs::{PACKS, PLACES},
};
use crate::{
    block::{Key, KEY_BYTES},
    inventory::{BlockKey, Pin},
};
use redb::{Database, ReadableDatabase, ReadableTable, StorageError, Table, WriteTransaction};

/// Brings a database of an earlier format up to date. What a person added to one of the first format is not known, so
/// everything that it holds is pinned.
pub(super) fn upgrade(database: &Database) -> Result<(), DatabaseError> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    let format = facts.get(FORMAT)?.map(|format| format.value());
    drop(facts);
    if format == Some(FORMAT_NOW) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    transaction.open_table(PACKS)?;
    transaction.open_table(PLACES)?;
    transaction.open_table(FACTS)?.insert(FORMAT, FORMAT_NOW)?;
    if format == Some(FORMAT_FIRST) {
        pin_everything(&transaction)?;
    }
    Ok(transaction.commit()?)
}

fn pin_everything(transaction: &WriteTransaction) -> Result<(), DatabaseError> {
    {
        let (pieces, mut pins) = (
            transaction.open_table(PIECES)?,
            transaction.open_table(PINS)?,
        );
        // One piece of each block, the first, is enough to know that the block is there.
        for entry in pieces.range::<&super::database::PieceKey>(..)? {
            let piece = *entry?.0.value();
            if piece[KEY_BYTES..] == [0, 0] {
                let mut key = [0; KEY_BYTES];
                key.copy_from_slice(&piece[..KEY_BYTES]);
                pins.insert(&pin_key(&key, false), Pin::ALWAYS)?;
            }
        }
    }
    tracing::info!("the block database had no pins; everything in it is pinned, because what was added by hand is not known");
    Ok(())
}

/// Adds or prolongs pins.
pub(super) fn pin(database: &Database, pins: &[Pin]) -> Result<(), DatabaseError> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(PINS)?;
        for pin in pins {
            add(&mut table, pin)?;
        }
    }
    Ok(transaction.commit()?)
}

fn add(table: &mut Table<'_, &'static PinKey, u64>, pin: &Pin) -> Result<(), StorageError> {
    let key = pin_key(&pin.key.0, pin.below);
    let before = table.get(&key)?.map(|until| until.value());
    if before.is_none_or(|before| before < pin.until) {
        table.insert(&key, pin.until)?;
    }
    Ok(())
}

/// Takes pins away; says how many there were.
pub(super) fn unpin(database: &Database, keys: &[BlockKey]) -> Result<u64, DatabaseError> {
    let transaction = database.begin_write()?;
    let mut count = 0;
    {
        let mut table = transaction.open_table(PINS)?;
        for key in keys {
            for below in [false, true] {
                count += u64::from(table.remove(&pin_key(&key.0, below))?.is_some());
            }
        }
    }
    transaction.commit()?;
    Ok(count)
}

/// Takes away the pins that have ended by `now`. Nothing is written if no pin has ended.
pub(super) fn expire(database: &Database, now: u64) -> Result<(), DatabaseError> {
    if pins(database)?.iter().all(|pin| pin.until > now) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    transaction
        .open_table(PINS)?
        .retain(|_, until| until > now)?;
    Ok(transaction.commit()?)
}

/// All pins.
pub(super) fn pins(database: &Database) -> Result<Vec<Pin>, DatabaseError> {
    let table = database.begin_read()?.open_table(PINS)?;
    let mut pins = Vec::new();
    for entry in table.range::<&PinKey>(..)? {
        let (key, until) = entry?;
        let (key, below) = (&key.value()[..KEY_BYTES], key.value()[KEY_BYTES] == 1);
        let mut owned: Key = [0; KEY_BYTES];
        owned.copy_from_slice(key);
        pins.push(Pin {
            key: BlockKey(owned),
            below,
            until: until.value(),
        });
    }
    Ok(pins)
}

fn pin_key(key: &Key, below: bool) -> PinKey {
    let mut pin = [0; KEY_BYTES + 1];
    pin[..KEY_BYTES].copy_from_slice(key);
    pin[KEY_BYTES] = u8::from(below);
    pin
}
