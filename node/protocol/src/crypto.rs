//! secp256k1 keys and recoverable signatures, as the contracts check them.
//!
//! A member has one [`SecretKey`]. Its [`PublicKey`] gives the account ([`PublicKey::address`]) and, in the network,
//! the peer id. [`SecretKey::sign`] signs a 32-byte digest, which comes from [`crate::eip712`]. [`Signature::recover`]
//! gives back the key that signed, so a signature needs no key beside it.
//!
//! Members sign through the trait [`Signer`]: the key is here, or a service has it. Such services do not sign a digest, because nobody
//! could see what it stands for; they hash what they are given. So a [`Signer`] gets the bytes themselves.
//!
//! A signature is accepted only in one form (EIP-2): `s` in the lower half of the order, and `v` 27 or 28. Otherwise
//! anybody could change the bytes of a signed message without changing its meaning.

use crate::{cids::keccak256, Address, Digest};
use k256::ecdsa::{Signature as EcdsaSignature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Why a key or a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The 32 bytes are zero or not below the order of the curve.
    #[error("these 32 bytes are not a secp256k1 private key; make one with `rings key new`")]
    SecretKey,
    /// The bytes are not a point of the curve.
    #[error("these bytes are not a secp256k1 public key")]
    PublicKey,
    /// `v` is neither 27 nor 28, `s` is in the upper half, or `r`, `s` are out of range.
    #[error("the signature is malformed (v must be 27 or 28, s in the lower half of the order)")]
    Malformed,
    /// Signing failed inside the library. With RFC 6979 and a valid key this does not happen.
    #[error("signing failed; the key may be damaged")]
    Sign,
    /// The service that has the key gives no signature now. Whoever wants one may try again.
    #[error("the signer gives no signature: {reason}")]
    SignerAway {
        /// What it answered, or why it cannot be reached.
        reason: String,
    },
}

impl CryptoError {
    /// Whether it may work later, with the same key and the same bytes.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::SignerAway { .. })
    }
}

/// Who signs for an account: a [`SecretKey`] on this machine, or a service that has the key.
pub trait Signer: Send + Sync {
    /// The public key of the account.
    fn public_key(&self) -> PublicKey;

    /// Signs the keccak-256 of these bytes. It may take as long as a request over the network.
    ///
    /// # Errors
    /// [`CryptoError::SignerAway`] when a service gives no signature now; [`CryptoError::Sign`].
    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError>;

    /// The account.
    fn address(&self) -> Address {
        self.public_key().address()
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        Self::public_key(self)
    }

    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError> {
        self.sign(&keccak256(bytes))
    }
}

impl<T: Signer + ?Sized> Signer for std::sync::Arc<T> {
    fn public_key(&self) -> PublicKey {
        (**self).public_key()
    }

    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError> {
        (**self).sign_hashed(bytes)
    }
}

/// A private key. Its bytes are overwritten when it is dropped, and `Debug` shows only its account.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A public key without prefix: x ‖ y.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 64]);

/// A recoverable signature over a 32-byte digest, with `s` in the lower half (EIP-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// x coordinate of the nonce point.
    #[serde(with = "serde_bytes")]
    pub r: [u8; 32],
    /// The other half of the signature: at most half of the curve's order.
    #[serde(with = "serde_bytes")]
    pub s: [u8; 32],
    /// 27 or 28: which of the two points `r` stands for.
    pub v: u8,
}

impl SecretKey {
    /// A key from 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::SecretKey`] when they are zero or too large.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        SigningKey::from_bytes(bytes.into())
            .map(Self)
            .map_err(|_| CryptoError::SecretKey)
    }

    /// Makes a key from the caller's random numbers, which must be cryptographically secure.
    pub fn generate(mut random: impl FnMut(&mut [u8; 32])) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            random(&mut bytes);
            // Only one value in 2^127 is not a key.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// The secret itself, for a keystore or for another library's key type.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The account of this key.
    pub fn address(&self) -> Address {
        self.public_key().address()
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_verifying(self.0.verifying_key())
    }

    /// Signs a digest (RFC 6979, so the same digest gives the same signature).
    ///
    /// It uses libsecp256k1, as [`Signature::recover`] does: it takes constant time as k256 does, and half of it. In
    /// WebAssembly it uses k256. Both give the same signature.
    ///
    /// # Errors
    /// [`CryptoError::Sign`], which does not happen with a valid key.
    pub fn sign(&self, digest: &Digest) -> Result<Signature, CryptoError> {
        sign(&self.0, digest).ok_or(CryptoError::Sign)
    }
}

/// Signs with libsecp256k1. Its context is blinded with random numbers when it is first used in a process.
#[cfg(not(target_family = "wasm"))]
fn sign(key: &SigningKey, digest: &Digest) -> Option<Signature> {
    use secp256k1::{Message, SecretKey, SECP256K1};
    let bytes = Zeroizing::new(<[u8; 32]>::from(key.to_bytes()));
    let mut key = SecretKey::from_byte_array(&bytes).ok()?;
    let signature = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(digest.0), &key);
    key.non_secure_erase();
    let (parity, bytes) = signature.serialize_compact();
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&bytes[..32]);
    s.copy_from_slice(&bytes[32..]);
    let v = 27 + (i32::from(parity) & 1) as u8;
    Some(Signature { r, s, v })
}

#[cfg(target_family = "wasm")]
use sign_with_k256 as sign;

/// Signs with k256 (Rust alone), where the C library of secp256k1 is not available.
#[cfg(any(test, target_family = "wasm"))]
fn sign_with_k256(key: &SigningKey, digest: &Digest) -> Option<Signature> {
    let (signature, recovery) = key.sign_prehash_recoverable(&digest.0).ok()?;
    let (r, s) = signature.split_bytes();
    Some(Signature {
        r: r.into(),
        s: s.into(),
        v: 27 + (recovery.to_byte() & 1),
    })
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

impl PublicKey {
    fn from_verifying(key: &VerifyingKey) -> Self {
        let point = key.to_encoded_point(false);
        let mut bytes = [0; 64];
        bytes.copy_from_slice(&point.as_bytes()[1..]);
        Self(bytes)
    }

    #[cfg(not(target_family = "wasm"))]
    /// Reads 04 ‖ x ‖ y. The caller knows that the point is on the curve.
    fn from_uncompressed(point: &[u8; 65]) -> Result<Self, CryptoError> {
        let bytes = point[1..].try_into().map_err(|_| CryptoError::PublicKey)?;
        Ok(Self(bytes))
    }

    fn verifying(&self) -> Result<VerifyingKey, CryptoError> {
        let mut bytes = [4; 65];
        bytes[1..].copy_from_slice(&self.0);
        VerifyingKey::from_sec1_bytes(&bytes).map_err(|_| CryptoError::PublicKey)
    }

    /// A public key from 64 bytes (x ‖ y), checked to be on the curve.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        let key = Self(bytes.try_into().map_err(|_| CryptoError::PublicKey)?);
        key.verifying().map(|_| key)
    }

    /// The account: the last 20 bytes of the key's keccak-256.
    pub fn address(&self) -> Address {
        let hash = keccak256(&self.0).0;
        let mut address = [0; 20];
        address.copy_from_slice(&hash[12..]);
        Address(address)
    }

    /// SEC 1 compressed form: 02 or 03, then x.
    pub fn compressed(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes[0] = 2 + (self.0[63] & 1);
        bytes[1..].copy_from_slice(&self.0[..32]);
        bytes
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl Signature {
    /// The public key that made this signature over `digest`.
    ///
    /// It uses libsecp256k1, which takes a sixth of the time of k256: checking signatures is most of the work of
    /// following logs. In WebAssembly, where there is no C library, it uses k256.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the contract would refuse the signature too, or when no key fits it.
    pub fn recover(&self, digest: &Digest) -> Result<PublicKey, CryptoError> {
        let signature = self.parse()?;
        let recovered = recover(&signature, self.v == 28, digest);
        recovered.ok_or(CryptoError::Malformed)
    }

    /// r ‖ s ‖ v, 65 bytes.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..64].copy_from_slice(&self.s);
        bytes[64] = self.v;
        bytes
    }

    /// Reads r ‖ s ‖ v; a `v` of 0 or 1, as some wallets write it, becomes 27 or 28.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the length or a value is wrong.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| CryptoError::Malformed)?;
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..64]);
        let v = if bytes[64] < 2 {
            bytes[64] + 27
        } else {
            bytes[64]
        };
        let signature = Self { r, s, v };
        signature.parse().map(|_| signature)
    }

    /// As [`Signature::from_slice`], from a library that does not keep to the lower half: the same signature with its `s` there.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the length or a value is wrong.
    pub fn from_any_half(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut bytes: [u8; 65] = bytes.try_into().map_err(|_| CryptoError::Malformed)?;
        let halves = EcdsaSignature::from_slice(&bytes[..64]);
        let halves = halves.map_err(|_| CryptoError::Malformed)?;
        if let Some(lower) = halves.normalize_s() {
            bytes[..64].copy_from_slice(&lower.to_bytes());
            // The other point, whose y is odd where that of this one is even.
            bytes[64] ^= match bytes[64] {
                0 | 1 => 1,
                27 | 28 => 27 ^ 28,
                _ => return Err(CryptoError::Malformed),
            };
        }
        Self::from_slice(&bytes)
    }

    /// The signature as the library wants it. Only `s` in the lower half of the group's order is accepted (EIP-2), as by
    /// the contracts, so that nobody can make a second signature of one.
    fn parse(&self) -> Result<EcdsaSignature, CryptoError> {
        if !matches!(self.v, 27 | 28) {
            return Err(CryptoError::Malformed);
        }
        let signature =
            EcdsaSignature::from_scalars(self.r, self.s).map_err(|_| CryptoError::Malformed)?;
        match signature.normalize_s() {
            None => Ok(signature),
            Some(_) => Err(CryptoError::Malformed),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn recover(signature: &EcdsaSignature, is_odd: bool, digest: &Digest) -> Option<PublicKey> {
    use secp256k1::{
        ecdsa::{RecoverableSignature, RecoveryId},
        Message, SECP256K1,
    };
    let parity = match is_odd {
        true => RecoveryId::One,
        false => RecoveryId::Zero,
    };
    let signature = RecoverableSignature::from_compact(&signature.to_bytes(), parity).ok()?;
    let key = SECP256K1.recover_ecdsa(&Message::from_digest(digest.0), &signature);
    PublicKey::from_uncompressed(&key.ok()?.serialize_uncompressed()).ok()
}

#[cfg(target_family = "wasm")]
use recover_with_k256 as recover;

/// Recovers with k256 (Rust alone), where the C library of secp256k1 is not available.
#[cfg(any(test, target_family = "wasm"))]
fn recover_with_k256(
    signature: &EcdsaSignature,
    is_odd: bool,
    digest: &Digest,
) -> Option<PublicKey> {
    let parity = k256::ecdsa::RecoveryId::new(is_odd, false);
    let key = VerifyingKey::recover_from_prehash(&digest.0, signature, parity).ok()?;
    Some(PublicKey::from_verifying(&key))
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cids::sha256;
    use k256::elliptic_curve::PrimeField;
    use proptest::prelude::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&sha256(&[seed]).0).unwrap()
    }

    /// N − s and the other v: the signature's twin, which ecrecover accepts and the ring must not.
    fn twin(signature: &Signature) -> Signature {
        let s = k256::Scalar::from_repr(signature.s.into()).unwrap();
        Signature {
            s: (-s).to_repr().into(),
            v: 55 - signature.v,
            ..*signature
        }
    }

    #[test]
    fn the_first_account_of_the_well_known_test_mnemonic() {
        let bytes = hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap();
        let key = SecretKey::from_bytes(&bytes.try_into().unwrap()).unwrap();
        assert_eq!(
            key.address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
    }

    #[test]
    fn secrets_do_not_print() {
        let key = key(1);
        let secret = hex::encode(*key.to_bytes());
        assert!(!format!("{key:?}").contains(&secret[..8]));
    }

    #[test]
    fn only_27_and_28_are_v() {
        let signature = key(1).sign(&Digest([7; 32])).unwrap();
        let accepted = (0..=255).filter(|v| {
            Signature { v: *v, ..signature }.recover(&Digest([7; 32])) == Ok(key(1).public_key())
        });
        assert_eq!(accepted.collect::<Vec<u8>>(), [signature.v]);
    }

    #[test]
    fn zero_and_too_large_are_refused() {
        let signature = key(1).sign(&Digest([7; 32])).unwrap();
        let order_minus_zero = [0xff; 32];
        for bad in [[0; 32], order_minus_zero] {
            assert!(Signature {
                r: bad,
                ..signature
            }
            .recover(&Digest([7; 32]))
            .is_err());
            assert!(Signature {
                s: bad,
                ..signature
            }
            .recover(&Digest([7; 32]))
            .is_err());
            assert!(SecretKey::from_bytes(&bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_signature_recovers_to_its_signer(seed: u8, digest: [u8; 32]) {
            let (key, digest) = (key(seed), Digest(digest));
            let signature = key.sign(&digest).unwrap();
            prop_assert_eq!(signature.recover(&digest).unwrap(), key.public_key());
            prop_assert_eq!(Signature::from_slice(&signature.to_bytes()).unwrap(), signature);
            prop_assert!(twin(&signature).recover(&digest).is_err());
            prop_assert!(Signature::from_slice(&twin(&signature).to_bytes()).is_err());
            for one in [signature, twin(&signature)] {
                prop_assert_eq!(Signature::from_any_half(&one.to_bytes()).unwrap(), signature);
            }
        }

        #[test]
        fn both_libraries_make_the_same_signature(seed: u8, digest: [u8; 32]) {
            let (key, digest) = (key(seed), Digest(digest));
            prop_assert_eq!(key.sign(&digest).ok(), sign_with_k256(&key.0, &digest));
        }

        /// Two libraries give the same answer, also for invalid signatures.
        #[test]
        fn both_libraries_recover_the_same_key(seed: u8, digest: [u8; 32], r: [u8; 32], v in 27u8..29, genuine: bool) {
            let mut signature = key(seed).sign(&Digest(digest)).unwrap();
            if !genuine {
                (signature.r, signature.v) = (r, v);
            }
            let digest = Digest(digest);
            let theirs = signature.parse().ok();
            let theirs = theirs.and_then(|parsed| recover_with_k256(&parsed, signature.v == 28, &digest));
            prop_assert_eq!(signature.recover(&digest).ok(), theirs);
        }

        #[test]
        fn compressed_keys_are_the_same_point(seed: u8) {
            let key = key(seed);
            let expected = key.0.verifying_key().to_encoded_point(true);
            prop_assert_eq!(&key.public_key().compressed()[..], expected.as_bytes());
        }
    }
}
