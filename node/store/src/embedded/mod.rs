//! The embedded store: one redb database in one file.
//!
//! All work on the database runs off the asynchronous threads, at most [`READERS`] reads and one write at a
//! time. After a failed write redb refuses all further work, so the database is closed then, and opened anew
//! by the next call: what was acknowledged is on disk, and a disk that was full may have room again.

mod database;
mod file;

use crate::{
    block::{key_of, Key},
    Block, BlockStore, StoreError, StoreSize,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use database::Failure;
use redb::Database;
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{sync::Semaphore, task};

/// How many reads run at a time; more wait.
const READERS: usize = 4;

/// Blocks in a redb database.
pub(crate) struct Embedded {
    shared: Arc<Shared>,
    readers: Arc<Semaphore>,
    writer: Arc<Semaphore>,
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
            readers: permits(READERS),
            writer: permits(1),
        };
        store.run(&store.writer, |shared| shared.reopen()).await?;
        Ok(store)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(&self.readers, |shared| shared.with(work)).await
    }

    /// Runs `work` on a thread that may block. The permit goes with it, so that a caller who stops waiting
    /// does not let more in than the limit.
    async fn run<T: Send + 'static>(
        &self,
        permits: &Arc<Semaphore>,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Stopped)?;
        let shared = Arc::clone(&self.shared);
        let done = task::spawn_blocking(move || {
            let result = work(&shared);
            drop(permit);
            result
        });
        match done.await {
            Ok(result) => result,
            // redb panics on some kinds of damage that its checksums do not cover.
            Err(error) if error.is_panic() => Err(StoreError::CorruptDatabase {
                path: self.shared.path.clone(),
                source: Some(error.into()),
            }),
            Err(_) => Err(StoreError::Stopped),
        }
    }
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
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
        self.run(&self.writer, move |shared| {
            shared.with(|database| database::put(database, &keyed))
        })
        .await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = self.get_many(std::slice::from_ref(cid)).await?;
        Ok(found.into_iter().flatten().next().map(Block::into_data))
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        let key = key_of(cid)?;
        self.read(move |database| database::has(database, &key))
            .await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.read(database::size).await
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let keys = cids.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        let cids = cids.to_vec();
        self.run(&self.readers, move |shared| {
            let found = shared.with(|database| database::get_many(database, &keys))?;
            cids.iter()
                .zip(found)
                .map(|(cid, data)| checked(cid, data))
                .collect()
        })
        .await
    }
}
