//! The embedded store: what every store does, and what can happen to its file.

use crate::{
    place::{open_at, place},
    suite::{self, bytes, node, raw},
};
use redb::{Database, TableDefinition};
use rings_store::{
    hash, import, read_file, source, Block, BlockStore, ErrorClass, StoreError, CHUNK_BYTES,
};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

async fn error_at(path: &Path) -> StoreError {
    open_at(path).await.map(drop).expect_err("it must not open")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_does_what_every_store_does() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    assert_eq!(store.kind(), "embedded");
    assert_eq!(store.size().await.unwrap(), Default::default());
    suite::run(store).await;
}

#[tokio::test]
async fn a_large_draft_that_is_discarded_leaves_the_store_as_it_was() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    suite::a_draft_that_is_discarded_leaves_the_store_as_it_was(&store, 64 << 20).await;
    // What was freed is used again.
    let length = fs::metadata(&path).unwrap().len();
    suite::a_draft_that_is_discarded_leaves_the_store_as_it_was(&store, 64 << 20).await;
    assert!(fs::metadata(&path).unwrap().len() < length * 5 / 4);
}

#[tokio::test]
async fn blocks_are_there_after_opening_again() {
    let (_directory, path) = place();
    let block = node(1, &[]);
    let store = open_at(&path).await.unwrap();
    store.put(vec![block.clone()]).await.unwrap();
    let size = store.size().await.unwrap();
    drop(store);
    let store = open_at(&path).await.unwrap();
    assert_eq!(
        store.get(block.cid()).await.unwrap().as_ref(),
        Some(block.data())
    );
    assert_eq!(store.size().await.unwrap(), size);
    assert_eq!((size.blocks, size.bytes), (1, block.data().len() as u64));
}

#[tokio::test]
async fn a_put_is_on_disk_when_it_returns() {
    let (directory, path) = place();
    let store = open_at(&path).await.unwrap();
    for i in 0..10 {
        let block = raw(bytes(200_000, i));
        store.put(vec![block.clone()]).await.unwrap();
        // What a crash now would leave: the file as it is, without the process that had it open.
        let copy = directory.path().join(format!("copy{i}"));
        fs::copy(&path, &copy).unwrap();
        let crashed = open_at(&copy).await.unwrap();
        assert_eq!(
            crashed.get(block.cid()).await.unwrap().as_ref(),
            Some(block.data())
        );
        assert_eq!(crashed.size().await.unwrap().blocks, i + 1);
    }
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    let (_directory, path) = place();
    drop(open_at(&path).await.unwrap());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_file_of_256_kib_leaves_takes_little_more_room_than_its_bytes() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let length = 64 * CHUNK_BYTES;
    import(Arc::clone(&store), &bytes(length, 1)[..])
        .await
        .unwrap();
    drop(store);
    let on_disk = fs::metadata(&path).unwrap().blocks() * 512;
    assert!(
        on_disk < length as u64 * 3 / 2,
        "{on_disk} bytes on disk for {length}"
    );
}

/// Flips each of several bits of the block in the file, wherever it lies.
#[tokio::test]
async fn a_flipped_bit_is_seen_and_healed_by_putting_the_block_again() {
    let (_directory, path) = place();
    let (good, bad) = (raw(bytes(3000, 1)), raw(bytes(3000, 2)));
    let store = open_at(&path).await.unwrap();
    store.put(vec![good.clone(), bad.clone()]).await.unwrap();
    let size = store.size().await.unwrap();
    drop(store);
    for (at, bit) in [(0, 0), (1, 7), (1500, 3), (2999, 1)] {
        flip(&path, bad.data(), at, bit);
        let store = open_at(&path).await.unwrap();
        let got = store.get(bad.cid()).await;
        assert!(
            matches!(got, Err(StoreError::Corrupt { cid }) if cid == *bad.cid()),
            "{at}: {got:?}"
        );
        let error = source_error(&store, &bad).await;
        assert_eq!(error.class(), ErrorClass::Absent);
        assert_eq!(
            store.get(good.cid()).await.unwrap().as_ref(),
            Some(good.data())
        );
        store.put(vec![bad.clone()]).await.unwrap();
        assert_eq!(
            store.get(bad.cid()).await.unwrap().as_ref(),
            Some(bad.data())
        );
        assert_eq!(store.size().await.unwrap(), size);
    }
}

async fn source_error(store: &Arc<dyn BlockStore>, block: &Block) -> StoreError {
    source(store)
        .blocks(&[*block.cid()])
        .await
        .expect_err("it is damaged")
}

fn flip(path: &Path, data: &[u8], at: usize, bit: u8) {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut all = Vec::new();
    file.read_to_end(&mut all).unwrap();
    let places: Vec<_> = all
        .windows(data.len())
        .enumerate()
        .filter(|(_, window)| *window == data)
        .collect();
    assert!(!places.is_empty(), "the block lies in the file as it is");
    for (place, _) in places {
        file.seek(SeekFrom::Start((place + at) as u64)).unwrap();
        file.write_all(&[data[at] ^ (1 << bit)]).unwrap();
    }
}

#[tokio::test]
async fn a_database_in_use_is_named() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let error = error_at(&path).await;
    assert!(
        matches!(&error, StoreError::Locked { path: at } if *at == path),
        "{error:?}"
    );
    assert!(error.to_string().contains("in use by another process"));
    drop(store);
    open_at(&path).await.map(drop).unwrap();
}

#[tokio::test]
async fn what_is_not_a_database_is_left_alone() {
    let (directory, path) = place();
    for content in [
        &b""[..],
        b"x",
        b"not a database, but longer than a header",
        &[0; 100_000],
    ] {
        fs::write(&path, content).unwrap();
        let error = error_at(&path).await;
        assert!(
            matches!(error, StoreError::ForeignDatabase { .. }),
            "{error:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    assert!(matches!(
        error_at(directory.path()).await,
        StoreError::ForeignDatabase {
            what: "a directory",
            ..
        }
    ));
    let nowhere = directory.path().join("no/such/directory");
    assert!(matches!(error_at(&nowhere).await, StoreError::Io { .. }));
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let (_directory, path) = place();
    let other: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(other)
        .unwrap()
        .insert("format", 1)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = error_at(&path).await;
    assert!(
        matches!(
            error,
            StoreError::ForeignDatabase {
                what: "a database of another program",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Fatal);
}

#[tokio::test]
async fn a_later_format_is_refused() {
    let (_directory, path) = place();
    drop(open_at(&path).await.unwrap());
    let facts: TableDefinition<'_, &str, u64> = TableDefinition::new("rings-store.facts");
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(facts)
        .unwrap()
        .insert("format", 4)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = error_at(&path).await;
    assert!(
        matches!(
            error,
            StoreError::LaterFormat {
                found: 4,
                known: 3,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("use a later version of rings"));
}

#[tokio::test]
async fn a_truncated_database_is_named_and_not_served() {
    let (directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let file = import(Arc::clone(&store), &bytes(2_000_000, 3)[..])
        .await
        .unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    for keep in [5, 300, 4096, 10_000, whole.len() / 2] {
        let cut = directory.path().join(format!("cut{keep}"));
        fs::write(&cut, &whole[..keep]).unwrap();
        match open_at(&cut).await {
            Err(StoreError::CorruptDatabase { .. } | StoreError::ForeignDatabase { .. }) => {}
            Err(error) => panic!("{keep}: {error:?}"),
            Ok(store) => assert!(
                suite::read(source(&store), file.cid).await.is_err(),
                "{keep}"
            ),
        }
    }
}

/// Any part of the file is overwritten: every answer is the right block or an error, and no panic reaches the caller.
#[tokio::test]
async fn garbage_anywhere_in_the_database_is_never_served() {
    let (directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let data = bytes(1_000_000, 4);
    let file = import(Arc::clone(&store), &data[..]).await.unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for step in 0..24 {
        let at = step * whole.len() / 24;
        let mut damaged = whole.clone();
        let end = (at + 3000).min(whole.len());
        damaged[at..end].copy_from_slice(&bytes(end - at, step as u64));
        let copy = directory.path().join(format!("damaged{step}"));
        fs::write(&copy, damaged).unwrap();
        let read = match open_at(&copy).await {
            Ok(store) => suite::read(source(&store), file.cid).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(read) => assert!(read == data, "{step}"),
            Err(StoreError::Io { source, .. }) => panic!("{step}: {source}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "some of the damage was in what was read");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Needs root to give a file away; as another user, `a_file_without_permission_is_named` covers the case.
#[tokio::test]
async fn the_database_of_another_user_is_left_alone() {
    let (_directory, path) = place();
    drop(open_at(&path).await.unwrap());
    let other = fs::metadata(&path).unwrap().uid() + 12_345;
    match std::os::unix::fs::chown(&path, Some(other), None) {
        Ok(()) => {
            let error = error_at(&path).await;
            assert!(
                matches!(error, StoreError::ForeignOwner { owner, .. } if owner == other),
                "{error:?}"
            );
        }
        Err(error) => assert!(!is_root(), "{error}"),
    }
}

/// As another user; root may read everything, and gets a directory in place of the file here.
#[tokio::test]
async fn a_file_without_permission_is_named() {
    let (_directory, path) = place();
    drop(open_at(&path).await.unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let opened = open_at(&path).await.map(drop);
    match is_root() {
        true => opened.unwrap(),
        false => assert!(
            matches!(opened, Err(StoreError::Denied { .. })),
            "{opened:?}"
        ),
    }
}

#[tokio::test]
async fn leftovers_of_a_crash_while_the_database_was_made_do_no_harm() {
    let (_directory, path) = place();
    fs::write(path.with_extension("redb.new"), b"half of a header").unwrap();
    drop(open_at(&path).await.unwrap());
    assert!(!path.with_extension("redb.new").exists());
}

#[tokio::test]
async fn a_reader_that_stops_early_leaves_the_store_free() {
    use futures::StreamExt;
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let data = bytes(40 * CHUNK_BYTES, 8);
    let file = import(Arc::clone(&store), &data[..]).await.unwrap();
    for _ in 0..20 {
        let mut stream = read_file(source(&store), file.cid);
        assert_eq!(stream.next().await.unwrap().unwrap(), data[..CHUNK_BYTES]);
    }
    assert_eq!(hash(&data[..]).await.unwrap().cid, file.cid);
    assert!(suite::read(source(&store), file.cid).await.unwrap() == data);
}
