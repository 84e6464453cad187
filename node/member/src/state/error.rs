//! Why the state database cannot be used, and whether waiting may help ([`StateError::is_transient`]): a full disk may
//! get space again; a damaged file, or one of another member, does not mend itself.

use std::{io::ErrorKind, path::PathBuf};

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
    #[error("{path} belongs to another user; run as its owner, or give it to this user")]
    Denied {
        /// The database file.
        path: PathBuf,
    },
    /// It is not a database of this kind, or it is damaged.
    #[error("{path} is damaged or not a database of Rings; restore the data directory, and never use this key without its signing journal")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was written by a later version.
    #[error("{path} has format {found}; this program knows {known}: use a later version")]
    Later {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this program writes.
        known: u32,
    },
    /// It was written by an earlier version, whose votes are for other contracts.
    #[error("{path} has the old format {found}, and what it remembers was signed for contracts of an earlier version; this program writes {known}: enter the ring with a new data directory and a new key")]
    Earlier {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this program writes.
        known: u32,
    },
    /// It belongs to another member, ring or chain.
    #[error("{path} belongs to {found}, not to {wanted}; check the configuration")]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The disk is full.
    #[error("the disk is full; free some space, and the member goes on; nothing that was acknowledged is lost")]
    DiskFull,
    /// A write was asked of a reader.
    #[error("a reader of the state database was asked to write; report this")]
    ReadOnly,
    /// A record cannot be read.
    #[error("a record of the state database cannot be read; restore a copy of the data directory")]
    Format(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the state database failed; check its disk")]
    Database(#[source] Box<redb::Error>),
}

impl StateError {
    fn database(error: redb::Error) -> Self {
        match &error {
            redb::Error::Io(io) if is_full(io.kind()) => Self::DiskFull,
            _ => Self::Database(Box::new(error)),
        }
    }

    /// Whether the same may succeed when it is tried again later, without a person doing anything to this member.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::DiskFull => true,
            // The failure before this one closed the database; the next use opens it again.
            Self::Database(error) => matches!(
                **error,
                redb::Error::PreviousIo | redb::Error::DatabaseClosed
            ),
            _ => false,
        }
    }

    /// Whether redb refuses all further work after this error.
    pub(super) fn ends_the_database(&self) -> bool {
        use redb::Error::{DatabaseClosed, Io, LockPoisoned, PreviousIo};
        match self {
            Self::DiskFull => true,
            Self::Database(error) => matches!(
                **error,
                Io(_) | PreviousIo | LockPoisoned(_) | DatabaseClosed
            ),
            _ => false,
        }
    }
}

/// No room on the disk, for this user, or for a file of this size.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

/// All errors of redb become one kind of [`StateError`].
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
    redb::CommitError,
    redb::CompactionError
);
