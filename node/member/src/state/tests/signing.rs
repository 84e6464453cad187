//! What was signed binds, and what others signed is remembered.

use super::{super::votes::KEPT_EPOCHS, *};
use rings_protocol::log::ForkProof;

#[test]
fn another_result_is_refused_after_a_restart_and_after_a_rewind() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(vote(&state, draft_of(computation(1), 1, 1)));
    drop(state);
    let state = open(&directory).unwrap();
    assert!(!vote(&state, draft_of(computation(1), 1, 2)));
    assert!(!vote(&state, draft_of(computation(1), 2, 2)));
    state.rewind(None).unwrap();
    assert!(
        !vote(&state, draft_of(computation(1), 1, 2)),
        "a reorganisation does not take back what was signed"
    );
    assert!(vote(&state, draft_of(computation(1), 2, 1)));
    assert!(
        vote(&state, draft_of(computation(2), 1, 2)),
        "other inputs are another computation"
    );
    assert_eq!(
        state.journal().unwrap().tip().unwrap().unwrap().seq,
        2,
        "three nodes"
    );
    assert_eq!(state.votes_for(computation(1)).unwrap().len(), 2);
    assert_eq!(state.votes(GATE).unwrap().len(), 3);
}

#[test]
fn votes_of_a_few_epochs_are_kept_and_the_first_result_counts() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    for epoch in 0..10 {
        let entry = of_other(epoch, &draft_of(computation(1), epoch, 1));
        assert!(state.append(None, &[entry], &[]).unwrap().is_empty());
    }
    let votes = state.votes_for(computation(1)).unwrap();
    let epochs: Vec<_> = votes.iter().map(|(_, vote)| vote.epoch).collect();
    assert_eq!(epochs, [6, 7, 8, 9]);
    let entry = of_other(10, &draft_of(computation(1), 10, 2));
    let member = entry.node.author();
    let found = state.append(None, &[entry], &[]).unwrap();
    assert_eq!(found, [(computation(1), member)]);
    assert_eq!(state.divergences(member, 10).unwrap(), [GATE]);
    assert_eq!(state.votes_for(computation(1)).unwrap().len(), KEPT_EPOCHS);
}

#[test]
fn an_older_copy_of_this_memory_learns_from_others_what_it_signed() {
    let directory = tempfile::tempdir().unwrap();
    let newer = tempfile::tempdir().unwrap();
    let (state, newer) = (open(&directory).unwrap(), open(&newer).unwrap());
    let prepared = sign(&newer, draft_of(computation(1), 1, 1));
    newer.append(Some(&prepared), &[], &[]).unwrap();
    let (node, votes) = prepared.committed().unwrap();
    let entry = ReceivedNode {
        node,
        votes,
        usage: Usage::default(),
        duties: Vec::new(),
    };
    state.append(None, &[entry], &[]).unwrap();
    assert!(!vote(&state, draft_of(computation(1), 1, 2)));
    assert_eq!(state.journal().unwrap().tip().unwrap().unwrap().seq, 0);
}

#[test]
fn one_proof_of_a_fork_is_kept_for_each_author() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    let other = SecretKey::from_bytes(&[4; 32]).unwrap();
    for seq in 0..3 {
        let (one, two) = (node(&other, seq, "a"), node(&other, seq, "bb"));
        state.add_fork(&ForkProof::new(one, two).unwrap()).unwrap();
    }
    assert_eq!(state.fork_authors().unwrap(), [other.address()]);
}
