//! What was read of a file once. Its CID fixes all of it, so it is true for ever.

use cid::Cid;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is remembered of a bounded number of files; the oldest is forgotten first.
pub(super) struct Remembered<T> {
    most: usize,
    files: Mutex<Known<T>>,
}

struct Known<T> {
    files: HashMap<Cid, T>,
    order: VecDeque<Cid>,
}

impl<T: Clone> Remembered<T> {
    /// Nothing yet, of at most so many files.
    pub fn new(most: usize) -> Self {
        let files = Mutex::new(Known {
            files: HashMap::new(),
            order: VecDeque::new(),
        });
        Self { most, files }
    }

    /// What is remembered of a file.
    pub fn get(&self, cid: &Cid) -> Option<T> {
        self.known().files.get(cid).cloned()
    }

    /// Remembers it.
    pub fn remember(&self, cid: Cid, value: T) {
        let mut known = self.known();
        if known.files.insert(cid, value).is_none() {
            known.order.push_back(cid);
        }
        while known.order.len() > self.most {
            let oldest = known.order.pop_front();
            oldest.map(|oldest| known.files.remove(&oldest));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::cids::{data_cid, sha256};

    #[test]
    fn the_oldest_is_forgotten() {
        let known = Remembered::new(2);
        let cid = |n: u8| data_cid(sha256(&[n]));
        for n in 0..3 {
            known.remember(cid(n), n);
        }
        known.remember(cid(2), 2);
        assert_eq!(
            [0, 1, 2].map(|n| known.get(&cid(n))),
            [None, Some(1), Some(2)]
        );
    }
}
