//! Copying a database, table by table, as it is at one moment.

use super::{database::Durable, error::StateError, file::explain};
use redb::{
    Database, Key, ReadTransaction, ReadableTable, TableDefinition, TableHandle, Value,
    WriteTransaction,
};
use std::{collections::BTreeSet, path::Path};

/// Copies tables from one database into another.
pub(super) struct Copying<'a> {
    from: &'a ReadTransaction,
    pub(super) to: &'a WriteTransaction,
    /// The tables that were not copied yet.
    left: BTreeSet<String>,
}

impl Copying<'_> {
    /// Copies a table, if there is one of this name.
    pub(super) fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), StateError> {
        if !self.left.remove(table.name()) {
            return Ok(());
        }
        let (from, mut to) = (self.from.open_table(table)?, self.to.open_table(table)?);
        for entry in from.iter()? {
            let (key, value) = entry?;
            to.insert(key.value(), value.value())?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), StateError> {
        match self.left.pop_first() {
            None => Ok(()),
            Some(table) => Err(StateError::Format(
                format!("the table {table} is not copied into backups; report this").into(),
            )),
        }
    }
}

/// Copies a database, as it is at one moment, into the file `path`, which must be empty or absent. `tables` copies each
/// table: one that it forgets is an error, so that no backup lacks what a later version adds.
pub(super) fn copy_database(
    database: &Durable,
    path: &Path,
    tables: impl FnOnce(&mut Copying<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    database.read(|from| {
        let copy = Database::builder()
            .create(path)
            .map_err(|error| explain(path, error))?;
        let to = copy.begin_write()?;
        let left = from.list_tables()?.map(|table| table.name().to_owned());
        let left = left.collect();
        let mut copying = Copying {
            from,
            to: &to,
            left,
        };
        tables(&mut copying)?;
        copying.end()?;
        to.commit()?;
        Ok(())
    })
}
