//! Files from sources that lie, and files of any shape: only what is right is read.

use crate::suite::{self, bytes, raw, read};
use bytes::Bytes;
use cid::Cid;
use futures::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use rings_protocol::cids::{cid_of, sha256, DAG_CBOR};
use rings_store::{
    read_car, read_file, Block, BlockSource, Importer, StoreError, MAX_FILE_DEPTH,
    READ_AHEAD_BLOCKS, READ_AHEAD_BYTES,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Blocks in memory, and what was asked of them.
#[derive(Default)]
struct Memory {
    blocks: Mutex<HashMap<Cid, Block>>,
    asked: Mutex<Vec<usize>>,
}

impl Memory {
    fn add(&self, block: Block) -> Cid {
        let cid = *block.cid();
        self.blocks.lock().unwrap().insert(cid, block);
        cid
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl BlockSource for Memory {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        self.asked.lock().unwrap().push(cids.len());
        tokio::task::yield_now().await;
        let blocks = self.blocks.lock().unwrap();
        cids.iter()
            .map(|cid| {
                blocks
                    .get(cid)
                    .cloned()
                    .ok_or(StoreError::NotFound { cid: *cid })
            })
            .collect()
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2][..],
        &varint(content.len() as u64),
        content,
    ]
    .concat()
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

/// A dag-pb block with this UnixFS message and these links.
fn dag_pb(message: &[u8], links: &[Cid]) -> Block {
    let links: Vec<u8> = links
        .iter()
        .flat_map(|cid| field(2, &field(1, &cid.to_bytes())))
        .collect();
    Block::dag_pb([links, field(1, message)].concat().into()).unwrap()
}

/// A node of a file: its own bytes, and links with the sizes below them.
fn part(data: &[u8], file_size: Option<u64>, links: &[(Cid, u64)]) -> Block {
    let mut message = number(1, 2);
    if !data.is_empty() {
        message.extend(field(2, data));
    }
    message.extend(file_size.into_iter().flat_map(|size| number(3, size)));
    message.extend(links.iter().flat_map(|(_, size)| number(4, *size)));
    let cids: Vec<Cid> = links.iter().map(|(cid, _)| *cid).collect();
    dag_pb(&message, &cids)
}

async fn refusal(memory: Memory, root: Block) -> StoreError {
    let root = memory.add(root);
    read(Arc::new(memory), root)
        .await
        .expect_err("it must not be read")
}

#[tokio::test]
async fn sizes_must_add_up() {
    let leaf = raw(&b"1234567890"[..]);
    let pb_leaf = part(b"1234567890", Some(10), &[]);
    let short_leaf = part(b"1234567890", Some(9), &[]);
    for (root, reason) in [
        (
            part(b"", Some(11), &[(*leaf.cid(), 10)]),
            "parts of 10 bytes in a file of 11",
        ),
        (
            part(b"", Some(9), &[(*leaf.cid(), 9)]),
            "it has 10 bytes of the file, and its parent says 9",
        ),
        (
            part(b"", Some(11), &[(*pb_leaf.cid(), 11)]),
            "it has 10 bytes of the file, and its parent says 11",
        ),
        (
            part(b"", Some(10), &[(*short_leaf.cid(), 10)]),
            "parts of 10 bytes in a file of 9",
        ),
        (
            part(b"", Some(0), &[(*leaf.cid(), 0)]),
            "a link to a part of 0 bytes",
        ),
        (
            part(b"", None, &[(*leaf.cid(), 10)]),
            "links, and no file size",
        ),
        (
            part(b"x", Some(10), &[(*leaf.cid(), 10)]),
            "parts of 11 bytes in a file of 10",
        ),
        (
            part(
                b"",
                Some(u64::MAX),
                &[(*leaf.cid(), u64::MAX), (*leaf.cid(), 2)],
            ),
            "parts of more than 2^64 bytes",
        ),
        (
            dag_pb(&[number(1, 2), number(3, 10)].concat(), &[*leaf.cid()]),
            "1 links and 0 sizes",
        ),
        (dag_pb(&number(3, 0), &[]), "a UnixFS node without a type"),
        (
            Block::dag_pb(field(2, &field(1, &leaf.cid().to_bytes())).into()).unwrap(),
            "a dag-pb node without UnixFS",
        ),
        (
            Block::dag_pb(Bytes::from_static(b"\x0a\xff")).unwrap(),
            "a number that ends early",
        ),
    ] {
        let memory = Memory::default();
        for block in [&leaf, &pb_leaf, &short_leaf] {
            memory.add(block.clone());
        }
        let error = refusal(memory, root).await;
        let StoreError::Malformed { reason: said, .. } = &error else {
            panic!("{reason}: {error:?}")
        };
        assert_eq!(**said, *reason);
    }
}

#[tokio::test]
async fn other_kinds_are_named() {
    for (kind, name) in [
        (1, "a directory"),
        (3, "a metadata node"),
        (4, "a symbolic link"),
        (5, "a sharded directory"),
        (77, "a UnixFS node of unknown type"),
    ] {
        let error = refusal(Memory::default(), dag_pb(&number(1, kind), &[])).await;
        assert!(
            matches!(error, StoreError::NotAFile { kind, .. } if kind == name),
            "{error:?}"
        );
    }
    let error = refusal(
        Memory::default(),
        Block::dag_cbor(Bytes::from_static(&[0xa0])).unwrap(),
    )
    .await;
    assert!(
        matches!(
            error,
            StoreError::NotAFile {
                kind: "a DAG-CBOR node",
                ..
            }
        ),
        "{error:?}"
    );
    let inside = Block::dag_cbor(Bytes::from_static(&[0xa0])).unwrap();
    let memory = Memory::default();
    let root = part(b"", Some(1), &[(memory.add(inside), 1)]);
    assert!(matches!(
        refusal(memory, root).await,
        StoreError::NotAFile { .. }
    ));
}

/// A chain of nodes with one link each.
fn chain(memory: &Memory, levels: u32) -> Cid {
    let mut cid = memory.add(raw(&b"x"[..]));
    for _ in 0..levels {
        cid = memory.add(part(b"", Some(1), &[(cid, 1)]));
    }
    cid
}

#[tokio::test]
async fn depth_is_limited() {
    let memory = Arc::new(Memory::default());
    let deepest = chain(&memory, MAX_FILE_DEPTH);
    assert_eq!(read(memory.clone(), deepest).await.unwrap(), b"x");
    let too_deep = chain(&memory, MAX_FILE_DEPTH + 1);
    let error = read(memory, too_deep).await.unwrap_err();
    assert!(
        matches!(error, StoreError::TooBig { what: "levels", .. }),
        "{error:?}"
    );
}

/// Few blocks that stand for very many: what the reader holds stays bounded, and it can stop at any time.
#[tokio::test]
async fn a_bomb_of_shared_blocks_is_read_piece_by_piece() {
    let memory = Arc::new(Memory::default());
    let (mut cid, mut size) = (memory.add(raw(bytes(1000, 1))), 1000u64);
    for _ in 0..6 {
        let links = vec![(cid, size); 500];
        size *= 500;
        cid = memory.add(part(b"", Some(size), &links));
    }
    let mut stream = read_file(memory.clone(), cid);
    for _ in 0..1000 {
        assert_eq!(stream.next().await.unwrap().unwrap(), bytes(1000, 1));
    }
    drop(stream);
    assert!(memory
        .asked()
        .iter()
        .all(|asked| *asked <= READ_AHEAD_BLOCKS));
}

#[tokio::test]
async fn too_many_links_side_by_side_are_refused() {
    let memory = Arc::new(Memory::default());
    let wide = |below: &[(Cid, u64)]| {
        let size = below.iter().map(|(_, size)| size).sum();
        (memory.add(part(b"", Some(size), below)), size)
    };
    let leaf = (memory.add(raw(&b"x"[..])), 1);
    let (a, b) = (wide(&vec![leaf; 40_000]), wide(&vec![leaf; 39_999]));
    let (c, d) = (wide(&vec![leaf; 39_998]), wide(&vec![leaf; 39_997]));
    let (root, size) = wide(&[a, b, c, d]);
    assert_eq!(size, 159_994);
    let error = read(memory, root).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooBig {
                what: "blocks side by side",
                ..
            }
        ),
        "{error:?}"
    );
}

/// Answers with the right number of other blocks.
struct Liar;

#[async_trait::async_trait]
impl BlockSource for Liar {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        Ok(cids.iter().map(|_| raw(&b"something else"[..])).collect())
    }
}

#[tokio::test]
async fn a_source_that_answers_with_other_blocks_is_refused() {
    let asked = *raw(&b"asked"[..]).cid();
    let error = read(Arc::new(Liar), asked).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongAnswer { cid } if cid == asked));
    assert!(matches!(
        rings_store::file_size(&Liar, asked).await,
        Err(StoreError::WrongAnswer { .. })
    ));
}

#[tokio::test]
async fn a_file_is_asked_for_in_windows_and_ahead() {
    let memory = Arc::new(Memory::default());
    let leaves: Vec<_> = (0..160)
        .map(|i| (memory.add(raw(bytes(1000, i))), 1000))
        .collect();
    let root = memory.add(part(b"", Some(160_000), &leaves));
    let mut stream = read_file(memory.clone(), root);
    stream.next().await.unwrap().unwrap();
    assert!(
        memory.asked().len() >= 2,
        "the next window is asked for while this one is used"
    );
    let rest: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(rest.len(), 159);
    let asked = memory.asked();
    assert_eq!(asked, [&[1][..], &[READ_AHEAD_BLOCKS; 10]].concat());
}

#[tokio::test]
async fn no_more_is_held_than_the_window() {
    const LEAF: usize = 1_000_000;
    let memory = Arc::new(Memory::default());
    let leaves: Vec<_> = (0..30)
        .map(|i| (memory.add(raw(bytes(LEAF, i))), LEAF as u64))
        .collect();
    let root = memory.add(part(b"", Some(30 * LEAF as u64), &leaves));
    let mut stream = read_file(memory.clone(), root);
    for taken in 1..=30 {
        assert_eq!(stream.next().await.unwrap().unwrap().len(), LEAF);
        let asked: usize = memory.asked().iter().sum::<usize>() - 1;
        assert!(
            (asked - taken) * LEAF <= 2 * READ_AHEAD_BYTES,
            "{asked} asked for, {taken} taken"
        );
    }
}

#[tokio::test]
async fn a_window_of_equal_blocks_is_asked_for_once() {
    let memory = Arc::new(Memory::default());
    let leaf = (memory.add(raw(vec![0; 1000])), 1000);
    let root = memory.add(part(b"", Some(32_000), &[leaf; 32]));
    assert_eq!(read(memory.clone(), root).await.unwrap(), vec![0; 32_000]);
    assert_eq!(memory.asked(), [1, 1, 1]);
}

#[tokio::test]
async fn an_archive_of_a_long_chain_needs_no_stack() {
    let memory = Arc::new(Memory::default());
    let mut cid = memory.add(suite::node(0, &[]));
    for i in 1..20_000 {
        cid = memory.add(suite::node(i as u8, &[cid]));
    }
    let car: Vec<Bytes> = read_car(memory, cid).try_collect().await.unwrap();
    assert_eq!(suite::sections(&car.concat()).len(), 20_000);
}

#[tokio::test]
async fn an_archive_stops_at_a_block_whose_links_cannot_be_read() {
    let memory = Arc::new(Memory::default());
    let bad = memory.add(Block::dag_cbor(Bytes::from_static(&[0xa0, 0x00])).unwrap());
    let root = memory.add(suite::node(1, &[bad]));
    let mut car = read_car(memory, root);
    let error = loop {
        if let Err(error) = car.next().await.expect("it does not end well") {
            break error;
        }
    };
    assert!(
        matches!(error, StoreError::Malformed { cid, .. } if cid == bad),
        "{error:?}"
    );
    assert!(car.next().await.is_none());
}

fn block_on<T>(work: impl std::future::Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

async fn hashed(data: &[u8], cuts: &[usize]) -> Cid {
    let mut importer = Importer::hasher();
    let mut rest = data;
    for cut in cuts {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        importer.write(piece).await.unwrap();
        rest = more;
    }
    importer.write(rest).await.unwrap();
    importer.finish().await.unwrap().cid
}

/// The shape of a file: bytes of its own, and parts.
#[derive(Debug, Clone)]
struct Shape {
    own: Vec<u8>,
    parts: Vec<Shape>,
    raw: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf =
        (prop::collection::vec(any::<u8>(), 1..50), any::<bool>()).prop_map(|(own, raw)| Shape {
            own,
            parts: Vec::new(),
            raw,
        });
    leaf.prop_recursive(5, 200, 6, |part| {
        (
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(part, 1..6),
        )
            .prop_map(|(own, parts)| Shape {
                own,
                parts,
                raw: false,
            })
    })
}

/// Stores the shape; gives the root, and the content.
fn store_shape(memory: &Memory, shape: &Shape) -> (Cid, Vec<u8>) {
    if shape.raw {
        return (memory.add(raw(shape.own.clone())), shape.own.clone());
    }
    let mut content = shape.own.clone();
    let mut links = Vec::new();
    for below in &shape.parts {
        let (cid, bytes) = store_shape(memory, below);
        links.push((cid, bytes.len() as u64));
        content.extend(bytes);
    }
    (
        memory.add(part(&shape.own, Some(content.len() as u64), &links)),
        content,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_cid_does_not_depend_on_how_the_bytes_come(
        length in 0usize..1_200_000, seed: u64, cuts in prop::collection::vec(0usize..400_000, 0..12),
    ) {
        let data = bytes(length, seed);
        prop_assert_eq!(block_on(hashed(&data, &cuts)), block_on(hashed(&data, &[])));
    }

    #[test]
    fn a_file_of_any_shape_is_read_as_it_is(shape in shape()) {
        let memory = Arc::new(Memory::default());
        let (root, content) = store_shape(&memory, &shape);
        prop_assert_eq!(block_on(read(memory, root)).unwrap(), content);
    }

    #[test]
    fn a_file_that_is_changed_anywhere_is_never_read_as_another(shape in shape(), pick: prop::sample::Index, at: prop::sample::Index, by in 1u8..) {
        let memory = Arc::new(Memory::default());
        let (root, content) = store_shape(&memory, &shape);
        let victim = {
            let blocks = memory.blocks.lock().unwrap();
            let mut cids: Vec<_> = blocks.keys().copied().collect();
            cids.sort();
            blocks[&cids[pick.index(cids.len())]].clone()
        };
        let mut damaged = victim.data().to_vec();
        let place = at.index(damaged.len());
        damaged[place] ^= by;
        // A changed block cannot be made under the old name; under its new name nobody asks for it.
        prop_assert!(Block::new(*victim.cid(), damaged.clone().into()).is_err());
        let other = cid_of(victim.cid().codec(), sha256(&damaged));
        memory.blocks.lock().unwrap().remove(victim.cid());
        memory.add(Block::new(other, damaged.into()).unwrap());
        prop_assert!(block_on(read(memory.clone(), root)).is_err());
        memory.add(victim);
        prop_assert_eq!(block_on(read(memory, root)).unwrap(), content);
    }

    #[test]
    fn no_block_makes_a_reader_panic(data: Vec<u8>) {
        let memory = Arc::new(Memory::default());
        let root = memory.add(Block::dag_pb(data.clone().into()).unwrap());
        drop(block_on(read(memory.clone(), root)));
        let node = memory.add(Block::new(cid_of(DAG_CBOR, sha256(&data)), data.into()).unwrap());
        for root in [root, node] {
            drop(block_on(read_car(memory.clone(), root).try_collect::<Vec<_>>()));
        }
    }
}
