//! The keys of a private ring, and which of them seals.
//!
//! A key is kept wrapped to this member's own account, so the database alone opens nothing. What members' logs say about keys
//! is written in the transaction that stores their nodes.

use super::{
    error::StateError,
    recorded::{Recorded, Recorder},
    tables::{Account, Word, KEYS, ROTATIONS},
    MemberState,
};
use redb::{ReadableTableMetadata, WriteTransaction};
use rings_protocol::{
    log::LogNode,
    private::{Rotation, MAX_KEYS},
    Address, Digest,
};

/// What is on disk of a private ring.
#[derive(Debug, Clone, Default)]
pub struct HeldKeys {
    /// Wrapped read keys.
    pub wrapped: Vec<Vec<u8>>,
    /// What members' logs say about keys, and whose.
    pub rotations: Vec<(Address, Rotation)>,
}

impl MemberState {
    /// Keeps a read key. It must be here before anything that it seals is sent.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn keep_key(&self, name: Digest, epoch: u64, wrapped: &[u8]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut keys = transaction.open_table(KEYS)?;
            if keys.len()? < MAX_KEYS as u64 {
                keys.insert(name.0, (epoch, wrapped))?;
            }
            Ok(())
        })
    }

    /// Everything that is kept of the ring's keys.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn held_keys(&self) -> Result<HeldKeys, StateError> {
        self.database.read(|transaction| {
            let mut held = HeldKeys::default();
            for entry in transaction.open_table(KEYS)?.range::<Word>(..)? {
                held.wrapped.push(entry?.1.value().1.to_vec());
            }
            let rotations = transaction.open_table(ROTATIONS)?;
            for entry in rotations.range::<(u64, Word, Account)>(..)? {
                let (key, replica) = entry?;
                let (epoch, read, author) = key.value();
                let rotation = Rotation {
                    epoch,
                    read: Digest(read),
                    replica: Digest(replica.value()),
                    wraps: Digest::ZERO,
                };
                held.rotations.push((Address(author), rotation));
            }
            Ok(held)
        })
    }
}

/// What members' logs say about keys, in one write transaction.
pub(super) struct Rotations<'a>(Recorded<'a, (u64, Word, Account), Word>);

impl<'a> Rotations<'a> {
    pub const fn new(recorded: (&'a WriteTransaction, &'a Recorder)) -> Self {
        Self(Recorded::new(recorded, ROTATIONS))
    }

    /// Takes rotations out of a node. What is malformed does not count, and of too many the oldest go.
    pub fn add(&mut self, node: &LogNode) -> Result<(), StateError> {
        for message in &node.content().body {
            let Ok(Some(rotation)) = Rotation::from_message(message) else {
                continue;
            };
            let key = (rotation.epoch, rotation.read.0, node.author().0);
            self.0.insert(key, rotation.replica.0)?;
            while self.0.len()? > MAX_KEYS as u64 {
                self.0.remove_first()?;
            }
        }
        Ok(())
    }
}
