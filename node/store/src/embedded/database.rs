//! Transactions: how blocks are kept in the tables, and what the database's errors mean.
//!
//! A redb value occupies a power of two of pages, so a UnixFS leaf (256 KiB and 14 bytes) in one value would occupy 512
//! KiB. Blocks are therefore cut into pieces that fit a power of two together with their keys.
//!
//! Short blocks of DAG-CBOR are in packs instead (`packs.rs`); those that an earlier version stored are pieces until the store
//! shrinks.
//!
//! Besides there are the pins, and a few facts (format, number of blocks, bytes in them), which change in the same
//! transaction as the blocks. What is read is not checked here; the store hashes it (`mod.rs`).
//! [`DatabaseError`] becomes a [`StoreError`] with the path and with what to do; some errors end the database, which is
//! then opened anew.

use super::{
    packing::Packing,
    packs::{is_packed, Found, Packs, PACKS, PLACES},
};
use crate::{
    block::{Key, KEY_BYTES},
    error::Cause,
    inventory::Removed,
    StoreError, StoreSize,
};
use bytes::Bytes;
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError,
    TableHandle,
};
use std::{io, path::Path};

/// Bytes of a block in one piece: 64 KiB less room for the key and the header of a page.
const PIECE_BYTES: usize = 64 * 1024 - 128;

/// Codec, digest, and the number of the piece (big-endian).
pub(super) type PieceKey = [u8; KEY_BYTES + 2];

/// Codec and digest of a pinned block, and whether all below it is pinned too (1) or not (0).
pub(super) type PinKey = [u8; KEY_BYTES + 1];

pub(super) const PIECES: TableDefinition<'_, &PieceKey, &[u8]> =
    TableDefinition::new("rings-store.pieces");
pub(super) const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("rings-store.facts");
/// Pin → until when, in seconds since 1970.
pub(super) const PINS: TableDefinition<'_, &PinKey, u64> = TableDefinition::new("rings-store.pins");

/// Keys of [`FACTS`].
pub(super) const FORMAT: &str = "format";
const BLOCKS: &str = "blocks";
const BYTES: &str = "bytes";

/// The format of the tables above. A later one is refused. 2: there are pins. 3: there are packs.
pub(super) const FORMAT_NOW: u64 = 3;
/// The first format, which has no pins.
pub(super) const FORMAT_FIRST: u64 = 1;

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error(transparent)]
    Database(Box<redb::Error>),
    #[error("the file holds other tables")]
    Foreign,
    #[error("the file has format {0}")]
    Later(u64),
}

impl<E: Into<redb::Error>> From<E> for DatabaseError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl DatabaseError {
    /// Whether redb refuses all further work after this error.
    pub(super) fn ends_the_database(&self) -> bool {
        use redb::Error::{DatabaseClosed, Io, LockPoisoned, PreviousIo};
        match self {
            Self::Database(error) => matches!(
                **error,
                Io(_) | PreviousIo | LockPoisoned(_) | DatabaseClosed
            ),
            Self::Foreign | Self::Later(_) => false,
        }
    }

    /// The error that the caller of the store at `path` gets.
    pub(super) fn into_error(self, path: &Path) -> StoreError {
        let path = path.to_path_buf();
        match self {
            Self::Foreign => StoreError::ForeignDatabase {
                path,
                what: "a database of another program",
            },
            Self::Later(found) => StoreError::LaterFormat {
                path,
                found,
                known: FORMAT_NOW,
            },
            Self::Database(error) => from_redb(*error, &path),
        }
    }
}

/// What an error of redb means for whoever runs the node: the file is locked, foreign, damaged, or cannot be read now.
fn from_redb(error: redb::Error, path: &Path) -> StoreError {
    use redb::Error;
    let owned = path.to_path_buf();
    match error {
        Error::Io(error) => from_io(error, path),
        Error::DatabaseAlreadyOpen => StoreError::Locked { path: owned },
        Error::UpgradeRequired(_) => StoreError::ForeignDatabase {
            path: owned,
            what: "a database in an outdated file format",
        },
        error @ (Error::Corrupted(_)
        | Error::RepairAborted
        | Error::TableDoesNotExist(_)
        | Error::TableTypeMismatch { .. }
        | Error::TypeDefinitionChanged { .. }) => corrupt(path, error.into()),
        error => StoreError::Io {
            path: owned,
            source: error.into(),
        },
    }
}

/// The meaning of an error of the operating system about the database file.
pub(super) fn from_io(error: io::Error, path: &Path) -> StoreError {
    let owned = path.to_path_buf();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::DiskFull {
                place: path.display().to_string(),
            }
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::Denied {
            path: owned,
            source: error,
        },
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => corrupt(path, error.into()),
        _ => StoreError::Io {
            path: owned,
            source: error.into(),
        },
    }
}

fn corrupt(path: &Path, source: Cause) -> StoreError {
    StoreError::CorruptDatabase {
        path: path.to_path_buf(),
        source: Some(source),
    }
}

/// Makes the tables of an empty database.
pub(super) fn initialise(database: &Database) -> Result<(), DatabaseError> {
    let transaction = database.begin_write()?;
    transaction.open_table(PIECES)?;
    transaction.open_table(PINS)?;
    transaction.open_table(PACKS)?;
    transaction.open_table(PLACES)?;
    transaction.open_table(FACTS)?.insert(FORMAT, FORMAT_NOW)?;
    Ok(transaction.commit()?)
}

/// Whether there is no table yet.
pub(super) fn is_blank(database: &Database) -> Result<bool, DatabaseError> {
    Ok(database.begin_read()?.list_tables()?.next().is_none())
}

/// Whether the tables are ours, and of a format that we know.
pub(super) fn check_format(database: &Database) -> Result<(), DatabaseError> {
    let transaction = database.begin_read()?;
    let facts = match transaction.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(DatabaseError::Foreign),
    };
    match facts.get(FORMAT)?.map(|format| format.value()) {
        Some(FORMAT_FIRST..=FORMAT_NOW) => {}
        Some(later) if later > FORMAT_NOW => return Err(DatabaseError::Later(later)),
        _ => return Err(DatabaseError::Foreign),
    }
    let known = [
        PIECES.name(),
        FACTS.name(),
        PINS.name(),
        PACKS.name(),
        PLACES.name(),
    ];
    // A database with any other table belongs to another program, even if it has tables of these names.
    let ours = transaction
        .list_tables()?
        .all(|table| known.contains(&table.name()));
    match ours {
        true => Ok(()),
        false => Err(DatabaseError::Foreign),
    }
}

/// Stores the blocks in one durable transaction; does nothing when all of them are there.
pub(super) fn put<'a>(
    database: &Database,
    blocks: impl IntoIterator<Item = &'a (Key, Bytes)>,
) -> Result<(), DatabaseError> {
    let transaction = database.begin_write()?;
    let mut grown = Growth::default();
    let mut written = false;
    {
        let mut pieces = transaction.open_table(PIECES)?;
        let mut packing = Packing::open(&transaction)?;
        for (key, data) in blocks {
            written |= match is_packed(key, data.len()) {
                true => pack_block((&mut packing, &mut pieces), key, data, &mut grown)?,
                false => put_block(&mut pieces, key, data, &mut grown)?,
            };
        }
        packing.end()?;
        if grown.blocks > 0 || grown.bytes != 0 {
            let mut facts = transaction.open_table(FACTS)?;
            add(&mut facts, BLOCKS, grown.blocks)?;
            add(&mut facts, BYTES, grown.bytes)?;
        }
    }
    // Without a change nothing is written, so blocks that are there already cost no sync of the disk.
    match written {
        true => Ok(transaction.commit()?),
        false => Ok(transaction.abort()?),
    }
}

/// Removes the blocks in one durable transaction. Those that are not there are no error.
/// Says what was removed.
pub(super) fn remove(database: &Database, keys: &[Key]) -> Result<Removed, DatabaseError> {
    let transaction = database.begin_write()?;
    let mut grown = Growth::default();
    {
        let mut pieces = transaction.open_table(PIECES)?;
        let mut packing = Packing::open(&transaction)?;
        for key in keys {
            remove_block(&mut pieces, key, &mut grown)?;
            if let Some(length) = packing.remove(key)? {
                grown.blocks -= 1;
                grown.bytes -= length as i64;
            }
        }
        packing.end()?;
        let mut facts = transaction.open_table(FACTS)?;
        add(&mut facts, BLOCKS, grown.blocks)?;
        add(&mut facts, BYTES, grown.bytes)?;
    }
    transaction.commit()?;
    Ok(Removed {
        blocks: grown.blocks.unsigned_abs(),
        bytes: grown.bytes.unsigned_abs(),
    })
}

/// Removes all pieces of a block. It is read first, because its length is part of the facts.
fn remove_block(
    pieces: &mut Table<'_, &'static PieceKey, &'static [u8]>,
    key: &Key,
    grown: &mut Growth,
) -> Result<(), StorageError> {
    let Some(data) = read_block(pieces, key)? else {
        return Ok(());
    };
    let (first, last) = pieces_of(key);
    pieces.retain_in::<&PieceKey, _>(&first..=&last, |_, _| false)?;
    grown.blocks -= 1;
    grown.bytes -= data.len() as i64;
    Ok(())
}

/// By how much a transaction changes the facts.
#[derive(Default)]
struct Growth {
    blocks: i64,
    bytes: i64,
}

/// Writes one block unless the same bytes are there; a damaged copy is replaced. Says whether it wrote.
fn put_block(
    pieces: &mut Table<'_, &'static PieceKey, &'static [u8]>,
    key: &Key,
    data: &[u8],
    grown: &mut Growth,
) -> Result<bool, StorageError> {
    let old = read_block(pieces, key)?;
    match &old {
        Some(old) if old == data => return Ok(false),
        Some(_) => {
            let (first, last) = pieces_of(key);
            pieces.retain_in::<&PieceKey, _>(&first..=&last, |_, _| false)?;
        }
        None => grown.blocks += 1,
    }
    grown.bytes += data.len() as i64 - old.map_or(0, |old| old.len() as i64);
    // A block of no bytes has one piece of no bytes: it exists.
    let empty = data.is_empty().then_some(data);
    for (number, piece) in data.chunks(PIECE_BYTES).chain(empty).enumerate() {
        pieces.insert(&piece_key(key, number as u16), piece)?;
    }
    Ok(true)
}

/// Puts one short block into a pack, as [`put_block`] does.
fn pack_block(
    (packing, pieces): (
        &mut Packing<'_>,
        &mut Table<'_, &'static PieceKey, &'static [u8]>,
    ),
    key: &Key,
    data: &[u8],
    grown: &mut Growth,
) -> Result<bool, StorageError> {
    match packing.find(key)? {
        Some(Found::Whole(..)) => return Ok(false),
        Some(Found::Damaged(length)) => {
            packing.remove(key)?;
            grown.blocks -= 1;
            grown.bytes -= length as i64;
        }
        // An earlier version has stored it.
        None => match read_block(pieces, key)? {
            Some(old) if old == data => return Ok(false),
            Some(_) => remove_block(pieces, key, grown)?,
            None => {}
        },
    }
    packing.add(key, data)?;
    grown.blocks += 1;
    grown.bytes += data.len() as i64;
    Ok(true)
}

fn add(
    facts: &mut Table<'_, &'static str, u64>,
    fact: &'static str,
    change: i64,
) -> Result<(), StorageError> {
    let before = facts.get(fact)?.map_or(0, |value| value.value());
    facts.insert(fact, before.saturating_add_signed(change))?;
    Ok(())
}

/// The stored bytes of the blocks, not checked; `None` for those that are absent.
pub(super) fn get_many(
    database: &Database,
    keys: &[Key],
) -> Result<Vec<Option<Vec<u8>>>, DatabaseError> {
    let transaction = database.begin_read()?;
    let (pieces, mut packs) = (transaction.open_table(PIECES)?, Packs::open(&transaction)?);
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.push(match packs.find(key)? {
            Some(packed) => Some(packed.into_bytes()),
            None => read_block(&pieces, key)?,
        });
    }
    Ok(found)
}

/// Joins the pieces of a block; nothing if there is none.
pub(super) fn read_block(
    pieces: &impl ReadableTable<&'static PieceKey, &'static [u8]>,
    key: &Key,
) -> Result<Option<Vec<u8>>, StorageError> {
    let mut data: Option<Vec<u8>> = None;
    let (first, last) = pieces_of(key);
    for entry in pieces.range::<&PieceKey>(&first..=&last)? {
        let (_, piece) = entry?;
        data.get_or_insert_default()
            .extend_from_slice(piece.value());
    }
    Ok(data)
}

/// Whether the block is there.
pub(super) fn has(database: &Database, key: &Key) -> Result<bool, DatabaseError> {
    Ok(has_many(database, [key])? == [true])
}

/// Whether each of the blocks is there.
pub(super) fn has_many<'a>(
    database: &Database,
    keys: impl IntoIterator<Item = &'a Key>,
) -> Result<Vec<bool>, DatabaseError> {
    let transaction = database.begin_read()?;
    let (pieces, mut packs) = (transaction.open_table(PIECES)?, Packs::open(&transaction)?);
    let found = keys.into_iter().map(|key| {
        let is_packed = packs.find(key)?.is_some();
        Ok(is_packed || pieces.get(&piece_key(key, 0))?.is_some())
    });
    found.collect()
}

/// How many blocks there are, and how many bytes in them.
pub(super) fn size(database: &Database) -> Result<StoreSize, DatabaseError> {
    let facts = database.begin_read()?.open_table(FACTS)?;
    let fact = |name| Ok::<_, DatabaseError>(facts.get(name)?.map_or(0, |value| value.value()));
    Ok(StoreSize {
        blocks: fact(BLOCKS)?,
        bytes: fact(BYTES)?,
    })
}

pub(super) fn piece_key(key: &Key, number: u16) -> PieceKey {
    let mut piece = [0; KEY_BYTES + 2];
    piece[..KEY_BYTES].copy_from_slice(key);
    piece[KEY_BYTES..].copy_from_slice(&number.to_be_bytes());
    piece
}

/// The first and the last key that pieces of this block may have.
pub(super) fn pieces_of(key: &Key) -> (PieceKey, PieceKey) {
    (piece_key(key, 0), piece_key(key, u16::MAX))
}
