//! The secret with which a sender signs events of one instance (HMAC-SHA256, RFC 2104).

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A secret that is good for events of one instance only. It does not print.
pub struct HookSecret(Zeroizing<String>);

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecret")
    }
}

impl HookSecret {
    pub(super) fn new(key: &[u8], about: &[u8]) -> Self {
        Self(Zeroizing::new(hex::encode(hmac(key, about))))
    }

    /// The text, for the sender and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the code of these bytes. It is compared in constant time.
    pub(super) fn signs(&self, bytes: &[u8], code: &[u8]) -> bool {
        keyed(self.0.as_bytes())
            .chain_update(bytes)
            .verify_slice(code)
            .is_ok()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("a key of HMAC has any length"))
}

/// HMAC-SHA256.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key)
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test cases 1, 2 and 6 of RFC 4231.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (key, message, code) in [
            (
                vec![0x0b; 20],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex::encode(hmac(&key, message)), code);
        }
    }

    #[test]
    fn a_secret_signs_what_it_signs_and_does_not_print() {
        let secret = HookSecret::new(b"token", b"instance");
        let code = hmac(secret.expose().as_bytes(), b"body");
        assert!(secret.signs(b"body", &code));
        assert!(!secret.signs(b"bodY", &code) && !secret.signs(b"body", &code[..31]));
        assert!(!HookSecret::new(b"token", b"other").signs(b"body", &code));
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
