//! Addresses for people.

use crate::address::{is_somewhere, split};
use libp2p::Multiaddr;

/// The text forms of the addresses that bytes on chain hold, such as `/ip4/127.0.0.1/tcp/4001`; none if the bytes are not
/// a multiaddress. A peer id alone is no address.
pub fn address_texts(bytes: &[u8]) -> Vec<String> {
    let joined = Multiaddr::try_from(bytes.to_vec()).unwrap_or_else(|_| Multiaddr::empty());
    let addresses = split(&joined);
    let addresses = addresses.iter().filter(|address| is_somewhere(address));
    addresses.map(ToString::to_string).collect()
}

/// As [`address_texts`], joined into one line; `None` if there is no address.
pub fn address_text(bytes: &[u8]) -> Option<String> {
    let texts = address_texts(bytes);
    (!texts.is_empty()).then(|| texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text() {
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
        assert_eq!(
            address_text(&address.to_vec()).as_deref(),
            Some("/ip4/127.0.0.1/tcp/4001")
        );
        let two: Multiaddr = "/ip4/127.0.0.1/tcp/4001/dns/a.example/tcp/2"
            .parse()
            .unwrap();
        assert_eq!(
            address_text(&two.to_vec()).as_deref(),
            Some("/ip4/127.0.0.1/tcp/4001, /dns/a.example/tcp/2")
        );
        assert_eq!(address_text(&[]), None);
        assert_eq!(address_text(&[0xff]), None);
    }
}
