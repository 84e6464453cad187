//! A state database that cannot be opened is refused, with what to do.

use super::*;
use crate::state::tables;
use redb::ReadableTable;
use std::fs;

#[test]
fn a_database_that_cannot_be_used_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let held = open(&directory).unwrap();
    assert!(matches!(open(&directory), Err(StateError::Locked { .. })));
    drop(held);
    let other = Identity {
        chain_id: 1,
        ..identity()
    };
    assert!(matches!(
        MemberState::open(&path, &other),
        Err(StateError::Foreign { .. })
    ));
    fs::write(&path, b"no database, and quite a bit too short for one").unwrap();
    assert!(matches!(open(&directory), Err(StateError::Corrupt { .. })));
}

#[test]
fn a_database_of_something_else_is_no_member_without_a_past() {
    let directory = tempfile::tempdir().unwrap();
    let other = redb::Database::create(directory.path().join("state.redb")).unwrap();
    let transaction = other.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("another program's");
    transaction.open_table(table).unwrap();
    transaction.commit().unwrap();
    drop(other);
    assert!(matches!(open(&directory), Err(StateError::Corrupt { .. })));
}

#[test]
fn a_database_of_the_version_before_moves_forward_with_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory).unwrap());
    let path = directory.path().join("state.redb");
    let format = |write: Option<u32>| {
        let database = redb::Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let found = {
            let mut meta = transaction.open_table(tables::META).unwrap();
            if let Some(format) = write {
                meta.insert("format", format.to_be_bytes().as_slice())
                    .unwrap();
            }
            let found = meta.get("format").unwrap().unwrap();
            u32::from_be_bytes(found.value().try_into().unwrap())
        };
        transaction.commit().unwrap();
        found
    };
    let now = format(None);
    assert_eq!(format(Some(2)), 2);
    let positions = redb::TableDefinition::<[u8; 32], u64>::new("positions");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(positions)
        .unwrap()
        .insert([1; 32], 7)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    drop(open(&directory).unwrap());
    assert_eq!(
        format(None),
        now,
        "a program of format 2 refuses it from now on"
    );
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut tables = transaction.list_tables().unwrap();
    assert!(
        tables.all(|table| redb::TableHandle::name(&table) != "positions"),
        "what is not needed any more is gone"
    );
}

#[test]
fn a_database_without_a_redo_log_moves_forward_and_binds_as_before() {
    let (before, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = open(&before).unwrap();
    assert!(vote(&state, draft_of(computation(1), 1, 1)));
    // As format 6 wrote it: all rounds are in the database, and nothing names a redo log.
    let path = directory.path().join("state.redb");
    state.snapshot(&path).unwrap();
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(tables::META).unwrap();
        meta.insert("format", 6u32.to_be_bytes().as_slice())
            .unwrap();
        meta.remove(crate::state::open::RESTORED_KEY).unwrap();
        assert!(meta.get(tables::REDO_NAME_KEY).unwrap().is_none());
    }
    transaction.commit().unwrap();
    drop(database);
    assert!(!directory.path().join("state.redo").exists());

    let state = open(&directory).unwrap();
    assert!(
        !vote(&state, draft_of(computation(1), 1, 2)),
        "it has signed another result"
    );
    assert!(vote(&state, draft_of(computation(2), 1, 2)));
    let tip = state.journal().unwrap().tip().unwrap();
    drop(state);
    let state = open(&directory).unwrap();
    assert_eq!(state.journal().unwrap().tip().unwrap(), tip);
    assert!(!vote(&state, draft_of(computation(2), 1, 1)));
    assert_eq!(state.votes(GATE).unwrap().len(), 2);
}

#[test]
fn a_database_of_another_version_is_refused_with_what_to_do() {
    for (format, says) in [(1u32, "old format 1"), (99, "use a later version")] {
        let directory = tempfile::tempdir().unwrap();
        let other = redb::Database::create(directory.path().join("state.redb")).unwrap();
        let transaction = other.begin_write().unwrap();
        transaction
            .open_table(tables::META)
            .unwrap()
            .insert("format", format.to_be_bytes().as_slice())
            .unwrap();
        transaction.commit().unwrap();
        drop(other);
        let refused = open(&directory).err().unwrap().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}
