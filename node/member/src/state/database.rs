//! The database file. After a failed write redb refuses all further work. So the database is closed, and the next call
//! opens it again: what was committed is on disk, and a disk that was full may have space again. So a full disk is
//! something to wait for, and not the end of the member.

use super::error::StateError;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use std::sync::{PoisonError, RwLock};

/// Opens the file. Called again after each failure that ended the database.
type Open = dyn Fn() -> Result<Database, StateError> + Send + Sync;

/// A database that is opened again after failures of its disk.
pub(super) struct Durable {
    open: Box<Open>,
    current: RwLock<Option<Database>>,
}

impl Durable {
    /// Opens it for the first time.
    pub(super) fn new(
        open: impl Fn() -> Result<Database, StateError> + Send + Sync + 'static,
    ) -> Result<Self, StateError> {
        let database = Self {
            open: Box::new(open),
            current: RwLock::new(None),
        };
        database.reopen()?;
        Ok(database)
    }

    /// Does `work` in one read transaction.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.with(|database| work(&database.begin_read()?))
    }

    /// Does `work` in one durable write transaction: all of it, or, on an error, nothing.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Gives free space in the file back. Everybody else waits.
    pub(super) fn compact(&self) -> Result<(), StateError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let compacted = match current.as_mut() {
            Some(database) => database.compact().map(drop).map_err(StateError::from),
            None => Ok(()),
        };
        drop(current);
        compacted.inspect_err(|error| self.close_after(error))
    }

    /// Works on the open database. After an error that ends it, it is closed here and opened by the next call.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let outcome = loop {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = current.as_ref() {
                break work(database);
            }
            drop(current);
            self.reopen()?;
        };
        outcome.inspect_err(|error| self.close_after(error))
    }

    fn reopen(&self) -> Result<(), StateError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            *current = Some((self.open)()?);
        }
        Ok(())
    }

    fn close_after(&self, error: &StateError) {
        if error.ends_the_database() {
            tracing::warn!(%error, "closing the state database; the next use opens it again");
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}
