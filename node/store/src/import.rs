//! Importing files as `ipfs add` does.
//!
//! The profile is `unixfs-v0-2015` of IPIP-499: chunks of 256 KiB, leaves in dag-pb, 174 links a node, balanced, CIDv0.
//! So the CID of a file is the same here, in Kubo, and on chain.
//!
//! An [`Importer`] takes a file in pieces of any length and puts its blocks into the store in groups of
//! [`COMMIT_BYTES`], so memory does not grow with the file. It holds a lease, since nothing names the blocks before the
//! root is known; the caller has to hold one of its own until it has recorded the root. [`Importer::draft`] is for the
//! output of a program that may still fail: what it has stored is removed again unless the draft is kept. [`hash`]
//! computes the CID alone.

use crate::{Block, BlockStore, Draft, FileShape, Lease, StoreError};
use cid::{Cid, Version};
use rust_unixfs::file::adder::{BalancedCollector, Chunker, FileAdder};
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task,
};

/// Bytes of the file in one leaf.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Links in one node above the leaves.
pub const LINKS_PER_NODE: usize = 174;

/// Bytes of blocks that are collected before they go to the store in one commit.
pub const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// The root of the file (`Qm…`).
    pub cid: Cid,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Blocks it was cut into, equal ones counted each time.
    pub blocks: u64,
}

impl Imported {
    /// What the file is made of, as [`check_file`](crate::check_file) would find it.
    pub fn shape(&self) -> FileShape {
        FileShape {
            bytes: self.bytes,
            blocks: self.blocks,
        }
    }
}

/// Takes a file in pieces of any length and stores its blocks. Memory stays at about [`COMMIT_BYTES`].
///
/// Nothing refers to the blocks before [`finish`](Self::finish) gives the root. An importer that is dropped leaves some
/// blocks behind, which do no harm. One of [`draft`](Self::draft) does not: what it has stored is removed, at the latest
/// with the store's next write.
pub struct Importer {
    /// Cuts the file into blocks, as `ipfs add` does.
    adder: FileAdder,
    store: Option<Arc<dyn BlockStore>>,
    /// What was stored so far, if it is removed unless the file is finished.
    draft: Option<Draft>,
    /// Blocks that are not stored yet.
    pending: Vec<Block>,
    pending_bytes: usize,
    /// What is known of the file so far.
    imported: Imported,
    /// Nothing names the blocks before the file is finished.
    _lease: Option<Lease>,
}

impl Importer {
    /// Into this store.
    pub fn new(store: Arc<dyn BlockStore>) -> Self {
        Self::with(Some(store))
    }

    /// Into this store, and what is not finished is removed again.
    pub fn draft(store: Arc<dyn BlockStore>) -> Self {
        let draft = Some(store.draft());
        Self {
            draft,
            ..Self::with(Some(store))
        }
    }

    /// Computes only the CID, and stores nothing.
    pub fn hasher() -> Self {
        Self::with(None)
    }

    /// An importer with the settings of `ipfs add` (version 0, 256 KiB, balanced), so that a file has the CID here that
    /// it has there. Without a store it only hashes.
    fn with(store: Option<Arc<dyn BlockStore>>) -> Self {
        let adder = FileAdder::builder()
            .with_chunker(Chunker::Size(CHUNK_BYTES))
            .with_collector(BalancedCollector::with_branching_factor(LINKS_PER_NODE))
            .with_cid_version(Version::V0)
            .with_raw_leaves(false)
            .build();
        let imported = Imported {
            cid: Cid::default(),
            bytes: 0,
            blocks: 0,
        };
        Self {
            adder,
            _lease: store.as_ref().map(|store| store.lease()),
            store,
            draft: None,
            pending: Vec::new(),
            pending_bytes: 0,
            imported,
        }
    }

    /// The next bytes of the file.
    ///
    /// # Errors
    /// What the store says; the importer is of no use afterwards.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), StoreError> {
        self.imported.bytes += data.len() as u64;
        while !data.is_empty() {
            let (blocks, taken) = self.adder.push(data);
            let blocks: Vec<_> = blocks.collect();
            data = &data[taken..];
            self.collect(blocks).await?;
        }
        Ok(())
    }

    /// The end of the file: stores what is left, and gives the root. Until the caller has recorded it, a [`Lease`] of the
    /// caller's own keeps the blocks from being collected.
    ///
    /// # Errors
    /// What the store says.
    pub async fn finish(mut self) -> Result<Imported, StoreError> {
        let store = self.store.clone();
        // Small files share their transactions with others.
        self.draft = self.draft.take().filter(|draft| !draft.is_empty());
        let (imported, draft) = self.finish_draft().await?;
        if let (Some(store), Some(draft)) = (&store, draft) {
            store.keep(draft).await?;
        }
        if let Some(store) = store {
            store.name_file(&imported.cid).await?;
        }
        Ok(imported)
    }

    /// As [`finish`](Self::finish), but what was stored stays only if the draft is kept. No draft is returned unless the
    /// importer was made by [`draft`](Self::draft).
    ///
    /// # Errors
    /// What the store says.
    pub async fn finish_draft(mut self) -> Result<(Imported, Option<Draft>), StoreError> {
        let adder = std::mem::take(&mut self.adder);
        // The root is made last. If it is a leaf, it exists already, and nothing is made here.
        self.collect(adder.finish().collect()).await?;
        self.commit().await?;
        Ok((self.imported, self.draft))
    }

    /// The file is not wanted: removes what a draft has stored. The importer is of no use afterwards.
    ///
    /// # Errors
    /// What the store says.
    pub async fn discard(&mut self) -> Result<(), StoreError> {
        self.pending = Vec::new();
        match (&self.store, self.draft.take()) {
            (Some(store), Some(draft)) => store.discard(draft).await,
            _ => Ok(()),
        }
    }

    /// Takes blocks that the adder has finished. The last one of all is the root.
    async fn collect(&mut self, blocks: Vec<(Cid, Vec<u8>)>) -> Result<(), StoreError> {
        for (cid, data) in blocks {
            self.imported.cid = cid;
            self.imported.blocks += 1;
            self.pending_bytes += data.len();
            if self.store.is_some() {
                self.pending.push(Block::new(cid, data.into())?);
            }
        }
        match self.pending_bytes >= COMMIT_BYTES {
            true => self.commit().await,
            false => Ok(()),
        }
    }

    /// Stores what has been collected.
    async fn commit(&mut self) -> Result<(), StoreError> {
        self.pending_bytes = 0;
        let blocks = std::mem::take(&mut self.pending);
        match (&self.store, &mut self.draft) {
            (Some(store), Some(draft)) => store.put_draft(draft, blocks).await,
            (Some(store), None) => store.put(blocks).await,
            (None, _) => {
                task::yield_now().await;
                Ok(())
            }
        }
    }
}

/// Imports all that `input` gives.
///
/// # Errors
/// [`StoreError::Input`] when it cannot be read, and what the store says.
pub async fn import(
    store: Arc<dyn BlockStore>,
    input: impl AsyncRead + Unpin,
) -> Result<Imported, StoreError> {
    copy(Importer::new(store), input).await
}

/// The CID that [`import`] would give, without storing anything.
///
/// # Errors
/// [`StoreError::Input`].
pub async fn hash(input: impl AsyncRead + Unpin) -> Result<Imported, StoreError> {
    copy(Importer::hasher(), input).await
}

async fn copy(
    mut importer: Importer,
    mut input: impl AsyncRead + Unpin,
) -> Result<Imported, StoreError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match input.read(&mut buffer).await.map_err(StoreError::Input)? {
            0 => return importer.finish().await,
            length => importer.write(&buffer[..length]).await?,
        }
    }
}
