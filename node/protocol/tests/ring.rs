//! A whole ring in one thread: members that crash at every moment, messages that are lost, delayed and repeated,
//! liars, and a membership that changes, all from one seed.

use proptest::prelude::*;
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha8Rng,
};
use rings_protocol::{
    cids::sha256,
    crypto::SecretKey,
    eip712::Domain,
    journal::{batch, prepare, Draft, Journal},
    log::{LogNode, Offer, Replica, Tip},
    member::{Computed, Effect, Member, Registration, Setup},
    message::{Outputs, Vote},
    quorum::quorum,
    Address, Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

const TURN: u64 = 100;
const GATES: u8 = 6;
/// Until here messages are lost and members crash.
const STORM: u64 = 3_000;
/// By here everything must have come to its end.
const END: u64 = 60_000;
/// How often logs are compared.
const COMPARE: u64 = 250;

fn domain() -> Domain {
    Domain::new(31337, Address([0xaa; 20]))
}

fn gate(n: u8) -> Address {
    Address([n + 1; 20])
}

/// What the program of a gate gives.
fn truth(gate: Address) -> Outputs {
    Outputs::new([(0, sha256(&gate.0))]).expect("the simulation makes only what is well-formed")
}

fn lie(gate: Address, liar: u64) -> Outputs {
    Outputs::new([(0, sha256(&[&gate.0[..], &liar.to_be_bytes()].concat()))])
        .expect("the simulation makes only what is well-formed")
}

/// What survives a crash.
#[derive(Default, Clone)]
struct Disk {
    results: BTreeMap<Address, Digest>,
    nodes: BTreeMap<(Address, u64), LogNode>,
    /// How many of the chain's events were taken in.
    cursor: usize,
}

struct Own<'a>(&'a Disk, Address);

impl Journal for Own<'_> {
    type Error = Infallible;
    fn signed(&self, gate: Address) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.results.get(&gate).copied())
    }
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.tip(self.1))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.nodes.get(&(self.1, seq)).map(LogNode::digest))
    }
}

impl Disk {
    fn tip(&self, author: Address) -> Option<Tip> {
        let range = self.nodes.range((author, 0)..=(author, u64::MAX));
        range.last().map(|(_, node)| node.tip())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Character {
    Honest,
    /// Votes for what is not so, alone.
    Liar,
    /// Votes for what is not so, together with others of its kind.
    Conspirator,
    /// Signs votes with a key that is not its own.
    Forger,
}

#[derive(Clone)]
enum Event {
    Ready(Address),
    Membership(u64, Vec<Address>),
    Resolved(Address, Outputs),
}

#[derive(Clone)]
enum Happening {
    Node(Vec<u8>),
    Compute(Address),
    Mined(Registration),
    Crash,
    Restart,
    Compare,
    Chain(Event),
}

struct Peer {
    key: SecretKey,
    character: Character,
    disk: Disk,
    mind: Option<Member>,
    named: BTreeSet<(Address, Address)>,
}

/// The contract: what registers, and under which rules.
#[derive(Default)]
struct Chain {
    epoch: u64,
    members: Vec<Address>,
    results: BTreeMap<Address, Outputs>,
    events: Vec<Event>,
}

impl Chain {
    fn register(&mut self, registration: &Registration) {
        let Registration {
            gate,
            epoch,
            outputs,
            votes,
        } = registration;
        if *epoch != self.epoch || self.results.contains_key(gate) {
            return;
        }
        let digest = domain().outputs(*gate, *epoch, &outputs.pins(), &outputs.cids());
        let signers: Vec<_> = votes
            .iter()
            .map(|(_, vote)| {
                vote.signature
                    .recover(&digest)
                    .expect("the simulation makes only what is well-formed")
                    .address()
            })
            .collect();
        assert!(
            signers.windows(2).all(|pair| pair[0] < pair[1]),
            "signers ascend"
        );
        assert!(
            signers.iter().all(|signer| self.members.contains(signer)),
            "signers are members"
        );
        assert!(3 * signers.len() >= 2 * self.members.len() && !signers.is_empty());
        self.results.insert(*gate, outputs.clone());
        self.events.push(Event::Resolved(*gate, outputs.clone()));
    }

    fn enter(&mut self, members: Vec<Address>) {
        self.epoch += 1;
        self.members = members;
        self.events
            .push(Event::Membership(self.epoch, self.members.clone()));
    }
}

struct World {
    random: ChaCha8Rng,
    now: u64,
    queue: BTreeMap<(u64, u64), (usize, Happening)>,
    count: u64,
    peers: Vec<Peer>,
    chain: Chain,
}

impl World {
    fn new(seed: u64, characters: &[Character]) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let peers = characters.iter().enumerate().map(|(n, character)| Peer {
            key: SecretKey::from_bytes(&sha256(&[n as u8, 7]).0)
                .expect("the simulation makes only what is well-formed"),
            character: *character,
            disk: Disk::default(),
            mind: None,
            named: BTreeSet::new(),
        });
        let peers = peers.collect();
        let mut world = Self {
            random,
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            peers,
            chain: Chain::default(),
        };
        let members = world.addresses();
        world.chain.enter(members);
        world
            .chain
            .events
            .extend((0..GATES).map(|n| Event::Ready(gate(n))));
        for peer in 0..world.peers.len() {
            world.later(peer, 10, Happening::Restart);
            world.later(peer, COMPARE, Happening::Compare);
        }
        world
    }

    fn addresses(&self) -> Vec<Address> {
        self.peers.iter().map(|peer| peer.key.address()).collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn later(&mut self, peer: usize, within: u64, happening: Happening) {
        let at = self.now + 1 + self.below(within);
        self.count += 1;
        self.queue.insert((at, self.count), (peer, happening));
    }

    fn stormy(&self) -> bool {
        self.now < STORM
    }

    fn run(&mut self) {
        self.run_until(END);
    }

    fn run_until(&mut self, end: u64) {
        while self.now < end && self.chain.results.len() < usize::from(GATES) {
            self.step(end);
        }
    }

    /// Goes on to the next thing that happens, or to `end`.
    fn step(&mut self, end: u64) {
        let deadline = self
            .peers
            .iter()
            .filter_map(|peer| peer.mind.as_ref()?.deadline())
            .min();
        let next = self.queue.first_key_value().map(|(key, _)| key.0);
        self.now = next
            .into_iter()
            .chain(deadline)
            .chain([end])
            .min()
            .unwrap_or(end)
            .max(self.now);
        while let Some(entry) = self
            .queue
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
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

    /// Each running member takes in what the chain says, in order.
    fn follow(&mut self) {
        for peer in 0..self.peers.len() {
            while self.peers[peer].mind.is_some()
                && self.peers[peer].disk.cursor < self.chain.events.len()
            {
                let event = self.chain.events[self.peers[peer].disk.cursor].clone();
                self.peers[peer].disk.cursor += 1;
                self.happen(peer, Happening::Chain(event));
            }
        }
    }

    fn happen(&mut self, peer: usize, happening: Happening) {
        let now = self.now;
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
            Happening::Compute(gate) => self.computed(peer, gate),
            Happening::Mined(registration) => {
                self.chain.register(&registration);
                let gate = registration.gate;
                if let (Some(mind), false) = (
                    &mut self.peers[peer].mind,
                    self.chain.results.contains_key(&gate),
                ) {
                    mind.submission_failed(gate, now);
                }
            }
            Happening::Chain(event) => self.on_chain(peer, event),
        }
    }

    fn on_chain(&mut self, peer: usize, event: Event) {
        let now = self.now;
        let Some(mind) = &mut self.peers[peer].mind else {
            return;
        };
        let effects = match event {
            Event::Ready(gate) => mind.ready(gate, now),
            Event::Membership(epoch, members) => mind.membership(epoch, members),
            Event::Resolved(gate, outputs) => mind.resolved(gate, &outputs),
        };
        self.perform(peer, effects);
    }

    fn restart(&mut self, peer: usize) {
        let me = self.peers[peer].key.address();
        self.peers[peer].mind = Some(Member::new(Setup {
            me,
            domain: domain(),
            turn: TURN,
        }));
        // The gates and the membership come from the table of events; votes from the logs on disk.
        let cursor = self.peers[peer].disk.cursor;
        let past: Vec<_> = self.chain.events[..cursor].to_vec();
        for event in past {
            match event {
                Event::Ready(gate) if self.own_vote(peer, gate).is_some() => {
                    self.restore(peer, gate)
                }
                event => self.on_chain(peer, event),
            }
        }
        let nodes: Vec<_> = self.peers[peer].disk.nodes.values().cloned().collect();
        for node in nodes {
            self.count_votes(peer, &node);
        }
        if self.stormy() && self.below(2) == 0 {
            self.later(peer, STORM, Happening::Crash);
        }
    }

    fn own_vote(&self, peer: usize, gate: Address) -> Option<Vote> {
        let me = self.peers[peer].key.address();
        let nodes = self.peers[peer].disk.nodes.range((me, 0)..=(me, u64::MAX));
        nodes
            .flat_map(|(_, node)| votes_of(node))
            .rfind(|vote| vote.gate == gate)
    }

    fn restore(&mut self, peer: usize, gate: Address) {
        let Some(vote) = self.own_vote(peer, gate) else {
            return;
        };
        let computed = Computed {
            outputs: vote.outputs,
            fuel: vote.fuel,
            engine: vote.engine,
        };
        let now = self.now;
        let Some(mind) = &mut self.peers[peer].mind else {
            return;
        };
        let effects = mind.restore(gate, computed, vote.epoch, now);
        self.perform(peer, effects);
    }

    fn computed(&mut self, peer: usize, gate: Address) {
        let outputs = match self.peers[peer].character {
            Character::Liar => lie(gate, peer as u64),
            Character::Conspirator => lie(gate, 99),
            Character::Honest | Character::Forger => truth(gate),
        };
        let (now, fails) = (self.now, self.stormy() && self.below(4) == 0);
        let Some(mind) = &mut self.peers[peer].mind else {
            return;
        };
        if fails {
            return mind.abstained(gate, "no memory".into(), now);
        }
        let effects = mind.computed(
            gate,
            Computed {
                outputs,
                fuel: 1,
                engine: "sim".into(),
            },
            now,
        );
        self.perform(peer, effects);
    }

    fn perform(&mut self, peer: usize, effects: Vec<Effect>) {
        let mut drafts = Vec::new();
        for effect in effects {
            match effect {
                Effect::Compute { gate } => self.later(peer, 50, Happening::Compute(gate)),
                Effect::Vote(draft) => drafts.push(draft),
                Effect::Submit(registration) => {
                    // The transaction is journaled before it is sent: it is lost only with its sender.
                    match self.stormy() && self.below(4) == 0 {
                        true => self.later(peer, 1, Happening::Crash),
                        false => self.later(peer, 30, Happening::Mined(registration)),
                    }
                }
                Effect::Diverged { gate, member } | Effect::Equivocated { gate, member } => {
                    self.peers[peer].named.insert((gate, member));
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
        let (me, key) = (self.peers[peer].key.address(), self.peers[peer].key.clone());
        let prepared = prepare(
            &Own(&self.peers[peer].disk, me),
            &drafts,
            vec![],
            None,
            &domain(),
            &key,
        )
        .expect("the simulation makes only what is well-formed");
        let crash = if self.stormy() { self.below(12) } else { 99 };
        if crash == 0 {
            return self.happen(peer, Happening::Crash);
        }
        self.peers[peer]
            .disk
            .results
            .extend(prepared.results.iter().copied());
        for refusal in &prepared.refused {
            if let Some(mind) = &mut self.peers[peer].mind {
                mind.refused(refusal.gate);
            }
        }
        let Some((node, mut votes)) = prepared.committed() else {
            return;
        };
        self.peers[peer]
            .disk
            .nodes
            .insert((me, node.seq()), node.clone());
        if crash == 1 {
            return self.happen(peer, Happening::Crash);
        }
        self.gossip(peer, &node);
        if self.peers[peer].character == Character::Forger {
            votes.clear();
        }
        self.feed(peer, me, votes);
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
        let disk = &self.peers[peer].disk;
        let author = node.author();
        let replica = Replica::new(disk.tip(author));
        match replica.offer(&node, |seq| {
            disk.nodes.get(&(author, seq)).map(LogNode::digest)
        }) {
            Offer::Next => {
                self.peers[peer]
                    .disk
                    .nodes
                    .insert((author, node.seq()), node.clone());
                self.count_votes(peer, &node);
            }
            Offer::Held | Offer::Gap { .. } => {}
            Offer::Fork { .. } | Offer::Unlinked => panic!("nobody forks here: {node:?}"),
        }
    }

    fn count_votes(&mut self, peer: usize, node: &LogNode) {
        let mut votes = votes_of(node);
        let forged = self
            .peers
            .iter()
            .any(|p| p.key.address() == node.author() && p.character == Character::Forger);
        for vote in votes.iter_mut().filter(|_| forged) {
            // Well-formed, by a key that is nobody's.
            let stranger = SecretKey::from_bytes(&[9; 32])
                .expect("the simulation makes only what is well-formed");
            vote.signature = stranger
                .sign(&vote.digest(&domain()))
                .expect("the simulation makes only what is well-formed");
        }
        self.feed(peer, node.author(), votes);
    }

    fn feed(&mut self, peer: usize, member: Address, votes: Vec<Vote>) {
        let now = self.now;
        for vote in votes {
            if self.chain.results.contains_key(&vote.gate) {
                continue;
            }
            let Some(mind) = &mut self.peers[peer].mind else {
                return;
            };
            let effects = mind.vote(member, vote, now);
            self.perform(peer, effects);
        }
    }

    fn honest(&self) -> impl Iterator<Item = &Peer> {
        self.peers
            .iter()
            .filter(|peer| peer.character == Character::Honest)
    }

    /// Nobody honest ever signed two results for one gate, in any epoch.
    fn assert_nothing_signed_twice(&self) {
        for peer in self.honest() {
            let me = peer.key.address();
            let mut signed: BTreeMap<Address, Digest> = BTreeMap::new();
            for (_, node) in peer.disk.nodes.range((me, 0)..=(me, u64::MAX)) {
                for vote in votes_of(node) {
                    let first = *signed.entry(vote.gate).or_insert(vote.outputs.result());
                    assert_eq!(first, vote.outputs.result());
                }
            }
            assert_eq!(
                signed, peer.disk.results,
                "the journal holds what the log holds"
            );
        }
    }

    fn assert_truth(&self) {
        for n in 0..GATES {
            assert_eq!(
                self.chain.results.get(&gate(n)),
                Some(&truth(gate(n))),
                "gate {n} at {}",
                self.now
            );
        }
    }
}

fn votes_of(node: &LogNode) -> Vec<Vote> {
    node.content()
        .body
        .iter()
        .filter_map(|message| {
            Vote::from_message(message).expect("the simulation makes only what is well-formed")
        })
        .collect()
}

fn characters(members: usize, faulty: usize, kind: Character) -> Vec<Character> {
    (0..members)
        .map(|n| if n < faulty { kind } else { Character::Honest })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Up to f members are faulty in any way, everything crashes and messages are lost: each gate gets its one
    /// right result, and nothing is signed twice.
    #[test]
    fn a_ring_survives_the_storm(seed: u64, members in 1usize..8, kind in 0..3) {
        let kind = [Character::Liar, Character::Conspirator, Character::Forger][kind as usize];
        let mut world = World::new(seed, &characters(members, (members - 1) / 3, kind));
        world.run();
        world.assert_nothing_signed_twice();
        world.assert_truth();
    }

    /// The membership changes while votes are under way: old signatures count no more, the same results are
    /// signed again, and all gates resolve.
    #[test]
    fn the_membership_may_change_in_mid_vote(seed: u64, at in 1u64..STORM) {
        let mut world = World::new(seed, &characters(5, 0, Character::Liar));
        let members = world.addresses();
        world.chain.members.truncate(4);
        world.chain.events[0] = Event::Membership(1, members[..4].to_vec());
        while world.now < at && world.chain.results.len() < usize::from(GATES) {
            let end = world.now + 50;
            world.run_until(end);
        }
        world.chain.enter(members);
        world.run();
        world.assert_nothing_signed_twice();
        world.assert_truth();
    }

    /// Beyond f nothing is promised about the result, but two results are never registered, and honest members
    /// still sign nothing twice.
    #[test]
    fn beyond_f_there_is_still_one_result(seed: u64) {
        let mut world = World::new(seed, &characters(4, 3, Character::Conspirator));
        world.run();
        world.assert_nothing_signed_twice();
        for n in 0..GATES {
            let result = world.chain.results.get(&gate(n));
            prop_assert!(result == Some(&lie(gate(n), 99)) || result.is_none());
        }
    }
}

#[test]
fn liars_are_named() {
    let mut world = World::new(3, &characters(7, 2, Character::Liar));
    world.run();
    world.now += 1;
    world.follow();
    let liars: BTreeSet<_> = world.addresses()[..2].iter().copied().collect();
    let named: BTreeSet<_> = world
        .honest()
        .flat_map(|peer| &peer.named)
        .map(|(_, member)| *member)
        .collect();
    assert!(!named.is_empty() && named.is_subset(&liars), "{named:?}");
}

#[test]
fn too_few_members_wait_until_one_returns() {
    let mut world = World::new(5, &characters(7, 0, Character::Liar));
    // Three of seven are down for good: five are needed.
    for peer in 0..3 {
        world.queue.retain(|_, (p, _)| *p != peer);
    }
    world.now = STORM;
    world.run_until(STORM + 20_000);
    assert!(
        world.chain.results.is_empty(),
        "four of seven must not be enough: quorum is {}",
        quorum(7)
    );
    world.later(0, 10, Happening::Restart);
    world.later(0, 10, Happening::Compare);
    world.run();
    world.assert_truth();
}
