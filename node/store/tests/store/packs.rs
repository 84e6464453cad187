//! Short blocks of DAG-CBOR, which the embedded store keeps in packs: nothing else is to be seen of it.

use crate::{
    place::{open_at, place},
    suite::{bytes, raw},
};
use redb::{Database, ReadableTable, TableDefinition};
use rings_store::{Block, BlockKey, BlockStore, StoreError};
use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

const PIECES: TableDefinition<'_, &[u8; 35], &[u8]> = TableDefinition::new("rings-store.pieces");
const PACKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("rings-store.packs");
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("rings-store.facts");

/// As the store cuts blocks that are in no pack.
const PIECE_BYTES: usize = 64 * 1024 - 128;

/// Blocks that resemble each other in half of their bytes, as nodes of logs do.
fn nodes(count: u64) -> Vec<Block> {
    let node = |n: u64| {
        let own = bytes(180 + (n as usize * 37) % 300, n);
        let data = [
            &b"content, body, domain, payload, status, refs, time, signature"[..],
            &own,
        ];
        Block::dag_cbor(data.concat().into()).unwrap()
    };
    (0..count).map(node).collect()
}

async fn assert_holds(store: &Arc<dyn BlockStore>, blocks: &[Block]) {
    let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
    let found = store.get_many(&cids).await.unwrap();
    let found: Vec<_> = found.into_iter().flatten().collect();
    assert!(found == blocks, "{} of {}", found.len(), blocks.len());
    let size = store.size().await.unwrap();
    let total: usize = blocks.iter().map(|block| block.data().len()).sum();
    assert_eq!(
        (size.blocks, size.bytes),
        (blocks.len() as u64, total as u64)
    );
    let (mut listed, mut last) = (Vec::new(), None);
    let inventory = store.inventory().unwrap();
    loop {
        let page = inventory.page(last).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.key);
        listed.extend(
            page.into_iter()
                .map(|stored| *stored.checked().unwrap().cid()),
        );
    }
    let mut wanted = cids;
    wanted.sort_by_key(|cid| BlockKey::of(cid).unwrap());
    assert!(listed == wanted, "{} are listed", listed.len());
}

fn packs(path: &Path) -> Vec<u32> {
    let database = Database::open(path).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let packs = transaction.open_table(PACKS).unwrap();
    let numbers = packs.iter().unwrap().map(|entry| entry.unwrap().0.value());
    numbers.collect()
}

#[tokio::test]
async fn blocks_of_every_length_are_there_again_and_are_put_once() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let lengths = [0, 1, 200, 4095, 4096, 4097, 16_000, 70_000];
    let mut blocks: Vec<_> = lengths
        .map(|length| Block::dag_cbor(bytes(length, 3).into()).unwrap())
        .into();
    blocks.extend(nodes(500));
    blocks.push(raw(bytes(90, 1)));
    for some in blocks.chunks(40) {
        store.put(some.to_vec()).await.unwrap();
    }
    store.put(blocks.clone()).await.unwrap();
    let twice = [blocks[9].clone(), blocks[9].clone()];
    store.put(twice.into()).await.unwrap();
    assert_holds(&store, &blocks).await;
    store.inventory().unwrap().shrink().await.unwrap();
    assert_holds(&store, &blocks).await;
    let absent = Block::dag_cbor(bytes(99, 99).into()).unwrap();
    assert!(!store.has(absent.cid()).await.unwrap());
    assert_eq!(store.get(absent.cid()).await.unwrap(), None);
    drop(store);
    assert_holds(&open_at(&path).await.unwrap(), &blocks).await;
    let length = fs::metadata(&path).unwrap().len();
    assert!(packs(&path).len() > 5, "{length} bytes");
}

#[tokio::test]
async fn removing_blocks_gives_their_packs_back_and_no_other_block() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let inventory = store.inventory().unwrap();
    let blocks = nodes(1_000);
    store.put(blocks.clone()).await.unwrap();
    drop((store, inventory));
    let before = packs(&path).len();
    let store = open_at(&path).await.unwrap();
    let inventory = store.inventory().unwrap();
    // Two of three, first blocks of packs among them: half-empty packs are dissolved.
    let is_kept = |n: usize| n.is_multiple_of(3);
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (n, block) in blocks.into_iter().enumerate() {
        match is_kept(n) {
            true => kept.push(block),
            false => gone.push(block),
        }
    }
    let keys: Vec<_> = gone
        .iter()
        .map(|block| BlockKey::of(block.cid()).unwrap())
        .collect();
    let removed = inventory.remove(keys.clone()).await.unwrap();
    assert_eq!(removed.blocks, gone.len() as u64);
    assert_eq!(inventory.remove(keys).await.unwrap().blocks, 0);
    assert_holds(&store, &kept).await;
    for block in &gone {
        assert!(!store.has(block.cid()).await.unwrap());
    }
    drop((store, inventory));
    let after = packs(&path).len();
    assert!(after < before * 2 / 3, "{after} packs of {before}");
    let store = open_at(&path).await.unwrap();
    store.put(gone.clone()).await.unwrap();
    let all: Vec<_> = kept.into_iter().chain(gone).collect();
    assert_holds(&store, &all).await;
    let keys = all.iter().map(|block| BlockKey::of(block.cid()).unwrap());
    let inventory = store.inventory().unwrap();
    inventory.remove(keys.collect()).await.unwrap();
    drop((store, inventory));
    assert_eq!(packs(&path), [] as [u32; 0]);
}

/// Changes a byte of each pack, one after the other.
fn damage(path: &Path, at: usize) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(PACKS).unwrap();
        let mut pack = table.get(0).unwrap().unwrap().value().to_vec();
        pack[at] ^= 0x10;
        table.insert(0, pack.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_damaged_copy_is_seen_and_healed_by_putting_the_block_again() {
    for at in [4, 5, 7, 8, 100, 500, 501, 600, 900, 1_300] {
        let (_directory, path) = place();
        let store = open_at(&path).await.unwrap();
        let blocks = nodes(8);
        store.put(blocks.clone()).await.unwrap();
        drop(store);
        damage(&path, at);
        let store = open_at(&path).await.unwrap();
        let mut damaged = BTreeSet::new();
        for (n, block) in blocks.iter().enumerate() {
            match store.get(block.cid()).await {
                Ok(Some(data)) => assert_eq!(data, block.data(), "{at}"),
                Err(StoreError::Corrupt { cid }) if cid == *block.cid() => drop(damaged.insert(n)),
                other => panic!("{at}: {other:?}"),
            }
        }
        assert!(!damaged.is_empty(), "{at}");
        let page = store.inventory().unwrap().page(None).await.unwrap();
        assert_eq!(page.len() + damaged.len(), blocks.len(), "{at}");
        store.put(blocks.clone()).await.unwrap();
        for block in &blocks {
            let data = store.get(block.cid()).await.unwrap();
            assert_eq!(data.as_ref(), Some(block.data()), "{at}");
        }
        assert_eq!(store.size().await.unwrap().blocks, 8, "{at}");
    }
}

#[tokio::test]
async fn blocks_of_the_format_before_are_read_and_go_into_packs_when_the_store_shrinks() {
    let (_directory, path) = place();
    drop(open_at(&path).await.unwrap());
    let mut blocks = nodes(300);
    // The second has two pieces, of which the last is short.
    for length in [9_000, PIECE_BYTES + 100] {
        blocks.push(Block::dag_cbor(bytes(length, 5).into()).unwrap());
    }
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut pieces = transaction.open_table(PIECES).unwrap();
        for block in &blocks {
            let mut key = [0; 35];
            key[0] = 0x71;
            key[1..33].copy_from_slice(block.cid().hash().digest());
            for (number, piece) in (0u16..).zip(block.data().chunks(PIECE_BYTES)) {
                key[33..].copy_from_slice(&number.to_be_bytes());
                pieces.insert(&key, piece).unwrap();
            }
        }
        let mut facts = transaction.open_table(FACTS).unwrap();
        let bytes: usize = blocks.iter().map(|block| block.data().len()).sum();
        facts.insert("blocks", blocks.len() as u64).unwrap();
        facts.insert("bytes", bytes as u64).unwrap();
        facts.insert("format", 2).unwrap();
    }
    transaction.delete_table(PACKS).unwrap();
    let places = TableDefinition::<'_, &[u8; 14], ()>::new("rings-store.places");
    transaction.delete_table(places).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::metadata(&path).unwrap().len();
    let store = open_at(&path).await.unwrap();
    assert_holds(&store, &blocks).await;
    store.put(blocks.clone()).await.unwrap();
    let added = nodes(320).split_off(300);
    store.put(added.clone()).await.unwrap();
    blocks.extend(added);
    assert_holds(&store, &blocks).await;
    let inventory = store.inventory().unwrap();
    assert_eq!(
        inventory.pins().await.unwrap(),
        [],
        "nothing is pinned by it"
    );
    inventory.shrink().await.unwrap();
    assert_holds(&store, &blocks).await;
    drop((store, inventory));
    assert!(fs::metadata(&path).unwrap().len() < before);
    let database = Database::open(&path).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let pieces = transaction.open_table(PIECES).unwrap();
    assert_eq!(pieces.iter().unwrap().count(), 3, "the long ones");
    let facts = transaction.open_table(FACTS).unwrap();
    assert_eq!(facts.get("format").unwrap().unwrap().value(), 3);
}
