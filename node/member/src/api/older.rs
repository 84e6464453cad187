//! Nodes of a log from before the head at which its copy here began.
//!
//! They are fetched from other members. Nothing that these say is believed: the way leads back from a node that is held here,
//! link by link, and a block that does not have the digest of the link is not taken. First the skip links lead near to the
//! nodes that are asked for, then the links to the node before. A whole range is asked of one member beforehand, so that the
//! nodes of a page do not cost a question each.

use super::{views::memory, Api};
use crate::core::ask;
use bytes::Bytes;
use cid::Cid;
use rings_api::ApiError;
use rings_network::PeerId;
use rings_protocol::{
    cids::{node_cid, sha256},
    log::{path, Links},
    wire::{Response, WireRequest},
    Address, Digest,
};
use rings_store::{Block, BlockSource};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// How long one member may take for a range.
const DEADLINE: Duration = Duration::from_secs(4);
/// How many members are asked for it.
const RANGES: usize = 3;

impl Api {
    /// Positions and digests of nodes between two positions, both before the first that is held, newest first. Their blocks
    /// are in the store then.
    pub(super) async fn older(
        &self,
        author: Address,
        oldest: u64,
        newest: u64,
    ) -> Result<Vec<(u64, Digest)>, ApiError> {
        let mut digest = self.way_to(author, newest).await?;
        self.prefetch(author, oldest, (newest, digest)).await?;
        let mut found = Vec::new();
        for seq in (oldest..=newest).rev() {
            let links = self.links(author, seq, digest).await?;
            found.push((seq, digest));
            match links.prev {
                Some(prev) => digest = prev,
                None => break,
            }
        }
        self.state.learn_earlier(author, &found).map_err(memory)?;
        Ok(found)
    }

    /// The digest of an older node: it is known, or the links from the nearest later node that is known lead to it.
    async fn way_to(&self, author: Address, seq: u64) -> Result<Digest, ApiError> {
        let earlier = self.state.earlier_from(author, seq).map_err(memory)?;
        let (from, mut digest) = match earlier {
            Some(known) => known,
            None => {
                let from = self.state.held_from(author).map_err(memory)?;
                let held = self.state.node_at(author, from).map_err(memory)?;
                (from, held.ok_or_else(|| broken(author, from))?)
            }
        };
        let way = path(from, seq);
        for step in way.windows(2) {
            let links = self.links(author, step[0], digest).await?;
            digest = links.to(step[1]).ok_or_else(|| broken(author, step[0]))?;
        }
        Ok(digest)
    }

    /// The links of a node that is named by its digest. It must stand where the link to it leads.
    async fn links(&self, author: Address, seq: u64, digest: Digest) -> Result<Links, ApiError> {
        let unreadable = |error| ApiError::internal("no member gives an older log node now", error);
        let cid = node_cid(digest);
        let blocks = self.blocks.blocks(&[cid]).await.map_err(unreadable)?;
        let bytes = blocks.first().map(|block| block.data().clone());
        let node = self.keys.form().open(&bytes.unwrap_or_default());
        let node = node
            .ok()
            .filter(|node| node.seq() == seq && node.author() == author);
        node.map(|node| Links::of(&node))
            .ok_or_else(|| broken(author, seq))
    }

    /// Asks one member after the other for the whole range, and stores those nodes that the digest of the newest fixes. What
    /// does not come in this way is fetched singly.
    async fn prefetch(
        &self,
        author: Address,
        from: u64,
        (newest, digest): (u64, Digest),
    ) -> Result<(), ApiError> {
        let snapshot = self.shared.snapshot();
        let own = snapshot.contacts.get(&author).map(|contact| contact.peer);
        let others = snapshot.connected.iter().copied();
        let peers = own
            .into_iter()
            .chain(others.filter(|peer| Some(*peer) != own));
        for peer in peers.take(RANGES) {
            let given = self.range(&peer, author, from).await;
            let blocks = self.linked(given, (newest, digest));
            if blocks.is_empty() {
                continue;
            }
            let failed = |error| ApiError::internal("log nodes cannot be stored now", error);
            return self.store.put(blocks).await.map_err(failed);
        }
        Ok(())
    }

    async fn range(&self, peer: &PeerId, author: Address, from: u64) -> HashMap<Digest, Bytes> {
        let request = WireRequest::Nodes { author, from };
        let answer = timeout(DEADLINE, ask(&self.network, peer, &request)).await;
        let Ok(Ok(Response::Nodes(nodes))) = answer else {
            return HashMap::new();
        };
        let named = nodes
            .into_iter()
            .map(|node| (sha256(&node), Bytes::from(node.into_vec())));
        named.collect()
    }

    /// The blocks among `given` that the links from the newest one lead to, without a gap.
    fn linked(
        &self,
        mut given: HashMap<Digest, Bytes>,
        (mut seq, mut digest): (u64, Digest),
    ) -> Vec<Block> {
        let (form, mut blocks) = (self.keys.form(), Vec::new());
        while let Some(bytes) = given.remove(&digest) {
            let node = form.open(&bytes).ok();
            let block = block(node_cid(digest), bytes);
            let (Some(node), Some(block)) = (node.filter(|node| node.seq() == seq), block) else {
                break;
            };
            blocks.push(block);
            match Links::of(&node).prev {
                Some(prev) => (seq, digest) = (seq - 1, prev),
                None => break,
            }
        }
        blocks
    }
}

fn block(cid: Cid, bytes: Bytes) -> Option<Block> {
    Block::new(cid, bytes).ok()
}

fn broken(author: Address, seq: u64) -> ApiError {
    ApiError::internal(
        "an older log node cannot be reached",
        format!("the links of the log of {author} do not lead on at position {seq}"),
    )
}
