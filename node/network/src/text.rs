//! Addresses for people.

use libp2p::Multiaddr;

/// The text form of a binary multiaddr, such as `/ip4/127.0.0.1/tcp/4001`; nothing if the bytes are none.
pub fn address_text(bytes: &[u8]) -> Option<String> {
    let address = Multiaddr::try_from(bytes.to_vec()).ok()?;
    (!address.is_empty()).then(|| address.to_string())
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
        assert_eq!(address_text(&[]), None);
        assert_eq!(address_text(&[0xff]), None);
    }
}
