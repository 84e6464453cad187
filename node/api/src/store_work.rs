//! Work on a member's store that a person asks for: collecting, checking, repairing, archives, backups.
//!
//! All of it needs the member's token. [`StoreKeeper`] is what does the work; the other types are its answers.
//! `rings-member` implements the trait for a running member and for the files of one that is down, so the command line
//! shows the same answers in both cases. Only one piece of work is done at a time ([`StoreWorkError::Busy`]).

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::stream::BoxStream;
use rings_store::StoreError;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

/// An archive that is being read.
pub type Archive = Box<dyn AsyncRead + Send + Unpin>;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// Blocks that were removed.
    pub removed_blocks: u64,
    /// Bytes in them.
    pub removed_bytes: u64,
    /// Blocks that are left.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Gates that are over and whose inputs and outputs were kept.
    pub results: u64,
    /// The most bytes that the store is to have, if that is set and what must be kept has more.
    pub over: Option<u64>,
}

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Damage {
    /// Its bytes do not hash to its name.
    Corrupt,
    /// A log or a pin names it, and it is not there.
    Missing,
}

/// A block with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The block.
    #[serde(with = "super::json::text")]
    pub cid: Cid,
    /// What is wrong.
    pub damage: Damage,
    /// What names it: `log of 0x…, node 5`, or a pin; empty for a block of which that is not known.
    pub named_by: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Blocks that were hashed.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What is wrong; the first 1,000.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: u64,
    /// The file in which blocks are damaged; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged_file: Option<String>,
    /// Whether all blocks of the store were looked at. With Kubo only those that logs name are; `ipfs repo verify` checks
    /// the others.
    pub whole: bool,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repaired {
    /// What was wrong and is right now.
    pub healed: Vec<Fault>,
    /// What nobody needs and was removed.
    pub removed: Vec<Fault>,
    /// What nobody has who could be asked.
    pub lost: Vec<Fault>,
}

/// What was imported from an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedArchive {
    /// The roots that its header names.
    pub roots: Vec<String>,
    /// How many blocks it had.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why such work was not done.
#[derive(Debug, thiserror::Error)]
pub enum StoreWorkError {
    /// The store of this member does not do that.
    #[error("{what}")]
    NotHere {
        /// What to do in its place.
        what: &'static str,
    },
    /// Needed blocks are damaged, so that what they name is not known.
    #[error("{count} blocks that are needed are damaged, such as {first}, so nothing was collected; run `rings store repair` first")]
    Damaged {
        /// How many.
        count: usize,
        /// One of them.
        first: Cid,
    },
    /// Other work on the store is under way.
    #[error("other work on this member's store is under way; try again when it is done")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else of this member failed.
    #[error("{what}")]
    Internal {
        /// What could not be done.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreWorkError {
    /// Something of this member failed while doing `what`.
    pub fn internal(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self::Internal { what, source }
    }
}

/// Who does the work on a member's store.
#[async_trait]
pub trait StoreKeeper: Send + Sync + 'static {
    /// Removes what nobody needs.
    async fn collect(&self) -> Result<Collected, StoreWorkError>;

    /// Hashes every block, and looks for those that logs and pins name.
    async fn check(&self) -> Result<Checked, StoreWorkError>;

    /// Fetches from others what a check finds damaged or missing.
    async fn repair(&self) -> Result<Repaired, StoreWorkError>;

    /// All blocks, or all below these roots, as an archive (CAR v1). The stream ends after an error.
    async fn export(
        &self,
        roots: Vec<Cid>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreWorkError>;

    /// Puts the blocks of an archive (CAR v1 or v2) into the store, for good.
    async fn import(&self, archive: Archive) -> Result<ImportedArchive, StoreWorkError>;

    /// What a member must not lose, as a tar archive, consistent as of one moment: its state and its blocks. The stream
    /// ends after an error, and the archive's own end is left to the caller. The names of the entries begin with `members/`
    /// and the number.
    async fn backup(
        &self,
        number: u32,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreWorkError>>, StoreWorkError>;
}
