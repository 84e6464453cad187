//! Members that come later get the replica keys of client rings too.
//!
//! A key goes to all members when its ring is handed over. Whoever has no wrapping then, because it was no member or had not
//! announced its public key, is a newcomer: one of those that have the key wraps it again for all, in its own log
//! (`replicate.rs`). Which one follows from the ring, among those that are connected, so there is one message and not one from
//! each. With the key, the newcomer fetches the logs as any member does (`follow.rs`).
//!
//! A member that has left keeps the key. [`must_rotate`] says so, and `rings_getClientRings` shows it: the client ring hands over
//! a new one.

use super::{
    keeper::Clients,
    refusal::{of_chain, of_state},
};
use crate::state::{Keeping, StateError};
use rings_api::{with_causes, ApiError};
use rings_protocol::{cids::keccak256, flush::relayers, Address};

/// Whether an account that is no member any more has the newest replica key of a ring.
pub(super) fn must_rotate(keeping: &Keeping, members: &[Address]) -> bool {
    let mut holders = keeping.shared.iter();
    holders.any(|holder| !members.contains(holder))
}

impl Clients {
    /// Hands the keys to members that have none.
    pub(super) async fn share_with_newcomers(&self) {
        if let Err(error) = self.share_with_all().await {
            let cause = with_causes(&error);
            tracing::warn!(
                cause,
                "replica keys cannot be handed to newcomers now; trying again later"
            );
        }
    }

    async fn share_with_all(&self) -> Result<(), ApiError> {
        let mut after = None;
        loop {
            let rings = self.next_rings(&mut after)?;
            if rings.is_empty() {
                return Ok(());
            }
            for ring in rings {
                let keeping = self.state.keeping(ring).map_err(of_state)?;
                if let Some(keeping) = keeping {
                    self.share_again(ring, &keeping).await?;
                }
            }
        }
    }

    /// Wraps the keys of a ring again, if there is a newcomer and it is this member's turn. The oldest comes first: the one that is
    /// handed over last counts as the newest.
    async fn share_again(&self, ring: Address, keeping: &Keeping) -> Result<(), ApiError> {
        if keeping.keys.is_empty()
            || !self.has_newcomer(keeping).await?
            || self.whose_turn(ring, keeping) != Some(self.me)
        {
            return Ok(());
        }
        let mut shared = Vec::new();
        for wrapped in &keeping.keys {
            let wrapped = hex::decode(wrapped);
            let wrapped = wrapped.map_err(|error| of_state(StateError::Format(error.into())))?;
            if let Some((epoch, key)) = self.unwrapped(ring, &wrapped)? {
                shared = self.share(ring, epoch, &key).await?;
            }
        }
        self.note_shared(ring, shared)?;
        tracing::info!(%ring, "replica keys were handed to members that came later");
        Ok(())
    }

    /// Whether a member has no wrapping, and has announced the public key that it needs for one.
    async fn has_newcomer(&self, keeping: &Keeping) -> Result<bool, ApiError> {
        let members = self.parts.ring.snapshot().members.into_iter();
        let without =
            members.filter(|member| *member != self.me && !keeping.shared.contains(member));
        for member in without {
            let contact = self.parts.chain.contact(self.parts.domain.ring, member);
            if contact.await.map_err(of_chain)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first of those that have the key and are there, in an order that follows from the ring.
    fn whose_turn(&self, ring: Address, keeping: &Keeping) -> Option<Address> {
        let connected = self.parts.ring.connected_members();
        let order = relayers(keccak256(&ring.0), &self.parts.ring.snapshot().members);
        order.into_iter().find(|member| {
            let is_there = keeping.shared.contains(member) && connected.contains(member);
            *member == self.me || is_there
        })
    }

    /// Writes down who has the newest key of a ring.
    pub(super) fn note_shared(
        &self,
        ring: Address,
        members: impl IntoIterator<Item = Address>,
    ) -> Result<(), ApiError> {
        let noted = || self.state.shared(ring, members);
        tokio::task::block_in_place(noted).map_err(of_state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_former_member_has_is_to_be_rotated() {
        let members = [1, 2, 3].map(|n| Address([n; 20]));
        let keeping = Keeping {
            registered_by: None,
            keys: vec!["00".into()],
            since: vec![0],
            shared: members[..2].iter().copied().collect(),
        };
        assert!(!must_rotate(&keeping, &members));
        assert!(must_rotate(&keeping, &members[1..]));
    }
}
