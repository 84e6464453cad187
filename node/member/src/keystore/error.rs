//! Why a key cannot be read or written. No message ever contains a part of a key or of a password.

use rings_protocol::{crypto::CryptoError, Address};
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

/// Why a key cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file cannot be read.
    #[error("cannot read {}; check the path and who owns it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}; check the directory and its free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file exists already. A key is never overwritten.
    #[error("{} exists, and a key is never overwritten; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the file.
    #[error("{} has mode {mode:03o}, so that others can read the secret in it; run chmod 600 on it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Neither a keystore nor hex.
    #[error("{} is neither a keystore (Web3 Secret Storage v3) nor the hex of a private key: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The MAC does not fit.
    #[error("the password does not open {}; try another", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
    /// It names another account than that of its key, as only a file that was changed does.
    #[error("{} names the account {named}, but its key is that of {actual}; do not send anything to {named}, and get the file again from where it was made", path.display())]
    OtherAccount {
        /// The file.
        path: PathBuf,
        /// What it names.
        named: Address,
        /// What its key gives.
        actual: Address,
    },
    /// The keystore could not be decrypted or encrypted.
    #[error("the keystore {} cannot be used", path.display())]
    Crypto {
        /// The file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The 32 bytes are not a valid private key.
    #[error("{} does not hold a private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: CryptoError,
    },
    /// The password cannot be asked for: there is no terminal.
    #[error("cannot ask for the password of {}; give it with --password-file", path.display())]
    NoTerminal {
        /// The keystore.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A new keystore would have no password.
    #[error("the password for {} is empty; give one with at least one character", path.display())]
    EmptyPassword {
        /// The keystore.
        path: PathBuf,
    },
    /// The two entries of a new password differ.
    #[error("the two passwords differ; try again")]
    Differ,
}

pub(super) fn unwritten(path: &Path, source: io::Error) -> KeystoreError {
    KeystoreError::Write {
        path: path.into(),
        source,
    }
}

pub(super) fn malformed(path: &Path, reason: impl ToString) -> KeystoreError {
    KeystoreError::Form {
        path: path.into(),
        reason: reason.to_string(),
    }
}
