//! Pages of a member's log, the newest node first. Which nodes there are comes from the state database, so a page has
//! what this member holds of that log; their bytes come from the block store, or from another member if a block is
//! missing here. Nodes from before the head at which a copy began come from others (`older.rs`). Each node is shown as
//! DAG-JSON.

use super::{views::memory, Api};
use crate::dag_json::as_dag_json;
use rings_api::{
    views::{LogEntry, LogPage, UnsealedView},
    ApiError, HexBytes,
};
use rings_protocol::{cids::node_cid, Address, Digest};
use rings_store::BlockSource;

/// Most log nodes in one page.
const MAX_PAGE: u32 = 1000;

impl Api {
    /// A page of a member's log, newest first; with what is sealed in its nodes if `reads`.
    pub(super) async fn log_page(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        (limit, reads): (u32, bool),
    ) -> Result<LogPage, ApiError> {
        self.followed(ring)?;
        let Some(tip) = self.state.tip(member).map_err(memory)? else {
            return match self.shared.snapshot().members.binary_search(&member) {
                Ok(_) => Ok(LogPage {
                    nodes: Vec::new(),
                    next: None,
                    held_from: None,
                }),
                Err(_) => Err(ApiError::NotAMember { ring, member }),
            };
        };
        let newest = from.map_or(tip.seq, |from| from.min(tip.seq));
        let count = u64::from(limit.clamp(1, MAX_PAGE)).min(newest + 1);
        let oldest = newest + 1 - count;
        let held_from = self.state.held_from(member).map_err(memory)?;
        let mut nodes = Vec::with_capacity(count as usize);
        let first = oldest.max(held_from);
        for (seq, digest) in self.held(member, first, newest)?.into_iter().rev() {
            nodes.push(self.entry(seq, digest, reads).await?);
        }
        if oldest < held_from {
            let last = newest.min(held_from - 1);
            for (seq, digest) in self.older(member, oldest, last).await? {
                nodes.push(self.entry(seq, digest, reads).await?);
            }
        }
        Ok(LogPage {
            nodes,
            next: oldest.checked_sub(1),
            held_from: (held_from > 0).then_some(held_from),
        })
    }

    /// Positions and digests of the nodes that are held here, between two positions, ascending.
    fn held(&self, author: Address, first: u64, last: u64) -> Result<Vec<(u64, Digest)>, ApiError> {
        let count = (last + 1).saturating_sub(first);
        let digests = self.state.nodes(author, first, count as usize);
        Ok((first..).zip(digests.map_err(memory)?).collect())
    }

    async fn entry(&self, seq: u64, digest: Digest, reads: bool) -> Result<LogEntry, ApiError> {
        let cid = node_cid(digest);
        let unreadable = |error| ApiError::internal("a log node cannot be read", error);
        let blocks = self.blocks.blocks(&[cid]).await.map_err(unreadable)?;
        let bytes = blocks
            .first()
            .map(|block| block.data().to_vec())
            .unwrap_or_default();
        let node = as_dag_json(&bytes)
            .map_err(|error| ApiError::internal("a log node cannot be shown", error))?;
        let unsealed = reads.then(|| self.keys.unseal(&bytes)).flatten();
        let unsealed = unsealed.map(|unsealed| UnsealedView {
            node: HexBytes(unsealed.node),
            body: HexBytes(unsealed.body),
            opening: unsealed.opening.map(|opening| HexBytes(opening.0.to_vec())),
        });
        Ok(LogEntry {
            unsealed,
            cid,
            seq,
            bytes: HexBytes(bytes),
            node,
        })
    }
}
