//! Finding what is damaged or missing, and healing it.
//!
//! A check hashes every block of the store, then looks for what must be there: all log nodes that the index names, and
//! everything below pins. A store that cannot list its blocks (Kubo) is checked by reading the nodes. A repair asks the
//! other members for each block that is damaged or missing, and stores what they give in its place. What nobody has is
//! reported as lost; if nobody needs it either, it is removed. At most `MAX_NAMED` faults are named at one time, so a
//! repair checks again, up to [`ROUNDS`] times.

use super::{
    keeper::Housekeeper,
    node_pages::NodePages,
    roots::{mark_all, state_failed},
};
use crate::clock;
use cid::Cid;
use rings_api::{Checked, Damage, Fault, Repaired, StoreWorkError};
use rings_protocol::{cids::node_cid, Address};
use rings_store::{BlockKey, Inventory, Needed, StoreError, MAX_NAMED};
use std::collections::BTreeSet;

/// Log nodes that are looked at in one go.
const NODES_AT_ONCE: usize = 1024;
/// How often a repair looks again for faults that were too many to be named.
const ROUNDS: usize = 64;

impl Housekeeper {
    /// Hashes all blocks, and looks for those that logs and pins name.
    pub(super) async fn check_now(&self) -> Result<Checked, StoreWorkError> {
        let mut checked = Checked {
            whole: true,
            ..Checked::default()
        };
        match self.store.inventory() {
            Some(inventory) => {
                let there = hash_all(&*inventory, &mut checked).await?;
                self.look_for_nodes(&there, &mut checked).await?;
                self.look_below_pins(&*inventory, &there, &mut checked)
                    .await?;
                let is_damaged = |fault: &Fault| fault.damage == Damage::Corrupt;
                if checked.faults.iter().any(is_damaged) {
                    checked.damaged_file = Some(inventory.file().display().to_string());
                }
            }
            None => {
                checked.whole = false;
                self.read_nodes(&mut checked).await?;
            }
        }
        checked.faults.sort();
        Ok(checked)
    }

    /// What is wrong with a block that was not listed. In a pack a damaged one is not, because its name is not stored beside it.
    async fn damage_of(&self, cid: &Cid) -> Result<Option<Damage>, StoreWorkError> {
        match self.store.get(cid).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some(Damage::Missing)),
            Err(StoreError::Corrupt { .. }) => Ok(Some(Damage::Corrupt)),
            Err(error) => Err(error.into()),
        }
    }

    /// Every log node has to be there that was not collected. Those that were written since the blocks were listed, and those that
    /// are damaged in a pack, are read.
    async fn look_for_nodes(
        &self,
        there: &Needed,
        checked: &mut Checked,
    ) -> Result<(), StoreWorkError> {
        let mut pages = NodePages::new(&self.state, self.clients.as_deref(), NODES_AT_ONCE);
        while let Some(nodes) = pages.next()? {
            for (author, seq, digest) in nodes {
                let cid = node_cid(digest);
                let is_missing = !there.contains(&BlockKey::of(&cid)?);
                let is_kept = seq >= self.state.kept_from(author).map_err(state_failed)?;
                let damage = match is_missing && is_kept {
                    true => self.damage_of(&cid).await?,
                    false => None,
                };
                if let Some(damage) = damage {
                    fault(checked, cid, damage, named(author, seq));
                }
            }
        }
        Ok(())
    }

    /// Below a pin everything has to be there.
    async fn look_below_pins(
        &self,
        inventory: &dyn Inventory,
        there: &Needed,
        checked: &mut Checked,
    ) -> Result<(), StoreWorkError> {
        let (mut seen, now) = (Needed::default(), clock::seconds());
        let pins = inventory.pins().await?.into_iter();
        for pin in pins.filter(|pin| pin.below && pin.until > now) {
            let root = pin.key.cid();
            let below = mark_all(inventory, &[root], &mut seen).await?;
            for cid in below.missing {
                fault(checked, cid, Damage::Missing, format!("pin {root}"));
            }
            for cid in below.damaged {
                // Those that were listed are named already.
                if !there.contains(&BlockKey::of(&cid)?) {
                    fault(checked, cid, Damage::Corrupt, format!("pin {root}"));
                }
            }
        }
        Ok(())
    }

    /// Where the store cannot be listed: the blocks that logs name are read one after the other.
    async fn read_nodes(&self, checked: &mut Checked) -> Result<(), StoreWorkError> {
        let mut pages = NodePages::new(&self.state, self.clients.as_deref(), NODES_AT_ONCE);
        while let Some(nodes) = pages.next()? {
            for (author, seq, digest) in nodes {
                let cid = node_cid(digest);
                match self.store.get(&cid).await {
                    Ok(Some(data)) => {
                        checked.blocks += 1;
                        checked.bytes += data.len() as u64;
                    }
                    Ok(None) => fault(checked, cid, Damage::Missing, named(author, seq)),
                    Err(StoreError::Corrupt { .. }) => {
                        fault(checked, cid, Damage::Corrupt, named(author, seq));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Fetches what a check finds. Blocks that no member has are removed if not needed; the others are lost.
    pub(super) async fn repair_now(&self) -> Result<Repaired, StoreWorkError> {
        let mut repaired = Repaired::default();
        let mut given_up = BTreeSet::new();
        for _ in 0..ROUNDS {
            let checked = self.check_now().await?;
            let new: Vec<_> = checked
                .faults
                .into_iter()
                .filter(|fault| !given_up.contains(&fault.cid))
                .collect();
            if new.is_empty() {
                break;
            }
            for fault in new {
                match self.heal(fault.cid).await? {
                    true => repaired.healed.push(fault),
                    false => {
                        given_up.insert(fault.cid);
                        repaired.lost.push(fault);
                    }
                }
            }
        }
        self.drop_unneeded(&mut repaired).await?;
        Ok(repaired)
    }

    /// Whether somebody had the block. It is stored in place of what is there.
    async fn heal(&self, cid: Cid) -> Result<bool, StoreWorkError> {
        match self.others.blocks(&[cid]).await {
            Ok(blocks) => {
                self.store.put(blocks).await?;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(%cid, error = &error as &dyn std::error::Error, "nobody gave a block that is damaged here");
                Ok(false)
            }
        }
    }

    /// Removes damaged blocks that nobody needs and nobody has.
    async fn drop_unneeded(&self, repaired: &mut Repaired) -> Result<(), StoreWorkError> {
        let Some(inventory) = self.store.inventory() else {
            return Ok(());
        };
        if repaired.lost.is_empty() {
            return Ok(());
        }
        let _lease = inventory.collecting();
        let plan = self.plan(&*inventory).await?;
        let mut needed = Needed::default();
        mark_all(&*inventory, &plan.must, &mut needed).await?;
        let lost = std::mem::take(&mut repaired.lost);
        for fault in lost {
            let key = BlockKey::of(&fault.cid)?;
            let is_needed = !fault.named_by.is_empty() || needed.contains(&key);
            match is_needed || fault.damage == Damage::Missing {
                true => repaired.lost.push(fault),
                false => {
                    inventory.remove(vec![key]).await?;
                    repaired.removed.push(fault);
                }
            }
        }
        Ok(())
    }
}

/// Hashes all blocks; gives those that are there, damaged or not.
async fn hash_all(
    inventory: &dyn Inventory,
    checked: &mut Checked,
) -> Result<Needed, StoreWorkError> {
    let (mut there, mut last) = (Needed::default(), None);
    loop {
        let page = inventory.page(last).await?;
        let Some(end) = page.last() else {
            return Ok(there);
        };
        last = Some(end.key);
        for stored in page {
            there.add(&stored.key);
            checked.blocks += 1;
            checked.bytes += stored.data.len() as u64;
            let cid = stored.key.cid();
            if stored.checked().is_err() {
                fault(checked, cid, Damage::Corrupt, String::new());
            }
        }
    }
}

fn fault(checked: &mut Checked, cid: Cid, damage: Damage, named_by: String) {
    checked.fault_count += 1;
    if checked.faults.len() < MAX_NAMED {
        checked.faults.push(Fault {
            cid,
            damage,
            named_by,
        });
    }
}

fn named(author: Address, seq: u64) -> String {
    format!("log of {author}, node {seq}")
}
