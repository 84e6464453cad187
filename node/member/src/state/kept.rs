//! Which client rings are kept, where their logs end, which nodes those have, and how a ring is forgotten.

use super::{
    client_forks,
    client_tables::{NODES, PLACES, RINGS, SINCE, SIZES, TIPS},
    clients::ClientState,
    error::StateError,
};
use rings_protocol::{log::Tip, Address, Digest};
use std::collections::BTreeSet;

const FIRST: [u8; 20] = [0; 20];
const LAST: [u8; 20] = [0xff; 20];

/// Where an avatar's log ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptHead {
    /// The avatar's ring.
    pub ring: Address,
    /// The avatar.
    pub author: Address,
    /// The newest node.
    pub tip: Tip,
    /// When it was taken in, in milliseconds since 1970; 0 if that is not known.
    pub since: u64,
}

/// A node of a client ring: its author, its place and its digest.
pub type KeptNode = (Address, u64, Digest);

impl ClientState {
    /// The client rings of which something is kept, in ascending order behind `after`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn rings(&self, after: Option<Address>, limit: usize) -> Result<Vec<Address>, StateError> {
        self.database.read(|transaction| {
            let (keyed, sized) = (
                transaction.open_table(RINGS)?,
                transaction.open_table(SIZES)?,
            );
            let start = after.map_or(FIRST, |after| after.0);
            let is_behind = |ring: &[u8; 20]| after.is_none_or(|after| *ring > after.0);
            let mut rings = BTreeSet::new();
            // One more, for `after` itself is among them.
            for entry in keyed.range(start..)?.take(limit.saturating_add(1)) {
                rings.insert(entry?.0.value());
            }
            for entry in sized.range(start..)?.take(limit.saturating_add(1)) {
                rings.insert(entry?.0.value());
            }
            let behind = rings.into_iter().filter(is_behind).take(limit);
            Ok(behind.map(Address).collect())
        })
    }

    /// The heads behind a ring and an author, in ascending order of both.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn heads_behind(
        &self,
        (ring, author): (Address, Address),
        limit: usize,
    ) -> Result<Vec<KeptHead>, StateError> {
        self.database.read(|transaction| {
            let tips = transaction.open_table(TIPS)?;
            let since = transaction.open_table(SINCE)?;
            let mut heads = Vec::new();
            for entry in tips.range((ring.0, author.0)..)? {
                let (place, tip) = entry?;
                let (place, (seq, digest)) = (place.value(), tip.value());
                if place == (ring.0, author.0) {
                    continue;
                }
                if heads.len() >= limit {
                    break;
                }
                heads.push(KeptHead {
                    ring: Address(place.0),
                    author: Address(place.1),
                    tip: Tip {
                        seq,
                        digest: Digest(digest),
                    },
                    since: since.get(place)?.map_or(0, |since| since.value()),
                });
            }
            Ok(heads)
        })
    }

    /// The heads of one ring's logs.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn heads_of(&self, ring: Address, limit: usize) -> Result<Vec<KeptHead>, StateError> {
        // Nobody has the key of the account 0.
        let mut heads = self.heads_behind((ring, Address(FIRST)), limit)?;
        heads.retain(|head| head.ring == ring);
        Ok(heads)
    }

    /// The digests of an avatar's nodes, ascending from a sequence number.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn client_nodes(
        &self,
        (ring, author): (Address, Address),
        from: u64,
        limit: usize,
    ) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let range = nodes.range((ring.0, author.0, from)..=(ring.0, author.0, u64::MAX))?;
            let digests = range.take(limit);
            digests.map(|entry| Ok(Digest(entry?.1.value()))).collect()
        })
    }

    /// Some of the nodes of a ring.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn some_nodes(&self, ring: Address, limit: usize) -> Result<Vec<KeptNode>, StateError> {
        self.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let range = nodes.range((ring.0, FIRST, 0)..=(ring.0, LAST, u64::MAX))?;
            let some = range.take(limit).map(|entry| {
                let (place, digest) = entry?;
                let (_, author, seq) = place.value();
                Ok((Address(author), seq, Digest(digest.value())))
            });
            some.collect()
        })
    }

    /// Forgets nodes of a ring. Their blocks must have been removed before.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is changed.
    pub fn forget_nodes(&self, ring: Address, nodes: &[KeptNode]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut index = transaction.open_table(NODES)?;
            let mut places = transaction.open_table(PLACES)?;
            for (author, seq, digest) in nodes {
                index.remove((ring.0, author.0, *seq))?;
                places.remove((ring.0, digest.0))?;
            }
            Ok(())
        })
    }

    /// Forgets a ring of which no nodes are left: its keys, its heads and its size. What was paid for it today stays.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is changed.
    pub fn forget_ring(&self, ring: Address) -> Result<(), StateError> {
        self.database.write(|transaction| {
            transaction.open_table(RINGS)?.remove(ring.0)?;
            transaction.open_table(SIZES)?.remove(ring.0)?;
            let of_ring = || (ring.0, FIRST)..=(ring.0, LAST);
            let mut tips = transaction.open_table(TIPS)?;
            tips.retain_in(of_ring(), |_, _| false)?;
            let mut since = transaction.open_table(SINCE)?;
            since.retain_in(of_ring(), |_, _| false)?;
            client_forks::forget(transaction, ring)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::open::Identity;
    use rings_protocol::{
        crypto::SecretKey,
        eip712::Domain,
        log::{seal, LogNode, OwnLog},
    };

    struct Own(Vec<LogNode>);

    impl OwnLog for Own {
        type Error = StateError;
        fn tip(&self) -> Result<Option<Tip>, StateError> {
            Ok(self.0.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, StateError> {
            Ok(self.0.get(seq as usize).map(LogNode::digest))
        }
    }

    fn log(ring: Address, key: u8, length: usize) -> Vec<LogNode> {
        let key = SecretKey::from_bytes(&[key; 32]).unwrap();
        let mut own = Own(vec![]);
        for _ in 0..length {
            let node = seal(&own, vec![], vec![], None, &Domain::new(1, ring), &key);
            own.0.push(node.unwrap());
        }
        own.0
    }

    #[test]
    fn a_ring_is_listed_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity {
            chain_id: 1,
            ring: Address([9; 20]),
            member: Address([8; 20]),
        };
        let path = directory.path().join("clients.redb");
        let state = ClientState::open(&path, &identity).unwrap();
        let rings = [1, 2, 3].map(|n| Address([n; 20]));
        for ring in rings {
            state.take(ring, &log(ring, 1, 3), None, 7).unwrap();
            state.take(ring, &log(ring, 2, 2), None, 8).unwrap();
        }
        let keyed = Address([4; 20]);
        state.keep(keyed, Some(("key", 0)), None).unwrap();
        assert_eq!(state.rings(None, 9).unwrap().len(), 4);
        assert_eq!(state.rings(Some(rings[0]), 2).unwrap(), rings[1..]);
        let heads = state.heads_of(rings[1], 9).unwrap();
        let mut ends: Vec<_> = heads
            .iter()
            .map(|head| (head.tip.seq, head.since))
            .collect();
        ends.sort_unstable();
        assert_eq!(ends, [(1, 8), (2, 7)]);
        let first = state.heads_behind((Address::default(), Address::default()), 4);
        let last = first.unwrap()[3];
        let rest = state.heads_behind((last.ring, last.author), 9).unwrap();
        assert_eq!((rest.len(), rest[1].ring), (2, rings[2]));

        let place = (rings[1], heads[0].author);
        let all = state.client_nodes(place, 0, 9).unwrap();
        assert_eq!(state.client_nodes(place, 1, 1).unwrap(), all[1..2]);
        let some = state.some_nodes(rings[1], 4).unwrap();
        state.forget_nodes(rings[1], &some).unwrap();
        let some = state.some_nodes(rings[1], 4).unwrap();
        assert_eq!(some.len(), 1);
        state.forget_nodes(rings[1], &some).unwrap();
        state.forget_ring(rings[1]).unwrap();
        assert_eq!(state.rings(None, 9).unwrap(), [rings[0], rings[2], keyed]);
        assert_eq!(state.heads_of(rings[1], 9).unwrap(), []);
        assert_eq!(state.size(rings[1]).unwrap(), 0);
        assert_eq!(state.some_nodes(rings[2], 9).unwrap().len(), 5);
    }
}
