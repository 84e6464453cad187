//! Between the project's words and the Ethereum library's.

use ethers_core::types::{H160, H256, U256};
use rings_protocol::{Address, Digest};

pub(crate) fn h160(address: Address) -> H160 {
    H160(address.0)
}

pub(crate) fn address(address: H160) -> Address {
    Address(address.0)
}

pub(crate) fn h256(digest: Digest) -> H256 {
    H256(digest.0)
}

pub(crate) fn digest(hash: H256) -> Digest {
    Digest(hash.0)
}

/// A `uint256` as a 32-byte word, for token ids.
pub(crate) fn word(number: U256) -> Digest {
    let mut bytes = [0; 32];
    number.to_big_endian(&mut bytes);
    Digest(bytes)
}

/// A 32-byte word as a `uint256`.
pub(crate) fn number(word: Digest) -> U256 {
    U256::from_big_endian(&word.0)
}

/// A `uint256` that counts something. A number that does not fit becomes the largest one.
pub(crate) fn count(number: U256) -> u64 {
    number.min(u64::MAX.into()).as_u64()
}

/// An address as an indexed event argument.
pub(crate) fn topic(address: Address) -> H256 {
    H160(address.0).into()
}
