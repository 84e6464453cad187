//! At which IP addresses peers see this node. There is no I/O here.
//!
//! A peer says so when a connection begins, and may be wrong or lie. So an address counts only when more peers have said
//! it than may be faulty. The newest word of each peer counts, for each family of addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use libp2p::PeerId;

/// Most addresses of which many peers may say that they see them: two routers, with two families each.
const MAX_SEEN: usize = 4;

/// What each peer said last.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    said: HashMap<(PeerId, bool), IpAddr>,
}

impl Seen {
    /// A peer says that it sees us here.
    pub(crate) fn say(&mut self, peer: PeerId, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.said.insert((peer, ip.is_ipv4()), ip);
    }

    /// Forgets what was said by peers that are not on the list any more.
    pub(crate) fn keep(&mut self, is_on_list: impl Fn(&PeerId) -> bool) {
        self.said.retain(|(peer, _), _| is_on_list(peer));
    }

    /// The addresses that more than a third of `others` can have made up have said, those of most peers first.
    pub(crate) fn confirmed(&self, others: usize) -> Vec<IpAddr> {
        // Of n members, at most (n - 1) / 3 are faulty; `others` are all but this one.
        let faulty = others / 3;
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for ip in self.said.values() {
            *counts.entry(*ip).or_default() += 1;
        }
        let mut enough: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count > faulty)
            .collect();
        enough.sort_by_key(|(ip, count)| (std::cmp::Reverse(*count), *ip));
        enough.truncate(MAX_SEEN);
        enough.into_iter().map(|(ip, _)| ip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_liar_among_five_moves_nothing() {
        let (mut seen, peers) = (Seen::default(), [(); 4].map(|()| PeerId::random()));
        let (right, wrong) = (
            "203.0.113.7".parse().unwrap(),
            "198.51.100.9".parse().unwrap(),
        );
        seen.say(peers[0], wrong);
        assert!(seen.confirmed(4).is_empty());
        seen.say(peers[1], right);
        assert!(seen.confirmed(4).is_empty());
        seen.say(peers[2], right);
        assert_eq!(seen.confirmed(4), [right]);
        // In a ring of two there is nobody else to ask.
        assert_eq!(seen.confirmed(1).len(), 2);
        // The newest word of a peer counts, and that of one who has left does not.
        seen.say(peers[2], wrong);
        assert_eq!(seen.confirmed(4), [wrong]);
        seen.keep(|peer| *peer != peers[0]);
        assert!(seen.confirmed(4).is_empty());
    }

    #[test]
    fn an_ipv4_address_is_the_same_when_it_comes_over_ipv6() {
        let (mut seen, peer) = (Seen::default(), PeerId::random());
        seen.say(peer, "::ffff:203.0.113.7".parse().unwrap());
        seen.say(peer, "2001:db8::1".parse().unwrap());
        assert_eq!(seen.confirmed(1).len(), 2);
        assert_eq!(seen.confirmed(1)[0].to_string(), "203.0.113.7");
    }
}
