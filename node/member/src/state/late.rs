//! Blocks that a round wrote and that the block store may not have yet.
//!
//! A round is durable by one transaction, this database's: it holds the blocks of the round's nodes beside the indexes that
//! name them. The block store gets them after that, those of many rounds at once (`late_store.rs`), and a later round takes them
//! out of here. What a crash leaves is given to the store when the databases are opened again.

use super::{
    error::StateError,
    recorded::{Recorded, Recorder},
    tables::LATE,
};
use bytes::Bytes;
use redb::WriteTransaction;
use rings_protocol::Digest;

/// Blocks of a round, and those of earlier rounds that the block store has by now.
#[derive(Debug, Default)]
pub struct LateBlocks {
    /// Digest and bytes of blocks in DAG-CBOR.
    pub taken: Vec<(Digest, Bytes)>,
    /// The store has them.
    pub stored: Vec<Digest>,
}

impl LateBlocks {
    pub(super) fn write(&self, recorded: (&WriteTransaction, &Recorder)) -> Result<(), StateError> {
        if self.taken.is_empty() && self.stored.is_empty() {
            return Ok(());
        }
        let mut table = Recorded::new(recorded, LATE);
        for digest in &self.stored {
            table.remove(digest.0)?;
        }
        for (digest, bytes) in &self.taken {
            table.insert(digest.0, bytes.as_ref())?;
        }
        Ok(())
    }
}
