//! Addresses: which ones we dial and listen on.
//!
//! An address names a host (an IP address or a DNS name) and a transport (TCP or QUIC) with a port, and nothing else is
//! accepted. Each has a second form, the other transport at the same host and port, which is tried now and then.
//! Addresses of peers come from the chain, where anybody could write them, so what cannot be dialed is ignored; our own
//! addresses to listen on must be right.
//!
//! The chain has one field of bytes for each member. Several addresses stand in it one behind the other, as one long
//! multiaddress: each begins with its host, so that it is clear where they divide ([`split`]).

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::NetworkError;

/// The addresses of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Forms {
    /// As announced, without a peer id.
    pub(crate) announced: Vec<Multiaddr>,
    /// The same places by the other transport: QUIC for TCP and TCP for QUIC.
    pub(crate) derived: Vec<Multiaddr>,
}

/// How a host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Tcp(u16),
    Quic(u16),
}

impl Transport {
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Tcp(port) | Self::Quic(port) => port,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Tcp(port) => Self::Quic(port),
            Self::Quic(port) => Self::Tcp(port),
        }
    }
}

/// A host and how to reach it: the only shape of address that this network uses.
pub(crate) struct HostPort<'a> {
    pub(crate) host: Protocol<'a>,
    pub(crate) transport: Transport,
    pub(crate) peer: Option<PeerId>,
}

impl<'a> HostPort<'a> {
    /// Takes an address apart; `None` if it has another shape.
    pub(crate) fn read(address: &'a Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let host = parts.next().filter(is_host)?;
        let transport = match parts.next()? {
            Protocol::Tcp(port) => Transport::Tcp(port),
            Protocol::Udp(port) if parts.next()? == Protocol::QuicV1 => Transport::Quic(port),
            _ => return None,
        };
        let peer = match parts.next() {
            None => None,
            Some(Protocol::P2p(peer)) => Some(peer),
            Some(_) => return None,
        };
        parts.next().is_none().then_some(Self {
            host,
            transport,
            peer,
        })
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match &self.host {
            Protocol::Ip4(ip) => Some((*ip).into()),
            Protocol::Ip6(ip) => Some((*ip).into()),
            _ => None,
        }
    }

    fn can_be_dialed(&self, peer: &PeerId) -> bool {
        self.transport.port() != 0
            && !self.ip().is_some_and(|ip| ip.is_unspecified())
            && self.peer.is_none_or(|named| named == *peer)
    }

    /// The address of this host by a transport, without a peer id.
    pub(crate) fn by(&self, transport: Transport) -> Multiaddr {
        let host = Multiaddr::empty().with(self.host.clone());
        match transport {
            Transport::Tcp(port) => host.with(Protocol::Tcp(port)),
            Transport::Quic(port) => host.with(Protocol::Udp(port)).with(Protocol::QuicV1),
        }
    }
}

/// `/dnsaddr` is left out on purpose: it lets the owner of a name send us through many more lookups.
fn is_host(part: &Protocol<'_>) -> bool {
    matches!(
        part,
        Protocol::Ip4(_)
            | Protocol::Ip6(_)
            | Protocol::Dns(_)
            | Protocol::Dns4(_)
            | Protocol::Dns6(_)
    )
}

/// The addresses that stand one behind the other in one multiaddress: each host begins a new one.
pub(crate) fn split(joined: &Multiaddr) -> Vec<Multiaddr> {
    let mut addresses: Vec<Multiaddr> = Vec::new();
    for part in joined.iter() {
        match addresses.last_mut() {
            Some(address) if !is_host(&part) => address.push(part),
            _ => addresses.push(Multiaddr::empty().with(part)),
        }
    }
    addresses
}

/// Reads the addresses of a peer. They come from other people, so addresses that cannot be used are ignored.
pub(crate) fn forms(peer: &PeerId, addresses: &[Vec<u8>], limit: usize) -> Forms {
    let mut forms = Forms::default();
    let mut others = Vec::new();
    let mut all = Vec::new();
    for bytes in addresses.iter().take(limit) {
        match Multiaddr::try_from(bytes.clone()) {
            Ok(joined) => all.extend(split(&joined).into_iter().filter(is_somewhere)),
            Err(error) => tracing::warn!(%peer, %error, "ignoring bytes that are not an address"),
        }
    }
    for address in all.iter().take(limit) {
        add_forms(&mut forms, &mut others, peer, address);
    }
    for address in others {
        if !forms.announced.contains(&address) && !forms.derived.contains(&address) {
            forms.derived.push(address);
        }
    }
    forms
}

/// Whether this is more than a peer id alone, which is all that a member announces that has no address.
pub(crate) fn is_somewhere(address: &Multiaddr) -> bool {
    !matches!(address.iter().next(), Some(Protocol::P2p(_)))
}

/// Adds an address by the transport that the peer announced, and by the other one to those that are tried after all
/// announced ones.
fn add_forms(forms: &mut Forms, others: &mut Vec<Multiaddr>, peer: &PeerId, address: &Multiaddr) {
    match HostPort::read(address).filter(|place| place.can_be_dialed(peer)) {
        Some(place) => {
            let announced = place.by(place.transport);
            if !forms.announced.contains(&announced) {
                forms.announced.push(announced);
            }
            others.push(place.by(place.transport.other()));
        }
        None => tracing::warn!(%peer, %address, "ignoring an address that cannot be dialed"),
    }
}

/// Reads an address to listen on: an IP address (maybe of all interfaces), TCP or QUIC, maybe port 0.
pub(crate) fn listen(text: &str) -> Result<Multiaddr, NetworkError> {
    let refuse = |reason| NetworkError::Address {
        address: text.to_owned(),
        reason,
    };
    let address: Multiaddr = text.parse().map_err(|_| {
        refuse("it is not a multiaddr; write /ip4/127.0.0.1/tcp/4001 or /ip4/127.0.0.1/udp/4001/quic-v1")
    })?;
    let place = HostPort::read(&address)
        .filter(|place| place.peer.is_none())
        .ok_or_else(|| {
            refuse("listen on /ip4/…/tcp/… or /ip4/…/udp/…/quic-v1, or the same with /ip6")
        })?;
    if place.ip().is_none() {
        return Err(refuse("listening needs an IP address, not a name"));
    }
    Ok(address)
}

/// Binds the port and releases it again, to learn whether it is free.
///
/// libp2p shares the TCP ports it listens on (`SO_REUSEPORT`), so a second process would silently get
/// half of the first one's connections instead of an error.
pub(crate) fn probe(address: &Multiaddr) -> Result<(), NetworkError> {
    let Some((ip, transport)) = HostPort::read(address).and_then(|p| Some((p.ip()?, p.transport)))
    else {
        return Ok(());
    };
    let socket = SocketAddr::new(ip, transport.port());
    match transport {
        Transport::Tcp(_) => TcpListener::bind(socket).map(drop),
        Transport::Quic(_) => UdpSocket::bind(socket).map(drop),
    }
    .map_err(|error| listen_error(address, error))
}

/// The error of listening on this address.
pub(crate) fn listen_error(address: &Multiaddr, source: std::io::Error) -> NetworkError {
    let address = address.to_string();
    if source.kind() == std::io::ErrorKind::AddrInUse {
        NetworkError::AddressInUse { address }
    } else {
        NetworkError::Listen { address, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::named_peer;
    use proptest::prelude::*;

    fn read(peer: &PeerId, texts: &[&str]) -> Forms {
        let bytes: Vec<_> = texts
            .iter()
            .map(|text| text.parse::<Multiaddr>().unwrap().to_vec())
            .collect();
        forms(peer, &bytes, 8)
    }

    fn texts(addresses: &[Multiaddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_address_has_a_second_form() {
        let peer = PeerId::random();
        let forms = read(
            &peer,
            &["/ip4/10.0.0.1/tcp/4001", "/dns4/a.example/udp/9/quic-v1"],
        );
        assert_eq!(
            texts(&forms.announced),
            ["/ip4/10.0.0.1/tcp/4001", "/dns4/a.example/udp/9/quic-v1"]
        );
        assert_eq!(
            texts(&forms.derived),
            ["/ip4/10.0.0.1/udp/4001/quic-v1", "/dns4/a.example/tcp/9"]
        );
    }

    #[test]
    fn what_is_announced_is_not_derived_again() {
        let peer = PeerId::random();
        let forms = read(
            &peer,
            &[
                "/ip4/10.0.0.1/tcp/1",
                "/ip4/10.0.0.1/tcp/1",
                "/ip4/10.0.0.1/udp/1/quic-v1",
            ],
        );
        assert_eq!(forms.announced.len(), 2);
        assert!(forms.derived.is_empty());
    }

    #[test]
    fn the_peer_id_of_an_address_is_stripped_and_must_match() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let own = format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}");
        let foreign = format!("/ip4/10.0.0.2/tcp/1/p2p/{other}");
        let forms = read(&peer, &[&own, &foreign]);
        assert_eq!(texts(&forms.announced), ["/ip4/10.0.0.1/tcp/1"]);
    }

    #[test]
    fn a_peer_id_behind_all_addresses_is_that_of_the_member() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let joined = format!("/ip4/10.0.0.1/tcp/1/dns/a.example/udp/2/quic-v1/p2p/{peer}");
        let bytes = joined.parse::<Multiaddr>().unwrap().to_vec();
        assert_eq!(named_peer(&bytes), Some(peer));
        assert_eq!(read(&peer, &[&joined]).announced.len(), 2);
        // It stands behind the last address, and says nothing of the others.
        assert_eq!(read(&other, &[&joined]).announced.len(), 1);
        let alone = format!("/p2p/{peer}");
        let bytes = alone.parse::<Multiaddr>().unwrap().to_vec();
        assert_eq!(named_peer(&bytes), Some(peer));
        assert_eq!(read(&peer, &[&alone]), Forms::default());
        for without in [
            "/ip4/10.0.0.1/tcp/1",
            &format!("/p2p/{peer}/ip4/10.0.0.1/tcp/1"),
        ] {
            let bytes = without.parse::<Multiaddr>().unwrap().to_vec();
            assert_eq!(named_peer(&bytes), None, "{without}");
        }
        assert_eq!(named_peer(&[]), None);
        assert_eq!(named_peer(&[0xff]), None);
    }

    #[test]
    fn what_cannot_be_dialed_is_passed_over() {
        let peer = PeerId::random();
        let useless = [
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/10.0.0.1/udp/1",
            "/ip4/10.0.0.1/tcp/1/ws",
            "/dnsaddr/a.example/tcp/1",
            "/memory/1",
        ];
        assert_eq!(read(&peer, &useless), Forms::default());
        assert_eq!(forms(&peer, &[vec![0xff; 3]], 8), Forms::default());
    }

    #[test]
    fn addresses_that_stand_one_behind_the_other_are_divided() {
        let peer = PeerId::random();
        let several = "/ip4/10.0.0.1/tcp/1/dns/a.example/udp/2/quic-v1/ip6/::1/tcp/3";
        let forms = read(&peer, &[several]);
        assert_eq!(
            texts(&forms.announced),
            [
                "/ip4/10.0.0.1/tcp/1",
                "/dns/a.example/udp/2/quic-v1",
                "/ip6/::1/tcp/3"
            ]
        );
        // One of them that is useless does not spoil the others.
        let spoiled = "/tcp/7/ip4/10.0.0.1/tcp/1/ws/dns/a.example/tcp/2";
        assert_eq!(
            texts(&read(&peer, &[spoiled]).announced),
            ["/dns/a.example/tcp/2"]
        );
    }

    #[test]
    fn no_more_addresses_than_the_limit() {
        let peer = PeerId::random();
        let many: Vec<_> = (1..100)
            .map(|port| {
                format!("/ip4/10.0.0.1/tcp/{port}")
                    .parse::<Multiaddr>()
                    .unwrap()
                    .to_vec()
            })
            .collect();
        assert_eq!(forms(&peer, &many, 8).announced.len(), 8);
        let joined: Vec<u8> = many.concat();
        assert_eq!(forms(&peer, &[joined], 8).announced.len(), 8);
    }

    #[test]
    fn listening_takes_ip_addresses_only() {
        assert!(listen("/ip4/0.0.0.0/tcp/0").is_ok());
        assert!(listen("/ip6/::1/udp/0/quic-v1").is_ok());
        for wrong in [
            "127.0.0.1:80",
            "/ip4/1.2.3.4",
            "/dns4/a.example/tcp/1",
            "/ip4/1.2.3.4/udp/1",
        ] {
            let error = listen(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_port_in_use_is_noticed() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = [
            format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr().unwrap().port()),
            format!(
                "/ip4/127.0.0.1/udp/{}/quic-v1",
                udp.local_addr().unwrap().port()
            ),
        ];
        for text in taken {
            let error = probe(&listen(&text).unwrap()).unwrap_err();
            assert!(
                matches!(error, NetworkError::AddressInUse { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(&text));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            forms(&PeerId::random(), &[bytes], 8);
        }
    }
}
