//! A copy of the state database as of one moment, for backups, and what is remembered of a copy that was put back.
//!
//! A copy is marked: whoever puts it back does not know what was signed since. Before the member signs anything with it,
//! the others have to say where its log ends ([`MemberState::is_restored`]).

use super::{
    error::StateError,
    file::explain,
    open::{Identity, RESTORED_KEY},
    tables::{
        ASKED, CHANGED, CHOICES, DEPENDANTS, DIVERGED, DUTIES, FORKS, GATES, GATES_ASKED, JOURNAL,
        LISTED, LISTED_BY, META, NODES, OPEN, OVER, PAST, POSITIONS, QUESTIONS, REQUEST_JOURNAL,
        REQUEST_VOTES, RING_NODES, STRAY, TIPS, TRAIL, TRANSACTIONS, UNASKED, UNLISTED, USAGE,
        VOTES, WAITING,
    },
    MemberState,
};
use redb::{
    Database, Key, ReadTransaction, ReadableTable, TableDefinition, TableHandle, Value,
    WriteTransaction,
};
use std::{collections::BTreeSet, path::Path};

impl MemberState {
    /// Copies the database into the file `path`, which must be empty or absent, as it is at one moment.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn snapshot(&self, path: &Path) -> Result<(), StateError> {
        self.database.read(|from| {
            let copy = Database::builder()
                .create(path)
                .map_err(|error| explain(path, error))?;
            let to = copy.begin_write()?;
            copy_all(from, &to)?;
            to.open_table(META)?.insert(RESTORED_KEY, &[1][..])?;
            to.commit()?;
            Ok(())
        })
    }

    /// Whether this is a copy that was put back, and the others have not said yet where the own log ends.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn is_restored(&self) -> Result<bool, StateError> {
        self.database
            .read(|transaction| Ok(transaction.open_table(META)?.get(RESTORED_KEY)?.is_some()))
    }

    /// The others have said it, and all up to there is here.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn caught_up(&self) -> Result<(), StateError> {
        self.database.write(|transaction| {
            transaction.open_table(META)?.remove(RESTORED_KEY)?;
            Ok(())
        })
    }

    /// Whose it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// Copies all tables. A table that is not named here is an error: a backup without part of the signing journal would let
/// this member sign a second result.
fn copy_all(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StateError> {
    let mut left: BTreeSet<String> = from
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    macro_rules! copy {
        ($($table:ident),* $(,)?) => {$(
            if left.remove($table.name()) {
                copy(from, to, $table)?;
            }
        )*};
    }
    copy!(
        ASKED,
        CHANGED,
        CHOICES,
        DEPENDANTS,
        DIVERGED,
        DUTIES,
        FORKS,
        GATES,
        GATES_ASKED,
        JOURNAL,
        LISTED,
        LISTED_BY,
        META,
        NODES,
        OPEN,
        OVER,
        PAST,
        POSITIONS,
        QUESTIONS,
        REQUEST_JOURNAL,
        REQUEST_VOTES,
        RING_NODES,
        STRAY,
        TIPS,
        TRAIL,
        TRANSACTIONS,
        UNASKED,
        UNLISTED,
        USAGE,
        VOTES,
        WAITING,
    );
    match left.pop_first() {
        None => Ok(()),
        Some(table) => Err(StateError::Format(
            format!("the table {table} is not copied into backups; report this").into(),
        )),
    }
}

/// Copies a table row by row: a copy of the file could hold half of a transaction.
fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), StateError> {
    let (from, mut to) = (from.open_table(table)?, to.open_table(table)?);
    for entry in from.iter()? {
        let (key, value) = entry?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
