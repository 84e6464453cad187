//! What the parts of the work for client rings share.
//!
//! [`Clients`] is made when the member starts. It holds the parts of the member that this work rests on
//! ([`KeeperParts`]), the database of client rings, the purse, and the queue of actions for the relay. The other files
//! of this directory add their methods to it. Here are those that several of them need: does this ring keep the logs of
//! a client ring, write a message into the own log, begin with an action, is there room for one more. It answers the
//! HTTP side as [`ClientRings`].

use super::{
    known::RecentFacts,
    locks::Locks,
    opener::Openers,
    purse::SharedPurse,
    refusal::{of_chain, of_state, view},
};
use crate::{
    blocks::MemberBlocks,
    config::ClientsConfig,
    core::{Input, Saying},
    ring_keys::RingKeys,
    ring_status::RingStatus,
    signer::MemberKey,
    state::{ClientState, MemberState, StateError},
};
use async_trait::async_trait;
use rings_api::{
    client_rings::{
        AppendParams, ClientRingsParams, ClientRingsView, FlushParams, HeldView, MessageView,
        ReplicateParams,
    },
    views::LogPage,
    ApiError, ClientRings, News,
};
use rings_chain::{Chain, Submitter};
use rings_network::Network;
use rings_protocol::{
    crypto::Signer, eip712::Domain, flush::FlushStatus, message::Message, Address, Digest,
};
use rings_store::BlockStore;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, Notify, Semaphore};

/// Rings that are looked at together.
const RINGS_AT_ONCE: usize = 256;
/// Actions that may be on their way to the chain at one moment. Beyond that, further ones are told to come again.
pub(super) const MAX_OPEN: usize = 4096;
/// Names of actions on their way to the relay.
const BEGUN: usize = MAX_OPEN;
/// Offers of log nodes to other members that are under way at one moment.
const OFFERS: usize = 256;
/// When somebody may try again who came at a moment with too many open actions, in milliseconds.
const FULL_MILLISECONDS: u64 = 1_000;

/// The parts of the member that the work for client rings rests on.
pub struct KeeperParts {
    /// The member's account key.
    pub key: MemberKey,
    /// Chain and ring.
    pub domain: Domain,
    /// The engine that owns the ring.
    pub engine: Address,
    /// The chain.
    pub chain: Chain,
    /// Sends transactions.
    pub submitter: Arc<Submitter>,
    /// The block store.
    pub store: Arc<dyn BlockStore>,
    /// Blocks of the own store and of the other members.
    pub blocks: Arc<MemberBlocks>,
    /// The other members.
    pub network: Network,
    /// The logs of this member's ring.
    pub logs: Arc<MemberState>,
    /// How their nodes are read.
    pub keys: Arc<RingKeys>,
    /// The ring as this member sees it.
    pub ring: Arc<RingStatus>,
    /// The core, which writes the own log.
    pub outbox: mpsc::Sender<Input>,
    /// Notified when nodes of other members' logs are on disk.
    pub heard: Arc<Notify>,
    /// For those who subscribe at the HTTP side.
    pub news: News,
    /// How long the next in line waits for a relayer.
    pub turn: Duration,
    /// Blocks on top of a transaction before it is called final.
    pub confirmations: u64,
}

/// Keeps the logs of client rings, and relays what their avatars sign.
pub struct Clients {
    pub(super) parts: KeeperParts,
    pub(super) me: Address,
    pub(super) state: Arc<ClientState>,
    pub(super) purse: SharedPurse,
    pub(super) locks: Locks,
    /// What the chain has said a moment ago.
    pub(super) known: RecentFacts,
    /// What opens the nodes of the rings that were asked about last.
    pub(super) openers: Openers,
    /// Places for offers to other members.
    pub(super) offers: Arc<Semaphore>,
    /// Notified when the registration of a ring may have ended.
    pub(super) ended: Notify,
    /// Notified when there is new evidence against an avatar.
    pub(super) forked: Notify,
    /// Most bytes of log nodes that are kept of a ring.
    pub(super) space: u64,
    /// Names of actions that are open, or about which there is news.
    pub(super) begun: mpsc::Sender<Digest>,
}

impl Clients {
    /// Also gives the receiver of the actions that are to be relayed.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn new(
        parts: KeeperParts,
        state: Arc<ClientState>,
        config: &ClientsConfig,
    ) -> Result<(Self, mpsc::Receiver<Digest>), StateError> {
        let (begun, received) = mpsc::channel(BEGUN);
        let clients = Self {
            me: parts.key.address(),
            purse: SharedPurse::open(config, &state)?,
            locks: Locks::default(),
            known: RecentFacts::default(),
            openers: Openers::default(),
            offers: Arc::new(Semaphore::new(OFFERS)),
            ended: Notify::new(),
            forked: Notify::new(),
            space: config.bytes_per_ring,
            state,
            begun,
            parts,
        };
        Ok((clients, received))
    }

    /// What is kept on disk.
    pub fn state(&self) -> Arc<ClientState> {
        Arc::clone(&self.state)
    }

    /// The next rings that are kept, in ascending order, behind `after`, which moves on; none at the end.
    pub(super) fn next_rings(&self, after: &mut Option<Address>) -> Result<Vec<Address>, ApiError> {
        let rings = self.state.rings(*after, RINGS_AT_ONCE).map_err(of_state)?;
        *after = rings.last().copied().or(*after);
        Ok(rings)
    }

    /// The domain in which the avatars of a client ring sign.
    pub(super) fn domain(&self, ring: Address) -> Domain {
        Domain::new(self.parts.domain.chain_id, ring)
    }

    /// Whether this member's ring keeps the logs of `ring`: it is registered on chain, or about to be.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] when it does not.
    pub(super) async fn keeps(&self, ring: Address) -> Result<(), ApiError> {
        let keeping = self.state.keeping(ring).map_err(of_state)?;
        if let Some(msg_hash) = keeping.and_then(|keeping| keeping.registered_by) {
            let flush = self.state.flush(msg_hash).map_err(of_state)?;
            if flush.is_some_and(|flush| flush.status == FlushStatus::Received) {
                return Ok(());
            }
        }
        let keeper = self.parts.domain.ring;
        match self.parts.chain.is_client(keeper, ring).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApiError::NotFollowed { ring }),
            Err(error) => Err(of_chain(error)),
        }
    }

    /// Writes a message into the own log. It is on disk when this returns.
    pub(super) async fn say(&self, message: Message) -> Result<(), ApiError> {
        let (done, written) = oneshot::channel();
        let messages = vec![message];
        let saying = Input::Say(Saying { messages, done });
        let ended = |_| ApiError::internal("this member is stopping", "the core has ended");
        self.parts
            .outbox
            .send(saying)
            .await
            .map_err(|_| ended(()))?;
        written.await.map_err(|_| ended(()))
    }

    /// The own account could not pay: the core has status and metrics say so.
    pub(super) async fn cannot_pay(&self) {
        if self.parts.outbox.send(Input::Unpaid).await.is_err() {
            tracing::debug!("the core has ended");
        }
    }

    /// An action is to be relayed, or there is news about it.
    pub(super) async fn begin(&self, msg_hash: Digest) {
        if self.begun.send(msg_hash).await.is_err() {
            tracing::debug!(
                "the relay has ended; the action is found when the member starts again"
            );
        }
    }

    /// Whether one more action may be on its way.
    pub(super) fn has_room(&self) -> Result<(), ApiError> {
        let milliseconds = FULL_MILLISECONDS;
        let open = self.state.open_flushes(MAX_OPEN).map_err(of_state)?;
        match open.len() < MAX_OPEN {
            true => Ok(()),
            false => Err(ApiError::Busy { milliseconds }),
        }
    }
}

#[async_trait]
impl ClientRings for Clients {
    async fn flush(&self, request: FlushParams) -> Result<MessageView, ApiError> {
        self.take_flush(request).await
    }

    async fn append(&self, request: AppendParams) -> Result<HeldView, ApiError> {
        self.take_append(request).await
    }

    async fn replicate(&self, request: ReplicateParams) -> Result<MessageView, ApiError> {
        self.take_ring(request).await
    }

    async fn message(&self, msg_hash: Digest) -> Result<Option<MessageView>, ApiError> {
        let flush = self.state.flush(msg_hash).map_err(of_state)?;
        Ok(flush.map(|flush| view(msg_hash, &flush.status)))
    }

    async fn rings(&self, which: ClientRingsParams) -> Result<ClientRingsView, ApiError> {
        self.show_rings(which.ring, which.from)
    }

    async fn log(
        &self,
        place: (Address, Address),
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError> {
        self.show_log(place, from, limit).await
    }
}
