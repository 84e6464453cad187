//! Encrypts a private key into a keystore of version 3 (Web3 Secret Storage).
//!
//! The library that opens keystores can only make light ones, so this is done here: a key of 32 bytes is derived from the
//! password with scrypt, its first half encrypts the private key with AES-128 in counter mode, and its second half is part
//! of the check value (MAC).

use aes::cipher::{KeyIvInit, StreamCipher};
use rand::RngCore;
use rings_protocol::{cids::keccak256, crypto::SecretKey};
use scrypt::Params;
use serde_json::json;
use zeroize::Zeroizing;

type Cipher = ctr::Ctr128BE<aes::Aes128>;

/// Bytes of the derived key: 16 for the cipher, 16 for the check value.
const DERIVED: usize = 32;
/// scrypt's block size and number of lanes, as geth, ethers and Foundry use them.
const BLOCKS: u32 = 8;
const LANES: u32 = 1;

/// How much work it takes to try one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// What geth and ethers use (n = 262144): about a second, and 256 MiB of memory.
    Standard,
    /// What Foundry uses (n = 8192): some 20 ms, and 8 MiB. Only for passwords that are random.
    Light,
}

impl Strength {
    /// The binary logarithm of scrypt's n.
    fn log_n(self) -> u8 {
        match self {
            Self::Standard => 18,
            Self::Light => 13,
        }
    }
}

/// The text of the keystore. It names the account, so that it can be shown without the password.
///
/// # Errors
/// In words; never with the parameters that a [`Strength`] stands for.
pub(super) fn encrypt(
    key: &SecretKey,
    password: &str,
    strength: Strength,
) -> Result<String, String> {
    let (mut salt, mut iv, mut id) = ([0; 32], [0; 16], [0; 16]);
    for bytes in [&mut salt[..], &mut iv, &mut id] {
        rand::rngs::OsRng.fill_bytes(bytes);
    }
    let mut derived = Zeroizing::new([0; DERIVED]);
    let params = Params::new(strength.log_n(), BLOCKS, LANES).map_err(|error| error.to_string())?;
    scrypt::scrypt(password.as_bytes(), &salt, &params, &mut *derived)
        .map_err(|error| error.to_string())?;
    // As the Web3 Secret Storage Definition says: the first half of what scrypt gives encrypts, the second half is
    // hashed with the ciphertext, so that a wrong password is noticed before a wrong key is used.
    let (encryption, check) = derived.split_at(DERIVED / 2);
    let mut text = *key.to_bytes();
    Cipher::new(encryption.into(), &iv.into()).apply_keystream(&mut text);
    let mac = keccak256(&Zeroizing::new([check, &text].concat()));
    let keystore = json!({
        "address": hex::encode(key.address().0),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": hex::encode(iv) },
            "ciphertext": hex::encode(text),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": DERIVED,
                "n": 1u32 << strength.log_n(),
                "p": LANES,
                "r": BLOCKS,
                "salt": hex::encode(salt),
            },
            "mac": hex::encode(mac.0),
        },
        "id": uuid(id),
        "version": 3,
    });
    Ok(keystore.to_string())
}

/// A random UUID (version 4), as the definition asks for one.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parameters_are_those_that_were_asked_for() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let made = encrypt(&key, "secret", Strength::Light).unwrap();
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["crypto"]["kdfparams"]["n"], 8192);
        assert_eq!(1u32 << Strength::Standard.log_n(), 262_144);
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
