//! Passwords of keystores: from a file, from the terminal, or made at random.

use super::{error::KeystoreError, secret_file::read_secret};
use rand::RngCore;
use std::path::Path;
use zeroize::Zeroizing;

/// Random bytes in a generated password.
const PASSWORD_BYTES: usize = 32;

/// A random password, for a file and not for people.
pub fn generate_password() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; PASSWORD_BYTES]);
    rand::rngs::OsRng.fill_bytes(&mut *bytes);
    Zeroizing::new(hex::encode(*bytes))
}

/// The password in `file`, without the end of its line; asked for on the terminal when there is no file.
///
/// # Errors
/// [`KeystoreError::NoTerminal`], and as [`read_secret`].
pub fn password(keystore: &Path, file: Option<&Path>) -> Result<Zeroizing<String>, KeystoreError> {
    match file {
        Some(file) => Ok(Zeroizing::new(
            read_secret(file)?.trim_end_matches(['\r', '\n']).to_owned(),
        )),
        None => ask(keystore, &format!("Password of {}: ", keystore.display())),
    }
}

/// The password for a new keystore: from `file`, or typed twice.
///
/// # Errors
/// [`KeystoreError::Differ`], and as [`password`].
pub fn new_password(
    keystore: &Path,
    file: Option<&Path>,
) -> Result<Zeroizing<String>, KeystoreError> {
    if file.is_some() {
        return password(keystore, file);
    }
    let first = ask(keystore, "New password: ")?;
    match ask(keystore, "The same again: ")? {
        second if second == first => Ok(first),
        _ => Err(KeystoreError::Differ),
    }
}

fn ask(keystore: &Path, prompt: &str) -> Result<Zeroizing<String>, KeystoreError> {
    let answer = rpassword::prompt_password(prompt);
    answer
        .map(Zeroizing::new)
        .map_err(|source| KeystoreError::NoTerminal {
            path: keystore.into(),
            source,
        })
}
