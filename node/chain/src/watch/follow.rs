//! Gates of other rings whose results are followed: those that gates of the own ring wait for, and gates of the own
//! ring that other rings may work on too.
//!
//! Their results come as events of those rings, which are named in the gate's specification, so the filter still names
//! its emitters. At most [`MAX_FOLLOWED`] gates are followed at one time; the gates that wait for further ones become
//! ready later. A gate whose result is old enough is forgotten, and a reorganisation that takes the result back follows
//! it again.

use crate::interest::Interest;
use rings_protocol::{gate::GateSpec, Address};
use std::collections::BTreeMap;

/// Gates that are followed at once. Further gates are not followed: the gates that wait for them do not become ready
/// here until others have resolved.
pub(super) const MAX_FOLLOWED: usize = 4096;

/// A gate, the rings whose results for it are followed, and the block in which one came.
#[derive(Debug, Clone)]
struct FollowedGate {
    rings: Vec<Address>,
    resolved: Option<u64>,
}

/// The gates that are followed.
#[derive(Debug)]
pub(super) struct Followed {
    own: Address,
    gates: BTreeMap<Address, FollowedGate>,
}

impl Followed {
    /// Follows nothing yet. `own` is the ring whose results are read in any case.
    pub(super) fn new(own: Address) -> Self {
        Self {
            own,
            gates: BTreeMap::new(),
        }
    }

    pub(super) fn contains(&self, gate: Address) -> bool {
        self.gates.contains_key(&gate)
    }

    /// Whether there is no room for another gate beside this many new ones.
    pub(super) fn has_no_room(&self, new: usize) -> bool {
        self.gates.len() + new >= MAX_FOLLOWED
    }

    pub(super) fn insert(&mut self, gate: Address, spec: &GateSpec) {
        let mut rings = spec.rings.clone();
        rings.retain(|ring| *ring != self.own);
        let followed = FollowedGate {
            rings,
            resolved: None,
        };
        self.gates.insert(gate, followed);
    }

    /// A ring has registered a result of this gate.
    pub(super) fn resolved(&mut self, gate: Address, block: u64) {
        if let Some(followed) = self.gates.get_mut(&gate) {
            followed.resolved.get_or_insert(block);
        }
    }

    /// Takes back everything after `block`, or everything if it is `None`.
    pub(super) fn rewind(&mut self, block: Option<u64>) {
        for followed in self.gates.values_mut() {
            followed.resolved = followed.resolved.filter(|at| Some(*at) <= block);
        }
    }

    /// Forgets gates that were resolved before `block`.
    pub(super) fn forget(&mut self, block: u64) {
        self.gates
            .retain(|_, followed| followed.resolved.is_none_or(|at| at >= block));
    }

    /// The results that are still expected.
    pub(super) fn interests(&self) -> Vec<Interest> {
        let open = self
            .gates
            .iter()
            .filter(|(_, gate)| gate.resolved.is_none());
        let mut by_rings: BTreeMap<&[Address], Vec<Address>> = BTreeMap::new();
        for (address, gate) in open {
            by_rings.entry(&gate.rings).or_default().push(*address);
        }
        let interests = by_rings
            .into_iter()
            .flat_map(|(rings, gates)| Interest::results(rings, &gates));
        interests.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::Digest;

    fn spec(rings: &[u8]) -> GateSpec {
        GateSpec {
            scope: Address::ZERO,
            rings: rings.iter().map(|ring| Address([*ring; 20])).collect(),
            inputs: Vec::new(),
            outputs: 1,
            salt: Digest::ZERO,
        }
    }

    #[test]
    fn a_gate_is_followed_until_it_has_a_result_that_holds() {
        let (own, gate) = (Address([1; 20]), Address([9; 20]));
        let mut followed = Followed::new(own);
        followed.insert(gate, &spec(&[2, 1]));
        assert_eq!(
            followed.interests(),
            Interest::results(&[Address([2; 20])], &[gate])
        );
        followed.resolved(gate, 7);
        assert!(followed.interests().is_empty());
        followed.rewind(Some(7));
        assert!(followed.interests().is_empty());
        followed.rewind(Some(6));
        assert_eq!(followed.interests().len(), 1);
        followed.resolved(gate, 8);
        followed.forget(8);
        assert!(followed.contains(gate));
        followed.forget(9);
        assert!(!followed.contains(gate));
    }

    #[test]
    fn the_own_rings_results_need_no_following() {
        let mut followed = Followed::new(Address([1; 20]));
        followed.insert(Address([9; 20]), &spec(&[1]));
        assert!(followed.interests().is_empty());
    }
}
