//! What every store must do. `embedded` and `kubo` run all of it.

use bytes::Bytes;
use cid::Cid;
use futures::{future::join_all, TryStreamExt};
use rings_protocol::cids::{cid_of, sha256, DAG_PB, RAW};
use rings_store::{
    file_size, hash, import, links, read_car, read_file, source, Block, BlockSource, BlockStore,
    Importer, StoreError, CHUNK_BYTES,
};
use std::{collections::HashSet, sync::Arc};

/// Bytes that do not repeat within any block, the same in every run (splitmix64).
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A raw block.
pub fn raw(data: impl Into<Bytes>) -> Block {
    let data = data.into();
    Block::new(cid_of(RAW, sha256(&data)), data).unwrap()
}

/// A DAG-CBOR block: a list of these links, behind a byte string.
pub fn node(tag: u8, to: &[Cid]) -> Block {
    let mut data = vec![0x80 + to.len() as u8 + 1, 0x41, tag];
    for cid in to {
        let cid = cid.to_bytes();
        data.extend([0xd8, 0x2a, 0x58, cid.len() as u8 + 1, 0x00]);
        data.extend(cid);
    }
    Block::dag_cbor(data.into()).unwrap()
}

/// All of a file.
pub async fn read(source: Arc<dyn BlockSource>, cid: Cid) -> Result<Vec<u8>, StoreError> {
    let pieces: Vec<Bytes> = read_file(source, cid).try_collect().await?;
    Ok(pieces.concat())
}

/// Everything, on one store.
pub async fn run(store: Arc<dyn BlockStore>) {
    blocks_of_each_codec_come_back(&store).await;
    what_is_not_there_is_absent_at_once(&store).await;
    both_names_of_a_dag_pb_block_find_it(&store).await;
    the_size_counts_blocks_once(&store).await;
    files_come_back(&store).await;
    a_file_with_a_hole_is_not_read(&store).await;
    a_draft_that_is_discarded_leaves_the_store_as_it_was(&store, 6 << 20).await;
    a_draft_that_is_kept_is_a_file_as_any(&store).await;
    what_others_put_or_read_stays_when_a_draft_is_discarded(&store).await;
    what_two_drafts_have_put_goes_with_the_last(&store).await;
    an_archive_has_every_block_once(&store).await;
    many_at_a_time(&store).await;
}

async fn blocks_of_each_codec_come_back(store: &Arc<dyn BlockStore>) {
    let leaf = raw(&b"leaf"[..]);
    let blocks = vec![
        node(1, &[*leaf.cid()]),
        leaf,
        Block::dag_pb(Bytes::from_static(&[0x0a, 0x04, 0x08, 0x02, 0x18, 0x00])).unwrap(),
        raw(Bytes::new()),
        raw(bytes(1024 * 1024, 5)),
        raw(bytes(65_408, 6)),
        raw(bytes(65_409, 7)),
    ];
    store.put(blocks.clone()).await.unwrap();
    store.put(vec![]).await.unwrap();
    for block in &blocks {
        assert!(store.has(block.cid()).await.unwrap());
        assert_eq!(
            store.get(block.cid()).await.unwrap().as_ref(),
            Some(block.data()),
            "{block:?}"
        );
    }
    let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
    assert_eq!(source(store).blocks(&cids).await.unwrap(), blocks);
}

async fn what_is_not_there_is_absent_at_once(store: &Arc<dyn BlockStore>) {
    for codec in [DAG_PB, RAW, 0x71] {
        let absent = cid_of(codec, sha256(b"nobody has this"));
        let started = std::time::Instant::now();
        assert_eq!(store.get(&absent).await.unwrap(), None);
        assert!(!store.has(&absent).await.unwrap());
        assert!(
            started.elapsed() < rings_store::KUBO_TIMEOUT,
            "it searched the network"
        );
        let asked = source(store).blocks(&[absent]).await;
        assert!(matches!(asked, Err(StoreError::NotFound { cid }) if cid == absent));
    }
    let blake = cid::multihash::Multihash::<64>::wrap(0xb220, &[1; 32]).unwrap();
    assert!(matches!(
        store.get(&Cid::new_v1(RAW, blake)).await,
        Err(StoreError::Cid(_))
    ));
}

async fn both_names_of_a_dag_pb_block_find_it(store: &Arc<dyn BlockStore>) {
    let imported = import(Arc::clone(store), &b"two names"[..]).await.unwrap();
    assert!(imported.cid.to_string().starts_with("Qm"));
    let other = Cid::new_v1(DAG_PB, *imported.cid.hash());
    assert_eq!(
        store.get(&other).await.unwrap(),
        store.get(&imported.cid).await.unwrap()
    );
    assert_eq!(read(source(store), other).await.unwrap(), b"two names");
    let v1 = Block::new(other, store.get(&other).await.unwrap().unwrap()).unwrap();
    store.put(vec![v1]).await.unwrap();
}

async fn the_size_counts_blocks_once(store: &Arc<dyn BlockStore>) {
    let before = store.size().await.unwrap();
    let block = raw(bytes(100_000, 77));
    for _ in 0..2 {
        store.put(vec![block.clone(), block.clone()]).await.unwrap();
    }
    let after = store.size().await.unwrap();
    assert_eq!(after.blocks, before.blocks + 1);
    assert!(after.bytes >= before.bytes + 100_000);
}

async fn files_come_back(store: &Arc<dyn BlockStore>) {
    for length in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        5 * CHUNK_BYTES + 17,
    ] {
        let data = bytes(length, length as u64);
        let imported = import(Arc::clone(store), &data[..]).await.unwrap();
        assert_eq!(imported.bytes, length as u64);
        assert_eq!(
            imported,
            hash(&data[..]).await.unwrap(),
            "the hasher agrees at {length}"
        );
        assert_eq!(
            read(source(store), imported.cid).await.unwrap(),
            data,
            "{length}"
        );
        assert_eq!(
            file_size(&*source(store), imported.cid).await.unwrap(),
            length as u64
        );
    }
}

async fn a_file_with_a_hole_is_not_read(store: &Arc<dyn BlockStore>) {
    let data = bytes(3 * CHUNK_BYTES, 4711);
    let mut leaf = Importer::hasher();
    leaf.write(&data[CHUNK_BYTES..2 * CHUNK_BYTES])
        .await
        .unwrap();
    let hole = leaf.finish().await.unwrap().cid;
    let whole = import(Arc::clone(store), &data[..]).await.unwrap();
    let pierced = Arc::new(Without {
        store: Arc::clone(store),
        cid: hole,
    });
    let mut stream = read_file(pierced, whole.cid);
    let error = loop {
        match stream.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the file ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, StoreError::NotFound { cid } if cid == hole),
        "{error}"
    );
    assert!(
        stream.try_next().await.unwrap().is_none(),
        "nothing comes behind an error"
    );
}

/// A source that lacks one block.
struct Without {
    store: Arc<dyn BlockStore>,
    cid: Cid,
}

#[async_trait::async_trait]
impl BlockSource for Without {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        match cids.contains(&self.cid) {
            true => Err(StoreError::NotFound { cid: self.cid }),
            false => self.store.blocks(cids).await,
        }
    }
}

async fn an_archive_has_every_block_once(store: &Arc<dyn BlockStore>) {
    let (a, b) = (raw(&b"a"[..]), raw(&b"b"[..]));
    let low = node(1, &[*a.cid(), *b.cid()]);
    let root = node(2, &[*low.cid(), *b.cid(), *low.cid(), *a.cid()]);
    store
        .put(vec![a.clone(), b.clone(), low.clone(), root.clone()])
        .await
        .unwrap();
    let car: Vec<Bytes> = read_car(source(store), *root.cid())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(sections(&car.concat()), [root, low, a, b]);

    let file = import(Arc::clone(store), &bytes(20 * CHUNK_BYTES, 9)[..])
        .await
        .unwrap();
    let car: Vec<Bytes> = read_car(source(store), file.cid)
        .try_collect()
        .await
        .unwrap();
    let blocks = sections(&car.concat());
    assert_eq!(blocks.len(), 21);
    let inside: HashSet<_> = blocks.iter().map(|block| *block.cid()).collect();
    let root = &blocks[0];
    assert_eq!(*root.cid(), file.cid);
    assert!(links(root).unwrap().iter().all(|cid| inside.contains(cid)));
}

/// The blocks of an archive, after its header.
pub fn sections(mut car: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let header = take_section(&mut car);
    assert!(header.starts_with(b"\xa2eroots\x81"), "{header:x?}");
    while !car.is_empty() {
        let mut section = take_section(&mut car);
        let cid = Cid::read_bytes(&mut section).unwrap();
        blocks.push(Block::new(cid, Bytes::copy_from_slice(section)).unwrap());
    }
    blocks
}

fn take_section<'a>(car: &mut &'a [u8]) -> &'a [u8] {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = car.split_first().unwrap();
        *car = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (section, rest) = car.split_at(length);
    *car = rest;
    section
}

async fn many_at_a_time(store: &Arc<dyn BlockStore>) {
    let one = |i: u64| {
        let store = Arc::clone(store);
        async move {
            // Every second one is the same file, so that equal blocks are written at the same time too.
            let data = bytes(300_000, 1000 + i / 2);
            let imported = import(Arc::clone(&store), &data[..]).await.unwrap();
            assert_eq!(read(source(&store), imported.cid).await.unwrap(), data);
        }
    };
    join_all((0..16).map(|i| tokio::spawn(one(i))))
        .await
        .into_iter()
        .for_each(|task| task.unwrap());
}

/// An importer that has stored most of so many bytes as a draft.
async fn drafted(store: &Arc<dyn BlockStore>, data: &[u8]) -> Importer {
    let mut importer = Importer::draft(Arc::clone(store));
    importer.write(data).await.unwrap();
    importer
}

/// The name of a file that is one chunk of `data`.
async fn chunk(data: &[u8], number: usize) -> Cid {
    let chunk = data.chunks(CHUNK_BYTES).nth(number).unwrap();
    hash(chunk).await.unwrap().cid
}

pub async fn a_draft_that_is_discarded_leaves_the_store_as_it_was(
    store: &Arc<dyn BlockStore>,
    length: usize,
) {
    let data = bytes(length, 90);
    let before_it = import(Arc::clone(store), &data[CHUNK_BYTES..2 * CHUNK_BYTES])
        .await
        .unwrap();
    let before = store.size().await.unwrap();
    let mut importer = drafted(store, &data).await;
    assert!(store.size().await.unwrap().blocks > before.blocks + 10);
    importer.discard().await.unwrap();
    assert_eq!(store.size().await.unwrap().blocks, before.blocks);
    assert!(store.has(&before_it.cid).await.unwrap());
    assert!(!store.has(&chunk(&data, 0).await).await.unwrap());
    // One that is dropped goes with the next write.
    drop(drafted(store, &data).await);
    assert!(store.size().await.unwrap().blocks > before.blocks + 10);
    let again = Importer::draft(Arc::clone(store)).discard().await;
    again.unwrap();
    assert_eq!(store.size().await.unwrap().blocks, before.blocks);
}

async fn a_draft_that_is_kept_is_a_file_as_any(store: &Arc<dyn BlockStore>) {
    for length in [17, 5 << 20] {
        let data = bytes(length, 91);
        let kept = drafted(store, &data).await.finish().await.unwrap();
        assert_eq!(kept, hash(&data[..]).await.unwrap());
        Importer::draft(Arc::clone(store)).discard().await.unwrap();
        assert_eq!(read(source(store), kept.cid).await.unwrap(), data);
    }
    let data = bytes(5 << 20, 92);
    let (file, draft) = drafted(store, &data).await.finish_draft().await.unwrap();
    store.keep(draft.unwrap()).await.unwrap();
    Importer::draft(Arc::clone(store)).discard().await.unwrap();
    assert_eq!(read(source(store), file.cid).await.unwrap(), data);
}

async fn what_others_put_or_read_stays_when_a_draft_is_discarded(store: &Arc<dyn BlockStore>) {
    let data = bytes(5 << 20, 93);
    let mut importer = drafted(store, &data).await;
    let (put, read, asked, other) = (
        import(Arc::clone(store), &data[..CHUNK_BYTES])
            .await
            .unwrap()
            .cid,
        chunk(&data, 1).await,
        chunk(&data, 2).await,
        chunk(&data, 3).await,
    );
    assert!(store.get(&read).await.unwrap().is_some());
    assert!(store.has(&asked).await.unwrap());
    importer.discard().await.unwrap();
    for (name, cid) in [("put", put), ("read", read), ("asked for", asked)] {
        assert!(store.has(&cid).await.unwrap(), "{name}");
    }
    assert!(!store.has(&other).await.unwrap());
}

async fn what_two_drafts_have_put_goes_with_the_last(store: &Arc<dyn BlockStore>) {
    let before = store.size().await.unwrap().blocks;
    let data = bytes(5 << 20, 94);
    let (mut one, mut two) = (drafted(store, &data).await, drafted(store, &data).await);
    one.discard().await.unwrap();
    assert!(store.size().await.unwrap().blocks > before + 10);
    two.discard().await.unwrap();
    assert_eq!(store.size().await.unwrap().blocks, before);
    let (mut one, two) = (drafted(store, &data).await, drafted(store, &data).await);
    one.discard().await.unwrap();
    let kept = two.finish().await.unwrap();
    assert_eq!(read(source(store), kept.cid).await.unwrap(), data);
}
