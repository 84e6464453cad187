//! The one trait of all stores, and the one of whatever a reader gets blocks from.

use crate::{embedded::Embedded, kubo::Kubo, Block, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use std::{path::PathBuf, sync::Arc};

/// Blocks by CID, durable, hashed on the way in and on the way out.
#[async_trait]
pub trait BlockStore: Send + Sync + 'static {
    /// Stores all of them; they are durable when it returns. Blocks that are there already cost nothing, and
    /// a damaged copy is replaced. The embedded store does it in one transaction, all or nothing; on an
    /// error of another store some of them may be there, which does no harm: they are what they say.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`], [`StoreError::Unreachable`], [`StoreError::Refused`].
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError>;

    /// The bytes of a block, hashed again; `None` when it is not here. Looks nowhere else.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the copy here is damaged: whoever has another source treats it as absent,
    /// and a [`put`](Self::put) heals it. Otherwise as [`put`](Self::put).
    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// Whether a block is here (its bytes are not read).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn has(&self, cid: &Cid) -> Result<bool, StoreError>;

    /// How much there is.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn size(&self) -> Result<StoreSize, StoreError>;

    /// The name of the kind of store: `embedded` or `kubo`.
    fn kind(&self) -> &'static str;

    /// [`get`](Self::get) of several, in the order asked; a store that can do so reads them in one go.
    ///
    /// # Errors
    /// As [`get`](Self::get), for the first that fails.
    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut blocks = Vec::with_capacity(cids.len());
        for cid in cids {
            let data = self.get(cid).await?;
            blocks.push(data.map(|data| Block::new(*cid, data)).transpose()?);
        }
        Ok(blocks)
    }
}

/// How much is in a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreSize {
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes in those blocks (embedded), or on disk as the endpoint counts them (Kubo).
    pub bytes: u64,
}

/// Where a reader gets blocks from: a store, a store with the network behind it, an HTTP gateway.
#[async_trait]
pub trait BlockSource: Send + Sync + 'static {
    /// The blocks, in the order asked. An implementation may fetch all of them in one round trip.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Corrupt`] for the first that is nowhere to be had whole.
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError>;
}

#[async_trait]
impl BlockSource for Arc<dyn BlockStore> {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        let found = self.get_many(cids).await?;
        let named = cids.iter().zip(found);
        named
            .map(|(cid, block)| block.ok_or(StoreError::NotFound { cid: *cid }))
            .collect()
    }
}

/// A store as a source of blocks that looks nowhere else.
pub fn source(store: &Arc<dyn BlockStore>) -> Arc<dyn BlockSource> {
    Arc::new(Arc::clone(store))
}

/// Which store to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// The database in this file, made if it is not there; its directory must be.
    Embedded {
        /// The database file.
        path: PathBuf,
    },
    /// The RPC endpoint of a Kubo node.
    Kubo {
        /// `http://[user:password@]host:port`.
        url: String,
    },
}

/// Opens the store; for Kubo, asks the endpoint whether it is there.
///
/// # Errors
/// [`StoreError::Locked`], [`StoreError::CorruptDatabase`], [`StoreError::ForeignDatabase`],
/// [`StoreError::LaterFormat`], [`StoreError::ForeignOwner`], [`StoreError::Denied`], [`StoreError::DiskFull`],
/// [`StoreError::Io`]; for Kubo [`StoreError::Url`], [`StoreError::Unreachable`], [`StoreError::Refused`].
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn BlockStore>, StoreError> {
    match config {
        StoreConfig::Embedded { path } => Ok(Arc::new(Embedded::open(path.clone()).await?)),
        StoreConfig::Kubo { url } => Ok(Arc::new(Kubo::open(url).await?)),
    }
}
