//! Counts the requests of each peer that are being answered, so that no peer has more than its share.

use std::collections::HashMap;
use std::hash::Hash;

use libp2p::PeerId;

/// Counts the open requests of each peer.
#[derive(Debug)]
pub(crate) struct Inbox<R> {
    limit: usize,
    open: HashMap<R, PeerId>,
    per_peer: HashMap<PeerId, usize>,
}

impl<R: Eq + Hash> Inbox<R> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: HashMap::new(),
            per_peer: HashMap::new(),
        }
    }

    /// Whether this peer may have one more.
    pub(crate) fn has_room(&self, peer: &PeerId) -> bool {
        self.per_peer.get(peer).copied().unwrap_or(0) < self.limit
    }

    /// Notes a request.
    pub(crate) fn opened(&mut self, peer: PeerId, request: R) {
        if self.open.insert(request, peer).is_none() {
            *self.per_peer.entry(peer).or_default() += 1;
        }
    }

    /// Forgets a request that was answered or failed. Unknown requests are ignored.
    pub(crate) fn closed(&mut self, request: &R) {
        let Some(peer) = self.open.remove(request) else {
            return;
        };
        if let Some(count) = self.per_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.per_peer.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_share() {
        let (a, b) = (PeerId::random(), PeerId::random());
        let mut inbox = Inbox::new(2);
        inbox.opened(a, 1);
        inbox.opened(a, 2);
        assert!(!inbox.has_room(&a));
        assert!(inbox.has_room(&b));
        inbox.closed(&1);
        assert!(inbox.has_room(&a));
        inbox.closed(&1);
        inbox.closed(&7);
        inbox.closed(&2);
        assert!(inbox.open.is_empty() && inbox.per_peer.is_empty());
    }
}
