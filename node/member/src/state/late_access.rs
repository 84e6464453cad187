//! Reading and removing blocks that the block store may not have yet (`late.rs`).

use super::{
    error::StateError,
    late::LateBlocks,
    tables::{Word, LATE},
    MemberState,
};
use bytes::Bytes;
use rings_protocol::Digest;

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
        self.database
            .write_recorded(|transaction, recorder| late.write((transaction, recorder)))
    }
}
