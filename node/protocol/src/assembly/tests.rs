//! One member at a time, without a world around it.

use super::*;
use crate::{
    crypto::SecretKey,
    eip712::{members_hash, Domain},
    log::skip_target,
    quorum::quorum,
    request::{Limits, Objection, Request, RequestKey, RequestVote, UpstreamOutcome},
    ringlog::{Entry, Head, Outcome, Position, RingNode, Subject},
    Address, Digest,
};
use std::{collections::BTreeMap, convert::Infallible};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

fn members() -> Vec<Address> {
    let mut members: Vec<_> = (1..=4).map(|n| key(n).address()).collect();
    members.sort_unstable();
    members
}

fn domain() -> Domain {
    Domain::new(31337, Address([0xaa; 20]))
}

/// Each member's log has one node, whose digest is made of the member's place.
#[derive(Default)]
struct Store {
    nodes: Vec<Digest>,
    pages: BTreeMap<Digest, Vec<u8>>,
    heads: BTreeMap<Address, Digest>,
}

impl RingStore for Store {
    type Error = Infallible;
    fn ring_node(&self, number: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.nodes.get(number as usize).copied())
    }
    fn page(&self, digest: Digest) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.pages.get(&digest).cloned())
    }
    fn position(&self, member: Address, head: Digest) -> Result<Option<u64>, Infallible> {
        // The first byte of a head is its position.
        let held = self
            .heads
            .get(&member)
            .is_some_and(|held| held.0[0] >= head.0[0]);
        Ok((held && !head.is_zero()).then_some(u64::from(head.0[0])))
    }
    fn tip(&self, member: Address) -> Result<Option<Digest>, Infallible> {
        Ok(self.heads.get(&member).copied())
    }
}

struct Desk {
    mind: Assembler,
    store: Store,
}

fn settings() -> Settings {
    Settings {
        entries: 3,
        wait: 100,
        turn: 10,
    }
}

fn fresh() -> Desk {
    let mut mind = Assembler::new(members()[0], domain(), settings(), Limits::default());
    mind.membership(1, members(), quorum(4), 0);
    mind.rewound(0);
    let mut store = Store::default();
    for member in members() {
        store.heads.insert(member, Digest([1; 32]));
    }
    Desk { mind, store }
}

fn request(nonce: u64) -> Request {
    Request {
        ring: domain().ring,
        chain: domain().chain_id,
        profile: "p".into(),
        operation: Digest([1; 32]),
        inputs: vec![],
        nonce,
        until: 50,
    }
}

fn entry(nonce: u64) -> Entry {
    vote(nonce).entry()
}

fn vote(nonce: u64) -> RequestVote {
    RequestVote {
        fuel: 1,
        key: RequestKey {
            request: request(nonce).digest().unwrap(),
            inputs: crate::gate::inputs_hash(&[]),
        },
        outcome: Outcome::Outputs(vec![Digest([nonce as u8; 32])]),
        profile: "p".into(),
    }
}

impl Desk {
    /// A request is asked, and so many members vote.
    fn agree(&mut self, nonce: u64, voters: usize, now: u64) {
        let settled = UpstreamOutcome::new();
        let asked = self
            .mind
            .request(members()[1], request(nonce), settled, &[], now);
        asked.unwrap();
        for member in &members()[..voters] {
            self.mind.vote(*member, &vote(nonce), now);
        }
    }

    fn tick(&mut self, now: u64) -> Vec<AssemblyEffect> {
        let Ok(effects) = self.mind.tick(&self.store, now);
        effects
    }

    fn position(&self) -> Position {
        let at = |number: u64| self.store.nodes.get(number as usize).copied();
        let number = self.mind.next();
        Position {
            number,
            epoch: 1,
            members_hash: members_hash(&members()),
            prev: number.checked_sub(1).and_then(at),
            skip: skip_target(number).and_then(at),
        }
    }

    fn build(&self, nonces: &[u64], heads: Vec<Head>) -> RingNode {
        let entries = nonces.iter().map(|nonce| entry(*nonce)).collect();
        RingNode::build(self.position(), entries, heads).unwrap()
    }

    /// Another member proposes a node of these results, and this one looks at it.
    fn offered(&mut self, by: usize, node: &RingNode, now: u64) -> Result<(), Reason> {
        self.store.pages.extend(node.pages().iter().cloned());
        let proposal = Proposal {
            header: node.header_bytes().to_vec(),
            before: vec![Digest::ZERO; node.heads().len()],
        };
        self.mind.proposal(members()[by], proposal);
        for effect in self.tick(now) {
            match effect {
                AssemblyEffect::Endorse { node: endorsed, .. } if endorsed == node.digest() => {
                    return Ok(())
                }
                AssemblyEffect::Object {
                    node: of, reason, ..
                } if of == node.digest() => return Err(reason),
                _ => {}
            }
        }
        panic!("a proposal is endorsed or not");
    }

    fn register(&mut self, node: &RingNode) {
        self.store.nodes.push(node.digest());
        self.mind.registered(node);
    }
}

fn head(member: usize, position: u8) -> Head {
    Head {
        member: members()[member],
        head: Digest([position; 32]),
    }
}

/// The time at which it is this member's turn, whatever its place.
const LATE: u64 = 1_000;

#[test]
fn logs_alone_make_nothing_due_and_entries_do_by_count_and_by_time() {
    let mut desk = fresh();
    assert!(desk.tick(LATE).is_empty() && desk.mind.deadline().is_none());
    let idle = desk.build(&[], vec![head(1, 1)]);
    assert_eq!(desk.offered(1, &idle, LATE), Err(Reason::Idle));
    desk.agree(1, 3, LATE);
    let node = desk.build(&[1], vec![]);
    assert_eq!(desk.offered(1, &node, LATE), Err(Reason::NotDue));
    assert_eq!(desk.mind.deadline(), Some(LATE + 100));
    let effects = desk.tick(LATE + 100);
    let endorses = |effect: &AssemblyEffect| matches!(effect, AssemblyEffect::Endorse { .. });
    assert!(effects.iter().any(endorses), "by time: {effects:?}");
    let mut full = fresh();
    for nonce in 1..=3 {
        full.agree(nonce, 3, LATE);
    }
    let node = full.build(&[1, 2, 3], vec![]);
    assert_eq!(full.offered(1, &node, LATE), Ok(()), "by count");
}

/// The time at which this member proposes, if those cannot pay.
fn proposes_at(poor: &[Address]) -> u64 {
    let mut desk = fresh();
    desk.mind.cannot_pay(poor.iter().copied().collect());
    for nonce in 1..=3 {
        desk.agree(nonce, 3, 0);
    }
    let proposes = |effect: &AssemblyEffect| matches!(effect, AssemblyEffect::Propose { .. });
    (0..LATE)
        .find(|now| desk.tick(*now).iter().any(proposes))
        .unwrap()
}

#[test]
fn turns_pass_over_members_who_cannot_pay() {
    let order = turns::proposers(domain().ring, 1, 0, &members());
    let place = order.iter().position(|member| *member == members()[0]);
    let (place, others) = (place.unwrap(), members().len() - 1);
    let (before, turn) = (&order[..place], settings().turn);
    assert_eq!(proposes_at(&[]), turn * place as u64);
    assert_eq!(proposes_at(before), 0, "nobody before it can pay");
    let me = &members()[..1];
    assert_eq!(proposes_at(me), turn * others as u64, "it cannot itself");
    assert_eq!(proposes_at(&members()), 0, "nobody can: then at once");
}

#[test]
fn only_what_two_thirds_voted_for_and_what_is_held_is_endorsed() {
    let mut desk = fresh();
    desk.agree(1, 3, 0);
    desk.agree(2, 2, 0);
    let both = desk.build(&[1, 2], vec![]);
    let request = request(2).digest().unwrap();
    let not_agreed = Reason::Entry(Objection::NotAgreed { request });
    assert_eq!(desk.offered(1, &both, LATE), Err(not_agreed));
    let unknown = desk.build(&[9], vec![]);
    assert!(matches!(
        desk.offered(1, &unknown, LATE),
        Err(Reason::Entry(Objection::NotOpen { .. }))
    ));
    let ahead = desk.build(&[1], vec![head(2, 2)]);
    let member = members()[2];
    assert_eq!(desk.offered(2, &ahead, LATE), Err(Reason::Head { member }));
    let good = desk.build(&[1], vec![head(2, 1)]);
    assert_eq!(desk.offered(2, &good, LATE), Ok(()));
}

#[test]
fn several_proposals_for_one_number_are_endorsed_and_the_losers_entries_come_next() {
    let mut desk = fresh();
    for nonce in 1..=2 {
        desk.agree(nonce, 3, 0);
    }
    let (one, other) = (desk.build(&[1], vec![]), desk.build(&[2], vec![]));
    assert_eq!(desk.offered(1, &one, LATE), Ok(()));
    assert_eq!(desk.offered(2, &other, LATE), Ok(()));
    desk.register(&one);
    let twice = desk.build(&[1, 2], vec![]);
    assert!(matches!(
        desk.offered(1, &twice, LATE),
        Err(Reason::Entry(Objection::NotOpen { .. }))
    ));
    let next = desk.build(&[2], vec![]);
    assert_eq!(desk.offered(2, &next, LATE), Ok(()));
}

#[test]
fn what_was_agreed_two_nodes_ago_must_not_be_left_out() {
    let mut desk = fresh();
    for nonce in 1..=4 {
        desk.agree(nonce, 3, 0);
    }
    for nonce in [2, 3] {
        let node = desk.build(&[nonce], vec![]);
        assert_eq!(
            desk.offered(1, &node, LATE),
            Ok(()),
            "others may have seen it late"
        );
        desk.register(&node);
    }
    let subject = Subject::Request(request(1).digest().unwrap());
    let node = desk.build(&[4], vec![]);
    let refused = desk.offered(1, &node, LATE);
    let omitted = |reason| matches!(reason, Err(Reason::Omitted { subject: of }) if of == subject);
    assert!(omitted(refused), "{refused:?}");
    let node = desk.build(&[1, 4], vec![]);
    assert_eq!(desk.offered(2, &node, LATE), Ok(()));
}

#[test]
fn the_first_listing_of_a_slot_decides() {
    let mut desk = fresh();
    let (slot, decision) = (Digest([5; 32]), |choice: u8| Entry::Decision {
        slot: Digest([5; 32]),
        choice: Digest([choice; 32]),
    });
    for (place, choice) in [(0, 1), (1, 2), (2, 2)] {
        let choice = Digest([choice; 32]);
        desk.mind
            .choose(members()[place], Choice { slot, choice }, 0);
    }
    let build = |desk: &Desk, choice: u8| {
        RingNode::build(desk.position(), vec![decision(choice)], vec![]).unwrap()
    };
    let (light, heavy) = (build(&desk, 1), build(&desk, 2));
    let choice = Digest([1; 32]);
    assert_eq!(
        desk.offered(1, &light, LATE),
        Err(Reason::Choice { slot, choice })
    );
    assert_eq!(desk.offered(1, &heavy, LATE), Ok(()));
    desk.register(&heavy);
    let again = build(&desk, 2);
    assert!(matches!(
        desk.offered(2, &again, LATE),
        Err(Reason::Choice { .. })
    ));
}

/// The own proposal, when the turn comes.
fn proposed(effects: &[AssemblyEffect]) -> Option<(&Proposal, &RingNode)> {
    effects.iter().find_map(|effect| match effect {
        AssemblyEffect::Propose { proposal, node } => Some((proposal, &**node)),
        _ => None,
    })
}

#[test]
fn a_member_whose_head_moved_meanwhile_is_left_out_of_the_next_proposal() {
    let mut desk = fresh();
    desk.agree(1, 3, 0);
    let effects = desk.tick(LATE);
    let (proposal, node) = proposed(&effects).unwrap();
    assert_eq!(node.heads().len(), 4);
    let (proposal, node) = (proposal.clone(), node.clone());
    desk.store.pages.extend(node.pages().iter().cloned());
    desk.mind.proposal(members()[0], proposal);
    desk.tick(LATE);
    desk.mind.chain_head(members()[3], Digest([1; 32]));
    let effects = desk.tick(LATE + 1);
    let (_, next) = proposed(&effects).unwrap();
    let moving: Vec<_> = next.heads().iter().map(|head| head.member).collect();
    assert_eq!(moving, members()[..3]);
}

#[test]
fn two_thirds_of_endorsements_are_sent_and_forged_ones_are_not_counted() {
    let mut desk = fresh();
    desk.agree(1, 3, 0);
    let effects = desk.tick(LATE);
    let (proposal, node) = proposed(&effects).unwrap();
    let (proposal, node) = (proposal.clone(), node.clone());
    desk.store.pages.extend(node.pages().iter().cloned());
    desk.mind.proposal(members()[0], proposal);
    let signed = desk.tick(LATE).into_iter().find_map(|effect| match effect {
        AssemblyEffect::Endorse { data, .. } => Some(data),
        _ => None,
    });
    let signed = signed.unwrap();
    let mut keys: Vec<_> = (1..=4).map(key).collect();
    keys.sort_by_key(SecretKey::address);
    for (place, signer) in [(0, 0), (1, 1), (2, 3)] {
        let made = Endorsement::sign(node.digest(), &signed, &keys[signer]).unwrap();
        desk.mind.endorsement(members()[place], made);
    }
    assert!(
        desk.tick(LATE).is_empty(),
        "one of three is signed by another"
    );
    let made = Endorsement::sign(node.digest(), &signed, &keys[3]).unwrap();
    desk.mind.endorsement(members()[3], made);
    let effects = desk.tick(LATE);
    let [AssemblyEffect::Register(registration)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let signers: Vec<_> = registration
        .signatures
        .iter()
        .map(|(signer, _)| *signer)
        .collect();
    assert_eq!(signers, [0, 1, 3].map(|place| members()[place]));
    assert!(desk.tick(LATE).is_empty(), "it is sent once");
}

#[test]
fn a_member_that_starts_again_signs_nothing_twice_and_sends_what_was_endorsed() {
    let mut desk = fresh();
    desk.agree(1, 3, 0);
    let node = desk.build(&[1], vec![head(2, 1)]);
    let proposal = Proposal {
        header: node.header_bytes().to_vec(),
        before: vec![Digest::ZERO],
    };
    desk.store.pages.extend(node.pages().iter().cloned());
    desk.mind.proposal(members()[1], proposal.clone());
    let effects = desk.tick(LATE);
    let signed = effects.iter().find_map(|effect| match effect {
        AssemblyEffect::Endorse { node: of, data } if *of == node.digest() => Some(*data),
        _ => None,
    });
    let mut keys: Vec<_> = (1..=4).map(key).collect();
    keys.sort_by_key(SecretKey::address);
    let made: Vec<_> = keys
        .iter()
        .map(|key| Endorsement::sign(node.digest(), &signed.unwrap(), key).unwrap())
        .collect();
    let mut again = fresh();
    again.store.pages = desk.store.pages;
    again.agree(1, 3, 0);
    // What the logs on its disk say.
    again.mind.proposal(members()[1], proposal);
    for (member, made) in members().into_iter().zip(made).take(3) {
        again.mind.endorsement(member, made);
    }
    let endorses = |effects: &[AssemblyEffect]| {
        effects
            .iter()
            .any(|effect| matches!(effect, AssemblyEffect::Endorse { .. }))
    };
    let effects = again.tick(LATE);
    assert!(!endorses(&effects), "{effects:?}");
    let effects = again.tick(LATE + 1_000);
    let sent = effects.iter().any(
        |effect| matches!(effect, AssemblyEffect::Register(sent) if sent.node == node.digest()),
    );
    assert!(sent && !endorses(&effects), "{effects:?}");
}
