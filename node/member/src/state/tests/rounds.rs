//! Rounds that are in the redo log and not in the database when the machine stops.

use super::*;
use crate::state::tables;
use std::fs;

/// What the process leaves when it is killed: the files as they are, without anything that closing them writes.
fn killed(from: &tempfile::TempDir) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["state.redb", "state.redo"] {
        fs::copy(from.path().join(name), to.path().join(name)).unwrap();
    }
    to
}

fn number(directory: &tempfile::TempDir) -> Option<u64> {
    let database = redb::Database::create(directory.path().join("state.redb")).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let meta = transaction.open_table(tables::META).unwrap();
    let number = redb::ReadableTable::get(&meta, tables::REDO_NUMBER_KEY).unwrap();
    number.map(|number| u64::from_be_bytes(number.value().try_into().unwrap()))
}

#[test]
fn rounds_are_carried_out_again_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    for n in 1..4 {
        assert!(vote(&state, draft_of(computation(n), 1, n)));
    }
    let tip = state.tip(identity().member).unwrap();
    assert_eq!(tip.map(|tip| tip.seq), Some(2));
    let left = killed(&directory);
    assert_eq!(
        number(&killed(&directory)),
        None,
        "the database has no round"
    );
    let again = open(&left).unwrap();
    assert_eq!(again.tip(identity().member).unwrap(), tip);
    for n in 1..4 {
        assert!(
            !vote(&again, draft_of(computation(n), 1, n + 7)),
            "{n} is contradicted"
        );
    }
    assert_eq!(again.votes(GATE).unwrap().len(), 3);
    // And once more: nothing is carried out twice, and what came since stays.
    assert!(vote(&again, draft_of(computation(9), 1, 9)));
    let tip = again.tip(identity().member).unwrap();
    let later = open(&killed(&left)).unwrap();
    assert_eq!(later.tip(identity().member).unwrap(), tip);
    drop(again);
    assert!(
        number(&left).is_some_and(|number| number >= 4),
        "closing writes all rounds"
    );
}

#[test]
fn a_copy_takes_nothing_from_the_redo_log_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(vote(&state, draft_of(computation(1), 1, 1)));
    let copy = tempfile::tempdir().unwrap();
    state.snapshot(&copy.path().join("state.redb")).unwrap();
    assert!(vote(&state, draft_of(computation(2), 1, 2)));
    fs::copy(
        directory.path().join("state.redo"),
        copy.path().join("state.redo"),
    )
    .unwrap();
    let copied = open(&copy).unwrap();
    let tip = copied.tip(identity().member).unwrap();
    assert_eq!(
        tip.map(|tip| tip.seq),
        Some(0),
        "the second round is not its own"
    );
}

#[test]
fn more_rounds_than_the_redo_log_has_room_for_are_all_there() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    // A round's record has more than five hundred bytes.
    let rounds = crate::state::redo::REDO_BYTES / 450;
    for epoch in 1..=rounds {
        assert!(vote(&state, draft_of(computation(1), epoch, 1)));
    }
    let again = open(&killed(&directory)).unwrap();
    let tip = again.tip(identity().member).unwrap();
    assert_eq!(tip.map(|tip| tip.seq + 1), Some(rounds));
    assert_eq!(
        again.nodes(identity().member, 0, usize::MAX).unwrap().len() as u64,
        rounds
    );
}

#[test]
fn neither_file_is_used_without_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let state = open(&directory).unwrap();
    assert!(vote(&state, draft_of(computation(1), 1, 1)));
    drop(state);
    let state = open(&directory).unwrap();
    let before = killed(&directory);
    // So many that the redo log begins anew: what the older copy lacks is nowhere.
    for epoch in 2..crate::state::redo::REDO_BYTES / 450 {
        assert!(vote(&state, draft_of(computation(1), epoch, 1)));
    }
    drop(state);
    let redo = directory.path().join("state.redo");
    fs::copy(&redo, before.path().join("state.redo")).unwrap();
    let older = open(&before).err();
    assert!(matches!(older, Some(StateError::Format(_))), "{older:?}");
    fs::remove_file(&redo).unwrap();
    let missing = open(&directory).err();
    assert!(
        matches!(missing, Some(StateError::Corrupt { .. })),
        "{missing:?}"
    );
    assert!(!redo.exists(), "nothing is made in its place");
}
