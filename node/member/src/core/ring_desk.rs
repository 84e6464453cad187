//! What the core holds for requests and ring nodes: the protocol's state machine, and what surrounds it.
//!
//! A [`RingDesk`] has the assembler (`rings_protocol::assembly`), the jobs that are computed, the messages that wait to
//! be written into the own log, the pages of ring nodes that are under way, and the times that the HTTP side shows.
//! `requests.rs`, `ring_nodes.rs` and `register.rs` work on it. All of it can be built again from the state database
//! ([`RingDesk::begin_again`]), except what waits to be written and who waits for an answer.

use super::{
    input::{Asked, NotAsked, RequestTimes},
    jobs::Jobs,
    pages::{Pages, RingDisk},
    terms::RingTerms,
};
use crate::state::{MemberState, StateError};
use rings_api::with_causes;
use rings_protocol::{
    assembly::{Assembler, AssemblyEffect, Reason},
    eip712::Domain,
    journal::Waiting,
    ringlog::RingNode,
    Address, Digest,
};
use rings_store::Block;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use tokio::sync::oneshot;

/// Requests whose times, or the reason why they were refused, are kept in memory for the HTTP side.
const REMEMBERED: usize = 4096;
/// Milliseconds between two looks at the assembly because of news. A look costs time for each entry that waits, so under load one
/// look serves many rounds; what is quiet is looked at once.
const LOOK_PAUSE: u64 = 20;

/// Where the answer to somebody who asked a request goes.
pub(super) type Reply = oneshot::Sender<Result<Asked, NotAsked>>;

/// Everything that the core holds for requests and ring nodes.
pub(super) struct RingDesk {
    /// The protocol's state machine for the next ring node.
    pub assembler: Assembler,
    /// What waits to be written into the own log.
    pub waiting: Waiting,
    /// Blocks that must be in the store before what waits is written.
    pub blocks: Vec<Block>,
    /// Pages of proposals that were fetched.
    pub pages: Pages,
    /// Requests that this member computes.
    pub jobs: Jobs,
    /// Ring nodes that are here with their pages and come later than the next one.
    pub known: BTreeMap<u64, RingNode>,
    /// Ring nodes that are being fetched.
    pub fetching: BTreeSet<(u64, Digest)>,
    /// Proposals of each member whose pages are being fetched.
    pub proposals_fetched: BTreeMap<Address, usize>,
    /// How many ring nodes the chain has, as far as it was read.
    pub count: u64,
    /// How many of them are final.
    pub finished: u64,
    /// The first block whose gates were not given to the assembly.
    pub gates_from: u64,
    /// The heads on chain.
    pub heads: BTreeMap<Address, Digest>,
    /// The newest block in which one of `heads` moved, or at which they were read.
    pub heads_block: u64,
    /// Requests that were not taken up and are on disk still.
    pub unwanted: Vec<Digest>,
    /// Those who wait until their request is on disk.
    pub replies: HashMap<Digest, Vec<Reply>>,
    /// How often each ring node was sent.
    pub attempts: HashMap<Digest, u64>,
    /// How many registrations in a row failed.
    pub failures: u32,
    /// Why the last proposal was not endorsed here.
    pub objection: Option<(Address, Reason)>,
    /// Whether something has changed since the last tick.
    has_news: bool,
    /// When the last tick was.
    looked: Option<u64>,
    /// Why requests were not taken up, the newest last.
    refused: VecDeque<(Digest, String)>,
    /// When which step of a request was reached.
    times: HashMap<Digest, RequestTimes>,
    /// The requests in `times`, the oldest first.
    timed: VecDeque<Digest>,
}

impl RingDesk {
    /// Nothing is known yet.
    pub fn new(me: Address, domain: Domain, terms: &RingTerms) -> Self {
        Self {
            assembler: Assembler::new(me, domain, terms.settings, terms.limits),
            waiting: Waiting::default(),
            blocks: Vec::new(),
            pages: Pages::default(),
            jobs: Jobs::default(),
            known: BTreeMap::new(),
            fetching: BTreeSet::new(),
            proposals_fetched: BTreeMap::new(),
            count: 0,
            finished: 0,
            gates_from: 0,
            heads: BTreeMap::new(),
            heads_block: 0,
            unwanted: Vec::new(),
            replies: HashMap::new(),
            attempts: HashMap::new(),
            failures: 0,
            objection: None,
            has_news: false,
            looked: None,
            refused: VecDeque::new(),
            times: HashMap::new(),
            timed: VecDeque::new(),
        }
    }

    /// Begins again from what is on disk. What waits to be written stays, and so do those who wait for answers.
    pub fn begin_again(&mut self, me: Address, domain: Domain, terms: &RingTerms) {
        self.assembler = Assembler::new(me, domain, terms.settings, terms.limits);
        self.jobs = Jobs::default();
        self.gates_from = 0;
        self.known.clear();
        self.fetching.clear();
        self.changed();
    }

    /// Something has changed, so the assembly of ring nodes is to be looked at.
    pub fn changed(&mut self) {
        self.has_news = true;
    }

    /// Whether the assembly of ring nodes is to be looked at now.
    pub fn is_due(&self, now: u64) -> bool {
        self.due().is_some_and(|at| at <= now)
    }

    /// When the assembly of ring nodes is to be looked at next.
    pub fn due(&self) -> Option<u64> {
        let after_news = self.looked.map_or(0, |looked| looked + LOOK_PAUSE);
        let after_news = self.has_news.then_some(after_news);
        after_news
            .into_iter()
            .chain(self.assembler.deadline())
            .min()
    }

    /// Looks at the assembly of ring nodes and returns what is to be done.
    pub fn tick(
        &mut self,
        state: &MemberState,
        now: u64,
    ) -> Result<Vec<AssemblyEffect>, StateError> {
        self.has_news = false;
        self.looked = Some(now);
        let pages = &self.pages;
        self.assembler.tick(&RingDisk { state, pages }, now)
    }

    /// Whether the assembly knows all ring nodes that the chain has.
    pub fn is_level(&self) -> bool {
        self.assembler.next() == self.count
    }

    /// The chain has this head for a member.
    pub fn head(&mut self, member: Address, head: Digest) {
        self.heads.insert(member, head);
        self.assembler.chain_head(member, head);
        self.changed();
    }

    /// Tells the assembly the heads on chain again.
    pub fn tell_heads(&mut self) {
        for (member, head) in &self.heads {
            self.assembler.chain_head(*member, *head);
        }
        self.changed();
    }

    /// Why the last proposal was not endorsed here, in words.
    pub fn objection(&self) -> Option<String> {
        let (author, reason) = self.objection.as_ref()?;
        let reason = with_causes(reason);
        Some(format!(
            "the ring node that {author} proposed is not endorsed here now: {reason}"
        ))
    }

    /// Remembers why a request was not taken up.
    pub fn refuse(&mut self, request: Digest, reason: String) {
        self.refused.push_back((request, reason));
        if self.refused.len() > REMEMBERED {
            self.refused.pop_front();
        }
    }

    /// Why a request was not taken up, while it is remembered.
    pub fn refusal(&self, request: Digest) -> Option<String> {
        let mut refused = self.refused.iter().rev();
        let (_, reason) = refused.find(|(refused, _)| *refused == request)?;
        Some(reason.clone())
    }

    /// The times of a request, to be written.
    pub fn times(&mut self, request: Digest) -> &mut RequestTimes {
        if !self.times.contains_key(&request) {
            self.timed.push_back(request);
            if self.timed.len() > REMEMBERED {
                let oldest = self.timed.pop_front();
                oldest.map(|oldest| self.times.remove(&oldest));
            }
        }
        self.times.entry(request).or_default()
    }

    /// The times of a request, while they are remembered.
    pub fn times_of(&self, request: Digest) -> RequestTimes {
        self.times.get(&request).copied().unwrap_or_default()
    }
}
