//! The world around the members: time, messages that are lost, delayed and repeated, crashes, blocks and
//! reorganisations, all from one seed.

use crate::{
    chain::{domain, gate, Chain, Event, FOREIGN_GATE, GATES, RING},
    peer::{votes_of, Authors, Character, Own, Peer},
};
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha8Rng,
};
use rings_protocol::{
    cids::sha256,
    circuit::GateEvent,
    crypto::SecretKey,
    gate::Computation,
    journal::{batch, prepare, Draft},
    log::{LogNode, Offer, Replica},
    member::{Computed, Effect, Registration},
    message::Outputs,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Until here messages are lost, members crash and the chain reorganises.
pub const STORM: u64 = 3_000;
/// By this time all gates must have their results.
const END: u64 = 60_000;
/// How often logs are compared.
const COMPARE: u64 = 250;
/// How many blocks a reorganisation takes away at most.
const DEEPEST: u64 = 6;

/// The right output of a gate's program.
pub fn truth(computation: Computation) -> Outputs {
    outputs(&[&computation.gate.0[..], &computation.inputs.0].concat())
}

pub fn lie(computation: Computation, liar: u64) -> Outputs {
    outputs(
        &[
            &computation.gate.0[..],
            &computation.inputs.0,
            &liar.to_be_bytes(),
        ]
        .concat(),
    )
}

fn outputs(bytes: &[u8]) -> Outputs {
    Outputs::new([(0, sha256(bytes))]).expect("the simulation makes only what is well-formed")
}

#[derive(Clone)]
enum Happening {
    Node(Vec<u8>),
    Compute(Computation),
    Mined(Registration),
    Reorganisation,
    Crash,
    Restart,
    Compare,
}

pub struct World {
    random: ChaCha8Rng,
    pub now: u64,
    queue: BTreeMap<(u64, u64), (usize, Happening)>,
    count: u64,
    pub peers: Vec<Peer>,
    others: Authors,
    pub chain: Chain,
    /// Registrations that were mined: after a reorganisation they may be mined again.
    mined: Vec<(usize, Registration)>,
}

impl World {
    pub fn new(seed: u64, characters: &[Character]) -> Self {
        Self::with_members(seed, characters, characters.len())
    }

    /// A ring whose members at first are only the first few peers.
    pub fn with_members(seed: u64, characters: &[Character], members: usize) -> Self {
        let peers = characters.iter().enumerate().map(|(n, character)| {
            let key = SecretKey::from_bytes(&sha256(&[n as u8, 7]).0);
            Peer::new(key.expect("a valid key"), *character)
        });
        let peers: Vec<_> = peers.collect();
        let forgers = peers
            .iter()
            .filter(|peer| peer.character == Character::Forger);
        let mut world = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            others: Authors {
                forgers: forgers.map(Peer::address).collect(),
            },
            peers,
            chain: Chain::default(),
            mined: Vec::new(),
        };
        world.chain.enter(world.addresses()[..members].to_vec());
        for n in 0..GATES {
            world.chain.request(gate(n));
        }
        world.chain.foreign_result(1);
        for peer in 0..world.peers.len() {
            world.later(peer, 10, Happening::Restart);
            world.later(peer, COMPARE, Happening::Compare);
        }
        world
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.peers.iter().map(Peer::address).collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn later(&mut self, peer: usize, within: u64, happening: Happening) {
        let at = self.now + 1 + self.below(within);
        self.count += 1;
        self.queue.insert((at, self.count), (peer, happening));
    }

    /// The chain reorganises so many times, at any time in the storm.
    pub fn plan_reorganisations(&mut self, times: u64) {
        for _ in 0..times {
            self.later(0, STORM, Happening::Reorganisation);
        }
    }

    /// These peers are down until [`World::revive`].
    pub fn take_down(&mut self, peers: std::ops::Range<usize>) {
        self.queue.retain(|_, (peer, _)| !peers.contains(peer));
    }

    pub fn revive(&mut self, peer: usize) {
        self.later(peer, 10, Happening::Restart);
        self.later(peer, 10, Happening::Compare);
    }

    fn stormy(&self) -> bool {
        self.now < STORM
    }

    pub fn run(&mut self) {
        self.run_until(END);
    }

    pub fn run_until(&mut self, end: u64) {
        while self.now < end && !self.is_done() {
            self.step(end);
        }
    }

    pub fn is_done(&self) -> bool {
        let mut waiting = self.queue.values();
        let reorganises = waiting.any(|(_, what)| matches!(what, Happening::Reorganisation));
        self.chain.resolved() == usize::from(GATES) && !reorganises
    }

    /// Goes on to the next thing that happens, or to `end`.
    fn step(&mut self, end: u64) {
        let running = self.peers.iter().filter_map(|peer| peer.mind.as_ref());
        let deadline = running.filter_map(|mind| mind.deadline()).min();
        let next = self.queue.first_key_value().map(|(key, _)| key.0);
        let times = next.into_iter().chain(deadline).chain([end]);
        self.now = times.min().unwrap_or(end).max(self.now);
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (peer, happening) = entry.remove();
            self.happen(peer, happening);
        }
        for peer in 0..self.peers.len() {
            let now = self.now;
            let effects = self.peers[peer].mind.as_mut().map(|mind| mind.tick(now));
            self.perform(peer, effects.unwrap_or_default());
        }
        self.follow();
    }

    /// Each running member takes in what the chain says.
    pub fn follow(&mut self) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].mind.is_some() {
                let effects = self.peers[peer].catch_up(&self.chain, &self.others, self.now);
                self.perform(peer, effects);
            }
        }
    }

    fn happen(&mut self, peer: usize, happening: Happening) {
        match happening {
            Happening::Restart if self.peers[peer].mind.is_none() => self.restart(peer),
            Happening::Restart => {}
            Happening::Crash => {
                self.peers[peer].mind = None;
                self.later(peer, 500, Happening::Restart);
            }
            Happening::Compare => {
                self.compare(peer);
                self.later(peer, COMPARE, Happening::Compare);
            }
            Happening::Node(bytes) => self.receive(peer, &bytes),
            Happening::Compute(computation) => self.computed(peer, computation),
            Happening::Mined(registration) => self.mined(peer, registration),
            Happening::Reorganisation => self.reorganise(),
        }
    }

    fn mined(&mut self, peer: usize, registration: Registration) {
        let computation = registration.computation;
        if self.chain.register(&registration) {
            return self.mined.push((peer, registration));
        }
        let unresolved = self.chain.result(computation.gate).is_none();
        let mind = self.peers[peer].mind.as_mut().filter(|_| unresolved);
        if let Some(mind) = mind {
            mind.submission_failed(computation, self.now);
        }
    }

    fn reorganise(&mut self) {
        let depth = 1 + self.below(DEEPEST);
        let result = self.below(3) as u8;
        self.reorganise_to(self.chain.height().saturating_sub(depth).max(1), result);
    }

    /// The chain goes back. On the new branch everything that was asked for is asked for again; the foreign gate may
    /// get another result, membership changes may not come again, and registrations may be lost.
    pub fn reorganise_to(&mut self, height: u64, foreign_result: u8) {
        let orphaned = self.chain.reorganise(height);
        for event in orphaned.events {
            match event {
                Event::Gate(gate, GateEvent::Requested { .. }) => self.chain.request(gate),
                Event::Gate(FOREIGN_GATE, _) => self.chain.foreign_result(foreign_result),
                Event::Membership(_, members) if self.below(2) == 0 => self.chain.enter(members),
                _ => {}
            }
        }
        for (peer, registration) in std::mem::take(&mut self.mined) {
            if self.below(2) == 0 {
                self.later(peer, 60, Happening::Mined(registration));
            }
        }
    }

    fn restart(&mut self, peer: usize) {
        let effects = self.peers[peer].restart(&self.chain, &self.others, self.now);
        self.perform(peer, effects);
        if self.stormy() && self.below(2) == 0 {
            self.later(peer, STORM, Happening::Crash);
        }
    }

    fn computed(&mut self, peer: usize, computation: Computation) {
        let outputs = match self.peers[peer].character {
            Character::Liar => lie(computation, peer as u64),
            Character::Conspirator => lie(computation, 99),
            Character::Honest | Character::Forger => truth(computation),
        };
        let (now, fails) = (self.now, self.stormy() && self.below(4) == 0);
        let Some(mind) = &mut self.peers[peer].mind else {
            return;
        };
        if fails {
            return mind.abstained(computation, "no memory".into(), now);
        }
        let computed = Computed {
            outputs,
            fuel: 1,
            profile: "sim".into(),
        };
        let effects = mind.computed(computation, computed, now);
        self.perform(peer, effects);
    }

    fn perform(&mut self, peer: usize, effects: Vec<Effect>) {
        let mut drafts = Vec::new();
        for effect in effects {
            match effect {
                Effect::Compute(computation) => {
                    self.later(peer, 50, Happening::Compute(computation))
                }
                Effect::Vote(draft) => drafts.push(draft),
                Effect::Submit(registration) => {
                    // The transaction is journaled before it is sent: it is lost only with its sender.
                    match self.stormy() && self.below(4) == 0 {
                        true => self.later(peer, 1, Happening::Crash),
                        false => self.later(peer, 30, Happening::Mined(registration)),
                    }
                }
                Effect::Diverged {
                    computation,
                    member,
                }
                | Effect::Equivocated {
                    computation,
                    member,
                } => {
                    self.peers[peer].named.insert((computation, member));
                }
            }
        }
        while !drafts.is_empty() && self.peers[peer].mind.is_some() {
            let rest = drafts.split_off(batch(&drafts));
            self.write(peer, std::mem::replace(&mut drafts, rest));
        }
    }

    /// Journal, log, then the network; a crash comes before or after the commit.
    fn write(&mut self, peer: usize, drafts: Vec<Draft>) {
        let me = self.peers[peer].address();
        let own = Own(&self.peers[peer].disk, me);
        let key = &self.peers[peer].key;
        let prepared = prepare(&own, &drafts, vec![], None, &domain(), key)
            .expect("the simulation makes only what is well-formed");
        let crash = if self.stormy() { self.below(12) } else { 99 };
        if crash == 0 {
            return self.happen(peer, Happening::Crash);
        }
        let results = prepared.results.iter().copied();
        self.peers[peer].disk.results.extend(results);
        for refusal in &prepared.refused {
            if let Some(mind) = &mut self.peers[peer].mind {
                mind.refused(refusal.computation);
            }
        }
        let Some((node, votes)) = prepared.committed() else {
            return;
        };
        let position = (me, node.seq());
        self.peers[peer].disk.nodes.insert(position, node.clone());
        if crash == 1 {
            return self.happen(peer, Happening::Crash);
        }
        self.gossip(peer, &node);
        if self.peers[peer].character != Character::Forger {
            let effects = self.peers[peer].feed(me, votes, self.now);
            self.perform(peer, effects);
        }
    }

    fn gossip(&mut self, from: usize, node: &LogNode) {
        for to in (0..self.peers.len()).filter(|to| *to != from) {
            let copies = if self.stormy() { self.below(3) } else { 1 };
            for _ in 0..copies {
                self.later(to, 40, Happening::Node(node.bytes().to_vec()));
            }
        }
    }

    /// Takes from another member, if it runs, every node that is missing here.
    fn compare(&mut self, peer: usize) {
        let other = self.below(self.peers.len() as u64) as usize;
        if other == peer || self.peers[other].mind.is_none() || self.peers[peer].mind.is_none() {
            return;
        }
        let held = &self.peers[peer].disk.nodes;
        let theirs = self.peers[other].disk.nodes.iter();
        let missing = theirs.filter(|(position, _)| !held.contains_key(position));
        let nodes: Vec<_> = missing.map(|(_, node)| node.bytes().to_vec()).collect();
        for bytes in nodes {
            self.receive(peer, &bytes);
        }
    }

    fn receive(&mut self, peer: usize, bytes: &[u8]) {
        if self.peers[peer].mind.is_none() {
            return;
        }
        let node =
            LogNode::open(bytes, &domain()).expect("the simulation makes only what is well-formed");
        let disk = &mut self.peers[peer].disk;
        let author = node.author();
        let digest_at = |seq| disk.nodes.get(&(author, seq)).map(LogNode::digest);
        match Replica::new(disk.tip(author)).offer(&node, digest_at) {
            Offer::Next => {
                let votes = self.others.votes_of(&node);
                disk.nodes.insert((author, node.seq()), node);
                let effects = self.peers[peer].feed(author, votes, self.now);
                self.perform(peer, effects);
            }
            Offer::Held | Offer::Gap { .. } => {}
            Offer::Taken { .. } | Offer::Unlinked => panic!("nobody forks here: {node:?}"),
        }
    }

    pub fn honest(&self) -> impl Iterator<Item = &Peer> {
        let peers = self.peers.iter();
        peers.filter(|peer| peer.character == Character::Honest)
    }

    /// Nobody honest ever signed two results for one computation, in any epoch.
    pub fn assert_nothing_signed_twice(&self) {
        for peer in self.honest() {
            let me = peer.address();
            let mut signed: BTreeMap<Computation, Digest> = BTreeMap::new();
            for (_, node) in peer.disk.nodes.range((me, 0)..=(me, u64::MAX)) {
                for vote in votes_of(node) {
                    let result = vote.outputs.result();
                    let first = *signed.entry(vote.computation()).or_insert(result);
                    assert_eq!(first, result);
                }
            }
            assert_eq!(
                signed, peer.disk.results,
                "the journal holds what the log holds"
            );
        }
    }

    /// No honest member is ever named, whatever branch the chain was on when it voted.
    pub fn assert_nobody_honest_is_named(&self) {
        let honest: Vec<_> = self.honest().map(Peer::address).collect();
        for peer in self.honest() {
            let wronged = peer
                .named
                .iter()
                .find(|(_, member)| honest.contains(member));
            assert_eq!(wronged, None);
        }
    }

    /// Each gate has the one result that is right for the inputs which the chain has in the end.
    pub fn assert_truth(&self) {
        for n in 0..GATES {
            let computation = self.chain.computation(gate(n));
            assert_eq!(
                self.chain.result(gate(n)),
                computation.map(truth),
                "gate {n} of {RING} at {}",
                self.now
            );
            assert!(computation.is_some(), "gate {n} is ready");
        }
    }
}
