//! The votes on one gate.

use crate::{eip712::Domain, message::Vote, Address, Digest};
use std::collections::BTreeMap;

/// One vote of each member, and whether its signature was checked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    votes: BTreeMap<Address, Held>,
}

#[derive(Debug)]
struct Held {
    vote: Vote,
    checked: bool,
}

impl Tally {
    /// Takes a vote in. The first result of a member counts; the same one in a later epoch replaces it.
    /// Returns false if the member had signed another result.
    pub fn add(&mut self, member: Address, vote: Vote) -> bool {
        match self.votes.get(&member) {
            Some(held) if held.vote.outputs != vote.outputs => false,
            Some(held) if held.vote.epoch >= vote.epoch => true,
            _ => {
                self.votes.insert(
                    member,
                    Held {
                        vote,
                        checked: false,
                    },
                );
                true
            }
        }
    }

    /// The members that voted for another result.
    pub fn others_than(&self, result: Digest) -> impl Iterator<Item = Address> + '_ {
        let others = self
            .votes
            .iter()
            .filter(move |(_, held)| held.vote.outputs.result() != result);
        others.map(|(member, _)| *member)
    }

    /// `needed` votes of this epoch for one result, signatures checked, in ascending order of the members.
    pub fn two_thirds(
        &mut self,
        domain: &Domain,
        epoch: u64,
        needed: usize,
        members: &[Address],
    ) -> Option<Vec<(Address, Vote)>> {
        let result = self.leading(epoch, needed, members)?;
        self.votes.retain(|member, held| {
            let counts = held.vote.epoch == epoch && held.vote.outputs.result() == result;
            if counts && !held.checked {
                held.checked = held.vote.signer(domain) == Some(*member);
                return held.checked;
            }
            true
        });
        let votes: Vec<_> = self
            .counting(epoch, members)
            .filter(|(_, vote)| vote.outputs.result() == result)
            .take(needed)
            .collect();
        (votes.len() == needed).then(|| {
            votes
                .into_iter()
                .map(|(member, vote)| (member, vote.clone()))
                .collect()
        })
    }

    fn counting<'a>(
        &'a self,
        epoch: u64,
        members: &'a [Address],
    ) -> impl Iterator<Item = (Address, &'a Vote)> {
        let current = self.votes.iter().filter(move |(member, held)| {
            held.vote.epoch == epoch && members.binary_search(member).is_ok()
        });
        current.map(|(member, held)| (*member, &held.vote))
    }

    /// The result that has at least `needed` votes. There is one at most, for two thirds and two thirds overlap.
    pub fn leading(&self, epoch: u64, needed: usize, members: &[Address]) -> Option<Digest> {
        let mut counts: BTreeMap<Digest, usize> = BTreeMap::new();
        for (_, vote) in self.counting(epoch, members) {
            *counts.entry(vote.outputs.result()).or_default() += 1;
        }
        counts
            .into_iter()
            .find(|(_, count)| *count >= needed)
            .map(|(result, _)| result)
    }
}
