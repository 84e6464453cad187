//! What a member must remember: the signing journal, the logs' indexes, the votes, the gates and the chain cursor.
//!
//! [`MemberState`] is one redb database. Changes that belong together are written in one transaction: a page of chain
//! events with the cursor that ends it ([`MemberState::page`]), a signature's result with the log node that carries it
//! ([`MemberState::append`]). If a write fails because the disk is full, the same call succeeds once there is space
//! again: see [`StateError::is_transient`].
//!
//! Requests, the votes on them and what ring nodes list are kept beside the gates (`requests.rs`, `ring_log.rs`).
//!
//! Kept for ever are the journal, the logs' indexes, the proofs against members, and what ring nodes list. Gates that are
//! over, and the votes on them, are kept for the newest [`circuit::KEPT_GATES`]; older ones are forgotten, once they are
//! deeper in the chain than any reorganisation that is followed.

mod beginnings;
mod circuit;
mod client_changes;
mod client_forks;
mod client_keys;
mod client_tables;
mod clients;
mod copying;
mod database;
mod drafts;
mod error;
mod file;
mod gates;
mod kept;
mod kept_from;
mod keys;
mod late;
mod late_access;
mod logs;
mod open;
mod processes;
mod quota;
mod recorded;
mod records;
mod redo;
mod redo_file;
#[cfg(test)]
mod redo_tests;
mod request_work;
mod requests;
mod ring_log;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod together;
mod votes;
mod when_used;
mod work;

pub use client_changes::{Flush, Spent};
pub use client_forks::ClientFork;
pub use client_keys::Keeping;
pub use clients::{ClientState, Place};
pub use error::StateError;
pub use late::LateBlocks;
pub use open::Identity;
pub use processes::{
    Begun, Ended, Finished, Found, Heard, Installed, LogPlace, News, Opening, ProcessState, ReadTo,
    RunEnd, RunKey, RunRecord, Waiting, NEVER,
};
pub use records::{
    Cost, Duty, GateData, GateFact, ReceivedNode, RegisteredNode, RingNodeFact, Said, Usage,
};

use database::Durable;
use std::path::Path;

/// The state database of one member.
pub struct MemberState {
    database: Durable,
    identity: Identity,
}

impl MemberState {
    /// Opens or creates the database at `path` for one member of one ring on one chain.
    ///
    /// # Errors
    /// [`StateError`]: locked by another process, damaged, of another version, or another member's.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, StateError> {
        Ok(Self {
            database: open::open(path, identity)?,
            identity: *identity,
        })
    }

    /// Opens or creates the database on disks that are no files.
    #[cfg(test)]
    pub(crate) fn open_on(
        disk: impl redb::StorageBackend + Clone,
        redo: std::sync::Arc<dyn rings_store::Disk>,
        identity: &Identity,
    ) -> Result<Self, StateError> {
        let path = Path::new("state");
        let database = Durable::new(move || {
            redb::Database::builder()
                .create_with_backend(disk.clone())
                .map_err(|error| file::explain(path, error))
        })?;
        database.write(|transaction| open::initialise(transaction, path, identity))?;
        Ok(Self {
            database: database.with_redo(redo)?,
            identity: *identity,
        })
    }

    /// Gives free space in the file back to the disk.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn compact(&self) -> Result<(), StateError> {
        self.database.compact()
    }

    /// Opens the database at `path`, which must be there, for whomever it is.
    ///
    /// # Errors
    /// As [`MemberState::open`].
    pub fn open_any(path: &Path) -> Result<Self, StateError> {
        let identity = open::owner(path)?;
        Self::open(path, &identity)
    }
}
