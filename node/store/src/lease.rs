//! Blocks that were put and that nothing names yet: a collection leaves them.
//!
//! Between a put and the record that names the blocks (a pin, the index of a log, a vote), a collection would find that
//! nobody needs them. Whoever is in between holds a [`Lease`] of the store. While there is one, [`Young`] remembers all
//! keys that were put since the oldest lease began. A collection holds one too ([`Young::lease_of_all`]), so that what is
//! put while it works stays as well.

use crate::block::Key;
use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// While it lives, a collection leaves all blocks that were put since it was taken.
#[derive(Debug, Default)]
pub struct Lease {
    /// `None` for a store that collects nothing.
    of: Option<(Arc<Young>, u64)>,
}

/// The keys that were put since the oldest lease began. What bounds them is what bounds the holders of leases: uploads,
/// runs and archives, with their bytes.
#[derive(Debug, Default)]
pub(crate) struct Young(Mutex<LeaseState>);

/// Leases and puts have numbers from one counter: a lease covers what was put with its own number or a higher one.
#[derive(Debug, Default)]
struct LeaseState {
    /// The number of the next lease or put.
    next: u64,
    /// When each lease began. Two may have the same number.
    leases: BTreeSet<(u64, u64)>,
    put: VecDeque<(u64, Key)>,
}

impl Young {
    /// A lease from now on.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        let mut state = self.state();
        let began = state.next;
        self.begin(&mut state, began)
    }

    /// A lease that also keeps what the leases of now keep, when these end before it.
    pub(crate) fn lease_of_all(self: &Arc<Self>) -> Lease {
        let mut state = self.state();
        let began = state.leases.first().map_or(state.next, |(began, _)| *began);
        self.begin(&mut state, began)
    }

    fn begin(self: &Arc<Self>, state: &mut LeaseState, began: u64) -> Lease {
        let id = state.next;
        state.next += 1;
        state.leases.insert((began, id));
        Lease {
            of: Some((Arc::clone(self), id)),
        }
    }

    /// These are being put.
    pub(crate) fn note<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        let mut state = self.state();
        if state.leases.is_empty() {
            return;
        }
        let number = state.next;
        state.next += 1;
        state.put.extend(keys.into_iter().map(|key| (number, *key)));
    }

    /// All that a collection leaves now.
    pub(crate) fn keys(&self) -> HashSet<Key> {
        self.state().put.iter().map(|(_, key)| *key).collect()
    }

    /// A lease has ended: keys that were put before the oldest that is left need not be remembered any more.
    fn end(&self, id: u64) {
        let mut state = self.state();
        state.leases.retain(|(_, lease)| *lease != id);
        let Some((oldest, _)) = state.leases.first().copied() else {
            state.put = VecDeque::new();
            return;
        };
        while state.put.front().is_some_and(|(put, _)| *put < oldest) {
            state.put.pop_front();
        }
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((young, id)) = self.of.take() {
            young.end(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::KEY_BYTES;

    fn key(n: u8) -> Key {
        [n; KEY_BYTES]
    }

    fn kept(young: &Young) -> Vec<u8> {
        let mut kept: Vec<_> = young.keys().iter().map(|key| key[0]).collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn what_was_put_since_the_oldest_lease_stays() {
        let young = Arc::new(Young::default());
        young.note([&key(1)]);
        let first = young.lease();
        young.note([&key(2)]);
        let second = young.lease();
        young.note([&key(3)]);
        assert_eq!(kept(&young), [2, 3], "1 was put without a lease");
        drop(first);
        assert_eq!(kept(&young), [3]);
        drop(second);
        assert!(kept(&young).is_empty());
    }

    #[test]
    fn a_collection_keeps_what_the_leases_before_it_kept() {
        let young = Arc::new(Young::default());
        let upload = young.lease();
        young.note([&key(1)]);
        let collection = young.lease_of_all();
        drop(upload);
        young.note([&key(2)]);
        assert_eq!(kept(&young), [1, 2]);
        drop(collection);
        assert!(kept(&young).is_empty());
    }
}
