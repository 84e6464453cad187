//! From which position on the blocks of other members' logs are kept.

use super::{
    error::StateError,
    tables::{Account, KEPT_FROM},
    MemberState,
};
use redb::ReadableTable;
use rings_protocol::Address;
use std::collections::BTreeMap;

impl MemberState {
    /// The first position of an author's log whose block must be here. Blocks before it may have been collected.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn kept_from(&self, author: Address) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let from = transaction.open_table(KEPT_FROM)?.get(author.0)?;
            Ok(from.map_or(0, |from| from.value()))
        })
    }

    /// The same of all logs that are not kept whole.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn all_kept_from(&self) -> Result<BTreeMap<Address, u64>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(KEPT_FROM)?;
            let all = table.range::<Account>(..)?;
            all.map(|entry| {
                let (author, from) = entry?;
                Ok((Address(author.value()), from.value()))
            })
            .collect()
        })
    }

    /// Logs need not be kept before these positions any more. A position never goes back.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn keep_from(&self, positions: &[(Address, u64)]) -> Result<(), StateError> {
        if positions.is_empty() {
            return Ok(());
        }
        self.database.write(|transaction| {
            let mut table = transaction.open_table(KEPT_FROM)?;
            for (author, from) in positions {
                let before = table.get(author.0)?.map_or(0, |before| before.value());
                if *from > before {
                    table.insert(author.0, from)?;
                }
            }
            Ok(())
        })
    }
}
