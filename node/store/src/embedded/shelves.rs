//! The inventory of the embedded store: it reads and writes under the same permits as the store, so a removal and a put
//! never overlap.

use super::{
    database, listing, pins, repack,
    slot::DatabaseSlot,
    work::{permit, run},
};
use crate::{
    inventory::{BlockKey, Inventory, Pin, Removed, Stored, REMOVED_AT_ONCE},
    lease::{Lease, Young},
    StoreError,
};
use async_trait::async_trait;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Semaphore;

/// What the inventory shares with its store.
pub(super) struct Shelves {
    pub(super) shared: Arc<DatabaseSlot>,
    pub(super) readers: Arc<Semaphore>,
    /// Whoever holds the permit may write.
    pub(super) turn: Arc<Semaphore>,
    pub(super) young: Arc<Young>,
}

impl Shelves {
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DatabaseSlot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.shared, permit(&self.readers).await?, work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DatabaseSlot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.shared, permit(&self.turn).await?, work).await
    }
}

#[async_trait]
impl Inventory for Shelves {
    async fn page(&self, after: Option<BlockKey>) -> Result<Vec<Stored>, StoreError> {
        self.read(move |shared| shared.with(|database| listing::page(database, after)))
            .await
    }

    async fn names(&self, after: Option<BlockKey>) -> Result<Vec<BlockKey>, StoreError> {
        self.read(move |shared| shared.with(|database| listing::names(database, after)))
            .await
    }

    async fn stored(&self, key: BlockKey) -> Result<Option<Stored>, StoreError> {
        let found = self
            .read(move |shared| shared.with(|database| database::get_many(database, &[key.0])))
            .await?;
        let data = found.into_iter().flatten().next();
        Ok(data.map(|data| Stored {
            key,
            data: data.into(),
        }))
    }

    fn collecting(&self) -> Lease {
        self.young.lease_of_all()
    }

    async fn remove(&self, keys: Vec<BlockKey>) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for some in keys.chunks(REMOVED_AT_ONCE) {
            let (young, some) = (Arc::clone(&self.young), some.to_vec());
            let now = self
                .write(move |shared| {
                    // No block is put during this turn, and each put notes its keys in `young` first.
                    let young = young.keys();
                    let some: Vec<_> = some.into_iter().map(|key| key.0).collect();
                    let gone: Vec<_> = some
                        .into_iter()
                        .filter(|key| !young.contains(key))
                        .collect();
                    match gone.is_empty() {
                        true => Ok(Removed::default()),
                        false => shared.with(|database| database::remove(database, &gone)),
                    }
                })
                .await?;
            removed.blocks += now.blocks;
            removed.bytes += now.bytes;
        }
        Ok(removed)
    }

    async fn pin(&self, pins: Vec<Pin>) -> Result<(), StoreError> {
        self.write(move |shared| shared.with(|database| pins::pin(database, &pins)))
            .await
    }

    async fn unpin(&self, keys: Vec<BlockKey>) -> Result<u64, StoreError> {
        self.write(move |shared| shared.with(|database| pins::unpin(database, &keys)))
            .await
    }

    async fn expire(&self, now: u64) -> Result<(), StoreError> {
        self.write(move |shared| shared.with(|database| pins::expire(database, now)))
            .await
    }

    async fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.read(|shared| shared.with(pins::pins)).await
    }

    async fn shrink(&self) -> Result<(), StoreError> {
        self.write(|shared| {
            shared.with(repack::pack_all)?;
            shared.compact()
        })
        .await
    }

    fn file(&self) -> PathBuf {
        self.shared.path().to_owned()
    }

    async fn file_bytes(&self) -> Result<u64, StoreError> {
        self.read(DatabaseSlot::length).await
    }
}
