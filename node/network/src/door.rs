//! Which inbound connections may begin a handshake.
//!
//! Only the handshake shows who a peer is, and it costs work. So before it, the [`Door`] looks at the address that a
//! connection comes from. Addresses that peers on the list have announced have a share of their own, which a flood from
//! elsewhere cannot use up; all others have a smaller one. Each share bounds how many handshakes are under way and how
//! many begin in a second; what does not fit is closed at once.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::multiaddr::Protocol;
use libp2p::core::transport::PortUse;
use libp2p::core::Endpoint;
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{
    dummy, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::Limits;

/// The time over which beginning handshakes are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An address that a peer on the list has announced.
    Announced,
    /// Any other.
    Elsewhere,
}

/// How much room one kind of origin has.
#[derive(Debug)]
struct Share {
    /// Most handshakes under way.
    pending: usize,
    /// Most handshakes that begin in one [`WINDOW`].
    per_window: usize,
    open: usize,
    window: Option<Instant>,
    begun: usize,
}

impl Share {
    fn new(pending: u32, per_window: u32) -> Self {
        Self {
            pending: pending as usize,
            per_window: per_window as usize,
            open: 0,
            window: None,
            begun: 0,
        }
    }

    /// Whether one more handshake may begin now; if so, it is counted.
    fn take(&mut self, now: Instant) -> bool {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= WINDOW;
        if self.window.is_none_or(is_over) {
            self.window = Some(now);
            self.begun = 0;
        }
        let fits = self.open < self.pending && self.begun < self.per_window;
        if fits {
            self.open += 1;
            self.begun += 1;
        }
        fits
    }
}

/// Lets inbound connections begin their handshakes, within the shares.
#[derive(Debug)]
pub(crate) struct Door {
    announced: HashSet<IpAddr>,
    expected: Share,
    others: Share,
    pending: HashMap<ConnectionId, Origin>,
}

/// Why a connection was closed before its handshake.
#[derive(Debug)]
struct NoRoom(Origin);

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Origin::Announced => "too many handshakes with addresses of peers are under way",
            Origin::Elsewhere => "too many handshakes with unknown addresses are under way",
        })
    }
}

impl std::error::Error for NoRoom {}

impl Door {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            announced: HashSet::new(),
            expected: Share::new(limits.pending_announced, limits.handshakes_announced),
            others: Share::new(limits.pending_incoming, limits.handshakes_incoming),
            pending: HashMap::new(),
        }
    }

    /// Takes the addresses of the peers on the list. Names are not resolved: a peer that announces only a name counts
    /// as an unknown address.
    pub(crate) fn announce<'a>(&mut self, addresses: impl Iterator<Item = &'a Multiaddr>) {
        self.announced = addresses.filter_map(ip_of).collect();
    }

    /// A connection comes in. It begins its handshake if the share of its origin has room.
    fn begin(&mut self, id: ConnectionId, from: &Multiaddr, now: Instant) -> Result<(), NoRoom> {
        let is_announced = ip_of(from).is_some_and(|ip| self.announced.contains(&ip));
        let origin = match is_announced {
            true => Origin::Announced,
            false => Origin::Elsewhere,
        };
        match self.share(origin).take(now) {
            true => {
                self.pending.insert(id, origin);
                Ok(())
            }
            false => Err(NoRoom(origin)),
        }
    }

    /// A handshake has ended, with or without success. Connections that were never let in are ignored.
    fn end(&mut self, id: ConnectionId) {
        if let Some(origin) = self.pending.remove(&id) {
            self.share(origin).open -= 1;
        }
    }

    fn share(&mut self, origin: Origin) -> &mut Share {
        match origin {
            Origin::Announced => &mut self.expected,
            Origin::Elsewhere => &mut self.others,
        }
    }
}

/// The IP address that a multiaddr begins with. An IPv4 address that came over IPv6 is the IPv4 address.
fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::from(ip).to_canonical()),
        _ => None,
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.begin(id, from, Instant::now())
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.end(id);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.end(connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        never: THandlerOutEvent<Self>,
    ) {
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(limits: Limits) -> Door {
        let mut door = Door::new(&limits);
        let member: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        door.announce([member].iter());
        door
    }

    fn few() -> Limits {
        Limits {
            pending_incoming: 3,
            pending_announced: 2,
            handshakes_incoming: 5,
            handshakes_announced: 100,
            ..Limits::default()
        }
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn from(host: &str) -> Multiaddr {
        format!("{host}/tcp/50000").parse().unwrap()
    }

    #[test]
    fn a_flood_from_elsewhere_leaves_room_for_members() {
        let (mut door, now) = (door(few()), Instant::now());
        let let_in = (0..100).filter(|n| {
            let stranger = from(&format!("/ip4/192.0.2.{}", n % 250));
            door.begin(id(*n), &stranger, now).is_ok()
        });
        assert_eq!(let_in.count(), 3);
        for n in [100, 101] {
            assert!(door.begin(id(n), &from("/ip4/10.0.0.1"), now).is_ok());
        }
        assert!(door.begin(id(102), &from("/ip4/10.0.0.1"), now).is_err());
        let mapped = from("/ip6/::ffff:10.0.0.1");
        door.end(id(100));
        assert!(door.begin(id(103), &mapped, now).is_ok());
    }

    #[test]
    fn handshakes_that_end_make_room_and_a_second_bounds_them_all() {
        let (mut door, now) = (door(few()), Instant::now());
        let stranger = from("/ip6/2001:db8::1");
        for n in 0..5 {
            assert!(door.begin(id(n), &stranger, now).is_ok());
            door.end(id(n));
            door.end(id(n));
        }
        assert!(door.begin(id(5), &stranger, now).is_err());
        assert!(door.begin(id(6), &stranger, now + WINDOW).is_ok());
        door.end(id(6));
        assert!(door.pending.is_empty() && door.others.open == 0);
    }
}
