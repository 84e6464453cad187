//! The connections to each peer. There is no I/O here, and time is an argument.
//!
//! libp2p allows several connections to one peer. The consumer wants to know only whether a peer can be reached.
//! [`Links`] keeps the connections of each peer and says, for each one that opens or ends, what it means: the first,
//! one of two that crossed, one that replaces a dead one, the last one gone. It also knows whether a peer has
//! subscribed, and which peers have not done so in time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::PeerId;

/// What a new connection means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is the only connection, or both sides dialed at the same moment: keep it. (Closing one of the two could lose
    /// what was already written to it, such as the subscription.)
    Good,
    /// The peer dials although it has a connection, so it has lost that one: it was killed or cut off. All its
    /// connections must be closed. If the new one were kept beside the dead one, the peer would not get our
    /// subscription, because gossipsub sends it on the first connection only.
    PeerStartedAnew,
}

/// What the end of a connection means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// There are others.
    OthersRemain,
    /// It was the last one.
    Last {
        /// Whether the consumer was told of the peer.
        was_ready: bool,
    },
}

/// An open connection, and who opened it.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    since: Instant,
    inbound: bool,
}

/// All connections with one peer, and whether it has subscribed to our topic.
#[derive(Debug, Default)]
struct Link {
    connections: Vec<Connection>,
    ready: bool,
}

impl Link {
    /// Peers dial only while they have no connection. So if the peer had dialed a connection before, a second one
    /// replaces it; if we had dialed it, both may have dialed at the same moment.
    fn is_dead_to_its_peer(&self, now: Instant, simultaneous: Duration) -> bool {
        let mut connections = self.connections.iter();
        connections
            .any(|old| old.inbound || now.saturating_duration_since(old.since) > simultaneous)
    }
}

/// The connections to all peers.
#[derive(Debug)]
pub(crate) struct Links {
    /// Longest time between the opening of two connections that both sides dialed at once.
    simultaneous: Duration,
    peers: HashMap<PeerId, Link>,
}

impl Links {
    pub(crate) fn new(simultaneous: Duration) -> Self {
        Self {
            simultaneous,
            peers: HashMap::new(),
        }
    }

    /// A connection is open. If the peer dialed although it should have one already, its connections are dead on its
    /// side.
    pub(crate) fn opened(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        inbound: bool,
        now: Instant,
    ) -> Opened {
        let link = self.peers.entry(peer).or_default();
        let anew = inbound && link.is_dead_to_its_peer(now, self.simultaneous);
        link.connections.push(Connection {
            id,
            since: now,
            inbound,
        });
        if anew {
            Opened::PeerStartedAnew
        } else {
            Opened::Good
        }
    }

    /// A connection has closed. The peer is gone only with its last one.
    pub(crate) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> Closed {
        let Some(link) = self.peers.get_mut(peer) else {
            return Closed::OthersRemain;
        };
        link.connections.retain(|other| other.id != id);
        if !link.connections.is_empty() {
            return Closed::OthersRemain;
        }
        let was_ready = link.ready;
        self.peers.remove(peer);
        Closed::Last { was_ready }
    }

    /// The peer has subscribed; says whether that is news.
    pub(crate) fn make_ready(&mut self, peer: &PeerId) -> bool {
        self.peers
            .get_mut(peer)
            .is_some_and(|link| !std::mem::replace(&mut link.ready, true))
    }

    pub(crate) fn is_open(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.keys().copied()
    }

    pub(crate) fn ready(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers
            .iter()
            .filter(|(_, link)| link.ready)
            .map(|(peer, _)| *peer)
    }

    /// Peers that are connected for this long and have not subscribed.
    pub(crate) fn unready_for(&self, age: Duration, now: Instant) -> Vec<PeerId> {
        let waits = |link: &Link| {
            let oldest = link.connections.iter().map(|open| open.since).min();
            !link.ready && oldest.is_some_and(|at| now.saturating_duration_since(at) > age)
        };
        self.peers
            .iter()
            .filter(|(_, link)| waits(link))
            .map(|(peer, _)| *peer)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    #[test]
    fn ready_once_and_gone_with_the_last_connection() {
        let (mut links, peer, now) = (Links::new(WINDOW), PeerId::random(), Instant::now());
        assert!(!links.make_ready(&peer));
        assert_eq!(links.opened(peer, id(1), false, now), Opened::Good);
        assert_eq!(links.opened(peer, id(2), true, now + WINDOW), Opened::Good);
        assert!(links.make_ready(&peer));
        assert!(!links.make_ready(&peer));
        assert_eq!(links.ready().count(), 1);
        assert_eq!(links.closed(&peer, id(1)), Closed::OthersRemain);
        assert_eq!(links.closed(&peer, id(2)), Closed::Last { was_ready: true });
        assert!(!links.is_open(&peer));
        assert_eq!(links.closed(&peer, id(2)), Closed::OthersRemain);
    }

    #[test]
    fn an_inbound_connection_beside_an_old_one_means_a_new_start() {
        let (mut links, peer, now) = (Links::new(WINDOW), PeerId::random(), Instant::now());
        links.opened(peer, id(1), false, now);
        let later = now + WINDOW + Duration::from_millis(1);
        assert_eq!(links.opened(peer, id(2), false, later), Opened::Good);
        assert_eq!(
            links.opened(peer, id(3), true, later),
            Opened::PeerStartedAnew
        );
    }

    #[test]
    fn a_second_inbound_connection_means_a_new_start_at_once() {
        let (mut links, peer, now) = (Links::new(WINDOW), PeerId::random(), Instant::now());
        assert_eq!(links.opened(peer, id(1), true, now), Opened::Good);
        assert_eq!(
            links.opened(peer, id(2), true, now),
            Opened::PeerStartedAnew
        );
    }

    #[test]
    fn peers_that_do_not_subscribe_are_found() {
        let (mut links, now) = (Links::new(WINDOW), Instant::now());
        let (silent, ready) = (PeerId::random(), PeerId::random());
        links.opened(silent, id(1), true, now);
        links.opened(ready, id(2), true, now);
        links.make_ready(&ready);
        assert!(links.unready_for(WINDOW, now + WINDOW).is_empty());
        assert_eq!(links.unready_for(WINDOW, now + 2 * WINDOW), [silent]);
    }
}
