//! What a store that keeps its blocks itself can do besides: list them, pin them, and remove those that nobody needs.
//!
//! The embedded store has an [`Inventory`]. Kubo has none: which blocks it keeps is decided by its own pins and its own
//! collector.
//!
//! A collection goes through it in this order: take a lease for all that comes ([`Inventory::collecting`]), mark what
//! is needed below pins and roots ([`Needed`], `mark.rs`), go through all names, remove the rest in small transactions.
//! The store does not know what its blocks are for; that is decided by its user. [`Needed`] keeps eight bytes of each
//! key: two keys that share them only mean that one block stays that could go.

use crate::{
    block::{key_of, Key},
    Block, Lease, StoreError,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_protocol::{cids::cid_of, Digest};
use std::{collections::HashSet, path::PathBuf};

/// Most blocks that are removed in one transaction, so that puts wait for a moment only.
pub const REMOVED_AT_ONCE: usize = 256;
/// Bytes of blocks after which a page of the inventory ends.
pub const PAGE_BYTES: usize = 4 << 20;
/// Blocks after which a page of the inventory ends.
pub const PAGE_BLOCKS: usize = 4096;

/// The name under which a store keeps a block: CIDv0 and CIDv1 of one dag-pb block have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey(pub(crate) Key);

impl BlockKey {
    /// The key of a CID.
    ///
    /// # Errors
    /// [`StoreError::Cid`] for a hash or codec that Rings does not accept.
    pub fn of(cid: &Cid) -> Result<Self, StoreError> {
        key_of(cid).map(Self)
    }

    /// The usual CID of the block: version 0 for dag-pb, else version 1.
    pub fn cid(&self) -> Cid {
        let mut digest = Digest::default();
        digest.0.copy_from_slice(&self.0[1..]);
        cid_of(u64::from(self.0[0]), digest)
    }
}

/// A block as it lies on disk. Nobody has hashed it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its name.
    pub key: BlockKey,
    /// Its bytes.
    pub data: Bytes,
}

impl Stored {
    /// The block, if its bytes hash to its name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn checked(self) -> Result<Block, StoreError> {
        let cid = self.key.cid();
        Block::new(cid, self.data).map_err(|_| StoreError::Corrupt { cid })
    }
}

/// What is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin {
    /// The block.
    pub key: BlockKey,
    /// Whether all below it is pinned too.
    pub below: bool,
    /// Until when, in seconds since 1970; [`Pin::ALWAYS`] for ever.
    pub until: u64,
}

impl Pin {
    /// Until somebody takes it away.
    pub const ALWAYS: u64 = u64::MAX;
}

/// The blocks that somebody needs. Only a part of each name is kept: if two have the same part, one block may stay that
/// nobody needs, which does no harm.
#[derive(Debug, Clone, Default)]
pub struct Needed(HashSet<u64>);

impl Needed {
    /// Marks a block as needed. Returns whether it was not marked before.
    pub fn add(&mut self, key: &BlockKey) -> bool {
        self.0.insert(short(key))
    }

    /// Whether it is needed.
    pub fn contains(&self, key: &BlockKey) -> bool {
        self.0.contains(&short(key))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn short(key: &BlockKey) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&key.0[1..9]);
    // The codec is part of the name.
    u64::from_be_bytes(bytes) ^ (u64::from(key.0[0]) << 56)
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Blocks.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Listing, pinning and removing.
#[async_trait]
pub trait Inventory: Send + Sync + 'static {
    /// Blocks in the order of their keys behind `after`, at most [`PAGE_BYTES`] (unless one has more) and [`PAGE_BLOCKS`];
    /// none at the end.
    ///
    /// # Errors
    /// As [`BlockStore::get`](crate::BlockStore::get), besides damage.
    async fn page(&self, after: Option<BlockKey>) -> Result<Vec<Stored>, StoreError>;

    /// As [`page`](Self::page), without the bytes: at most [`PAGE_BLOCKS`].
    ///
    /// # Errors
    /// As [`page`](Self::page).
    async fn names(&self, after: Option<BlockKey>) -> Result<Vec<BlockKey>, StoreError>;

    /// The bytes of a block as they lie on disk.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    async fn stored(&self, key: BlockKey) -> Result<Option<Stored>, StoreError>;

    /// For a collection. From now on until the lease is dropped, [`remove`](Self::remove) leaves every block that is put,
    /// and every block that the holders of other leases rely on.
    fn collecting(&self) -> Lease;

    /// Removes these blocks, except those that a lease keeps. In one durable transaction for each [`REMOVED_AT_ONCE`].
    ///
    /// # Errors
    /// As [`BlockStore::put`](crate::BlockStore::put); some may have been removed.
    async fn remove(&self, keys: Vec<BlockKey>) -> Result<Removed, StoreError>;

    /// Adds or renews a pin. It is durable when this returns. A pin that lasts longer stays as it is.
    ///
    /// # Errors
    /// As [`BlockStore::put`](crate::BlockStore::put).
    async fn pin(&self, pins: Vec<Pin>) -> Result<(), StoreError>;

    /// Takes away the pins of these blocks. Says how many there were.
    ///
    /// # Errors
    /// As [`BlockStore::put`](crate::BlockStore::put).
    async fn unpin(&self, keys: Vec<BlockKey>) -> Result<u64, StoreError>;

    /// Takes away the pins that have ended by `now`, in seconds since 1970.
    ///
    /// # Errors
    /// As [`BlockStore::put`](crate::BlockStore::put).
    async fn expire(&self, now: u64) -> Result<(), StoreError>;

    /// All pins, also those that have ended and were not taken away yet.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    async fn pins(&self) -> Result<Vec<Pin>, StoreError>;

    /// Gives free space in the database file back to the disk. Reads and writes wait meanwhile.
    ///
    /// # Errors
    /// As [`BlockStore::put`](crate::BlockStore::put).
    async fn shrink(&self) -> Result<(), StoreError>;

    /// The database file.
    fn file(&self) -> PathBuf;

    /// Bytes of the database file.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    async fn file_bytes(&self) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::cids::{node_cid, sha256, DAG_PB, RAW};

    #[test]
    fn a_key_gives_its_cid_back() {
        for codec in [RAW, DAG_PB] {
            let cid = cid_of(codec, sha256(b"x"));
            assert_eq!(BlockKey::of(&cid).unwrap().cid(), cid);
        }
    }

    #[test]
    fn one_digest_under_two_codecs_is_needed_twice() {
        let digest = sha256(b"x");
        let (node, raw) = (node_cid(digest), cid_of(RAW, digest));
        let mut needed = Needed::default();
        assert!(needed.add(&BlockKey::of(&node).unwrap()));
        assert!(!needed.add(&BlockKey::of(&node).unwrap()));
        assert!(!needed.contains(&BlockKey::of(&raw).unwrap()));
        assert_eq!(needed.len(), 1);
    }
}
