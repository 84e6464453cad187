//! Two traits: [`BlockStore`], what every store can do, and [`BlockSource`], what a reader needs.
//!
//! A store keeps blocks and never asks anybody else. A source may fetch what is missing, and gives a block or an error.
//! So everything that reads (checking, files, archives) takes a source and works with a store alone, or with a store
//! that has the network behind it. A put is durable when it returns. Every read hashes again; a damaged copy is an
//! error of its own ([`StoreError::Corrupt`]), which a reader with another source treats as absent.

use crate::{Block, Draft, Inventory, Lease, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use std::sync::Arc;

/// Blocks by CID, durable, hashed on the way in and on the way out.
#[async_trait]
pub trait BlockStore: Send + Sync + 'static {
    /// Stores all of them; they are durable when it returns. Blocks that are there already cost nothing, and
    /// a damaged copy is replaced. The embedded store does it in one transaction, all or nothing; on an
    /// error of another store some of them may be stored, which does no harm: each has the right bytes for its CID.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`], [`StoreError::Unreachable`], [`StoreError::Refused`].
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError>;

    /// An empty draft of this store, for [`put_draft`](Self::put_draft).
    fn draft(&self) -> Draft {
        Draft::default()
    }

    /// As [`put`](Self::put), of blocks that may turn out not to be needed. The draft remembers those that were not here
    /// before; it must be one of [`draft`](Self::draft) of this store. With Kubo they may be collected until the draft is
    /// kept. A store that removes nothing puts them as all others.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn put_draft(&self, _: &mut Draft, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.put(blocks).await
    }

    /// The blocks of the draft stay, and are durable when it returns.
    ///
    /// # Errors
    /// As [`put`](Self::put); with Kubo, [`StoreError::Refused`] if a block was collected.
    async fn keep(&self, draft: Draft) -> Result<(), StoreError> {
        draft.kept();
        Ok(())
    }

    /// Removes the blocks of the draft that nobody else has put or read meanwhile, and those of drafts that were dropped.
    ///
    /// # Errors
    /// As [`put`](Self::put). The blocks may then stay, which does no harm.
    async fn discard(&self, draft: Draft) -> Result<(), StoreError> {
        drop(draft);
        Ok(())
    }

    /// The bytes of a block, hashed again; `None` when it is not in this store. Asks nobody else.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the stored copy is damaged. A caller with another source treats it as absent,
    /// and a [`put`](Self::put) replaces it. Otherwise as [`put`](Self::put).
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

    /// Keeps blocks that are put from now on from being collected, until it is dropped. Whoever puts blocks holds one until
    /// something that is on disk names them.
    fn lease(&self) -> Lease {
        Lease::default()
    }

    /// Listing, pinning and removing, if this store keeps its blocks itself.
    fn inventory(&self) -> Option<Arc<dyn Inventory>> {
        None
    }

    /// Pins a file of which all blocks are here, where the store has pins that people look at: Kubo, so that `ipfs pin ls`
    /// names it. Elsewhere it does nothing.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn name_file(&self, _: &Cid) -> Result<(), StoreError> {
        Ok(())
    }

    /// A block from the network that this store is a part of by itself, beside the members of the ring: with Kubo, from the
    /// peers that it is connected with. It is not kept: a [`put`](Self::put) does that. The embedded store is a part of none. Takes
    /// [`KUBO_SEEK_TIMEOUT`](crate::KUBO_SEEK_TIMEOUT) at most, when the store answers at all.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn seek(&self, _: &Cid) -> Result<Option<Block>, StoreError> {
        Ok(None)
    }

    /// Waits until blocks that this store takes later are in it, for whoever lists them. Most stores take all at once.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

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
    /// [`StoreError::NotFound`] or [`StoreError::Corrupt`] for the first block that cannot be had undamaged.
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError>;

    /// Says that these blocks will be asked for soon, in this order. A source that gets them from afar may get many at once. It
    /// promises nothing: whoever needs a block asks for it, and learns then whether it is there.
    async fn expect(&self, _cids: &[Cid]) {}
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

/// A store as a source of blocks. It asks nobody else.
pub fn source(store: &Arc<dyn BlockStore>) -> Arc<dyn BlockSource> {
    Arc::new(Arc::clone(store))
}
