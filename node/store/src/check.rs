//! Checking the structure of a file, all of it, before anybody reads it.
//!
//! [`check_file`] looks at every block below a root once, depth first and in the order of the links, and checks each by
//! the rules of `part.rs`. The answer is a [`FileShape`], or the first fault in that order. Both depend on the root's
//! CID alone, so all members agree on whether an input is a file, however much of it a program reads later. If a block
//! is missing before any fault, the answer is that this block is absent, and a later try may find out more.
//!
//! A block that stands in many places is fetched and checked once: what is below it is the same everywhere. So the time
//! depends on the number of different blocks, which has a limit, even when a few blocks repeat to make a very long
//! file. Memory holds one window of blocks, one node for each level, and a short entry for each different block. A
//! [`FileChecker`] checks many files at once, but few that have very many blocks ([`LARGE_CHECKS`]).

use crate::{
    block::{key_of, Key},
    part::{check_name, too_deep, Part, MAX_FILE_DEPTH},
    walk::{fetch_in_halves, Link, Stated},
    Block, BlockSource, StoreError,
};
use cid::Cid;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most different blocks in one file: 32 GiB, as `ipfs add` cuts files.
pub const MAX_FILE_BLOCKS: u32 = 128 * 1024;

/// Most blocks that a check asks for at once. Their parent states their lengths, but it may be wrong: eight blocks of
/// the greatest length are 16 MiB.
pub const CHECK_AHEAD_BLOCKS: usize = 8;

/// Most blocks of which a check says ahead that it will ask for them. They go from the source's origin into the source, and not
/// into memory, so they may be many: small blocks are fetched and written together.
const EXPECTED_BLOCKS: usize = 256;

/// Most bytes that a check asks for at once, unless a single block has more, or blocks have more than their parent states.
const CHECK_AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a block that counts as one block. A larger one counts once for each time that it has this many, because
/// fetching and hashing it takes as long as that many blocks. Blocks of `ipfs add` have a few bytes more than this and
/// count as one.
pub const COUNTED_BYTES: u64 = 256 * 1024;

/// A check of a file that has more different blocks than this is a large one: its entries take more than a megabyte. 4 GiB, as
/// `ipfs add` cuts files.
pub const SMALL_CHECK_BLOCKS: usize = 16 * 1024;

/// Large checks of one [`FileChecker`] that go on at one time. Further ones wait where they have become large. Each takes up to 12 MB.
pub const LARGE_CHECKS: usize = 2;

/// A [`FileChecker`] remembers at most this many checked files.
pub const MAX_REMEMBERED_FILES: usize = 4096;

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileShape {
    /// Its length in bytes.
    pub bytes: u64,
    /// How many blocks reading it takes: equal ones count each time, and large ones once for each [`COUNTED_BYTES`] that
    /// they have. At most 2^64 − 1.
    pub blocks: u64,
}

/// Checks every block of the file `cid`.
///
/// # Errors
/// Of class [`ErrorClass::Invalid`](crate::ErrorClass::Invalid) when it is not a file as `ipfs add` makes it, or larger
/// than [`MAX_FILE_BLOCKS`] and [`MAX_FILE_DEPTH`] allow: then it is not a file on any machine. Any other error says that
/// this could not be found out now.
pub async fn check_file(source: &dyn BlockSource, cid: Cid) -> Result<FileShape, StoreError> {
    let room = Semaphore::new(1);
    let mut check = Check::new(source, u64::MAX, &room);
    check.run(Link::root(cid)).await.map(FileShape::from)
}

/// As [`check_file`], but it stops when it has looked at more than `most` blocks, as [`FileShape`] counts them. Then the
/// answer is `None`, unless a fault came first. It is also `None` when the file is well-formed and reading it takes more.
async fn check_within(
    source: &dyn BlockSource,
    cid: Cid,
    most: u64,
    room: &Semaphore,
) -> Result<Option<FileShape>, StoreError> {
    let mut check = Check::new(source, most, room);
    match check.run(Link::root(cid)).await {
        Ok(summary) => Ok(FileShape::from(summary).within(most)),
        Err(_) if check.has_more => Ok(None),
        Err(error) => Err(error),
    }
}

impl FileShape {
    /// Itself, if reading it takes at most that many blocks.
    fn within(self, most: u64) -> Option<Self> {
        (self.blocks <= most).then_some(self)
    }
}

impl From<Summary> for FileShape {
    fn from(root: Summary) -> Self {
        Self {
            bytes: root.stated.bytes,
            blocks: root.blocks,
        }
    }
}

/// What is remembered of a block that is done. A file may have very many, most of them leaves, so this is small.
#[derive(Debug, Clone, Copy)]
enum Done {
    /// A leaf: bytes of the file, and of the block.
    Leaf { bytes: u32, weight: u32 },
    /// A node: its place among the summaries of nodes.
    Node(u32),
}

/// All that a parent needs to know of a block below it, and of all below that.
#[derive(Debug, Clone, Copy)]
struct Summary {
    stated: Stated,
    /// As in [`FileShape`].
    blocks: u64,
    /// Links on the longest way down.
    height: u32,
}

/// A node whose children are being checked.
struct OpenNode {
    cid: Cid,
    /// Of this node and the children that are done.
    summary: Summary,
    /// Those that are not done, in order.
    children: VecDeque<Link>,
    /// How many of them are asked for together. Where one leaf comes after the other, the next ones are probably leaves
    /// too. What is asked for behind a child that is no leaf is asked for in vain.
    ahead: usize,
    /// How many of them the source has been told of.
    expected: usize,
}

/// A check under way: the way from the root to the block that is looked at, and what is known of those that are done.
struct Check<'a> {
    source: &'a dyn BlockSource,
    /// A tree, because a table needs three times as much while it grows, in pieces that the allocator keeps afterwards.
    seen: BTreeMap<Key, Done>,
    /// Of the nodes that are done.
    nodes: Vec<Summary>,
    /// From the root downwards.
    open: Vec<OpenNode>,
    /// How much of the different blocks it looks at, as [`FileShape`] counts them.
    most: u64,
    looked_at: u64,
    /// Whether there is more.
    has_more: bool,
    /// Places for large checks.
    room: &'a Semaphore,
    /// The place of this one, once it is large.
    place: Option<SemaphorePermit<'a>>,
}

impl<'a> Check<'a> {
    fn new(source: &'a dyn BlockSource, most: u64, room: &'a Semaphore) -> Self {
        Self {
            source,
            seen: BTreeMap::new(),
            nodes: Vec::new(),
            open: Vec::new(),
            most,
            looked_at: 0,
            has_more: false,
            room,
            place: None,
        }
    }

    /// Walks the file depth first, in the order of its links. A part that occurs again is looked at once. Blocks are
    /// asked for ahead, twice as many each time up to the bound, so a small file costs no more than it needs.
    async fn run(&mut self, root: Link) -> Result<Summary, StoreError> {
        check_name(&root.cid)?;
        self.look_at(std::slice::from_ref(&root)).await?;
        while let Some(mut node) = self.open.pop() {
            if let Some(child) = node.children.front() {
                let child = child.clone();
                match self.recall(&child.cid)? {
                    Some(summary) => node.absorb(&child, summary)?,
                    None => {
                        self.expect(&mut node).await?;
                        let window = self.window(&node)?;
                        node.ahead = CHECK_AHEAD_BLOCKS.min(2 * node.ahead);
                        self.open.push(node);
                        self.take_place().await?;
                        self.look_at(&window).await?;
                        continue;
                    }
                }
                self.open.push(node);
            } else {
                self.remember(&node.cid, node.summary)?;
            }
        }
        let done = self.recall(&root.cid)?;
        done.ok_or(StoreError::WrongAnswer { cid: root.cid })
    }

    /// Waits for a place when the check has become large.
    async fn take_place(&mut self) -> Result<(), StoreError> {
        if self.place.is_none() && self.seen.len() > SMALL_CHECK_BLOCKS {
            let place = self.room.acquire().await;
            self.place = Some(place.map_err(|_| StoreError::Stopped)?);
        }
        Ok(())
    }

    /// Tells the source which blocks come next, where many do: no more than are paid for, and each once.
    async fn expect(&mut self, node: &mut OpenNode) -> Result<(), StoreError> {
        if node.ahead < CHECK_AHEAD_BLOCKS || node.expected > 0 {
            return Ok(());
        }
        let paid = usize::try_from(self.most.saturating_sub(self.looked_at));
        let most = EXPECTED_BLOCKS.min(paid.unwrap_or(usize::MAX));
        let (mut cids, mut keys, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        for child in &node.children {
            bytes += child.expected_bytes();
            if cids.len() == most || bytes > CHECK_AHEAD_BYTES {
                break;
            }
            node.expected += 1;
            let key = key_of(&child.cid)?;
            if !self.seen.contains_key(&key) && keys.insert(key) {
                cids.push(child.cid);
            }
        }
        if cids.len() > CHECK_AHEAD_BLOCKS {
            self.source.expect(&cids).await;
        }
        Ok(())
    }

    /// The children that come next and are not known yet, each of them once.
    fn window(&self, node: &OpenNode) -> Result<Vec<Link>, StoreError> {
        let most = node.ahead;
        let mut window: Vec<Link> = Vec::with_capacity(most);
        let mut bytes = 0;
        for child in &node.children {
            if window.len() == most || self.seen.contains_key(&key_of(&child.cid)?) {
                break;
            }
            if window.iter().any(|link| link.cid == child.cid) {
                continue;
            }
            bytes += child.expected_bytes();
            if bytes > CHECK_AHEAD_BYTES && !window.is_empty() {
                break;
            }
            window.push(child.clone());
        }
        Ok(window)
    }

    /// Fetches these blocks and checks them in order: leaves are done, and the first node with children is opened. The
    /// blocks after it are fetched again when their turn comes, so that no block waits in memory.
    async fn look_at(&mut self, window: &[Link]) -> Result<(), StoreError> {
        let cids: Vec<Cid> = window.iter().map(|link| link.cid).collect();
        let fetched = fetch_in_halves(self.source, &cids).await;
        for (link, block) in window.iter().zip(fetched) {
            if let Some(node) = self.look_at_one(link, &block?)? {
                if let Some(parent) = self.open.last_mut() {
                    parent.ahead = 1;
                }
                self.open.push(node);
                break;
            }
        }
        Ok(())
    }

    /// Looks at one block. A leaf is done; a node stays open until all its children are known.
    fn look_at_one(&mut self, link: &Link, block: &Block) -> Result<Option<OpenNode>, StoreError> {
        let part = Part::decode(link, block)?;
        let blocks = counted(block.data().len() as u64);
        self.count(link.cid, blocks)?;
        let summary = Summary {
            stated: Stated {
                bytes: part.bytes,
                weight: part.weight,
            },
            blocks,
            height: 0,
        };
        if part.children.is_empty() {
            self.remember(&link.cid, summary)?;
            return Ok(None);
        }
        Ok(Some(OpenNode {
            cid: link.cid,
            summary,
            children: part.children.into(),
            ahead: 1,
            expected: 0,
        }))
    }

    /// Counts a block that was not known.
    fn count(&mut self, cid: Cid, blocks: u64) -> Result<(), StoreError> {
        self.looked_at = self.looked_at.saturating_add(blocks);
        self.has_more = self.looked_at > self.most;
        match self.has_more {
            false => Ok(()),
            true => Err(too_many(cid)),
        }
    }

    /// What was found of a block that is done.
    fn recall(&self, cid: &Cid) -> Result<Option<Summary>, StoreError> {
        Ok(match self.seen.get(&key_of(cid)?) {
            None => None,
            Some(Done::Leaf { bytes, weight }) => Some(Summary::of_leaf(Stated {
                bytes: u64::from(*bytes),
                weight: u64::from(*weight),
            })),
            Some(Done::Node(place)) => self.nodes.get(*place as usize).copied(),
        })
    }

    fn remember(&mut self, cid: &Cid, summary: Summary) -> Result<(), StoreError> {
        let done = match summary.height {
            // No block has 2^32 bytes.
            0 => Done::Leaf {
                bytes: summary.stated.bytes as u32,
                weight: summary.stated.weight as u32,
            },
            _ => {
                self.nodes.push(summary);
                Done::Node(self.nodes.len() as u32 - 1)
            }
        };
        self.seen.insert(key_of(cid)?, done);
        match self.seen.len() > MAX_FILE_BLOCKS as usize {
            false => Ok(()),
            true => Err(too_many(*cid)),
        }
    }
}

impl Summary {
    /// Of a leaf, which weighs what its block has.
    fn of_leaf(stated: Stated) -> Self {
        Self {
            blocks: counted(stated.weight),
            height: 0,
            stated,
        }
    }
}

/// The number of blocks for which a block of this length counts.
fn counted(bytes: u64) -> u64 {
    (bytes / COUNTED_BYTES).max(1)
}

fn too_many(cid: Cid) -> StoreError {
    StoreError::TooBig {
        cid,
        what: "different blocks",
        limit: MAX_FILE_BLOCKS,
    }
}

impl OpenNode {
    /// Takes in a child that is done, which may have been met elsewhere before.
    fn absorb(&mut self, child: &Link, summary: Summary) -> Result<(), StoreError> {
        if let Some(stated) = child.stated {
            stated.check(child.cid, summary.stated)?;
        }
        if child.depth + summary.height > MAX_FILE_DEPTH {
            return Err(too_deep(child.cid));
        }
        self.children.pop_front();
        self.expected = self.expected.saturating_sub(1);
        self.summary.blocks = self.summary.blocks.saturating_add(summary.blocks);
        self.summary.height = self.summary.height.max(summary.height + 1);
        Ok(())
    }
}

/// Checks files and remembers those that passed, so that a file that many gates read is checked once.
pub struct FileChecker {
    source: Arc<dyn BlockSource>,
    remembered: Mutex<Remembered>,
    /// Places for large checks.
    room: Semaphore,
}

/// Files that were checked, and the order in which they were: the oldest goes when there are too many.
#[derive(Default)]
struct Remembered {
    shapes: HashMap<Cid, FileShape>,
    order: VecDeque<Cid>,
}

impl FileChecker {
    /// A checker that gets blocks from `source`.
    pub fn new(source: Arc<dyn BlockSource>) -> Self {
        Self {
            source,
            remembered: Mutex::default(),
            room: Semaphore::new(LARGE_CHECKS),
        }
    }

    /// As [`check_file`], for a file that takes at most `most_blocks` blocks to read, equal ones counted each time.
    /// `None` if it takes more; then no more than that many different ones were looked at. What comes first counts: a
    /// fault, or the block that is too many. A file that was checked before gives the same answer.
    ///
    /// # Errors
    /// As [`check_file`].
    pub async fn check(&self, cid: Cid, most_blocks: u64) -> Result<Option<FileShape>, StoreError> {
        if let Some(shape) = self.recall(&cid) {
            return Ok(shape.within(most_blocks));
        }
        let shape = check_within(&*self.source, cid, most_blocks, &self.room).await?;
        if let Some(shape) = shape {
            self.remember(cid, shape);
        }
        Ok(shape)
    }

    /// Notes that `cid` is a file of this shape. For files that an [`Importer`](crate::Importer) has just made.
    pub fn remember(&self, cid: Cid, shape: FileShape) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.shapes.insert(cid, shape).is_none() {
            remembered.order.push_back(cid);
        }
        if remembered.order.len() > MAX_REMEMBERED_FILES {
            if let Some(oldest) = remembered.order.pop_front() {
                remembered.shapes.remove(&oldest);
            }
        }
    }

    fn recall(&self, cid: &Cid) -> Option<FileShape> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.shapes.get(cid).copied()
    }
}
