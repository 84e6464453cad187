//! Requests, the votes on them, and the ring log.

use super::*;
use rings_protocol::{
    assembly::{Choice, Endorsement, Proposal, MAX_ENDORSEMENTS, MAX_PROPOSALS},
    cids::sha256,
    journal::{prepare_round, RequestJournal, Round, Sealing},
    request::{Request, RequestInput, RequestKey, RequestVote},
    ringlog::{gate_subject, Entry, Outcome, Position, RingNode},
};

fn request(nonce: u64) -> Request {
    Request {
        ring: RING,
        chain: 31337,
        profile: "p".into(),
        operation: Digest([2; 32]),
        inputs: vec![RequestInput::Data(Digest([3; 32]))],
        nonce,
        until: 1000,
    }
}

fn vote_on(request: &Request, result: u8) -> RequestVote {
    RequestVote {
        fuel: 1,
        key: RequestKey {
            request: request.digest().unwrap(),
            inputs: Digest([9; 32]),
        },
        outcome: Outcome::Outputs(vec![Digest([result; 32])]),
        profile: "p".into(),
    }
}

/// Writes a round into the own log.
fn write(state: &MemberState, round: &Round) -> Prepared {
    let domain = Domain::new(31337, RING);
    let journal = state.journal().unwrap();
    let prepared = prepare_round(
        &journal,
        round,
        vec![],
        None,
        Sealing::Open(&domain),
        &key(),
    )
    .unwrap();
    state.append(Some(&prepared), &[], &[]).unwrap();
    prepared
}

fn ask(state: &MemberState, request: &Request) {
    let round = Round {
        messages: vec![request.to_message().unwrap()],
        ..Round::default()
    };
    write(state, &round);
}

fn vote(state: &MemberState, vote: RequestVote) -> usize {
    let round = Round {
        request_votes: vec![vote],
        ..Round::default()
    };
    write(state, &round).refused_requests.len()
}

/// The first ring node, or one after `prev`, that lists these.
fn ring_node(number: u64, prev: Option<&RingNode>, entries: Vec<Entry>) -> RingNode {
    let link = prev.map(RingNode::digest);
    let position = Position {
        number,
        epoch: 1,
        members_hash: Digest([1; 32]),
        prev: link,
        skip: link,
    };
    RingNode::build(position, entries, vec![]).unwrap()
}

fn registered_node(node: &RingNode, prev: Option<&RingNode>, block: u64) -> RingNodeFact {
    RingNodeFact {
        node: node.digest(),
        prev: prev.map_or(Digest::ZERO, RingNode::digest),
        block,
        transaction: Digest([block as u8; 32]),
    }
}

#[test]
fn a_request_and_its_votes_are_on_disk_with_their_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let asked = request(1);
    let digest = asked.digest().unwrap();
    {
        let state = open(&directory).unwrap();
        assert_eq!(vote(&state, vote_on(&asked, 1)), 0, "it may come before");
        ask(&state, &asked);
    }
    let state = open(&directory).unwrap();
    let me = key().address();
    assert_eq!(state.asked(digest).unwrap(), Some((me, asked.clone())));
    assert_eq!(state.all_asked().unwrap(), [(me, asked.clone())]);
    let later = Request {
        until: 7,
        ..asked.clone()
    };
    assert_eq!(state.asked_before(&later).unwrap(), Some(digest));
    assert_eq!(state.asked_before(&request(2)).unwrap(), None);
    let votes = state.request_votes(digest).unwrap();
    assert_eq!(votes, [(me, vote_on(&asked, 1))]);
    assert_eq!(vote(&state, vote_on(&asked, 2)), 1, "another result");
    let held = state.journal().unwrap().voted(vote_on(&asked, 1).key);
    assert_eq!(held.unwrap(), Some(vote_on(&asked, 1).result().unwrap()));
    state.forget_requests(&[digest]).unwrap();
    assert_eq!(state.asked(digest).unwrap(), None);
    assert!(state.request_votes(digest).unwrap().is_empty());
    assert_eq!(vote(&state, vote_on(&asked, 2)), 1, "the journal stays");
}

#[test]
fn ring_nodes_and_what_they_list_go_with_their_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let entry = |n: u64| vote_on(&request(n), n as u8).entry();
    let subject = |n: u64| request(n).digest().unwrap();
    let first = ring_node(0, None, vec![entry(1)]);
    let second = ring_node(1, Some(&first), vec![entry(2)]);
    let facts = [registered_node(&first, None, 5)];
    state.page(&[], &facts, cursor(5), &nobody).unwrap();
    state.list(&second).unwrap();
    assert_eq!(state.listed(subject(2)).unwrap(), None, "not on chain");
    let facts = [registered_node(&second, Some(&first), 6)];
    state.page(&[], &facts, cursor(6), &nobody).unwrap();
    state.list(&first).unwrap();
    state.list(&second).unwrap();
    assert_eq!(state.ring_node_count().unwrap(), 2);
    let node = state.ring_node(1).unwrap().unwrap();
    assert_eq!((node.digest, node.block), (second.digest(), 6));
    assert_eq!(state.listed(subject(2)).unwrap(), Some((1, entry(2))));

    state.finalise(2, &[subject(1), subject(2)]).unwrap();
    assert_eq!(state.final_ring_nodes().unwrap(), 2);
    state.rewind(Some(cursor(5))).unwrap();
    assert_eq!(state.ring_node_count().unwrap(), 1);
    assert_eq!(state.final_ring_nodes().unwrap(), 1);
    assert_eq!(state.listed(subject(2)).unwrap(), None);
    assert_eq!(state.listed(subject(1)).unwrap(), Some((0, entry(1))));
    // One that follows another node than the newest was not read in order.
    let facts = [registered_node(&second, Some(&second), 6)];
    state.page(&[], &facts, cursor(6), &nobody).unwrap();
    assert_eq!(state.ring_node_count().unwrap(), 1);
    state.rewind(None).unwrap();
    assert_eq!(state.ring_node_count().unwrap(), 0);
    assert_eq!(state.listed(subject(1)).unwrap(), None);
}

#[test]
fn what_is_final_leaves_the_journal_and_later_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let (over, stray) = (request(1), request(2));
    ask(&state, &over);
    vote(&state, vote_on(&over, 1));
    vote(&state, vote_on(&stray, 1));
    let digest = over.digest().unwrap();
    state.finalise(0, &[]).unwrap();
    let stray = stray.digest().unwrap();
    assert_eq!(state.request_votes(stray).unwrap().len(), 1);
    state.finalise(1, &[digest]).unwrap();
    let journal = state.journal().unwrap();
    assert_eq!(journal.voted(vote_on(&over, 1).key).unwrap(), None);
    assert!(
        state.asked(digest).unwrap().is_some(),
        "it is shown for a while"
    );
    assert_eq!(state.request_votes(digest).unwrap().len(), 1);
    assert!(
        state.request_votes(stray).unwrap().is_empty(),
        "nobody asked it"
    );
    let many: Vec<_> = (0..super::super::requests::KEPT_REQUESTS)
        .map(|n| sha256(&n.to_be_bytes()))
        .collect();
    state.finalise(2, &many).unwrap();
    assert_eq!(state.asked(digest).unwrap(), None);
    assert!(state.request_votes(digest).unwrap().is_empty());
    assert_eq!(state.asked_before(&over).unwrap(), None);
}

#[test]
fn gates_are_noted_until_a_final_ring_node_lists_them() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let facts = [requested(1), registered(2)];
    state.page(&facts, &[], cursor(2), &nobody).unwrap();
    let gates = |blocks| -> Vec<_> {
        let gates = state.unlisted_gates(blocks).unwrap().into_iter();
        gates.map(|(gate, _)| gate).collect()
    };
    assert_eq!(gates(0..=2), [GATE]);
    assert!(gates(0..=1).is_empty() && gates(3..=9).is_empty());
    state.rewind(Some(cursor(1))).unwrap();
    assert!(gates(0..=9).is_empty());
    state
        .page(&[registered(2)], &[], cursor(2), &nobody)
        .unwrap();
    assert_eq!(gates(0..=2), [GATE]);
    state.finalise(1, &[gate_subject(GATE)]).unwrap();
    assert!(gates(0..=9).is_empty());
}

#[test]
fn the_position_of_a_node_is_known_by_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let me = key().address();
    for nonce in 0..3 {
        ask(&state, &request(nonce));
    }
    for seq in 0..3 {
        let digest = state.node_at(me, seq).unwrap().unwrap();
        assert_eq!(state.position(me, digest).unwrap(), Some(seq));
        assert_eq!(state.position(address(1), digest).unwrap(), None);
    }
    assert_eq!(state.position(me, Digest([1; 32])).unwrap(), None);
    let mut alike = state.node_at(me, 1).unwrap().unwrap();
    alike.0[31] ^= 1;
    assert_eq!(state.position(me, alike).unwrap(), None, "begins alike");
}

#[test]
fn choices_are_kept_until_a_final_ring_node_decides() {
    let directory = tempfile::tempdir().unwrap();
    let choice = |slot: u8, choice: u8| Choice {
        slot: Digest([slot; 32]),
        choice: Digest([choice; 32]),
    };
    let me = key().address();
    {
        let state = open(&directory).unwrap();
        let messages = [choice(1, 1), choice(1, 2), choice(2, 1)].map(|choice| choice.to_message());
        let round = Round {
            messages: messages.to_vec(),
            ..Round::default()
        };
        write(&state, &round);
    }
    let state = open(&directory).unwrap();
    let kept = [(me, choice(1, 1)), (me, choice(2, 1))];
    assert_eq!(state.choices().unwrap(), kept, "the first one counts");
    let Choice { slot, choice } = choice(1, 1);
    let node = ring_node(0, None, vec![Entry::Decision { slot, choice }]);
    let facts = [registered_node(&node, None, 5)];
    state.page(&[], &facts, cursor(5), &nobody).unwrap();
    state.list(&node).unwrap();
    assert_eq!(state.choices().unwrap(), kept, "it may be reorganised away");
    state.finalise(1, &[]).unwrap();
    assert_eq!(state.choices().unwrap(), kept[1..]);
}

#[test]
fn the_newest_proposals_and_endorsements_of_each_member_survive() {
    let directory = tempfile::tempdir().unwrap();
    let proposal = |n: u8| {
        let entry = vote_on(&request(u64::from(n)), n).entry();
        Proposal {
            header: ring_node(0, None, vec![entry]).header_bytes().to_vec(),
            before: vec![Digest([n; 32])],
        }
    };
    let endorsement = |n: u8| Endorsement {
        node: proposal(n).node(),
        signed: Digest([n; 32]),
        signature: key().sign(&Digest([n; 32])).unwrap(),
    };
    let (proposals, endorsements) = (MAX_PROPOSALS as u8 + 2, MAX_ENDORSEMENTS as u8 + 3);
    {
        let state = open(&directory).unwrap();
        for n in 0..proposals {
            let messages = vec![proposal(n).to_message(), proposal(n).to_message()];
            let round = Round {
                messages,
                ..Round::default()
            };
            write(&state, &round);
        }
        let all = (0..endorsements).map(|n| endorsement(n).to_message());
        let round = Round {
            messages: all.collect(),
            ..Round::default()
        };
        write(&state, &round);
    }
    let state = open(&directory).unwrap();
    let me = key().address();
    let newest = (2..proposals).map(|n| (me, proposal(n)));
    assert_eq!(state.proposals().unwrap(), newest.collect::<Vec<_>>());
    let newest = (3..endorsements).map(|n| (me, endorsement(n)));
    assert_eq!(state.endorsements().unwrap(), newest.collect::<Vec<_>>());
}
