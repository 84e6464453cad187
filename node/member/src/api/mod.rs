//! Answers the questions of the HTTP side ([`NodeApi`]).
//!
//! [`Api`] reads from four places: the state database (gates, votes, logs), [`RingStatus`] (members, peers,
//! heights), the chain (who keeps the ring, how a result was registered), and the core, which is asked through its
//! inbox how far it is with a gate. It changes nothing, except that it gives requests to the core, what avatars send to
//! [`Clients`], and what people ask of processes to [`Processes`]. To add a method, add it to the trait in `rings-api` first.
//!
//! Its files: `gate` (one gate, its votes and how far it is), `health` (what is wrong, and whom this member cannot
//! reach), `request` (the same for requests, and proofs), `log` and `older` (pages of a member's log), `registry` (the chain's registry of services and processes), `views` (the parts of an
//! answer that need nothing but what they show).

mod gate;
mod health;
mod log;
mod older;
mod registry;
mod request;
mod views;

use crate::{
    blocks::MemberBlocks,
    clients::Clients,
    clock,
    core::Input,
    housekeeping::Housekeeper,
    metrics::{self, Facts},
    opened::Opened,
    processes::Processes,
    ring_keys::RingKeys,
    ring_status::{RingStatus, Snapshot},
    signer::MemberKey,
    state::MemberState,
    watched_store::WatchedStore,
};
use async_trait::async_trait;
use rings_api::{
    registry::{RegistryView, SearchRegistryParams},
    views::{
        ForkView, GateView, Head, LogPage, MemberView, ProofView, RequestView, RequestedView,
        RingView, Status, StoreStatus,
    },
    ApiError, ClientRings, News, NodeApi, ProcessKeeper, RequestParams, StoreKeeper,
};
use rings_chain::{Chain, RingState};
use rings_network::Network;
use rings_protocol::{cids::node_cid, crypto::Signer, eip712::Domain, log::Tip, Address, Digest};
use rings_store::{BlockSource, BlockStore};
use std::{fmt, sync::Arc};
use tokio::sync::mpsc;
use views::memory;

/// Most gates that are listed for a member that voted for another result.
const MAX_DIVERGED: usize = 100;
/// Everything from which answers are made.
pub struct Api {
    me: Address,
    /// The member's key, or who has it.
    key: MemberKey,
    ring: Address,
    domain: Domain,
    /// How the ring's log nodes are read.
    keys: Arc<RingKeys>,
    /// Blocks on top of a result before it is called final.
    confirmations: u64,
    chain: Chain,
    state: Arc<MemberState>,
    store: Arc<dyn BlockStore>,
    /// The same, which knows whether it works.
    watched: Arc<WatchedStore>,
    shared: Arc<RingStatus>,
    network: Network,
    blocks: Arc<MemberBlocks>,
    clients: Arc<Clients>,
    processes: Arc<Processes>,
    keeper: Arc<Housekeeper>,
    outbox: mpsc::Sender<Input>,
    /// Where the parts of this member tell what happens.
    news: News,
    /// When this process began to run, in milliseconds since 1970.
    started: u64,
}

impl Api {
    pub(crate) fn new(
        parts: &Opened,
        network: Network,
        (blocks, clients, processes): (Arc<MemberBlocks>, Arc<Clients>, Arc<Processes>),
        keeper: Arc<Housekeeper>,
        (outbox, news): (mpsc::Sender<Input>, News),
    ) -> Self {
        Self {
            me: parts.key.address(),
            key: parts.key.clone(),
            ring: parts.domain.ring,
            domain: parts.domain,
            keys: Arc::clone(&parts.keys),
            confirmations: parts.confirmations,
            chain: parts.chain.clone(),
            state: Arc::clone(&parts.state),
            store: Arc::clone(&parts.store),
            watched: Arc::clone(&parts.watched),
            shared: Arc::clone(&parts.shared),
            network,
            blocks,
            clients,
            processes,
            keeper,
            outbox,
            news,
            started: clock::milliseconds(),
        }
    }

    /// A member answers for its own ring only.
    fn followed(&self, ring: Address) -> Result<(), ApiError> {
        match ring == self.ring {
            true => Ok(()),
            false => Err(ApiError::NotFollowed { ring }),
        }
    }

    /// The newest node of a member's log that is held here.
    fn head(&self, member: Address) -> Result<Option<Head>, ApiError> {
        let tip = self.state.tip(member).map_err(memory)?;
        Ok(tip.map(|Tip { seq, digest }| Head {
            seq,
            cid: node_cid(digest),
        }))
    }

    /// The proofs of forks that are held, and what became of them on chain.
    async fn forks(&self, ring: &RingState) -> Result<Vec<ForkView>, ApiError> {
        let mut forks = Vec::new();
        for proof in self.state.fork_proofs(&self.keys.form()).map_err(memory)? {
            let (member, seq) = (proof.author(), proof.seq());
            let is_member = ring.members.contains(&member);
            let frozen = match is_member {
                true => self.chain.is_frozen(self.ring, member).await,
                false => Ok(false),
            };
            let frozen =
                frozen.map_err(|error| ApiError::internal("the chain cannot be asked", error))?;
            let proven = !is_member || frozen;
            forks.push(ForkView {
                member,
                seq,
                proven,
            });
        }
        Ok(forks)
    }

    /// A member as this one sees it: how it can be reached, what is held of its log, and what speaks against it.
    fn member(&self, member: Address, snapshot: &Snapshot) -> Result<MemberView, ApiError> {
        let contact = snapshot.contacts.get(&member);
        let connected = member == self.me
            || contact.is_some_and(|contact| snapshot.connected.contains(&contact.peer));
        let multiaddresses = contact.map_or_else(Vec::new, |contact| {
            rings_network::address_texts(&contact.multiaddress)
        });
        Ok(MemberView {
            address: member,
            peer_id: contact.map(|contact| contact.peer.to_string()),
            multiaddress: multiaddresses.first().cloned(),
            multiaddresses,
            program: contact.and_then(|contact| self.network.program_of(&contact.peer)),
            connected,
            last_seen: snapshot.last_seen.get(&member).copied(),
            head: self.head(member)?,
            diverged: self
                .state
                .divergences(member, MAX_DIVERGED)
                .map_err(memory)?,
            forked: snapshot.forked.contains(&member),
            stalled: snapshot.stalled.get(&member).copied().unwrap_or(0),
            held_back: snapshot.held_back.get(&member).copied(),
        })
    }
}

#[async_trait]
impl NodeApi for Api {
    async fn status(&self) -> Result<Status, ApiError> {
        let snapshot = self.shared.snapshot();
        // A store that does not answer holds nobody up.
        let size = self.watched.size_by_now().await;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            profile: rings_compute::profile(),
            chain_id: self.chain.id(),
            block: snapshot.head,
            following: self.following(),
            trouble: self.trouble(),
            member: self.me,
            peer_id: self.network.local_id().to_string(),
            peers: snapshot.connected.len() as u32,
            ring: self.ring,
            epoch: snapshot.epoch,
            head: self.head(self.me)?,
            store: StoreStatus {
                kind: self.store.kind().into(),
                blocks: size.blocks,
                bytes: size.bytes,
            },
            announced: self.announced(&snapshot),
            balance: snapshot.funds.get(&self.me).map(ToString::to_string),
            registrations: snapshot.affordable(self.me),
            providers: self.providers(),
            unreachable: self.unreachable(&snapshot),
            warnings: self.own_warnings(&snapshot),
        })
    }

    async fn ring(&self, ring: Address) -> Result<RingView, ApiError> {
        self.followed(ring)?;
        let snapshot = self.shared.snapshot();
        let unreachable = |error| ApiError::internal("the chain cannot be asked", error);
        let on_chain = self.chain.ring_state(ring).await.map_err(unreachable)?;
        let members = on_chain
            .members
            .iter()
            .map(|member| self.member(*member, &snapshot))
            .collect::<Result<_, _>>()?;
        Ok(RingView {
            ring,
            engine: on_chain.engine,
            keeper: on_chain.keeping.keeper,
            epoch: on_chain.epoch,
            quorum: on_chain.quorum,
            ring_node_head: on_chain.ring_node_head,
            forks: self.forks(&on_chain).await?,
            members,
        })
    }

    async fn gate(&self, gate: Address) -> Result<GateView, ApiError> {
        self.gate_view(gate).await
    }

    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
        reads: bool,
    ) -> Result<LogPage, ApiError> {
        match ring == self.ring {
            true => self.log_page(ring, member, from, (limit, reads)).await,
            false => self.clients.log((ring, member), from, limit).await,
        }
    }

    fn is_sealed(&self, block: &[u8]) -> bool {
        self.keys.is_sealed(block)
    }

    async fn client_rings(&self) -> Result<Arc<dyn ClientRings>, ApiError> {
        Ok(Arc::clone(&self.clients) as Arc<dyn ClientRings>)
    }

    async fn processes(&self) -> Result<Arc<dyn ProcessKeeper>, ApiError> {
        Ok(Arc::clone(&self.processes) as Arc<dyn ProcessKeeper>)
    }

    async fn request(&self, request: RequestParams) -> Result<RequestedView, ApiError> {
        self.ask(request).await
    }

    async fn get_request(&self, request: Digest) -> Result<RequestView, ApiError> {
        self.request_view(request).await
    }

    async fn proof(&self, request: Digest) -> Result<ProofView, ApiError> {
        self.proof_view(request).await
    }

    async fn search_registry(&self, which: SearchRegistryParams) -> Result<RegistryView, ApiError> {
        registry::search(&self.chain, which).await
    }

    fn source(&self) -> Arc<dyn BlockSource> {
        Arc::clone(&self.blocks) as Arc<dyn BlockSource>
    }

    fn store(&self) -> Arc<dyn BlockStore> {
        Arc::clone(&self.store)
    }

    fn file_added(&self) {
        self.chain.hint();
    }

    fn keeper(&self) -> Option<Arc<dyn StoreKeeper>> {
        Some(Arc::clone(&self.keeper) as Arc<dyn StoreKeeper>)
    }

    fn news(&self) -> News {
        self.news.clone()
    }

    fn following(&self) -> bool {
        self.chain_trouble().is_none()
    }

    fn trouble(&self) -> Option<String> {
        self.chain_trouble().or_else(|| self.watched.trouble())
    }

    fn warnings(&self) -> Vec<String> {
        self.all_warnings()
    }

    fn encode_metrics(&self, out: &mut String) -> fmt::Result {
        let snapshot = self.shared.snapshot();
        let facts = Facts {
            shared: &self.shared,
            network: self.network.stats(),
            following: self.following(),
            members: &self.members(&snapshot),
            unreachable: &self.unreachable(&snapshot),
            providers: &self.providers(),
            is_signer_away: self.key.trouble().is_some(),
            is_store_failing: self.watched.trouble().is_some(),
            usage: &self.state.usage().unwrap_or_default(),
        };
        metrics::write(&facts, out)
    }
}

impl Api {
    /// What this member sees of all members. If its database cannot be read now, the other metrics are still written.
    fn members(&self, snapshot: &Snapshot) -> Vec<MemberView> {
        let views = snapshot.members.iter();
        let views = views.map(|member| self.member(*member, snapshot));
        views.collect::<Result<_, _>>().unwrap_or_else(|error| {
            let cause = &error as &dyn std::error::Error;
            tracing::warn!(error = cause, "the metrics have no members");
            Vec::new()
        })
    }
}
