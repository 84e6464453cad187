//! Archives (CAR) of the store: all blocks, or those below given roots, as a stream that other programs of IPFS read
//! too; and the way back from an archive into the store.

use super::keeper::Housekeeper;
use bytes::Bytes;
use cid::Cid;
use futures::stream::BoxStream;
use rings_api::{Archive, ImportedArchive, StoreWorkError};
use rings_store::{
    export_all, import_car, mark_below, read_cars, source, Inventory, Needed, Pin, StoreError,
    MAX_CAR_ROOTS,
};
use std::sync::Arc;

impl Housekeeper {
    /// All blocks, or those below `roots`. The roots of an archive of all are the files that were added for good and are
    /// whole, so that a reader who pins the roots finds all that is below them.
    pub(super) async fn export_now(
        &self,
        roots: Vec<Cid>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreWorkError> {
        if !roots.is_empty() {
            let blocks = source(&self.store);
            // The first blocks are looked for now, so that a wrong root is an error and not half an archive.
            blocks.blocks(&roots).await?;
            return Ok(read_cars(blocks, roots));
        }
        let Some(inventory) = self.store.inventory() else {
            return Err(StoreWorkError::NotHere {
                what: "the blocks of this member are in Kubo, which does not tell this member's from others'; name what to export with --root CID, or use `ipfs dag export`",
            });
        };
        let roots = whole_pins(&*inventory).await?;
        Ok(export_all(inventory, roots))
    }

    pub(super) async fn import_now(
        &self,
        archive: Archive,
    ) -> Result<ImportedArchive, StoreWorkError> {
        let unpacked = import_car(Arc::clone(&self.store), archive, true).await?;
        Ok(ImportedArchive {
            roots: unpacked.roots.iter().map(ToString::to_string).collect(),
            blocks: unpacked.blocks,
            bytes: unpacked.bytes,
        })
    }
}

async fn whole_pins(inventory: &dyn Inventory) -> Result<Vec<Cid>, StoreWorkError> {
    let pins = inventory.pins().await?.into_iter();
    let mut roots = Vec::new();
    for pin in pins.filter(|pin| pin.below && pin.until == Pin::ALWAYS) {
        let root = pin.key.cid();
        // Each by itself: what another root has in common with it is looked at again.
        let below = mark_below(inventory, root, &mut Needed::default()).await?;
        if below.missing.is_empty() && below.damaged.is_empty() {
            roots.push(root);
        }
        if roots.len() >= MAX_CAR_ROOTS {
            break;
        }
    }
    Ok(roots)
}
