//! Removing what nobody needs.
//!
//! First the blocks that are needed are marked (`roots.rs` names the roots, and links are followed), then the others
//! are removed, in pages. Whoever puts blocks meanwhile holds a lease, and what is put after the marking began stays.
//! If the store has to become smaller than that, the data of gates that are over go too, the oldest first. Blocks in
//! dag-cbor, which are log nodes and ring nodes, are never removed. If a block that must be kept is damaged, nothing is
//! removed at all: what it links to is not known.

use super::{
    keeper::Housekeeper,
    roots::{mark_all, Plan},
};
use crate::clock;
use rings_api::{Collected, StoreWorkError};
use rings_protocol::cids::DAG_CBOR;
use rings_store::{Inventory, Needed, Removed, REMOVED_AT_ONCE};
use std::sync::atomic::Ordering;

impl Housekeeper {
    /// Removes what nobody needs; and of what may be kept, the oldest, until there are no more than `most` bytes.
    pub(super) async fn collect_now(&self, most: Option<u64>) -> Result<Collected, StoreWorkError> {
        let inventory = self.inventory()?;
        // Before anything is looked at: what is put from now on stays.
        let _lease = inventory.collecting();
        inventory.expire(clock::seconds()).await?;
        let plan = self.plan(&*inventory).await?;
        let wanted = usize::try_from(self.policy.results).unwrap_or(usize::MAX);
        let (needed, sizes) = needed(&*inventory, &plan, wanted).await?;
        let mut removed = sweep(&*inventory, &needed).await?;
        let logs = self.collect_logs(&*inventory).await?;
        removed.blocks += logs.blocks;
        removed.bytes += logs.bytes;
        let mut results = sizes.len();
        if let Some(most) = most {
            let fewer = fits(&sizes, self.store.size().await?.bytes, most);
            if fewer < results {
                let (needed, _) = self::needed(&*inventory, &plan, fewer).await?;
                let more = sweep(&*inventory, &needed).await?;
                removed.blocks += more.blocks;
                removed.bytes += more.bytes;
                results = fewer;
            }
        }
        let size = self.store.size().await?;
        let over = self.policy.max_bytes.filter(|most| size.bytes > *most);
        self.over
            .store(over.map_or(0, |most| size.bytes - most), Ordering::Relaxed);
        tracing::info!(
            removed = removed.blocks,
            removed_bytes = removed.bytes,
            bytes = size.bytes,
            results,
            "collected what nobody needs"
        );
        Ok(Collected {
            removed_blocks: removed.blocks,
            removed_bytes: removed.bytes,
            blocks: size.blocks,
            bytes: size.bytes,
            file_bytes: inventory.file_bytes().await?,
            results: results as u64,
            over,
        })
    }
}

/// What is needed if the data of so many gates that are over are kept, and how many bytes each of these adds.
async fn needed(
    inventory: &dyn Inventory,
    plan: &Plan,
    results: usize,
) -> Result<(Needed, Vec<u64>), StoreWorkError> {
    let mut needed = Needed::default();
    let must = mark_all(inventory, &plan.must, &mut needed).await?;
    // What they name is not known, and would be removed although it must be kept.
    if let Some(first) = must.damaged.first() {
        let (count, first) = (must.damaged.len(), *first);
        return Err(StoreWorkError::Damaged { count, first });
    }
    let mut sizes = Vec::new();
    for files in plan.past.iter().take(results) {
        sizes.push(mark_all(inventory, files, &mut needed).await?.bytes);
    }
    Ok((needed, sizes))
}

/// How many results may stay, the newest first, so that there are no more than `most` of the `bytes` that there are with
/// all of them.
fn fits(sizes: &[u64], mut bytes: u64, most: u64) -> usize {
    let mut kept = sizes.len();
    while bytes > most && kept > 0 {
        kept -= 1;
        bytes = bytes.saturating_sub(sizes[kept]);
    }
    kept
}

/// Removes all files that are not needed.
async fn sweep(inventory: &dyn Inventory, needed: &Needed) -> Result<Removed, StoreWorkError> {
    let (mut removed, mut last, mut gone) = (Removed::default(), None, Vec::new());
    loop {
        let names = inventory.names(last).await?;
        let is_end = names.is_empty();
        last = names.last().copied().or(last);
        let unneeded = names
            .into_iter()
            .filter(|key| key.cid().codec() != DAG_CBOR && !needed.contains(key));
        gone.extend(unneeded);
        if gone.len() >= REMOVED_AT_ONCE || (is_end && !gone.is_empty()) {
            let now = inventory.remove(std::mem::take(&mut gone)).await?;
            removed.blocks += now.blocks;
            removed.bytes += now.bytes;
        }
        if is_end {
            return Ok(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_results_go_first() {
        assert_eq!(fits(&[10, 20, 30], 100, 100), 3);
        assert_eq!(fits(&[10, 20, 30], 100, 99), 2);
        assert_eq!(fits(&[10, 20, 30], 100, 60), 1);
        assert_eq!(fits(&[10, 20, 30], 100, 39), 0, "as few as can be");
        assert_eq!(fits(&[], 100, 39), 0);
    }
}
