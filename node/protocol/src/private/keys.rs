//! The keys of a private ring, and what is derived from them.
//!
//! A [`ReadKey`] opens the bodies of log nodes. The [`ReplicaKey`], which opens the nodes around them, is derived from it
//! by HKDF: the read key gives both; the replica key does not give the read key. All derivations are salted with the
//! EIP-712 domain separator, so one key gives other keys in another ring or on another chain. Keys are overwritten when
//! they are dropped, and never printed: outside they go by their name, which is derived too.

use crate::{eip712::Domain, Digest};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A secret that is overwritten when it is dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// Opens what members say to each other: the bodies of log nodes, and with the derived key the nodes.
#[derive(Clone)]
pub struct ReadKey {
    secret: Secret,
    domain: Domain,
}

/// Opens log nodes, but not their bodies: order, links and signatures.
#[derive(Clone)]
pub struct ReplicaKey {
    secret: Secret,
    domain: Domain,
}

/// 32 bytes from a secret, for one purpose.
fn derive(domain: &Domain, secret: &Secret, purpose: &str) -> Secret {
    let hkdf = Hkdf::<Sha256>::new(Some(&domain.separator().0), secret.as_slice());
    let mut derived = Zeroizing::new([0; 32]);
    // 32 bytes are never too many for HKDF, whose limit is 8,160. A key of zeros would open nothing.
    let done = hkdf.expand(purpose.as_bytes(), derived.as_mut_slice());
    debug_assert!(done.is_ok());
    derived
}

/// A keyed hash: HMAC-SHA-256, which is what HKDF extracts with.
pub(super) fn keyed_hash(key: &Secret, bytes: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(key.as_slice()), bytes)
        .0
        .into()
}

impl ReadKey {
    /// A key from 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32], domain: &Domain) -> Self {
        Self {
            secret: Zeroizing::new(bytes),
            domain: *domain,
        }
    }

    /// Makes a key from the caller's random numbers, which must be cryptographically secure.
    pub fn generate(domain: &Domain, random: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        random(&mut secret);
        Self {
            secret,
            domain: *domain,
        }
    }

    /// The secret itself, to be wrapped or kept in a keystore.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.secret.clone()
    }

    /// Its name.
    pub fn name(&self) -> Digest {
        Digest(*derive(&self.domain, &self.secret, "rings/1/read/name"))
    }

    /// The replica key that goes with it.
    pub fn replica_key(&self) -> ReplicaKey {
        ReplicaKey {
            secret: derive(&self.domain, &self.secret, "rings/1/replica"),
            domain: self.domain,
        }
    }

    pub(super) fn cipher_key(&self) -> Secret {
        derive(&self.domain, &self.secret, "rings/1/read/cipher")
    }

    pub(super) fn nonce_key(&self) -> Secret {
        derive(&self.domain, &self.secret, "rings/1/read/nonce")
    }
}

impl ReplicaKey {
    /// A key from 32 secret bytes.
    pub fn from_bytes(bytes: [u8; 32], domain: &Domain) -> Self {
        Self {
            secret: Zeroizing::new(bytes),
            domain: *domain,
        }
    }

    /// The secret itself, to be wrapped or kept in a keystore.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.secret.clone()
    }

    /// Its name, which stands on each node that it seals.
    pub fn name(&self) -> Digest {
        Digest(*derive(&self.domain, &self.secret, "rings/1/replica/name"))
    }

    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    pub(super) fn cipher_key(&self) -> Secret {
        derive(&self.domain, &self.secret, "rings/1/replica/cipher")
    }

    pub(super) fn nonce_key(&self) -> Secret {
        derive(&self.domain, &self.secret, "rings/1/replica/nonce")
    }
}

impl fmt::Debug for ReadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadKey({})", self.name())
    }
}

impl fmt::Debug for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaKey({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;
    use std::collections::BTreeSet;

    fn domain(chain: u64) -> Domain {
        Domain::new(chain, Address([7; 20]))
    }

    #[test]
    fn every_derived_key_is_another_one_and_belongs_to_one_ring() {
        let mut seen = BTreeSet::new();
        for chain in [1, 2] {
            let read = ReadKey::from_bytes([5; 32], &domain(chain));
            let replica = read.replica_key();
            seen.extend([read.name().0, replica.name().0, *replica.to_bytes()]);
            seen.extend([*read.cipher_key(), *read.nonce_key()]);
            seen.extend([*replica.cipher_key(), *replica.nonce_key()]);
        }
        assert_eq!(seen.len(), 14);
        assert!(!seen.contains(&[0; 32]) && !seen.contains(&[5; 32]));
    }

    #[test]
    fn secrets_do_not_print() {
        let read = ReadKey::generate(&domain(1), |bytes| *bytes = [0xab; 32]);
        let replica = read.replica_key();
        let printed = format!("{read:?} {replica:?}");
        assert!(!printed.contains("abab"));
        assert!(!printed.contains(&hex::encode(*replica.to_bytes())[..8]));
    }

    /// RFC 5869, test case 1, so that the library is the one that others use.
    #[test]
    fn hkdf_is_that_of_the_rfc() {
        let hkdf = Hkdf::<Sha256>::new(
            Some(&hex::decode("000102030405060708090a0b0c").unwrap()),
            &[0x0b; 22],
        );
        let mut okm = [0; 42];
        hkdf.expand(&hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut okm)
            .unwrap();
        assert!(hex::encode(okm).starts_with("3cb25f25faacd57a90434f64d0362f2a"));
    }
}
