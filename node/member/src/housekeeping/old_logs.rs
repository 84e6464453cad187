//! Nodes of other members' logs that are behind the checkpoint: the newest archived ring node that is final.
//!
//! With `[store] collect_logs` a collection removes their blocks. Their digests stay, so that later nodes are still checked
//! against them, and whoever asks for an old node gets it from a member that has it: each member keeps its own log whole, and
//! so do this log's keepers ([`log_keepers`]), so that an author that lost its disk finds what it signed. From which position
//! on a log is kept is on disk before the first block goes ([`MemberState::keep_from`]), so that no check takes them for lost,
//! and no member is blamed that does not give them.
//!
//! Nodes from before the head at which a copy began were fetched because somebody asked. Any collection removes them.
//!
//! [`MemberState::keep_from`]: crate::state::MemberState::keep_from

use super::{keeper::Housekeeper, node_pages::NodePages, roots::state_failed};
use crate::core::open_ring_node;
use rings_api::StoreWorkError;
use rings_protocol::{cids::node_cid, log::log_keepers, ringlog::is_checkpoint, Address, Digest};
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
        let mut removed = self.collect_earlier(inventory).await?;
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
            let old = old.map(|(_, _, digest)| *digest);
            remove(inventory, old, &mut removed).await?;
        }
        Ok(removed)
    }

    /// Removes nodes from before the head at which a copy began.
    async fn collect_earlier(&self, inventory: &dyn Inventory) -> Result<Removed, StoreWorkError> {
        let (mut removed, mut last) = (Removed::default(), None);
        loop {
            let page = self.state.earlier_after(last, REMOVED_AT_ONCE);
            let page = page.map_err(state_failed)?;
            let Some((author, seq, _)) = page.last() else {
                return Ok(removed);
            };
            last = Some((*author, *seq));
            let digests = page.iter().map(|(_, _, digest)| *digest);
            remove(inventory, digests, &mut removed).await?;
        }
    }

    /// Whether this member may collect nodes of a log: others keep it whole. A member that is down knows no members, and
    /// collects nothing.
    fn may_collect(&self, author: Address) -> bool {
        let identity = self.state.identity();
        let members = self.members.as_ref().map(|members| members());
        let keepers = members.map(|members| log_keepers(identity.ring, author, &members));
        keepers.is_some_and(|keepers| !keepers.contains(&identity.member))
    }

    /// Where the logs of the other members stood at the checkpoint, as far as they may be collected here.
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
        heads.retain(|author, _| self.may_collect(*author));
        Ok(heads.into_iter().collect())
    }
}

/// Removes blocks, and counts those that were there.
async fn remove(
    inventory: &dyn Inventory,
    nodes: impl Iterator<Item = Digest>,
    removed: &mut Removed,
) -> Result<(), StoreWorkError> {
    let keys = nodes.map(|digest| BlockKey::of(&node_cid(digest)));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    if !keys.is_empty() {
        let now = inventory.remove(keys).await?;
        removed.blocks += now.blocks;
        removed.bytes += now.bytes;
    }
    Ok(())
}
