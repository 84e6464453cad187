//! The addresses of this node itself: what it knows of them, and which of them are worth announcing.
//!
//! A node knows the addresses that it listens on, one for each network interface, and the IP addresses at which peers say
//! they see it, which may be those of a router. [`OwnAddresses::to_announce`] makes a list of them for the chain, the best
//! first. Addresses that a person has configured are read by [`announcement`]; they are taken as they are, since only a
//! person knows of a port mapping or of a name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;

use crate::address::{HostPort, Transport};
use crate::{NetworkError, PeerId};

/// Most addresses that are announced.
pub const MAX_ANNOUNCED: usize = 8;

/// Most bytes that the ring's contract takes (`MAX_MULTIADDRESS` there).
pub const MAX_ANNOUNCED_BYTES: usize = 256;

/// What this node knows of its own addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Where it listens, as binary multiaddrs without peer id: ports are the real ones, and a wildcard stands for one
    /// address of each interface.
    pub listening: Vec<Vec<u8>>,
    /// Where enough peers say they see it; the port is not known.
    pub seen: Vec<IpAddr>,
}

/// How useful an address is to others; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Seen,
    Public,
    Private,
}

impl OwnAddresses {
    /// The addresses by which others may reach this node, the best first: where peers see it, then public addresses of its
    /// interfaces, then private ones. Never an unspecified one. Loopback addresses only if all others are `here`, on this
    /// machine, and there is no better one.
    pub fn to_announce(&self, here: bool) -> Vec<Vec<u8>> {
        let listening = self.listening();
        let sockets: BTreeSet<_> = listening.iter().copied().collect();
        let seen = self.seen.iter().flat_map(|ip| {
            let own = sockets.iter().filter(|(_, other)| same_family(*other, *ip));
            own.map(|(transport, _)| (Use::Seen, *transport, *ip))
        });
        let own = listening.iter().filter_map(|(transport, ip)| {
            let is_seen = self.seen.contains(ip);
            (!is_seen).then(|| (usefulness(*ip), *transport, *ip))
        });
        let mut found: Vec<_> = seen
            .chain(own)
            .filter(|(_, _, ip)| is_for_others(*ip))
            .collect();
        if found.is_empty() && here {
            let loopback = listening.iter().filter(|(_, ip)| ip.is_loopback());
            found.extend(loopback.map(|(transport, ip)| (Use::Private, *transport, *ip)));
        }
        // TCP before QUIC, because TCP shows at once when the process behind it is gone.
        found.sort_by_key(|(kind, transport, _)| (*kind, *transport));
        within_bounds(without_doubles(&found))
    }

    fn listening(&self) -> Vec<(Transport, IpAddr)> {
        let read = |bytes: &Vec<u8>| {
            let address = Multiaddr::try_from(bytes.clone()).ok()?;
            let place = HostPort::read(&address)?;
            Some((place.transport, place.ip()?))
        };
        self.listening.iter().filter_map(read).collect()
    }
}

/// Leaves out QUIC where there is TCP at the same host and port: peers try the other transport by themselves.
fn without_doubles(found: &[(Use, Transport, IpAddr)]) -> Vec<Multiaddr> {
    let mut places = BTreeSet::new();
    let fresh = found
        .iter()
        .filter(|(_, transport, ip)| places.insert((*ip, transport.port())));
    fresh
        .map(|(_, transport, ip)| {
            let host = Protocol::from(*ip);
            let peer = None;
            let transport = *transport;
            let place = HostPort {
                host,
                transport,
                peer,
            };
            place.by(transport)
        })
        .collect()
}

/// The first addresses, as many as the bounds allow.
fn within_bounds(addresses: Vec<Multiaddr>) -> Vec<Vec<u8>> {
    let mut room = MAX_ANNOUNCED_BYTES;
    let mut kept = Vec::new();
    for address in addresses.into_iter().take(MAX_ANNOUNCED) {
        let bytes = address.to_vec();
        match room.checked_sub(bytes.len()) {
            Some(left) => room = left,
            None => break,
        }
        kept.push(bytes);
    }
    kept
}

fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

/// Whether an address can mean this machine to another one.
fn is_for_others(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !is_link_local
}

fn usefulness(ip: IpAddr) -> Use {
    let is_private = match ip {
        IpAddr::V4(ip) => ip.is_private() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    match is_private {
        true => Use::Private,
        false => Use::Public,
    }
}

/// Addresses that providers share among their customers (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1])
}

/// What the chain is given: the addresses one behind the other, the best first, and behind them the name of the peer, where it does
/// not follow from the member's key. The last addresses are left out where there is no room for them.
pub fn joined(addresses: &[Vec<u8>], peer: Option<&PeerId>) -> Vec<u8> {
    let name = peer.map(|peer| Multiaddr::empty().with(Protocol::P2p(peer.0)).to_vec());
    let name = name.unwrap_or_default();
    let mut bytes = Vec::new();
    for address in addresses {
        if bytes.len() + address.len() + name.len() > MAX_ANNOUNCED_BYTES {
            break;
        }
        bytes.extend_from_slice(address);
    }
    bytes.extend(name);
    bytes
}

/// Reads addresses that a person has configured to be announced, into the bytes for the chain.
///
/// # Errors
/// [`NetworkError::Address`] for one that nobody could dial, or when they are too many.
pub fn announcement(texts: &[String]) -> Result<Vec<Vec<u8>>, NetworkError> {
    let read = |text: &String| {
        let refuse = |reason| NetworkError::Address {
            address: text.clone(),
            reason,
        };
        let address: Multiaddr = text.parse().map_err(|_| refuse(NOT_AN_ADDRESS))?;
        let place = HostPort::read(&address).ok_or_else(|| refuse(NOT_AN_ADDRESS))?;
        if place.transport.port() == 0 || place.ip().is_some_and(|ip| ip.is_unspecified()) {
            return Err(refuse(
                "to announce, an address names one host and its port: write the address or the name at which others reach this machine",
            ));
        }
        Ok(place.by(place.transport).to_vec())
    };
    let addresses = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = addresses.iter().map(Vec::len).sum();
    if addresses.len() > MAX_ANNOUNCED || bytes > MAX_ANNOUNCED_BYTES {
        return Err(NetworkError::Address {
            address: texts.join(", "),
            reason:
                "these are too many to announce: at most 8, and at most 256 bytes in binary form",
        });
    }
    Ok(addresses)
}

const NOT_AN_ADDRESS: &str = "it is not an address to dial; write /dns/ring.example.org/tcp/7645, /ip4/203.0.113.7/tcp/7645 or the same with /udp/7645/quic-v1";

/// Whether every machine means itself by this address, so that it is of no use on another one.
pub fn is_of_this_machine(address: &[u8]) -> bool {
    let address = Multiaddr::try_from(address.to_vec());
    let address = address.unwrap_or_else(|_| Multiaddr::empty());
    HostPort::read(&address).is_some_and(|place| is_loopback(&place))
}

fn is_loopback(place: &HostPort<'_>) -> bool {
    match &place.host {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => is_loopback_6(*ip),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
            is_name_of_this_machine(name)
        }
        _ => false,
    }
}

fn is_loopback_6(ip: Ipv6Addr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether every machine means itself by this name (RFC 6761, section 6.3).
fn is_name_of_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address_text;

    fn own(listening: &[&str], seen: &[&str]) -> OwnAddresses {
        let bytes = |text: &&str| text.parse::<Multiaddr>().unwrap().to_vec();
        OwnAddresses {
            listening: listening.iter().map(bytes).collect(),
            seen: seen.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    fn announced(own: &OwnAddresses, here: bool) -> Vec<String> {
        let bytes = own.to_announce(here).concat();
        let text = address_text(&bytes).unwrap_or_default();
        text.split(", ")
            .filter(|text| !text.is_empty())
            .map(Into::into)
            .collect()
    }

    const INTERFACES: [&str; 6] = [
        "/ip4/127.0.0.1/tcp/7645",
        "/ip4/127.0.0.1/udp/7645/quic-v1",
        "/ip4/10.1.2.3/udp/7645/quic-v1",
        "/ip4/10.1.2.3/tcp/7645",
        "/ip4/169.254.3.4/tcp/7645",
        "/ip6/fe80::1/tcp/7645",
    ];

    #[test]
    fn loopback_is_announced_only_where_all_are_on_one_machine_and_nothing_else_is_there() {
        for here in [false, true] {
            assert_eq!(
                announced(&own(&INTERFACES, &[]), here),
                ["/ip4/10.1.2.3/tcp/7645"]
            );
        }
        let alone = own(&INTERFACES[..2], &["127.0.0.1"]);
        assert_eq!(announced(&alone, true), ["/ip4/127.0.0.1/tcp/7645"]);
        assert!(announced(&alone, false).is_empty());
        let wildcard = own(&["/ip4/0.0.0.0/tcp/7645"], &[]);
        assert!(announced(&wildcard, true).is_empty());
    }

    #[test]
    fn what_peers_see_comes_first_and_the_port_is_the_own_one() {
        let behind = own(&INTERFACES, &["203.0.113.7"]);
        assert_eq!(
            announced(&behind, false),
            ["/ip4/203.0.113.7/tcp/7645", "/ip4/10.1.2.3/tcp/7645"]
        );
        let only_quic = own(&["/ip4/10.1.2.3/udp/9/quic-v1"], &["203.0.113.7"]);
        assert_eq!(
            announced(&only_quic, false),
            [
                "/ip4/203.0.113.7/udp/9/quic-v1",
                "/ip4/10.1.2.3/udp/9/quic-v1"
            ]
        );
        let open = own(&["/ip4/10.1.2.3/tcp/1", "/ip4/198.51.100.1/tcp/1"], &[]);
        assert_eq!(
            announced(&open, false),
            ["/ip4/198.51.100.1/tcp/1", "/ip4/10.1.2.3/tcp/1"]
        );
        let other_family = own(&["/ip4/10.1.2.3/tcp/1"], &["2001:db8::1"]);
        assert_eq!(announced(&other_family, false), ["/ip4/10.1.2.3/tcp/1"]);
    }

    #[test]
    fn what_is_announced_fits_into_the_contract() {
        let many: Vec<_> = (1..100).map(|n| format!("/ip6/fd00::{n}/tcp/1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let list = own(&many, &[]).to_announce(false);
        assert_eq!(list.len(), MAX_ANNOUNCED);
        assert!(list.concat().len() <= MAX_ANNOUNCED_BYTES);
    }

    #[test]
    fn a_name_that_does_not_follow_from_the_key_stands_behind_the_addresses() {
        let peer = PeerId(libp2p::PeerId::random());
        let two = own(&["/ip4/10.1.2.3/tcp/1", "/ip4/198.51.100.1/tcp/1"], &[]);
        let two = two.to_announce(false);
        assert_eq!(joined(&two, None), two.concat());
        let text = address_text(&joined(&two, Some(&peer)));
        let expected = format!("/ip4/198.51.100.1/tcp/1, /ip4/10.1.2.3/tcp/1/p2p/{peer}");
        assert_eq!(text, Some(expected));
        assert_eq!(address_text(&joined(&[], Some(&peer))), None);
        let alone = crate::identity::named_peer(&joined(&[], Some(&peer)));
        assert_eq!(alone, Some(peer.0));
        let long = vec![vec![0; 100]; 3];
        assert!(joined(&long, Some(&peer)).len() <= MAX_ANNOUNCED_BYTES);
    }

    #[test]
    fn configured_addresses_are_taken_as_they_are() {
        let texts = [
            "/dns/ring.example.org/tcp/17645".to_owned(),
            "/ip4/203.0.113.7/udp/7645/quic-v1".to_owned(),
        ];
        let bytes = announcement(&texts).unwrap().concat();
        assert_eq!(
            address_text(&bytes).as_deref(),
            Some("/dns/ring.example.org/tcp/17645, /ip4/203.0.113.7/udp/7645/quic-v1")
        );
    }

    #[test]
    fn configured_addresses_that_nobody_can_dial_are_refused() {
        for text in [
            "ring.example.org:7645",
            "/ip4/203.0.113.7",
            "/ip4/0.0.0.0/tcp/7645",
            "/ip4/203.0.113.7/tcp/0",
        ] {
            let refused = announcement(&[text.to_owned()]).unwrap_err();
            assert!(refused.to_string().contains(text), "{refused}");
        }
        let many = vec![format!("/dns/{}.example/tcp/1", "a".repeat(60)); 4];
        assert!(announcement(&many).is_err());
    }

    #[test]
    fn addresses_of_this_machine_are_known_by_number_and_by_name() {
        for (text, is_local) in [
            ("/ip4/127.0.0.1/tcp/7645", true),
            ("/ip6/::1/tcp/7645", true),
            ("/ip6/::ffff:127.0.0.1/tcp/7645", true),
            ("/dns4/LocalHost./tcp/7645", true),
            ("/dns/ring.localhost/tcp/7645", true),
            ("/dns/localhost.example/tcp/7645", false),
            ("/ip4/10.0.0.1/tcp/7645", false),
        ] {
            let bytes = announcement(&[text.to_owned()]).unwrap().concat();
            assert_eq!(is_of_this_machine(&bytes), is_local, "{text}");
        }
    }
}
