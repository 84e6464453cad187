//! Checks a keystore before the library opens it: its form, and that its key derivation is not too heavy.
//!
//! The parameters of scrypt and PBKDF2 stand in the file and may ask for any amount of time and memory. A file that
//! somebody else made must not be able to stop this machine.

use eth_keystore::{EthKeystore, KdfType, KdfparamsType};
use rings_protocol::Address;

/// Most bytes of memory that a keystore may make us use.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most scrypt lanes; the time grows with their number.
const MAX_SCRYPT_LANES: u32 = 16;
/// Most rounds of PBKDF2: seconds of work.
const MAX_PBKDF2_ROUNDS: u32 = 1 << 24;
/// The only cipher of version 3.
const CIPHER: &str = "aes-128-ctr";

/// Checks what the library does not check, and refuses parameters that would take too long. Gives the account if the
/// keystore names it.
pub(super) fn check_keystore(text: &str) -> Result<Option<Address>, String> {
    #[derive(serde::Deserialize)]
    struct Named {
        address: Option<String>,
    }
    let keystore: EthKeystore = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let crypto = &keystore.crypto;
    let lengths = (crypto.cipherparams.iv.len(), crypto.ciphertext.len());
    if keystore.version != 3 || crypto.cipher != CIPHER || lengths != (16, 32) {
        return Err(format!("expected version 3 and {CIPHER} over 32 bytes"));
    }
    check_derivation(&crypto.kdf, &crypto.kdfparams)?;
    let named: Named = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(digits) = named.address else {
        return Ok(None);
    };
    let digits = digits.to_lowercase();
    let address = format!("0x{}", digits.trim_start_matches("0x")).parse();
    address.map(Some).map_err(|error| format!("{error}"))
}

/// The parameters of the key derivation must be sound, and must not cost more memory or time than a start may: the file
/// may be another's.
fn check_derivation(kind: &KdfType, params: &KdfparamsType) -> Result<(), String> {
    let good = match (kind, params) {
        (KdfType::Scrypt, KdfparamsType::Scrypt { dklen, n, p, r, .. }) => {
            let memory = u64::from(*n)
                .saturating_mul(u64::from(*r))
                .saturating_mul(128);
            *dklen == 32
                && *n > 1
                && n.is_power_of_two()
                && *r > 0
                && memory <= MAX_SCRYPT_MEMORY
                && (1..=MAX_SCRYPT_LANES).contains(p)
        }
        (KdfType::Pbkdf2, KdfparamsType::Pbkdf2 { c, dklen, prf, .. }) => {
            *dklen == 32 && prf == "hmac-sha256" && (1..=MAX_PBKDF2_ROUNDS).contains(c)
        }
        _ => false,
    };
    good.then_some(())
        .ok_or_else(|| "its key derivation is not one of version 3, or too heavy".into())
}
