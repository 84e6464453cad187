//! Blocks that a round wrote and that the block store may not have yet.
//!
//! A round is durable by one transaction, this database's: it holds the blocks of the round's nodes beside the indexes that
//! name them. The block store gets them after that, those of many rounds at once (`late_store.rs`), and a later round takes them
//! out of here. What a crash leaves is given to the store when the databases are opened again.

use super::{
    error::StateError,
    records::LateBlocks,
    tables::{Word, LATE},
    MemberState,
};
use bytes::Bytes;
use redb::WriteTransaction;
use rings_protocol::Digest;

/// Writes the blocks of a round, and takes out those that the store has.
pub(super) fn write(late: &LateBlocks, transaction: &WriteTransaction) -> Result<(), StateError> {
    if late.taken.is_empty() && late.stored.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(LATE)?;
    for digest in &late.stored {
        table.remove(digest.0)?;
    }
    for (digest, bytes) in &late.taken {
        table.insert(digest.0, bytes.as_ref())?;
    }
    Ok(())
}

impl MemberState {
    /// Blocks that the block store may not have, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn late_blocks(&self, limit: usize) -> Result<Vec<(Digest, Bytes)>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(LATE)?;
            let mut blocks = Vec::new();
            for entry in table.range::<Word>(..)?.take(limit) {
                let (digest, bytes) = entry?;
                let bytes = Bytes::copy_from_slice(bytes.value());
                blocks.push((Digest(digest.value()), bytes));
            }
            Ok(blocks)
        })
    }

    /// The block store has these.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn late_stored(&self, stored: Vec<Digest>) -> Result<(), StateError> {
        let late = LateBlocks {
            taken: Vec::new(),
            stored,
        };
        self.database.write(|transaction| write(&late, transaction))
    }
}
