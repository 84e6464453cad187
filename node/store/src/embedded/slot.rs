//! The database as the threads that work on it share it.
//!
//! A [`DatabaseSlot`] holds the open database, or nothing after a failure that ended it; the next use opens it again.
//! Giving space back to the disk needs the database alone, so everybody else waits then.

use super::{
    database::{from_io, DatabaseError},
    file,
};
use crate::StoreError;
use redb::Database;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// Opens the database. Called again after each failure that ended it.
pub(super) type Open = dyn Fn(&Path) -> Result<Database, StoreError> + Send + Sync;

/// Says how many bytes the database has on disk.
pub(super) type Measure = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// The open database, shared by the threads that work on it. It is empty after a failure, until the next use opens it
/// again.
pub(super) struct DatabaseSlot {
    path: PathBuf,
    open: Box<Open>,
    measure: Box<Measure>,
    database: RwLock<Option<Database>>,
}

impl DatabaseSlot {
    /// For the database at `path`, which the first use opens.
    pub(super) fn closed(path: PathBuf) -> Self {
        Self::opened_by(path, file::open, |path| {
            fs::metadata(path).map(|data| data.len())
        })
    }

    /// As `closed`, for a database that is opened and measured in another way.
    pub(super) fn opened_by(
        path: PathBuf,
        open: impl Fn(&Path) -> Result<Database, StoreError> + Send + Sync + 'static,
        measure: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            open: Box::new(open),
            measure: Box::new(measure),
            database: RwLock::new(None),
        }
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the database on disk.
    pub(super) fn length(&self) -> Result<u64, StoreError> {
        (self.measure)(&self.path).map_err(|error| from_io(error, &self.path))
    }

    /// Works on the open database, which is opened first where it has to be.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, DatabaseError>,
    ) -> Result<T, StoreError> {
        loop {
            if let Some(database) = self
                .database
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
            {
                break work(database);
            }
            self.reopen()?;
        }
        .map_err(|failure| self.failed(failure))
    }

    /// Opens the database unless it is open.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = Some((self.open)(&self.path)?);
        }
        Ok(())
    }

    /// Gives free space in the file back. Everybody else waits.
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        self.reopen()?;
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let compacted = match database.as_mut() {
            Some(open) => open.compact().map(drop).map_err(DatabaseError::from),
            None => Ok(()),
        };
        drop(database);
        compacted.map_err(|failure| self.failed(failure))
    }

    /// Closes the database after an error that ends it, and words the error for the caller.
    fn failed(&self, failure: DatabaseError) -> StoreError {
        if failure.ends_the_database() {
            tracing::warn!(path = %self.path.display(), error = %failure, "closing the block database; the next use opens it again");
            *self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
        failure.into_error(&self.path)
    }
}
