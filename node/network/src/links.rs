//! The connections to each peer. No I/O and no clock: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::PeerId;

/// What a new connection means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is the only one, or both sides dialed at the same moment: keep it. (Closing one of the two
    /// could lose what was already written to it, such as the subscription.)
    Good,
    /// The peer dials although it has had a connection for long: it has lost that one, having been killed
    /// or cut off. All its connections must go. Keeping the new one beside the dead would leave the peer
    /// without our subscription, as gossipsub tells it on the first connection only.
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

#[derive(Debug)]
struct Link {
    connections: Vec<(ConnectionId, Instant)>,
    ready: bool,
}

/// The connections to all peers.
#[derive(Debug)]
pub(crate) struct Links {
    /// Connections that are opened within this time of each other were dialed by both sides at once.
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

    pub(crate) fn opened(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        inbound: bool,
        now: Instant,
    ) -> Opened {
        let link = self.peers.entry(peer).or_insert_with(|| Link {
            connections: Vec::new(),
            ready: false,
        });
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let old = link
            .connections
            .iter()
            .any(|(_, at)| age(at) > self.simultaneous);
        link.connections.push((id, now));
        if inbound && old {
            Opened::PeerStartedAnew
        } else {
            Opened::Good
        }
    }

    pub(crate) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> Closed {
        let Some(link) = self.peers.get_mut(peer) else {
            return Closed::OthersRemain;
        };
        link.connections.retain(|(other, _)| *other != id);
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
            let oldest = link.connections.iter().map(|(_, at)| *at).min();
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
        links.opened(peer, id(1), true, now);
        let later = now + WINDOW + Duration::from_millis(1);
        assert_eq!(links.opened(peer, id(2), false, later), Opened::Good);
        assert_eq!(
            links.opened(peer, id(3), true, later),
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
