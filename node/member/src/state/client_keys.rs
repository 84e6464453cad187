//! The client rings that were handed over: by which action, and with which replica keys.

use super::{
    client_tables::RINGS,
    clients::ClientState,
    error::StateError,
    tables::{decode, encode},
};
use redb::ReadableTable;
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most keys of one client ring: it gets one more each time somebody leaves.
const MAX_RING_KEYS: usize = 256;

/// A client ring that was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// The action that registers it.
    pub registered_by: Option<Digest>,
    /// Its replica keys, wrapped to this member, in hexadecimal.
    pub keys: Vec<String>,
    /// Since when each of them is kept, in seconds of the chain.
    #[serde(default)]
    pub since: Vec<u64>,
    /// Members of this ring to which the newest key was wrapped, by whomever.
    #[serde(default)]
    pub shared: BTreeSet<Address>,
}

impl ClientState {
    /// A client ring that was handed over.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keeping(&self, ring: Address) -> Result<Option<Keeping>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(RINGS)?.get(ring.0)?;
            record.map(|record| decode(record.value())).transpose()
        })
    }

    /// Keeps a client ring: adds a wrapped replica key with the time of the chain, and names the action that registers it, where they are given. Returns
    /// false if there is no room for the key.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn keep(
        &self,
        ring: Address,
        key: Option<(&str, u64)>,
        registered_by: Option<Digest>,
    ) -> Result<bool, StateError> {
        self.database.write(|transaction| {
            let mut rings = transaction.open_table(RINGS)?;
            let record = rings.get(ring.0)?.map(|record| decode(record.value()));
            let mut keeping: Keeping = record.transpose()?.unwrap_or_default();
            let key = key.filter(|(key, _)| keeping.keys.iter().all(|known| known != key));
            if let Some((key, since)) = key {
                if keeping.keys.len() >= MAX_RING_KEYS {
                    return Ok(false);
                }
                // Those from before times were noted count as kept for long.
                keeping.since.resize(keeping.keys.len(), 0);
                keeping.since.push(since);
                keeping.keys.push(key.to_owned());
                keeping.shared.clear();
            }
            keeping.registered_by = registered_by.or(keeping.registered_by);
            rings.insert(ring.0, encode(&keeping)?.as_slice())?;
            Ok(true)
        })
    }

    /// The newest replica key of a ring was wrapped to these members.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn shared(
        &self,
        ring: Address,
        members: impl IntoIterator<Item = Address>,
    ) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut rings = transaction.open_table(RINGS)?;
            let record = rings.get(ring.0)?.map(|record| decode(record.value()));
            let keeping: Option<Keeping> = record.transpose()?;
            if let Some(mut keeping) = keeping {
                keeping.shared.extend(members);
                rings.insert(ring.0, encode(&keeping)?.as_slice())?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Identity;

    fn identity() -> Identity {
        Identity {
            chain_id: 31337,
            ring: Address([1; 20]),
            member: Address([1; 20]),
        }
    }

    #[test]
    fn a_ring_has_a_bounded_number_of_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.redb");
        let state = ClientState::open(&path, &identity()).unwrap();
        let ring = Address([7; 20]);
        for n in 0..MAX_RING_KEYS {
            assert!(state
                .keep(ring, Some((&n.to_string(), n as u64)), None)
                .unwrap());
        }
        assert!(!state.keep(ring, Some(("one more", 1)), None).unwrap());
        let by = Some(Digest([1; 32]));
        assert!(state.keep(ring, Some(("0", 7)), by).unwrap());
        assert!(state.keep(ring, None, None).unwrap());
        let keeping = state.keeping(ring).unwrap().unwrap();
        assert_eq!(keeping.registered_by, Some(Digest([1; 32])));
        assert_eq!(keeping.keys.len(), MAX_RING_KEYS);
        assert_eq!(keeping.since[..2], [0, 1]);
        assert_eq!(keeping.since.len(), MAX_RING_KEYS);
    }
}
