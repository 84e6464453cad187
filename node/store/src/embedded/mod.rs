//! The embedded store: one redb database in one file.
//!
//! All work on the database runs off the asynchronous threads, at most [`READERS`] reads and one write at a
//! time; puts that come while another is written share the next transaction. After a failed write redb
//! refuses all further work, so the database is closed then, and opened anew by the next call: what was
//! acknowledged is on disk, and a disk that was full may have room again.

mod database;
mod file;
mod queue;

use crate::{
    block::{key_of, Key},
    error::Cause,
    Block, BlockStore, StoreError, StoreSize,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use database::Failure;
use queue::{Job, Queue};
use redb::Database;
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// How many reads run at a time; more wait.
const READERS: usize = 4;

/// Blocks in a redb database.
pub(crate) struct Embedded {
    shared: Arc<Shared>,
    readers: Arc<Semaphore>,
    queue: Queue,
}

impl Embedded {
    /// Opens the database, and makes it if it is not there.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            path,
            database: RwLock::new(None),
        });
        let store = Self {
            shared,
            readers: Arc::new(Semaphore::new(READERS)),
            queue: Queue::new(),
        };
        let turn = permit(store.queue.turn()).await?;
        store.run(turn, |shared| shared.reopen()).await?;
        Ok(store)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(permit(&self.readers).await?, work).await
    }

    /// Runs `work` on a thread that may block. The permit goes with it, so that a caller who stops waiting
    /// does not let more in than the limit.
    async fn run<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let done = task::spawn_blocking(move || {
            let result = work(&shared);
            drop(permit);
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(self.damaged(Some(error.into()))),
            Err(_) => Err(StoreError::Stopped),
        }
    }

    async fn write(&self, turn: OwnedSemaphorePermit, batch: Vec<Job>) -> Result<(), StoreError> {
        let work = move |shared: &Shared| {
            queue::write(shared, batch);
            Ok(())
        };
        self.run(turn, work).await
    }

    /// redb panics on some kinds of damage that its checksums do not cover.
    fn damaged(&self, source: Option<Cause>) -> StoreError {
        StoreError::CorruptDatabase {
            path: self.shared.path.clone(),
            source,
        }
    }
}

async fn permit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(|_| StoreError::Stopped)
}

/// What the threads that do the work have in common.
struct Shared {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, StoreError> {
        loop {
            if let Some(database) = self
                .database
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
            {
                break work(database);
            }
            self.reopen()?;
        }
        .map_err(|failure| self.failed(failure))
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = Some(file::open(&self.path)?);
        }
        Ok(())
    }

    fn failed(&self, failure: Failure) -> StoreError {
        if failure.ends_the_database() {
            tracing::warn!(path = %self.path.display(), error = %failure, "closing the block database; the next use opens it again");
            *self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
        failure.into_error(&self.path)
    }
}

/// A block that was read, hashed again.
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
        let keyed = blocks
            .into_iter()
            .map(|block| Ok((key_of(block.cid())?, block.into_data())))
            .collect::<Result<Vec<(Key, Bytes)>, StoreError>>()?;
        let _room = self
            .queue
            .room()
            .acquire()
            .await
            .map_err(|_| StoreError::Stopped)?;
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

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = self.get_many(std::slice::from_ref(cid)).await?;
        Ok(found.into_iter().flatten().next().map(Block::into_data))
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid)?;
        self.read(move |shared| shared.with(|database| database::has(database, &key)))
            .await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.read(|shared| shared.with(database::size)).await
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let keys = cids.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        let cids = cids.to_vec();
        self.read(move |shared| {
            let found = shared.with(|database| database::get_many(database, &keys))?;
            cids.iter()
                .zip(found)
                .map(|(cid, data)| checked(cid, data))
                .collect()
        })
        .await
    }
}
