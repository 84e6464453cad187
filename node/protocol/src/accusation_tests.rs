use super::*;
use crate::{
    crypto::SecretKey,
    log::Content,
    ringlog::{Outcome, Position, RingNode},
};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

fn domain() -> Domain {
    Domain::new(31337, Address([0xaa; 20]))
}

fn vote(n: u8, result: u8, epoch: u64) -> Vote {
    let mut vote = Vote {
        epoch,
        fuel: 1,
        gate: Address([9; 20]),
        inputs: inputs_hash(&[Digest([5; 32])]),
        outputs: Outputs::new([(0, Digest([result; 32]))]).unwrap(),
        profile: "p".into(),
        signature: key(n).sign(&Digest::ZERO).unwrap(),
    };
    vote.signature = key(n).sign(&vote.digest(&domain())).unwrap();
    vote
}

/// Members 1 to 3 registered result 7, member 4 voted for 8.
fn gate() -> GateAccusation {
    let mut voters: Vec<_> = (1..=3).map(|n| (key(n).address(), vote(n, 7, 2))).collect();
    voters.sort_by_key(|(voter, _)| *voter);
    let mut members: Vec<_> = (1..=4).map(|n| key(n).address()).collect();
    members.sort_unstable();
    GateAccusation {
        chain: domain().chain_id,
        ring: domain().ring,
        tokens: vec![Digest([5; 32])],
        vote: vote(4, 8, 2),
        registered: vote(1, 7, 2),
        members,
        signatures: voters.iter().map(|(_, vote)| vote.signature).collect(),
    }
}

fn request() -> RequestAccusation {
    let key_of = RequestKey {
        request: Digest([1; 32]),
        inputs: inputs_hash(&[]),
    };
    let entry = |result: u8| RequestVote {
        fuel: 1,
        key: key_of,
        outcome: Outcome::Outputs(vec![Digest([result; 32])]),
        profile: "p".into(),
    };
    let position = Position {
        number: 0,
        epoch: 1,
        members_hash: Digest([3; 32]),
        prev: None,
        skip: None,
    };
    let listed = entry(7).entry();
    let node = RingNode::build(position, vec![listed.clone()], vec![]).unwrap();
    let content = Content {
        body: vec![entry(8).to_message().unwrap()],
        prev: None,
        refs: vec![],
        seq: 0,
        skip: None,
        time: None,
    };
    RequestAccusation {
        tokens: vec![],
        node: LogNode::seal(content, &domain(), &key(4))
            .unwrap()
            .bytes()
            .to_vec(),
        proof: EntryProof::make(&domain(), &node, &listed, 0, |_| None).unwrap(),
    }
}

#[test]
fn both_kinds_name_the_accused_after_a_way_through_bytes() {
    for accusation in [
        Accusation::Gate(Box::new(gate())),
        Accusation::Request(Box::new(request())),
    ] {
        let bytes = accusation.to_bytes().unwrap();
        let again = Accusation::from_bytes(&bytes).unwrap();
        assert_eq!(again, accusation);
        let verdict = again.verify().unwrap();
        assert_eq!(verdict.accused, key(4).address());
        assert_ne!(verdict.voted, verdict.registered);
        assert!(verdict.members.is_some() != verdict.anchor.is_some());
        for cut in (0..bytes.len()).step_by(11) {
            assert!(Accusation::from_bytes(&bytes[..cut]).is_err());
        }
    }
}

/// A changed vote recovers to an account that nobody has.
#[test]
fn who_is_no_member_is_not_accused() {
    let stranger = GateAccusation {
        vote: vote(5, 8, 2),
        ..gate()
    };
    let mut changed = gate();
    changed.vote.epoch += 1;
    let mut other = gate();
    other.registered.signature = key(5).sign(&Digest::ZERO).unwrap();
    for accusation in [stranger, changed, other] {
        let verdict = Accusation::Gate(Box::new(accusation)).verify();
        assert!(
            matches!(verdict, Err(AccusationError::Stranger { .. })),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_gate_accusation_that_shows_nothing_is_refused() {
    let good = gate();
    let few = good.signatures[..2].to_vec();
    let bad = [
        GateAccusation {
            vote: vote(4, 7, 2),
            ..good.clone()
        },
        GateAccusation {
            tokens: vec![],
            ..good.clone()
        },
        GateAccusation {
            signatures: few,
            ..good.clone()
        },
        GateAccusation {
            registered: vote(1, 7, 3),
            ..good.clone()
        },
        GateAccusation {
            members: good.members[..2].to_vec(),
            ..good.clone()
        },
        GateAccusation {
            chain: 1,
            ..good.clone()
        },
    ];
    for accusation in bad {
        assert!(Accusation::Gate(Box::new(accusation)).verify().is_err());
    }
}

#[test]
fn a_request_accusation_that_shows_nothing_is_refused() {
    let good = request();
    let honest = {
        let mut honest = good.clone();
        honest.node = vec![0xa0];
        honest
    };
    let tokens = RequestAccusation {
        tokens: vec![Digest([1; 32])],
        ..good.clone()
    };
    let mut unlisted = good.clone();
    unlisted.proof.path.push(Digest([1; 32]));
    for accusation in [honest, tokens, unlisted] {
        assert!(Accusation::Request(Box::new(accusation)).verify().is_err());
    }
    assert!(Accusation::Request(Box::new(good)).verify().is_ok());
}
