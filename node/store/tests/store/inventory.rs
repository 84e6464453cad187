//! Listing, pinning and removing in the embedded store, and archives of it.

use crate::{
    place::{open_at, place},
    suite::{self, bytes, raw},
};
use futures::TryStreamExt;
use redb::{Database, TableDefinition};
use rings_store::{
    export_all, import, import_car, mark_below, read_cars, source, BlockKey, Needed, Pin,
};
use std::{collections::HashSet, sync::Arc};

#[tokio::test]
async fn a_database_of_the_first_format_is_brought_up_to_date_and_all_of_it_pinned() {
    let (_directory, path) = place();
    let blocks: Vec<_> = [1, 70_000, 300_000]
        .map(|length| raw(bytes(length, 1)))
        .into();
    let store = open_at(&path).await.unwrap();
    store.put(blocks.clone()).await.unwrap();
    drop(store);
    let facts: TableDefinition<'_, &str, u64> = TableDefinition::new("rings-store.facts");
    let pins: TableDefinition<'_, &[u8; 34], u64> = TableDefinition::new("rings-store.pins");
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.delete_table(pins).unwrap();
    transaction
        .open_table(facts)
        .unwrap()
        .insert("format", 1)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = open_at(&path).await.unwrap();
    let mut pinned: Vec<_> = store.inventory().unwrap().pins().await.unwrap();
    pinned.retain(|pin| !pin.below && pin.until == Pin::ALWAYS);
    let pinned: HashSet<_> = pinned.iter().map(|pin| pin.key.cid()).collect();
    assert_eq!(pinned, blocks.iter().map(|block| *block.cid()).collect());
}

#[tokio::test]
async fn the_inventory_lists_every_block_once_and_pins_last_as_long_as_the_longest() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let inventory = store.inventory().unwrap();
    let blocks: Vec<_> = (0..200).map(|n| raw(bytes(n * 701, n as u64))).collect();
    store.put(blocks.clone()).await.unwrap();
    let (mut listed, mut named, mut last) = (Vec::new(), Vec::new(), None);
    loop {
        let page = inventory.page(last).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.key);
        listed.extend(page.into_iter().map(|stored| stored.checked().unwrap()));
    }
    last = None;
    loop {
        let page = inventory.names(last).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(*end);
        named.extend(page.into_iter().map(|key| key.cid()));
    }
    let mut wanted: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
    wanted.sort_by_key(|cid| BlockKey::of(cid).unwrap());
    assert_eq!(named, wanted);
    assert_eq!(
        listed.iter().map(|block| *block.cid()).collect::<Vec<_>>(),
        wanted
    );

    let pin = |until| Pin {
        key: BlockKey::of(&wanted[0]).unwrap(),
        below: true,
        until,
    };
    for until in [7, 9, 8] {
        inventory.pin(vec![pin(until)]).await.unwrap();
    }
    assert_eq!(inventory.pins().await.unwrap(), [pin(9)]);
    assert_eq!(inventory.unpin(vec![pin(0).key]).await.unwrap(), 1);
    assert_eq!(inventory.pins().await.unwrap(), []);
    let size = store.size().await.unwrap();
    let keys = wanted
        .iter()
        .map(|cid| BlockKey::of(cid).unwrap())
        .collect();
    let removed = inventory.remove(keys).await.unwrap();
    assert_eq!((removed.blocks, removed.bytes), (size.blocks, size.bytes));
    let before = inventory.file_bytes().await.unwrap();
    inventory.shrink().await.unwrap();
    assert!(inventory.file_bytes().await.unwrap() < before);
    assert_eq!(store.size().await.unwrap().blocks, 0);
}

/// A store's archive fills another one, by whichever way it is written.
#[tokio::test]
async fn archives_carry_a_store_over() {
    let (_directory, path) = place();
    let store = open_at(&path).await.unwrap();
    let file = import(Arc::clone(&store), &bytes(3_000_000, 5)[..])
        .await
        .unwrap();
    store.put(vec![raw(bytes(10, 6))]).await.unwrap();
    let inventory = store.inventory().unwrap();
    let all: Vec<_> = export_all(inventory, vec![file.cid])
        .try_collect()
        .await
        .unwrap();
    let below: Vec<_> = read_cars(source(&store), vec![file.cid, file.cid])
        .try_collect()
        .await
        .unwrap();
    for (archive, blocks) in [
        (all.concat(), file.blocks + 1),
        (below.concat(), file.blocks),
    ] {
        let (_directory, path) = place();
        let other = open_at(&path).await.unwrap();
        let unpacked = import_car(Arc::clone(&other), &archive[..], true)
            .await
            .unwrap();
        assert_eq!(unpacked.blocks, blocks);
        assert_eq!(other.size().await.unwrap().blocks, blocks);
        assert_eq!(
            suite::read(source(&other), file.cid).await.unwrap(),
            bytes(3_000_000, 5)
        );
        let mut needed = Needed::default();
        let inventory = other.inventory().unwrap();
        let below = mark_below(&*inventory, file.cid, &mut needed)
            .await
            .unwrap();
        assert!(below.missing.is_empty() && below.damaged.is_empty());
        assert_eq!(needed.len() as u64, file.blocks);
        assert!(inventory.pins().await.unwrap().iter().all(|pin| pin.below));
    }
}
