//! Keys on their way to a member or a replica: wrapped to its public key by ECIES on secp256k1, as the `ecies` libraries
//! of several languages do it.
//!
//! A wrapped key stands outside of every seal, because who needs it has no key yet. So chain, ring and epoch are inside the
//! wrapping. Anybody can wrap anything to a public key: a key counts only once a member's log announces its name
//! ([`super::Rotation`]), and a node that it opens is signed by a member.

use super::{
    ecies,
    keys::{ReadKey, ReplicaKey},
};
use crate::{
    cbor::{CborError, Reader, Writer},
    crypto::{PublicKey, SecretKey},
    eip712::Domain,
    Address,
};
use zeroize::Zeroizing;

/// Most bytes of a wrapped key.
pub const MAX_WRAP_BYTES: usize = 256;
const READ: u64 = 0;
const REPLICA: u64 = 1;

/// A key that was wrapped.
#[derive(Debug, Clone)]
pub enum WrappedKey {
    /// For a member.
    Read(ReadKey),
    /// For a replica.
    Replica(ReplicaKey),
}

/// Why a key cannot be wrapped, or a wrapping is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// This member has not approved that the account may read. That the chain lists it is not enough.
    #[error(
        "{account} has not been approved here; approve it, or let a member wrap the key who has"
    )]
    NotApproved {
        /// The account.
        account: Address,
    },
    /// The library refuses the public key, or the bytes are not for this key.
    #[error("the wrapping is not for this key, or was changed")]
    Ecies,
    /// What is inside is no key.
    #[error("what is wrapped is not a key in DAG-CBOR")]
    Form(#[source] CborError),
    /// The key is for another ring or chain.
    #[error("the wrapped key is for ring {ring} on chain {chain}")]
    Elsewhere {
        /// Its ring.
        ring: Address,
        /// Its chain.
        chain: u64,
    },
}

impl From<CborError> for WrapError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

/// Wraps a key to a public key. `random` gives secure random numbers.
///
/// It does not ask who may read: only [`super::Keyring::wrap`] does, so that it is asked everywhere.
pub(super) fn wrap(
    domain: &Domain,
    epoch: u64,
    key: &WrappedKey,
    to: &PublicKey,
    mut random: impl FnMut(&mut [u8; 32]),
) -> Result<Vec<u8>, WrapError> {
    let (kind, secret) = match key {
        WrappedKey::Read(key) => (READ, key.to_bytes()),
        WrappedKey::Replica(key) => (REPLICA, key.to_bytes()),
    };
    let mut writer = Writer::with_capacity(96);
    writer.list(5).uint(kind).uint(domain.chain_id);
    writer
        .bytes(&domain.ring.0)
        .uint(epoch)
        .bytes(secret.as_slice());
    let plain = Zeroizing::new(writer.finish());
    let ephemeral = SecretKey::generate(&mut random);
    let (mut bytes, mut nonce) = ([0; 32], [0; 16]);
    random(&mut bytes);
    nonce.copy_from_slice(&bytes[..16]);
    ecies::encrypt(to, &plain, &ephemeral, &nonce).ok_or(WrapError::Ecies)
}

/// Unwraps a key that is for `secret`. Returns its epoch and the key.
///
/// # Errors
/// [`WrapError`] when it is for another account, another ring or another chain, or is no key.
pub fn unwrap(
    domain: &Domain,
    secret: &SecretKey,
    bytes: &[u8],
) -> Result<(u64, WrappedKey), WrapError> {
    if bytes.len() > MAX_WRAP_BYTES {
        return Err(WrapError::Ecies);
    }
    let plain = ecies::decrypt(secret, bytes).ok_or(WrapError::Ecies)?;
    let plain = Zeroizing::new(plain);
    let mut reader = Reader::new(&plain);
    reader.tuple(5)?;
    let (at, kind) = (reader.at(), reader.uint()?);
    let (chain, ring) = (reader.uint()?, Address(reader.fixed()?));
    let (epoch, secret) = (reader.uint()?, reader.fixed()?);
    reader.end()?;
    // The names are inside what is encrypted, so a key for another ring cannot be passed off as one for this ring.
    if (chain, ring) != (domain.chain_id, domain.ring) {
        return Err(WrapError::Elsewhere { ring, chain });
    }
    let key = match kind {
        READ => WrappedKey::Read(ReadKey::from_bytes(secret, domain)),
        REPLICA => WrappedKey::Replica(ReplicaKey::from_bytes(secret, domain)),
        _ => {
            return Err(WrapError::Form(CborError::Type {
                at,
                expected: "a key of a known kind",
            }))
        }
    };
    Ok((epoch, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(chain: u64) -> Domain {
        Domain::new(chain, Address([7; 20]))
    }

    fn account(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn wrapped() -> Vec<u8> {
        let key = ReadKey::from_bytes([5; 32], &domain(1));
        wrap(
            &domain(1),
            3,
            &WrappedKey::Read(key),
            &account(1).public_key(),
            |bytes| *bytes = [9; 32],
        )
        .unwrap()
    }

    #[test]
    fn a_key_is_unwrapped_by_the_one_it_is_for() {
        let (epoch, key) = unwrap(&domain(1), &account(1), &wrapped()).unwrap();
        let WrappedKey::Read(key) = key else {
            panic!("a read key was wrapped")
        };
        assert_eq!((epoch, *key.to_bytes()), (3, [5; 32]));
        assert!(matches!(
            unwrap(&domain(1), &account(2), &wrapped()),
            Err(WrapError::Ecies)
        ));
        let elsewhere = unwrap(&domain(2), &account(1), &wrapped());
        assert!(matches!(
            elsewhere,
            Err(WrapError::Elsewhere { chain: 1, .. })
        ));
        assert!(wrapped().len() <= MAX_WRAP_BYTES);
    }

    #[test]
    fn a_changed_wrapping_is_refused() {
        let good = wrapped();
        for at in (0..good.len()).step_by(7) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(
                unwrap(&domain(1), &account(1), &bytes).is_err(),
                "byte {at}"
            );
        }
    }
}
