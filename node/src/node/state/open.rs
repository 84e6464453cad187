//! Opening the state database, and refusing one that is not ours.

use super::{
    StateError, CACHE_BYTES, CHANGED, DEPENDANTS, DIVERGED, FORKS, GATES, JOURNAL, META, NODES,
    OPEN, REGISTERED, TIPS, VOTES,
};
use redb::{Database, DatabaseError, ReadableTable, TableHandle, WriteTransaction};
use rings_protocol::Address;
use std::{fmt, io::ErrorKind, path::Path};

const FORMAT: u32 = 1;
const FORMAT_KEY: &str = "format";
const IDENTITY_KEY: &str = "identity";

/// Whose memory a database is.
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

pub(super) fn open(path: &Path, identity: &Identity) -> Result<Database, StateError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|error| explain(path, error))?;
    let transaction = database.begin_write()?;
    check_format(&transaction, path)?;
    check_identity(&transaction, path, identity)?;
    create_tables(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

fn explain(path: &Path, error: DatabaseError) -> StateError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::Locked { path },
        DatabaseError::Storage(redb::StorageError::Io(io)) => match io.kind() {
            ErrorKind::PermissionDenied => StateError::Denied { path },
            ErrorKind::StorageFull => StateError::DiskFull,
            _ => StateError::Corrupt {
                path,
                source: io.into(),
            },
        },
        other => StateError::Corrupt {
            path,
            source: other.into(),
        },
    }
}

fn check_format(transaction: &WriteTransaction, path: &Path) -> Result<(), StateError> {
    // A new database is empty: one with other tables is not ours, and must not pass for a member without a past.
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
        Some(found) => Err(StateError::Version {
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

fn check_identity(
    transaction: &WriteTransaction,
    path: &Path,
    identity: &Identity,
) -> Result<(), StateError> {
    let wanted = identity.to_string();
    let mut meta = transaction.open_table(META)?;
    let found = meta
        .get(IDENTITY_KEY)?
        .map(|bytes| String::from_utf8_lossy(bytes.value()).into_owned());
    match found {
        Some(found) if found != wanted => Err(StateError::Foreign {
            path: path.into(),
            found,
            wanted,
        }),
        Some(_) => Ok(()),
        None => {
            meta.insert(IDENTITY_KEY, wanted.as_bytes())?;
            Ok(())
        }
    }
}

fn create_tables(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(JOURNAL)?;
    transaction.open_table(NODES)?;
    transaction.open_table(TIPS)?;
    transaction.open_table(VOTES)?;
    transaction.open_table(DIVERGED)?;
    transaction.open_table(FORKS)?;
    transaction.open_table(GATES)?;
    transaction.open_table(DEPENDANTS)?;
    transaction.open_table(CHANGED)?;
    transaction.open_table(OPEN)?;
    transaction.open_table(REGISTERED)?;
    Ok(())
}
