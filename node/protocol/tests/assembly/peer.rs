//! A small model of a member: its disk, and its part in agreeing on ring nodes, joined as in a running member.
//!
//! Log nodes are not signed here: the signatures of nodes have tests of their own, and thousands of worlds must run in a
//! minute. Endorsements are signed, for the chain checks them.

use crate::chain::{domain, Chain, State};
use rings_protocol::{
    assembly::{Assembler, AssemblyEffect, Choice, Endorsement, Proposal, RingStore, Settings},
    cids::sha256,
    crypto::SecretKey,
    message::Message,
    quorum::quorum,
    request::{BookEffect, Limits, Request, RequestKey, RequestVote, UpstreamOutcome},
    ringlog::{Entry, Outcome, RingNode},
    Address, Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    rc::Rc,
};

/// Blocks after which a ring node is final. No reorganisation goes deeper.
pub const FINAL: usize = 6;
pub const TURN: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Character {
    Honest,
    /// Votes for wrong outcomes, and proposes ring nodes with results that nobody voted for.
    Liar,
    /// As a liar, for the same wrong outcome as others of this kind.
    Conspirator,
    /// Writes two nodes at each position, one for each half of the ring.
    Equivocator,
    /// Shows what it writes to a few, and passes nothing on.
    Withholder,
}

/// A node of a log.
#[derive(Debug)]
pub struct Node {
    pub author: Address,
    pub seq: u64,
    pub prev: Digest,
    pub digest: Digest,
    pub body: Vec<Message>,
}

impl Node {
    pub fn new(author: Address, seq: u64, prev: Digest, body: Vec<Message>) -> Rc<Self> {
        let payloads = body
            .iter()
            .flat_map(|message| message.payload.iter().copied());
        let said: Vec<u8> = payloads.collect();
        let bytes = [&author.0[..], &seq.to_be_bytes(), &prev.0, &said].concat();
        let digest = sha256(&bytes);
        Rc::new(Self {
            author,
            seq,
            prev,
            digest,
            body,
        })
    }
}

/// What survives a crash.
#[derive(Default)]
pub struct Disk {
    pub logs: BTreeMap<Address, Vec<Rc<Node>>>,
    positions: BTreeMap<Digest, u64>,
    pub pages: BTreeMap<Digest, Rc<Vec<u8>>>,
    pub journal: BTreeMap<RequestKey, Digest>,
    pub forked: BTreeSet<Address>,
    /// The blocks of the chain that were taken in.
    branch: Vec<u64>,
    pub state: State,
    /// Ring nodes whose pages are here.
    known: BTreeMap<Digest, Rc<RingNode>>,
    /// How many ring nodes are final, and what they say.
    pub final_nodes: usize,
    settled: UpstreamOutcome,
    decided: BTreeSet<Digest>,
}

/// All ring nodes whose pages their proposers gave out.
pub type Library = BTreeMap<Digest, Rc<RingNode>>;

impl RingStore for Disk {
    type Error = Infallible;
    fn ring_node(&self, number: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.state.nodes.get(number as usize).copied())
    }
    fn page(&self, digest: Digest) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.pages.get(&digest).map(|page| page.to_vec()))
    }
    fn position(&self, member: Address, head: Digest) -> Result<Option<u64>, Infallible> {
        let seq = self.positions.get(&head).copied();
        let at = |seq: u64| self.logs.get(&member)?.get(seq as usize);
        Ok(seq.filter(|seq| at(*seq).is_some_and(|node| node.digest == head)))
    }
    fn tip(&self, member: Address) -> Result<Option<Digest>, Infallible> {
        let log = self.logs.get(&member);
        Ok(log.and_then(|log| log.last()).map(|node| node.digest))
    }
}

pub struct Peer {
    pub key: SecretKey,
    pub address: Address,
    pub character: Character,
    pub disk: Disk,
    pub mind: Option<Assembler>,
    pub named: BTreeSet<Address>,
    pub dirty: bool,
}

/// Something that the world does for a peer.
pub enum Task {
    Compute(RequestKey),
    Do(AssemblyEffect),
}

pub fn truth(key: RequestKey) -> Outcome {
    Outcome::Outputs(vec![sha256(&[key.request.0, key.inputs.0].concat())])
}

fn lie(key: RequestKey, liar: u8) -> Outcome {
    Outcome::Outputs(vec![sha256(
        &[&key.request.0[..], &key.inputs.0, &[liar]].concat(),
    )])
}

impl Peer {
    pub fn new(key: SecretKey, character: Character) -> Self {
        Self {
            address: key.address(),
            key,
            character,
            disk: Disk::default(),
            mind: None,
            named: BTreeSet::new(),
            dirty: false,
        }
    }

    pub fn is_honest(&self) -> bool {
        self.character == Character::Honest
    }

    /// What this peer votes for; nothing where its journal holds another outcome.
    pub fn vote(&mut self, key: RequestKey, place: u8) -> Option<RequestVote> {
        let outcome = match self.character {
            Character::Liar => lie(key, place),
            Character::Conspirator => lie(key, 99),
            _ => truth(key),
        };
        let vote = RequestVote {
            fuel: 1,
            key,
            outcome,
            profile: "sim".into(),
        };
        let result = vote.result().expect("it has an output");
        let signed = *self.disk.journal.entry(key).or_insert(result);
        (signed == result).then_some(vote)
    }

    /// The next node of the own log.
    pub fn next_node(&self, body: Vec<Message>) -> Rc<Node> {
        let log = self.disk.logs.get(&self.address);
        let last = log.and_then(|log| log.last());
        let (seq, prev) = last.map_or((0, Digest::ZERO), |node| (node.seq + 1, node.digest));
        Node::new(self.address, seq, prev, body)
    }

    /// Stores a node if it is the next one of its log. A second node for a position is a fork.
    pub fn store(&mut self, node: &Rc<Node>) -> bool {
        let log = self.disk.logs.entry(node.author).or_default();
        let held = log.get(node.seq as usize);
        if let Some(held) = held {
            if held.digest != node.digest && self.disk.forked.insert(node.author) {
                self.mind
                    .iter_mut()
                    .for_each(|mind| mind.forked(node.author));
                self.dirty = true;
            }
            return false;
        }
        let prev = log.last().map_or(Digest::ZERO, |node| node.digest);
        if node.seq != log.len() as u64 || node.prev != prev {
            return false;
        }
        log.push(node.clone());
        self.disk.positions.insert(node.digest, node.seq);
        true
    }

    /// Takes in what a stored node says.
    pub fn feed(&mut self, node: &Node, now: u64) -> Vec<Task> {
        let mut effects = Vec::new();
        for message in &node.body {
            effects.extend(self.hear(node.author, message, now));
        }
        self.dirty = true;
        self.tasks(effects)
    }

    fn hear(&mut self, author: Address, message: &Message, now: u64) -> Vec<BookEffect> {
        if let Ok(Some(request)) = Request::from_message(message) {
            return self.open(author, request, now);
        }
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        if let Ok(Some(vote)) = RequestVote::from_message(message) {
            return mind.vote(author, &vote, now);
        }
        if let Ok(Some(proposal)) = Proposal::from_message(message) {
            mind.proposal(author, proposal);
        } else if let Ok(Some(endorsement)) = Endorsement::from_message(message) {
            mind.endorsement(author, endorsement);
        } else if let Ok(Some(choice)) = Choice::from_message(message) {
            if !self.disk.decided.contains(&choice.slot) {
                mind.choose(author, choice, now);
            }
        }
        Vec::new()
    }

    fn open(&mut self, author: Address, request: Request, now: u64) -> Vec<BookEffect> {
        let settled = &self.disk.settled;
        let digest = request
            .digest()
            .expect("the simulation makes only what is well-formed");
        if settled.contains_key(&digest) {
            return Vec::new();
        }
        let upstream: UpstreamOutcome = request
            .upstream()
            .into_iter()
            .filter_map(|of| Some((of, settled.get(&of)?.clone())))
            .collect();
        let votes = self.votes_on(digest);
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        mind.request(author, request, upstream, &votes, now)
            .unwrap_or_default()
    }

    fn votes_on(&self, request: Digest) -> Vec<(Address, RequestVote)> {
        let nodes = self.disk.logs.values().flatten();
        let votes = nodes.flat_map(|node| {
            let votes = node
                .body
                .iter()
                .filter_map(|message| RequestVote::from_message(message).ok().flatten());
            votes.map(|vote| (node.author, vote))
        });
        votes
            .filter(|(_, vote)| vote.key.request == request)
            .collect()
    }

    fn tasks(&mut self, effects: Vec<BookEffect>) -> Vec<Task> {
        let mut tasks = Vec::new();
        for effect in effects {
            match effect {
                BookEffect::Compute { key, .. } => tasks.push(Task::Compute(key)),
                BookEffect::Equivocated { member, .. } => {
                    self.named.insert(member);
                }
                BookEffect::Diverged { key, member } => {
                    let guilty = self.against_own(key).unwrap_or_else(|| vec![member]);
                    self.named.extend(guilty);
                }
            }
        }
        tasks
    }

    /// Those who voted for another outcome than this member found; nothing if it has not computed it. It believes itself
    /// more than what is registered: beyond f, the ring registers a lie.
    fn against_own(&self, key: RequestKey) -> Option<Vec<Address>> {
        let own = self.disk.journal.get(&key)?;
        let votes = self.votes_on(key.request).into_iter();
        let others = votes.filter(|(_, vote)| {
            vote.key == key && vote.result().is_ok_and(|result| result != *own)
        });
        Some(others.map(|(author, _)| author).collect())
    }

    /// Does what is due.
    pub fn act(&mut self, now: u64) -> Vec<Task> {
        self.dirty = false;
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        let Ok(effects) = mind.tick(&self.disk, now);
        effects.into_iter().map(Task::Do).collect()
    }

    /// Starts again with what is on disk.
    pub fn restart(&mut self, chain: &Chain, library: &Library, now: u64) -> Vec<Task> {
        let settings = Settings {
            entries: 4,
            wait: 300,
            turn: TURN,
        };
        let limits = Limits {
            open_per_author: 64,
            lifetime: 1_000,
        };
        self.mind = Some(Assembler::new(self.address, domain(), settings, limits));
        let mut tasks = self.follow(chain, library, now);
        tasks.extend(self.adopt(now));
        let nodes: Vec<_> = self.disk.logs.values().flatten().cloned().collect();
        for node in nodes {
            tasks.extend(self.feed(&node, now));
        }
        tasks.extend(self.catch_up());
        for member in self.disk.forked.clone() {
            self.mind.iter_mut().for_each(|mind| mind.forked(member));
        }
        tasks
    }

    /// Tells a new mind where the final part of the ring log ends.
    fn adopt(&mut self, now: u64) -> Vec<Task> {
        let (epoch, members) = (self.disk.state.epoch, self.disk.state.members.clone());
        let next = self.disk.final_nodes as u64;
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        let needed = quorum(members.len());
        let mut effects = mind.membership(epoch, members, needed, now);
        effects.extend(mind.rewound(next));
        effects.extend(self.heads());
        self.tasks(effects)
    }

    fn heads(&mut self) -> Vec<BookEffect> {
        let state = &self.disk.state;
        for member in &state.members {
            let head = state.heads.get(member).copied().unwrap_or(Digest::ZERO);
            self.mind
                .iter_mut()
                .for_each(|mind| mind.chain_head(*member, head));
        }
        Vec::new()
    }

    /// Tells the mind the ring nodes that it does not know yet.
    fn catch_up(&mut self) -> Vec<Task> {
        let mut effects = Vec::new();
        let Some(mind) = &mut self.mind else {
            return Vec::new();
        };
        while let Some(digest) = self.disk.state.nodes.get(mind.next() as usize) {
            let Some(node) = self.disk.known.get(digest) else {
                break;
            };
            effects.extend(mind.registered(node));
        }
        effects.extend(self.heads());
        self.dirty = true;
        self.tasks(effects)
    }

    /// Takes in what the chain says.
    pub fn follow(&mut self, chain: &Chain, library: &Library, now: u64) -> Vec<Task> {
        let ids = chain.blocks.iter().map(|block| block.id);
        let same = ids
            .zip(&self.disk.branch)
            .take_while(|(one, other)| one == *other)
            .count();
        if same == self.disk.branch.len() && same == chain.blocks.len() {
            return Vec::new();
        }
        let before = chain.state_at(same).nodes.len() as u64;
        let mut tasks = Vec::new();
        if let (true, Some(mind)) = (same < self.disk.branch.len(), &mut self.mind) {
            let effects = mind.rewound(before);
            tasks.extend(self.tasks(effects));
            self.propose_again();
        }
        self.disk.branch = chain.blocks.iter().map(|block| block.id).collect();
        self.disk.state = chain.state();
        for digest in &self.disk.state.nodes {
            if let Some(node) = library.get(digest) {
                self.disk.known.insert(*digest, node.clone());
            }
        }
        let state = self.disk.state.clone();
        if let Some(mind) = &mut self.mind {
            let needed = quorum(state.members.len());
            let effects = mind.membership(state.epoch, state.members, needed, now);
            tasks.extend(self.tasks(effects));
        }
        tasks.extend(self.catch_up());
        self.finalise(chain);
        tasks
    }

    /// Gives the mind the proposals that stand in the logs.
    fn propose_again(&mut self) {
        let nodes = self.disk.logs.values().flatten();
        for node in nodes {
            for message in &node.body {
                if let (Ok(Some(proposal)), Some(mind)) =
                    (Proposal::from_message(message), &mut self.mind)
                {
                    mind.proposal(node.author, proposal);
                }
            }
        }
    }

    fn finalise(&mut self, chain: &Chain) {
        let height = chain.blocks.len().saturating_sub(FINAL);
        let count = chain.state_at(height).nodes.len();
        for number in self.disk.final_nodes..count {
            let Some(node) = self.disk.known.get(&self.disk.state.nodes[number]) else {
                break;
            };
            for entry in node.entries() {
                match entry {
                    Entry::Result {
                        request, outcome, ..
                    } => drop(self.disk.settled.insert(*request, outcome.clone())),
                    Entry::Decision { slot, .. } => {
                        self.disk.decided.insert(*slot);
                    }
                }
            }
            self.disk.final_nodes = number + 1;
            let forgotten = self
                .mind
                .iter_mut()
                .flat_map(|mind| mind.finalised(number as u64));
            let forgotten: BTreeSet<_> = forgotten.collect();
            self.disk
                .journal
                .retain(|key, _| !forgotten.contains(&key.request));
        }
    }
}
