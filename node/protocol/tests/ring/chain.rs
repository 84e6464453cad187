//! A small model of a chain: blocks of events, the contracts' rules for registering a result, and reorganisations.

use rings_protocol::{
    circuit::GateEvent,
    eip712::Domain,
    gate::{Computation, GateInput, GateSpec},
    member::Registration,
    message::Outputs,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Gates of the ring under test.
pub const GATES: u8 = 6;
pub const RING: Address = Address([0xaa; 20]);
/// A ring that nobody here is a member of.
pub const FOREIGN_RING: Address = Address([0xbb; 20]);
/// A gate of that ring, for which some gates of ours wait.
pub const FOREIGN_GATE: Address = Address([0xcc; 20]);

pub fn domain() -> Domain {
    Domain::new(31337, RING)
}

pub fn gate(n: u8) -> Address {
    Address([n + 1; 20])
}

/// Gates 2 and 3 wait for the foreign gate, 4 for a gate of the own ring, 5 for one that waits for the foreign gate.
pub fn spec_of(of: Address) -> GateSpec {
    let upstream = (0..GATES).find(|n| gate(*n) == of).and_then(|n| match n {
        2 | 3 => Some(FOREIGN_GATE),
        4 => Some(gate(0)),
        5 => Some(gate(2)),
        _ => None,
    });
    let ring = if of == FOREIGN_GATE {
        FOREIGN_RING
    } else {
        RING
    };
    GateSpec {
        scope: Address([0xdd; 20]),
        rings: vec![ring],
        inputs: std::iter::once(GateInput::Constant(Digest([1; 32])))
            .chain(upstream.map(|gate| GateInput::Future { gate, pin: 0 }))
            .collect(),
        outputs: 1,
        salt: Digest::ZERO,
    }
}

#[derive(Clone)]
pub enum Event {
    Gate(Address, GateEvent),
    Membership(u64, Vec<Address>),
}

/// The state of the contracts, and its history.
#[derive(Default)]
pub struct Chain {
    /// One event in each block: the first block has number 1.
    pub blocks: Vec<Event>,
    /// To which height the chain went back, for each reorganisation so far.
    pub reorgs: Vec<u64>,
}

/// What a reorganisation took away.
pub struct Orphaned {
    pub events: Vec<Event>,
}

impl Chain {
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub fn mine(&mut self, event: Event) {
        self.blocks.push(event);
    }

    /// Goes back to a height; the blocks above it are gone.
    pub fn reorganise(&mut self, height: u64) -> Orphaned {
        self.reorgs.push(height);
        let events = self.blocks.split_off(height as usize);
        Orphaned { events }
    }

    pub fn request(&mut self, gate: Address) {
        let event = GateEvent::Requested {
            requester: Address([0xee; 20]),
            spec: spec_of(gate),
        };
        self.mine(Event::Gate(gate, event));
    }

    /// The foreign ring registers something for its gate.
    pub fn foreign_result(&mut self, result: u8) {
        self.registered(
            FOREIGN_RING,
            FOREIGN_GATE,
            vec![0],
            vec![Digest([result; 32])],
        );
    }

    fn registered(&mut self, ring: Address, gate: Address, pins: Vec<u128>, cids: Vec<Digest>) {
        self.mine(Event::Gate(
            gate,
            GateEvent::Registered { ring, pins, cids },
        ));
    }

    /// Epoch and members as they stand after the first `height` blocks.
    pub fn membership_at(&self, height: u64) -> (u64, Vec<Address>) {
        let below = self.blocks.iter().take(height as usize).rev();
        let mut memberships = below.filter_map(|event| match event {
            Event::Membership(epoch, members) => Some((*epoch, members.clone())),
            Event::Gate(..) => None,
        });
        memberships.next().unwrap_or_default()
    }

    pub fn enter(&mut self, members: Vec<Address>) {
        let (epoch, _) = self.membership_at(self.height());
        self.mine(Event::Membership(epoch + 1, members));
    }

    /// The results that stand on the chain now.
    pub fn results(&self) -> BTreeMap<Address, BTreeMap<u128, Digest>> {
        let registered = self.blocks.iter().filter_map(|event| match event {
            Event::Gate(gate, GateEvent::Registered { pins, cids, .. }) => {
                let outputs = pins.iter().copied().zip(cids.iter().copied());
                Some((*gate, outputs.collect()))
            }
            _ => None,
        });
        registered.collect()
    }

    pub fn result(&self, gate: Address) -> Option<Outputs> {
        let outputs = self.results().remove(&gate)?;
        Outputs::new(outputs).ok()
    }

    /// What the contract says is to be computed for a gate; nothing while a future is unset.
    pub fn computation(&self, gate: Address) -> Option<Computation> {
        let results = self.results();
        let output = |of: Address, pin: u128| results.get(&of)?.get(&pin).copied();
        let inputs = spec_of(gate).resolve(output)?.hash;
        Some(Computation { gate, inputs })
    }

    pub fn resolved(&self) -> usize {
        (0..GATES)
            .filter(|n| self.result(gate(*n)).is_some())
            .count()
    }

    /// `registerOutputs`: false when it reverts.
    pub fn register(&mut self, registration: &Registration) -> bool {
        let Registration {
            computation,
            epoch,
            outputs,
            votes,
        } = registration;
        let (now, members) = self.membership_at(self.height());
        let is_current = *epoch == now && self.computation(computation.gate) == Some(*computation);
        if !is_current || self.result(computation.gate).is_some() {
            return false;
        }
        let (pins, cids) = (outputs.pins(), outputs.cids());
        let digest = domain()
            .outputs(*computation, *epoch, &pins, &cids)
            .digest();
        let signers = votes.iter().map(|(_, vote)| {
            let key = vote.signature.recover(&digest);
            key.expect("the simulation makes only what is well-formed")
                .address()
        });
        let signers: Vec<_> = signers.collect();
        // Epoch numbers repeat after a reorganisation, with other members behind them.
        if !signers.iter().all(|signer| members.contains(signer)) {
            return false;
        }
        let ascend = signers.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(ascend, "signers ascend");
        if 3 * signers.len() < 2 * members.len() || signers.is_empty() {
            return false;
        }
        self.registered(RING, computation.gate, pins, cids);
        true
    }
}
