//! A depth-first walk over the graph below a root, with a bounded window of blocks read ahead.
//!
//! Blocks are asked for before they are needed and in groups, so that a source behind a network needs one
//! round trip for a window and not one for each block, and works while the reader does.

use crate::{Block, BlockSource, StoreError, MAX_BLOCK_BYTES};
use bytes::Bytes;
use cid::Cid;
use futures::{future::BoxFuture, FutureExt, Stream};
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

/// A block to visit.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Its name.
    pub(crate) cid: Cid,
    /// Links between it and the root.
    pub(crate) depth: u32,
    /// Bytes of the file below it, where the parent says so.
    pub(crate) size: Option<u64>,
}

impl Link {
    /// The start of a walk.
    pub(crate) fn root(cid: Cid) -> Self {
        Self {
            cid,
            depth: 0,
            size: None,
        }
    }

    /// The most that its block can be expected to have, in bytes.
    fn expected_bytes(&self) -> usize {
        let size = self.size.and_then(|size| usize::try_from(size).ok());
        size.map_or(MAX_BLOCK_BYTES, |size| size.min(MAX_BLOCK_BYTES))
    }
}

/// What comes of a visit.
pub(crate) struct Visit {
    /// Pieces of output that stand before all that comes of the children.
    pub(crate) output: Vec<Bytes>,
    /// What to visit next, in order.
    pub(crate) children: Vec<Link>,
}

/// What a walk is for.
pub(crate) trait Visitor: Send + Unpin + 'static {
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
}

type Fetch = BoxFuture<'static, Result<Vec<Block>, StoreError>>;

/// The output of a walk, as a stream that ends after the first error.
pub(crate) struct Walk<V> {
    source: Arc<dyn BlockSource>,
    visitor: V,
    slots: VecDeque<Slot>,
    fetch: Option<Fetch>,
    ready: VecDeque<Bytes>,
    /// What ended the walk; told after all that stands before it.
    failed: Option<StoreError>,
    /// Bytes of output in `slots` and `ready`.
    held: usize,
}

impl<V: Visitor> Walk<V> {
    /// From `root`, with the blocks of `source`.
    pub(crate) fn new(source: Arc<dyn BlockSource>, visitor: V, root: Cid) -> Self {
        let slots = VecDeque::from([Slot::Wanted(Link::root(root))]);
        Self {
            source,
            visitor,
            slots,
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
        for slot in &mut self.slots {
            let Slot::Wanted(link) = slot else { continue };
            let bytes = link.expected_bytes();
            let must = window.is_empty() && self.ready.is_empty();
            if window.len() == READ_AHEAD_BLOCKS || (bytes > room && !must) {
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
    fn place(&mut self, blocks: Vec<Block>) -> Result<(), StoreError> {
        let mut blocks = blocks.into_iter();
        let mut front = Vec::with_capacity(blocks.len());
        while blocks.len() > 0 {
            match self.slots.pop_front() {
                Some(Slot::Asked(link)) => self.visit(&link, blocks.next(), &mut front)?,
                Some(other) => front.push(other),
                None => break,
            }
        }
        if self.slots.len() + front.len() > MAX_PENDING_LINKS as usize {
            let cid = self.first_cid(&front).unwrap_or_default();
            return Err(StoreError::TooBig {
                cid,
                what: "blocks side by side",
                limit: MAX_PENDING_LINKS,
            });
        }
        for slot in front.into_iter().rev() {
            self.slots.push_front(slot);
        }
        Ok(())
    }

    fn first_cid(&self, front: &[Slot]) -> Option<Cid> {
        front.first().map(|slot| match slot {
            Slot::Wanted(link) | Slot::Asked(link) => link.cid,
            Slot::Visited { cid, .. } => *cid,
        })
    }

    fn visit(
        &mut self,
        link: &Link,
        block: Option<Block>,
        front: &mut Vec<Slot>,
    ) -> Result<(), StoreError> {
        let block = block.ok_or(StoreError::WrongAnswer { cid: link.cid })?;
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
                waiting => {
                    self.slots.push_front(waiting);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Goes on with what was fetched.
    fn advance(&mut self, fetched: Result<Vec<Block>, StoreError>) {
        let advanced = fetched
            .and_then(|blocks| self.place(blocks))
            .and_then(|()| self.emit());
        if let Err(error) = advanced {
            self.slots.clear();
            self.failed = Some(error);
        }
    }

    /// The next piece of output that is there already, or the error behind the last.
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

/// Asks for each block once, however often it stands in the window: a file of zeros is one block.
async fn fetch(source: &dyn BlockSource, window: &[Cid]) -> Result<Vec<Block>, StoreError> {
    let mut cids: Vec<Cid> = Vec::with_capacity(window.len());
    for cid in window {
        if !cids.contains(cid) {
            cids.push(*cid);
        }
    }
    let blocks = source.blocks(&cids).await?;
    let block_of = |cid: &Cid| blocks.iter().find(|block| block.cid() == cid).cloned();
    window
        .iter()
        .map(|cid| block_of(cid).ok_or(StoreError::WrongAnswer { cid: *cid }))
        .collect()
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
            return match (self.take(), &self.fetch) {
                (None, Some(_)) => Poll::Pending,
                (taken, _) => Poll::Ready(taken),
            };
        }
    }
}
