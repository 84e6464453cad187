//! The world around the members: time, nodes that are lost, delayed, repeated and withheld, partitions, crashes, blocks and
//! reorganisations, all from one seed.

use crate::{
    chain::{domain, Chain, Event},
    peer::{Character, Library, Node, Peer, Task, FINAL},
};
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha8Rng,
};
use rings_protocol::{
    assembly::{AssemblyEffect, Choice, Endorsement, NodeRegistration, Proposal},
    cids::sha256,
    crypto::SecretKey,
    message::Message,
    request::{Request, RequestInput, RequestKey},
    ringlog::{Entry, Outcome, RingNode},
    Address, Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::OnceLock,
};

/// Until here nodes are lost, members crash, the ring is divided and the chain reorganises.
const STORM: u64 = 2_000;
/// By this time all that was asked must be listed.
const END: u64 = 60_000;
const COMPARE: u64 = 150;

pub enum Happening {
    Node(Rc<Node>),
    Compute(RequestKey),
    Fetch(Vec<Digest>, u8),
    Mined(NodeRegistration),
    Write(Vec<Message>),
    Compare,
    Crash,
    Restart,
    Flush,
    Reorganise,
    Membership(Vec<Address>),
}

pub struct World {
    random: ChaCha8Rng,
    pub now: u64,
    queue: BTreeMap<(u64, u64), (usize, Happening)>,
    count: u64,
    pub peers: Vec<Peer>,
    pub chain: Chain,
    pub library: Library,
    pages: BTreeMap<Digest, Rc<Vec<u8>>>,
    /// Every node that was ever written.
    pub written: Vec<Rc<Node>>,
    asked: Vec<Digest>,
    pub slots: Vec<Digest>,
    /// During the storm, members of different sides do not reach each other.
    side: Vec<bool>,
}

fn keys() -> &'static Vec<SecretKey> {
    static KEYS: OnceLock<Vec<SecretKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |n: u8| SecretKey::from_bytes(&sha256(&[n, 3]).0);
        (0..32).map(|n| key(n).expect("a valid key")).collect()
    })
}

/// The request or the slot.
pub fn subject(entry: &Entry) -> Digest {
    match entry {
        Entry::Result { request, .. } => *request,
        Entry::Decision { slot, .. } => *slot,
    }
}

impl World {
    pub fn new(seed: u64, characters: &[Character]) -> Self {
        let keys = keys().iter().zip(characters);
        let peers: Vec<_> = keys
            .map(|(key, character)| Peer::new(key.clone(), *character))
            .collect();
        let mut world = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            side: vec![false; peers.len()],
            peers,
            chain: Chain::default(),
            library: Library::new(),
            pages: BTreeMap::new(),
            written: Vec::new(),
            asked: Vec::new(),
            slots: Vec::new(),
        };
        let members = world.addresses();
        world.chain.mine(Event::Membership(members));
        for peer in 0..world.peers.len() {
            world.later(peer, 10, Happening::Restart);
            world.later(peer, COMPARE, Happening::Compare);
            world.side[peer] = world.below(3) == 0;
        }
        world
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.peers.iter().map(|peer| peer.address).collect()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    pub fn later(&mut self, peer: usize, within: u64, happening: Happening) {
        // A grid of five milliseconds, so that news comes in batches.
        let at = (self.now + 1 + self.below(within)).div_ceil(5) * 5;
        self.count += 1;
        self.queue.insert((at, self.count), (peer, happening));
    }

    /// Requests of members, some of which rest on others, and slots that all members choose for.
    pub fn plan_work(&mut self, requests: u64, slots: u64) {
        for nonce in 0..requests {
            let upstream = self.asked.last().copied().filter(|_| self.below(3) == 0);
            let input = match upstream {
                Some(request) => RequestInput::Output { request, pin: 0 },
                None => RequestInput::Data(Digest([1; 32])),
            };
            let request = Request {
                ring: domain().ring,
                chain: domain().chain_id,
                profile: "sim".into(),
                operation: Digest([2; 32]),
                inputs: vec![input],
                nonce,
                until: 900,
            };
            let honest = self.honest();
            let author = honest[self.below(honest.len() as u64) as usize];
            self.asked
                .push(request.digest().expect("it is within bounds"));
            let message = request.to_message().expect("it is within bounds");
            self.later(author, STORM, Happening::Write(vec![message]));
        }
        for n in 0..slots {
            let slot = sha256(&[b's', n as u8]);
            self.slots.push(slot);
            for peer in 0..self.peers.len() {
                let choice = Digest([self.below(2) as u8 + 1; 32]);
                let message = Choice { slot, choice }.to_message();
                self.later(peer, STORM, Happening::Write(vec![message]));
            }
        }
    }

    pub fn plan_trouble(&mut self, reorganisations: u64, flushes: u64) {
        for _ in 0..reorganisations {
            self.later(0, STORM, Happening::Reorganise);
        }
        for _ in 0..flushes {
            let peer = self.below(self.peers.len() as u64) as usize;
            self.later(peer, STORM, Happening::Flush);
        }
    }

    pub fn plan_membership(&mut self, members: Vec<Address>) {
        self.later(0, STORM, Happening::Membership(members));
    }

    pub fn take_down(&mut self, peers: &[usize]) {
        self.queue
            .retain(|_, (peer, what)| !peers.contains(peer) || matches!(what, Happening::Write(_)));
    }

    pub fn revive(&mut self, peer: usize) {
        self.later(peer, 10, Happening::Restart);
        self.later(peer, 10, Happening::Compare);
    }

    fn stormy(&self) -> bool {
        self.now < STORM
    }

    pub fn honest(&self) -> Vec<usize> {
        let honest = (0..self.peers.len()).filter(|n| self.peers[*n].is_honest());
        honest.collect()
    }

    pub fn run(&mut self) {
        self.run_until(END);
    }

    pub fn run_until(&mut self, end: u64) {
        while self.now < end && !(self.now > STORM && self.is_done()) {
            self.step(end);
        }
    }

    /// What the ring nodes on the chain list.
    pub fn listed(&self) -> Vec<(u64, Entry)> {
        let nodes = self.chain.state().nodes.into_iter();
        let nodes = nodes.filter_map(|digest| self.library.get(&digest));
        nodes
            .flat_map(|node| {
                node.entries()
                    .iter()
                    .map(|entry| (node.number(), entry.clone()))
            })
            .collect()
    }

    pub fn is_done(&self) -> bool {
        let nodes = self.chain.blocks.last().map(|block| &block.state.nodes);
        let nodes = nodes.into_iter().flatten();
        let entries = nodes.filter_map(|digest| self.library.get(digest));
        let entries = entries.flat_map(|node| node.entries());
        let subjects: BTreeSet<_> = entries.map(subject).collect();
        let mut all = self.asked.iter().chain(&self.slots);
        all.all(|each| subjects.contains(each))
    }

    fn step(&mut self, end: u64) {
        let minds = self.peers.iter().filter_map(|peer| peer.mind.as_ref());
        let deadline = minds.filter_map(|mind| mind.deadline()).min();
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
            let mind = self.peers[peer].mind.as_ref();
            let due = mind
                .and_then(|mind| mind.deadline())
                .is_some_and(|at| at <= self.now);
            if self.peers[peer].dirty || due {
                let tasks = self.peers[peer].act(self.now);
                self.perform(peer, tasks);
            }
        }
    }

    fn follow(&mut self) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].mind.is_some() {
                let tasks = self.peers[peer].follow(&self.chain, &self.library, self.now);
                self.peers[peer].dirty = true;
                self.perform(peer, tasks);
            }
        }
    }

    fn happen(&mut self, peer: usize, happening: Happening) {
        match happening {
            Happening::Restart if self.peers[peer].mind.is_none() => self.restart(peer),
            Happening::Restart => {}
            Happening::Crash => {
                self.peers[peer].mind = None;
                self.later(peer, 400, Happening::Restart);
            }
            Happening::Compare => {
                self.compare(peer);
                self.later(peer, COMPARE, Happening::Compare);
            }
            Happening::Node(node) => self.receive(peer, &node),
            Happening::Compute(key) => self.vote(peer, key),
            Happening::Fetch(pages, tries) => self.fetch(peer, pages, tries),
            Happening::Write(messages) if self.peers[peer].mind.is_some() => {
                self.write(peer, messages)
            }
            Happening::Write(messages) => self.later(peer, 200, Happening::Write(messages)),
            Happening::Mined(registration) => self.mined(peer, registration),
            Happening::Flush => self.flush(peer),
            Happening::Reorganise => self.reorganise(),
            Happening::Membership(members) => {
                self.chain.mine(Event::Membership(members));
                self.follow();
            }
        }
    }

    fn restart(&mut self, peer: usize) {
        let tasks = self.peers[peer].restart(&self.chain, &self.library, self.now);
        self.perform(peer, tasks);
        if self.stormy() && self.below(3) == 0 {
            self.later(peer, STORM, Happening::Crash);
        }
    }

    fn vote(&mut self, peer: usize, key: RequestKey) {
        if self.peers[peer].mind.is_none() {
            return;
        }
        if let Some(vote) = self.peers[peer].vote(key, peer as u8) {
            let message = vote.to_message().expect("it is within bounds");
            self.write(peer, vec![message]);
        }
    }

    fn fetch(&mut self, peer: usize, pages: Vec<Digest>, tries: u8) {
        let found: Vec<_> = pages
            .iter()
            .filter_map(|page| Some((*page, self.pages.get(page)?.clone())))
            .collect();
        let all = found.len() == pages.len();
        self.peers[peer].disk.pages.extend(found);
        self.peers[peer].dirty = true;
        if !all && tries < 5 {
            self.later(peer, 200, Happening::Fetch(pages, tries + 1));
        }
    }

    /// The transaction is mined, or reverts.
    fn mined(&mut self, peer: usize, registration: NodeRegistration) {
        let node = registration.node;
        if self.chain.mine(Event::Registered(registration)) {
            return self.follow();
        }
        let now = self.now;
        self.peers[peer]
            .mind
            .iter_mut()
            .for_each(|mind| mind.registration_failed(node, now));
        self.peers[peer].dirty = true;
    }

    /// A member moves its own head on chain.
    fn flush(&mut self, peer: usize) {
        let of = &self.peers[peer];
        let Some(last) = of.disk.logs.get(&of.address).and_then(|log| log.last()) else {
            return;
        };
        let event = Event::Flushed(of.address, last.digest);
        self.chain.mine(event);
        self.follow();
    }

    fn reorganise(&mut self) {
        let depth = 1 + self.below(FINAL as u64 - 1) as usize;
        let height = self.chain.blocks.len().saturating_sub(depth).max(1);
        for event in self.chain.reorganise(height) {
            // What was sent may be mined again, late or never.
            match event {
                Event::Registered(registration) if self.below(2) == 0 => {
                    self.later(0, 60, Happening::Mined(registration));
                }
                Event::Registered(_) => {}
                other => {
                    self.chain.mine(other);
                }
            }
        }
        self.follow();
    }

    fn perform(&mut self, peer: usize, tasks: Vec<Task>) {
        for task in tasks {
            match task {
                Task::Compute(key) => self.later(peer, 50, Happening::Compute(key)),
                Task::Do(effect) => self.assemble(peer, effect),
            }
        }
    }

    fn assemble(&mut self, peer: usize, effect: AssemblyEffect) {
        match effect {
            AssemblyEffect::Propose { proposal, node } => self.propose(peer, proposal, *node),
            AssemblyEffect::Fetch { pages, .. } => self.later(peer, 60, Happening::Fetch(pages, 0)),
            AssemblyEffect::Endorse { node, data } => {
                let made = Endorsement::sign(node, &data, &self.peers[peer].key);
                let message = made.expect("the key is valid").to_message();
                self.write(peer, vec![message]);
            }
            AssemblyEffect::Register(registration) => match self.stormy() && self.below(5) == 0 {
                true => self.later(peer, 1, Happening::Crash),
                false => self.later(peer, 60, Happening::Mined(registration)),
            },
            AssemblyEffect::Object { .. } => {}
        }
    }

    fn propose(&mut self, peer: usize, mut proposal: Proposal, mut node: RingNode) {
        let character = self.peers[peer].character;
        if character == Character::Liar {
            // A result that nobody voted for.
            let lie = Entry::Result {
                request: sha256(&self.now.to_be_bytes()),
                inputs: Digest::ZERO,
                outcome: Outcome::Failure(Digest([7; 32])),
            };
            let entries = [node.entries(), &[lie]].concat();
            let built = RingNode::build(node.header().position(), entries, node.heads().to_vec());
            node = built.expect("it is within bounds");
            proposal.header = node.header_bytes().to_vec();
        }
        let pages: Vec<_> = node
            .pages()
            .iter()
            .map(|(digest, bytes)| (*digest, Rc::new(bytes.clone())))
            .collect();
        self.peers[peer].disk.pages.extend(pages.iter().cloned());
        if character != Character::Withholder {
            self.pages.extend(pages);
            self.library.insert(node.digest(), Rc::new(node));
        }
        self.write(peer, vec![proposal.to_message()]);
    }

    /// Writes a node, and sends it to the others.
    fn write(&mut self, peer: usize, messages: Vec<Message>) {
        let node = self.peers[peer].next_node(messages.clone());
        self.keep(peer, &node);
        let twin = (self.peers[peer].character == Character::Equivocator).then(|| {
            let other = Choice {
                slot: Digest([8; 32]),
                choice: Digest([8; 32]),
            };
            let body = [messages, vec![other.to_message()]].concat();
            Node::new(node.author, node.seq, node.prev, body)
        });
        self.written.extend(twin.clone());
        for to in (0..self.peers.len()).filter(|to| *to != peer) {
            let withheld = self.peers[peer].character == Character::Withholder && to % 3 != 0;
            let copies = if self.stormy() { self.below(3) } else { 1 };
            let divided = self.stormy() && self.side[peer] != self.side[to];
            for _ in 0..copies * u64::from(!withheld && !divided) {
                let sent = twin
                    .as_ref()
                    .filter(|_| to % 2 == 0)
                    .unwrap_or(&node)
                    .clone();
                self.later(to, 40, Happening::Node(sent));
            }
        }
    }

    fn keep(&mut self, peer: usize, node: &Rc<Node>) {
        self.written.push(node.clone());
        if self.peers[peer].store(node) {
            let tasks = self.peers[peer].feed(node, self.now);
            self.perform(peer, tasks);
        }
    }

    fn receive(&mut self, peer: usize, node: &Rc<Node>) {
        if self.peers[peer].mind.is_some() && self.peers[peer].store(node) {
            let tasks = self.peers[peer].feed(node, self.now);
            self.perform(peer, tasks);
        }
    }

    /// Takes from another member what is missing here, and looks for forks: each compares the newest node that both have.
    fn compare(&mut self, peer: usize) {
        let other = self.below(self.peers.len() as u64) as usize;
        let both = self.peers[peer].mind.is_some() && self.peers[other].mind.is_some();
        let divided = self.stormy() && self.side[peer] != self.side[other];
        if !both || other == peer || divided || self.peers[other].character == Character::Withholder
        {
            return;
        }
        let mut nodes = Vec::new();
        for (author, theirs) in &self.peers[other].disk.logs {
            let held = self.peers[peer].disk.logs.get(author).map_or(0, Vec::len);
            let from = held.min(theirs.len()).saturating_sub(1);
            nodes.extend(theirs[from..].iter().cloned());
        }
        for node in nodes {
            self.receive(peer, &node);
        }
    }

    pub fn settle(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }
}
