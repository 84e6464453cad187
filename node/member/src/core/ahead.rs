//! Ranges of log nodes that came before those that come first: parts of a long log are asked of several members at once.

use rings_network::PeerId;
use rings_protocol::{log::LogNode, wire::MAX_NODES, Address};
use std::collections::BTreeMap;

/// Ranges of one log that are asked ahead.
pub(super) const AHEAD: u64 = 2;
/// Ranges of all logs that are held. Each has at most a few megabytes.
const MAX_HELD: usize = 8;

/// Ranges that wait for those before them.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    held: BTreeMap<(Address, u64), (PeerId, Vec<LogNode>)>,
}

/// The positions from which on parts of a log are asked ahead: what comes from `next` on is asked anyway.
pub(super) fn positions(next: u64) -> impl Iterator<Item = u64> {
    let size = MAX_NODES as u64;
    let first = (next / size).saturating_add(1);
    (first..first.saturating_add(AHEAD)).map(move |part| part.saturating_mul(size))
}

impl Ahead {
    /// Whether the part of a log from a position on is worth asking for.
    pub fn wants(&self, author: Address, from: u64) -> bool {
        self.held.len() < MAX_HELD && !self.held.contains_key(&(author, from))
    }

    /// Holds a range until what comes before it is here. Returns whether it is one of this log from there on, as far as that
    /// can be seen now.
    pub fn keep(&mut self, author: Address, from: u64, peer: PeerId, nodes: Vec<LogNode>) -> bool {
        let mut places = (from..).zip(&nodes);
        let fits = places.all(|(seq, node)| node.seq() == seq && node.author() == author);
        if fits && !nodes.is_empty() && self.wants(author, from) {
            self.held.insert((author, from), (peer, nodes));
        }
        fits
    }

    /// The first range of a log that is held, if the position that comes `next` is in it or behind it: its beginning, who gave
    /// it, and the nodes.
    pub fn take(&mut self, author: Address, next: u64) -> Option<(u64, PeerId, Vec<LogNode>)> {
        let mut held = self.held.range((author, 0)..=(author, next));
        let key = held.next().map(|(key, _)| *key)?;
        let (peer, nodes) = self.held.remove(&key)?;
        Some((key.1, peer, nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{
        crypto::SecretKey,
        eip712::Domain,
        log::{seal, OwnLog, Tip},
        Digest,
    };
    use std::convert::Infallible;

    struct Log(Vec<LogNode>);

    impl OwnLog for Log {
        type Error = Infallible;
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(self.0.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
            Ok(self.0.get(seq as usize).map(LogNode::digest))
        }
    }

    #[test]
    fn parts_begin_at_round_numbers_behind_what_is_asked_anyway() {
        let size = MAX_NODES as u64;
        assert_eq!(positions(0).collect::<Vec<_>>(), [size, 2 * size]);
        assert_eq!(positions(size - 1).next(), Some(size));
        assert_eq!(positions(size).next(), Some(2 * size));
        assert!(positions(u64::MAX).all(|from| from > 0));
    }

    #[test]
    fn a_range_waits_for_those_before_it() {
        let domain = Domain::new(31337, Address([7; 20]));
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let mut log = Log(Vec::new());
        for _ in 0..10 {
            let node = seal(&log, vec![], vec![], None, &domain, &key).unwrap();
            log.0.push(node);
        }
        let peer = PeerId::from_public_key(&key.public_key().compressed()).unwrap();
        let (author, other) = (key.address(), Address([9; 20]));
        let mut ahead = Ahead::default();
        assert!(!ahead.keep(author, 5, peer, log.0[4..].to_vec()));
        assert!(!ahead.keep(other, 5, peer, log.0[5..].to_vec()));
        let mut gap = log.0[5..].to_vec();
        gap.remove(1);
        assert!(!ahead.keep(author, 5, peer, gap));
        assert!(ahead.wants(author, 5));
        assert!(ahead.keep(author, 5, peer, log.0[5..].to_vec()));
        assert!(!ahead.wants(author, 5) && ahead.wants(author, 6));
        assert!(ahead.take(author, 4).is_none() && ahead.take(other, 9).is_none());
        let (from, by, nodes) = ahead.take(author, 5).unwrap();
        assert_eq!((from, by, nodes.len()), (5, peer, 5));
        assert!(ahead.take(author, 9).is_none());
        for from in 0..2 * MAX_HELD {
            let nodes = vec![log.0[from.min(9)].clone()];
            ahead.keep(author, from as u64, peer, nodes);
        }
        assert_eq!(ahead.held.len(), MAX_HELD);
    }
}
