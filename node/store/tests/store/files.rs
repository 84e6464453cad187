//! Files from sources that lie, and files of any shape: wrong bytes are never read.

use crate::{
    dag::{dag_pb, dag_pb_with, field, node, number, part, Linked},
    suite::{self, bytes, raw, read},
};
use bytes::Bytes;
use cid::Cid;
use futures::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use rings_protocol::cids::{cid_of, sha256, DAG_CBOR};
use rings_store::{
    check_file, links, read_car, read_file, read_file_from, Block, BlockSource, ErrorClass,
    FileChecker, Importer, StoreError, CHECK_AHEAD_BLOCKS, COUNTED_BYTES, MAX_FILE_DEPTH,
    MAX_FILE_LINKS, READ_AHEAD_BLOCKS, READ_AHEAD_BYTES,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

/// Blocks in memory, and what was asked of them.
#[derive(Default)]
struct Memory {
    blocks: Mutex<HashMap<Cid, Block>>,
    asked: Mutex<Vec<usize>>,
    /// What a check said ahead that it would ask for.
    expected: Mutex<Vec<Vec<Cid>>>,
}

impl Memory {
    fn add(&self, block: Block) -> Cid {
        let cid = *block.cid();
        self.blocks.lock().unwrap().insert(cid, block);
        cid
    }

    /// A leaf with so many bytes of the file.
    fn add_leaf(&self, block: Block, bytes: usize) -> Linked {
        let weight = block.data().len() as u64;
        Linked::new(self.add(block), bytes as u64, weight)
    }

    /// A node over these parts.
    fn add_node(&self, links: &[Linked]) -> Linked {
        let bytes = links.iter().map(|link| link.bytes).sum();
        let block = node(Some(bytes), links);
        let own = block.data().len() as u64;
        let weight = links
            .iter()
            .fold(own, |sum, link| sum.saturating_add(link.weight));
        Linked::new(self.add(block), bytes, weight)
    }

    fn below(&self, cid: &Cid) -> Vec<Cid> {
        links(&self.blocks.lock().unwrap()[cid]).unwrap()
    }

    /// How many blocks a walk over all links visits.
    fn walked(&self, root: Cid) -> u64 {
        let below = self.below(&root);
        1 + below.into_iter().map(|cid| self.walked(cid)).sum::<u64>()
    }

    /// How many links lead from a block to its first leaf.
    fn depth(&self, root: Cid) -> u32 {
        let below = self.below(&root);
        below.first().map_or(0, |cid| 1 + self.depth(*cid))
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

    async fn expect(&self, cids: &[Cid]) {
        self.expected.lock().unwrap().push(cids.to_vec());
    }
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
            node(Some(11), &[Linked::new(*pb_leaf.cid(), 11, 18)]),
            "it has 10 bytes of the file, and its parent says 11",
        ),
        (
            node(Some(10), &[Linked::new(*short_leaf.cid(), 10, 18)]),
            "parts of 10 bytes in a file of 9",
        ),
        (
            part(b"", Some(0), &[(*leaf.cid(), 0)]),
            "a link to a part of 0 bytes",
        ),
        (part(b"", None, &[(*leaf.cid(), 10)]), "no file size"),
        (part(b"", None, &[]), "no file size"),
        (
            part(b"x", Some(10), &[(*leaf.cid(), 10)]),
            "parts of 11 bytes in a file of 10",
        ),
        (
            part(b"x", Some(11), &[(*leaf.cid(), 10)]),
            "bytes of its own beside links",
        ),
        (
            node(Some(10), &[Linked::new(*leaf.cid(), 10, 11)]),
            "it and all below it have 10 bytes, and its parent says 11",
        ),
        (
            node(Some(10), &[Linked::new(*pb_leaf.cid(), 10, 10)]),
            "it and all below it have 18 bytes, and its parent says 10",
        ),
        (
            node(
                Some(u64::MAX),
                &[Linked::new(*leaf.cid(), u64::MAX, u64::MAX)],
            ),
            "blocks of more than 2^64 bytes",
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
            dag_pb(
                &[number(1, 2), number(3, 10)].concat(),
                &[Linked::raw(*leaf.cid(), 10)],
            ),
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
    let leaf = raw(&b"x"[..]);
    let mut below = Linked::raw(memory.add(leaf), 1);
    for _ in 0..levels {
        below = memory.add_node(&[below]);
    }
    below.cid
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

/// A file that repeats a few blocks very often: the reader's memory stays bounded, and it can stop at any time.
#[tokio::test]
async fn a_bomb_of_shared_blocks_is_read_piece_by_piece() {
    let memory = Arc::new(Memory::default());
    let mut below = Linked::raw(memory.add(raw(bytes(1000, 1))), 1000);
    for _ in 0..6 {
        below = memory.add_node(&vec![below; 500]);
    }
    let mut stream = read_file(memory.clone(), below.cid);
    for _ in 0..1000 {
        assert_eq!(stream.next().await.unwrap().unwrap(), bytes(1000, 1));
    }
    drop(stream);
    assert!(memory
        .asked()
        .iter()
        .all(|asked| *asked <= READ_AHEAD_BLOCKS));
}

/// A deep file with wide nodes beside every step of the way down: what waits to be followed stays within its bound,
/// however much is read ahead.
#[tokio::test]
async fn the_widest_and_deepest_file_is_read_like_any_other() {
    let memory = Arc::new(Memory::default());
    let leaf = Linked::raw(memory.add(raw(bytes(8, 1))), 8);
    let wide = memory.add_node(&vec![leaf; MAX_FILE_LINKS]);
    let mut deep = leaf;
    // The wide nodes beside the lowest step reach one level further down than the first leaf.
    for _ in 0..MAX_FILE_DEPTH - 1 {
        let beside = vec![wide; MAX_FILE_LINKS - 1];
        deep = memory.add_node(&[&[deep][..], &beside].concat());
    }
    assert_eq!(memory.depth(deep.cid), MAX_FILE_DEPTH - 1);
    let mut stream = read_file(memory.clone(), deep.cid);
    for _ in 0..3000 {
        assert_eq!(stream.next().await.unwrap().unwrap().len(), 8);
    }
    let shape = check_file(&*memory, deep.cid).await.unwrap();
    assert_eq!(shape.bytes, deep.bytes);
}

/// Leaves are asked for together, within the bound that keeps a check within its memory.
#[tokio::test]
async fn a_check_asks_for_few_blocks_at_once() {
    let memory = Memory::default();
    let leaves: Vec<Linked> = (0..40)
        .map(|i| Linked::raw(memory.add(raw(bytes(1000, i))), 1000))
        .collect();
    let root = memory.add_node(&leaves);
    let shape = check_file(&memory, root.cid).await.unwrap();
    assert_eq!((shape.bytes, shape.blocks), (40_000, 41));
    let asked = memory.asked();
    assert_eq!(asked.iter().sum::<usize>(), 41);
    // A window is asked for in two halves at once.
    assert_eq!(asked.iter().max(), Some(&(CHECK_AHEAD_BLOCKS / 2)));
}

/// A source that gets blocks from afar can get many small ones at once: it is told which come, each once.
#[tokio::test]
async fn a_check_says_ahead_which_blocks_it_will_ask_for() {
    let memory = Arc::new(Memory::default());
    let leaves: Vec<Linked> = (0..1000u32)
        .map(|i| Linked::raw(memory.add(raw(i.to_be_bytes().to_vec())), 4))
        .collect();
    let twice = [&leaves[..], &leaves[..24]].concat();
    let root = memory.add_node(&twice);
    check_file(&*memory, root.cid).await.unwrap();
    let expected = std::mem::take(&mut *memory.expected.lock().unwrap());
    assert!(expected.len() <= 4, "small blocks are told of together");
    let different: HashSet<_> = expected.iter().flatten().collect();
    assert_eq!(
        different.len(),
        expected.iter().map(Vec::len).sum::<usize>(),
        "each once"
    );
    assert!(different.len() > 900, "{}", different.len());
    // Nobody fetches what is not paid for.
    let checker = FileChecker::new(memory.clone());
    assert_eq!(checker.check(root.cid, 100).await.unwrap(), None);
    let expected = std::mem::take(&mut *memory.expected.lock().unwrap());
    let told: usize = expected.iter().map(Vec::len).sum();
    assert!(0 < told && told <= 100, "{told}");
    // Large ones are told of a few at a time.
    let memory = Memory::default();
    let large: Vec<Linked> = (0..100)
        .map(|i| Linked::raw(memory.add(raw(bytes(1 << 18, i))), 1 << 18))
        .collect();
    check_file(&memory, memory.add_node(&large).cid)
        .await
        .unwrap();
    let expected = memory.expected.lock().unwrap();
    assert!(expected.len() > 3, "{}", expected.len());
    assert!(expected.iter().all(|cids| cids.len() <= 16));
}

/// A file that repeats a few blocks very often is checked as fast as those few blocks.
#[tokio::test]
async fn checking_takes_as_long_as_there_are_different_blocks() {
    let memory = Memory::default();
    let mut below = Linked::raw(memory.add(raw(bytes(1000, 1))), 1000);
    for _ in 0..5 {
        below = memory.add_node(&vec![below; 1000]);
    }
    let shape = check_file(&memory, below.cid).await.unwrap();
    assert_eq!(shape.bytes, 1000u64.pow(6));
    assert_eq!(shape.blocks, (0..=5).map(|n| 1000u64.pow(n)).sum::<u64>());
    assert_eq!(memory.asked(), vec![1; 6]);
}

/// Its end is read without what stands before it.
#[tokio::test]
async fn a_file_is_read_from_any_byte_on() {
    let memory = Arc::new(Memory::default());
    let leaves: Vec<Linked> = (0..40)
        .map(|i| Linked::raw(memory.add(raw(bytes(100, i))), 100))
        .collect();
    let nodes: Vec<Linked> = leaves
        .chunks(7)
        .map(|links| memory.add_node(links))
        .collect();
    let root = memory.add_node(&nodes);
    let all: Vec<u8> = (0..40).flat_map(|i| bytes(100, i)).collect();
    for first in (0..=all.len())
        .step_by(33)
        .chain([99, 100, 101, 3999, 4000, 5000])
    {
        let rest = read_file_from(memory.clone(), root.cid, first as u64);
        let rest: Vec<Bytes> = rest.try_collect().await.unwrap();
        assert_eq!(
            rest.concat(),
            all.get(first..).unwrap_or_default(),
            "{first}"
        );
    }
    let memory = Arc::new(Memory::default());
    let mut below = Linked::raw(memory.add(raw(bytes(1000, 1))), 1000);
    for _ in 0..5 {
        below = memory.add_node(&vec![below; 1000]);
    }
    let end = read_file_from(memory.clone(), below.cid, 1000u64.pow(6) - 5);
    let end: Vec<Bytes> = end.try_collect().await.unwrap();
    assert_eq!(end.concat(), bytes(1000, 1)[995..]);
    assert_eq!(memory.asked(), vec![1; 6]);
}

/// A check ends with the block that is too many, and says the same about a file that was checked before.
#[tokio::test]
async fn no_more_blocks_are_checked_than_are_paid_for() {
    let memory = Arc::new(Memory::default());
    let leaves: Vec<Linked> = (0..40)
        .map(|i| Linked::raw(memory.add(raw(bytes(10, i))), 10))
        .collect();
    let good = memory.add_node(&[&leaves[..], &leaves[..5]].concat());
    let absent = Linked::raw(raw(bytes(10, 99)).cid().to_owned(), 10);
    let broken = memory.add_node(&[&leaves[..20], &[absent], &leaves[20..]].concat());
    let checker = FileChecker::new(memory.clone());
    for known in [false, true] {
        let of = async |most| checker.check(good.cid, most).await.unwrap();
        for most in [0, 1, 20, 39, 40, 41, 45] {
            assert_eq!(of(most).await, None, "{most}, {known}");
        }
        let shape = of(46).await.unwrap();
        assert_eq!((shape.bytes, shape.blocks), (450, 46));
        assert_eq!(of(u64::MAX).await, Some(shape));
    }
    // What comes first counts: the root, twenty leaves, and then the one that is absent.
    assert_eq!(checker.check(broken.cid, 20).await.unwrap(), None);
    for most in [21, 1000] {
        let error = checker.check(broken.cid, most).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Absent);
    }
    let asked: usize = memory.asked().iter().sum();
    assert!(asked < 500, "{asked}");
}

/// A large block takes as long as several of the usual size, and counts as many.
#[tokio::test]
async fn large_blocks_count_as_several() {
    let chunk = COUNTED_BYTES as usize;
    for (length, counted) in [
        (1, 1),
        (chunk + 14, 1),
        (2 * chunk - 1, 1),
        (2 * chunk, 2),
        (8 * chunk, 8),
    ] {
        let memory = Memory::default();
        let leaf = Linked::raw(memory.add(raw(bytes(length, 1))), length as u64);
        let root = memory.add_node(&[leaf; 3]);
        let shape = check_file(&memory, root.cid).await.unwrap();
        assert_eq!(shape.blocks, 1 + 3 * counted, "{length}");
    }
}

#[tokio::test]
async fn a_node_with_too_many_links_is_refused() {
    let memory = Memory::default();
    let leaf = Linked::raw(memory.add(raw(&b"x"[..])), 1);
    let most = vec![leaf; MAX_FILE_LINKS];
    let widest = memory.add_node(&most);
    let memory = Arc::new(memory);
    assert_eq!(
        read(memory.clone(), widest.cid).await.unwrap().len(),
        MAX_FILE_LINKS
    );
    let more = memory.add_node(&vec![leaf; MAX_FILE_LINKS + 1]);
    let error = read(memory, more.cid).await.unwrap_err();
    assert!(matches!(error, StoreError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_ipfs_add_never_makes_is_refused() {
    let leaf = raw(&b"1234567890"[..]);
    let plain = part(b"abc", Some(3), &[]);
    let message = [number(1, 2), field(2, b"abc"), number(3, 3)].concat();
    let link = Linked::raw(*leaf.cid(), 10);
    let above = [number(1, 2), number(3, 10), number(4, 10)].concat();
    assert_eq!(dag_pb(&message, &[]), plain, "the usual form");
    for (root, why) in [
        (
            dag_pb(&[&message[..], &number(7, 420)].concat(), &[]),
            "a mode",
        ),
        (
            dag_pb(&[&message[..], &field(9, &[0; 2_000])].concat(), &[]),
            "an unknown field that weighs more than the content",
        ),
        (
            dag_pb(&[number(1, 2), field(2, b"")].concat(), &[]),
            "no file size",
        ),
        (
            dag_pb(&[number(1, 2), field(2, b""), number(3, 0)].concat(), &[]),
            "an empty field for bytes",
        ),
        (
            dag_pb(
                &[number(3, 3), number(1, 2), field(2, b"abc")].concat(),
                &[],
            ),
            "fields in another order",
        ),
        (
            dag_pb(&[&[0x08, 0x82, 0x00][..], &message[2..]].concat(), &[]),
            "a padded number",
        ),
        (
            Block::dag_pb([field(1, &message), number(3, 1)].concat().into()).unwrap(),
            "a field behind the data",
        ),
        (
            dag_pb_with(&above, &[link], |cid, _| field(1, &cid.to_bytes())),
            "a link without name and size",
        ),
        (
            dag_pb_with(&above, &[link], |cid, weight| {
                [
                    field(1, &cid.to_bytes()),
                    field(2, b"name"),
                    number(3, weight),
                ]
                .concat()
            }),
            "a link with a name",
        ),
    ] {
        let memory = Memory::default();
        memory.add(leaf.clone());
        let error = refusal(memory, root).await;
        assert!(
            matches!(error, StoreError::Malformed { .. }),
            "{why}: {error:?}"
        );
    }
    let data_first = {
        let link = [
            field(1, &leaf.cid().to_bytes()),
            field(2, b""),
            number(3, 10),
        ]
        .concat();
        Block::dag_pb([field(1, &above), field(2, &link)].concat().into()).unwrap()
    };
    let memory = Memory::default();
    memory.add(leaf.clone());
    assert!(matches!(
        refusal(memory, data_first).await,
        StoreError::Malformed { .. }
    ));
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

/// The shape of a file: the bytes of a leaf, or parts.
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
        prop::collection::vec(part, 1..6).prop_map(|parts| Shape {
            own: Vec::new(),
            parts,
            raw: false,
        })
    })
}

/// Stores the shape; gives the root, and the content.
fn store_shape(memory: &Memory, shape: &Shape) -> (Linked, Vec<u8>) {
    let own = shape.own.clone();
    if shape.parts.is_empty() {
        let block = match shape.raw {
            true => raw(own.clone()),
            false => part(&own, Some(own.len() as u64), &[]),
        };
        return (memory.add_leaf(block, own.len()), own);
    }
    let (mut content, mut links) = (Vec::new(), Vec::new());
    for below in &shape.parts {
        let (link, bytes) = store_shape(memory, below);
        links.push(link);
        content.extend(bytes);
    }
    (memory.add_node(&links), content)
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
        let checked = block_on(check_file(&*memory, root.cid)).unwrap();
        prop_assert_eq!(checked.bytes, content.len() as u64);
        prop_assert_eq!(checked.blocks, memory.walked(root.cid));
        prop_assert_eq!(block_on(read(memory, root.cid)).unwrap(), content);
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
        prop_assert!(block_on(read(memory.clone(), root.cid)).is_err());
        prop_assert!(block_on(check_file(&*memory, root.cid)).is_err());
        memory.add(victim);
        prop_assert_eq!(block_on(read(memory, root.cid)).unwrap(), content);
    }

    #[test]
    fn no_block_makes_a_reader_panic(data: Vec<u8>) {
        let memory = Arc::new(Memory::default());
        let root = memory.add(Block::dag_pb(data.clone().into()).unwrap());
        drop(block_on(read(memory.clone(), root)));
        drop(block_on(check_file(&*memory, root)));
        let node = memory.add(Block::new(cid_of(DAG_CBOR, sha256(&data)), data.into()).unwrap());
        for root in [root, node] {
            drop(block_on(read_car(memory.clone(), root).try_collect::<Vec<_>>()));
        }
    }
}
