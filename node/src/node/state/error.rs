//! What can be wrong with a member's memory.

use std::path::PathBuf;

/// Why the state database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it open.
    #[error("{path} is used by another process; a member runs once: stop the other one")]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file may not be read or written by this user.
    #[error("{path} belongs to somebody else; run as its owner, or give it to this user")]
    Denied {
        /// The database file.
        path: PathBuf,
    },
    /// It is not a database of this kind, or it is damaged.
    #[error("{path} is damaged or no database of Rings; restore a copy, never start this key without its journal elsewhere")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a later version.
    #[error("{path} has format {found}; this program knows {known}: use a later version")]
    Version {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this program writes.
        known: u32,
    },
    /// It is the memory of another member, ring or chain.
    #[error("{path} is the memory of {found}, not of {wanted}; check the configuration")]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// No room.
    #[error("the disk is full; free some room: nothing that was acknowledged is lost")]
    DiskFull,
    /// A record cannot be read.
    #[error("a record of the state database cannot be read; restore a copy of the data directory")]
    Format(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the state database failed; see whether its disk is healthy")]
    Database(#[source] Box<redb::Error>),
}

impl StateError {
    fn database(error: redb::Error) -> Self {
        match &error {
            redb::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::DiskFull,
            _ => Self::Database(Box::new(error)),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StateError {
            fn from(error: $error) -> Self {
                Self::database(error.into())
            }
        }
    )*};
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);
