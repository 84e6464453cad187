//! Two hundred files that are broken in one place, in two, or not at all. Every reader finds the same fault, from any
//! store and however slowly the blocks come.

use crate::{
    dag::{dag_pb, field, number, Linked},
    kubo::Kubo,
    suite::raw,
};
use bytes::Bytes;
use cid::{multihash::Multihash, Cid};
use futures::StreamExt;
use rings_protocol::cids::RAW;
use rings_store::{
    check_file, open, read_file, source, Block, BlockSource, BlockStore, ErrorClass, FileShape,
    StoreConfig, StoreError,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};

const FILES: u64 = 200;
/// Links in a node of these files.
const FANOUT: usize = 4;
/// Levels of a chain that is too long for a file.
const TOO_DEEP: usize = 40;

/// Numbers that follow from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// What is wrong with a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Directory,
    UnknownField,
    Padding,
    MoreThanStated,
    WeighsMore,
    DagCbor,
    OtherHash,
    Undecodable,
    EmptyPart,
    OwnBytesAboveIt,
    TooDeep,
    Absent,
}

const FAULTS: [Fault; 12] = [
    Fault::Directory,
    Fault::UnknownField,
    Fault::Padding,
    Fault::MoreThanStated,
    Fault::WeighsMore,
    Fault::DagCbor,
    Fault::OtherHash,
    Fault::Undecodable,
    Fault::EmptyPart,
    Fault::OwnBytesAboveIt,
    Fault::TooDeep,
    Fault::Absent,
];

/// A file, and which of its blocks nobody has.
struct Crafted {
    name: String,
    root: Cid,
    blocks: Vec<Block>,
    absent: HashSet<Cid>,
    leaves: usize,
}

impl Crafted {
    fn add(&mut self, block: Block, bytes: u64) -> Linked {
        let (cid, weight) = (*block.cid(), block.data().len() as u64);
        self.blocks.push(block);
        Linked::new(cid, bytes, weight)
    }

    fn leaf(&mut self, content: &[u8], is_raw: bool) -> Linked {
        let block = match is_raw {
            true => raw(content.to_vec()),
            false => dag_pb(&leaf_message(content), &[]),
        };
        self.add(block, content.len() as u64)
    }

    fn broken_leaf(&mut self, fault: Fault, content: &[u8]) -> Linked {
        let message = leaf_message(content);
        let bytes = content.len() as u64;
        let plain = |message: &[u8]| dag_pb(message, &[]);
        match fault {
            Fault::Directory => self.add(plain(&number(1, 1)), bytes),
            Fault::UnknownField => {
                self.add(plain(&[message, field(9, &[7; 3000])].concat()), bytes)
            }
            Fault::Padding => {
                self.add(plain(&[&[0x08, 0x82, 0x00], &message[2..]].concat()), bytes)
            }
            Fault::MoreThanStated => self.add(plain(&message), bytes + 1),
            Fault::WeighsMore => {
                let leaf = self.add(plain(&message), bytes);
                Linked::new(leaf.cid, bytes, leaf.weight + 1)
            }
            Fault::DagCbor => {
                self.add(Block::dag_cbor(Bytes::from_static(&[0xa0])).unwrap(), bytes)
            }
            Fault::OtherHash => {
                let hash = Multihash::<64>::wrap(0xb220, &[1; 32]).unwrap();
                Linked::raw(Cid::new_v1(RAW, hash), bytes)
            }
            Fault::Undecodable => {
                let garbage = [&[0x0a, 0xff][..], content].concat();
                self.add(Block::dag_pb(garbage.into()).unwrap(), bytes)
            }
            Fault::EmptyPart => {
                let leaf = self.add(plain(&message), bytes);
                Linked::new(leaf.cid, 0, leaf.weight)
            }
            Fault::OwnBytesAboveIt => {
                let leaf = self.leaf(content, true);
                let message = [
                    number(1, 2),
                    field(2, b"own"),
                    number(3, bytes + 3),
                    number(4, bytes),
                ];
                let node = self.add(dag_pb(&message.concat(), &[leaf]), bytes + 3);
                Linked::new(node.cid, bytes + 3, node.weight + leaf.weight)
            }
            Fault::TooDeep => {
                let leaf = self.leaf(content, true);
                (0..TOO_DEEP).fold(leaf, |below, _| self.node(&[below]))
            }
            Fault::Absent => {
                let leaf = self.leaf(content, true);
                self.absent.insert(leaf.cid);
                leaf
            }
        }
    }

    fn node(&mut self, links: &[Linked]) -> Linked {
        let bytes = links.iter().map(|link| link.bytes).sum();
        let sizes = links.iter().flat_map(|link| number(4, link.bytes));
        let message = [number(1, 2), number(3, bytes)].concat();
        let message: Vec<u8> = message.into_iter().chain(sizes).collect();
        let node = self.add(dag_pb(&message, links), bytes);
        let below: u64 = links.iter().map(|link| link.weight).sum();
        Linked::new(node.cid, bytes, node.weight + below)
    }
}

fn leaf_message(content: &[u8]) -> Vec<u8> {
    [
        number(1, 2),
        field(2, content),
        number(3, content.len() as u64),
    ]
    .concat()
}

/// The file of a seed: every fault alone, pairs of faults in one window, and some without a fault.
fn craft(seed: u64) -> Crafted {
    let mut numbers = Numbers(seed);
    let leaves = 1 + numbers.below(30);
    let mut faults = HashMap::new();
    for _ in 0..seed % 3 {
        let fault = FAULTS[numbers.below(FAULTS.len())];
        faults.insert(numbers.below(leaves), fault);
    }
    let mut file = Crafted {
        name: format!("file {seed} of {leaves} leaves with {faults:?}"),
        root: Cid::default(),
        blocks: Vec::new(),
        absent: HashSet::new(),
        leaves,
    };
    let mut level: Vec<Linked> = Vec::new();
    for place in 0..leaves {
        // Some leaves are equal, as in files of zeros.
        let mark = numbers.below(20) as u8;
        let content = [&[mark; 20][..], &seed.to_be_bytes()].concat();
        let is_raw = numbers.below(3) == 0;
        level.push(match faults.get(&place) {
            Some(fault) => file.broken_leaf(*fault, &[&content[..], &[place as u8]].concat()),
            None => file.leaf(&content, is_raw),
        });
    }
    while level.len() > 1 || file.root == Cid::default() {
        level = level.chunks(FANOUT).map(|links| file.node(links)).collect();
        file.root = level[0].cid;
    }
    file
}

/// What somebody finds who checks a file, or reads so many pieces of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Checked(FileShape),
    Read(Vec<u8>),
    /// What was read before, and the fault.
    Invalid(Vec<u8>, String),
    /// What was read before.
    Absent(Vec<u8>),
}

fn fault(before: Vec<u8>, error: &StoreError) -> Found {
    match error.class() {
        ErrorClass::Invalid => Found::Invalid(before, format!("{error:?}")),
        ErrorClass::Absent => Found::Absent(before),
        class => panic!("{class:?}: {error:?}"),
    }
}

async fn check(from: &dyn BlockSource, root: Cid) -> Found {
    match check_file(from, root).await {
        Ok(shape) => Found::Checked(shape),
        Err(error) => fault(Vec::new(), &error),
    }
}

async fn read(from: Arc<dyn BlockSource>, root: Cid, pieces: usize) -> Found {
    let mut stream = read_file(from, root);
    let mut bytes = Vec::new();
    for _ in 0..pieces {
        match stream.next().await {
            None => break,
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            Some(Err(error)) => return fault(bytes, &error),
        }
    }
    Found::Read(bytes)
}

/// A source in front of another, that takes its time.
struct Slow {
    inner: Arc<dyn BlockSource>,
    seed: AtomicU64,
}

#[async_trait::async_trait]
impl BlockSource for Slow {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let micros = Numbers(seed).below(1500) as u64;
        tokio::time::sleep(Duration::from_micros(micros)).await;
        self.inner.blocks(cids).await
    }
}

/// A store that fetches what it misses from another, and keeps it: cold the first time, then warm.
struct Behind {
    near: Arc<dyn BlockStore>,
    far: Arc<dyn BlockSource>,
}

#[async_trait::async_trait]
impl BlockSource for Behind {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        let held = self.near.get_many(cids).await?;
        let mut blocks = Vec::with_capacity(cids.len());
        for (cid, held) in cids.iter().zip(held) {
            if let Some(block) = held {
                blocks.push(block);
                continue;
            }
            let fetched = self.far.blocks(&[*cid]).await?;
            self.near.put(fetched.clone()).await?;
            blocks.extend(fetched);
        }
        Ok(blocks)
    }
}

struct Place {
    name: &'static str,
    source: Arc<dyn BlockSource>,
    /// Each request is a process away: fewer readers.
    is_far: bool,
}

async fn embedded(directory: &tempfile::TempDir, name: &str) -> Arc<dyn BlockStore> {
    let path = directory.path().join(name);
    open(&StoreConfig::Embedded { path }).await.unwrap()
}

/// Everything that a file is read from: each store alone, one behind the other, fast and slow.
async fn places(kubo: &Kubo, directory: &tempfile::TempDir, files: &[Crafted]) -> Vec<Place> {
    let (near, far) = (embedded(directory, "near").await, kubo.store().await);
    for file in files {
        let held = file.blocks.iter();
        let held = held.filter(|block| !file.absent.contains(block.cid()));
        let blocks: Vec<Block> = held.cloned().collect();
        near.put(blocks.clone()).await.unwrap();
        far.put(blocks).await.unwrap();
    }
    let place = |name, source, is_far| Place {
        name,
        source,
        is_far,
    };
    let slow = |inner| -> Arc<dyn BlockSource> {
        Arc::new(Slow {
            inner,
            seed: AtomicU64::new(1),
        })
    };
    let cold = |near, far| -> Arc<dyn BlockSource> { Arc::new(Behind { near, far }) };
    let empty = embedded(directory, "empty").await;
    let mixed = embedded(directory, "mixed").await;
    let absent: HashSet<Cid> = files.iter().flat_map(|file| file.absent.clone()).collect();
    let all = files.iter().flat_map(|file| &file.blocks).step_by(2);
    let half = all.filter(|block| !absent.contains(block.cid())).cloned();
    mixed.put(half.collect()).await.unwrap();
    vec![
        place("embedded", source(&near), false),
        place("embedded, slow", slow(source(&near)), false),
        place("Kubo", source(&far), true),
        place(
            "embedded, cold, then warm",
            cold(empty, slow(source(&near))),
            false,
        ),
        place("half embedded, half Kubo", cold(mixed, source(&far)), true),
    ]
}

/// The right answers, from a store that has all blocks.
struct Expected {
    check: Found,
    reads: Vec<Found>,
}

async fn expected(file: &Crafted, place: &Place) -> Expected {
    let check = check(&*place.source, file.root).await;
    let mut reads = Vec::new();
    for pieces in 0..=file.leaves + 1 {
        reads.push(read(Arc::clone(&place.source), file.root, pieces).await);
    }
    // A reader that stops before the fault does not see it; a check of the file always does.
    let is_whole = matches!(check, Found::Checked(_));
    let last = reads.last().unwrap();
    assert_eq!(matches!(last, Found::Read(_)), is_whole, "{}", file.name);
    if let (Found::Invalid(_, seen), Found::Invalid(_, read)) = (&check, last) {
        assert_eq!(seen, read, "{}", file.name);
    }
    Expected { check, reads }
}

async fn compare(file: &Crafted, place: &Place, expected: &Expected) {
    let context = format!("{} from {}", file.name, place.name);
    for round in ["first", "second"] {
        let found = check(&*place.source, file.root).await;
        assert_eq!(found, expected.check, "{context}, {round} check");
    }
    let step = if place.is_far { 7 } else { 1 };
    for pieces in (0..expected.reads.len()).rev().step_by(step) {
        let found = read(Arc::clone(&place.source), file.root, pieces).await;
        assert_eq!(found, expected.reads[pieces], "{context}, {pieces} pieces");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_the_same_for_everybody() {
    let files: Vec<Crafted> = (0..FILES).map(craft).collect();
    let (kubo, directory) = (Kubo::started(), tempfile::TempDir::new().unwrap());
    let places = places(&kubo, &directory, &files).await;
    let (mut whole, mut invalid, mut absent) = (0, 0, 0);
    for file in &files {
        let expected = expected(file, &places[0]).await;
        match &expected.check {
            Found::Checked(_) | Found::Read(_) => whole += 1,
            Found::Invalid(..) => invalid += 1,
            Found::Absent(_) => absent += 1,
        }
        for place in &places[1..] {
            compare(file, place, &expected).await;
        }
    }
    let counts = (whole, invalid, absent);
    assert!(whole > 50 && invalid > 80 && absent > 5, "{counts:?}");
}

/// Absence is never a result: when the block is found, the answer is the right one.
#[tokio::test]
async fn a_block_that_is_found_later_changes_the_answer_once() {
    let directory = tempfile::TempDir::new().unwrap();
    let store = embedded(&directory, "blocks").await;
    for seed in (0..FILES).filter(|seed| seed % 3 != 0) {
        let file = craft(seed);
        let (late, early): (Vec<Block>, Vec<Block>) = file
            .blocks
            .iter()
            .cloned()
            .partition(|block| file.absent.contains(block.cid()));
        if late.is_empty() {
            continue;
        }
        store.put(early).await.unwrap();
        let before = check(&*source(&store), file.root).await;
        store.put(late).await.unwrap();
        let after = check(&*source(&store), file.root).await;
        assert!(!matches!(after, Found::Absent(_)), "{}", file.name);
        let was_known = !matches!(before, Found::Absent(_));
        assert!(!was_known || before == after, "{}", file.name);
    }
}
