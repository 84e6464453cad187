//! A small model of a member: its disk and its state machine, joined as in the running member.

use crate::chain::{domain, spec_of, Chain, Event, RING};
use rings_protocol::{
    circuit::{self, GateRecord, GateTable, Signal},
    crypto::SecretKey,
    gate::Computation,
    journal::Journal,
    log::{LogNode, OwnLog, Tip},
    member::{Computed, Effect, Member, Setup},
    message::{Outputs, Vote},
    quorum::quorum,
    Address, Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

pub const TURN: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Character {
    Honest,
    /// Votes for a wrong result, alone.
    Liar,
    /// Votes for a wrong result, for the same one as other members of this kind.
    Conspirator,
    /// Signs votes with a key that is not its own.
    Forger,
}

/// What survives a crash.
#[derive(Default, Clone)]
pub struct Disk {
    pub results: BTreeMap<Computation, Digest>,
    pub nodes: BTreeMap<(Address, u64), LogNode>,
    pub table: Table,
    /// How many blocks of the chain were taken in.
    cursor: u64,
    /// How many of the chain's reorganisations were taken in.
    reorgs: usize,
}

/// The gates, by events.
#[derive(Default, Clone)]
pub struct Table {
    gates: BTreeMap<Address, GateRecord>,
    dependants: BTreeSet<(Address, Address)>,
    changed: BTreeSet<(u64, Address)>,
}

impl GateTable for Table {
    type Error = Infallible;
    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, Infallible> {
        Ok(self.gates.get(&gate).cloned())
    }
    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), Infallible> {
        self.gates.insert(gate, record.clone());
        self.changed.insert((block, gate));
        Ok(())
    }
    fn dependants(&self, gate: Address) -> Result<Vec<Address>, Infallible> {
        let waiting = self.dependants.iter().filter(|(of, _)| *of == gate);
        Ok(waiting.map(|(_, dependant)| *dependant).collect())
    }
    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), Infallible> {
        self.dependants.insert((gate, dependant));
        Ok(())
    }
    fn changed_after(&self, block: u64) -> Result<Vec<Address>, Infallible> {
        let changed = self.changed.iter().filter(|(at, _)| *at > block);
        let gates: BTreeSet<_> = changed.map(|(_, gate)| *gate).collect();
        Ok(gates.into_iter().collect())
    }
}

/// A peer's own log and journal.
pub struct Own<'a>(pub &'a Disk, pub Address);

impl Journal for Own<'_> {
    fn signed(&self, computation: Computation) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.results.get(&computation).copied())
    }
}

impl OwnLog for Own<'_> {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.tip(self.1))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.nodes.get(&(self.1, seq)).map(LogNode::digest))
    }
}

impl Disk {
    pub fn tip(&self, author: Address) -> Option<Tip> {
        let range = self.nodes.range((author, 0)..=(author, u64::MAX));
        range.last().map(|(_, node)| node.tip())
    }

    fn record(&self, gate: Address) -> Option<GateRecord> {
        infallible(self.table.gate(gate))
    }

    /// What is to be computed for a gate as this disk has it.
    fn computation(&self, gate: Address) -> Option<Computation> {
        infallible(circuit::resolve(&self.table, gate)).map(|(computation, _)| computation)
    }
}

pub struct Peer {
    pub key: SecretKey,
    pub character: Character,
    pub disk: Disk,
    pub mind: Option<Member>,
    pub named: BTreeSet<(Computation, Address)>,
}

impl Peer {
    pub fn new(key: SecretKey, character: Character) -> Self {
        Self {
            key,
            character,
            disk: Disk::default(),
            mind: None,
            named: BTreeSet::new(),
        }
    }

    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Starts again with what is on disk.
    pub fn restart(&mut self, chain: &Chain, others: &Authors, now: u64) -> Vec<Effect> {
        self.mind = Some(Member::new(Setup {
            me: self.address(),
            domain: domain(),
            turn: TURN,
        }));
        // The cursor on disk may be on a branch that is gone; then there are other blocks below it now.
        let mut effects = self.catch_up(chain, others, now);
        let gates: Vec<_> = self.disk.table.gates.keys().copied().collect();
        for gate in gates {
            effects.extend(self.open_gate(gate, others, now));
        }
        effects
    }

    /// Takes in what the chain says, in order.
    pub fn catch_up(&mut self, chain: &Chain, others: &Authors, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(height) = chain.reorgs.get(self.disk.reorgs).copied() {
            self.disk.reorgs += 1;
            if height < self.disk.cursor {
                effects.extend(self.rewind(height, others, now));
            }
        }
        let behind = self.disk.cursor;
        for block in behind + 1..=chain.height() {
            self.disk.cursor = block;
            if let Event::Gate(gate, event) = &chain.blocks[block as usize - 1] {
                let signals = infallible(circuit::apply(&mut self.disk.table, *gate, event, block));
                effects.extend(self.heed(signals, chain, others, now));
            }
        }
        let (epoch, members) = chain.membership_at(self.disk.cursor);
        if let Some(mind) = &mut self.mind {
            let needed = quorum(members.len());
            effects.extend(mind.membership(epoch, members, needed, now));
        }
        effects
    }

    fn rewind(&mut self, height: u64, others: &Authors, now: u64) -> Vec<Effect> {
        self.disk.cursor = height;
        let changed = infallible(circuit::rewind(&mut self.disk.table, height));
        // Specs are never taken back; the facts behind the height are gone for good.
        self.disk
            .table
            .changed
            .retain(|(block, _)| *block <= height);
        let mut effects = Vec::new();
        for gate in changed {
            if let Some(mind) = &mut self.mind {
                mind.forget(gate);
            }
            effects.extend(self.open_gate(gate, others, now));
        }
        effects
    }

    fn heed(
        &mut self,
        signals: Vec<Signal>,
        chain: &Chain,
        others: &Authors,
        now: u64,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for signal in signals {
            effects.extend(match signal {
                Signal::Follow(gate) => self.follow(gate, chain, others, now),
                Signal::Requested(gate) | Signal::Ready(gate) | Signal::FloodgateOpened(gate) => {
                    self.open_gate(gate, others, now)
                }
                Signal::Resolved(gate) => self.close_gate(gate, others),
                Signal::Doomed(gate) => {
                    self.mind.iter_mut().for_each(|mind| mind.forget(gate));
                    Vec::new()
                }
            });
        }
        effects
    }

    /// Learns an upstream gate, and what its ring has registered in the blocks that were taken in already.
    fn follow(&mut self, gate: Address, chain: &Chain, others: &Authors, now: u64) -> Vec<Effect> {
        let signals = infallible(circuit::learn(&mut self.disk.table, gate, &spec_of(gate)));
        let mut effects = self.heed(signals, chain, others, now);
        for block in 1..=self.disk.cursor {
            match &chain.blocks[block as usize - 1] {
                Event::Gate(of, event) if *of == gate => {
                    let signals =
                        infallible(circuit::apply(&mut self.disk.table, gate, event, block));
                    effects.extend(self.heed(signals, chain, others, now));
                }
                _ => {}
            }
        }
        effects
    }

    fn open_gate(&mut self, gate: Address, others: &Authors, now: u64) -> Vec<Effect> {
        let open = self
            .disk
            .record(gate)
            .is_some_and(|record| record.is_open_for(RING));
        let Some(computation) = self.disk.computation(gate).filter(|_| open) else {
            return Vec::new();
        };
        let votes = self.votes_on(computation, others);
        let own = votes.iter().rfind(|(member, _)| *member == self.address());
        let own = own.map(|(_, vote)| vote.clone());
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        match own {
            Some(vote) => {
                let epoch = vote.epoch;
                mind.restore(computation, Computed::of(vote), epoch, votes, now)
            }
            None => mind.ready(computation, votes, now),
        }
    }

    fn close_gate(&mut self, gate: Address, others: &Authors) -> Vec<Effect> {
        let result = self.disk.record(gate).and_then(|record| record.result);
        let (Some(result), Some(computation)) = (result, self.disk.computation(gate)) else {
            return Vec::new();
        };
        let votes = self.votes_on(computation, others);
        let outputs = Outputs::new(result.outputs);
        let outputs = outputs.expect("the simulation makes only what is well-formed");
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        mind.resolved(computation, &outputs, &votes)
    }

    /// All votes on disk for a computation.
    fn votes_on(&self, computation: Computation, others: &Authors) -> Vec<(Address, Vote)> {
        let nodes = self.disk.nodes.values();
        let votes = nodes.flat_map(|node| {
            let votes = others.votes_of(node).into_iter();
            votes.map(|vote| (node.author(), vote))
        });
        let of = votes.filter(|(_, vote)| vote.computation() == computation);
        of.collect()
    }

    /// Counts votes of a node that came in and is on disk.
    pub fn feed(&mut self, member: Address, votes: Vec<Vote>, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for vote in votes {
            let result = self.disk.record(vote.gate).and_then(|record| record.result);
            let Some(mind) = &mut self.mind else { break };
            match (result, self.disk.computation(vote.gate)) {
                (Some(result), Some(computation)) => {
                    let outputs = Outputs::new(result.outputs);
                    let outputs = outputs.expect("the simulation makes only what is well-formed");
                    if vote.contradicts(computation, &outputs) {
                        self.named.insert((computation, member));
                    }
                }
                _ => effects.extend(mind.vote(member, vote, now)),
            }
        }
        effects
    }
}

/// The key that a forger signs with: its votes are well-formed, but this key belongs to no member.
pub struct Authors {
    pub forgers: BTreeSet<Address>,
}

impl Authors {
    pub fn votes_of(&self, node: &LogNode) -> Vec<Vote> {
        let mut votes = votes_of(node);
        if self.forgers.contains(&node.author()) {
            let stranger = SecretKey::from_bytes(&[9; 32]).expect("a valid key");
            for vote in &mut votes {
                let signed = stranger.sign(&vote.digest(&domain()));
                vote.signature = signed.expect("the simulation makes only what is well-formed");
            }
        }
        votes
    }
}

pub fn votes_of(node: &LogNode) -> Vec<Vote> {
    let votes = node.content().body.iter().filter_map(|message| {
        Vote::from_message(message).expect("the simulation makes only what is well-formed")
    });
    votes.collect()
}

pub fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
