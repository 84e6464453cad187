//! ECIES on secp256k1, in the form that the `ecies` libraries of several languages have by default.
//!
//! `ephemeral public key (65) ‖ nonce (16) ‖ tag (16) ‖ box`, where the box is AES-256-GCM under HKDF-SHA-256(ephemeral
//! public key ‖ shared point), both uncompressed, without salt and purpose. It is put together here from k256, hkdf and
//! aes-gcm so that randomness comes from the caller; the vectors are opened by another of the libraries.

use crate::crypto::{PublicKey, SecretKey};
use aes_gcm::{
    aead::{consts::U16, AeadInPlace, KeyInit},
    aes::Aes256,
    AesGcm,
};
use hkdf::Hkdf;
use k256::elliptic_curve::sec1::ToEncodedPoint;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a public key that is not compressed.
const POINT: usize = 65;
const PART: usize = 16;

type Cipher = AesGcm<Aes256, U16>;

fn uncompressed(key: &PublicKey) -> [u8; POINT] {
    let mut point = [4; POINT];
    point[1..].copy_from_slice(&key.0);
    point
}

/// The cipher that both sides come to: one has the ephemeral secret, the other its own.
fn cipher(ephemeral: &PublicKey, secret: &SecretKey, other: &PublicKey) -> Option<Cipher> {
    let scalar = k256::NonZeroScalar::try_from(secret.to_bytes().as_slice()).ok()?;
    let point = k256::PublicKey::from_sec1_bytes(&uncompressed(other)).ok()?;
    let shared = (point.to_projective() * *scalar).to_affine();
    let shared = shared.to_encoded_point(false);
    let both = Zeroizing::new([&uncompressed(ephemeral)[..], shared.as_bytes()].concat());
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, &both)
        .expand(&[], key.as_mut_slice())
        .ok()?;
    Some(Cipher::new(key.as_slice().into()))
}

/// Encrypts to a public key. `ephemeral` and `nonce` must be fresh random numbers. `None` when the key is not a point.
pub fn encrypt(
    to: &PublicKey,
    plain: &[u8],
    ephemeral: &SecretKey,
    nonce: &[u8; PART],
) -> Option<Vec<u8>> {
    let public = ephemeral.public_key();
    let mut sealed = plain.to_vec();
    let tag = cipher(&public, ephemeral, to)?
        .encrypt_in_place_detached(nonce.into(), &[], &mut sealed)
        .ok()?;
    Some([&uncompressed(&public)[..], nonce, &tag, &sealed].concat())
}

/// Decrypts what was encrypted to the key of `secret`; `None` for anything else.
pub fn decrypt(secret: &SecretKey, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (point, rest) = bytes.split_at_checked(POINT)?;
    let (nonce, rest) = rest.split_at_checked(PART)?;
    let (tag, sealed) = rest.split_at_checked(PART)?;
    let ephemeral = point.strip_prefix(&[4])?;
    let ephemeral = PublicKey::from_slice(ephemeral).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let cipher = cipher(&ephemeral, secret, &ephemeral)?;
    let opened = cipher.decrypt_in_place_detached(nonce.into(), &[], &mut plain, tag.into());
    opened.ok().map(|()| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    #[test]
    fn only_the_one_it_is_for_decrypts_it() {
        let sealed = encrypt(&key(1).public_key(), b"a secret", &key(7), &[3; 16]).unwrap();
        assert_eq!(sealed.len(), 8 + POINT + 2 * PART);
        assert_eq!(decrypt(&key(1), &sealed).unwrap().as_slice(), b"a secret");
        assert!(decrypt(&key(2), &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(decrypt(&key(1), &changed).is_none(), "byte {at}");
            assert!(decrypt(&key(1), &sealed[..at]).is_none());
        }
    }

    /// Made by eciesjs 0.5.0 for the same key.
    #[test]
    fn what_another_library_encrypts_is_decrypted() {
        let theirs = include_str!("eciesjs.hex").trim();
        let plain = decrypt(&key(1), &hex::decode(theirs).unwrap()).unwrap();
        assert_eq!(plain.as_slice(), b"from eciesjs");
    }
}
