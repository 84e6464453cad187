//! Group commit: those who write at the same moment share one durable transaction.
//!
//! A durable commit costs much the same for one record as for a hundred, and while one is under way, others wait for it anyway. So
//! what comes meanwhile gathers, and whoever has the turn writes all of it. Nobody is answered before its own record is on
//! disk. When a common transaction fails, each writes its own, so that one record cannot spoil the others.
//!
//! Callers are threads that may wait: they come from `block_in_place`.

use super::error::StateError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most records of one transaction.
const MOST_TOGETHER: usize = 128;

/// What waits to be written.
pub(super) struct Together<T> {
    waiting: Mutex<Vec<Arc<Job<T>>>>,
    turn: Mutex<()>,
}

struct Job<T> {
    record: T,
    /// Whether the common transaction was committed; nothing before it has ended.
    written: Mutex<Option<bool>>,
}

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Vec::new()),
            turn: Mutex::new(()),
        }
    }
}

impl<T> Together<T> {
    /// Writes a record with `commit`, which gets those that are written together. It is durable when this returns.
    ///
    /// # Errors
    /// That of the record's own transaction.
    pub(super) fn write(
        &self,
        record: T,
        commit: impl Fn(&[&T]) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let job = Arc::new(Job {
            record,
            written: Mutex::new(None),
        });
        locked(&self.waiting).push(Arc::clone(&job));
        let _turn = locked(&self.turn);
        loop {
            let written = *locked(&job.written);
            match written {
                Some(true) => return Ok(()),
                Some(false) => return commit(&[&job.record]),
                // Who took it has not written it, because its thread ended.
                None if !self.write_batch(&commit) => return commit(&[&job.record]),
                None => {}
            }
        }
    }

    /// Writes those that have waited longest. Says whether there were any.
    fn write_batch(&self, commit: &impl Fn(&[&T]) -> Result<(), StateError>) -> bool {
        let batch: Vec<_> = {
            let mut waiting = locked(&self.waiting);
            let count = waiting.len().min(MOST_TOGETHER);
            waiting.drain(..count).collect()
        };
        let records: Vec<_> = batch.iter().map(|job| &job.record).collect();
        let written = commit(&records);
        if let Err(error) = &written {
            tracing::debug!(%error, count = batch.len(), "records cannot be written together; each is written by itself");
        }
        for job in &batch {
            *locked(&job.written) = Some(written.is_ok());
        }
        !batch.is_empty()
    }
}

/// The value behind a lock. Nobody panics while it is held.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            Barrier,
        },
        thread,
    };

    const WRITERS: usize = 64;

    #[test]
    fn all_are_written_and_not_each_by_itself() {
        let (together, disk) = (Together::default(), Mutex::new(Vec::new()));
        let (commits, barrier) = (AtomicUsize::new(0), Barrier::new(WRITERS));
        thread::scope(|scope| {
            for n in 0..WRITERS {
                let (together, disk, commits, barrier) = (&together, &disk, &commits, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let commit = |batch: &[&usize]| {
                        // The first waits until the others have gathered.
                        while commits.load(Ordering::SeqCst) == 0
                            && batch.len() + locked(&together.waiting).len() < WRITERS
                        {
                            thread::yield_now();
                        }
                        locked(disk).extend(batch.iter().map(|n| **n));
                        commits.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    together.write(n, commit).unwrap();
                    assert!(locked(disk).contains(&n));
                });
            }
        });
        let mut written = disk.into_inner().unwrap();
        written.sort_unstable();
        assert_eq!(written, (0..WRITERS).collect::<Vec<_>>());
        assert!(commits.into_inner() <= 2);
    }

    #[test]
    fn one_that_cannot_be_written_spoils_nothing_for_others() {
        let together = Together::default();
        let waiting = Arc::new(Job {
            record: 1,
            written: Mutex::new(None),
        });
        locked(&together.waiting).push(Arc::clone(&waiting));
        let disk = Mutex::new(Vec::new());
        let commit = |batch: &[&usize]| {
            if batch.contains(&&1) {
                return Err(StateError::Format("too large".into()));
            }
            locked(&disk).extend(batch.iter().map(|n| **n));
            Ok(())
        };
        together.write(2, commit).unwrap();
        assert_eq!(
            (locked(&disk).clone(), *locked(&waiting.written)),
            (vec![2], Some(false))
        );
        assert!(together.write(1, commit).is_err());
    }
}
