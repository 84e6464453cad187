//! Client rings that are not registered any more are forgotten, and their space is free.

use super::{
    keeper::Clients,
    refusal::{of_chain, of_state},
};
use rings_api::{with_causes, ApiError};
use rings_protocol::{cids::node_cid, Address};
use rings_store::BlockKey;

/// Nodes that are removed together.
const NODES_AT_ONCE: usize = 4096;

impl Clients {
    /// Forgets the rings whose registration has ended.
    pub(super) async fn tidy(&self) {
        if let Err(error) = self.forget_ended().await {
            let cause = with_causes(&error);
            tracing::warn!(
                cause,
                "client rings cannot be tidied up now; trying again later"
            );
        }
    }

    /// The list of registered rings comes in pages, so that a member with a thousand idle ones does not ask about each. Only about
    /// those that are not in it the chain is asked again.
    async fn forget_ended(&self) -> Result<(), ApiError> {
        let mut after = None;
        let mut registered = None;
        loop {
            let rings = self.next_rings(&mut after)?;
            if rings.is_empty() {
                return Ok(());
            }
            if registered.is_none() {
                let clients = self.parts.chain.clients(self.parts.domain.ring).await;
                registered = Some(clients.map_err(of_chain)?);
            }
            for ring in rings {
                let is_registered = registered
                    .as_ref()
                    .is_some_and(|rings| rings.contains(&ring));
                if !is_registered && self.has_ended(ring).await? {
                    self.forget(ring).await?;
                }
            }
        }
    }

    /// Whether the ring is not registered now, nor was when the blocks that are final now were made, nor is about to be.
    async fn has_ended(&self, ring: Address) -> Result<bool, ApiError> {
        match self.keeps(ring).await {
            Ok(()) => return Ok(false),
            Err(ApiError::NotFollowed { .. }) => {}
            Err(error) => return Err(error),
        }
        let parts = &self.parts;
        let head = parts.chain.block_number().await.map_err(of_chain)?;
        let last = head.saturating_sub(parts.confirmations);
        let was = parts.chain.was_client(parts.domain.ring, ring, last).await;
        Ok(!was.map_err(of_chain)?)
    }

    /// Blocks first: if it is interrupted, the index says what is left to be removed.
    async fn forget(&self, ring: Address) -> Result<(), ApiError> {
        self.known.forget(ring);
        let bytes = self.state.size(ring).map_err(of_state)?;
        loop {
            let nodes = self
                .state
                .some_nodes(ring, NODES_AT_ONCE)
                .map_err(of_state)?;
            if nodes.is_empty() {
                break;
            }
            // A store without an inventory is tidied up by its operator.
            if let Some(inventory) = self.parts.store.inventory() {
                let stays = |error| ApiError::internal("blocks cannot be removed", error);
                let keys = nodes
                    .iter()
                    .map(|(_, _, digest)| BlockKey::of(&node_cid(*digest)));
                let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(stays)?;
                inventory.remove(keys).await.map_err(stays)?;
            }
            let forgotten = || self.state.forget_nodes(ring, &nodes);
            tokio::task::block_in_place(forgotten).map_err(of_state)?;
        }
        let forgotten = || self.state.forget_ring(ring);
        tokio::task::block_in_place(forgotten).map_err(of_state)?;
        tracing::info!(%ring, bytes, "a client ring is not registered any more, and is forgotten");
        Ok(())
    }
}
