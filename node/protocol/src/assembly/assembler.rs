//! The state of a member that takes part in the agreement on ring nodes, and how news changes it.
//!
//! An [`Assembler`] holds the membership, the number of the next ring node, the heads that the contract has, the book
//! of requests, the choices of members, and the proposals and endorsements for the next number. The methods in this
//! file take news from two sources, the logs of members and the chain, and none of them decides anything:
//! [`Assembler::tick`] does that (`act.rs`), and [`AssemblyEffect`] lists what it may ask of the caller. [`Settings`]
//! has the times, in milliseconds.
//!
//! Whatever changes what members sign takes endorsements back, so that each proposal is looked at again: a new
//! membership, a head that moved on chain, a reorganisation. A member whose head moved while a ring node that moves it
//! too was under way is left out of the next one: the contract puts its own stored heads into what was signed, so one
//! head that differs makes all signatures of that ring node invalid.

use super::{
    check::Reason,
    decisions::{Choice, Decisions},
    held::Drafts,
    proposal::{Endorsement, NodeRegistration, Proposal},
};
use crate::{
    eip712::{Domain, TypedData},
    request::{Book, BookEffect, Limits, Request, RequestRefusal, RequestVote, UpstreamOutcome},
    ringlog::{Entry, RingNode},
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// When a ring node is due, and how long turns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The number of waiting entries that makes a ring node due at once.
    pub entries: usize,
    /// How long an entry may wait before it makes a ring node due, in milliseconds.
    pub wait: u64,
    /// How long the next in line waits for a proposer or a sender, in milliseconds. It should be the time of some blocks,
    /// so that a transaction that was sent can be seen.
    pub turn: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries: 1000,
            wait: 10_000,
            turn: 15_000,
        }
    }
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssemblyEffect {
    /// Store header and pages, write the proposal into the own log, send it, and give it back ([`Assembler::proposal`]).
    Propose {
        /// What goes into the log.
        proposal: Proposal,
        /// The ring node, with its pages.
        node: Box<RingNode>,
    },
    /// Fetch these pages, first from this member. [`RingStore::page`](super::RingStore::page) gives them when they are
    /// there.
    Fetch {
        /// Who proposed them.
        author: Address,
        /// The missing pages.
        pages: Vec<Digest>,
    },
    /// Sign this ([`Endorsement::sign`]), write it into the own log, send it, and give it back
    /// ([`Assembler::endorsement`]).
    Endorse {
        /// The digest of the header.
        node: Digest,
        /// What is to be signed.
        data: TypedData,
    },
    /// Send the registration. The chain's events say whether it worked; if not, call [`Assembler::registration_failed`].
    Register(NodeRegistration),
    /// This member does not endorse the proposal now, for status. It looks at it again when something changes.
    Object {
        /// Who proposed it.
        author: Address,
        /// The digest of the header.
        node: Digest,
        /// Why.
        reason: Reason,
    },
}

/// A member's part in agreeing on ring nodes.
#[derive(Debug)]
pub struct Assembler {
    pub(super) me: Address,
    pub(super) domain: Domain,
    /// When a ring node is due, and how long a turn lasts.
    pub(super) settings: Settings,
    pub(super) epoch: u64,
    pub(super) members: Vec<Address>,
    /// How many endorsements are two thirds.
    pub(super) needed: usize,
    /// The number of the next ring node.
    pub(super) next: u64,
    /// The requests that may be listed.
    pub(super) book: Book,
    /// The choices that may be listed.
    pub(super) decisions: Decisions,
    /// Proposals and endorsements for the next ring node.
    pub(super) drafts: Drafts,
    /// The heads of members' logs that the contract has.
    pub(super) heads: BTreeMap<Address, Digest>,
    /// Members whose heads moved on chain while a ring node was under way: the next one leaves them out.
    pub(super) moved: BTreeSet<Address>,
    /// Members whose forks are proven.
    pub(super) forked: BTreeSet<Address>,
    /// Members whose accounts cannot pay for a registration now.
    pub(super) poor: BTreeSet<Address>,
    /// Since when enough entries wait.
    pub(super) full: Option<u64>,
    /// When this member proposed for the next number.
    pub(super) proposed: Option<u64>,
    /// When `tick` is needed next, if nothing else happens.
    pub(super) wake: Option<u64>,
}

impl Assembler {
    /// A member that knows nothing yet. Tell it the membership, the heads on chain and, by [`Assembler::rewound`], the
    /// number of the next ring node.
    pub fn new(me: Address, domain: Domain, settings: Settings, limits: Limits) -> Self {
        Self {
            me,
            domain,
            settings,
            epoch: 0,
            members: Vec::new(),
            needed: usize::MAX,
            next: 0,
            book: Book::new(domain, limits),
            decisions: Decisions::default(),
            drafts: Drafts::default(),
            heads: BTreeMap::new(),
            moved: BTreeSet::new(),
            forked: BTreeSet::new(),
            poor: BTreeSet::new(),
            full: None,
            proposed: None,
            wake: None,
        }
    }

    /// The number of the next ring node.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The open requests and the votes on them.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Takes the current membership, as [`crate::member::Member::membership`] does. All votes are counted again, and what
    /// was endorsed in another epoch has to be endorsed again.
    pub fn membership(
        &mut self,
        epoch: u64,
        mut members: Vec<Address>,
        needed: usize,
        now: u64,
    ) -> Vec<BookEffect> {
        members.sort_unstable();
        if (epoch, &members, needed) == (self.epoch, &self.members, self.needed) {
            return Vec::new();
        }
        (self.epoch, self.members, self.needed) = (epoch, members, needed);
        self.reconsider();
        self.proposed = None;
        self.decisions.membership(&self.members, needed, now);
        self.book.membership(&self.members, needed, now)
    }

    /// Takes the members whose accounts cannot pay for a registration now, as [`crate::member::Member::cannot_pay`] does.
    pub fn cannot_pay(&mut self, poor: BTreeSet<Address>) {
        self.poor = poor;
    }

    /// All proposals are to be looked at again.
    fn reconsider(&mut self) {
        for (_, held) in self.drafts.all() {
            (held.endorsed, held.sent) = (false, false);
            (held.signed, held.quorum) = (None, None);
        }
    }

    /// Takes up a request: see [`Book::open`].
    ///
    /// # Errors
    /// [`RequestRefusal`].
    pub fn request(
        &mut self,
        author: Address,
        request: Request,
        settled: UpstreamOutcome,
        votes: &[(Address, RequestVote)],
        now: u64,
    ) -> Result<Vec<BookEffect>, RequestRefusal> {
        self.book.open(author, request, settled, votes, now)
    }

    /// The result of a gate is on chain, and final: see [`Book::on_chain`].
    pub fn on_chain(&mut self, entry: Entry, at: u64) {
        self.book.on_chain(entry, at);
    }

    /// A reorganisation took the result of a gate away: see [`Book::taken_back`].
    pub fn taken_back(&mut self, gate: Digest) {
        self.book.taken_back(gate);
    }

    /// Counts a vote: see [`Book::vote`].
    pub fn vote(&mut self, member: Address, vote: &RequestVote, now: u64) -> Vec<BookEffect> {
        self.book.vote(member, vote, now)
    }

    /// Takes what a member would choose for a slot that no final ring node decides. The caller has checked that the
    /// application knows such a slot and such a choice.
    pub fn choose(&mut self, member: Address, choice: Choice, now: u64) {
        self.decisions.choose(member, choice, now);
    }

    /// Takes a proposal from the log of `author`.
    pub fn proposal(&mut self, author: Address, proposal: Proposal) {
        self.drafts.propose(author, proposal);
    }

    /// Takes an endorsement from the log of `author`. Its signature is checked when it is needed.
    pub fn endorsement(&mut self, author: Address, endorsement: Endorsement) {
        self.drafts.endorse(author, endorsement);
    }

    /// The contract has this head for a member now: at the start, and after a flush. A member whose head moved while a ring
    /// node that moves it too was under way is left out of the next one.
    pub fn chain_head(&mut self, member: Address, head: Digest) {
        if self.heads.insert(member, head) == Some(head) {
            return;
        }
        let stale = self.drafts.all().any(|(_, held)| {
            let moves = held.moves.iter().flatten();
            moves.filter(|(of, _, _)| *of == member).count() > 0
        });
        if stale {
            self.moved.insert(member);
            self.proposed = None;
            self.reconsider();
        }
    }

    /// A fork of this member's log is proven: no ring node moves its head any more.
    pub fn forked(&mut self, member: Address) {
        self.forked.insert(member);
    }

    /// The chain has this ring node as its newest.
    pub fn registered(&mut self, node: &RingNode) -> Vec<BookEffect> {
        let number = node.number();
        for head in node.heads() {
            self.heads.insert(head.member, head.head);
        }
        self.decisions.listed(number, node.entries());
        let effects = self.book.listed(number, node.entries());
        self.begin(number.saturating_add(1));
        effects
    }

    /// The ring log's next node is `next`: at the start, or after a reorganisation took ring nodes away. The caller gives
    /// the heads on chain again ([`Assembler::chain_head`]), and proposals that are in the logs.
    pub fn rewound(&mut self, next: u64) -> Vec<BookEffect> {
        let effects = self.book.rewound(next);
        self.decisions.rewound(next);
        self.begin(next);
        self.reconsider();
        effects
    }

    fn begin(&mut self, next: u64) {
        self.next = next;
        self.drafts.advance(next);
        self.moved.clear();
        (self.full, self.proposed) = (None, None);
    }

    /// Ring node `number` is final. Returns the requests that the journal may forget: listed, or expired.
    pub fn finalised(&mut self, number: u64) -> Vec<Digest> {
        self.decisions.finalised(number);
        self.book.finalised(number)
    }

    /// The chain refused the registration, and another ring node is not registered in its place: others have their turn,
    /// and this member may propose again.
    pub fn registration_failed(&mut self, node: Digest, now: u64) {
        for (_, held) in self.drafts.all().filter(|(_, held)| held.node == node) {
            held.sent = false;
            held.quorum = Some(now);
        }
        self.proposed = None;
    }

    /// When [`Assembler::tick`] is needed next, if nothing else happens.
    pub fn deadline(&self) -> Option<u64> {
        self.wake
    }
}
