//! Nodes of other members' logs that are behind the checkpoint: the newest archived ring node that is final.
//!
//! With `[store] collect_logs` a collection removes their blocks. Their digests stay, so that later nodes are still checked
//! against them, and whoever asks for an old node gets it from a member that has it: each member keeps its own log whole. From
//! which position on a log is kept is on disk before the first block goes ([`MemberState::keep_from`]), so that no check takes
//! them for lost, and no member is blamed that does not give them.
//!
//! [`MemberState::keep_from`]: crate::state::MemberState::keep_from

use super::{keeper::Housekeeper, node_pages::NodePages, roots::state_failed};
use crate::core::open_ring_node;
use rings_api::StoreWorkError;
use rings_protocol::{cids::node_cid, ringlog::is_checkpoint, Address};
use rings_store::{source, BlockKey, Inventory, Removed, REMOVED_AT_ONCE};
use std::collections::BTreeMap;

/// Ring nodes before the checkpoint in which a member's head is looked for. A log whose head moved before them is kept whole.
const LOOKED_AT: u64 = 200;

impl Housekeeper {
    /// Removes the blocks of nodes that need not be kept.
    pub(super) async fn collect_logs(
        &self,
        inventory: &dyn Inventory,
    ) -> Result<Removed, StoreWorkError> {
        let mut removed = Removed::default();
        if !self.policy.logs {
            return Ok(removed);
        }
        let state = &self.state;
        state
            .keep_from(&self.checkpoint().await?)
            .map_err(state_failed)?;
        let kept: BTreeMap<_, _> = state.all_kept_from().map_err(state_failed)?;
        let mut pages = NodePages::new(state, None, REMOVED_AT_ONCE);
        while let Some(nodes) = pages.next()? {
            let old = nodes
                .iter()
                .filter(|(author, seq, _)| kept.get(author).is_some_and(|from| seq < from));
            let keys = old.map(|(_, _, digest)| BlockKey::of(&node_cid(*digest)));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            if !keys.is_empty() {
                let now = inventory.remove(keys).await?;
                removed.blocks += now.blocks;
                removed.bytes += now.bytes;
            }
        }
        Ok(removed)
    }

    /// Where the logs of the other members stood at the checkpoint.
    async fn checkpoint(&self) -> Result<Vec<(Address, u64)>, StoreWorkError> {
        let (state, me) = (&self.state, self.state.identity().member);
        let count = state.final_ring_nodes().map_err(state_failed)?;
        let Some(newest) = (0..count).rev().find(|number| is_checkpoint(*number)) else {
            return Ok(Vec::new());
        };
        let blocks = source(&self.store);
        let mut heads: BTreeMap<Address, u64> = BTreeMap::new();
        for number in (newest.saturating_sub(LOOKED_AT)..=newest).rev() {
            let Some(named) = state.ring_node(number).map_err(state_failed)? else {
                break;
            };
            let node = match open_ring_node(&blocks, named.digest).await {
                Ok(node) => node,
                Err(reason) => {
                    tracing::warn!(number, reason, "a ring node cannot be read; logs are kept");
                    break;
                }
            };
            for head in node.heads().iter().filter(|head| head.member != me) {
                let place = state.position(head.member, head.head);
                if let Some(seq) = place.map_err(state_failed)? {
                    heads.entry(head.member).or_insert(seq);
                }
            }
        }
        Ok(heads.into_iter().collect())
    }
}
