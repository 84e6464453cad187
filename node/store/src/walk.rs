//! A depth-first walk over the graph below a root, with a bounded window of blocks read ahead.
//!
//! Blocks are asked for before they are needed and in groups, so that a source behind a network needs one
//! round trip for a window and not one for each block, and works while the reader does.
//!
//! What the reader sees does not depend on reading ahead. A fault takes the place of the block that has it: everything
//! before it is given out first, and of two faults in one window the first one counts.

use crate::{Block, BlockSource, StoreError, MAX_BLOCK_BYTES};
use bytes::Bytes;
use cid::Cid;
use futures::{
    future::{join, BoxFuture},
    FutureExt, Stream,
};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Most blocks asked for at once.
pub const READ_AHEAD_BLOCKS: usize = 16;

/// Most bytes held for the reader, unless a single block has more. As many again may be under way.
pub const READ_AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// Most links that wait to be followed at one time.
pub const MAX_PENDING_LINKS: u32 = 128 * 1024;

/// When more links than this wait, blocks are asked for one by one, depth first, which adds the fewest new links. A
/// file, whose nodes have a bounded number of links and levels, then never meets [`MAX_PENDING_LINKS`].
const EAGER_LINKS: usize = 8 * 1024;

/// A block to visit.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Its name.
    pub(crate) cid: Cid,
    /// Links between it and the root.
    pub(crate) depth: u32,
    /// What the parent says of it, in a file.
    pub(crate) stated: Option<Stated>,
    /// Bytes of the file before it.
    pub(crate) at: u64,
}

/// What the parent of a part of a file says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stated {
    /// Bytes of the file in it and all below it.
    pub(crate) bytes: u64,
    /// Bytes of the blocks: of it and all below it.
    pub(crate) weight: u64,
}

impl Link {
    /// The start of a walk.
    pub(crate) fn root(cid: Cid) -> Self {
        Self {
            cid,
            depth: 0,
            stated: None,
            at: 0,
        }
    }

    /// The most that its block can be expected to have, in bytes.
    pub(crate) fn expected_bytes(&self) -> usize {
        let weight = self.stated.map(|stated| stated.weight);
        let weight = weight.and_then(|weight| usize::try_from(weight).ok());
        weight.map_or(MAX_BLOCK_BYTES, |weight| weight.min(MAX_BLOCK_BYTES))
    }
}

/// The result of a visit.
pub(crate) struct Visit {
    /// Pieces of output that come before those of the children.
    pub(crate) output: Vec<Bytes>,
    /// What to visit next, in order.
    pub(crate) children: Vec<Link>,
}

/// What a walk is for.
pub(crate) trait Visitor: Send + Unpin + 'static {
    /// Refuses a root by its CID, before anything is fetched. All other CIDs are checked when the block that contains
    /// them is visited.
    fn check_root(&self, root: &Cid) -> Result<(), StoreError>;

    /// Looks at one block. It is called once for each link, parents before children.
    fn visit(&mut self, link: &Link, block: Block) -> Result<Visit, StoreError>;

    /// Called in depth-first order, for each block before its output: whether it is to be left out.
    fn leave_out(&mut self, cid: &Cid) -> Result<bool, StoreError>;

    /// Whether it is known already that a link would be left out, so that it need not be fetched.
    fn is_known(&self, cid: &Cid) -> bool;
}

/// A place in the walk, in depth-first order.
enum Slot {
    /// Not asked for yet.
    Wanted(Link),
    /// Asked for.
    Asked(Link),
    /// Visited; its output waits for its turn.
    Visited { cid: Cid, output: Vec<Bytes> },
    /// It could not be visited. There is no place after it.
    Failed(StoreError),
}

type Fetch = BoxFuture<'static, Vec<Result<Block, StoreError>>>;

/// The output of a walk, as a stream that ends after the first error.
pub(crate) struct Walk<V> {
    source: Arc<dyn BlockSource>,
    /// What is made of each block, and which links are followed.
    visitor: V,
    /// What is still to come, in order.
    slots: VecDeque<Slot>,
    /// The blocks that are being fetched.
    fetch: Option<Fetch>,
    /// Content that the reader has not taken yet.
    ready: VecDeque<Bytes>,
    /// What ended the walk. It is reported after all output before it.
    failed: Option<StoreError>,
    /// Bytes of output in `slots` and `ready`.
    held: usize,
}

impl<V: Visitor> Walk<V> {
    /// From `root`, with the blocks of `source`.
    pub(crate) fn new(source: Arc<dyn BlockSource>, visitor: V, root: Cid) -> Self {
        let refused = visitor.check_root(&root).err();
        let first = match refused {
            Some(error) => Slot::Failed(error),
            None => Slot::Wanted(Link::root(root)),
        };
        Self {
            source,
            visitor,
            slots: VecDeque::from([first]),
            fetch: None,
            ready: VecDeque::new(),
            failed: None,
            held: 0,
        }
    }

    /// Asks for the next window, if there is room for it.
    fn ask(&mut self) {
        let mut window = Vec::new();
        let mut room = READ_AHEAD_BYTES.saturating_sub(self.held);
        let most = match self.slots.len() > EAGER_LINKS {
            true => 1,
            false => READ_AHEAD_BLOCKS,
        };
        for slot in &mut self.slots {
            let Slot::Wanted(link) = slot else { continue };
            let bytes = link.expected_bytes();
            // The next block of the order is asked for even if it is larger than the room: nothing else could make room.
            let must = window.is_empty() && self.ready.is_empty();
            if window.len() == most || (bytes > room && !must) {
                break;
            }
            if self.visitor.is_known(&link.cid) {
                continue;
            }
            room = room.saturating_sub(bytes);
            window.push(link.cid);
            *slot = Slot::Asked(link.clone());
        }
        if !window.is_empty() {
            let source = Arc::clone(&self.source);
            self.fetch = Some(async move { fetch(&*source, &window).await }.boxed());
        }
    }

    /// Puts what was fetched in the place of what was asked for, and its children behind it.
    fn place(&mut self, fetched: Vec<Result<Block, StoreError>>) {
        let mut front = Vec::with_capacity(fetched.len());
        let mut fetched = fetched.into_iter();
        while fetched.len() > 0 {
            let placed = match self.slots.pop_front() {
                Some(Slot::Asked(link)) => self.visit(&link, fetched.next(), &mut front),
                Some(other) => {
                    front.push(other);
                    continue;
                }
                None => break,
            };
            let placed = placed.and_then(|()| self.check_pending(&front));
            if let Err(error) = placed {
                front.push(Slot::Failed(error));
                // Output after a fault is never given out.
                self.slots.clear();
                break;
            }
        }
        for slot in front.into_iter().rev() {
            self.slots.push_front(slot);
        }
    }

    /// Bounds the links that wait: a node with very many children would otherwise fill the memory.
    fn check_pending(&self, front: &[Slot]) -> Result<(), StoreError> {
        if self.slots.len() + front.len() <= MAX_PENDING_LINKS as usize {
            return Ok(());
        }
        let mut cids = front.iter().filter_map(|slot| match slot {
            Slot::Wanted(link) | Slot::Asked(link) => Some(link.cid),
            Slot::Visited { cid, .. } => Some(*cid),
            Slot::Failed(_) => None,
        });
        Err(StoreError::TooBig {
            cid: cids.next_back().unwrap_or_default(),
            what: "blocks side by side",
            limit: MAX_PENDING_LINKS,
        })
    }

    /// A block has come: its content takes its place in the order, and its children come right after it.
    fn visit(
        &mut self,
        link: &Link,
        block: Option<Result<Block, StoreError>>,
        front: &mut Vec<Slot>,
    ) -> Result<(), StoreError> {
        let block = block.ok_or(StoreError::WrongAnswer { cid: link.cid })??;
        let visit = self.visitor.visit(link, block)?;
        self.held += length(&visit.output);
        front.push(Slot::Visited {
            cid: link.cid,
            output: visit.output,
        });
        front.extend(visit.children.into_iter().map(Slot::Wanted));
        Ok(())
    }

    /// Moves to `ready` all output whose turn has come.
    fn emit(&mut self) -> Result<(), StoreError> {
        while let Some(slot) = self.slots.pop_front() {
            match slot {
                Slot::Visited { cid, output } if self.visitor.leave_out(&cid)? => {
                    self.held -= length(&output)
                }
                Slot::Visited { output, .. } => self.ready.extend(output),
                Slot::Wanted(link) if self.visitor.is_known(&link.cid) => {}
                Slot::Failed(error) => return Err(error),
                waiting => {
                    self.slots.push_front(waiting);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Goes on with what was fetched.
    fn advance(&mut self, fetched: Vec<Result<Block, StoreError>>) {
        self.place(fetched);
        if let Err(error) = self.emit() {
            self.slots.clear();
            self.failed = Some(error);
        }
    }

    /// Whether the first place failed without anything being asked for: a root that was refused by its CID.
    fn needs_a_look(&self) -> bool {
        matches!(self.slots.front(), Some(Slot::Failed(_)))
    }

    /// The next piece of output that is there already, or the error after the last piece.
    fn take(&mut self) -> Option<Result<Bytes, StoreError>> {
        match self.ready.pop_front() {
            Some(bytes) => {
                self.held -= bytes.len();
                Some(Ok(bytes))
            }
            None => self.failed.take().map(Err),
        }
    }
}

/// The blocks of a window in order. The first that cannot be had ends the answer with its error.
///
/// Each block is asked for once, however often it stands in the window: a file of zeros is one block. A source answers
/// with all of them or an error; then they are asked for one by one, so that the error has its place.
pub(crate) async fn fetch(
    source: &dyn BlockSource,
    window: &[Cid],
) -> Vec<Result<Block, StoreError>> {
    let mut cids: Vec<Cid> = Vec::with_capacity(window.len());
    for cid in window {
        if !cids.contains(cid) {
            cids.push(*cid);
        }
    }
    let blocks = match source.blocks(&cids).await {
        Ok(blocks) => blocks.into_iter().map(Ok).collect(),
        Err(error) if cids.len() == 1 => vec![Err(error)],
        Err(_) => fetch_one_by_one(source, &cids).await,
    };
    in_order(window, blocks)
}

/// The same, asking for both halves of the window at once: a store hashes what it reads, which two threads do in half the time.
pub(crate) async fn fetch_in_halves(
    source: &dyn BlockSource,
    window: &[Cid],
) -> Vec<Result<Block, StoreError>> {
    if window.len() < 2 {
        return fetch(source, window).await;
    }
    let (first, second) = window.split_at(window.len() / 2);
    let (mut blocks, others) = join(fetch(source, first), fetch(source, second)).await;
    // What comes after a fault does not count.
    if blocks.last().is_none_or(Result::is_ok) {
        blocks.extend(others);
    }
    blocks
}

async fn fetch_one_by_one(
    source: &dyn BlockSource,
    cids: &[Cid],
) -> Vec<Result<Block, StoreError>> {
    let mut blocks = Vec::with_capacity(cids.len());
    for cid in cids {
        match source.blocks(&[*cid]).await {
            Ok(found) => blocks.extend(found.into_iter().map(Ok)),
            Err(error) => {
                blocks.push(Err(error));
                break;
            }
        }
    }
    blocks
}

/// Gives each place of the window its block, and ends with the first error.
fn in_order(
    window: &[Cid],
    fetched: Vec<Result<Block, StoreError>>,
) -> Vec<Result<Block, StoreError>> {
    let (mut blocks, mut failed) = (Vec::with_capacity(fetched.len()), None);
    for block in fetched {
        match block {
            Ok(block) => blocks.push(block),
            Err(error) => failed = Some(error),
        }
    }
    let mut answer = Vec::with_capacity(window.len());
    for cid in window {
        let Some(block) = blocks.iter().find(|block| block.cid() == cid) else {
            let absent = StoreError::WrongAnswer { cid: *cid };
            answer.push(Err(failed.take().unwrap_or(absent)));
            break;
        };
        answer.push(Ok(block.clone()));
    }
    answer
}

fn length(output: &[Bytes]) -> usize {
    output.iter().map(Bytes::len).sum()
}

impl<V: Visitor> Stream for Walk<V> {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.fetch.is_none() {
                self.ask();
            }
            if let Some(fetch) = self.fetch.as_mut() {
                if let Poll::Ready(fetched) = fetch.poll_unpin(context) {
                    self.fetch = None;
                    self.advance(fetched);
                    continue;
                }
            }
            let taken = self.take();
            // What is ready goes to the reader before more is waited for.
            if taken.is_some() {
                return Poll::Ready(taken);
            }
            if self.fetch.is_some() {
                return Poll::Pending;
            }
            if !self.needs_a_look() {
                return Poll::Ready(None);
            }
            self.advance(Vec::new());
        }
    }
}
