//! Pages of a member's log, the newest node first. Which nodes there are comes from the state database, so a page has
//! what this member holds of that log; their bytes come from the block store, or from another member if a block is
//! missing here. Each node is shown as DAG-JSON.

use super::{views::memory, Api};
use crate::dag_json::as_dag_json;
use rings_api::{
    views::{LogEntry, LogPage},
    ApiError, HexBytes,
};
use rings_protocol::{cids::node_cid, Address, Digest};
use rings_store::BlockSource;

/// Most log nodes in one page.
const MAX_PAGE: u32 = 1000;

impl Api {
    /// A page of a member's log, newest first.
    pub(super) async fn log_page(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError> {
        self.followed(ring)?;
        let Some(tip) = self.state.tip(member).map_err(memory)? else {
            return match self.shared.snapshot().members.binary_search(&member) {
                Ok(_) => Ok(LogPage {
                    nodes: Vec::new(),
                    next: None,
                }),
                Err(_) => Err(ApiError::NotAMember { ring, member }),
            };
        };
        let newest = from.map_or(tip.seq, |from| from.min(tip.seq));
        let count = u64::from(limit.clamp(1, MAX_PAGE)).min(newest + 1);
        let oldest = newest + 1 - count;
        let digests = self
            .state
            .nodes(member, oldest, count as usize)
            .map_err(memory)?;
        let mut nodes = Vec::with_capacity(digests.len());
        for (seq, digest) in (oldest..)
            .zip(digests)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            nodes.push(self.entry(seq, digest).await?);
        }
        Ok(LogPage {
            nodes,
            next: oldest.checked_sub(1),
        })
    }

    async fn entry(&self, seq: u64, digest: Digest) -> Result<LogEntry, ApiError> {
        let cid = node_cid(digest);
        let unreadable = |error| ApiError::internal("a log node cannot be read", error);
        let blocks = self.blocks.blocks(&[cid]).await.map_err(unreadable)?;
        let bytes = blocks
            .first()
            .map(|block| block.data().to_vec())
            .unwrap_or_default();
        let node = as_dag_json(&bytes)
            .map_err(|error| ApiError::internal("a log node cannot be shown", error))?;
        Ok(LogEntry {
            cid,
            seq,
            bytes: HexBytes(bytes),
            node,
        })
    }
}
