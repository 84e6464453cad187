//! Which logs are begun at their heads on chain: what `begin.rs` remembers.

use rings_protocol::Address;
use std::collections::{BTreeMap, BTreeSet};

/// Which logs are being begun, and from where on those are held that were.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    /// Whether logs are begun at heads at all.
    pub wanted: bool,
    /// Authors whose heads are being looked for.
    pub looking: BTreeSet<Address>,
    /// Authors of whose logs the chain names no head yet.
    pub from_start: BTreeSet<Address>,
    /// The first position that is held of each log that is not held whole.
    pub held_from: BTreeMap<Address, u64>,
}

impl Beginnings {
    /// With the parts that are held.
    pub fn new(wanted: bool, held_from: BTreeMap<Address, u64>) -> Self {
        Self {
            wanted,
            held_from,
            ..Self::default()
        }
    }
}
