//! Whether a member endorses a ring node that another one proposes.
//!
//! `View::objection` compares a proposal with what this member knows and gives a [`Reason`] not to endorse it, or
//! nothing. It checks, in this order: place and links, whether anything is listed, each entry (two thirds have voted
//! so, and what the entry rests on is listed before or beside it), what is left out, each head, and at last whether a
//! ring node is due at all.
//!
//! A proposer that could leave entries out for ever would be a censor. So an entry that was agreed two ring nodes ago
//! must be listed if there is room. Younger ones may have been unknown to the proposer. `select` is the other side of
//! this rule: it fills a ring node with pending entries in their order and stops at the first that does not fit,
//! because a later one may rest on it.
//!
//! [`RingStore`] is what is asked of the disk; a failure of it is passed on and is never an objection.

use super::{decisions::Decisions, proposal::Move};
use crate::{
    request::{self, Book},
    ringlog::{Entry, Position, RingNode, Subject, MAX_ENTRIES_BYTES},
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// What of a member's disk the assembly of ring nodes asks for.
pub trait RingStore {
    /// What the storage fails with.
    type Error;
    /// The digest of ring node `number` on the branch that is followed.
    fn ring_node(&self, number: u64) -> Result<Option<Digest>, Self::Error>;
    /// The bytes of a page, checked against its digest.
    fn page(&self, digest: Digest) -> Result<Option<Vec<u8>>, Self::Error>;
    /// The position of a node in a member's log, if it is held and linked without a gap to the first node.
    fn position(&self, member: Address, head: Digest) -> Result<Option<u64>, Self::Error>;
    /// The end of a member's log as it is held.
    fn tip(&self, member: Address) -> Result<Option<Digest>, Self::Error>;
}

/// Why a member does not endorse a ring node, so far or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Number, links, epoch or members are not those of the next ring node.
    #[error("it does not fit as the next ring node of the current members")]
    Position,
    /// It lists no entry. Heads alone are no reason for a transaction.
    #[error("it lists no result and no decision")]
    Idle,
    /// By count and by time, no ring node is due here yet.
    #[error("no ring node is due yet")]
    NotDue,
    /// An entry that this member does not support; the source says why.
    #[error("an entry is not endorsed here")]
    Entry(#[source] request::Objection),
    /// A choice that nobody made, or a slot that was decided.
    #[error("slot {slot} is decided, or {choice} is not what honest members chose")]
    Choice {
        /// The slot.
        slot: Digest,
        /// The choice.
        choice: Digest,
    },
    /// A head that is not held here, or is not after the one on chain, or of an account that is no member.
    #[error("the head of {member} is not held here, or does not follow the one on chain")]
    Head {
        /// Whose head.
        member: Address,
    },
    /// It leaves out what was agreed two ring nodes ago, though there is room.
    #[error("it leaves out {subject:?}, which was agreed two ring nodes ago")]
    Omitted {
        /// What is left out.
        subject: Subject,
    },
}

/// An entry that may be listed, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub entry: Entry,
    /// The number of the next ring node when it was agreed.
    pub since: u64,
    /// When it was agreed.
    pub at: u64,
}

/// What a member knows when it looks at a proposal.
pub(super) struct View<'a> {
    /// Where the next ring node stands.
    pub position: Position,
    pub members: &'a [Address],
    /// The heads on chain.
    pub heads: &'a BTreeMap<Address, Digest>,
    pub book: &'a Book,
    pub decisions: &'a Decisions,
    /// What this member would list itself.
    pub pending: &'a [Pending],
    /// Whether a ring node is due now.
    pub is_due: bool,
}

/// What may be listed next. Requests come before those that rest on them.
pub(super) fn pending(book: &Book, decisions: &Decisions) -> Vec<Pending> {
    let results = book.pending().into_iter().map(|agreed| Pending {
        entry: agreed.entry.clone(),
        since: agreed.since,
        at: agreed.at,
    });
    let slots = decisions.pending().into_iter().map(|slot| Pending {
        entry: slot.entry,
        since: slot.since,
        at: slot.at,
    });
    results.chain(slots).collect()
}

/// As many pending entries as fit, from the first on.
pub(super) fn select(pending: &[Pending]) -> Vec<Entry> {
    let mut room = MAX_ENTRIES_BYTES;
    let (mut taken, mut left_out) = (Vec::new(), false);
    for each in pending {
        let size = each.entry.to_bytes().len();
        left_out |= size > room;
        // No entry after the first that does not fit: it might depend on that one.
        if !left_out {
            room -= size;
            taken.push(each.entry.clone());
        }
    }
    taken
}

impl View<'_> {
    /// Why this member does not endorse the node; nothing if it does.
    pub fn objection<S: RingStore>(
        &self,
        store: &S,
        node: &RingNode,
        moves: &[Move],
    ) -> Result<Option<Reason>, S::Error> {
        if node.header().position() != self.position {
            return Ok(Some(Reason::Position));
        }
        if node.entries().is_empty() {
            return Ok(Some(Reason::Idle));
        }
        // Whether a ring node is due is asked last: a proposal with a fault is refused for that fault, so that the
        // operator reads what is wrong with it and not that it came early.
        if let Some(reason) = self.entries(node).or_else(|| self.omission(node)) {
            return Ok(Some(reason));
        }
        for each in moves {
            if !self.head_fits(store, each)? {
                return Ok(Some(Reason::Head { member: each.0 }));
            }
        }
        Ok((!self.is_due).then_some(Reason::NotDue))
    }

    /// The first entry that this member would not list. A result may rest on another one that the same ring node lists.
    fn entries(&self, node: &RingNode) -> Option<Reason> {
        let results = node.entries().iter().filter_map(|entry| match entry {
            Entry::Result { request, .. } => Some(*request),
            Entry::Decision { .. } => None,
        });
        let beside: BTreeSet<_> = results.collect();
        node.entries().iter().find_map(|entry| match entry {
            Entry::Result { .. } => self.book.supports(entry, &beside).err().map(Reason::Entry),
            Entry::Decision { slot, choice } => {
                let refused = !self.decisions.supports(*slot, *choice);
                refused.then_some(Reason::Choice {
                    slot: *slot,
                    choice: *choice,
                })
            }
        })
    }

    /// Something that must be listed and is not. An entry that rests on one that is left out for want of room may be left
    /// out too.
    fn omission(&self, node: &RingNode) -> Option<Reason> {
        let listed: BTreeSet<_> = node.entries().iter().map(Entry::subject).collect();
        let used = node.entries().iter().map(|entry| entry.to_bytes().len());
        let mut room = MAX_ENTRIES_BYTES.saturating_sub(used.sum());
        for each in self.pending {
            let subject = each.entry.subject();
            if listed.contains(&subject) {
                continue;
            }
            let old = each.since.saturating_add(2) <= self.position.number;
            let size = each.entry.to_bytes().len();
            if size > room {
                return None;
            }
            if old {
                return Some(Reason::Omitted { subject });
            }
            // A younger one may have been unknown to the proposer; what follows may rest on it.
            room -= size;
        }
        None
    }

    /// Whether a move begins at the head on chain, and ends at a later node of the same log that is held here. A log
    /// whose head the chain does not have yet may begin anywhere.
    fn head_fits<S: RingStore>(&self, store: &S, each: &Move) -> Result<bool, S::Error> {
        let (member, before, after) = *each;
        let on_chain = self.heads.get(&member).copied().unwrap_or(Digest::ZERO);
        if before != on_chain || self.members.binary_search(&member).is_err() {
            return Ok(false);
        }
        let Some(position) = store.position(member, after)? else {
            return Ok(false);
        };
        if on_chain.is_zero() {
            return Ok(true);
        }
        let held = store.position(member, on_chain)?;
        Ok(held.is_some_and(|held| held < position))
    }
}
