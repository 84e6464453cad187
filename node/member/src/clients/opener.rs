//! What opens the nodes of client rings: the replica keys that are held, unwrapped.
//!
//! Unwrapping a key costs a multiplication on the curve, so the openers of the rings that were asked about last are kept.

use super::refusal::of_state;
use crate::{signer::MemberKey, state::StateError};
use rings_api::ApiError;
use rings_protocol::{
    eip712::Domain,
    log::LogNode,
    private::{node_key, unwrap, Keyring, PrivateOpenError, SealedError, WrappedKey},
    Address, Digest,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Most rings whose openers are kept.
const MOST_OPENERS: usize = 256;

/// Openers of the rings that were asked about last.
#[derive(Default)]
pub(super) struct Openers(Mutex<HashMap<Address, Arc<Opener>>>);

impl Openers {
    /// The one of a ring, if it has all of these keys.
    pub(super) fn of(&self, ring: Address, wrapped: &[String]) -> Option<Arc<Opener>> {
        let openers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let opener = openers.get(&ring);
        opener.filter(|opener| opener.wrapped == wrapped).cloned()
    }

    pub(super) fn keep(&self, opener: Arc<Opener>) {
        let mut openers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if openers.len() >= MOST_OPENERS {
            openers.clear();
        }
        openers.insert(opener.ring, opener);
    }
}

/// A replica key that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldKey {
    /// The epoch for which it was made.
    pub(super) epoch: u64,
    /// Since when it is held, in seconds of the chain; 0 if that was not noted.
    pub(super) since: u64,
}

/// Opens the nodes of one client ring.
pub(super) struct Opener {
    domain: Domain,
    ring: Address,
    keys: Keyring,
    /// The keys that are held, by name.
    held: BTreeMap<Digest, HeldKey>,
    /// The keys as they are kept.
    wrapped: Vec<String>,
}

impl Opener {
    /// Whether a replica key is held, by its name.
    pub(super) fn has_key(&self, name: Digest) -> bool {
        self.held.contains_key(&name)
    }

    /// A key, by its name.
    pub(super) fn key(&self, name: Digest) -> Option<HeldKey> {
        self.held.get(&name).copied()
    }

    /// All keys.
    pub(super) fn keys(&self) -> Vec<HeldKey> {
        self.held.values().copied().collect()
    }

    /// With all replica keys of the ring that are held, and since when each is.
    pub(super) fn new(
        domain: Domain,
        own: &MemberKey,
        (wrapped, since): (Vec<String>, Vec<u64>),
    ) -> Result<Self, ApiError> {
        let ring = domain.ring;
        let (mut keys, mut held) = (Keyring::new(domain), BTreeMap::new());
        for (place, wrapped) in wrapped.iter().enumerate() {
            let bytes = hex::decode(wrapped);
            let bytes = bytes.map_err(|error| of_state(StateError::Format(error.into())))?;
            let Some(secret) = own.secret() else {
                tracing::warn!(%ring, "a replica key is kept, and the key that unwraps it is not on this machine: nodes of this client ring cannot be read");
                break;
            };
            match unwrap(&domain, secret, &bytes) {
                Ok((epoch, WrappedKey::Replica(key))) => {
                    let since = since.get(place).copied().unwrap_or_default();
                    // One that members have handed over again counts from the first time.
                    held.entry(key.name()).or_insert(HeldKey { epoch, since });
                    keys.add_replica(key);
                }
                Ok((_, WrappedKey::Read(_))) | Err(_) => {
                    tracing::warn!(%ring, "a kept replica key cannot be unwrapped with this member's key");
                }
            }
        }
        Ok(Self {
            domain,
            ring,
            keys,
            held,
            wrapped,
        })
    }

    /// Opens one node.
    pub(super) fn open(&self, bytes: &[u8]) -> Result<LogNode, ApiError> {
        let malformed = |error: &(dyn std::error::Error + 'static)| ApiError::InvalidParams {
            reason: format!("logNodes: {}", rings_api::with_causes(error)),
        };
        if node_key(bytes).is_err() {
            return LogNode::open(bytes, &self.domain).map_err(|error| malformed(&error));
        }
        self.keys.open(bytes).map_err(|error| match error {
            PrivateOpenError::Sealed(SealedError::Key { .. }) => {
                ApiError::NotFollowed { ring: self.ring }
            }
            error => malformed(&error),
        })
    }
}
