//! Where the watcher has been, so that it finds its way back when the chain is reorganised.

use crate::{chain::Chain, convert::h256, error::ChainError, types::Cursor};
use std::collections::VecDeque;

/// Cursors that are remembered. A reorganisation deeper than all of them starts the watch again.
pub const TRAIL_LENGTH: usize = 1024;

/// Cursors that the consumer has had, oldest first.
#[derive(Debug, Default)]
pub(super) struct Trail(VecDeque<Cursor>);

impl Trail {
    /// The trail of an earlier run, newest last.
    pub(super) fn new(cursors: Vec<Cursor>) -> Self {
        let skip = cursors.len().saturating_sub(TRAIL_LENGTH);
        Self(cursors.into_iter().skip(skip).collect())
    }

    pub(super) fn newest(&self) -> Option<Cursor> {
        self.0.back().copied()
    }

    pub(super) fn push(&mut self, cursor: Cursor) {
        if self.newest() == Some(cursor) {
            return;
        }
        self.0.push_back(cursor);
        if self.0.len() > TRAIL_LENGTH {
            self.0.pop_front();
        }
    }

    /// Forgets the cursors that are not canonical any more; the newest that still is remains last.
    ///
    /// What was canonical at some height was so at every lower height, so a binary search finds it in
    /// ten questions.
    pub(super) async fn rewind(&mut self, chain: &Chain) -> Result<(), ChainError> {
        let (mut canonical, mut end) = (0, self.0.len());
        while canonical < end {
            let middle = canonical + (end - canonical) / 2;
            match self.0.get(middle) {
                Some(cursor) if is_canonical(chain, *cursor).await? => canonical = middle + 1,
                _ => end = middle,
            }
        }
        self.0.truncate(canonical);
        Ok(())
    }
}

/// Whether the chain still has this block at this height.
pub(super) async fn is_canonical(chain: &Chain, cursor: Cursor) -> Result<bool, ChainError> {
    let header = chain.header(cursor.number).await?;
    Ok(header.is_some_and(|header| header.hash == h256(cursor.hash)))
}
