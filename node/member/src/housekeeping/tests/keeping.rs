//! What is kept, what is collected, and what a backup brings back.

use super::*;
use crate::housekeeping::{restore, TarReader, TarWriter};
use futures::TryStreamExt;
use redb::ReadableTable;
use rings_api::{Damage, StoreKeeper};
use rings_store::{BlockKey, Pin, StoreConfig};
use std::path::Path;

struct Place {
    directory: tempfile::TempDir,
    store: Arc<dyn BlockStore>,
    state: Arc<MemberState>,
}

async fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let (store, state) = open(directory.path()).await;
    Place {
        directory,
        store,
        state,
    }
}

async fn open(path: &Path) -> (Arc<dyn BlockStore>, Arc<MemberState>) {
    let config = StoreConfig::Embedded {
        path: path.join("blocks.redb"),
    };
    let store = rings_store::open(&config).await.unwrap();
    let state = MemberState::open(&path.join("state.redb"), &identity()).unwrap();
    (store, Arc::new(state))
}

impl Place {
    fn keeper(&self, policy: Policy) -> Housekeeper {
        keeper(&self.store, &self.state, policy)
    }

    async fn file(&self, length: usize, seed: u64) -> Cid {
        file(&self.store, length, seed).await.unwrap()
    }

    async fn operation(&self, program: Cid, state: bool) -> Cid {
        let operation = operation(program, state);
        let stored = import(Arc::clone(&self.store), &operation[..]).await;
        stored.unwrap().cid
    }

    async fn has(&self, cid: Cid) -> bool {
        self.store.has(&cid).await.unwrap()
    }

    async fn pin(&self, cid: Cid, until: u64) {
        let pin = Pin {
            key: BlockKey::of(&cid).unwrap(),
            below: true,
            until,
        };
        let inventory = self.store.inventory().unwrap();
        inventory.pin(vec![pin]).await.unwrap();
    }

    /// Signs a vote, as the core does.
    async fn vote(&self, n: u8, result: Cid) -> Cid {
        let prepared = sign(&self.state, draft(n, digest_of(&result))).unwrap();
        let (node, _) = prepared.to_store().unwrap();
        let cid = node.cid();
        let block = rings_store::Block::new(cid, node.bytes().to_vec().into()).unwrap();
        self.store.put(vec![block]).await.unwrap();
        self.state.append(Some(&prepared), &[], &[]).unwrap();
        cid
    }

    fn page(&self, facts: &[GateFact], block: u64) {
        self.state
            .page(facts, &[], cursor(block), &everybody)
            .unwrap();
    }
}

#[tokio::test]
async fn what_must_be_kept_is_and_the_rest_goes() {
    let place = place().await;
    let (program, old, open_input, loose) = (
        place.file(300_000, 1).await,
        place.file(600_000, 2).await,
        place.file(600_000, 3).await,
        place.file(600_000, 4).await,
    );
    let (added, soon, past) = (
        place.file(600_000, 5).await,
        place.file(10, 6).await,
        place.file(10, 7).await,
    );
    place.pin(added, Pin::ALWAYS).await;
    place.pin(soon, Pin::ALWAYS - 1).await;
    place.pin(past, 1).await;
    let operation = place.operation(program, false).await;
    let (old_output, voted) = (place.file(11, 8).await, place.file(12, 9).await);
    place.page(
        &[
            requested(1, 1, &[operation, old], 1),
            registered(1, 2, &[old_output]),
            requested(2, 3, &[operation, open_input], 1),
        ],
        9,
    );
    let node = place.vote(2, voted).await;
    let collected = place.keeper(NOTHING_OLD).collect().await.unwrap();
    for (cid, stays) in [
        (program, true),
        (operation, true),
        (open_input, true),
        (added, true),
        (soon, true),
        (node, true),
        (past, false),
        (loose, false),
        (old, false),
        (old_output, false),
    ] {
        assert_eq!(place.has(cid).await, stays, "{cid}");
    }
    assert_eq!(collected.results, 0);
    assert_eq!(collected.blocks, place.store.size().await.unwrap().blocks);
    let checked = place.keeper(NOTHING_OLD).check().await.unwrap();
    assert_eq!(checked.faults, [], "nothing that is named is gone");
    let again = place.keeper(NOTHING_OLD).collect().await.unwrap();
    assert_eq!(again.removed_blocks, 0);
}

#[tokio::test]
async fn outputs_that_were_voted_for_stay_until_the_gate_is_over() {
    let place = place().await;
    let program = place.file(10, 1).await;
    let operation = place.operation(program, false).await;
    let (input, output) = (place.file(20, 2).await, place.file(30, 3).await);
    // The gate's key in the votes is that of its own inputs.
    place.page(&[requested(2, 3, &[operation, input], 1)], 9);
    let resolved = place.state.resolve(gate(2)).unwrap().unwrap().0;
    let mut vote = draft(2, digest_of(&output));
    vote.computation = resolved;
    let prepared = sign(&place.state, vote).unwrap();
    place.state.append(Some(&prepared), &[], &[]).unwrap();
    place.keeper(NOTHING_OLD).collect().await.unwrap();
    assert!(place.has(output).await, "it is not on chain yet");
    place.page(&[registered(2, 10, &[output])], 10);
    let unsure = Policy {
        confirmations: 5,
        ..NOTHING_OLD
    };
    place.keeper(unsure).collect().await.unwrap();
    assert!(place.has(output).await, "it is not final yet");
    place.keeper(NOTHING_OLD).collect().await.unwrap();
    assert!(!place.has(output).await);
}

#[tokio::test]
async fn the_last_state_of_a_service_stays() {
    let place = place().await;
    let program = place.file(10, 1).await;
    let step = place.operation(program, true).await;
    let states = [
        place.file(40, 2).await,
        place.file(41, 3).await,
        place.file(42, 4).await,
    ];
    let output = place.file(30, 5).await;
    place.page(
        &[
            requested(1, 1, &[step, states[0]], 2),
            registered(1, 2, &[output, states[1]]),
            requested(2, 3, &[step, states[1]], 2),
            registered(2, 4, &[output, states[2]]),
        ],
        9,
    );
    place.keeper(NOTHING_OLD).collect().await.unwrap();
    let mut there = Vec::new();
    for state in states {
        there.push(place.has(state).await);
    }
    assert_eq!(there, [false, false, true], "the last one, and no other");
}

#[tokio::test]
async fn the_oldest_results_make_room() {
    let place = place().await;
    let program = place.file(10, 1).await;
    let operation = place.operation(program, false).await;
    let mut inputs = Vec::new();
    for n in 0..6u8 {
        let input = place.file(200_000, 10 + u64::from(n)).await;
        let block = 2 * u64::from(n) + 1;
        let facts = [
            requested(n, block, &[operation, input], 1),
            registered(n, block + 1, &[program]),
        ];
        place.page(&facts, block + 1);
        inputs.push(input);
    }
    let policy = Policy {
        results: 100,
        max_bytes: Some(700_000),
        confirmations: 0,
        logs: false,
    };
    let collected = place.keeper(policy).collect().await.unwrap();
    assert_eq!((collected.results, collected.over), (3, None));
    assert!(collected.bytes <= 700_000);
    for (n, input) in inputs.iter().enumerate() {
        assert_eq!(place.has(*input).await, n >= 3, "{n}");
    }
    let few = Policy {
        max_bytes: Some(100),
        ..policy
    };
    place.pin(inputs[5], Pin::ALWAYS).await;
    let collected = place.keeper(few).collect().await.unwrap();
    assert_eq!((collected.results, collected.over), (0, Some(100)));
    assert!(place.has(inputs[5]).await, "what must be kept stays");
}

#[tokio::test]
async fn what_is_put_while_a_collection_works_stays() {
    let place = place().await;
    let before = place.file(10, 1).await;
    let inventory = place.store.inventory().unwrap();
    let lease = inventory.collecting();
    let meanwhile = place.file(11, 2).await;
    let again = place.file(10, 1).await;
    assert_eq!(again, before);
    let keys = [before, meanwhile].map(|cid| BlockKey::of(&cid).unwrap());
    let removed = inventory.remove(keys.to_vec()).await.unwrap();
    assert_eq!(removed.blocks, 0, "both were put since it began");
    drop(lease);
    assert_eq!(inventory.remove(keys.to_vec()).await.unwrap().blocks, 2);
}

#[tokio::test]
async fn a_backup_brings_back_what_was_signed_and_is_marked() {
    let place = place().await;
    let added = place.file(900_000, 1).await;
    place.pin(added, Pin::ALWAYS).await;
    place.file(500_000, 2).await;
    let node = place.vote(1, added).await;
    let keeper = Housekeeper::new(
        Arc::clone(&place.store),
        Arc::clone(&place.state),
        source(&place.store),
        NOTHING_OLD,
        place.directory.path().into(),
    );
    let pieces: Vec<_> = keeper.backup(3).await.unwrap().try_collect().await.unwrap();
    let archive = [&pieces.concat()[..], &TarWriter::end()].concat();
    let to = tempfile::tempdir().unwrap();
    let put_back = async |archive: &[u8]| {
        let mut tar = TarReader::new(archive);
        let first = tar.next().await.unwrap().unwrap();
        restore(&mut tar, &first, to.path(), None).await
    };
    // A part of it brings nothing back that a member would start with.
    put_back(&archive[..archive.len() - 3_000])
        .await
        .unwrap_err();
    assert!(!to.path().join("state.redb").exists());
    let restored = put_back(&archive).await.unwrap();
    assert_eq!(restored.of.member, identity().member);
    assert_eq!(restored.of.head, Some(0));
    put_back(&archive).await.unwrap_err();
    let (store, state) = open(to.path()).await;
    assert!(state.is_restored().unwrap() && !place.state.is_restored().unwrap());
    assert!(store.has(&node).await.unwrap());
    assert_eq!(store.size().await.unwrap().blocks, restored.end.blocks);
    let read = rings_store::read_small_file(source(&store), added, 1 << 20).await;
    assert_eq!(read.unwrap(), bytes(900_000, 1));
    assert!(sign(&state, draft(1, Digest([8; 32])))
        .unwrap()
        .committed()
        .is_none());
    state.caught_up().unwrap();
    assert!(!state.is_restored().unwrap());
}

#[tokio::test]
async fn a_log_node_that_is_gone_is_named() {
    let place = place().await;
    let result = place.file(10, 1).await;
    let node = place.vote(1, result).await;
    let inventory = place.store.inventory().unwrap();
    let key = BlockKey::of(&node).unwrap();
    inventory.remove(vec![key]).await.unwrap();
    let checked = place.keeper(NOTHING_OLD).check().await.unwrap();
    assert_eq!(checked.fault_count, 1);
    assert_eq!(checked.faults[0].cid, node);
    assert_eq!(checked.faults[0].damage, Damage::Missing);
    assert!(checked.faults[0].named_by.contains("node 0"));
    let repaired = place.keeper(NOTHING_OLD).repair().await.unwrap();
    assert_eq!((repaired.healed.len(), repaired.lost.len()), (0, 1));
}

/// Changes bytes of each pack of a store that is not open.
fn damage_packs(path: &Path) {
    const PACKS: redb::TableDefinition<'_, u32, &[u8]> =
        redb::TableDefinition::new("rings-store.packs");
    let database = redb::Database::open(path.join("blocks.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(PACKS).unwrap();
        let mut pack = table.get(0).unwrap().unwrap().value().to_vec();
        for at in (200..pack.len()).step_by(400) {
            pack[at] ^= 0x10;
        }
        table.insert(0, pack.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_damaged_pack_is_called_damaged_and_healed_from_others() {
    let place = place().await;
    let result = place.file(10, 1).await;
    let mut nodes = Vec::new();
    for n in 1..=8 {
        nodes.push(place.vote(n, result).await);
    }
    let others = tempfile::tempdir().unwrap();
    let (whole, _) = open(others.path()).await;
    let blocks = place.store.get_many(&nodes).await.unwrap();
    whole
        .put(blocks.into_iter().flatten().collect())
        .await
        .unwrap();
    let Place {
        directory,
        store,
        state,
    } = place;
    drop((store, state));
    damage_packs(directory.path());
    let (store, state) = open(directory.path()).await;
    let policy = NOTHING_OLD;
    let path = directory.path().to_owned();
    let keeper = Housekeeper::new(store, state, source(&whole), policy, path.clone());

    let checked = keeper.check().await.unwrap();
    assert!(checked.fault_count > 0, "{checked:?}");
    for fault in &checked.faults {
        assert_eq!(fault.damage, Damage::Corrupt, "{fault:?}");
        assert!(fault.named_by.starts_with("log of 0x"), "{fault:?}");
    }
    let file = path.join("blocks.redb").display().to_string();
    assert_eq!(checked.damaged_file, Some(file));
    let healed = keeper.repair().await.unwrap();
    assert_eq!(healed.healed.len() as u64, checked.fault_count);
    assert_eq!(healed.lost, []);
    let checked = keeper.check().await.unwrap();
    assert_eq!((checked.fault_count, checked.damaged_file), (0, None));
}
