//! Gates that this member is opening now: bounded in number, each once at a time, and none of them for ever, whatever happens to
//! the task that opens it.

use rings_protocol::Digest;
use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
};
use tokio::task::{Id, JoinSet};

/// Gates that are being opened, by their executions; a task gives a `T`.
pub(super) struct Openings<T> {
    tasks: JoinSet<T>,
    names: HashMap<Id, Digest>,
    opens: BTreeSet<Digest>,
    most: usize,
}

impl<T: Send + 'static> Openings<T> {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            opens: BTreeSet::new(),
            most,
        }
    }

    /// Whether there is room for one more, and this one is not being opened.
    pub fn has_room_for(&self, name: &Digest) -> bool {
        self.opens.len() < self.most && !self.opens.contains(name)
    }

    /// Opens one.
    pub fn begin(&mut self, name: Digest, opening: impl Future<Output = T> + Send + 'static) {
        let task = self.tasks.spawn(opening);
        self.names.insert(task.id(), name);
        self.opens.insert(name);
    }

    /// Waits until a task has ended; for ever as long as there is none. Gives what it gave, or nothing if it has panicked. May be
    /// dropped and called again.
    pub async fn ended(&mut self) -> (Digest, Option<T>) {
        loop {
            let (id, given) = match self.tasks.join_next_with_id().await {
                Some(Ok((id, given))) => (id, Some(given)),
                Some(Err(error)) => (error.id(), None),
                None => std::future::pending().await,
            };
            if let Some(name) = self.names.remove(&id) {
                self.opens.remove(&name);
                return (name, given);
            }
        }
    }

    /// Ends all of them.
    pub fn abort(&mut self) {
        self.tasks.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_whose_task_panics_can_be_opened_again() {
        let mut openings = Openings::new(1);
        let name = Digest([1; 32]);
        for given in [None, Some(7)] {
            assert!(openings.has_room_for(&name));
            openings.begin(name, async move {
                assert!(given.is_some(), "this one panics");
                7
            });
            assert!(!openings.has_room_for(&name));
            assert!(
                !openings.has_room_for(&Digest([2; 32])),
                "there is room for one"
            );
            assert_eq!(openings.ended().await, (name, given));
        }
    }
}
