//! The gates of the own ring that have no result yet: while there are any, more is about to happen.
//!
//! The watcher polls quickly while there is such work. It is an estimate: gates from before the start are not counted.

use crate::types::{ChainEvent, Located};
use rings_protocol::Address;
use std::collections::BTreeSet;

/// Gates that are remembered; with more than these there is work in any case.
const MOST: usize = 4096;

/// The own ring's open gates, as far as their requests came while this watcher runs.
#[derive(Debug)]
pub(super) struct Work {
    ring: Address,
    open: BTreeSet<Address>,
}

impl Work {
    pub(super) fn of(ring: Address) -> Self {
        Self {
            ring,
            open: BTreeSet::new(),
        }
    }

    /// Notes requests and results.
    pub(super) fn note(&mut self, events: &[Located]) {
        for located in events {
            match &located.event {
                ChainEvent::GateRequested { gate, .. } if self.open.len() < MOST => {
                    self.open.insert(*gate);
                }
                ChainEvent::OutputsRegistered { gate, ring, .. } if *ring == self.ring => {
                    self.open.remove(gate);
                }
                _ => {}
            }
        }
    }

    /// Whether a gate has no result yet.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BlockRef;
    use rings_protocol::{gate::GateSpec, Digest};

    fn located(event: ChainEvent) -> Located {
        Located {
            block: BlockRef {
                number: 1,
                hash: Digest::ZERO,
                timestamp: 0,
            },
            transaction: Digest::ZERO,
            log_index: 0,
            event,
        }
    }

    fn requested(gate: u8) -> Located {
        let spec = GateSpec {
            scope: Address::ZERO,
            rings: vec![Address([1; 20])],
            inputs: Vec::new(),
            outputs: 1,
            salt: Digest::ZERO,
        };
        located(ChainEvent::GateRequested {
            gate: Address([gate; 20]),
            requester: Address::ZERO,
            spec,
        })
    }

    fn registered(gate: u8, ring: u8) -> Located {
        located(ChainEvent::OutputsRegistered {
            ring: Address([ring; 20]),
            gate: Address([gate; 20]),
            epoch: 1,
            pins: Vec::new(),
            cids: Vec::new(),
        })
    }

    #[test]
    fn there_is_work_until_the_last_gate_has_its_result() {
        let mut work = Work::of(Address([1; 20]));
        assert!(!work.is_open());
        work.note(&[requested(7), requested(8), registered(7, 1)]);
        assert!(work.is_open());
        work.note(&[registered(8, 2)]);
        assert!(work.is_open(), "the result of another ring");
        work.note(&[registered(8, 1)]);
        assert!(!work.is_open());
    }
}
