//! Fetching the blocks of ring nodes: from the own store first, then from other members.
//!
//! The pages of a proposal are asked for a bounded number of times, because a proposal may be a lie, and another one
//! follows. A ring node that the chain names is asked for until it is there, because nothing that comes after it can be
//! followed without it.

use super::input::Input;
use crate::state::RegisteredNode;
use bytes::Bytes;
use rings_protocol::{
    backoff::Backoff,
    cids::node_cid,
    ringlog::{Header, RingNode},
    Digest,
};
use rings_store::{BlockSource, StoreError};
use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// First and longest pause before blocks are asked for again that nobody gave.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the pages of a proposal are asked for. After that, another proposal will have come.
const TRIES: u32 = 8;

/// These pages, when somebody gives them; nothing if nobody does for long.
pub(super) async fn fetch_pages(
    blocks: Arc<dyn BlockSource>,
    pages: &[Digest],
) -> Option<Vec<(Digest, Bytes)>> {
    let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
    while backoff.failures() < TRIES {
        match read(&blocks, pages).await {
            Ok(pages) => return Some(pages),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(
                    error = cause,
                    "pages of a proposed ring node are not there yet"
                );
            }
        }
        tokio::time::sleep(backoff.failed(rand::random())).await;
    }
    None
}

/// The ring node that the chain names so, with all its pages. Tried until it is there, or the core has ended.
pub(super) async fn fetch_ring_node(
    blocks: Arc<dyn BlockSource>,
    node: RegisteredNode,
    outbox: &mpsc::Sender<Input>,
) -> Option<RingNode> {
    let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
    while !outbox.is_closed() {
        match open(&blocks, node.digest).await {
            Ok(node) => return Some(node),
            Err(reason) => {
                let number = node.number;
                tracing::warn!(
                    number,
                    reason,
                    "a ring node cannot be read; it is tried again"
                );
            }
        }
        tokio::time::sleep(backoff.failed(rand::random())).await;
    }
    None
}

/// Reads a ring node by its digest.
pub(crate) async fn open(
    blocks: &Arc<dyn BlockSource>,
    digest: Digest,
) -> Result<RingNode, String> {
    let words = |error: &(dyn Error + 'static)| rings_api::with_causes(error);
    let header = read(blocks, &[digest])
        .await
        .map_err(|error| words(&error))?;
    let header = header.into_iter().next().map(|(_, bytes)| bytes);
    let header = header.unwrap_or_default();
    let named = Header::from_bytes(&header).map_err(|error| words(&error))?;
    let pages: Vec<_> = [named.entry_pages, named.head_pages].concat();
    let pages = read(blocks, &pages).await.map_err(|error| words(&error))?;
    let pages: HashMap<_, _> = pages.into_iter().collect();
    let page = |digest| pages.get(&digest).map(|bytes| bytes.to_vec());
    RingNode::open(&header, page).map_err(|error| words(&error))
}

async fn read(
    blocks: &Arc<dyn BlockSource>,
    digests: &[Digest],
) -> Result<Vec<(Digest, Bytes)>, StoreError> {
    let cids: Vec<_> = digests.iter().copied().map(node_cid).collect();
    let found = blocks.blocks(&cids).await?;
    let data = found.iter().map(|block| block.data().clone());
    Ok(digests.iter().copied().zip(data).collect())
}
