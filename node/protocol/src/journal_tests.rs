use super::*;
use crate::{
    crypto::{PublicKey, SecretKey, Signature},
    log::Tip,
    message::{MAX_OUTPUTS, MAX_PROFILE_BYTES},
    ringlog::Outcome,
    Address,
};
use std::{collections::BTreeMap, convert::Infallible};

#[derive(Default)]
struct Disk {
    results: BTreeMap<Computation, Digest>,
    voted: BTreeMap<RequestKey, Digest>,
    nodes: Vec<LogNode>,
}

impl Journal for Disk {
    fn signed(&self, computation: Computation) -> Result<Option<Digest>, Infallible> {
        Ok(self.results.get(&computation).copied())
    }
}

impl RequestJournal for Disk {
    fn voted(&self, key: RequestKey) -> Result<Option<Digest>, Infallible> {
        Ok(self.voted.get(&key).copied())
    }
}

impl OwnLog for Disk {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.nodes.last().map(LogNode::tip))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.nodes.get(seq as usize).map(LogNode::digest))
    }
}

fn draft(gate: u8, result: u8, epoch: u64) -> Draft {
    let outputs = Outputs::new([(0, Digest([result; 32]))]).unwrap();
    Draft {
        computation: Computation {
            gate: Address([gate; 20]),
            inputs: Digest([1; 32]),
        },
        epoch,
        fuel: 1,
        outputs,
        profile: "p".into(),
    }
}

/// The same gate after its futures brought something else.
fn draft_after(gate: u8, inputs: u8, result: u8) -> Draft {
    let mut draft = draft(gate, result, 1);
    draft.computation.inputs = Digest([inputs; 32]);
    draft
}

fn sign_all(disk: &mut Disk, drafts: &[Draft]) -> (usize, Vec<Refusal>) {
    let key = SecretKey::from_bytes(&[3; 32]).unwrap();
    let domain = Domain::new(1, Address([1; 20]));
    let prepared = prepare(disk, drafts, vec![], None, &domain, &key).unwrap();
    disk.results.extend(prepared.results.iter().copied());
    let refused = prepared.refused.clone();
    let votes = prepared.committed().map_or(0, |(node, votes)| {
        assert!(votes
            .iter()
            .all(|vote| vote.signer(&domain) == Some(key.address())));
        disk.nodes.push(node);
        votes.len()
    });
    (votes, refused)
}

#[test]
fn another_result_is_refused_for_ever_and_in_every_epoch() {
    let mut disk = Disk::default();
    assert_eq!(sign_all(&mut disk, &[draft(1, 1, 1)]), (1, vec![]));
    let (votes, refused) = sign_all(&mut disk, &[draft(1, 2, 1), draft(1, 2, 2)]);
    assert_eq!((votes, refused.len()), (0, 2));
    assert_eq!(disk.nodes.len(), 1, "a node is not written for nothing");
    assert_eq!(
        sign_all(&mut disk, &[draft(1, 1, 9)]),
        (1, vec![]),
        "the same result in a later epoch"
    );
}

#[test]
fn one_batch_cannot_contradict_itself() {
    let mut disk = Disk::default();
    let (votes, refused) = sign_all(&mut disk, &[draft(1, 1, 1), draft(1, 2, 1), draft(2, 2, 1)]);
    assert_eq!((votes, refused.len()), (2, 1));
}

#[test]
fn other_inputs_are_another_entry_of_the_journal() {
    let mut disk = Disk::default();
    assert_eq!(sign_all(&mut disk, &[draft_after(1, 1, 1)]), (1, vec![]));
    assert_eq!(sign_all(&mut disk, &[draft_after(1, 2, 2)]), (1, vec![]));
    let (votes, refused) = sign_all(&mut disk, &[draft_after(1, 1, 2), draft_after(1, 2, 1)]);
    assert_eq!((votes, refused.len()), (0, 2));
}

#[test]
fn a_full_batch_fits_into_a_node() {
    let mut disk = Disk::default();
    let wide = |gate: u8| Draft {
        outputs: Outputs::new(
            (0..MAX_OUTPUTS as u128).map(|pin| ((1 << 90) + pin, Digest([1; 32]))),
        )
        .unwrap(),
        profile: "x".repeat(MAX_PROFILE_BYTES),
        ..draft(gate, 1, u64::MAX)
    };
    for drafts in [
        (0..50).map(wide).collect::<Vec<_>>(),
        (50..250).map(|gate| draft(gate, 1, 1)).collect(),
    ] {
        let size = batch(&drafts);
        assert!(size >= 1);
        assert_eq!(sign_all(&mut disk, &drafts[..size]).0, size);
    }
    assert_eq!(batch(&[]), 0);
}

fn request_vote(request: u8, inputs: u8, result: u8) -> RequestVote {
    RequestVote {
        fuel: 1,
        key: RequestKey {
            request: Digest([request; 32]),
            inputs: Digest([inputs; 32]),
        },
        outcome: Outcome::Outputs(vec![Digest([result; 32])]),
        profile: "p".into(),
    }
}

/// How many messages the node has, and how many request votes were refused.
fn write_round(disk: &mut Disk, round: &Round) -> (usize, usize) {
    let key = SecretKey::from_bytes(&[3; 32]).unwrap();
    let domain = Domain::new(1, Address([1; 20]));
    let prepared = prepare_round(disk, round, vec![], None, Sealing::Open(&domain), &key).unwrap();
    disk.results.extend(prepared.results.iter().copied());
    disk.voted.extend(prepared.request_results.iter().copied());
    let refused = prepared.refused_requests.len();
    let messages = prepared.committed().map_or(0, |(node, _)| {
        let messages = node.content().body.len();
        disk.nodes.push(node);
        messages
    });
    (messages, refused)
}

#[test]
fn another_outcome_of_a_request_is_refused_and_the_rest_is_written() {
    let mut disk = Disk::default();
    let mut round = Round {
        votes: vec![draft(1, 1, 1)],
        request_votes: vec![
            request_vote(1, 1, 1),
            request_vote(1, 1, 2),
            request_vote(1, 2, 2),
        ],
        endorsements: vec![],
        messages: vec![request_vote(9, 9, 9).to_message().unwrap()],
    };
    assert_eq!(write_round(&mut disk, &round), (4, 1));
    assert_eq!(disk.voted.len(), 2);
    round.request_votes = vec![request_vote(1, 1, 2)];
    (round.votes, round.messages) = (vec![], vec![]);
    assert_eq!(write_round(&mut disk, &round), (0, 1));
    assert_eq!(disk.nodes.len(), 1);
    round.request_votes = vec![request_vote(1, 1, 1)];
    assert_eq!(write_round(&mut disk, &round), (1, 0), "the same again");
}

#[test]
fn what_waits_is_taken_in_parts_that_fit_into_a_node() {
    let mut waiting = Waiting::default();
    assert!(waiting.is_empty() && waiting.take().is_empty());
    waiting.votes.extend((0..3).map(|gate| draft(gate, 1, 1)));
    let votes = (0..250).map(|request| RequestVote {
        outcome: Outcome::Outputs(vec![Digest([1; 32]); 40]),
        profile: "x".repeat(MAX_PROFILE_BYTES),
        ..request_vote(request, 1, 1)
    });
    waiting.request_votes.extend(votes);
    let message = request_vote(9, 9, 9).to_message().unwrap();
    waiting.messages.extend(vec![message; 2000]);
    let (mut disk, mut written, mut nodes) = (Disk::default(), 0, 0);
    while !waiting.is_empty() {
        let round = waiting.take();
        let count = round.votes.len() + round.request_votes.len() + round.messages.len();
        assert!(count > 0);
        // Putting it back changes nothing.
        waiting.put_back(round.clone());
        assert_eq!(waiting.take(), round);
        assert_eq!(write_round(&mut disk, &round), (count, 0));
        (written, nodes) = (written + count, nodes + 1);
    }
    assert_eq!(written, 3 + 250 + 2000);
    assert!((4..=10).contains(&nodes), "{nodes} nodes");
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[3; 32]).unwrap()
}

fn domain() -> Domain {
    Domain::new(1, Address([1; 20]))
}

/// A service that has the key, and gives no signature for this number of requests.
struct Away(std::sync::atomic::AtomicUsize);

impl Signer for Away {
    fn public_key(&self) -> PublicKey {
        key().public_key()
    }

    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError> {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self
            .0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(CryptoError::SignerAway {
                reason: "not now".into(),
            }),
            Err(_) => key().sign_hashed(bytes),
        }
    }
}

#[test]
fn what_a_signer_does_not_sign_now_waits_as_it_was_and_is_signed_later() {
    let disk = Disk::default();
    let data = domain().ring_node(Digest::ZERO, Digest([7; 32]), 1, &[]);
    let mut waiting = Waiting::default();
    waiting.votes.extend([draft(1, 1, 1), draft(2, 2, 1)]);
    waiting.request_votes.push_back(request_vote(1, 1, 1));
    waiting.endorsements.push_back((Digest([7; 32]), data));
    let signer = Away(3.into());
    let mut tries = 0;
    let prepared = loop {
        let round = waiting.take();
        assert!(waiting.is_empty() && !round.is_empty());
        tries += 1;
        match prepare_round(
            &disk,
            &round,
            vec![],
            None,
            Sealing::Open(&domain()),
            &signer,
        ) {
            Ok(prepared) => break prepared,
            Err(error) => {
                assert!(error.unsigned().is_some_and(CryptoError::is_transient));
                waiting.put_back(round);
            }
        }
    };
    assert_eq!(tries, 4);
    let (node, votes) = prepared.to_store().unwrap();
    assert_eq!((node.author(), votes.len()), (key().address(), 2));
    let endorsement = node.content().body.iter();
    let endorsement = endorsement.filter_map(|message| Endorsement::from_message(message).ok()?);
    let endorsement: Vec<_> = endorsement.collect();
    assert_eq!(endorsement[0].signer(), Some(key().address()));
    assert_eq!(endorsement[0].signed, data.digest());
    assert_eq!(node.content().body.len(), 4);
}

#[test]
fn only_a_missing_signature_is_waited_for() {
    let lost: PrepareError<Infallible> = PrepareError::Sign(CryptoError::Sign);
    assert!(!lost.unsigned().is_some_and(CryptoError::is_transient));
    let broken = PrepareError::<Infallible>::Message(MessageError::Outputs);
    assert!(broken.unsigned().is_none());
}
