//! The database file. After a failed write redb refuses all further work. So the database is closed, and the next call
//! opens it again: what was committed is on disk, and a disk that was full may have space again. So a full disk is
//! something to wait for, and not the end of the member.

use super::{
    error::StateError,
    recorded::{carry_out, Recorder},
    redo::{IsWritten, Record, RedoLog, RedoName},
    tables::{META, REDO_NAME_KEY, REDO_NUMBER_KEY},
};
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableError,
    WriteTransaction,
};
use rings_store::Disk;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// Opens the file. Called again after each failure that ended the database.
type Open = dyn Fn() -> Result<Database, StateError> + Send + Sync;

/// A database that is opened again after failures of its disk.
pub(super) struct Durable {
    open: Box<Open>,
    current: RwLock<Option<Database>>,
    /// Where rounds are written first, if there is such a file.
    redo: Option<Mutex<RedoLog>>,
}

impl Durable {
    /// Opens it for the first time.
    pub(super) fn new(
        open: impl Fn() -> Result<Database, StateError> + Send + Sync + 'static,
    ) -> Result<Self, StateError> {
        let database = Self {
            open: Box::new(open),
            current: RwLock::new(None),
            redo: None,
        };
        database.reopen()?;
        Ok(database)
    }

    /// Writes rounds to a redo log first ([`Self::write_recorded`]), and carries out what it holds after a crash. To be called
    /// before anything is read, and once the database is known to be this member's.
    pub(super) fn with_redo(mut self, disk: Arc<dyn Disk>) -> Result<Self, StateError> {
        let redo = RedoLog::new(disk).map_err(failed)?;
        self.redo = Some(Mutex::new(redo));
        self.with(|database| self.recover(database))?;
        Ok(self)
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

    /// As [`Self::write`], with a record of what is changed: the record is durable when this returns, and the database with the
    /// next durable transaction. Without a redo log, or where it has no room or fails, the transaction is durable itself.
    pub(super) fn write_recorded<T>(
        &self,
        work: impl FnOnce(&WriteTransaction, &Recorder) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut is_logged = false;
        let outcome = self.with(|database| {
            let (mut transaction, recorder) = (database.begin_write()?, Recorder::default());
            let done = work(&transaction, &recorder)?;
            is_logged = self.log(&transaction, recorder.into_changes())?;
            if is_logged {
                transaction
                    .set_durability(Durability::None)
                    .map_err(|error| StateError::Format(error.into()))?;
            }
            transaction.commit()?;
            Ok(done)
        });
        if outcome.is_err() && is_logged {
            // The round is on disk, and not in this database: the next use carries it out from the record.
            self.close();
        }
        outcome
    }

    /// Writes the record of a round. Says whether it is durable by it.
    fn log(&self, transaction: &WriteTransaction, changes: Vec<u8>) -> Result<bool, StateError> {
        let Some(redo) = &self.redo else {
            return Ok(false);
        };
        let mut meta = transaction.open_table(META)?;
        let Some((name, before)) = named(&meta)? else {
            return Ok(false);
        };
        let number = before + 1;
        meta.insert(REDO_NUMBER_KEY, number.to_be_bytes().as_slice())?;
        match locked(redo).write(&name, before, &Record { number, changes }) {
            Ok(written) => Ok(written == IsWritten::Durable),
            Err(error) => {
                tracing::warn!(%error, "the redo log cannot be written; the state database is written without it");
                Ok(false)
            }
        }
    }

    /// Carries out the rounds that were written to the redo log and are not in the database. They are in it durably, and the log
    /// begins anew, when this returns.
    fn recover(&self, database: &Database) -> Result<(), StateError> {
        let Some(redo) = &self.redo else {
            return Ok(());
        };
        let meta = match database.begin_read()?.open_table(META) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            opened => opened?,
        };
        let Some((name, held)) = named(&meta)? else {
            return Ok(());
        };
        drop(meta);
        let mut redo = locked(redo);
        let records = redo.records(&name).map_err(failed)?;
        let later = records.into_iter().filter(|record| record.number > held);
        let later: Vec<_> = later.collect();
        if later.first().is_some_and(|first| first.number != held + 1) {
            return Err(StateError::Format(
                "rounds are missing between the database and its redo log: the database is an older copy".into(),
            ));
        }
        if !later.is_empty() {
            let transaction = database.begin_write()?;
            for Record { number, changes } in &later {
                carry_out(&transaction, changes)?;
                let mut meta = transaction.open_table(META)?;
                meta.insert(REDO_NUMBER_KEY, number.to_be_bytes().as_slice())?;
            }
            transaction.commit()?;
            tracing::info!(
                rounds = later.len(),
                "rounds of before the stop were carried out from the redo log"
            );
        }
        redo.restart();
        Ok(())
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
            let database = (self.open)()?;
            self.recover(&database)?;
            *current = Some(database);
        }
        Ok(())
    }

    fn close_after(&self, error: &StateError) {
        if error.ends_the_database() {
            tracing::warn!(%error, "closing the state database; the next use opens it again");
            self.close();
        }
    }

    fn close(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The name of the database in the redo log, and the number of the last round that it holds.
fn named(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Option<(RedoName, u64)>, StateError> {
    let name = meta.get(REDO_NAME_KEY)?;
    let name = name.and_then(|name| RedoName::try_from(name.value()).ok());
    let number = meta.get(REDO_NUMBER_KEY)?;
    let number = number.and_then(|number| number.value().try_into().ok());
    let number = number.map_or(0, u64::from_be_bytes);
    Ok(name.map(|name| (name, number)))
}

fn failed(error: io::Error) -> StateError {
    StateError::from(redb::StorageError::Io(error))
}

fn locked(redo: &Mutex<RedoLog>) -> MutexGuard<'_, RedoLog> {
    redo.lock().unwrap_or_else(PoisonError::into_inner)
}
