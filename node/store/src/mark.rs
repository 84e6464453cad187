//! Following links from roots, to find out which blocks are needed.
//!
//! Whoever collects calls it for everything that must stay. A block that is missing or damaged is reported with the
//! result, because what it links to is unknown then.

use crate::{
    inventory::{BlockKey, Inventory, Needed},
    links::links,
    StoreError,
};
use cid::Cid;

/// What is below some roots.
#[derive(Debug, Default)]
pub struct Below {
    /// Bytes of those that are newly marked and here.
    pub bytes: u64,
    /// Blocks that are not in the store. What is below them is not known. [`MAX_NAMED`] at most.
    pub missing: Vec<Cid>,
    /// Blocks that are damaged. What is below them is not known, so nothing may be collected before they are healed.
    /// [`MAX_NAMED`] at most.
    pub damaged: Vec<Cid>,
}

/// Most missing blocks that are named.
pub const MAX_NAMED: usize = 1000;

/// Marks a root and all below it as needed. Blocks that are marked already are not looked at again. Those that are missing
/// or damaged are marked too; links to what Rings does not accept are passed over.
///
/// # Errors
/// Those of the store.
pub async fn mark_below(
    inventory: &dyn Inventory,
    root: Cid,
    needed: &mut Needed,
) -> Result<Below, StoreError> {
    let mut below = Below::default();
    let mut left = vec![root];
    while let Some(cid) = left.pop() {
        let Ok(key) = BlockKey::of(&cid) else {
            continue;
        };
        if !needed.add(&key) {
            continue;
        }
        let Some(stored) = inventory.stored(key).await? else {
            if below.missing.len() < MAX_NAMED {
                below.missing.push(cid);
            }
            continue;
        };
        below.bytes += stored.data.len() as u64;
        match stored.checked() {
            // What is malformed has no links that anybody could follow.
            Ok(block) => left.extend(links(&block).unwrap_or_default()),
            Err(_) if below.damaged.len() < MAX_NAMED => below.damaged.push(cid),
            Err(_) => {}
        }
    }
    Ok(below)
}
