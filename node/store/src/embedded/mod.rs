//! The embedded store: one redb database in one file.
//!
//! All work on the database runs off the asynchronous threads, at most [`READERS`] reads and one write at a time; puts
//! that come while another is written share the next transaction. After a failed write redb refuses all further work,
//! so the database is closed then, and opened anew by the next call: what was acknowledged is on disk, and a disk that
//! was full may have space again.

mod database;
mod entry;
mod file;
mod listing;
mod packing;
mod packs;
mod pins;
mod queue;
mod repack;
mod shelves;
mod slot;
mod work;

use crate::{
    block::{key_of, Key},
    disk::Disk,
    draft::{Draft, Marks},
    error::Cause,
    inventory::Inventory,
    lease::{Lease, Young},
    Block, BlockStore, StoreError, StoreSize,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use queue::{Job, Queue};
use shelves::Shelves;
use slot::DatabaseSlot;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use work::{damaged, permit, run};

/// How many reads run at a time; more wait.
const READERS: usize = 4;

/// Blocks in a redb database.
pub(crate) struct Embedded {
    shared: Arc<DatabaseSlot>,
    readers: Arc<Semaphore>,
    queue: Queue,
    /// Blocks that only drafts hold.
    marks: Arc<Marks>,
    /// Blocks that a collection leaves although nothing names them yet.
    young: Arc<Young>,
}

impl Embedded {
    /// Opens the database, and makes it if it is not there.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        Self::of(DatabaseSlot::closed(path)).await
    }

    /// Opens the database on a disk that is not a file.
    pub(crate) async fn open_on(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let measured = Arc::clone(&disk);
        let open = move |path: &std::path::Path| file::open_on(&disk, path);
        let slot = DatabaseSlot::opened_by("blocks".into(), open, move |_| measured.len());
        Self::of(slot).await
    }

    async fn of(slot: DatabaseSlot) -> Result<Self, StoreError> {
        let store = Self {
            shared: Arc::new(slot),
            readers: Arc::new(Semaphore::new(READERS)),
            queue: Queue::new(),
            marks: Arc::default(),
            young: Arc::default(),
        };
        let turn = permit(store.queue.turn()).await?;
        store.run(turn, |shared| shared.reopen()).await?;
        Ok(store)
    }

    /// Reads off the asynchronous threads, when one of [`READERS`] places is free.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DatabaseSlot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(permit(&self.readers).await?, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce(&DatabaseSlot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.shared, permit, work).await
    }

    /// Writes a batch of puts in one transaction. Each is answered through its own job.
    async fn write(&self, turn: OwnedSemaphorePermit, batch: Vec<Job>) -> Result<(), StoreError> {
        let marks = Arc::clone(&self.marks);
        let work = move |shared: &DatabaseSlot| {
            queue::write(shared, &marks, batch);
            Ok(())
        };
        self.run(turn, work).await
    }

    /// Removes the blocks of discarded drafts, if there are any.
    async fn sweep(&self) -> Result<(), StoreError> {
        if !self.marks.has_given_up() {
            return Ok(());
        }
        let turn = permit(self.queue.turn()).await?;
        let marks = Arc::clone(&self.marks);
        self.run(turn, move |shared| {
            let keys = marks.take_given_up();
            match keys.is_empty() {
                true => Ok(()),
                false => shared.with(|database| database::remove(database, &keys).map(drop)),
            }
        })
        .await
    }

    fn damaged(&self, source: Option<Cause>) -> StoreError {
        damaged(&self.shared, source)
    }
}

fn keyed(blocks: Vec<Block>) -> Result<Vec<(Key, Bytes)>, StoreError> {
    let keyed = blocks.into_iter();
    keyed
        .map(|block| Ok((key_of(block.cid())?, block.into_data())))
        .collect()
}

/// Puts the blocks of a draft: those that are new are noted in it before.
fn put_draft(
    shared: &DatabaseSlot,
    draft: &mut Draft,
    blocks: &[(Key, Bytes)],
) -> Result<(), StoreError> {
    let keys = || blocks.iter().map(|(key, _)| key);
    let there = shared.with(|database| database::has_many(database, keys()))?;
    draft.claim(keys().zip(there).map(|(key, there)| (*key, !there)));
    shared.with(|database| database::put(database, blocks))
}

/// Hashes a block that was read.
fn checked(cid: &Cid, data: Option<Vec<u8>>) -> Result<Option<Block>, StoreError> {
    let Some(data) = data else { return Ok(None) };
    Block::new(*cid, data.into())
        .map(Some)
        .map_err(|_| StoreError::Corrupt { cid: *cid })
}

#[async_trait]
impl BlockStore for Embedded {
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.sweep().await?;
        let keyed = keyed(blocks)?;
        self.young.note(keyed.iter().map(|(key, _)| key));
        let _room = self
            .queue
            .room()
            .acquire()
            .await
            .map_err(|_| StoreError::Stopped)?;
        // Whoever gets the turn writes all that is queued, for others too. So either the own blocks are answered by
        // somebody else's write, or this caller writes.
        let mut answer = self.queue.join(keyed);
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => return answered.unwrap_or_else(|_| Err(self.damaged(None))),
                turn = permit(self.queue.turn()) => {
                    let batch = self.queue.next_batch();
                    self.write(turn?, batch).await?;
                }
            }
        }
    }

    fn draft(&self) -> Draft {
        self.marks.draft()
    }

    async fn put_draft(&self, draft: &mut Draft, blocks: Vec<Block>) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        if draft.is_full() {
            return self.put(blocks).await;
        }
        self.sweep().await?;
        let keyed = keyed(blocks)?;
        self.young.note(keyed.iter().map(|(key, _)| key));
        let turn = permit(self.queue.turn()).await?;
        // It goes to another thread and comes back. If it does not, its blocks are removed.
        let mut own = std::mem::take(draft);
        let put = self.run(turn, move |shared| {
            let put = put_draft(shared, &mut own, &keyed);
            Ok((own, put))
        });
        let (own, put) = put.await?;
        *draft = own;
        put
    }

    async fn discard(&self, draft: Draft) -> Result<(), StoreError> {
        drop(draft);
        self.sweep().await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = self.get_many(std::slice::from_ref(cid)).await?;
        Ok(found.into_iter().flatten().next().map(Block::into_data))
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid)?;
        self.marks.release([&key]);
        self.read(move |shared| shared.with(|database| database::has(database, &key)))
            .await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.read(|shared| shared.with(database::size)).await
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn lease(&self) -> Lease {
        self.young.lease()
    }

    fn inventory(&self) -> Option<Arc<dyn Inventory>> {
        Some(Arc::new(Shelves {
            shared: Arc::clone(&self.shared),
            readers: Arc::clone(&self.readers),
            turn: Arc::clone(self.queue.turn()),
            young: Arc::clone(&self.young),
        }))
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let keys = cids.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        let cids = cids.to_vec();
        self.marks.release(&keys);
        self.read(move |shared| {
            let found = shared.with(|database| database::get_many(database, &keys))?;
            let named = cids.iter().zip(found);
            let blocks: Result<Vec<_>, _> = named.map(|(cid, data)| checked(cid, data)).collect();
            if let Err(StoreError::Corrupt { cid }) = &blocks {
                tracing::warn!(%cid, file = %shared.path().display(), "a block in this file is damaged; it is fetched again when somebody has it, and `rings store repair` looks for more");
            }
            blocks
        })
        .await
    }
}
