//! One request of an avatar at a time: two at once could both find their log nodes to be the next.
//!
//! The number of locks is the number of requests that are being handled, so it needs no bound of its own.

use rings_protocol::Address;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// An avatar in its ring.
type Place = (Address, Address);

/// The turns of all avatars that are asking something now.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<Place, Weak<Turn<()>>>>);

impl Locks {
    /// Waits until no other request of this avatar is at work. The turn ends when the guard is dropped.
    pub async fn wait(&self, place: Place) -> OwnedMutexGuard<()> {
        self.turn(place).lock_owned().await
    }

    fn turn(&self, place: Place) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&place).and_then(Weak::upgrade) {
            return turn;
        }
        // What is not used any more goes, so there are never more than requests at work.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::new(()));
        turns.insert(place, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn one_request_of_an_avatar_waits_for_another_and_nobody_else_does() {
        let locks = Locks::default();
        let place = |n: u8| (Address([1; 20]), Address([n; 20]));
        let first = locks.wait(place(1)).await;
        let moment = Duration::from_millis(20);
        assert!(timeout(moment, locks.wait(place(1))).await.is_err());
        drop(locks.wait(place(2)).await);
        drop(first);
        drop(locks.wait(place(1)).await);
        drop(locks.wait(place(3)).await);
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}
