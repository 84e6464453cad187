//! Tables of a write transaction that are opened when they are used first.
//!
//! redb reads a table's definition and compares the names of its types whenever the table is opened, which takes some
//! microseconds. A round may change twenty tables and changes four or five of them.

use super::error::StateError;
use redb::{
    AccessGuard, Key, ReadableTable, Table, TableDefinition, TableHandle, Value, WriteTransaction,
};
use std::{borrow::Borrow, cell::OnceCell};

/// A table that is opened by its first use.
pub(super) struct WhenUsed<'a, K: Key + 'static, V: Value + 'static> {
    transaction: &'a WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    table: OnceCell<Table<'a, K, V>>,
}

impl<'a, K: Key + 'static, V: Value + 'static> WhenUsed<'a, K, V> {
    pub const fn new(
        transaction: &'a WriteTransaction,
        definition: TableDefinition<'static, K, V>,
    ) -> Self {
        Self {
            transaction,
            definition,
            table: OnceCell::new(),
        }
    }

    pub fn name(&self) -> &str {
        self.definition.name()
    }

    pub fn readable(&self) -> Result<&Table<'a, K, V>, StateError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(self.definition)?;
        Ok(self.table.get_or_init(|| table))
    }

    pub fn writable(&mut self) -> Result<&mut Table<'a, K, V>, StateError> {
        self.readable()?;
        self.table
            .get_mut()
            .ok_or_else(|| StateError::Format("a table that is open is gone".into()))
    }

    /// As [`ReadableTable::get`].
    pub fn get<'k>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StateError> {
        Ok(self.readable()?.get(key)?)
    }
}
