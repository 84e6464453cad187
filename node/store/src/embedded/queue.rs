//! Puts that wait for each other share one transaction.
//!
//! A durable commit costs much the same for one block as for a hundred. While one is under way, further puts gather;
//! then one of them commits them all and tells the others. The queue has no thread or task: the put whose turn it is
//! does the work.

use super::{database, slot::DatabaseSlot};
use crate::{block::Key, draft::Marks, StoreError};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{oneshot, Semaphore};

/// How many puts may be in the queue; further ones wait until there is a place.
const WAITING_PUTS: usize = 256;

/// Bytes beyond which no further put joins a transaction.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The blocks of one put, and who waits for it.
pub(super) struct Job {
    blocks: Vec<(Key, Bytes)>,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, data)| data.len()).sum()
    }

    fn answer(self, result: Result<(), StoreError>) {
        // The caller may have gone away.
        drop(self.reply.send(result));
    }
}

/// The puts that wait.
pub(super) struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    room: Semaphore,
    turn: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new() -> Self {
        let (room, turn) = (Semaphore::new(WAITING_PUTS), Arc::new(Semaphore::new(1)));
        Self {
            jobs: Mutex::default(),
            room,
            turn,
        }
    }

    /// Whoever holds the permit may write.
    pub(super) fn turn(&self) -> &Arc<Semaphore> {
        &self.turn
    }

    /// Places in the queue. A put holds a permit while it waits.
    pub(super) fn room(&self) -> &Semaphore {
        &self.room
    }

    /// Puts these blocks into the queue. The answer comes when they were committed, by this put or by another.
    pub(super) fn join(
        &self,
        blocks: Vec<(Key, Bytes)>,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.jobs().push_back(Job { blocks, reply });
        answer
    }

    /// The jobs of one transaction, oldest first. Jobs whose callers have gone away are left out.
    pub(super) fn next_batch(&self) -> Vec<Job> {
        let mut jobs = self.jobs();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            let Some(job) = jobs.pop_front() else { break };
            if !job.reply.is_closed() {
                bytes += job.bytes();
                batch.push(job);
            }
        }
        batch
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits all of them together. If that fails, each by itself, so that one that is too large for the disk does not
/// make the others fail. Blocks that a draft has put already stay now.
pub(super) fn write(shared: &DatabaseSlot, marks: &Marks, batch: Vec<Job>) {
    let keys = batch.iter().flat_map(|job| &job.blocks).map(|(key, _)| key);
    marks.release(keys);
    let together = match batch.len() {
        0 | 1 => false,
        _ => shared
            .with(|database| database::put(database, batch.iter().flat_map(|job| &job.blocks)))
            .is_ok(),
    };
    for job in batch {
        let result = match together {
            true => Ok(()),
            false => shared.with(|database| database::put(database, &job.blocks)),
        };
        job.answer(result);
    }
}
