//! The proposals and endorsements that a member holds for the next ring node.
//!
//! `Drafts` keeps both by member, in queues of [`MAX_PROPOSALS`] and [`MAX_ENDORSEMENTS`]: a member that writes more
//! pushes out only its own oldest. A `HeldProposal` is a proposal with what this member made of it: its pages read,
//! endorsed or not, sent or not. `Drafts::quorum` collects the signatures for one ring node. Recovering the signer of a
//! signature is dear, so a signature is checked only when enough endorsements are there that could make the quorum, and
//! then once.

use super::{
    check::Reason,
    proposal::{Endorsement, Move, Proposal},
};
use crate::{crypto::Signature, ringlog::Header, Address, Digest};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most proposals of one member that are held. The oldest goes first.
pub const MAX_PROPOSALS: usize = 4;
/// Most endorsements of one member that are held. The oldest goes first.
pub const MAX_ENDORSEMENTS: usize = 16;

/// A proposal, and what this member made of it.
#[derive(Debug)]
pub(super) struct HeldProposal {
    pub proposal: Proposal,
    /// The digest of the ring node that is proposed.
    pub node: Digest,
    pub header: Header,
    /// The heads that move, once the pages are there.
    pub moves: Option<Vec<Move>>,
    /// The digest that is signed, once the pages are there.
    pub signed: Option<Digest>,
    /// Whether this member has endorsed it.
    pub endorsed: bool,
    /// Whether the caller was asked to fetch the pages.
    pub fetching: bool,
    /// Why this member did not endorse it when it last looked.
    pub objection: Option<Reason>,
    /// When enough members had endorsed it.
    pub quorum: Option<u64>,
    /// Whether this member has sent it.
    pub sent: bool,
}

/// An endorsement from a member's log.
#[derive(Debug)]
struct Given {
    endorsement: Endorsement,
    /// Whether the signature was checked. A check is dear, so there is one at most.
    checked: bool,
}

impl Given {
    fn is_of(&mut self, member: Address) -> bool {
        self.checked = self.checked || self.endorsement.signer() == Some(member);
        self.checked
    }
}

/// Proposals and endorsements, by member.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub proposals: BTreeMap<Address, VecDeque<HeldProposal>>,
    endorsements: BTreeMap<Address, VecDeque<Given>>,
}

impl Drafts {
    /// Takes a proposal in. Returns false if it is held already or is malformed.
    pub fn propose(&mut self, author: Address, proposal: Proposal) -> bool {
        let Ok(header) = proposal.header() else {
            return false;
        };
        let held = self.proposals.entry(author).or_default();
        if held.iter().any(|held| held.proposal == proposal) {
            return false;
        }
        if held.len() >= MAX_PROPOSALS {
            held.pop_front();
        }
        held.push_back(HeldProposal {
            node: proposal.node(),
            proposal,
            header,
            moves: None,
            signed: None,
            endorsed: false,
            fetching: false,
            objection: None,
            quorum: None,
            sent: false,
        });
        true
    }

    /// Keeps an endorsement, unless it is held. Of one author at most [`MAX_ENDORSEMENTS`] are kept, the newest.
    pub fn endorse(&mut self, author: Address, endorsement: Endorsement) {
        let held = self.endorsements.entry(author).or_default();
        if held.iter().any(|given| given.endorsement == endorsement) {
            return;
        }
        if held.len() >= MAX_ENDORSEMENTS {
            held.pop_front();
        }
        held.push_back(Given {
            endorsement,
            checked: false,
        });
    }

    /// What a member has signed, of what is held.
    pub fn signed_by(&self, member: Address) -> BTreeSet<Digest> {
        let given = self.endorsements.get(&member).into_iter().flatten();
        given.map(|given| given.endorsement.signed).collect()
    }

    /// The first `needed` endorsements of the digest `signed`, in ascending order of the members, as the contract wants
    /// them. Those that their authors did not sign are dropped, when it comes to them.
    pub fn quorum(
        &mut self,
        signed: Digest,
        members: &[Address],
        needed: usize,
    ) -> Option<Vec<(Address, Signature)>> {
        let is_for = |given: &Given| given.endorsement.signed == signed;
        let held = self.endorsements.iter_mut();
        let mut given: Vec<_> = held
            .filter(|(member, held)| {
                members.binary_search(member).is_ok() && held.iter().any(is_for)
            })
            .collect();
        // Signatures are checked only when there could be enough of them, because to check one is slow.
        if given.len() < needed {
            return None;
        }
        let mut signatures = Vec::new();
        for (member, held) in &mut given {
            held.retain_mut(|given| !is_for(given) || given.is_of(**member));
            let found = held.iter().find(|given| is_for(given));
            signatures.extend(found.map(|given| (**member, given.endorsement.signature)));
            if signatures.len() == needed {
                return Some(signatures);
            }
        }
        None
    }

    pub fn all(&mut self) -> impl Iterator<Item = (Address, &mut HeldProposal)> {
        let held = self.proposals.iter_mut();
        held.flat_map(|(author, held)| held.iter_mut().map(|held| (*author, held)))
    }

    /// Drops proposals whose number has passed.
    pub fn advance(&mut self, next: u64) {
        for held in self.proposals.values_mut() {
            held.retain(|held| held.header.number >= next);
        }
    }
}
