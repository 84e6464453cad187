//! Peers: who may connect, dialing them, and noticing when they are gone.
//!
//! The list of peers decides who may connect. The dialer says whom to dial when; the links say what an opened or closed
//! connection means; the liveness says who does not answer. This file joins the three with the swarm, and tells the
//! consumer who is connected.
//!
//! A peer counts as connected when it has a connection and has subscribed to our topic. One that does not subscribe in
//! time is disconnected and dialed again, because the subscription was lost on the way. A machine that is switched off
//! closes nothing, so each peer is asked from time to time whether it is there.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use libp2p::request_response::{self, Message, OutboundFailure, ResponseChannel};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionError, ConnectionId, DialError, ListenError};
use libp2p::{Multiaddr, PeerId as Id};

use super::Driver;
use crate::address::{self, Forms};
use crate::codec::Response;
use crate::links::{Closed, Opened};
use crate::reach::{dial_reason, end_reason};
use crate::{Event, Peer, PeerId};

impl Driver {
    /// Takes the list of peers. New ones may connect and are dialed; those that are gone are disconnected.
    pub(super) fn set_peers(&mut self, peers: Vec<Peer>) {
        let peers = self.read_peers(peers);
        let announced = peers.values().flat_map(|forms| &forms.announced);
        self.swarm.behaviour_mut().door.announce(announced);
        let silent: HashSet<Id> = peers
            .iter()
            .filter(|(_, forms)| forms.announced.is_empty())
            .map(|(peer, _)| *peer)
            .collect();
        let (new, gone) = self.dialer.set(peers, Instant::now());
        let begun: Vec<_> = new
            .iter()
            .map(|peer| (*peer, !silent.contains(peer)))
            .collect();
        self.reach.list(&begun, &gone);
        self.reach.without_address(&silent);
        self.forget_what_was_seen();
        let allowed = &mut self.swarm.behaviour_mut().allowed;
        for peer in new {
            allowed.allow_peer(peer);
        }
        for peer in gone {
            // This closes its connections, too.
            allowed.disallow_peer(peer);
        }
    }

    /// The list within its bounds, without this machine, and with addresses that can be dialed.
    fn read_peers(&self, peers: Vec<Peer>) -> HashMap<Id, Forms> {
        let local = *self.swarm.local_peer_id();
        if peers.len() > self.limits.peers {
            tracing::error!(
                peers = peers.len(),
                limit = self.limits.peers,
                "too many peers: those beyond the limit are left out"
            );
        }
        peers
            .into_iter()
            .take(self.limits.peers)
            .filter(|peer| peer.id.0 != local)
            .map(|peer| {
                let forms =
                    address::forms(&peer.id.0, &peer.addresses, self.limits.addresses_per_peer);
                (peer.id.0, forms)
            })
            .collect()
    }

    pub(super) fn on_due(&mut self) {
        let now = Instant::now();
        while let Some((peer, address)) = self.dialer.take_due(now) {
            self.dial(peer, address);
        }
        while let Some(peer) = self.liveness.take_overdue(now) {
            self.on_silent(peer);
        }
    }

    fn on_silent(&mut self, peer: Id) {
        tracing::debug!(%peer, "the peer does not answer: closing its connections");
        self.disconnect(peer);
    }

    fn dial(&mut self, peer: Id, address: Multiaddr) {
        tracing::trace!(%peer, %address, "dialing");
        // Dials use a new port. With the shared listening port, two peers that dial each other would open one TCP
        // connection with two dialers, and a quick redial would collide with the old connection.
        let options = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(options) {
            self.on_dial_failed(peer, &error);
        }
    }

    pub(super) fn on_dial_failed(&mut self, peer: Id, error: &DialError) {
        tracing::debug!(%peer, %error, "a dial failed");
        // The condition is that there is no connection: then there is nothing to complain about.
        if !matches!(error, DialError::DialPeerConditionFalse(_)) {
            self.reach.failed(peer, dial_reason(error));
        }
        self.counters.dials_failed.add_one();
        self.dialer.failed(&peer, Instant::now());
    }

    pub(super) fn on_incoming_failed(&mut self, peer: Option<Id>, error: &ListenError) {
        if matches!(error, ListenError::Denied { .. }) {
            self.counters.connections_refused.add_one();
        }
        tracing::debug!(?peer, %error, "an inbound connection failed");
    }

    /// A connection is open. Whether the peer counts as connected depends on its subscription, which comes later.
    pub(super) fn on_opened(&mut self, peer: Id, id: ConnectionId, inbound: bool) {
        let now = Instant::now();
        self.dialer.connected(&peer, now);
        if self.links.opened(peer, id, inbound, now) == Opened::PeerStartedAnew {
            tracing::debug!(%peer, "the peer has lost its connections: connecting again");
            self.disconnect(peer);
        }
    }

    /// A connection has closed. Only with the last one the peer is gone: it is dialed again, and the consumer is told if
    /// it had been told that the peer was there.
    pub(super) fn on_closed(&mut self, peer: Id, id: ConnectionId, cause: Option<ConnectionError>) {
        let Closed::Last { was_ready } = self.links.closed(&peer, id) else {
            return;
        };
        tracing::debug!(%peer, ?cause, "disconnected");
        let reason = end_reason(cause.as_ref(), was_ready);
        match was_ready {
            true if self.dialer.knows(&peer) => self.reach.lost(peer, reason),
            true => {}
            false => self.reach.failed(peer, reason),
        }
        self.dialer.disconnected(&peer, Instant::now());
        self.liveness.forget(&peer);
        if was_ready {
            self.outbox.notify(Event::Disconnected(PeerId(peer)));
        }
    }

    /// Asks all peers whether they are there, and drops those that never subscribed: the subscription was lost on the
    /// way, and a new connection sends it again.
    pub(super) fn upkeep(&mut self) {
        self.reach.tell();
        for peer in self
            .links
            .unready_for(self.limits.liveness_timeout, Instant::now())
        {
            tracing::debug!(%peer, "the peer has not subscribed: connecting again");
            self.disconnect(peer);
        }
        let now = Instant::now();
        let alive = &mut self.swarm.behaviour_mut().alive;
        for peer in self.links.open() {
            if !self.liveness.is_asked(&peer) {
                let question = alive.send_request(&peer, Bytes::new());
                self.liveness.asked(peer, question, now);
            }
        }
    }

    /// Questions and answers about whether a peer is there. Any answer counts, also a refusal.
    pub(super) fn on_alive(&mut self, event: request_response::Event<Bytes, Response>) {
        match event {
            request_response::Event::Message { message, .. } => match message {
                Message::Request { channel, .. } => self.say_alive(channel),
                Message::Response { request_id, .. } => self.liveness.answered(&request_id),
            },
            request_response::Event::OutboundFailure {
                peer,
                error: OutboundFailure::Timeout,
                ..
            } => self.on_silent(peer),
            // A peer that refuses a stream is still there. If its connection is gone, we get an event for that.
            request_response::Event::OutboundFailure { request_id, .. } => {
                self.liveness.answered(&request_id);
            }
            _ => {}
        }
    }

    fn say_alive(&mut self, channel: ResponseChannel<Response>) {
        let alive = &mut self.swarm.behaviour_mut().alive;
        if alive
            .send_response(channel, Response::Answer(Bytes::new()))
            .is_err()
        {
            tracing::trace!("the peer did not wait");
        }
    }

    pub(super) fn disconnect(&mut self, peer: Id) {
        if self.swarm.disconnect_peer_id(peer).is_err() {
            tracing::trace!(%peer, "already disconnected");
        }
    }
}
