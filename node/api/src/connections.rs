//! The open connections: a bounded list. When it is full, the oldest idle connection is closed for a new one.
//!
//! [`Connections::admit`] gives a new connection its [`Slot`]. A connection that works on a request holds a
//! [`Working`], and is not closed to make room. A connection that is to give way learns it from its slot and ends in
//! order. So somebody who opens many connections and says nothing cannot keep others out. One address has a part of the
//! places only, of connections and of sessions; a new connection of it takes the place of its own oldest idle one.
//!
//! When all connections work, a new one is refused. The shutdown waits here until the list is empty
//! ([`Connections::drained`]), and then closes what is left.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// All open connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    /// Most connections of one address.
    per_address: usize,
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
    /// Where it comes from.
    origin: Option<Origin>,
    /// It has become a WebSocket session.
    is_session: AtomicBool,
}

/// Who shares a part of the places: an address of IPv4, or a network of 64 bits of IPv6, which one host may have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin([u8; 8]);

impl Origin {
    fn of(address: IpAddr) -> Self {
        let mut origin = [0; 8];
        match address.to_canonical() {
            // No address of IPv6 begins with these: 0::/8 is reserved.
            IpAddr::V4(address) => origin[4..].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => origin.copy_from_slice(&address.octets()[..8]),
        }
        Self(origin)
    }
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
    /// At most `limit` connections, and `per_address` of one address.
    pub(super) fn new(limit: usize, per_address: usize) -> Arc<Self> {
        let (open, _) = watch::channel(0);
        let register = Mutex::default();
        Arc::new(Self {
            limit,
            per_address,
            register,
            open,
        })
    }

    /// A place for a new connection. When all are taken, or all that its address may have, the oldest connection (of that
    /// address) that is not working is told to close and loses its place; `None` when all of them work.
    pub(super) fn admit(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Slot> {
        let origin = from.map(Origin::of);
        let mut register = self.lock();
        if register.of(origin).count() >= self.per_address {
            register.evict(|connection| connection.origin == origin)?;
        }
        if register.open.len() >= self.limit {
            register.evict(|_| true)?;
        }
        let connection = Arc::new(Connection {
            origin,
            ..Connection::default()
        });
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

    /// Makes a connection a WebSocket session, which counts as working until it ends: it has its own limits and pings. Says
    /// whether it may be one: an address has at most `per_address`.
    pub(super) fn begin_session(&self, connection: &Connection, per_address: usize) -> bool {
        let register = self.lock();
        let same = register.of(connection.origin);
        let sessions = same.filter(|other| other.is_session.load(Ordering::Relaxed));
        if sessions.count() >= per_address {
            return false;
        }
        connection.is_session.store(true, Ordering::Relaxed);
        connection.work.fetch_add(1, Ordering::Relaxed);
        true
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
    /// The connections of an origin.
    fn of(&self, origin: Option<Origin>) -> impl Iterator<Item = &Arc<Connection>> {
        let all = self.open.values();
        all.filter(move |connection| connection.origin == origin)
    }

    /// Takes the place of the oldest idle one of those that may be chosen.
    fn evict(&mut self, may_be: impl Fn(&Connection) -> bool) -> Option<()> {
        let idle = |(_, connection): &(&u64, &Arc<Connection>)| {
            !connection.is_working() && may_be(connection)
        };
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
        let connections = Connections::new(2, 2);
        let first = connections.admit(None).unwrap();
        let second = connections.admit(None).unwrap();
        let working = first.connection().work();
        let third = connections.admit(None).unwrap();
        second.connection().closed().await;
        assert!(!first.connection().closed.is_cancelled());
        let also_working = third.connection().work();
        assert!(connections.admit(None).is_none());
        drop(working);
        let fourth = connections.admit(None).unwrap();
        first.connection().closed().await;
        drop((first, second, third, also_working, fourth));
        connections.drained().await;
    }

    #[tokio::test]
    async fn a_slot_that_was_taken_away_does_not_free_another() {
        let connections = Connections::new(1, 1);
        let first = connections.admit(None).unwrap();
        let second = connections.admit(None).unwrap();
        drop(first);
        assert_eq!(connections.lock().open.len(), 1);
        connections.close();
        second.connection().closed().await;
    }

    #[test]
    fn one_address_has_a_part_of_the_places() {
        let connections = Connections::new(4, 2);
        let [greedy, other] =
            [[10, 0, 0, 1], [10, 0, 0, 2]].map(|octets| Some(IpAddr::from(octets)));
        let theirs = connections.admit(other).unwrap();
        let ours: Vec<_> = (0..3).map(|_| connections.admit(greedy).unwrap()).collect();
        let closed = |slot: &Slot| slot.connection().closed.is_cancelled();
        assert!(closed(&ours[0]) && !closed(&ours[1]) && !closed(&theirs));
        let at_work: Vec<_> = ours.iter().map(|slot| slot.connection().work()).collect();
        assert!(connections.admit(greedy).is_none());
        assert!(connections.admit(other).is_some());
        drop(at_work);
        // Neighbours in a network of IPv6 are one origin, an address of IPv4 is the same in both forms.
        let origin = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_ne!(origin("10.0.0.1"), origin("10.0.0.2"));
    }

    #[test]
    fn sessions_of_one_address_are_counted_until_they_end() {
        let connections = Connections::new(4, 4);
        let [greedy, other] =
            [[10, 0, 0, 1], [10, 0, 0, 2]].map(|octets| Some(IpAddr::from(octets)));
        let begin = |slot: &Slot| connections.begin_session(slot.connection(), 1);
        let (first, second) = (
            connections.admit(greedy).unwrap(),
            connections.admit(greedy).unwrap(),
        );
        assert!(begin(&first) && !begin(&second));
        assert!(begin(&connections.admit(other).unwrap()));
        drop(first);
        assert!(begin(&second));
    }
}
