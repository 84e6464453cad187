use super::*;
use crate::{
    crypto::SecretKey,
    eip712::Domain,
    flush::Uint,
    log::{seal, OwnLog},
};
use proptest::prelude::*;
use std::convert::Infallible;

fn domain() -> Domain {
    Domain::new(31337, Address([7; 20]))
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// A log in memory: an author's own, and what is held of it.
#[derive(Default, Clone)]
struct Log(Vec<LogNode>);

impl OwnLog for Log {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(seq as usize).map(LogNode::digest))
    }
}

impl Log {
    fn grow(&mut self, by: &SecretKey, refs: &[&LogNode], time: u64) -> LogNode {
        let refs = refs.iter().map(|node| node.cid()).collect();
        let node = seal(self, vec![], refs, Some(time), &domain(), by).unwrap();
        self.0.push(node.clone());
        node
    }

    fn of(by: &SecretKey, length: u64) -> Self {
        let mut log = Self::default();
        for time in 0..length {
            log.grow(by, &[], time);
        }
        log
    }
}

#[derive(Default)]
struct Held(BTreeMap<Address, Log>);

impl HeldLogs for Held {
    type Error = Infallible;
    fn tip(&self, author: Address) -> Result<Option<Tip>, Infallible> {
        let log = self.0.get(&author);
        Ok(log.and_then(|log| log.0.last()).map(LogNode::tip))
    }
    fn digest_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, Infallible> {
        let node = self.0.get(&author).and_then(|log| log.0.get(seq as usize));
        Ok(node.map(LogNode::digest))
    }
    fn place_of(&self, digest: Digest) -> Result<Option<(Address, u64)>, Infallible> {
        let mut all = self.0.values().flat_map(|log| &log.0);
        let found = all.find(|node| node.digest() == digest);
        Ok(found.map(|node| (node.author(), node.seq())))
    }
}

impl Held {
    fn store(&mut self, plan: Plan) {
        for node in plan.nodes {
            self.0.entry(node.author()).or_default().0.push(node);
        }
    }

    fn offer(&self, by: &SecretKey, nodes: &[LogNode]) -> Result<Plan, Refused> {
        let members = [key(1).address(), key(2).address()];
        let is_member = |account| members.contains(&account);
        plan(self, by.address(), is_member, nodes.to_vec()).map_err(|error| match error {
            PlanError::Refused(refused) => refused,
            PlanError::Held(never) => match never {},
        })
    }
}

fn action(by: &SecretKey, prev_head: Digest, new_head: Digest) -> CompoundAction {
    CompoundAction {
        avatar: by.address(),
        prev_head,
        new_head,
        nonce: 0u64.into(),
        deadline: Uint::MAX,
        to: Address::ZERO,
        value: 0u64.into(),
        gas: 0u64.into(),
        data: vec![],
    }
}

fn incomplete(missing: &[&LogNode]) -> Refused {
    let missing: BTreeSet<_> = missing.iter().map(|node| node.digest()).collect();
    let missing = missing.into_iter().collect();
    Refused::Incomplete { missing }
}

#[test]
fn only_what_is_new_is_stored() {
    let (mut held, log) = (Held::default(), Log::of(&key(1), 10));
    let mut newest_first = log.0[..6].to_vec();
    newest_first.reverse();
    let first = held.offer(&key(1), &newest_first).unwrap();
    assert_eq!(first.nodes(), &log.0[..6]);
    held.store(first);
    let second = held.offer(&key(1), &log.0[3..]).unwrap();
    assert_eq!(second.nodes(), &log.0[6..]);
    held.store(second);
    assert_eq!(held.offer(&key(1), &log.0).unwrap(), Plan::default());
}

#[test]
fn a_gap_names_the_node_that_is_missing() {
    let (mut held, log) = (Held::default(), Log::of(&key(1), 10));
    assert_eq!(
        held.offer(&key(1), &log.0[4..]),
        Err(incomplete(&[&log.0[3]]))
    );
    held.store(held.offer(&key(1), &log.0[..3]).unwrap());
    assert_eq!(
        held.offer(&key(1), &log.0[4..]),
        Err(incomplete(&[&log.0[3]]))
    );
    let with_hole = [&log.0[3..5], &log.0[6..]].concat();
    assert_eq!(
        held.offer(&key(1), &with_hole),
        Err(incomplete(&[&log.0[5]]))
    );
}

#[test]
fn heads_of_others_are_held_or_sent_along() {
    let (mut held, mut log, other) = (Held::default(), Log::default(), Log::of(&key(2), 2));
    let node = log.grow(&key(1), &[&other.0[1]], 0);
    assert_eq!(held.offer(&key(1), &log.0), Err(incomplete(&[&other.0[1]])));
    let half = [other.0[1].clone(), node.clone()];
    assert_eq!(
        held.offer(&key(1), &half),
        Err(incomplete(&[&other.0[0], &other.0[1]]))
    );
    let all = [&other.0[..], &log.0].concat();
    held.store(held.offer(&key(1), &all).unwrap());
    assert_eq!(held.offer(&key(1), &log.0), Ok(Plan::default()));
    let stranger = Log::of(&key(3), 1);
    let (author, seq) = (key(3).address(), 0);
    assert_eq!(
        held.offer(&key(1), &stranger.0),
        Err(Refused::Author { author, seq })
    );
}

#[test]
fn forks_and_foreign_links_are_refused() {
    let (mut held, log) = (Held::default(), Log::of(&key(1), 5));
    held.store(held.offer(&key(1), &log.0).unwrap());
    let mut other = Log(log.0[..3].to_vec());
    for time in 100..104 {
        other.grow(&key(1), &[], time);
    }
    let author = key(1).address();
    let held_there = log.0[3].digest();
    let fork = Refused::Taken {
        author,
        seq: 3,
        held: held_there,
    };
    assert_eq!(held.offer(&key(1), &other.0), Err(fork));
    let unlinked = Refused::Unlinked { author, seq: 5 };
    assert_eq!(held.offer(&key(1), &other.0[5..6]), Err(unlinked));
    let many = vec![log.0[0].clone(); MAX_OFFERED_NODES + 1];
    let count = many.len();
    assert_eq!(held.offer(&key(1), &many), Err(Refused::TooMany { count }));
}

#[test]
fn an_action_leads_from_the_head_on_chain_to_its_own() {
    let (mut held, log) = (Held::default(), Log::of(&key(1), 6));
    let plan = held.offer(&key(1), &log.0).unwrap();
    let at = |seq: usize| log.0[seq].digest();
    let reaches = |plan: &Plan, held: &Held, on_chain, action: &CompoundAction| {
        plan.reaches(held, on_chain, action)
    };
    let zero = Digest::ZERO;
    let first = action(&key(1), zero, at(3));
    assert_eq!(reaches(&plan, &held, zero, &first), Ok(()));
    let stale = |head| Err(Refused::StaleHead { head }.into());
    assert_eq!(reaches(&plan, &held, at(0), &first), stale(at(0)));
    held.store(plan);
    let nothing = Plan::default();
    let forward = action(&key(1), at(3), at(5));
    assert_eq!(reaches(&nothing, &held, at(3), &forward), Ok(()));
    let same = action(&key(1), at(3), at(3));
    assert_eq!(reaches(&nothing, &held, at(3), &same), Ok(()));
    let back = action(&key(1), at(3), at(2));
    assert_eq!(reaches(&nothing, &held, at(3), &back), stale(at(3)));
    let unknown = Digest([9; 32]);
    let missing = Err(Refused::Incomplete {
        missing: vec![unknown],
    }
    .into());
    assert_eq!(
        reaches(&nothing, &held, at(3), &action(&key(1), at(3), unknown)),
        missing
    );
    assert_eq!(
        reaches(&nothing, &held, unknown, &action(&key(1), unknown, at(5))),
        missing
    );
    let foreign = action(&key(2), at(3), at(5));
    assert!(matches!(
        reaches(&nothing, &held, at(3), &foreign),
        Err(PlanError::Refused(Refused::Author { .. }))
    ));
}

proptest! {
    /// Whatever part of a log is sent in whatever order, what is held is a log without a gap.
    #[test]
    fn what_is_held_has_no_gap(parts in proptest::collection::vec((0usize..12, 0usize..12, any::<bool>()), 1..8)) {
        let (mut held, log) = (Held::default(), Log::of(&key(1), 12));
        for (from, length, is_reversed) in parts {
            let mut part = log.0[from..(from + length).min(12)].to_vec();
            if is_reversed {
                part.reverse();
            }
            let before = held.tip(key(1).address()).unwrap().map_or(0, |tip| tip.seq as usize + 1);
            match held.offer(&key(1), &part) {
                Ok(plan) => held.store(plan),
                Err(refused) => {
                    prop_assert_eq!(refused, incomplete(&[&log.0[from - 1]]));
                    prop_assert!(from > before);
                }
            }
            let now = held.0.get(&key(1).address()).map(|log| log.0.clone()).unwrap_or_default();
            prop_assert_eq!(&now[..], &log.0[..now.len()]);
        }
    }
}

#[test]
fn a_log_is_continued_without_what_it_refers_to() {
    let (one, two) = (key(1), key(2));
    let other = Log::of(&two, 1);
    let mut log = Log::default();
    log.grow(&one, &[&other.0[0]], 0);
    log.grow(&one, &[], 1);
    log.grow(&one, &[], 2);
    let mut held = Held::default();
    let author = one.address();
    let first = continuation(&held, author, log.0[..2].to_vec()).unwrap();
    assert_eq!(first.nodes(), &log.0[..2]);
    held.store(first);
    let next = continuation(&held, author, log.0.clone()).unwrap();
    assert_eq!(next.nodes(), &log.0[2..]);
    let gap = continuation(&Held::default(), author, log.0[1..].to_vec());
    let missing = vec![log.0[0].digest()];
    assert_eq!(gap, Err(Refused::Incomplete { missing }.into()));
    let foreign = continuation(&held, author, other.0);
    let refused = Refused::Author {
        author: two.address(),
        seq: 0,
    };
    assert_eq!(foreign, Err(refused.into()));
}
