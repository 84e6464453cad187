//! Ring nodes: what the ring as a whole agrees on, from a proposal to the registration, and back from the chain.
//!
//! `assemble` asks the protocol what is due, and does it. What the chain registers is followed by number
//! ([`Core::follow_ring_log`]): a task fetches header and pages, first from the own store; then the node's entries go to
//! disk and to the state machine ([`Core::on_ring_node`]). So the assembly may be behind the chain for a moment, and does
//! nothing meanwhile. When there are enough blocks on top of a ring node, the requests that it lists are forgotten.

use super::{
    fetch::{fetch_pages, fetch_ring_node},
    input::{report, Input},
    Core, CoreError,
};
use crate::{clock, state::RingNodeFact};
use bytes::Bytes;
use rings_chain::{ChainEvent, Located, RingState};
use rings_protocol::{
    assembly::{AssemblyEffect, Proposal, MAX_PROPOSALS},
    cids::node_cid,
    eip712::TypedData,
    ringlog::{gate_subject, Entry, RingNode, Subject},
    Address, Digest,
};
use rings_store::{Block, StoreError};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Ring nodes that are fetched at one time.
const FETCHED_AT_ONCE: usize = 8;
/// Ring nodes whose attempts are counted.
const ATTEMPTS: usize = 1024;

impl Core {
    /// Begins with what is on disk: after a start, and when votes may be on disk that were not counted.
    pub(super) fn begin_ring_log(&mut self) -> Result<(), CoreError> {
        let state = Arc::clone(&self.parts.state);
        self.ring.count = state.ring_node_count()?;
        self.ring.finished = state.final_ring_nodes()?;
        self.ring
            .begin_again(self.me, self.parts.domain, &self.parts.terms);
        let (epoch, members) = (
            self.parts.member.epoch(),
            self.parts.member.members().to_vec(),
        );
        let (needed, now, finished) = (self.needed, self.now(), self.ring.finished);
        let assembler = &mut self.ring.assembler;
        assembler.membership(epoch, members, needed, now);
        assembler.rewound(finished);
        self.ring.tell_heads();
        for author in self.forks.authors() {
            self.ring.assembler.forked(author);
        }
        for (member, choice) in state.choices()? {
            self.ring.assembler.choose(member, choice, now);
        }
        for (author, request) in state.all_asked()? {
            if request.may_be_listed_by(finished) {
                self.take_up(author, request)?;
            }
        }
        self.propose_again()?;
        for (author, endorsement) in state.endorsements()? {
            self.ring.assembler.endorsement(author, endorsement);
        }
        self.follow_ring_log()
    }

    /// Gives the assembly the proposals that stand in the logs.
    fn propose_again(&mut self) -> Result<(), CoreError> {
        for (author, proposal) in self.parts.state.proposals()? {
            self.on_proposal(author, proposal);
        }
        Ok(())
    }

    /// The ring as it was read from the chain: membership and heads.
    pub(super) fn ring_as_read(&mut self, ring: &RingState) -> Result<(), CoreError> {
        self.needed = usize::try_from(ring.quorum).unwrap_or(usize::MAX);
        let now = self.now();
        let assembler = &mut self.ring.assembler;
        let effects = assembler.membership(ring.epoch, ring.members.clone(), self.needed, now);
        self.on_book(effects)?;
        if ring.block >= self.ring.heads_block {
            for (member, head) in ring.members.iter().zip(&ring.heads) {
                self.ring.head(*member, *head);
            }
        }
        Ok(())
    }

    /// The ring nodes that a page of events registers.
    pub(super) fn ring_node_facts(events: &[Located]) -> Vec<RingNodeFact> {
        let facts = events.iter().filter_map(|located| match located.event {
            ChainEvent::RingNodeRegistered { node, prev, .. } => Some(RingNodeFact {
                node,
                prev,
                block: located.block.number,
                transaction: located.transaction,
            }),
            _ => None,
        });
        facts.collect()
    }

    /// A head moved on chain, by a ring node or by a flush.
    pub(super) fn on_head_moved(&mut self, member: Address, head: Digest, block: u64) {
        self.ring.heads_block = self.ring.heads_block.max(block);
        self.ring.head(member, head);
    }

    /// A page of events is on disk.
    pub(super) fn after_page(&mut self) -> Result<(), CoreError> {
        self.ring.count = self.parts.state.ring_node_count()?;
        self.give_gates()?;
        self.follow_ring_log()?;
        self.finalise()
    }

    /// Gives the assembly the results of gates that are final now.
    fn give_gates(&mut self) -> Result<(), CoreError> {
        let block = self.parts.shared.snapshot().block;
        let Some(last) = block.checked_sub(self.parts.terms.confirmations) else {
            return Ok(());
        };
        let gates = self
            .parts
            .state
            .unlisted_gates(self.ring.gates_from..=last)?;
        self.ring.gates_from = self.ring.gates_from.max(last.saturating_add(1));
        for (gate, since) in gates {
            let Some((computation, outputs)) = self.agreed(gate)? else {
                continue;
            };
            if let Ok(entry) = Entry::of_gate(computation, &outputs) {
                let at = self.waits_since(since);
                self.ring.assembler.on_chain(entry, at);
                self.ring.changed();
            }
        }
        Ok(())
    }

    /// When the result of a gate that was read so many seconds after 1970 begins to wait as others do: so that it makes a ring
    /// node due when its own time has passed.
    fn waits_since(&self, since: u64) -> u64 {
        let elapsed = clock::seconds().saturating_sub(since);
        let left = self.parts.terms.gates.saturating_sub(elapsed);
        let due = self.now().saturating_add(left.saturating_mul(1000));
        due.saturating_sub(self.parts.terms.settings.wait)
    }

    /// A reorganisation has changed these gates.
    pub(super) fn gates_rewound(&mut self, gates: &[Address], block: u64) {
        self.ring.gates_from = self.ring.gates_from.min(block.saturating_add(1));
        for gate in gates {
            self.ring.assembler.taken_back(gate_subject(*gate));
        }
    }

    /// A reorganisation took back what was registered after a block.
    pub(super) fn ring_log_rewound(&mut self, block: u64) -> Result<(), CoreError> {
        self.ring.heads_block = block;
        self.ring.count = self.parts.state.ring_node_count()?;
        self.ring.finished = self.parts.state.final_ring_nodes()?;
        self.ring.known.clear();
        self.ring.fetching.clear();
        if self.ring.count < self.ring.assembler.next() {
            tracing::warn!(next = self.ring.count, "ring nodes were reorganised away");
            let effects = self.ring.assembler.rewound(self.ring.count);
            self.on_book(effects)?;
            // What was proposed for these numbers fits again, and so do the endorsements of it.
            self.propose_again()?;
        }
        Ok(())
    }

    /// Fetches the ring nodes that the chain names and that are not here.
    pub(super) fn follow_ring_log(&mut self) -> Result<(), CoreError> {
        let next = self.ring.assembler.next();
        for number in (next..self.ring.count).take(FETCHED_AT_ONCE) {
            let Some(node) = self.parts.state.ring_node(number)? else {
                break;
            };
            let is_here = self.ring.known.contains_key(&number);
            if is_here || !self.ring.fetching.insert((number, node.digest)) {
                continue;
            }
            let blocks = self.parts.blocks.clone();
            let outbox = self.parts.outbox.clone();
            tokio::spawn(async move {
                if let Some(node) = fetch_ring_node(blocks, node, &outbox).await {
                    report(&outbox, Input::RingNode(Box::new(node))).await;
                }
            });
        }
        Ok(())
    }

    /// A ring node that the chain named when it was fetched is here, with its pages.
    pub(super) fn on_ring_node(&mut self, node: RingNode) -> Result<(), CoreError> {
        self.ring.fetching.remove(&(node.number(), node.digest()));
        self.ring.known.insert(node.number(), node);
        while let Some(node) = self.ring.known.remove(&self.ring.assembler.next()) {
            let named = self.parts.state.ring_node(node.number())?;
            if named.is_none_or(|named| named.digest != node.digest()) {
                break;
            }
            self.list(&node)?;
        }
        let next = self.ring.assembler.next();
        self.ring.known.retain(|number, _| *number >= next);
        self.ring.tell_heads();
        self.follow_ring_log()?;
        self.finalise()
    }

    /// The chain has this ring node after those that are known.
    fn list(&mut self, node: &RingNode) -> Result<(), CoreError> {
        tokio::task::block_in_place(|| self.parts.state.list(node))?;
        let (number, entries) = (node.number(), node.entries().len());
        let cid = node_cid(node.digest());
        tracing::info!(number, %cid, entries, heads = node.heads().len(), "a ring node is on chain");
        let now = self.now();
        for entry in node.entries() {
            match entry.subject() {
                Subject::Request(request) => self.ring.times(request).listed = Some(now),
                // It may be about a process.
                _ => self.parts.words.notify_one(),
            }
        }
        for head in node.heads() {
            self.ring.heads.insert(head.member, head.head);
        }
        self.parts.shared.listed(entries as u64);
        self.ring.objection = None;
        self.ring.failures = 0;
        // A node that is reorganised away is sent again under another number of attempt.
        if self.ring.attempts.len() > ATTEMPTS {
            self.ring.attempts.clear();
        }
        let effects = self.ring.assembler.registered(node);
        self.on_book(effects)
    }

    /// Forgets the requests of ring nodes that are deep enough in the chain.
    fn finalise(&mut self) -> Result<(), CoreError> {
        let head = self.parts.shared.snapshot().block;
        let (mut next, mut over) = (self.ring.finished, Vec::new());
        while next < self.ring.assembler.next() {
            let node = self.parts.state.ring_node(next)?;
            let depth = self.parts.terms.depth();
            if node.is_none_or(|node| node.block.saturating_add(depth) > head) {
                break;
            }
            over.extend(self.ring.assembler.finalised(next));
            next += 1;
        }
        if next > self.ring.finished {
            tokio::task::block_in_place(|| self.parts.state.finalise(next, &over))?;
            self.ring.finished = next;
            let book = self.ring.assembler.book();
            self.ring
                .jobs
                .retain(|request| book.standing(request).is_some());
        }
        Ok(())
    }

    /// Whether this member takes part in agreeing on ring nodes now.
    fn may_assemble(&self) -> bool {
        let is_at_rest = self.postponed.is_some() || self.was_behind;
        !is_at_rest && self.ring.is_level() && self.parts.member.is_member(self.me)
    }

    /// When the assembly is to be looked at next.
    pub(super) fn ring_due(&self) -> Option<Instant> {
        let at = self.ring.due().filter(|_| self.may_assemble());
        let due = at.map(|at| self.started + Duration::from_millis(at));
        due.into_iter().chain(self.ring.jobs.deadline()).min()
    }

    /// Does what is due about the next ring node.
    pub(super) fn assemble(&mut self) -> Result<(), CoreError> {
        let now = self.now();
        if !self.may_assemble() || !self.ring.is_due(now) {
            return Ok(());
        }
        for effect in self.ring.tick(&self.parts.state, now)? {
            self.on_assembly(effect)?;
        }
        Ok(())
    }

    fn on_assembly(&mut self, effect: AssemblyEffect) -> Result<(), CoreError> {
        match effect {
            AssemblyEffect::Propose { proposal, node } => self.propose(&proposal, &node)?,
            AssemblyEffect::Fetch { author, pages } => self.fetch_pages(author, pages),
            AssemblyEffect::Endorse { node, data } => self.endorse(node, data)?,
            AssemblyEffect::Register(registration) => self.register(registration),
            AssemblyEffect::Object {
                author,
                node,
                reason,
            } => {
                tracing::debug!(member = %author, %node, reason = rings_api::with_causes(&reason), "a proposed ring node is not endorsed now");
                self.ring.objection = Some((author, reason));
            }
        }
        Ok(())
    }

    /// Writes a proposal; its blocks are stored before.
    fn propose(&mut self, proposal: &Proposal, node: &RingNode) -> Result<(), CoreError> {
        let header = (node.digest(), node.header_bytes().to_vec());
        for (digest, bytes) in node.pages().iter().chain([&header]) {
            let bytes = Bytes::copy_from_slice(bytes);
            self.ring.pages.keep(*digest, bytes.clone());
            self.ring.blocks.push(block(*digest, bytes)?);
        }
        let results = node
            .entries()
            .iter()
            .filter(|entry| matches!(entry, Entry::Result { .. }));
        let (number, results, heads) = (node.number(), results.count(), node.heads().len());
        tracing::info!(number, results, heads, "proposed a ring node");
        self.ring.waiting.messages.push_back(proposal.to_message());
        Ok(())
    }

    /// A proposal stands in a node that is on disk: its header is kept, for who endorses it must hold it.
    pub(super) fn on_proposal(&mut self, author: Address, proposal: Proposal) {
        let header = Bytes::copy_from_slice(&proposal.header);
        self.ring.pages.keep(proposal.node(), header);
        self.ring.assembler.proposal(author, proposal);
    }

    /// The endorsement is signed with the round that carries it.
    fn endorse(&mut self, node: Digest, data: TypedData) -> Result<(), CoreError> {
        if let Some(header) = self.ring.pages.get(node).cloned() {
            self.ring.blocks.push(block(node, header)?);
        }
        self.ring.waiting.endorsements.push_back((node, data));
        Ok(())
    }

    /// Fetches the pages of a proposal. A member that proposes and proposes is not followed without end.
    fn fetch_pages(&mut self, author: Address, pages: Vec<Digest>) {
        let under_way = self.ring.proposals_fetched.entry(author).or_default();
        if *under_way >= MAX_PROPOSALS {
            tracing::debug!(member = %author, "pages of earlier proposals of this member are being fetched still");
            return;
        }
        *under_way += 1;
        let (blocks, outbox) = (self.parts.blocks.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            let pages = fetch_pages(blocks, &pages).await.unwrap_or_default();
            report(&outbox, Input::Pages { author, pages }).await;
        });
    }

    /// Fetching the pages of a proposal has ended.
    pub(super) fn on_pages(&mut self, author: Address, pages: Vec<(Digest, Bytes)>) {
        if let Some(under_way) = self.ring.proposals_fetched.get_mut(&author) {
            *under_way = under_way.saturating_sub(1);
        }
        for (digest, bytes) in pages {
            self.ring.pages.keep(digest, bytes);
        }
        self.ring.changed();
    }
}

/// A block of a ring node.
fn block(digest: Digest, bytes: Bytes) -> Result<Block, StoreError> {
    Block::new(node_cid(digest), bytes)
}
