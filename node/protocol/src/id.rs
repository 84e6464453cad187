//! Fixed-size identifiers: 20-byte accounts ([`Address`]) and 32-byte digests ([`Digest`]).
//!
//! They are plain bytes in memory and texts outside. In JSON and on the command line both are `0x` and hexadecimal
//! digits; an address is shown with the checksum of EIP-55, and one in mixed case is refused unless its checksum fits,
//! which catches typing errors. All rooms use these types, so that the types of ethers stay inside `chain`.

use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest as _, Keccak256};
use std::{fmt, str::FromStr};

/// An Ethereum account or contract: 20 bytes, shown with the checksum of EIP-55.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

/// A 32-byte digest or word: the sha2-256 of a block, the keccak-256 of a struct, the token id of a constant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// Why a text is not an [`Address`] or a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The text is not hexadecimal of the right length.
    #[error("expected 0x and {expected} hexadecimal digits, got {text:?}")]
    Form {
        /// Number of digits that were expected after `0x`.
        expected: usize,
        /// The text that was given, cut to 80 characters.
        text: String,
    },
    /// The address has mixed case that does not fit its EIP-55 checksum: probably a typing error.
    #[error("the checksum of address {text} does not fit; compare it with its source")]
    Checksum {
        /// The text that was given.
        text: String,
    },
}

impl Address {
    /// The zero address, which is never a member.
    pub const ZERO: Self = Self([0; 20]);
}

impl Digest {
    /// Thirty-two zero bytes: "no such node" in the contracts.
    pub const ZERO: Self = Self([0; 32]);

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let mut bytes = [0; N];
    let digits = text.strip_prefix("0x").unwrap_or("");
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseIdError::Form {
        expected: 2 * N,
        text: text.chars().take(80).collect(),
    })?;
    Ok(bytes)
}

impl FromStr for Address {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let address = Self(decode(text)?);
        let digits = text.trim_start_matches("0x");
        let mixed = digits.bytes().any(|b| b.is_ascii_uppercase())
            && digits.bytes().any(|b| b.is_ascii_lowercase());
        if mixed && address.to_string() != text {
            return Err(ParseIdError::Checksum { text: text.into() });
        }
        Ok(address)
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        decode(text).map(Self)
    }
}

impl fmt::Display for Address {
    /// EIP-55: a letter is upper case where the keccak-256 of the lower-case text has a high nibble.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let hash = Keccak256::digest(digits.as_bytes());
        f.write_str("0x")?;
        for (i, c) in digits.chars().enumerate() {
            let nibble = hash[i / 2] >> (4 * (1 - i % 2)) & 0xf;
            let c = if nibble >= 8 {
                c.to_ascii_uppercase()
            } else {
                c
            };
            write!(f, "{c}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// What all names of a fixed length have: 0x-hex as text and in JSON, and an order by their bytes.
macro_rules! bytes_like {
    ($name:ident, $len:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    return text.parse().map_err(de::Error::custom);
                }
                let bytes = serde_bytes::ByteArray::<$len>::deserialize(deserializer)?;
                Ok(Self(bytes.into_array()))
            }
        }
    };
}

bytes_like!(Address, 20);
bytes_like!(Digest, 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_the_checksum_of_eip_55() {
        // The examples of EIP-55 itself.
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0x52908400098527886E0F7030069857D2E4169EE7",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            let lower: Address = text.to_lowercase().parse().unwrap();
            assert_eq!(lower, address);
        }
        let typo = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse::<Address>();
        assert!(matches!(typo, Err(ParseIdError::Checksum { .. })));
    }

    #[test]
    fn what_is_not_hexadecimal_of_the_right_length_is_refused() {
        for text in [
            "",
            "0x",
            "0x12",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xzz",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
