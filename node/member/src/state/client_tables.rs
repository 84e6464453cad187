//! The tables of the database of client rings (`clients.redb`).

use super::{
    copying::Copying,
    error::StateError,
    tables::{Account, Word, META},
};
use redb::{TableDefinition, WriteTransaction};

/// Ring → record, JSON.
pub(super) const RINGS: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("rings");
/// (ring, author, sequence number) → digest.
pub(super) const NODES: TableDefinition<'_, (Account, Account, u64), Word> =
    TableDefinition::new("nodes");
/// (ring, author) → end of its log.
pub(super) const TIPS: TableDefinition<'_, (Account, Account), (u64, Word)> =
    TableDefinition::new("tips");
/// (ring, digest) → (author, sequence number).
pub(super) const PLACES: TableDefinition<'_, (Account, Word), (Account, u64)> =
    TableDefinition::new("places");
/// (ring, author) → when its end was taken in, in milliseconds since 1970.
pub(super) const SINCE: TableDefinition<'_, (Account, Account), u64> =
    TableDefinition::new("since");
/// Ring → bytes of its log nodes.
pub(super) const SIZES: TableDefinition<'_, Account, u64> = TableDefinition::new("sizes");
/// Name of an action → record, JSON.
pub(super) const FLUSHES: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("flushes");
/// Names of actions that have not come to their end.
pub(super) const OPEN: TableDefinition<'_, Word, ()> = TableDefinition::new("open");
/// Member → the first node of its log that was not read for messages about actions.
pub(super) const CURSORS: TableDefinition<'_, Account, u64> = TableDefinition::new("cursors");
/// (ring, avatar) → (day, gas that was paid on it).
pub(super) const SPENT: TableDefinition<'_, (Account, Account), (u64, u64)> =
    TableDefinition::new("spent");
/// (ring, avatar) → evidence that it forked its log, JSON.
pub(super) const FORKS: TableDefinition<'_, (Account, Account), &[u8]> =
    TableDefinition::new("forks");

/// Makes all of them.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(RINGS)?;
    transaction.open_table(NODES)?;
    transaction.open_table(TIPS)?;
    transaction.open_table(PLACES)?;
    transaction.open_table(SINCE)?;
    transaction.open_table(SIZES)?;
    transaction.open_table(FLUSHES)?;
    transaction.open_table(OPEN)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(SPENT)?;
    transaction.open_table(FORKS)?;
    Ok(())
}

/// Copies all of them.
pub(super) fn copy_all(copying: &mut Copying<'_>) -> Result<(), StateError> {
    copying.table(META)?;
    copying.table(RINGS)?;
    copying.table(NODES)?;
    copying.table(TIPS)?;
    copying.table(PLACES)?;
    copying.table(SINCE)?;
    copying.table(SIZES)?;
    copying.table(FLUSHES)?;
    copying.table(OPEN)?;
    copying.table(CURSORS)?;
    copying.table(SPENT)?;
    copying.table(FORKS)
}
