//! Blocks of which it is not known yet whether they are needed: the output of a program that still runs.
//!
//! A [`Draft`] names the blocks that were put for it and that the store did not have before. If the program fails, they are
//! removed. A block that anybody else has put or read meanwhile stays, because somebody may rely on it. What several drafts
//! have put is removed with the last of them.
//!
//! A draft that is dropped is discarded at the store's next write. After a crash the blocks of all drafts stay, which does
//! no harm.

use crate::block::Key;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most blocks that a draft remembers: 64 GiB of output. Further blocks are stored as all others, and stay.
pub const MAX_DRAFT_BLOCKS: usize = 1 << 18;

/// Blocks that can be removed together, until [`BlockStore::keep`](crate::BlockStore::keep) is called.
#[derive(Debug, Default)]
pub struct Draft {
    marks: Arc<Marks>,
    /// Whether each was new, so that it is removed with the draft.
    blocks: HashMap<Key, bool>,
}

/// The blocks in a store that only drafts hold.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<DraftState>);

/// Which blocks only drafts hold, and which of them nobody wants any more.
#[derive(Debug, Default)]
struct DraftState {
    /// How many drafts hold each.
    held: HashMap<Key, u32>,
    /// Blocks of drafts that were discarded, each once for each draft.
    given_up: Vec<Key>,
}

impl Marks {
    /// A draft of the store with these marks.
    pub(crate) fn draft(self: &Arc<Self>) -> Draft {
        Draft {
            marks: Arc::clone(self),
            blocks: HashMap::new(),
        }
    }

    /// Somebody relies on the blocks: they stay.
    pub(crate) fn release<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        let mut state = self.state();
        if !state.held.is_empty() {
            for key in keys {
                state.held.remove(key);
            }
        }
    }

    /// Whether a discarded draft has left something to remove.
    pub(crate) fn has_given_up(&self) -> bool {
        !self.state().given_up.is_empty()
    }

    /// The blocks of discarded drafts that nobody holds any more. The caller removes them, and nobody may put blocks
    /// meanwhile.
    pub(crate) fn take_given_up(&self) -> Vec<Key> {
        let mut state = self.state();
        let mut gone = Vec::new();
        for key in std::mem::take(&mut state.given_up) {
            match state.held.get_mut(&key) {
                Some(1) => {
                    state.held.remove(&key);
                    gone.push(key);
                }
                Some(count) => *count -= 1,
                None => {}
            }
        }
        gone
    }

    fn state(&self) -> MutexGuard<'_, DraftState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Draft {
    /// Whether it remembers no further block.
    pub(crate) fn is_full(&self) -> bool {
        self.blocks.len() >= MAX_DRAFT_BLOCKS
    }

    /// Whether nothing was put for it.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Before blocks are put: `is_new` says of each whether the store lacks it. A reader that comes between this and the
    /// put keeps the block.
    pub(crate) fn claim(&mut self, keys: impl IntoIterator<Item = (Key, bool)>) {
        let mut state = self.marks.state();
        for (key, is_new) in keys {
            if self.blocks.contains_key(&key) {
                continue;
            }
            let goes = is_new || state.held.contains_key(&key);
            self.blocks.insert(key, goes);
            if goes {
                *state.held.entry(key).or_default() += 1;
            }
        }
    }

    /// Its blocks, those that the store had before too.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Key> {
        self.blocks.keys()
    }

    /// They stay.
    pub(crate) fn kept(mut self) {
        let blocks = std::mem::take(&mut self.blocks);
        self.marks.release(blocks.keys());
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let goes = self
            .blocks
            .drain()
            .filter_map(|(key, goes)| goes.then_some(key));
        self.marks.state().given_up.extend(goes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::KEY_BYTES;

    const ONE: Key = [1; KEY_BYTES];
    const TWO: Key = [2; KEY_BYTES];

    #[test]
    fn what_a_draft_alone_has_put_is_given_up_with_it() {
        let marks = Arc::new(Marks::default());
        let mut draft = marks.draft();
        draft.claim([(ONE, true), (TWO, false), (ONE, true)]);
        drop(draft);
        assert!(marks.has_given_up());
        assert_eq!(marks.take_given_up(), [ONE]);
        assert!(!marks.has_given_up());
    }

    #[test]
    fn what_somebody_relies_on_stays() {
        let marks = Arc::new(Marks::default());
        let mut draft = marks.draft();
        draft.claim([(ONE, true), (TWO, true)]);
        marks.release([&ONE]);
        drop(draft);
        assert_eq!(marks.take_given_up(), [TWO]);
        let mut kept = marks.draft();
        kept.claim([(ONE, true)]);
        kept.kept();
        assert!(marks.take_given_up().is_empty());
    }

    #[test]
    fn what_two_drafts_have_put_goes_with_the_last_and_stays_with_the_first_that_is_kept() {
        let marks = Arc::new(Marks::default());
        let drafts = || {
            let (mut one, mut two) = (marks.draft(), marks.draft());
            one.claim([(ONE, true)]);
            two.claim([(ONE, false)]);
            (one, two)
        };
        let (one, two) = drafts();
        drop(one);
        assert!(marks.take_given_up().is_empty());
        drop(two);
        assert_eq!(marks.take_given_up(), [ONE]);
        let (one, two) = drafts();
        one.kept();
        drop(two);
        assert!(marks.take_given_up().is_empty());
    }
}
