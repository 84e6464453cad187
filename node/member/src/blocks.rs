//! Blocks from this member's store, and from other members if they are missing there.
//!
//! [`MemberBlocks`] is the block source of everything that reads: computing, and the gateway. It looks into the own
//! store, then asks the member that gave the last block, then all connected members at once. Each block that comes is
//! hashed before it is stored, and the answer is read from the store. `serve.rs` is the other side.
//!
//! Neither a silent member nor a lying one can delay a search for long: the last provider has a short time before all
//! others are asked too, each request has a deadline, and bytes that do not hash to their CID are dropped. A block that
//! nobody has is an error of now (`StoreError::NotFound`) and not a statement about the block, so no vote follows from
//! it.

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream::FuturesUnordered, StreamExt};
use rings_api::GatewaySource;
use rings_network::{Network, NetworkError, PeerId};
use rings_protocol::wire::{encode, Response, WireError, WireRequest, MAX_BLOCKS};
use rings_store::{Block, BlockSource, BlockStore, StoreError};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How long the last provider may take before all other members are asked too.
const PATIENCE: Duration = Duration::from_millis(250);
/// Further time for each block, because blocks may be large.
const PATIENCE_PER_BLOCK: Duration = Duration::from_millis(100);

/// Of the blocks that are expected, how many are looked for before all of them are.
const LOOKED_FOR: usize = 8;

/// Bytes of fetched blocks that are written together: what is fetched waits in memory until there are as many, or no more to
/// fetch. A disk takes as long for one small block as for a thousand.
const WRITTEN_TOGETHER: usize = 2 << 20;

/// The longest time for one member to answer, so that a silent member does not delay the search any longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// The own store with the ring's other members behind it. What comes from them is kept.
pub struct MemberBlocks {
    store: Arc<dyn BlockStore>,
    network: Network,
    /// The member that gave the last missing block: it probably has the next one too.
    provider: Mutex<Option<PeerId>>,
    /// Where blocks are looked for that no member has: those of other rings.
    gateways: Option<GatewaySource>,
}

/// Why a member gave no blocks. It is only logged: the next one is asked.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{peer} cannot be asked for blocks")]
    Network {
        peer: PeerId,
        #[source]
        source: NetworkError,
    },
    #[error("{peer} did not answer within {} s", DEADLINE.as_secs())]
    Late { peer: PeerId },
    #[error("{peer} sent an invalid answer")]
    Wire {
        peer: PeerId,
        #[source]
        source: WireError,
    },
}

impl MemberBlocks {
    /// A source over this store and this network.
    pub fn new(store: Arc<dyn BlockStore>, network: Network) -> Self {
        Self {
            store,
            network,
            provider: Mutex::new(None),
            gateways: None,
        }
    }

    /// The same with gateways behind it. It must not be what the own gateway reads from: two members could ask each other for
    /// ever.
    pub fn with_gateways(mut self, gateways: Option<GatewaySource>) -> Self {
        self.gateways = gateways;
        self
    }

    fn provider(&self) -> Option<PeerId> {
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, peer: PeerId) {
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
    }

    /// The blocks that are held. A damaged copy counts as missing, and is replaced when the block is stored again.
    async fn held(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        match self.store.get_many(cids).await {
            Err(StoreError::Corrupt { .. }) => self.held_one_by_one(cids).await,
            other => other,
        }
    }

    /// Reads blocks singly, so that a damaged one counts as absent and the others are still used.
    async fn held_one_by_one(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        let mut blocks = Vec::with_capacity(cids.len());
        for cid in cids {
            blocks.push(match self.store.get(cid).await {
                Ok(data) => data.map(|data| Block::new(*cid, data)).transpose()?,
                Err(StoreError::Corrupt { cid }) => {
                    tracing::warn!(%cid, "the copy of a block on this disk is damaged; it is fetched again");
                    None
                }
                Err(error) => return Err(error),
            });
        }
        Ok(blocks)
    }

    /// Those that are not in the store, and of which it cannot be told.
    async fn missing(&self, cids: &[Cid]) -> Vec<Cid> {
        let mut missing = Vec::new();
        for cid in cids {
            if !self.store.has(cid).await.unwrap_or(false) {
                missing.push(*cid);
            }
        }
        missing
    }

    /// Asks until all blocks are stored, or no member has any of the rest.
    async fn fetch(&self, mut missing: Vec<Cid>) -> Result<(), StoreError> {
        let (mut fetched, mut bytes) = (Vec::new(), 0);
        while let Some(first) = missing.first().copied() {
            let wanted = &missing[..missing.len().min(MAX_BLOCKS)];
            let mut found = self.ask_around(wanted).await;
            if found.is_empty() {
                found = self.ask_gateways(first).await;
            }
            if found.is_empty() {
                self.store.put(fetched).await?;
                return Err(StoreError::NotFound { cid: first });
            }
            let names: HashSet<_> = found.iter().map(|block| *block.cid()).collect();
            missing.retain(|cid| !names.contains(cid));
            bytes += found.iter().map(|block| block.data().len()).sum::<usize>();
            fetched.extend(found);
            if bytes >= WRITTEN_TOGETHER {
                self.store.put(std::mem::take(&mut fetched)).await?;
                bytes = 0;
            }
        }
        self.store.put(fetched).await
    }

    /// Asks the last provider, and when it has nothing or is slow, all others at once. The first answer that has any block
    /// counts, so a member that is gone costs at most that wait.
    async fn ask_around(&self, wanted: &[Cid]) -> Vec<Block> {
        let provider = self.provider();
        let mut answers: FuturesUnordered<_> = provider
            .into_iter()
            .map(|peer| self.ask_named(peer, wanted))
            .collect();
        let patience = PATIENCE + wanted.len() as u32 * PATIENCE_PER_BLOCK;
        if let Ok(Some((_, found))) = timeout(patience, answers.next()).await {
            if !found.is_empty() {
                return found;
            }
        }
        // One block from each: whoever has it gives the others too, and all answers are in memory together.
        let first = &wanted[..wanted.len().min(1)];
        let others = self.network.connected().await.into_iter();
        answers.extend(
            others
                .filter(|peer| Some(*peer) != provider)
                .map(|peer| self.ask_named(peer, first)),
        );
        while let Some((peer, found)) = answers.next().await {
            if !found.is_empty() {
                self.remember(peer);
                return found;
            }
        }
        Vec::new()
    }

    /// A block from the gateways of others. It was hashed when it came.
    async fn ask_gateways(&self, cid: Cid) -> Vec<Block> {
        let Some(gateways) = &self.gateways else {
            return Vec::new();
        };
        match gateways.blocks(&[cid]).await {
            Ok(blocks) => blocks,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no gateway gave a block"
                );
                Vec::new()
            }
        }
    }

    async fn ask_named(&self, peer: PeerId, wanted: &[Cid]) -> (PeerId, Vec<Block>) {
        (peer, self.ask_and_log(peer, wanted).await)
    }

    async fn ask_and_log(&self, peer: PeerId, wanted: &[Cid]) -> Vec<Block> {
        match self.ask(peer, wanted).await {
            Ok(blocks) => blocks,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a member gave no blocks"
                );
                Vec::new()
            }
        }
    }

    /// The blocks that `peer` has. Each is hashed, and dropped when it is not the one that was asked for.
    async fn ask(&self, peer: PeerId, wanted: &[Cid]) -> Result<Vec<Block>, FetchError> {
        let wire = |source| FetchError::Wire { peer, source };
        let request = encode(&WireRequest::Blocks(wanted.to_vec())).map_err(wire)?;
        let answer = timeout(DEADLINE, self.network.request(&peer, request.into())).await;
        let answer = answer.map_err(|_| FetchError::Late { peer })?;
        let answer = answer.map_err(|source| FetchError::Network { peer, source })?;
        let decoded = Response::decode(&answer).map_err(wire)?;
        // Now its bytes are in memory twice.
        drop(answer);
        let Response::Blocks(blocks) = decoded else {
            return Err(wire(WireError::Unexpected));
        };
        let named = wanted.iter().zip(blocks);
        let checked = named.filter_map(|(cid, data)| {
            let data = Bytes::from(data?.into_vec());
            match Block::new(*cid, data) {
                Ok(block) => Some(block),
                Err(error) => {
                    tracing::warn!(%peer, %cid, error = &error as &dyn std::error::Error, "a member sent a wrong block");
                    None
                }
            }
        });
        Ok(checked.collect())
    }
}

#[async_trait]
impl BlockSource for MemberBlocks {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        let held = self.held(cids).await?;
        let missing: Vec<_> = cids
            .iter()
            .zip(&held)
            .filter(|(_, block)| block.is_none())
            .map(|(cid, _)| *cid)
            .collect();
        if missing.is_empty() {
            return Ok(held.into_iter().flatten().collect());
        }
        self.fetch(missing).await?;
        let all = self.store.get_many(cids).await?;
        let named = cids.iter().zip(all);
        named
            .map(|(cid, block)| block.ok_or(StoreError::NotFound { cid: *cid }))
            .collect()
    }

    /// Fetches those that are missing, if one of the first is: usually all of a file are here, or none.
    async fn expect(&self, cids: &[Cid]) {
        let (first, _) = cids.split_at(cids.len().min(LOOKED_FOR));
        if self.missing(first).await.is_empty() {
            return;
        }
        let missing = self.missing(cids).await;
        if let Err(error) = self.fetch(missing).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "not all blocks that are needed soon were found"
            );
        }
    }
}
