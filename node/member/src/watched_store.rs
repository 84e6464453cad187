//! Whether the block store works, by what becomes of its uses and by a regular look.
//!
//! A store may stand still or refuse for a while: another program (Kubo) that hangs, a disk that is full. The member waits for
//! it and ends for nothing of it, but it can keep no vote and no file meanwhile, and that must be told. [`WatchedStore`] passes
//! every call on, and notes how it ended; [`WatchedStore::run`] looks whether a store that is another program answers.
//!
//! What failed to be written is not taken back by something that was read: only by something that was written, or when the
//! store answers and nothing has failed for a while.

use super::error::MemberError;
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_protocol::cids::{data_cid, sha256};
use rings_store::{Block, BlockStore, Draft, ErrorClass, Inventory, Lease, StoreError, StoreSize};
use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout, Instant};
use tokio_util::sync::CancellationToken;

/// The pause between two looks at a store that is another program, and at any store in trouble.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_IN_TROUBLE: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(4);
/// How long nothing must have failed, until a store that answers is believed to take blocks again.
const QUIET: Duration = Duration::from_secs(30);
/// How long whoever wants to know the size waits for it.
const SIZE_LIMIT: Duration = Duration::from_millis(500);
/// The kind of store that is another program.
const OTHER_PROGRAM: &str = "kubo";

/// A block store of which it is known whether it works.
pub(crate) struct WatchedStore {
    store: Arc<dyn BlockStore>,
    /// Where it is, as it may be shown.
    place: String,
    seen: Mutex<Seen>,
}

/// What was seen of the store.
#[derive(Debug, Default)]
struct Seen {
    /// How the newest read failed.
    reading: Option<String>,
    /// How the newest write failed, and when.
    writing: Option<(String, Instant)>,
    /// How much it held when it was last measured.
    size: StoreSize,
}

impl WatchedStore {
    /// Watches this store, which is at `place`.
    pub fn new(store: Arc<dyn BlockStore>, place: String) -> Self {
        Self {
            store,
            place,
            seen: Mutex::default(),
        }
    }

    /// Why the store keeps the member from its work, in words; `None` while it works.
    pub fn trouble(&self) -> Option<String> {
        let seen = self.seen();
        let writing = seen.writing.as_ref().map(|(reason, _)| reason);
        let reason = writing.or(seen.reading.as_ref())?;
        Some(format!(
            "the block store at {} fails, so this member keeps no votes and no files until it works again: {reason}",
            self.place
        ))
    }

    /// How much the store holds, if it says so soon; else as much as it held when it last said so.
    pub async fn size_by_now(&self) -> StoreSize {
        if self.trouble().is_none() {
            // What fails is noted, and told as the store's trouble.
            if let Ok(Ok(size)) = timeout(SIZE_LIMIT, self.size()).await {
                return size;
            }
        }
        self.seen().size
    }

    /// Looks regularly, until `stop`.
    ///
    /// # Errors
    /// Never; the type is that of all parts.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), MemberError> {
        loop {
            let pause = match self.trouble() {
                Some(_) => PAUSE_IN_TROUBLE,
                None => PAUSE,
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
            if self.store.kind() == OTHER_PROGRAM || self.trouble().is_some() {
                self.look(LOOK_LIMIT, QUIET).await;
            }
        }
    }

    /// Asks for a block that is seldom there, which costs the store little. `quiet`: how long nothing must have failed.
    async fn look(&self, limit: Duration, quiet: Duration) {
        let nothing = data_cid(sha256(b""));
        let answer = timeout(limit, self.store.has(&nothing)).await;
        let answered = match answer {
            Ok(answer) => self.noting_read(answer).is_ok(),
            Err(_) => {
                let seconds = limit.as_secs();
                self.cannot_be_read(format!("it has not answered for {seconds} s"));
                false
            }
        };
        if answered {
            let mut seen = self.seen();
            let is_old = |(_, at): &(String, Instant)| at.elapsed() >= quiet;
            if seen.writing.as_ref().is_some_and(is_old) {
                seen.writing = None;
            }
        }
    }

    fn cannot_be_read(&self, reason: String) {
        let is_news = self.seen().reading.replace(reason).is_none();
        self.tell(is_news);
    }

    fn noting_read<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match answer.as_ref().err().map(reason) {
            None => self.seen().reading = None,
            Some(Some(reason)) => self.cannot_be_read(reason),
            // It answers: the block is what is wrong.
            Some(None) => {}
        }
        answer
    }

    fn noting_write<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match answer.as_ref().err().map(reason) {
            None => {
                let mut seen = self.seen();
                (seen.reading, seen.writing) = (None, None);
            }
            Some(Some(reason)) => {
                let failed = Some((reason, Instant::now()));
                let is_news = std::mem::replace(&mut self.seen().writing, failed).is_none();
                self.tell(is_news);
            }
            Some(None) => {}
        }
        answer
    }

    fn tell(&self, is_news: bool) {
        if let Some(trouble) = self.trouble().filter(|_| is_news) {
            tracing::warn!("{trouble}");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error says about the store, in words; `None` for one that says something about a block, or about the end of this
/// process.
fn reason(error: &StoreError) -> Option<String> {
    if error.class() != ErrorClass::Transient
        || matches!(error, StoreError::Stopped | StoreError::Input(_))
    {
        return None;
    }
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let (said, root) = (error.to_string(), root.to_string());
    Some(match said.contains(&root) {
        true => said,
        false => format!("{said} ({root})"),
    })
}

// A method that is not passed on would be the default one, and not that of the store behind.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlockStore for WatchedStore {
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.noting_write(self.store.put(blocks).await)
    }

    fn draft(&self) -> Draft {
        self.store.draft()
    }

    async fn put_draft(&self, draft: &mut Draft, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.noting_write(self.store.put_draft(draft, blocks).await)
    }

    async fn keep(&self, draft: Draft) -> Result<(), StoreError> {
        self.noting_write(self.store.keep(draft).await)
    }

    async fn discard(&self, draft: Draft) -> Result<(), StoreError> {
        self.noting_read(self.store.discard(draft).await)
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.noting_read(self.store.get(cid).await)
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.noting_read(self.store.has(cid).await)
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let size = self.noting_read(self.store.size().await)?;
        self.seen().size = size;
        Ok(size)
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

    // That the network has a block not, or not soon, says nothing about the store.
    async fn seek(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.store.seek(cid).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.store.settle().await
    }

    async fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.noting_read(self.store.get_many(cids).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    const WORKS: u8 = 0;
    const IS_AWAY: u8 = 1;
    const IS_FULL: u8 = 2;
    const STANDS_STILL: u8 = 3;

    /// A store without blocks that does what it is told.
    #[derive(Default)]
    struct Told(AtomicU8);

    impl Told {
        async fn answer(&self, writes: bool) -> Result<(), StoreError> {
            let place = || "http://127.0.0.1:1".to_owned();
            match self.0.load(Ordering::SeqCst) {
                IS_AWAY => Err(StoreError::Unreachable {
                    url: place(),
                    source: Some("connection refused".into()),
                }),
                IS_FULL if writes => Err(StoreError::DiskFull { place: place() }),
                STANDS_STILL => std::future::pending().await,
                _ => Ok(()),
            }
        }
    }

    #[async_trait]
    impl BlockStore for Told {
        async fn put(&self, _: Vec<Block>) -> Result<(), StoreError> {
            self.answer(true).await
        }
        async fn get(&self, _: &Cid) -> Result<Option<Bytes>, StoreError> {
            self.answer(false).await.map(|()| None)
        }
        async fn has(&self, _: &Cid) -> Result<bool, StoreError> {
            self.answer(false).await.map(|()| false)
        }
        async fn size(&self) -> Result<StoreSize, StoreError> {
            let (blocks, bytes) = (1, 2);
            self.answer(false)
                .await
                .map(|()| StoreSize { blocks, bytes })
        }
        fn kind(&self) -> &'static str {
            OTHER_PROGRAM
        }
    }

    fn watched() -> (Arc<Told>, WatchedStore) {
        let told = Arc::new(Told::default());
        let store = Arc::clone(&told) as Arc<dyn BlockStore>;
        (told, WatchedStore::new(store, "http://127.0.0.1:1".into()))
    }

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_store_that_stands_still_is_named_and_holds_up_nobody_who_wants_its_size() {
        let (told, store) = watched();
        store.look(SHORT, QUIET).await;
        assert_eq!(store.trouble(), None);
        let size = store.size_by_now().await;
        assert_eq!((size.blocks, size.bytes), (1, 2));
        told.0.store(STANDS_STILL, Ordering::SeqCst);
        assert_eq!(store.size_by_now().await, size, "the last that is known");
        store.look(SHORT, QUIET).await;
        let trouble = store.trouble().unwrap();
        assert!(
            trouble.contains("http://127.0.0.1:1") && trouble.contains("has not answered"),
            "{trouble}"
        );
        assert_eq!(store.size_by_now().await, size);
        told.0.store(WORKS, Ordering::SeqCst);
        store.look(SHORT, QUIET).await;
        assert_eq!(store.trouble(), None);
    }

    #[tokio::test]
    async fn what_a_use_shows_is_told_and_taken_back_by_the_same_kind_of_use() {
        let (told, store) = watched();
        let nothing = data_cid(sha256(b""));
        told.0.store(IS_AWAY, Ordering::SeqCst);
        store.get(&nothing).await.unwrap_err();
        let trouble = store.trouble().unwrap();
        assert!(trouble.contains("connection refused"), "{trouble}");
        told.0.store(IS_FULL, Ordering::SeqCst);
        store.put(Vec::new()).await.unwrap_err();
        store.get(&nothing).await.unwrap();
        store.look(SHORT, QUIET).await;
        let trouble = store.trouble().unwrap();
        assert!(trouble.contains("no space left"), "{trouble}");
        told.0.store(WORKS, Ordering::SeqCst);
        store.put(Vec::new()).await.unwrap();
        assert_eq!(store.trouble(), None);
    }

    #[tokio::test]
    async fn a_store_that_answers_and_has_nothing_to_write_is_well_after_a_while() {
        let (told, store) = watched();
        told.0.store(IS_FULL, Ordering::SeqCst);
        store.put(Vec::new()).await.unwrap_err();
        store.look(SHORT, QUIET).await;
        assert!(store.trouble().is_some());
        told.0.store(STANDS_STILL, Ordering::SeqCst);
        store.look(SHORT, Duration::ZERO).await;
        assert!(store.trouble().is_some(), "it does not answer");
        told.0.store(WORKS, Ordering::SeqCst);
        store.look(SHORT, Duration::ZERO).await;
        assert_eq!(store.trouble(), None);
    }

    #[test]
    fn what_is_wrong_with_a_block_is_not_the_stores_fault() {
        let cid = data_cid(sha256(b""));
        assert_eq!(reason(&StoreError::NotFound { cid }), None);
        assert_eq!(reason(&StoreError::Stopped), None);
    }
}
