//! Opens the state database, and refuses one of another member or format.
//!
//! A new file gets its tables, the format, and the [`Identity`] of its member (chain, ring, account) in one
//! transaction. An existing one must have all three. So a member never signs with the journal of another one, and a
//! program never misreads the tables of another version.
//!
//! A database of an earlier format from [`FORWARD_FROM`] on gets what is new in the same transaction, and has the new
//! format afterwards. A file with other tables and no format is refused, because taking it for a new member's would
//! mean to forget what was signed.

use super::{
    database::Durable,
    error::StateError,
    file::{claim, explain, open_or_make},
    redo::RedoName,
    redo_file::RedoFile,
    tables::{
        beginning_of, Account, ASKED, CHANGED, CHOICES, DEPENDANTS, DIVERGED, DUTIES, EARLIER,
        ENDORSED, FORKS, GATES, GATES_ASKED, HELD_FROM, JOURNAL, KEPT_FROM, KEYS, LATE, LISTED,
        LISTED_BY, META, NODES, OPEN, OVER, PAST, PLACES, PROPOSED, QUESTIONS, REDO_NAME_KEY,
        REDO_NUMBER_KEY, REQUEST_JOURNAL, REQUEST_VOTES, RING_NODES, ROTATIONS, STRAY, TIPS, TRAIL,
        TRANSACTIONS, UNASKED, UNLISTED, USAGE, VOTES, WAITING,
    },
};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageError, TableDefinition, TableHandle, WriteTransaction,
};
use rings_protocol::Address;
use std::{fmt, fs, path::Path, str::FromStr, sync::Arc};

/// 2: computations are named by gate and inputs, and a member has votes in several epochs.
/// 3: requests, ring nodes and the positions of log nodes have tables, and the directory names its version beside the
/// database. A program of format 2 refuses both.
/// 4: copies of logs may begin at a head on chain, and the keys of a private ring have tables.
/// 5: blocks that the block store may not have yet have a table.
/// 6: positions of log nodes are found by the beginning of a digest.
/// 7: the last rounds may be in the redo log alone.
const FORMAT: u32 = 7;
/// The earliest format that moves forward by itself. The votes of those before are for other contracts.
const FORWARD_FROM: u32 = 2;
/// Of the file beside the database that holds the last rounds.
const REDO_EXTENSION: &str = "redo";
const FORMAT_KEY: &str = "format";
const IDENTITY_KEY: &str = "identity";
/// What formats 3 to 5 had in place of `places`: digest of a log node → its position.
const FORMER_POSITIONS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("positions");
/// Present in a copy that was put back, until it is known where the own log ends.
pub(super) const RESTORED_KEY: &str = "restored";

/// The member to which a state database belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Chain id.
    pub chain_id: u64,
    /// The ring.
    pub ring: Address,
    /// The member.
    pub member: Address,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "member {} of ring {} on chain {}",
            self.member, self.ring, self.chain_id
        )
    }
}

impl FromStr for Identity {
    type Err = String;

    /// What [`Identity`] displays.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} names no member");
        let rest = text.strip_prefix("member ").ok_or_else(wrong)?;
        let (member, rest) = rest.split_once(" of ring ").ok_or_else(wrong)?;
        let (ring, chain_id) = rest.split_once(" on chain ").ok_or_else(wrong)?;
        Ok(Self {
            chain_id: chain_id.parse().map_err(|_| wrong())?,
            ring: ring.parse().map_err(|_| wrong())?,
            member: member.parse().map_err(|_| wrong())?,
        })
    }
}

/// Whose database is in the file `path`, which must be there.
pub(super) fn owner(path: &Path) -> Result<Identity, StateError> {
    let database = Database::open(path).map_err(|error| explain(path, error))?;
    let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| StateError::Corrupt {
        path: path.into(),
        source,
    };
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let identity = meta.get(IDENTITY_KEY)?;
    let identity = identity.ok_or_else(|| corrupt("it names no member".into()))?;
    let text = String::from_utf8_lossy(identity.value()).into_owned();
    text.parse().map_err(|error: String| corrupt(error.into()))
}

/// Opens or makes the database in the file `path`, with its redo log beside it.
pub(super) fn open(path: &Path, identity: &Identity) -> Result<Durable, StateError> {
    let database = open_or_make(path, |transaction| initialise(transaction, path, identity))?;
    let redo = path.with_extension(REDO_EXTENSION);
    let is_there = fs::metadata(&redo).is_ok_and(|file| file.len() > 0);
    if !is_there && database.read(has_rounds)? {
        return Err(StateError::Corrupt {
            path: redo,
            source: "it is missing, and may hold the last rounds of the database beside it".into(),
        });
    }
    let failed = |error| explain(&redo, redb::DatabaseError::Storage(StorageError::Io(error)));
    database.with_redo(Arc::new(RedoFile::open(&redo).map_err(failed)?))
}

/// Whether rounds of this database were written to a redo log.
fn has_rounds(transaction: &ReadTransaction) -> Result<bool, StateError> {
    let meta = transaction.open_table(META)?;
    Ok(meta.get(REDO_NUMBER_KEY)?.is_some())
}

/// Refuses a database that is not this member's; gives a new one its tables.
pub(super) fn initialise(
    transaction: &WriteTransaction,
    path: &Path,
    identity: &Identity,
) -> Result<(), StateError> {
    check_format(transaction, path)?;
    claim(transaction, path, IDENTITY_KEY, identity.to_string())?;
    name_for_redo(transaction)?;
    create_tables(transaction)
}

/// A new database, and a copy that was put back, get a name of their own, so that no redo log of another fits.
fn name_for_redo(transaction: &WriteTransaction) -> Result<(), StateError> {
    let mut meta = transaction.open_table(META)?;
    if meta.get(REDO_NAME_KEY)?.is_none() {
        let name: RedoName = rand::random();
        meta.insert(REDO_NAME_KEY, name.as_slice())?;
    }
    Ok(())
}

fn check_format(transaction: &WriteTransaction, path: &Path) -> Result<(), StateError> {
    // A new database is empty. A database with other tables belongs to another program, and must not be taken for that of
    // a member that has signed nothing yet.
    let mut tables = transaction.list_tables()?;
    let in_use = tables.any(|table| table.name() != META.name());
    let mut meta = transaction.open_table(META)?;
    let found = meta.get(FORMAT_KEY)?.map(|bytes| {
        bytes
            .value()
            .try_into()
            .map(u32::from_be_bytes)
            .unwrap_or(0)
    });
    match found {
        Some(FORMAT) => Ok(()),
        Some(found @ FORWARD_FROM..FORMAT) => {
            // `create_tables` makes the tables that are new, and fills those that follow from others.
            tracing::info!(
                from = found,
                to = FORMAT,
                "the state database moves forward"
            );
            meta.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
            Ok(())
        }
        Some(found) if found > FORMAT => Err(StateError::Later {
            path: path.into(),
            found,
            known: FORMAT,
        }),
        Some(found) => Err(StateError::Earlier {
            path: path.into(),
            found,
            known: FORMAT,
        }),
        None if in_use => Err(StateError::Corrupt {
            path: path.into(),
            source: "it is a database of something else".into(),
        }),
        None => {
            meta.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
            Ok(())
        }
    }
}

fn create_tables(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(JOURNAL)?;
    transaction.open_table(NODES)?;
    transaction.open_table(TIPS)?;
    transaction.open_table(VOTES)?;
    transaction.open_table(UNASKED)?;
    transaction.open_table(DIVERGED)?;
    transaction.open_table(FORKS)?;
    transaction.open_table(KEPT_FROM)?;
    transaction.open_table(HELD_FROM)?;
    transaction.open_table(KEYS)?;
    transaction.open_table(ROTATIONS)?;
    transaction.open_table(EARLIER)?;
    transaction.open_table(GATES)?;
    transaction.open_table(DEPENDANTS)?;
    transaction.open_table(CHANGED)?;
    transaction.open_table(OPEN)?;
    transaction.open_table(WAITING)?;
    transaction.open_table(PAST)?;
    transaction.open_table(TRANSACTIONS)?;
    transaction.open_table(TRAIL)?;
    transaction.open_table(USAGE)?;
    transaction.open_table(GATES_ASKED)?;
    transaction.open_table(DUTIES)?;
    transaction.open_table(REQUEST_JOURNAL)?;
    transaction.open_table(ASKED)?;
    transaction.open_table(REQUEST_VOTES)?;
    transaction.open_table(STRAY)?;
    transaction.open_table(QUESTIONS)?;
    transaction.open_table(CHOICES)?;
    transaction.open_table(PROPOSED)?;
    transaction.open_table(ENDORSED)?;
    transaction.open_table(OVER)?;
    transaction.open_table(RING_NODES)?;
    transaction.open_table(LISTED)?;
    transaction.open_table(LISTED_BY)?;
    transaction.open_table(UNLISTED)?;
    transaction.open_table(LATE)?;
    // Its pages are used again.
    transaction.delete_table(FORMER_POSITIONS)?;
    index_places(transaction)
}

/// Fills the index of places of a database that was made before there was one.
fn index_places(transaction: &WriteTransaction) -> Result<(), StateError> {
    let mut places = transaction.open_table(PLACES)?;
    let nodes = transaction.open_table(NODES)?;
    if !places.is_empty()? {
        return Ok(());
    }
    for entry in nodes.range::<(Account, u64)>(..)? {
        let (place, digest) = entry?;
        places.insert((beginning_of(digest.value()), place.value().1), ())?;
    }
    Ok(())
}
