//! The HTTP side of a member from its first moment on.
//!
//! A member that starts may wait long for its chain. [`Entrance`] says so until the member is open, and passes every
//! call on to its [`Api`] from then on. What can be answered without the chain (status, health, the block store) is
//! answered at once. Every other call waits a little for the member, and is then refused with the time after which to
//! try again.

use super::{
    api::Api,
    metrics::{self, Facts},
    ring_status::RingStatus,
    waiting::Waiting,
    watched_store::WatchedStore,
};
use async_trait::async_trait;
use rings_api::{
    registry::{RegistryView, SearchRegistryParams},
    views::{
        GateView, LogPage, ProofView, RequestView, RequestedView, RingView, Status, StoreStatus,
    },
    ApiError, ClientRings, News, NodeApi, ProcessKeeper, RequestParams, StoreKeeper,
};
use rings_network::Stats;
use rings_protocol::{private::node_key, Address, Digest};
use rings_store::{BlockSource, BlockStore};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How long a call waits for a member that starts, before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// When a caller that was refused may try again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What is known of a member before its chain has answered.
pub struct Starting {
    /// Its account.
    pub me: Address,
    /// Its name among peers.
    pub peer_id: String,
    /// The ring that it is configured for.
    pub ring: Address,
    /// Whether its operator says that the ring is private.
    pub is_private: bool,
    /// Its block store.
    pub store: Arc<dyn BlockStore>,
    /// The same, which knows whether it works.
    pub watched: Arc<WatchedStore>,
    /// What it waits for.
    pub waiting: Arc<Waiting>,
    /// Where it tells what happens.
    pub news: News,
}

/// A member that starts, and then the member that runs.
pub struct Entrance {
    starting: Starting,
    running: watch::Sender<Option<Arc<Api>>>,
}

impl Entrance {
    /// The entrance to a member that starts.
    pub fn new(starting: Starting) -> Self {
        Self {
            starting,
            running: watch::Sender::new(None),
        }
    }

    /// The member runs: it answers from now on.
    pub fn open(&self, api: Api) {
        self.running.send_replace(Some(Arc::new(api)));
    }

    fn running(&self) -> Option<Arc<Api>> {
        self.running.borrow().clone()
    }

    /// The running member, if it is open soon enough.
    async fn api(&self) -> Result<Arc<Api>, ApiError> {
        let mut running = self.running.subscribe();
        let opened = timeout(PATIENCE, running.wait_for(Option::is_some)).await;
        let api = opened.ok().and_then(Result::ok).and_then(|api| api.clone());
        api.ok_or(ApiError::Busy {
            milliseconds: TRY_AGAIN.as_millis() as u64,
        })
    }

    /// The status while the chain or the state database is not there yet: who this member is, and what it waits for. The
    /// numbers that come from the chain are zero.
    async fn starting_status(&self) -> Status {
        let Starting {
            me,
            peer_id,
            ring,
            watched,
            ..
        } = &self.starting;
        let size = watched.size_by_now().await;
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            profile: rings_compute::profile(),
            chain_id: 0,
            block: 0,
            following: false,
            trouble: self.trouble(),
            member: *me,
            peer_id: peer_id.clone(),
            peers: 0,
            ring: *ring,
            epoch: 0,
            head: None,
            store: StoreStatus {
                kind: watched.kind().into(),
                blocks: size.blocks,
                bytes: size.bytes,
            },
            announced: Vec::new(),
            balance: None,
            registrations: None,
            providers: Vec::new(),
            unreachable: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

#[async_trait]
impl NodeApi for Entrance {
    async fn status(&self) -> Result<Status, ApiError> {
        match self.running() {
            Some(api) => api.status().await,
            None => Ok(self.starting_status().await),
        }
    }

    async fn ring(&self, ring: Address) -> Result<RingView, ApiError> {
        self.api().await?.ring(ring).await
    }

    async fn gate(&self, gate: Address) -> Result<GateView, ApiError> {
        self.api().await?.gate(gate).await
    }

    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
        reads: bool,
    ) -> Result<LogPage, ApiError> {
        let api = self.api().await?;
        api.log(ring, member, from, limit, reads).await
    }

    async fn client_rings(&self) -> Result<Arc<dyn ClientRings>, ApiError> {
        self.api().await?.client_rings().await
    }

    async fn processes(&self) -> Result<Arc<dyn ProcessKeeper>, ApiError> {
        self.api().await?.processes().await
    }

    async fn request(&self, request: RequestParams) -> Result<RequestedView, ApiError> {
        self.api().await?.request(request).await
    }

    async fn get_request(&self, request: Digest) -> Result<RequestView, ApiError> {
        self.api().await?.get_request(request).await
    }

    async fn proof(&self, request: Digest) -> Result<ProofView, ApiError> {
        self.api().await?.proof(request).await
    }

    async fn search_registry(&self, which: SearchRegistryParams) -> Result<RegistryView, ApiError> {
        self.api().await?.search_registry(which).await
    }

    fn source(&self) -> Arc<dyn BlockSource> {
        match self.running() {
            Some(api) => api.source(),
            None => rings_store::source(&self.starting.store),
        }
    }

    fn is_sealed(&self, block: &[u8]) -> bool {
        match self.running() {
            Some(api) => api.is_sealed(block),
            // The names of the keys are not known yet.
            None => self.starting.is_private && node_key(block).is_ok(),
        }
    }

    fn store(&self) -> Arc<dyn BlockStore> {
        Arc::clone(&self.starting.store)
    }

    fn file_added(&self) {
        if let Some(api) = self.running() {
            api.file_added();
        }
    }

    fn keeper(&self) -> Option<Arc<dyn StoreKeeper>> {
        self.running().and_then(|api| api.keeper())
    }

    fn news(&self) -> News {
        self.starting.news.clone()
    }

    fn following(&self) -> bool {
        self.running().is_some_and(|api| api.following())
    }

    fn trouble(&self) -> Option<String> {
        match self.running() {
            Some(api) => api.trouble(),
            None => {
                let trouble = self.starting.waiting.trouble();
                Some(trouble.unwrap_or_else(|| "the member is starting".into()))
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.running().map_or_else(Vec::new, |api| api.warnings())
    }

    fn encode_metrics(&self, out: &mut String) -> fmt::Result {
        match self.running() {
            Some(api) => api.encode_metrics(out),
            None => {
                let nothing_yet = RingStatus::new(self.starting.me, [].into());
                let facts = Facts {
                    shared: &nothing_yet,
                    network: Stats::default(),
                    following: false,
                    members: &[],
                    unreachable: &[],
                    providers: &[],
                    is_signer_away: false,
                    is_store_failing: self.starting.watched.trouble().is_some(),
                    usage: &[],
                };
                metrics::write(&facts, out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_store::StoreConfig;
    use std::pin::pin;

    #[tokio::test]
    async fn a_member_that_waits_for_its_chain_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.redb");
        let store = rings_store::open(&StoreConfig::Embedded { path }).await;
        let watched = Arc::new(WatchedStore::new(store.unwrap(), "blocks.redb".into()));
        let waiting = Arc::new(Waiting::default());
        let entrance = Entrance::new(Starting {
            me: Address([1; 20]),
            peer_id: "16Uiu2HA".into(),
            ring: Address([2; 20]),
            is_private: false,
            store: Arc::clone(&watched) as Arc<dyn BlockStore>,
            watched,
            waiting: Arc::clone(&waiting),
            news: News::default(),
        });
        let trouble = || entrance.trouble().unwrap();
        assert_eq!(trouble(), "the member is starting");
        let refused = || async {
            Err::<(), _>(rings_chain::ChainError::Timeout {
                endpoint: "http://127.0.0.1:1".into(),
                method: "eth_chainId".into(),
                seconds: 1,
            })
        };
        // It is waited for as long as this lives.
        let mut asking = pin!(waiting.patiently(refused));
        let asked = timeout(Duration::from_millis(50), &mut asking);
        assert!(asked.await.is_err(), "it goes on asking");
        assert!(trouble().contains("http://127.0.0.1:1"), "{}", trouble());
        let status = entrance.status().await.unwrap();
        assert_eq!((status.following, status.trouble), (false, Some(trouble())));
        assert_eq!(
            (status.member, status.ring),
            (Address([1; 20]), Address([2; 20]))
        );
        let mut text = String::new();
        entrance.encode_metrics(&mut text).unwrap();
        assert!(text.contains("rings_chain_head 0"), "{text}");
        assert!(text.contains("rings_following 0"), "{text}");
    }
}
