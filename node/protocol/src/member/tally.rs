//! The votes on one computation, and when enough of them agree.
//!
//! A `Tally` takes votes (`add`), at most one result for each member: a member that signs a second result is
//! named, and its first one counts. `leading` says which result has the votes that are needed in the current
//! epoch; it is asked with `Rules`, that is epoch, members and the number needed. Signatures are checked late, in
//! `two_thirds`, which collects the votes for a registration.

use crate::{eip712::Domain, message::Vote, Address, Digest};
use std::collections::BTreeMap;

/// Most epochs for which votes of one member are kept. After a reorganisation an earlier epoch may be the current one
/// again, so votes of a few of them are kept; those that are farthest from the current epoch go first.
pub(super) const MAX_EPOCHS_HELD: usize = 4;

/// Votes by member and epoch. All votes of one member are for one result.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ballots: BTreeMap<Address, Ballot>,
}

/// What one member voted for.
#[derive(Debug)]
struct Ballot {
    result: Digest,
    votes: BTreeMap<u64, HeldVote>,
}

/// A vote, whose signature is checked when it is first needed.
#[derive(Debug)]
struct HeldVote {
    vote: Vote,
    /// Whether the vote's signature was checked.
    checked: bool,
}

/// Under which rules votes are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The epoch in which a vote must have been cast.
    pub epoch: u64,
    /// Those whose votes count, sorted.
    pub members: &'a [Address],
    /// How many votes for one result are two thirds.
    pub needed: usize,
}

impl Tally {
    /// Takes a vote in. The first result of a member counts, in whatever epoch it votes for it again.
    /// Returns false if the member had signed another result.
    pub fn add(&mut self, member: Address, vote: Vote, epoch: u64) -> bool {
        let result = vote.outputs.result();
        let ballot = self.ballots.entry(member).or_insert_with(|| Ballot {
            result,
            votes: BTreeMap::new(),
        });
        if ballot.result != result {
            return false;
        }
        let held = HeldVote {
            vote,
            checked: false,
        };
        ballot.votes.entry(held.vote.epoch).or_insert(held);
        ballot.make_room(epoch);
        true
    }

    /// The result that has at least two thirds. There is at most one, because any two groups of two thirds overlap.
    pub fn leading(&self, rules: Rules<'_>) -> Option<Digest> {
        let mut counts: BTreeMap<Digest, usize> = BTreeMap::new();
        for (_, result, _) in self.counting(rules) {
            *counts.entry(result).or_default() += 1;
        }
        let leading = counts.into_iter().find(|(_, count)| *count >= rules.needed);
        leading.map(|(result, _)| result)
    }

    /// As many votes for one result as are needed, signatures checked, in ascending order of the members.
    pub fn two_thirds(
        &mut self,
        domain: &Domain,
        rules: Rules<'_>,
    ) -> Option<Vec<(Address, Vote)>> {
        let leading = self.leading(rules)?;
        self.drop_forged(domain, rules.epoch, leading);
        let votes: Vec<_> = self
            .counting(rules)
            .filter(|(_, result, _)| *result == leading)
            // More signatures than the contract asks for would only cost gas.
            .take(rules.needed)
            .map(|(member, _, vote)| (member, vote.clone()))
            .collect();
        (votes.len() == rules.needed).then_some(votes)
    }

    /// Checks the signatures of the votes for `result` in this epoch, and drops those that are not by their member.
    fn drop_forged(&mut self, domain: &Domain, epoch: u64, result: Digest) {
        self.ballots.retain(|member, ballot| {
            if ballot.result == result {
                ballot.votes.retain(|at, held| {
                    let counts = *at == epoch && !held.checked;
                    held.checked |= counts && held.vote.signer(domain) == Some(*member);
                    held.checked || !counts
                });
            }
            !ballot.votes.is_empty()
        });
    }

    /// The votes that count: of members, in this epoch; in ascending order of the members, as the contract wants them.
    fn counting<'a>(
        &'a self,
        rules: Rules<'a>,
    ) -> impl Iterator<Item = (Address, Digest, &'a Vote)> {
        let current = self.ballots.iter().filter_map(move |(member, ballot)| {
            let held = ballot.votes.get(&rules.epoch)?;
            Some((*member, ballot.result, &held.vote))
        });
        current.filter(move |(member, _, _)| rules.members.binary_search(member).is_ok())
    }
}

impl Ballot {
    /// Drops the vote that is farthest from the current epoch, if there are too many.
    fn make_room(&mut self, epoch: u64) {
        if self.votes.len() <= MAX_EPOCHS_HELD {
            return;
        }
        let farthest = self
            .votes
            .keys()
            .copied()
            .max_by_key(|at| at.abs_diff(epoch));
        if let Some(farthest) = farthest {
            self.votes.remove(&farthest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::SecretKey, message::Outputs};

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain::new(1, Address([1; 20]))
    }

    fn vote(n: u8, epoch: u64, result: u8) -> (Address, Vote) {
        let mut vote = Vote {
            epoch,
            fuel: 1,
            gate: Address([9; 20]),
            inputs: Digest::ZERO,
            outputs: Outputs::new([(0, Digest([result; 32]))]).unwrap(),
            profile: String::new(),
            signature: key(n).sign(&Digest::ZERO).unwrap(),
        };
        vote.signature = key(n).sign(&vote.digest(&domain())).unwrap();
        (key(n).address(), vote)
    }

    fn members(count: u8) -> Vec<Address> {
        let mut members: Vec<_> = (1..=count).map(|n| key(n).address()).collect();
        members.sort_unstable();
        members
    }

    fn rules(epoch: u64, members: &[Address]) -> Rules<'_> {
        Rules {
            epoch,
            members,
            needed: crate::quorum::quorum(members.len()),
        }
    }

    fn tally(votes: impl IntoIterator<Item = (Address, Vote)>, epoch: u64) -> Tally {
        let mut tally = Tally::default();
        for (member, vote) in votes {
            tally.add(member, vote, epoch);
        }
        tally
    }

    #[test]
    fn votes_count_in_their_epoch_only_and_also_when_it_comes_back() {
        let members = members(3);
        let mut tally = tally((1..=2).map(|n| vote(n, 5, 7)), 5);
        assert!(tally.two_thirds(&domain(), rules(5, &members)).is_some());
        assert!(tally.two_thirds(&domain(), rules(6, &members)).is_none());
        for n in 1..=2 {
            let (member, vote) = vote(n, 6, 7);
            assert!(tally.add(member, vote, 6));
        }
        for epoch in [6, 5, 6] {
            let votes = tally.two_thirds(&domain(), rules(epoch, &members)).unwrap();
            assert!(votes.iter().all(|(_, vote)| vote.epoch == epoch));
        }
    }

    #[test]
    fn a_second_result_is_told_and_does_not_count_in_any_epoch() {
        let members = members(2);
        let mut tally = tally([vote(1, 5, 7), vote(2, 5, 7)], 5);
        for epoch in 5..=6 {
            let (member, vote) = vote(1, epoch, 8);
            assert!(!tally.add(member, vote, 5));
        }
        assert!(tally.two_thirds(&domain(), rules(5, &members)).is_some());
    }

    #[test]
    fn a_member_takes_no_more_room_than_a_few_epochs() {
        let mut tally = tally((0..50).map(|epoch| vote(1, epoch, 7)), 25);
        let ballot = &tally.ballots[&key(1).address()];
        let held: Vec<_> = ballot.votes.keys().copied().collect();
        assert_eq!(held.len(), MAX_EPOCHS_HELD);
        assert!(held.contains(&25), "{held:?}");
        assert!(tally
            .two_thirds(&domain(), rules(25, &members(1)))
            .is_some());
    }

    #[test]
    fn a_forged_vote_is_dropped_and_the_rest_goes_on() {
        let members = members(3);
        let (_, forged) = vote(9, 5, 7);
        let mut tally = tally([(members[0], forged)], 5);
        let honest = |n: u8| {
            (1..=3)
                .map(|k| vote(k, 5, 7))
                .find(|(m, _)| *m == members[usize::from(n)])
        };
        let (member, vote) = honest(1).unwrap();
        tally.add(member, vote, 5);
        assert!(tally.leading(rules(5, &members)).is_some());
        assert!(tally.two_thirds(&domain(), rules(5, &members)).is_none());
        let (member, vote) = honest(2).unwrap();
        tally.add(member, vote, 5);
        let votes = tally.two_thirds(&domain(), rules(5, &members)).unwrap();
        assert!(votes.iter().all(|(member, _)| *member != members[0]));
    }
}
