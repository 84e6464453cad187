//! Finds a ring that was not read before, at an endpoint that may be behind.
//!
//! That it is not there is believed only of an endpoint that is not behind ([`Lacking`]).

use crate::{
    chain::Chain,
    convert::count,
    error::{ChainError, Class},
    lacking::Lacking,
    types::RingState,
};
use rings_protocol::Address;
use std::time::SystemTime;

impl Chain {
    /// As [`Chain::ring_state`], for a ring that was not read before: that it is not there is believed only of an endpoint that
    /// is not behind. `start` is a block from which the ring is there, or 0. Of several endpoints, the one that does not have
    /// the ring is put aside, so that the next call asks another one.
    ///
    /// # Errors
    /// [`ChainError::Behind`] when the endpoint may not have the ring yet; others as [`Chain::ring_state`].
    pub async fn find_ring(&self, ring: Address, start: u64) -> Result<RingState, ChainError> {
        let absent = match self.ring_state(ring).await {
            Err(error) if error.class() == Class::Invalid => error,
            found => return found,
        };
        let endpoint = self.endpoint().to_owned();
        let head = self.latest().await?;
        self.doubt(&absent.to_string()).await;
        match Lacking::of(
            (head.height(), count(head.timestamp)),
            start,
            SystemTime::now(),
        ) {
            Some(why) => Err(ChainError::Behind {
                endpoint,
                address: ring,
                what: "ring",
                why,
            }),
            None => Err(absent),
        }
    }

    /// To be called when the endpoint says what may be wrong. Of several, those that are behind are put aside; if the one that
    /// is asked is none of them, it is put aside all the same, so that another one is asked next.
    pub async fn doubt(&self, reason: &str) {
        self.rpc().doubt(reason).await;
    }
}
