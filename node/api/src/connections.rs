//! The open connections: a bounded list. When it is full, the oldest idle connection is closed for a new one.
//!
//! [`Connections::admit`] gives a new connection its [`Slot`]. A connection that works on a request holds a
//! [`Working`], and is not closed to make room. A connection that is to give way learns it from its slot and ends in
//! order. So somebody who opens many connections and says nothing cannot keep others out.
//!
//! When all connections work, a new one is refused. The shutdown waits here until the list is empty
//! ([`Connections::drained`]), and then closes what is left.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// All open connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    register: Mutex<Register>,
    open: watch::Sender<usize>,
}

/// Connections by age: the lowest number is the oldest.
#[derive(Debug, Default)]
struct Register {
    next: u64,
    open: BTreeMap<u64, Arc<Connection>>,
}

/// One open connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Requests at work that the other side has sent completely, or is entitled to go on sending.
    work: AtomicUsize,
    closed: CancellationToken,
}

/// A place among the open connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    connections: Arc<Connections>,
    connection: Arc<Connection>,
}

/// While this value lives, the connection counts as working: it is closed neither for a newer one nor for being idle.
#[derive(Debug)]
pub(super) struct Working(Arc<Connection>);

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let (open, _) = watch::channel(0);
        let register = Mutex::default();
        Arc::new(Self {
            limit,
            register,
            open,
        })
    }

    /// A place for a new connection. When all are taken, the oldest connection that is not working is told
    /// to close and loses its place; `None` when all of them work.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut register = self.lock();
        if register.open.len() >= self.limit {
            register.evict()?;
        }
        let connection = Arc::new(Connection::default());
        let number = register.next;
        register.next += 1;
        register.open.insert(number, connection.clone());
        self.open.send_replace(register.open.len());
        Some(Slot {
            number,
            connections: self.clone(),
            connection,
        })
    }

    /// Completes when no connection is open.
    pub(super) async fn drained(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let waited = self
            .open
            .subscribe()
            .wait_for(|open| *open == 0)
            .await
            .is_ok();
        debug_assert!(waited);
    }

    /// Completes when a connection comes or goes.
    pub(super) async fn changed(&self) {
        let changed = self.open.subscribe().changed().await.is_ok();
        debug_assert!(changed);
    }

    /// Tells all connections that are still open to close.
    pub(super) fn close(&self) {
        for connection in self.lock().open.values() {
            connection.closed.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        // No code that holds this lock can panic half-way, so a poisoned lock still guards a complete list.
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    fn evict(&mut self) -> Option<()> {
        let idle = |(_, connection): &(&u64, &Arc<Connection>)| !connection.is_working();
        let number = *self.open.iter().find(idle)?.0;
        self.open.remove(&number)?.closed.cancel();
        Some(())
    }
}

impl Connection {
    /// Counts as working until the answer is dropped.
    pub(super) fn work(self: &Arc<Self>) -> Working {
        self.work.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }

    /// Becomes a WebSocket session, which counts as working until it ends: it has its own limits and pings.
    pub(super) fn begin(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_working(&self) -> bool {
        self.work.load(Ordering::Relaxed) > 0
    }

    /// Completes when the connection has to close.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Slot {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut register = self.connections.lock();
        register.open.remove(&self.number);
        self.connections.open.send_replace(register.open.len());
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_that_does_not_work_makes_room() {
        let connections = Connections::new(2);
        let first = connections.admit().unwrap();
        let second = connections.admit().unwrap();
        let working = first.connection().work();
        let third = connections.admit().unwrap();
        second.connection().closed().await;
        assert!(!first.connection().closed.is_cancelled());
        let also_working = third.connection().work();
        assert!(connections.admit().is_none());
        drop(working);
        let fourth = connections.admit().unwrap();
        first.connection().closed().await;
        drop((first, second, third, also_working, fourth));
        connections.drained().await;
    }

    #[tokio::test]
    async fn a_slot_that_was_taken_away_does_not_free_another() {
        let connections = Connections::new(1);
        let first = connections.admit().unwrap();
        let second = connections.admit().unwrap();
        drop(first);
        assert_eq!(connections.lock().open.len(), 1);
        connections.close();
        second.connection().closed().await;
    }
}
