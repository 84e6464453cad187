//! Log nodes that no other member has are sought in the network that the store is a part of.
//!
//! The chain says where each log of a client ring ends. A head that is not held here may have come to one member only, which is
//! gone now; or the avatar brought it to the chain by itself. Then the other members are asked first, and after them the
//! store: Kubo asks the peers that it is connected with, so an avatar whose blocks are in a Kubo of its own is found. From the head
//! the links lead back to what is held. All nodes are checked as those that a member gives, and then held and pinned like them.
//!
//! Which heads moved is read from events, once for many rings, when the chain has new blocks; so idle rings cost nothing. Rings
//! that are new here, and all after a start, are asked for their heads one after the other. All of it is bounded: one block has a
//! short deadline in the store ([`rings_store::KUBO_SEEK_TIMEOUT`]), one log [`LOG_DEADLINE`], and what was not found is
//! sought again after longer and longer pauses.

use super::{
    keeper::Clients,
    refusal::{of_chain, of_state},
    spread::NodeOffer,
};
use crate::state::StateError;
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::{with_causes, ApiError};
use rings_protocol::{
    backoff::Backoff,
    cids::{digest_of, node_cid},
    flush::HeldLogs,
    log::LogNode,
    Address, Digest,
};
use rings_store::{Block, BlockSource, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something is to be sought.
const LOOK: Duration = Duration::from_secs(1);
/// How often at most the chain is asked which heads have moved, whatever the time between its blocks: whoever takes nodes tells the
/// others at once, so this finds only what nobody told.
const NOTICE: Duration = Duration::from_secs(10);
/// Rings whose heads are all asked for in one look, after a start.
const RINGS_ASKED: usize = 1;
/// Logs that are sought at one moment.
const SOUGHT_AT_ONCE: usize = 4;
/// Most logs that wait for it. Others are noticed when their heads move again.
const MOST_SOUGHT: usize = 4_096;
/// How long one log may be sought. What came is found quickly the next time.
const LOG_DEADLINE: Duration = Duration::from_secs(60);
/// Most nodes between what is held and a head.
const MOST_NODES: usize = 16_384;
/// Nodes that are read and taken in together.
const NODES_AT_ONCE: usize = 64;
/// Blocks that are asked for at one moment, for one log.
const BLOCKS_AT_ONCE: usize = 8;
/// Pauses after a log was not found; the first one also after the chain could not be asked.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A log: ring and author.
type Place = (Address, Address);

/// Seeks logs until `stop`.
///
/// # Errors
/// None now; all failures are tried again.
pub async fn seek(clients: Arc<Clients>, stop: CancellationToken) -> Result<(), StateError> {
    let mut seeker = Seeker {
        read: None,
        asked: BTreeSet::new(),
        has_more: true,
        noticed: None,
        logs: BTreeMap::new(),
    };
    while !stop.is_cancelled() {
        let work = async {
            let noticed = seeker.notice(&clients).await;
            seeker.seek(&clients).await;
            let pause = match noticed {
                Ok(()) => LOOK,
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::debug!(cause, "it cannot be seen now which heads have moved");
                    FIRST_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = work => {}
        }
    }
    Ok(())
}

/// Which logs are sought.
struct Seeker {
    /// Blocks up to this one were read for heads that moved.
    read: Option<u64>,
    /// Rings whose heads were all asked for since the start.
    asked: BTreeSet<Address>,
    /// Whether there may be rings whose heads were not.
    has_more: bool,
    /// When the chain was asked last.
    noticed: Option<Instant>,
    logs: BTreeMap<Place, Attempt>,
}

/// A log that is sought.
struct Attempt {
    due: Instant,
    pauses: Backoff,
}

impl Attempt {
    fn now() -> Self {
        Self {
            due: Instant::now(),
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }
}

impl Seeker {
    /// Notes the logs that end on chain with a node that is not held.
    async fn notice(&mut self, clients: &Clients) -> Result<(), ApiError> {
        let head = clients.parts.ring.head();
        // Before the chain has shown its newest block, blocks would be read from the first one on.
        if head == 0 {
            return Ok(());
        }
        let read = *self.read.get_or_insert(head);
        let is_due = self
            .noticed
            .is_none_or(|noticed| noticed.elapsed() >= NOTICE);
        if !self.has_more && (head <= read || !is_due) {
            return Ok(());
        }
        self.noticed = Some(Instant::now());
        let rings = kept_rings(clients)?;
        if head > read && !rings.is_empty() {
            // Blocks that are not final may have been replaced since they were read.
            let from = (read + 1).saturating_sub(clients.parts.confirmations);
            let rings: Vec<_> = rings.iter().copied().collect();
            let moved = clients.parts.chain.moved_heads(&rings, (from, head)).await;
            for (place, head) in moved.map_err(of_chain)? {
                self.want(clients, place, head)?;
            }
        }
        self.read = Some(head);
        self.asked.retain(|ring| rings.contains(ring));
        let fresh = rings.iter().filter(|ring| !self.asked.contains(*ring));
        let fresh: Vec<_> = fresh.copied().take(RINGS_ASKED + 1).collect();
        self.has_more = !fresh.is_empty();
        for ring in fresh.into_iter().take(RINGS_ASKED) {
            let heads = clients.parts.chain.heads_of(ring).await;
            for (author, head) in heads.map_err(of_chain)? {
                self.want(clients, (ring, author), head)?;
            }
            self.asked.insert(ring);
        }
        Ok(())
    }

    fn want(&mut self, clients: &Clients, place: Place, head: Digest) -> Result<(), ApiError> {
        let is_known = self.logs.contains_key(&place) || clients.holds(place.0, head)?;
        if !is_known && self.logs.len() < MOST_SOUGHT {
            self.logs.insert(place, Attempt::now());
        }
        Ok(())
    }

    /// Seeks some of the logs that are due.
    async fn seek(&mut self, clients: &Clients) {
        let now = Instant::now();
        let due = self.logs.iter().filter(|(_, attempt)| attempt.due <= now);
        let due: Vec<_> = due.map(|(place, _)| *place).take(SOUGHT_AT_ONCE).collect();
        let sought = due.into_iter().map(|place| async move {
            let sought = timeout(LOG_DEADLINE, clients.seek_log(place)).await;
            (place, sought.unwrap_or_else(|_| Err(late())))
        });
        let sought: Vec<_> = stream::iter(sought)
            .buffer_unordered(SOUGHT_AT_ONCE)
            .collect()
            .await;
        for (place, found) in sought {
            match found {
                Ok(()) => drop(self.logs.remove(&place)),
                Err(error) => self.again_later(place, &error),
            }
        }
    }

    fn again_later(&mut self, place: Place, error: &ApiError) {
        let Some(attempt) = self.logs.get_mut(&place) else {
            return;
        };
        let (ring, avatar) = place;
        let (is_first, cause) = (attempt.pauses.failures() == 0, with_causes(error));
        match is_first {
            true => {
                tracing::warn!(%ring, %avatar, cause, "a log ends on chain with a node that is not held here, and nobody gives it now; it is sought again later");
            }
            false => {
                tracing::debug!(%ring, %avatar, cause, "the end of a log was sought again and not found");
            }
        }
        attempt.due = Instant::now() + attempt.pauses.failed(rand::random());
    }
}

fn kept_rings(clients: &Clients) -> Result<BTreeSet<Address>, ApiError> {
    let (mut after, mut all) = (None, BTreeSet::new());
    loop {
        let rings = clients.next_rings(&mut after)?;
        if rings.is_empty() {
            return Ok(all);
        }
        all.extend(rings);
    }
}

fn late() -> ApiError {
    let time = format!("not within {} s", LOG_DEADLINE.as_secs());
    ApiError::internal("the nodes of a log were not found", time)
}

impl Clients {
    /// Whether the log that ends with `head` is held, or there is none.
    fn holds(&self, ring: Address, head: Digest) -> Result<bool, ApiError> {
        let place = self.state.held(ring).place_of(head).map_err(of_state)?;
        Ok(head.is_zero() || place.is_some())
    }

    /// Gets a log up to its head on chain: from the other members, else from the network of the store.
    async fn seek_log(&self, (ring, author): Place) -> Result<(), ApiError> {
        match self.keeps_now(ring).await {
            Ok(()) => {}
            Err(ApiError::NotFollowed { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let head = self.parts.chain.log_head(ring, author).await;
        let head = head.map_err(of_chain)?;
        for (member, peer) in self.others() {
            if self.holds(ring, head)? {
                return Ok(());
            }
            if let Err(error) = self.catch_up(peer, Some(ring)).await {
                let cause = with_causes(&error);
                tracing::debug!(%member, %ring, cause, "a member does not give all logs of a client ring");
            }
        }
        if self.holds(ring, head)? || !self.is_author(ring, author).await? {
            return Ok(());
        }
        let wanted = self.lead_back((ring, author), head).await?;
        let nodes = wanted.len();
        // They are taken in from the oldest on.
        for digests in wanted.rchunks(NODES_AT_ONCE) {
            let nodes = self.sought_nodes(ring, digests).await?;
            self.continue_log((ring, author), nodes).await?;
        }
        // The others learn at once that it is here.
        let offer = NodeOffer::new((ring, author), head, &[]);
        self.spread(offer, (0, Duration::ZERO)).await;
        tracing::info!(%ring, avatar = %author, nodes, "log nodes that no other member had were found in the network of the store");
        Ok(())
    }

    /// The nodes from a head back to what is held, the newest first.
    async fn lead_back(
        &self,
        (ring, author): Place,
        head: Digest,
    ) -> Result<Vec<Digest>, ApiError> {
        let held = self.state.held(ring);
        let tip = held.tip(author).map_err(of_state)?;
        let (mut digests, mut next) = (Vec::new(), Some(head));
        while let Some(digest) = next.filter(|digest| Some(*digest) != tip.map(|tip| tip.digest)) {
            if digests.len() >= MOST_NODES {
                return Err(ApiError::internal(
                    "too many nodes of a log are missing",
                    format!("more than {MOST_NODES}; its author can send them with AppendToRing"),
                ));
            }
            let node = self.sought_node(ring, digest).await?;
            if node.author() != author {
                return Err(ApiError::internal(
                    "a log ends on chain with a node of somebody else",
                    node.author().to_string(),
                ));
            }
            digests.push(digest);
            // Two histories: what is held there is another node. It is found when they are taken in.
            let is_forked = tip.is_some_and(|tip| node.seq() <= tip.seq);
            let before = node.content().prev.filter(|_| !is_forked);
            next = before.and_then(|before| digest_of(&before).ok());
        }
        Ok(digests)
    }

    /// Some nodes, in any order.
    async fn sought_nodes(
        &self,
        ring: Address,
        digests: &[Digest],
    ) -> Result<Vec<LogNode>, ApiError> {
        let nodes = digests.iter().map(|digest| self.sought_node(ring, *digest));
        // Collected first: a lazy stream over borrowed digests is not `Send` enough for the compiler.
        let nodes: Vec<_> = nodes.collect();
        let nodes = stream::iter(nodes).buffered(BLOCKS_AT_ONCE);
        nodes.try_collect().await
    }

    async fn sought_node(&self, ring: Address, digest: Digest) -> Result<LogNode, ApiError> {
        let block = self.sought_block(digest).await;
        let block =
            block.map_err(|error| ApiError::internal("a node of a log was not found", error))?;
        let opener = self.opener(ring)?;
        tokio::task::block_in_place(|| opener.open(block.data()))
    }

    /// From this store, from the other members as all blocks, or from the network of the store.
    async fn sought_block(&self, digest: Digest) -> Result<Block, StoreError> {
        let cid = node_cid(digest);
        let found = match self.parts.blocks.blocks(&[cid]).await {
            Ok(blocks) => blocks.into_iter().next(),
            Err(StoreError::NotFound { .. }) => self.parts.store.seek(&cid).await?,
            Err(error) => return Err(error),
        };
        found.ok_or(StoreError::NotFound { cid })
    }
}
