//! Private keys in files: encrypted keystores (Web3 Secret Storage v3), or plain hex for keys that programs make.
//!
//! [`load`] reads a key of either form, and [`store`] and [`store_hex`] write a new one, whole or not at all. A file that
//! other users can read is refused (`secret_file`). A keystore of another tool is first brought into the form that the
//! library reads (`form`), and checked, so that nobody's file makes us work for hours (`check`). New ones are made by
//! `encrypt`. What is read is wiped from memory when it is dropped, and nothing here prints a secret.

mod check;
mod encrypt;
mod error;
mod form;
mod password;
mod secret_file;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use encrypt::Strength;
pub use error::KeystoreError;
pub use password::{generate_password, new_password, password};
pub use secret_file::{read_secret, write_secret};

use check::check_keystore;
use error::{malformed, unwritten};
use eth_keystore::KeystoreError as FormatError;
use rand::RngCore;
use rings_protocol::{crypto::SecretKey, Address};
use std::{io::Write, path::Path};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// A new key from the operating system's random bytes.
pub fn generate() -> SecretKey {
    SecretKey::generate(|bytes| rand::rngs::OsRng.fill_bytes(bytes))
}

/// Reads the key in `path`: hex, or a keystore with the password in `password_file`. Without such a file, the password is
/// asked for on the terminal. Blocks for as long as scrypt takes.
///
/// # Errors
/// [`KeystoreError`], which says what to do.
pub fn load(path: &Path, password_file: Option<&Path>) -> Result<SecretKey, KeystoreError> {
    let content = read_secret(path)?;
    match parse(path, &content)? {
        Content::Hex(key) => Ok(key),
        Content::Keystore { address, plain } => {
            let key = decrypt(path, &plain, &password(path, password_file)?)?;
            match address.filter(|named| *named != key.address()) {
                Some(named) => Err(KeystoreError::OtherAccount {
                    path: path.into(),
                    named,
                    actual: key.address(),
                }),
                None => Ok(key),
            }
        }
    }
}

/// The account of the key in `path`. Needs no password when the keystore names the account, which is believed then: [`load`]
/// compares it with the key.
///
/// # Errors
/// As [`load`].
pub fn address(path: &Path, password_file: Option<&Path>) -> Result<Address, KeystoreError> {
    match parse(path, &read_secret(path)?)? {
        Content::Hex(key) => Ok(key.address()),
        Content::Keystore {
            address: Some(address),
            ..
        } => Ok(address),
        Content::Keystore { address: None, .. } => Ok(load(path, password_file)?.address()),
    }
}

/// Encrypts `key` into the new file `path`, of mode 0600. Blocks for as long as scrypt takes: see [`Strength`].
///
/// # Errors
/// [`KeystoreError::EmptyPassword`], [`KeystoreError::Exists`], [`KeystoreError::Write`], [`KeystoreError::Crypto`].
pub fn store(
    path: &Path,
    key: &SecretKey,
    password: &str,
    strength: Strength,
) -> Result<(), KeystoreError> {
    if path.exists() {
        return Err(KeystoreError::Exists { path: path.into() });
    }
    write_secret(path, encrypted(path, key, password, strength)?.as_bytes())
}

/// The text of a keystore with `key`. `path` is where it will be, for the error.
///
/// # Errors
/// [`KeystoreError::EmptyPassword`], [`KeystoreError::Crypto`].
pub fn encrypted(
    path: &Path,
    key: &SecretKey,
    password: &str,
    strength: Strength,
) -> Result<String, KeystoreError> {
    if password.is_empty() {
        return Err(KeystoreError::EmptyPassword { path: path.into() });
    }
    encrypt::encrypt(key, password, strength).map_err(|source| KeystoreError::Crypto {
        path: path.into(),
        source: source.into(),
    })
}

/// Writes the hex of `key` into the new file `path`, of mode 0600.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Write`].
pub fn store_hex(path: &Path, key: &SecretKey) -> Result<(), KeystoreError> {
    write_secret(path, hex_text(key).as_bytes())
}

/// The hex of `key`, as a line.
pub fn hex_text(key: &SecretKey) -> Zeroizing<String> {
    Zeroizing::new(format!("0x{}\n", hex::encode(*key.to_bytes())))
}

/// What is in a key file.
enum Content {
    Hex(SecretKey),
    Keystore {
        address: Option<Address>,
        /// The keystore in the form that the library reads.
        plain: String,
    },
}

fn parse(path: &Path, text: &str) -> Result<Content, KeystoreError> {
    if text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
    {
        let plain = form::plain(text).map_err(|reason| malformed(path, reason))?;
        let address = check_keystore(&plain).map_err(|reason| malformed(path, reason))?;
        return Ok(Content::Keystore { address, plain });
    }
    parse_hex(path, text).map(Content::Hex)
}

/// The key whose hex, with or without 0x, is `text`. `path` is where it came from, for the error.
///
/// # Errors
/// [`KeystoreError::Form`] and [`KeystoreError::Key`].
pub fn parse_hex(path: &Path, text: &str) -> Result<SecretKey, KeystoreError> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *bytes)
        .map_err(|_| malformed(path, "expected 64 hexadecimal digits"))?;
    SecretKey::from_bytes(&bytes).map_err(|source| KeystoreError::Key {
        path: path.into(),
        source,
    })
}

/// Opens the keystore `plain`, which came from `path`. The library reads files only, so it gets a copy, which is encrypted
/// as the first one is.
fn decrypt(path: &Path, plain: &str, password: &str) -> Result<SecretKey, KeystoreError> {
    let crypto = |source: FormatError| KeystoreError::Crypto {
        path: path.into(),
        source: source.into(),
    };
    let mut copy = NamedTempFile::new().map_err(|source| unwritten(path, source))?;
    let written = copy.write_all(plain.as_bytes());
    written.map_err(|source| unwritten(path, source))?;
    let mut tried = form::passwords(password).into_iter();
    let bytes = loop {
        let Some(password) = tried.next() else {
            return Err(KeystoreError::Password { path: path.into() });
        };
        match eth_keystore::decrypt_key(copy.path(), password.as_str()) {
            Err(FormatError::MacMismatch) => {}
            opened => break opened.map_err(crypto)?,
        }
    };
    let bytes = Zeroizing::new(bytes);
    let bytes: &[u8; 32] = (&bytes[..])
        .try_into()
        .map_err(|_| malformed(path, "the key has not 32 bytes"))?;
    SecretKey::from_bytes(bytes).map_err(|source| KeystoreError::Key {
        path: path.into(),
        source,
    })
}
