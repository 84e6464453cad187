//! Events that are messages in logs or results of other rings: taken in together with how far was read for them.

use super::{
    base::{ProcessState, CHAIN, MESSAGES, PENDING, RESULTS},
    runs::{take_found, Found},
};
use crate::state::{error::StateError, tables::Account};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use rings_process::words::Installation;
use rings_protocol::{Address, Digest};
use std::sync::atomic::Ordering;

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
    /// to `before`; if an installation has put that back meanwhile, it stays there. Nothing is written, and it is `false`, if it
    /// is not [`ProcessState::put_back`] any more how often this was done: then it was read without somebody for whom events are.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn heard_messages(
        &self,
        found: &[Found],
        ((ring, author), before, next): ((Address, Address), Option<u64>, u64),
        (put_back, now): (u64, u64),
    ) -> Result<bool, StateError> {
        let log = (ring.0, author.0);
        self.take_with_place(found, (MESSAGES, log, before, next), (put_back, now))
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
    /// `before` and `put_back` are as for messages.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn found_results(
        &self,
        found: &[Found],
        ((ring, depth), before, next): ((Address, u64), Option<u64>, u64),
        (put_back, now): (u64, u64),
    ) -> Result<bool, StateError> {
        let followed = (ring.0, depth);
        self.take_with_place(found, (RESULTS, followed, before, next), (put_back, now))
    }

    /// How often it was put back how far was read for events.
    pub fn put_back(&self) -> u64 {
        self.put_back.load(Ordering::Acquire)
    }

    /// From now on the events of these installations are looked for. Where that is new, all is read again from where they begin:
    /// others may have been looked for meanwhile.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn look_for(&self, installations: &[(Digest, Installation)]) -> Result<(), StateError> {
        let pending = self.database.read(|transaction| {
            let table = transaction.open_table(PENDING)?;
            let mut pending = Vec::new();
            for (id, installation) in installations {
                if table.get(id.0)?.is_some() {
                    pending.push((id, installation));
                }
            }
            Ok(pending)
        })?;
        if pending.is_empty() {
            return Ok(());
        }
        self.database.write(|transaction| {
            for (id, installation) in pending {
                transaction.open_table(PENDING)?.remove(id.0)?;
                read_again(transaction, installation)?;
            }
            self.put_back.fetch_add(1, Ordering::Release);
            Ok(())
        })
    }

    fn is_pending(&self, id: Digest) -> Result<bool, StateError> {
        self.database
            .read(|transaction| Ok(transaction.open_table(PENDING)?.get(id.0)?.is_some()))
    }

    /// The events of an installation are not looked for until somebody says so again.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn look_later(&self, id: Digest) -> Result<(), StateError> {
        if self.is_pending(id)? {
            return Ok(());
        }
        let insert = |transaction: &WriteTransaction| {
            transaction.open_table(PENDING)?.insert(id.0, ())?;
            Ok(())
        };
        self.database.write(insert)
    }

    /// Takes in events, and the place up to which was read for them, if it still is where it was before.
    fn take_with_place<K: redb::Key + for<'a> redb::Value<SelfType<'a> = K> + Copy>(
        &self,
        found: &[Found],
        (table, key, before, next): (TableDefinition<'_, K, u64>, K, Option<u64>, u64),
        (put_back, now): (u64, u64),
    ) -> Result<bool, StateError> {
        let written = self.database.write(|transaction| {
            if self.put_back() != put_back {
                return Ok(None);
            }
            let has_opened = take_found(transaction, found, now)?;
            let mut places = transaction.open_table(table)?;
            let place = places.get(key)?.map(|next| next.value());
            if place == before {
                places.insert(key, next)?;
            }
            Ok(Some(has_opened))
        })?;
        if written == Some(true) {
            self.has_opened();
        }
        Ok(written.is_some())
    }
}

/// An installation is new, or reaches further back: contracts' logs, logs and rings are read again from where it begins. What was
/// found before is found to be known.
pub(super) fn read_again(
    transaction: &WriteTransaction,
    installation: &Installation,
) -> Result<(), StateError> {
    let mut chain = transaction.open_table(CHAIN)?;
    let mut behind = Vec::new();
    for entry in chain.range::<u64>(..)? {
        let (confirmations, next) = entry?;
        if next.value() > installation.since {
            behind.push(confirmations.value());
        }
    }
    for confirmations in behind {
        chain.insert(confirmations, installation.since)?;
    }
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
