//! The purse of this member, with what is on disk of it.
//!
//! The rules are in `rings_protocol::flush::Purse`. Here they get a lock, the limits of `[clients]`, and the database:
//! what was paid today survives a restart, so that restarting does not refill a purse.

use crate::{
    config::ClientsConfig,
    state::{ClientState, Spent, StateError},
};
use rings_protocol::{
    flush::{Allowance, Purse, PurseError},
    Address, Digest,
};
use std::sync::{Mutex, PoisonError};

/// What this member spends on client rings. Its lock is never held while something waits.
pub(super) struct SharedPurse(Mutex<Purse>);

impl SharedPurse {
    /// The purse as it was left.
    pub(super) fn open(config: &ClientsConfig, state: &ClientState) -> Result<Self, StateError> {
        let mut purse = Purse::new(Allowance {
            granted: config.gas_per_ring,
            others: config.gas_for_others,
            avatar: config.gas_per_avatar,
            rings: config.granted.iter().copied().collect(),
        });
        for Spent {
            day,
            ring,
            avatar,
            gas,
        } in state.spent()?
        {
            purse.restore((day, ring, avatar, gas));
        }
        Ok(Self(Mutex::new(purse)))
    }

    /// Reserves gas for an action of an avatar in its ring, at a time of the chain.
    pub(super) fn reserve(
        &self,
        msg_hash: Digest,
        place: (Address, Address),
        gas: u64,
        now: u64,
    ) -> Result<(), PurseError> {
        let mut purse = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        purse.reserve(msg_hash, place, gas, now)
    }

    /// An action has ended, and this member has paid for `paid` gas. Returns what is to be written to disk.
    pub(super) fn settle(
        &self,
        msg_hash: Digest,
        place: (Address, Address),
        paid: u64,
        now: u64,
    ) -> Spent {
        let mut purse = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (day, ring, avatar, gas) = purse.settle(msg_hash, place, paid, now);
        Spent {
            day,
            ring,
            avatar,
            gas,
        }
    }

    /// An action was not taken in after all.
    pub(super) fn release(&self, msg_hash: Digest) {
        let mut purse = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        purse.release(msg_hash);
    }
}
