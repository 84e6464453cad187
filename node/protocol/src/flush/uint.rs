//! A `uint256` of the contracts. It is compared and shown, and never computed with, so 32 bytes are enough.

use std::fmt;

/// An unsigned number of 256 bits, big-endian, as the contracts have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uint(pub [u8; 32]);

impl Uint {
    /// The largest one. As a deadline it means that there is none.
    pub const MAX: Self = Self([0xff; 32]);

    /// The number, or the largest `u64` where it is larger.
    pub fn saturating_u64(&self) -> u64 {
        u64::try_from(self.saturating_u128()).unwrap_or(u64::MAX)
    }

    /// The number, or the largest `u128` where it is larger.
    pub fn saturating_u128(&self) -> u128 {
        let (high, low) = self.0.split_at(16);
        match high.iter().all(|byte| *byte == 0) {
            true => low.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte)),
            false => u128::MAX,
        }
    }
}

impl From<u128> for Uint {
    fn from(number: u128) -> Self {
        let mut bytes = [0; 32];
        bytes[16..].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }
}

impl From<u64> for Uint {
    fn from(number: u64) -> Self {
        u128::from(number).into()
    }
}

impl fmt::Display for Uint {
    /// Decimal up to 2^128, hexadecimal above.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0[..16].iter().all(|byte| *byte == 0) {
            true => write!(f, "{}", self.saturating_u128()),
            false => write!(f, "0x{}", hex::encode(self.0)),
        }
    }
}

impl fmt::Debug for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_becomes_the_largest_number() {
        assert_eq!(Uint::from(7u64).saturating_u64(), 7);
        assert_eq!(Uint::from(u128::MAX).saturating_u64(), u64::MAX);
        assert_eq!(Uint::from(u128::MAX).saturating_u128(), u128::MAX);
        assert_eq!(Uint::MAX.saturating_u128(), u128::MAX);
        assert_eq!(Uint::from(1_000u64).to_string(), "1000");
        assert_eq!(Uint::MAX.to_string(), format!("0x{}", "f".repeat(64)));
    }
}
