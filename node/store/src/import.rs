//! Importing files as `ipfs add` does.
//!
//! The profile is `unixfs-v0-2015` of IPIP-499: chunks of 256 KiB, leaves in dag-pb, 174 links a node, balanced,
//! CIDv0. So the CID of a file is the same here, in Kubo, and on chain.

use crate::{Block, BlockStore, StoreError};
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

/// Takes a file in pieces of any length and stores its blocks. Memory stays at about [`COMMIT_BYTES`].
///
/// Nothing refers to the blocks before [`finish`](Self::finish) gives the root; an importer that is dropped
/// leaves some behind, which do no harm.
pub struct Importer {
    adder: FileAdder,
    store: Option<Arc<dyn BlockStore>>,
    pending: Vec<Block>,
    pending_bytes: usize,
    imported: Imported,
}

impl Importer {
    /// Into this store.
    pub fn new(store: Arc<dyn BlockStore>) -> Self {
        Self::with(Some(store))
    }

    /// Computes only the CID, and stores nothing.
    pub fn hasher() -> Self {
        Self::with(None)
    }

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
            store,
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

    /// The end of the file: stores what is left, and gives the root.
    ///
    /// # Errors
    /// What the store says.
    pub async fn finish(mut self) -> Result<Imported, StoreError> {
        let adder = std::mem::take(&mut self.adder);
        // The root is made last. It may be a leaf that was made before: then nothing is made here.
        self.collect(adder.finish().collect()).await?;
        self.commit().await?;
        Ok(self.imported)
    }

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

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.pending_bytes = 0;
        let blocks = std::mem::take(&mut self.pending);
        match &self.store {
            Some(store) => store.put(blocks).await,
            None => {
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
