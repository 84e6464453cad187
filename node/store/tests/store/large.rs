//! Files of very many blocks: few of them are checked at one time.

use crate::{
    dag::{node, Linked},
    suite::raw,
};
use cid::Cid;
use futures::future::join_all;
use rings_store::{Block, BlockSource, FileChecker, StoreError, LARGE_CHECKS, SMALL_CHECK_BLOCKS};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
};
use tokio::{sync::Semaphore, task::yield_now};

/// Links of a node.
const LINKS: usize = 1000;
/// Files that are checked together.
const FILES: usize = LARGE_CHECKS + 2;

/// Blocks in memory. The last leaf of each file comes when a gate is opened.
struct Gated {
    blocks: HashMap<Cid, Block>,
    last: HashSet<Cid>,
    arrived: AtomicUsize,
    gate: Semaphore,
}

#[async_trait::async_trait]
impl BlockSource for Gated {
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Block>, StoreError> {
        if cids.iter().any(|cid| self.last.contains(cid)) {
            self.arrived.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.unwrap().forget();
        }
        Ok(cids.iter().map(|cid| self.blocks[cid].clone()).collect())
    }
}

impl Gated {
    fn new() -> Self {
        Self {
            blocks: HashMap::new(),
            last: HashSet::new(),
            arrived: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        }
    }

    fn add(&mut self, block: Block) -> Cid {
        let cid = *block.cid();
        self.blocks.insert(cid, block);
        cid
    }

    /// A file of that many different leaves of twelve bytes.
    fn file(&mut self, number: usize, leaves: usize) -> Cid {
        let links: Vec<_> = (0..leaves)
            .map(|leaf| {
                let content = format!("{number:03} {leaf:08}");
                Linked::raw(self.add(raw(content)), 12)
            })
            .collect();
        let nodes: Vec<_> = links
            .chunks(LINKS)
            .map(|links| {
                let bytes = 12 * links.len() as u64;
                let block = node(Some(bytes), links);
                let weight = block.data().len() as u64 + bytes;
                Linked::new(self.add(block), bytes, weight)
            })
            .collect();
        self.last.extend(links.last().map(|link| link.cid));
        self.add(node(Some(12 * leaves as u64), &nodes))
    }
}

#[tokio::test]
async fn few_large_files_are_checked_at_one_time_and_small_ones_do_not_wait_for_them() {
    let mut source = Gated::new();
    let files: Vec<_> = (0..FILES)
        .map(|number| source.file(number, SMALL_CHECK_BLOCKS + 1000))
        .collect();
    let small = source.file(FILES, 1000);
    let source = Arc::new(source);
    let checker = FileChecker::new(Arc::clone(&source) as Arc<dyn BlockSource>);
    let all = files.iter().chain([&small]);
    let checks = join_all(all.map(|file| checker.check(*file, u64::MAX)));
    let arrived = || source.arrived.load(Ordering::Relaxed);
    let watch = async {
        // The large ones that have places, and the small one.
        while arrived() < LARGE_CHECKS + 1 {
            yield_now().await;
        }
        for _ in 0..1000 {
            yield_now().await;
        }
        assert_eq!(arrived(), LARGE_CHECKS + 1);
        source.gate.add_permits(FILES + 1);
    };
    let (checked, ()) = tokio::join!(checks, watch);
    for (number, shape) in checked.into_iter().enumerate() {
        let leaves = match number {
            FILES => 1000,
            _ => SMALL_CHECK_BLOCKS + 1000,
        };
        let shape = shape.unwrap().unwrap();
        let blocks = leaves + leaves.div_ceil(LINKS) + 1;
        assert_eq!(
            (shape.bytes, shape.blocks),
            (12 * leaves as u64, blocks as u64)
        );
    }
}
