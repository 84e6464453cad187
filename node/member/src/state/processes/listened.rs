//! Events that are messages in logs or results of other rings: taken in together with how far was read for them.

use super::{
    base::{ProcessState, MESSAGES, RESULTS},
    runs::{take_found, Found},
};
use crate::state::{error::StateError, tables::Account};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use rings_process::words::Installation;
use rings_protocol::Address;

impl ProcessState {
    /// The first node of a log that was not read for messages that are events; nothing before the first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn next_message(&self, ring: Address, author: Address) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let next = transaction.open_table(MESSAGES)?.get((ring.0, author.0))?;
            Ok(next.map(|next| next.value()))
        })
    }

    /// Takes in events that are messages of a log, and how far it was read, in one durable transaction. Before it had been read up
    /// to `before`; if an installation has put that back meanwhile, it stays there.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn heard_messages(
        &self,
        found: &[Found],
        ((ring, author), before, next): ((Address, Address), Option<u64>, u64),
        now: u64,
    ) -> Result<(), StateError> {
        let log = (ring.0, author.0);
        self.take_with_place(found, (MESSAGES, log, before, next), now)
    }

    /// The first block whose ring nodes of a ring were not read, with so many blocks on top; nothing before the first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn next_result(&self, (ring, depth): (Address, u64)) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let next = transaction.open_table(RESULTS)?.get((ring.0, depth))?;
            Ok(next.map(|next| next.value()))
        })
    }

    /// Takes in events that are results of a ring, and how far its ring nodes were read, in one durable transaction.
    /// `before` is as for messages.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn found_results(
        &self,
        found: &[Found],
        ((ring, depth), before, next): ((Address, u64), Option<u64>, u64),
        now: u64,
    ) -> Result<(), StateError> {
        let followed = (ring.0, depth);
        self.take_with_place(found, (RESULTS, followed, before, next), now)
    }

    /// Takes in events, and the place up to which was read for them, if it still is where it was before.
    fn take_with_place<K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + Copy>(
        &self,
        found: &[Found],
        (table, key, before, next): (TableDefinition<'_, K, u64>, K, Option<u64>, u64),
        now: u64,
    ) -> Result<(), StateError> {
        let has_opened = self.database.write(|transaction| {
            let has_opened = take_found(transaction, found, now)?;
            let mut places = transaction.open_table(table)?;
            let place = places.get(key)?.map(|next| next.value());
            if place == before {
                places.insert(key, next)?;
            }
            Ok(has_opened)
        })?;
        if has_opened {
            self.has_opened();
        }
        Ok(())
    }
}

/// An installation is new, or reaches further back: logs and rings are read again from where it begins. What was found before is
/// found to be known.
pub(super) fn read_again(
    transaction: &WriteTransaction,
    installation: &Installation,
) -> Result<(), StateError> {
    let mut messages = transaction.open_table(MESSAGES)?;
    for (ring, heads) in &installation.heads {
        let (first, last) = ((ring.0, [0; 20]), (ring.0, [0xff; 20]));
        let mut behind: Vec<(Account, u64)> = Vec::new();
        for entry in messages.range(first..=last)? {
            let (key, next) = entry?;
            let (_, author) = key.value();
            let begins = heads.get(&Address(author)).copied().unwrap_or(0);
            if next.value() > begins {
                behind.push((author, begins));
            }
        }
        for (author, begins) in behind {
            messages.insert((ring.0, author), begins)?;
        }
    }
    let mut results = transaction.open_table(RESULTS)?;
    let mut behind = Vec::new();
    for entry in results.range::<(Account, u64)>(..)? {
        let (key, next) = entry?;
        if next.value() > installation.since {
            behind.push(key.value());
        }
    }
    for key in behind {
        results.insert(key, installation.since)?;
    }
    Ok(())
}
