//! What peers say in the handshake: which program they are, and at which address they see us.
//!
//! A peer of another version of the protocol is disconnected, with the reason noted. Our own addresses, those of the
//! interfaces and those that enough peers see, are told to whoever reads them when they change.

use std::net::IpAddr;

use libp2p::identify::{self, Info};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId as Id};

use super::Driver;
use crate::OwnAddresses;

impl Driver {
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, info, .. } => self.on_introduced(peer_id, &info),
            identify::Event::Error { peer_id, error, .. } => {
                tracing::debug!(peer = %peer_id, %error, "the peer did not say which program it is");
            }
            identify::Event::Sent { .. } | identify::Event::Pushed { .. } => {}
        }
    }

    /// A peer has said which program it is and at which address it sees this machine. A peer of another version is
    /// disconnected, because the two would not understand each other.
    fn on_introduced(&mut self, peer: Id, info: &Info) {
        let differs = self
            .version
            .differs(&info.protocol_version, &info.agent_version);
        let is_different = differs.is_some();
        self.reach.introduced(peer, &info.agent_version, differs);
        if is_different {
            return self.disconnect(peer);
        }
        if let Some(ip) = host(&info.observed_addr) {
            self.seen.say(peer, ip);
            self.tell_own_addresses();
        }
    }

    /// Forgets what peers have said that are not on the list any more.
    pub(super) fn forget_what_was_seen(&mut self) {
        let dialer = &self.dialer;
        self.seen.keep(|peer| dialer.knows(peer));
        self.tell_own_addresses();
    }

    /// Tells our own addresses to whoever reads them, if they have changed.
    pub(super) fn tell_own_addresses(&self) {
        let mut listening: Vec<_> = self.swarm.listeners().map(Multiaddr::to_vec).collect();
        listening.sort_unstable();
        let seen = self.seen.confirmed(self.dialer.count());
        let now = OwnAddresses { listening, seen };
        self.own.send_if_modified(|before| {
            let is_new = *before != now;
            *before = now;
            is_new
        });
    }
}

/// The IP address that a multiaddress begins with.
fn host(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}
