//! The word of a replica that it holds a log: a signature over ring, avatar and head, which the avatar can keep.
//! Whether the signer is a member of the replica ring has to be asked of the chain.

use rings_protocol::{
    crypto::{CryptoError, Signature},
    eip712::Domain,
    Address, Digest,
};

/// Why a replica's word proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// The signature is malformed.
    #[error("the replica's signature is malformed")]
    Signature(#[source] CryptoError),
    /// Somebody else signed.
    #[error("{found} signed in the name of {replica}")]
    Replica {
        /// Who was said to hold the log.
        replica: Address,
        /// Who signed.
        found: Address,
    },
}

/// Checks that `replica` signed that it holds the log of `avatar` in `ring` up to `head`. `replica_ring` is the domain of
/// the ring that keeps the logs: whether the replica is a member of it must be asked of the chain.
///
/// # Errors
/// [`HeldError`].
pub fn held_by(
    replica_ring: &Domain,
    replica: Address,
    (ring, avatar, head): (Address, Address, Digest),
    signature: &[u8],
) -> Result<(), HeldError> {
    let signature = Signature::from_slice(signature).map_err(HeldError::Signature)?;
    let digest = replica_ring.held(ring, avatar, head).digest();
    let found = signature.recover(&digest).map_err(HeldError::Signature)?;
    let found = found.address();
    match found == replica {
        true => Ok(()),
        false => Err(HeldError::Replica { replica, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::crypto::SecretKey;

    #[test]
    fn a_replica_is_held_to_its_own_word_only() {
        let (ring, avatar, head) = (Address([1; 20]), Address([2; 20]), Digest([3; 32]));
        let domain = Domain::new(31337, Address([4; 20]));
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let signed = key
            .sign(&domain.held(ring, avatar, head).digest())
            .unwrap()
            .to_bytes();
        let check = |replica, head| held_by(&domain, replica, (ring, avatar, head), &signed);
        assert_eq!(check(key.address(), head), Ok(()));
        assert!(matches!(
            check(key.address(), Digest([4; 32])),
            Err(HeldError::Replica { .. })
        ));
        assert!(matches!(
            check(avatar, head),
            Err(HeldError::Replica { .. })
        ));
        let cut = held_by(&domain, key.address(), (ring, avatar, head), &signed[..64]);
        assert!(matches!(cut, Err(HeldError::Signature(_))));
    }
}
