//! A block store that gets the blocks of log nodes after they are on disk elsewhere.
//!
//! A round of the core is durable by one transaction of the state database, which holds the blocks of its nodes too
//! ([`LateBlocks`]). [`LateStore`] shows them to whoever reads from then on, gives them to the store beside the rounds that
//! follow, those of many rounds in one put, and says when the state database need not hold them any more. So neither a second
//! sync of the disk for each round nor a store that answers slowly holds up a vote. Where much waits already, the core puts a
//! round's blocks into the store before it writes the round, as it must without this.
//!
//! After a crash [`settle`] gives the store what the state database holds still; whoever opens both calls it first.

use crate::state::{LateBlocks, MemberState, StateError};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_protocol::{
    cids::{digest_of, node_cid, DAG_CBOR},
    Digest,
};
use rings_store::{Block, BlockStore, Draft, Inventory, Lease, StoreError, StoreSize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{watch, Notify};
use tokio_util::sync::CancellationToken;

/// Bytes of blocks that may wait for the store. Beyond it, rounds put their blocks before they are written.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// A round with more bytes than this puts them itself: it would only write them twice.
const MAX_ROUND_BYTES: usize = 128 << 10;
/// How long blocks wait for those of other rounds, so that one put serves many. Each put waits for the disk, beside the rounds
/// that do so too; nobody waits for a put, since these blocks are read from memory.
const GATHER: Duration = Duration::from_millis(50);
/// How long a put that failed waits.
const PAUSE: Duration = Duration::from_secs(1);
/// How long whoever works on the whole store waits until it has all blocks.
const PATIENCE: Duration = Duration::from_secs(10);
/// Blocks that are put at one time.
const AT_ONCE: usize = 4096;

/// A block store in front of which the blocks of the last rounds wait.
pub(crate) struct LateStore {
    store: Arc<dyn BlockStore>,
    waiting: Mutex<Waiting>,
    /// There are new blocks.
    arrived: Notify,
    /// How many blocks wait.
    left: watch::Sender<usize>,
}

#[derive(Default)]
struct Waiting {
    blocks: BTreeMap<Digest, Bytes>,
    bytes: usize,
    /// The store has these, and the state database holds them still.
    stored: Vec<Digest>,
}

impl LateStore {
    /// In front of this store.
    pub fn new(store: Arc<dyn BlockStore>) -> Self {
        Self {
            store,
            waiting: Mutex::default(),
            arrived: Notify::new(),
            left: watch::Sender::new(0),
        }
    }

    /// Takes up what the last rounds before a crash wrote.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn resume(&self, state: &MemberState) -> Result<(), StateError> {
        let late = LateBlocks {
            taken: state.late_blocks(usize::MAX)?,
            stored: Vec::new(),
        };
        self.written(late);
        Ok(())
    }

    /// What the state database is to hold for a round with these blocks; nothing if the round has to put them itself.
    pub fn take(&self, blocks: &[Block]) -> Option<LateBlocks> {
        let bytes: usize = blocks.iter().map(|block| block.data().len()).sum();
        let waiting = self.waiting();
        if bytes > MAX_ROUND_BYTES || waiting.bytes + bytes > MAX_WAITING_BYTES {
            return None;
        }
        let taken = blocks.iter().map(|block| {
            let is_node = block.cid().codec() == DAG_CBOR;
            let digest = digest_of(block.cid()).ok().filter(|_| is_node)?;
            Some((digest, block.data().clone()))
        });
        Some(LateBlocks {
            taken: taken.collect::<Option<_>>()?,
            stored: waiting.stored.clone(),
        })
    }

    /// The round is on disk: its blocks can be read here from now on, and go to the store.
    pub fn written(&self, late: LateBlocks) {
        let mut waiting = self.waiting();
        // More may have been stored since `take`.
        let forgotten = late.stored.len();
        waiting.stored.drain(..forgotten);
        for (digest, bytes) in late.taken {
            let length = bytes.len();
            if waiting.blocks.insert(digest, bytes).is_none() {
                waiting.bytes += length;
            }
        }
        self.left.send_replace(waiting.blocks.len());
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Gives the store what waits, until `stop`; what waits then is given to it at the end, if that succeeds at once.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.arrived.notified() => {}
            }
            tokio::time::sleep(GATHER).await;
            while let Err(error) = self.put_waiting().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "log nodes that are on disk are not in the store yet; it is tried again"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
        if let Err(error) = self.put_waiting().await {
            tracing::info!(
                error = &error as &dyn std::error::Error,
                "log nodes that are on disk go to the store at the next start"
            );
        }
    }

    /// Gives the store what waits now.
    ///
    /// # Errors
    /// As [`BlockStore::put`]; then it waits still.
    pub async fn put_waiting(&self) -> Result<(), StoreError> {
        loop {
            let some: Vec<_> = {
                let waiting = self.waiting();
                let blocks = waiting.blocks.iter().take(AT_ONCE);
                blocks
                    .map(|(digest, bytes)| (*digest, bytes.clone()))
                    .collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            self.store.put(blocks(&some)?).await?;
            let mut waiting = self.waiting();
            for (digest, bytes) in some {
                waiting.blocks.remove(&digest);
                waiting.bytes -= bytes.len();
                waiting.stored.push(digest);
            }
            self.left.send_replace(waiting.blocks.len());
        }
    }

    fn held(&self, cid: &Cid) -> Option<Bytes> {
        if cid.codec() != DAG_CBOR {
            return None;
        }
        let digest = digest_of(cid).ok()?;
        self.waiting().blocks.get(&digest).cloned()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blocks(late: &[(Digest, Bytes)]) -> Result<Vec<Block>, StoreError> {
    let blocks = late.iter();
    blocks
        .map(|(digest, bytes)| Block::new(node_cid(*digest), bytes.clone()))
        .collect()
}

/// Why blocks that a round wrote cannot be given to the store.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The block store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the store the blocks that the last rounds before a crash wrote.
///
/// # Errors
/// [`SettleError`]. What was given then stays, and the rest is given by the next call.
pub(crate) async fn settle(state: &MemberState, store: &dyn BlockStore) -> Result<(), SettleError> {
    loop {
        let late = state.late_blocks(AT_ONCE)?;
        if late.is_empty() {
            return Ok(());
        }
        store.put(blocks(&late)?).await?;
        state.late_stored(late.into_iter().map(|(digest, _)| digest).collect())?;
    }
}

// A method that is not passed on would be the default one, and not that of the store behind.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlockStore for LateStore {
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.store.put(blocks).await
    }

    fn draft(&self) -> Draft {
        self.store.draft()
    }

    async fn put_draft(&self, draft: &mut Draft, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.store.put_draft(draft, blocks).await
    }

    async fn keep(&self, draft: Draft) -> Result<(), StoreError> {
        self.store.keep(draft).await
    }

    async fn discard(&self, draft: Draft) -> Result<(), StoreError> {
        self.store.discard(draft).await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match self.held(cid) {
            Some(bytes) => Ok(Some(bytes)),
            None => self.store.get(cid).await,
        }
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        match self.held(cid) {
            Some(_) => Ok(true),
            None => self.store.has(cid).await,
        }
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.store.size().await
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    fn lease(&self) -> Lease {
        self.store.lease()
    }

    fn inventory(&self) -> Option<Arc<dyn Inventory>> {
        self.store.inventory()
    }

    async fn name_file(&self, cid: &Cid) -> Result<(), StoreError> {
        self.store.name_file(cid).await
    }

    async fn seek(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.store.seek(cid).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        let mut left = self.left.subscribe();
        let settled = left.wait_for(|left| *left == 0);
        // A store that is away now says so itself when it is asked.
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            tracing::debug!("log nodes still wait for the store");
        }
        Ok(())
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let held: Vec<_> = cids.iter().map(|cid| self.held(cid)).collect();
        let others = cids.iter().zip(&held).filter(|(_, held)| held.is_none());
        let others: Vec<_> = others.map(|(cid, _)| *cid).collect();
        let found = match others.is_empty() {
            true => Vec::new(),
            false => self.store.get_many(&others).await?,
        };
        let (mut found, mut blocks) = (found.into_iter(), Vec::with_capacity(cids.len()));
        for (cid, held) in cids.iter().zip(held) {
            blocks.push(match held {
                Some(bytes) => Some(Block::new(*cid, bytes)?),
                None => found.next().flatten(),
            });
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Identity;
    use rings_protocol::{cids::sha256, Address};
    use rings_store::StoreConfig;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A store that can be away.
    struct Flaky {
        store: Arc<dyn BlockStore>,
        is_away: AtomicBool,
    }

    #[async_trait]
    impl BlockStore for Flaky {
        async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
            match self.is_away.load(Ordering::SeqCst) {
                true => Err(StoreError::Stopped),
                false => self.store.put(blocks).await,
            }
        }
        async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
            self.store.get(cid).await
        }
        async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
            self.store.has(cid).await
        }
        async fn size(&self) -> Result<StoreSize, StoreError> {
            self.store.size().await
        }
        fn kind(&self) -> &'static str {
            "flaky"
        }
    }

    struct Place {
        directory: tempfile::TempDir,
        inner: Arc<Flaky>,
        state: MemberState,
    }

    async fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.redb");
        let store = rings_store::open(&StoreConfig::Embedded { path }).await;
        let identity = Identity {
            chain_id: 1,
            ring: Address([1; 20]),
            member: Address([2; 20]),
        };
        let state = MemberState::open(&directory.path().join("state.redb"), &identity).unwrap();
        Place {
            inner: Arc::new(Flaky {
                store: store.unwrap(),
                is_away: AtomicBool::new(false),
            }),
            directory,
            state,
        }
    }

    fn block(n: u8, length: usize) -> Block {
        let bytes = vec![n; length];
        Block::new(node_cid(sha256(&bytes)), bytes.into()).unwrap()
    }

    /// As the core ends a round.
    fn write(late: &LateStore, state: &MemberState, blocks: &[Block]) {
        let taken = late.take(blocks).unwrap();
        state.append_with((None, &[], &[]), &taken).unwrap();
        late.written(taken);
    }

    #[tokio::test]
    async fn blocks_can_be_read_at_once_and_come_into_the_store() {
        let place = place().await;
        let late = Arc::new(LateStore::new(
            Arc::clone(&place.inner) as Arc<dyn BlockStore>
        ));
        let (one, other, absent) = (block(1, 10), block(2, 10), block(3, 10));
        place.inner.store.put(vec![other.clone()]).await.unwrap();
        place.inner.is_away.store(true, Ordering::SeqCst);
        write(&late, &place.state, std::slice::from_ref(&one));
        let cids = [*other.cid(), *one.cid(), *absent.cid()];
        let found = late.get_many(&cids).await.unwrap();
        assert_eq!(found, [Some(other), Some(one.clone()), None]);
        assert!(late.has(one.cid()).await.unwrap());
        assert!(!place.inner.has(one.cid()).await.unwrap());
        // While the store is away, nothing is lost; when it is back, it gets the block.
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&late).run(stop.clone()));
        tokio::task::yield_now().await;
        place.inner.is_away.store(false, Ordering::SeqCst);
        late.settle().await.unwrap();
        assert!(place.inner.has(one.cid()).await.unwrap());
        // The state database holds it until the next round.
        assert_eq!(place.state.late_blocks(9).unwrap().len(), 1);
        write(&late, &place.state, &[]);
        assert!(place.state.late_blocks(9).unwrap().is_empty());
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_a_crash_leaves_is_given_to_the_store() {
        let place = place().await;
        let late = LateStore::new(Arc::clone(&place.inner) as Arc<dyn BlockStore>);
        let blocks = [block(1, 10), block(2, 20)];
        write(&late, &place.state, &blocks);
        drop(late);
        place.inner.is_away.store(true, Ordering::SeqCst);
        settle(&place.state, &*place.inner).await.unwrap_err();
        place.inner.is_away.store(false, Ordering::SeqCst);
        settle(&place.state, &*place.inner).await.unwrap();
        for block in &blocks {
            assert!(place.inner.has(block.cid()).await.unwrap());
        }
        assert!(place.state.late_blocks(9).unwrap().is_empty());
        drop(place.directory);
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let place = place().await;
        let late = LateStore::new(Arc::clone(&place.inner) as Arc<dyn BlockStore>);
        assert!(late.take(&[block(0, MAX_ROUND_BYTES + 1)]).is_none());
        let mut rounds = 0;
        while let Some(taken) = late.take(&[block(rounds, MAX_ROUND_BYTES)]) {
            late.written(taken);
            rounds += 1;
        }
        assert_eq!(usize::from(rounds), MAX_WAITING_BYTES / MAX_ROUND_BYTES);
        let file = rings_protocol::cids::data_cid(sha256(b"x"));
        let file = Block::new(file, Bytes::from_static(b"x")).unwrap();
        assert!(late.take(&[file]).is_none(), "only blocks in DAG-CBOR");
    }
}
