//! From which position on another member's log is held, where the copy began at a head on chain.
//!
//! Before that position only a few digests are known: those to which later nodes may link, and those of nodes that somebody
//! asked for since. They have a table of their own, so that the index of the nodes that are held has no gap in any log.

use super::{
    error::StateError,
    tables::{nodes_behind, Account, EARLIER, HELD_FROM, TIPS},
    MemberState,
};
use redb::ReadableTable;
use rings_protocol::{log::Beginning, Address, Digest};
use std::collections::BTreeMap;

impl MemberState {
    /// Begins the copy of a log at a head. Nothing is written if some of that log is held; returns whether it was begun.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn begin_log(&self, beginning: &Beginning) -> Result<bool, StateError> {
        let author = beginning.author().0;
        self.database.write(|transaction| {
            if transaction.open_table(TIPS)?.get(author)?.is_some() {
                return Ok(false);
            }
            // A beginning whose head was never written is replaced.
            let mut earlier = transaction.open_table(EARLIER)?;
            earlier.retain_in((author, 0)..=(author, u64::MAX), |_, _| false)?;
            for (seq, digest) in beginning.earlier() {
                earlier.insert((author, *seq), digest.0)?;
            }
            let mut from = transaction.open_table(HELD_FROM)?;
            from.insert(author, beginning.head().seq())?;
            Ok(true)
        })
    }

    /// The first position of an author's log that is held; 0 for a log that is held whole.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn held_from(&self, author: Address) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let from = transaction.open_table(HELD_FROM)?.get(author.0)?;
            Ok(from.map_or(0, |from| from.value()))
        })
    }

    /// The same of all logs that are not held whole.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn all_held_from(&self) -> Result<BTreeMap<Address, u64>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(HELD_FROM)?;
            let all = table.range::<Account>(..)?;
            all.map(|entry| {
                let (author, from) = entry?;
                Ok((Address(author.value()), from.value()))
            })
            .collect()
        })
    }

    /// The first node from a position on whose digest is known, before the first that is held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn earlier_from(
        &self,
        author: Address,
        seq: u64,
    ) -> Result<Option<(u64, Digest)>, StateError> {
        self.database.read(|transaction| {
            let earlier = transaction.open_table(EARLIER)?;
            let first = earlier
                .range((author.0, seq)..=(author.0, u64::MAX))?
                .next();
            first
                .map(|entry| {
                    let (place, digest) = entry?;
                    Ok((place.value().1, Digest(digest.value())))
                })
                .transpose()
        })
    }

    /// Remembers nodes before the first that is held: their blocks were fetched because somebody asked.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn learn_earlier(
        &self,
        author: Address,
        nodes: &[(u64, Digest)],
    ) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let held = transaction.open_table(HELD_FROM)?;
            let from = held.get(author.0)?.map_or(0, |from| from.value());
            let mut earlier = transaction.open_table(EARLIER)?;
            for (seq, digest) in nodes.iter().filter(|(seq, _)| *seq < from) {
                earlier.insert((author.0, *seq), digest.0)?;
            }
            Ok(())
        })
    }

    /// Nodes before the first that are held, of all logs, behind this author and position, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn earlier_after(
        &self,
        after: Option<(Address, u64)>,
        limit: usize,
    ) -> Result<Vec<(Address, u64, Digest)>, StateError> {
        self.database
            .read(|transaction| nodes_behind(&transaction.open_table(EARLIER)?, after, limit))
    }
}
