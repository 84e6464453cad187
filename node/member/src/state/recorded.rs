//! Tables whose changes are recorded for the redo log (`redo.rs`), and how a record is carried out again.
//!
//! A record holds what was written and removed, by table and in the order of the round, so that carrying it out again
//! needs no rule and no key: the database becomes what it was.

use super::{
    error::StateError,
    tables::{
        ASKED, CHOICES, DIVERGED, DUTIES, ENDORSED, JOURNAL, LATE, NODES, OVER, PLACES, PROPOSED,
        QUESTIONS, REQUEST_JOURNAL, REQUEST_VOTES, ROTATIONS, STRAY, TIPS, UNASKED, USAGE, VOTES,
    },
    when_used::WhenUsed,
};
use redb::{
    AccessGuard, Key, Range, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle,
    Value, WriteTransaction,
};
use std::{borrow::Borrow, cell::RefCell, ops::RangeInclusive};

/// What one transaction changes.
#[derive(Debug, Default)]
pub(super) struct Recorder(RefCell<Vec<u8>>);

impl Recorder {
    /// All changes so far.
    pub fn into_changes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    fn add(&self, table: &str, key: &[u8], value: Option<&[u8]>) {
        let mut bytes = self.0.borrow_mut();
        put(&mut bytes, table.as_bytes());
        put(&mut bytes, key);
        bytes.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(&mut bytes, value);
        }
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *bytes = rest;
    Some(part)
}

/// A table in a write transaction, whose changes are recorded.
pub(super) struct Recorded<'a, K: Key + 'static, V: Value + 'static> {
    table: WhenUsed<'a, K, V>,
    recorder: &'a Recorder,
}

impl<'a, K: Key + 'static, V: Value + 'static> Recorded<'a, K, V> {
    /// It must be among those that can be carried out again ([`carry_out`]).
    pub const fn new(
        (transaction, recorder): (&'a WriteTransaction, &'a Recorder),
        table: TableDefinition<'static, K, V>,
    ) -> Self {
        let table = WhenUsed::new(transaction, table);
        Self { table, recorder }
    }

    /// As [`Table::insert`].
    pub fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<(), StateError> {
        let (bytes, content) = (K::as_bytes(key.borrow()), V::as_bytes(value.borrow()));
        self.recorder
            .add(self.table.name(), bytes.as_ref(), Some(content.as_ref()));
        self.table
            .writable()?
            .insert(key.borrow(), value.borrow())?;
        Ok(())
    }

    /// As [`Table::remove`].
    pub fn remove<'k>(&mut self, key: impl Borrow<K::SelfType<'k>>) -> Result<(), StateError> {
        let bytes = K::as_bytes(key.borrow());
        self.recorder.add(self.table.name(), bytes.as_ref(), None);
        self.table.writable()?.remove(key.borrow())?;
        Ok(())
    }

    /// As [`Table::pop_first`].
    pub fn remove_first(&mut self) -> Result<(), StateError> {
        let removed = self.table.writable()?.pop_first()?;
        let key = removed.map(|(key, _)| K::as_bytes(&key.value()).as_ref().to_vec());
        if let Some(key) = key {
            self.recorder.add(self.table.name(), &key, None);
        }
        Ok(())
    }

    /// As [`ReadableTable::get`].
    pub fn get<'k>(
        &self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StateError> {
        self.table.get(key)
    }

    /// As [`ReadableTable::range`].
    pub fn range<'k>(
        &self,
        keys: RangeInclusive<K::SelfType<'k>>,
    ) -> Result<Range<'_, K, V>, StateError> {
        Ok(self.table.readable()?.range(keys)?)
    }

    /// As [`ReadableTableMetadata::len`].
    pub fn len(&self) -> Result<u64, StateError> {
        Ok(self.table.readable()?.len()?)
    }
}

/// Carries out again what a record says.
pub(super) fn carry_out(
    transaction: &WriteTransaction,
    mut changes: &[u8],
) -> Result<(), StateError> {
    let short = || StateError::Format("a record of the redo log is too short".into());
    while !changes.is_empty() {
        let table = take(&mut changes).ok_or_else(short)?;
        let key = take(&mut changes).ok_or_else(short)?;
        let (has_value, rest) = changes.split_first().ok_or_else(short)?;
        changes = rest;
        let value = match has_value {
            0 => None,
            _ => Some(take(&mut changes).ok_or_else(short)?),
        };
        change(transaction, table, key, value)?;
    }
    Ok(())
}

/// All tables that a round changes.
macro_rules! by_name {
    ($of:expr, $($table:ident),+ $(,)?) => {{
        let (transaction, name, key, value) = $of;
        $(if name == $table.name().as_bytes() {
            return change_in(transaction, $table, key, value);
        })+
        let name = String::from_utf8_lossy(name);
        Err(StateError::Format(format!("the redo log names the table {name:?}").into()))
    }};
}

fn change(
    transaction: &WriteTransaction,
    table: &[u8],
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), StateError> {
    by_name!(
        (transaction, table, key, value),
        ASKED,
        CHOICES,
        DIVERGED,
        DUTIES,
        ENDORSED,
        JOURNAL,
        LATE,
        NODES,
        OVER,
        PLACES,
        PROPOSED,
        QUESTIONS,
        REQUEST_JOURNAL,
        REQUEST_VOTES,
        ROTATIONS,
        STRAY,
        TIPS,
        UNASKED,
        USAGE,
        VOTES,
    )
}

fn change_in<K: Key + 'static, V: Value + 'static>(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), StateError> {
    // redb panics when a value of a fixed width has another one.
    let fits = |width: Option<usize>, bytes: &[u8]| width.is_none_or(|width| width == bytes.len());
    if !fits(K::fixed_width(), key) || !value.is_none_or(|value| fits(V::fixed_width(), value)) {
        let name = table.name();
        return Err(StateError::Format(
            format!("the redo log has something else for the table {name}").into(),
        ));
    }
    let mut table = transaction.open_table(table)?;
    match value {
        Some(value) => drop(table.insert(K::from_bytes(key), V::from_bytes(value))?),
        None => drop(table.remove(K::from_bytes(key))?),
    }
    Ok(())
}
