//! The bearer token. Whoever has it may add files, and ask requests in the member's name.
//!
//! A [`Token`] comes from a file that only its owner can read, or is generated. It never prints, and is compared in
//! constant time, so that the time of a refusal says nothing about how much of a guess was right. Reading what is
//! public needs none.

use super::hook_secret::HookSecret;
use http::{header::AUTHORIZATION, HeaderMap};
use rand::RngCore;
use rings_protocol::{cids::sha256, Digest};
use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Fewest characters of a token that is accepted: 128 bits as hexadecimal.
const MIN_LENGTH: usize = 32;
/// Random bytes in a token made here.
const RANDOM_BYTES: usize = 32;
/// Permission bits that let other users read or write the file.
const OTHERS: u32 = 0o077;

/// A secret text. It is wiped from memory when dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}; check the path: it is that of --token, of [rpc] token_file, or in the directory of the ring", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Other users can read the file.
    #[error("the token file {} has mode {mode:03o}; run chmod 600 on it, for whoever reads it can add files", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file has no token.
    #[error(
        "the token file {} has no token, which has at least {MIN_LENGTH} visible ASCII characters; make one with openssl rand -hex 32", path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
    },
    /// The text cannot be a token.
    #[error(
        "a token has at least {MIN_LENGTH} visible ASCII characters; make one with openssl rand -hex 32"
    )]
    Form,
}

impl Token {
    /// Takes `text`, without the white space around it, as token.
    ///
    /// # Errors
    /// [`TokenError::Form`] when it is short, or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() < MIN_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Form);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// A new random token.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        rand::thread_rng().fill_bytes(&mut *bytes);
        Self(Zeroizing::new(hex::encode(*bytes)))
    }

    /// Reads a token from a file that only its owner can read.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Read {
            path: path.to_owned(),
            source,
        };
        let mode = fs::metadata(path).map_err(failed)?.mode() & 0o777;
        if mode & OTHERS != 0 {
            let path = path.to_owned();
            return Err(TokenError::Permissions { path, mode });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        Self::new(&text).map_err(|_| TokenError::File {
            path: path.to_owned(),
        })
    }

    /// The text, for a file of mode 0600 or an `Authorization` header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret for events of one instance, which a sender signs with.
    pub fn hook_secret(&self, instance: Digest) -> HookSecret {
        const KIND: &[u8] = b"rings webhook";
        HookSecret::new(self.0.as_bytes(), &[KIND, &instance.0].concat())
    }

    /// Whether a request shows this token, as `Authorization: Bearer …`.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION);
        let value = value.and_then(|value| value.to_str().ok());
        value
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| self.matches(token.trim()))
    }

    /// Whether `presented` is this token. The time that it takes depends on neither.
    pub fn matches(&self, presented: &str) -> bool {
        let ours = sha256(self.0.as_bytes());
        let theirs = sha256(presented.as_bytes());
        let pairs = ours.0.iter().zip(theirs.0);
        pairs.fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_matches_itself_only_and_does_not_print() {
        let token = Token::generate();
        assert!(token.matches(token.expose()));
        assert!(!token.matches(""));
        assert!(!token.matches(&token.expose()[1..]));
        assert!(!token.matches(Token::generate().expose()));
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn what_is_short_or_cannot_be_a_header_is_refused() {
        let long = "x".repeat(MIN_LENGTH);
        assert!(Token::new(&format!("  {long}\n")).unwrap().matches(&long));
        for wrong in [
            "",
            "short",
            &long[1..],
            &format!("{long}\r\nX: y"),
            &"é".repeat(40),
        ] {
            assert!(
                matches!(Token::new(wrong), Err(TokenError::Form)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let directory = Token::read(dir.path()).unwrap_err();
        assert!(!directory.to_string().is_empty());
        let empty = dir.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        fs::set_permissions(&empty, fs::Permissions::from_mode(0o600)).unwrap();
        let line = Token::read(&empty).unwrap_err().to_string();
        assert!(line.contains(empty.to_str().unwrap()), "{line}");
        assert!(matches!(Token::read(&path), Err(TokenError::Read { .. })));
        fs::write(&path, "a".repeat(64)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Token::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("640") && error.contains("chmod 600"),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::read(&path).unwrap().matches(&"a".repeat(64)));
    }
}
