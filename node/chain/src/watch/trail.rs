//! Where the watcher has been, so that it finds its way back when the chain is reorganised.
//!
//! A [`Trail`] is the cursors of the pages that the consumer has stored. If a cursor is still on the chain, all lower
//! ones are, so a binary search finds the newest common block. A chain that merely ends before a cursor has not
//! replaced it: the endpoint is behind, and nothing is taken back.

use crate::{chain::Chain, convert::h256, error::ChainError, types::Cursor};
use std::collections::VecDeque;

/// Cursors that are remembered, here and by the consumer. After a reorganisation deeper than all of them, the watch starts
/// from the beginning.
pub const TRAIL_LENGTH: usize = 1024;

/// Cursors that the consumer has had, oldest first.
#[derive(Debug, Default)]
pub(super) struct Trail(VecDeque<Cursor>);

/// Which part of a trail is still on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remains {
    /// How many of the oldest cursors are still canonical.
    kept: usize,
    /// Whether the chain ends before the other cursors: then it has not replaced their blocks, but does not have them
    /// yet.
    pub is_behind: bool,
}

impl Remains {
    pub(super) fn is_nothing(&self) -> bool {
        self.kept == 0
    }

    /// Whether every cursor of the trail holds.
    pub(super) fn is_everything(&self, trail: &Trail) -> bool {
        self.kept == trail.0.len()
    }
}

impl Trail {
    /// The trail of an earlier run, newest last.
    pub(super) fn new(cursors: Vec<Cursor>) -> Self {
        let skip = cursors.len().saturating_sub(TRAIL_LENGTH);
        Self(cursors.into_iter().skip(skip).collect())
    }

    pub(super) fn newest(&self) -> Option<Cursor> {
        self.0.back().copied()
    }

    /// Adds the newest cursor. The oldest goes when there are more than [`TRAIL_LENGTH`].
    pub(super) fn push(&mut self, cursor: Cursor) {
        if self.newest() == Some(cursor) {
            return;
        }
        self.0.push_back(cursor);
        if self.0.len() > TRAIL_LENGTH {
            self.0.pop_front();
        }
    }

    /// Compares with the chain, whose newest block is at `head`.
    ///
    /// If a cursor is canonical, all lower ones are, so a binary search takes ten requests.
    pub(super) async fn compare(&self, chain: &Chain, head: u64) -> Result<Remains, ChainError> {
        let within = self
            .0
            .iter()
            .take_while(|cursor| cursor.number <= head)
            .count();
        let (mut kept, mut end) = (0, within);
        // Most often nothing has changed.
        if let Some(newest) = within.checked_sub(1).and_then(|last| self.0.get(last)) {
            if is_canonical(chain, *newest).await? {
                kept = within;
            }
        }
        while kept < end {
            let middle = kept + (end - kept) / 2;
            match self.0.get(middle) {
                Some(cursor) if is_canonical(chain, *cursor).await? => kept = middle + 1,
                _ => end = middle,
            }
        }
        Ok(Remains {
            kept,
            is_behind: kept == within && within < self.0.len(),
        })
    }

    /// Forgets the cursors that are not canonical any more.
    pub(super) fn keep(&mut self, remains: Remains) {
        self.0.truncate(remains.kept);
    }

    /// Forgets the cursors from this block on.
    pub(super) fn forget_from(&mut self, block: u64) {
        let kept = self.0.iter().take_while(|cursor| cursor.number < block);
        self.0.truncate(kept.count());
    }
}

/// Whether the chain still has this block at this height.
pub(super) async fn is_canonical(chain: &Chain, cursor: Cursor) -> Result<bool, ChainError> {
    let header = chain.header(cursor.number).await?;
    Ok(header.is_some_and(|header| header.hash == h256(cursor.hash)))
}
