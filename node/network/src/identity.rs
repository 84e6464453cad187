//! Names of peers, and the key pair that a name is derived from.
//!
//! A peer id is a secp256k1 public key itself, encoded and not hashed. Mostly it is the key that gives the member's account: then
//! who has read a member's public key from the chain knows its peer id. A member whose key is not on its machine has another one for
//! the network, and names it at the end of the addresses that it announces in a transaction of its own ([`PeerId::of_member`]). Either
//! way, a connection that has shown the peer id has shown which member it is.

use std::fmt;
use std::str::FromStr;

use libp2p::identity::{secp256k1, DecodingError, Keypair, PublicKey};
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use zeroize::Zeroizing;

/// The name of a peer: its secp256k1 public key, encoded without hashing, "16Uiu2HA…".
///
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(crate) libp2p::PeerId);

/// Bytes or text that are not a peer's name or key.
#[derive(Debug, thiserror::Error)]
pub enum PeerIdError {
    /// Not a compressed point on the curve.
    #[error("not a compressed secp256k1 public key: give the 33 bytes of a point on the curve")]
    PublicKey(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Not a secret of the curve.
    #[error("not a secp256k1 secret: its 32 bytes are zero or too large")]
    Secret(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Not the text of a peer id.
    #[error("\"{text}\" is not a peer id: it looks like 16Uiu2HA…")]
    Text {
        /// What was given.
        text: String,
        /// What the parser said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not the binary form of a peer id.
    #[error("these bytes are not a peer id")]
    Bytes(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PeerId {
    /// The name of the peer that holds this compressed public key.
    ///
    /// # Errors
    /// If the bytes are not a point on the curve.
    pub fn from_public_key(compressed: &[u8; 33]) -> Result<Self, PeerIdError> {
        secp256k1::PublicKey::try_from_bytes(compressed)
            .map(|key| Self(PublicKey::from(key).to_peer_id()))
            .map_err(|error| PeerIdError::PublicKey(error.into()))
    }

    /// The name of a member among peers: the one at the end of what it has announced on chain, or else that of its public key.
    ///
    /// # Errors
    /// If the bytes are not a point on the curve.
    pub fn of_member(public_key: &[u8; 33], announced: &[u8]) -> Result<Self, PeerIdError> {
        match named_peer(announced) {
            Some(peer) => Ok(Self(peer)),
            None => Self::from_public_key(public_key),
        }
    }

    /// The name that a network secret gives.
    ///
    /// # Errors
    /// If the bytes are not a secret of the curve.
    pub fn of_secret(secret: &Zeroizing<[u8; 32]>) -> Result<Self, PeerIdError> {
        let pair = keypair(secret).map_err(|error| PeerIdError::Secret(error.into()))?;
        Ok(Self(pair.public().to_peer_id()))
    }

    /// The name in binary form (a multihash).
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// If the bytes are not a multihash that can name a peer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PeerIdError> {
        libp2p::PeerId::from_bytes(bytes)
            .map(Self)
            .map_err(|error| PeerIdError::Bytes(error.into()))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|error| PeerIdError::Text {
            text: text.to_owned(),
            source: Box::new(error),
        })
    }
}

/// The peer id that stands behind addresses on chain, if one does.
pub(crate) fn named_peer(joined: &[u8]) -> Option<libp2p::PeerId> {
    let joined = Multiaddr::try_from(joined.to_vec()).ok()?;
    match joined.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}

/// The key pair of a secret. The library overwrites the copy that it is given.
pub(crate) fn keypair(secret: &Zeroizing<[u8; 32]>) -> Result<Keypair, DecodingError> {
    let mut copy = secret.clone();
    secp256k1::SecretKey::try_from_bytes(copy.as_mut_slice())
        .map(|key| Keypair::from(secp256k1::Keypair::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secp256k1 pair of the libp2p specification of peer ids.
    const SECRET: [u8; 32] = [
        0x53, 0xda, 0xdf, 0x1d, 0x5a, 0x16, 0x4d, 0x6b, 0x4a, 0xcd, 0xb1, 0x5e, 0x24, 0xaa, 0x4c,
        0x5b, 0x1d, 0x34, 0x61, 0xbd, 0xbd, 0x42, 0xab, 0xed, 0xb0, 0xa4, 0x40, 0x4d, 0x56, 0xce,
        0xd8, 0xfb,
    ];
    const PUBLIC: [u8; 33] = [
        0x03, 0x77, 0x77, 0xe9, 0x94, 0xe4, 0x52, 0xc2, 0x16, 0x04, 0xf9, 0x1d, 0xe0, 0x93, 0xce,
        0x41, 0x5f, 0x54, 0x32, 0xf7, 0x01, 0xdd, 0x8c, 0xd1, 0xa7, 0xa6, 0xfe, 0xa0, 0xe6, 0x30,
        0xbf, 0xca, 0x99,
    ];

    #[test]
    fn the_secret_and_the_public_key_give_the_same_name() {
        let from_secret = keypair(&Zeroizing::new(SECRET))
            .unwrap()
            .public()
            .to_peer_id();
        let from_public = PeerId::from_public_key(&PUBLIC).unwrap();
        assert_eq!(from_secret, from_public.0);
        assert!(from_public.to_string().starts_with("16Uiu2HA"));
    }

    #[test]
    fn text_and_bytes_round_trip() {
        let id = PeerId::from_public_key(&PUBLIC).unwrap();
        assert_eq!(id.to_string().parse::<PeerId>().unwrap(), id);
        assert_eq!(PeerId::from_bytes(&id.to_bytes()).unwrap(), id);
        assert_eq!(format!("{id:?}"), id.to_string());
    }

    #[test]
    fn what_is_no_key_or_name_is_refused() {
        let mut off_curve = [0xff; 33];
        off_curve[0] = 2;
        assert!(PeerId::from_public_key(&off_curve).is_err());
        assert!(PeerId::from_public_key(&[0; 33]).is_err());
        assert!("16Uiu2HA".parse::<PeerId>().is_err());
        assert!(PeerId::from_bytes(&[1, 2, 3]).is_err());
        assert!(keypair(&Zeroizing::new([0; 32])).is_err());
        assert!(keypair(&Zeroizing::new([0xff; 32])).is_err());
    }
}
