//! The votes on one request.
//!
//! A `Tally` keeps, for each member and each resolution of the inputs, the first outcome that the member voted for; a
//! second one is reported by `add` and does not count. Votes have no epoch: `agreed` is asked with the members of now,
//! so a vote of a member that left counts for nothing, and counts again if it comes back.

use super::vote::RequestVote;
use crate::{ringlog::Outcome, Address, Digest};
use std::collections::BTreeMap;

/// Most resolutions of one request for which votes of one member are kept. There is one right resolution; more can only
/// come from members that lie, or that follow another branch of the chain.
const MAX_RESOLUTIONS: usize = 4;

/// Votes by member, and by what the inputs resolved to. The first vote of a member for a resolution counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    votes: BTreeMap<Address, Vec<(Digest, Outcome)>>,
}

impl Tally {
    /// Takes a vote in. Returns false if the member had voted for another outcome of the same resolution.
    pub fn add(&mut self, member: Address, vote: &RequestVote) -> bool {
        let held = self.votes.entry(member).or_default();
        match held.iter().find(|(inputs, _)| *inputs == vote.key.inputs) {
            Some((_, outcome)) => *outcome == vote.outcome,
            None => {
                if held.len() < MAX_RESOLUTIONS {
                    held.push((vote.key.inputs, vote.outcome.clone()));
                }
                true
            }
        }
    }

    /// Inputs and outcome for which at least `needed` of `members` have voted.
    pub fn agreed(&self, members: &[Address], needed: usize) -> Option<(Digest, Outcome)> {
        let mut counts: BTreeMap<&(Digest, Outcome), usize> = BTreeMap::new();
        let counting = self.votes.iter();
        let counting = counting.filter(|(member, _)| members.binary_search(member).is_ok());
        for vote in counting.flat_map(|(_, votes)| votes) {
            *counts.entry(vote).or_default() += 1;
        }
        let agreed = counts.into_iter().find(|(_, count)| *count >= needed);
        agreed.map(|(vote, _)| vote.clone())
    }

    /// The members who voted for another outcome of this resolution.
    pub fn against(&self, inputs: Digest, outcome: &Outcome) -> Vec<Address> {
        let against = self.votes.iter().filter(|(_, votes)| {
            let mut votes = votes.iter();
            votes.any(|(of, other)| *of == inputs && other != outcome)
        });
        against.map(|(member, _)| *member).collect()
    }
}
