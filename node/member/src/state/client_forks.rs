//! Evidence against avatars that signed two histories.
//!
//! One [`ClientFork`] for each avatar is kept: the claim that the contract takes, and the second node as it came (the first one
//! is in the avatar's log that is held). It is kept as long as its ring is.

use super::{
    client_tables::{FORKS, SIZES},
    clients::ClientState,
    error::StateError,
    tables::{decode, encode, Account},
};
use redb::ReadableTable;
use rings_protocol::{log::ForkClaim, Address};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Two nodes that an avatar signed for one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFork {
    /// The position.
    pub seq: u64,
    /// Canonical bytes of the claim, in hexadecimal.
    claim: String,
    /// The node that is not in the log that is held, in hexadecimal; empty where there was no space for it.
    other: String,
    /// When it was found, in milliseconds since 1970.
    pub since: u64,
    /// Whether the contract has taken it, and that is final.
    pub is_proven: bool,
}

impl ClientFork {
    /// Found at `since`, in milliseconds since 1970.
    pub fn new(claim: &ForkClaim, other: &[u8], since: u64) -> Self {
        Self {
            seq: claim.seq,
            claim: hex::encode(claim.to_bytes()),
            other: hex::encode(other),
            since,
            is_proven: false,
        }
    }

    /// What the contract takes.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn claim(&self) -> Result<ForkClaim, StateError> {
        let bytes = hex::decode(&self.claim).map_err(|error| StateError::Format(error.into()))?;
        ForkClaim::from_bytes(&bytes).map_err(|error| StateError::Format(error.into()))
    }
}

/// All places of a ring.
fn of_ring(ring: Address) -> RangeInclusive<(Account, Account)> {
    (ring.0, [0; 20])..=(ring.0, [u8::MAX; 20])
}

/// A client ring, and an avatar of it.
type RingAndAvatar = (Address, Address);

impl ClientState {
    /// Keeps evidence against an avatar, if there is none yet. Says whether it is the first. Its bytes count as those of the
    /// ring's logs.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn add_fork(
        &self,
        (ring, avatar): (Address, Address),
        fork: &ClientFork,
    ) -> Result<bool, StateError> {
        self.database.write(|transaction| {
            let mut forks = transaction.open_table(FORKS)?;
            if forks.get((ring.0, avatar.0))?.is_some() {
                return Ok(false);
            }
            forks.insert((ring.0, avatar.0), encode(fork)?.as_slice())?;
            let mut sizes = transaction.open_table(SIZES)?;
            let before = sizes.get(ring.0)?.map_or(0, |size| size.value());
            let added = (fork.claim.len() + fork.other.len()) as u64;
            sizes.insert(ring.0, before.saturating_add(added))?;
            Ok(true)
        })
    }

    /// The contract has taken the evidence against an avatar.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn fork_proven(&self, (ring, avatar): (Address, Address)) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut forks = transaction.open_table(FORKS)?;
            let record = forks
                .get((ring.0, avatar.0))?
                .map(|record| decode(record.value()));
            if let Some(record) = record {
                let proven = ClientFork {
                    is_proven: true,
                    ..record?
                };
                forks.insert((ring.0, avatar.0), encode(&proven)?.as_slice())?;
            }
            Ok(())
        })
    }

    /// The evidence against an avatar.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn fork_of(
        &self,
        (ring, avatar): (Address, Address),
    ) -> Result<Option<ClientFork>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(FORKS)?.get((ring.0, avatar.0))?;
            record.map(|record| decode(record.value())).transpose()
        })
    }

    /// The evidence against avatars of one ring, in the order of their addresses.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn forks_of(&self, ring: Address) -> Result<Vec<(Address, ClientFork)>, StateError> {
        self.database.read(|transaction| {
            let forks = transaction.open_table(FORKS)?;
            let found = forks.range(of_ring(ring))?.map(|entry| {
                let (place, record) = entry?;
                Ok((Address(place.value().1), decode(record.value())?))
            });
            found.collect()
        })
    }

    /// The rings and avatars whose forks the contract has not taken yet, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_forks(&self, limit: usize) -> Result<Vec<(RingAndAvatar, ClientFork)>, StateError> {
        self.database.read(|transaction| {
            let forks = transaction.open_table(FORKS)?;
            let mut open = Vec::new();
            for entry in forks.iter()? {
                let (place, record) = entry?;
                let fork: ClientFork = decode(record.value())?;
                if !fork.is_proven && open.len() < limit {
                    let (ring, avatar) = place.value();
                    open.push(((Address(ring), Address(avatar)), fork));
                }
            }
            Ok(open)
        })
    }
}

/// Forgets all evidence of a ring.
pub(super) fn forget(
    transaction: &redb::WriteTransaction,
    ring: Address,
) -> Result<(), StateError> {
    let mut forks = transaction.open_table(FORKS)?;
    forks.retain_in(of_ring(ring), |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::open::Identity;
    use rings_protocol::{crypto::SecretKey, log::SignedNode, Digest};

    #[test]
    fn the_first_evidence_is_kept_until_its_ring_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.redb");
        let identity = Identity {
            chain_id: 31337,
            ring: Address([1; 20]),
            member: Address([2; 20]),
        };
        let state = ClientState::open(&path, &identity).unwrap();
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let (ring, place) = (Address([7; 20]), (Address([7; 20]), key.address()));
        let signed = |content| SignedNode {
            prev: Digest::ZERO,
            content: Digest([content; 32]),
            signature: key.sign(&Digest([content; 32])).unwrap(),
        };
        let claim = ForkClaim {
            chain: 31337,
            ring,
            seq: 3,
            signed: [signed(1), signed(2)],
        };
        let fork = ClientFork::new(&claim, b"other", 9);
        assert!(state.add_fork(place, &fork).unwrap());
        assert!(!state
            .add_fork(place, &ClientFork::new(&claim, b"", 10))
            .unwrap());
        assert_eq!(state.fork_of(place).unwrap(), Some(fork.clone()));
        assert_eq!(fork.claim().unwrap(), claim);
        assert!(state.size(ring).unwrap() > 0);
        assert_eq!(state.open_forks(5).unwrap(), [(place, fork.clone())]);
        state.fork_proven(place).unwrap();
        assert!(state.open_forks(5).unwrap().is_empty());
        let of_ring = state.forks_of(ring).unwrap();
        assert!(of_ring.len() == 1 && of_ring[0].1.is_proven);
        state.forget_ring(ring).unwrap();
        assert_eq!(state.fork_of(place).unwrap(), None);
    }
}
