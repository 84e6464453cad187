//! Block headers, and the cache of those that were seen.
//!
//! A header is asked for by height or by hash. Only what is named by its hash can be cached, because a height may name
//! another block after a reorganisation. [`Header::trusted_bloom`] says when the bloom filter may be believed: some
//! chains give an empty one for every block.

use crate::{
    convert::{count, digest},
    types::BlockRef,
};
use ethers_core::types::{Bloom, H256, U256, U64};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many headers are remembered, so that a block that was just seen need not be fetched.
const HEADER_CACHE: usize = 512;

/// The part of a block header that is used here. A chain may leave out the optional fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub hash: H256,
    pub parent_hash: H256,
    pub number: U64,
    pub timestamp: U256,
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
    #[serde(default)]
    pub gas_limit: Option<U256>,
    #[serde(default)]
    pub gas_used: Option<U256>,
    #[serde(default)]
    pub logs_bloom: Option<Bloom>,
}

impl Header {
    pub(crate) fn height(&self) -> u64 {
        self.number.as_u64()
    }

    pub(crate) fn block(&self) -> BlockRef {
        BlockRef {
            number: self.height(),
            hash: digest(self.hash),
            timestamp: count(self.timestamp),
        }
    }

    /// The filter that tells which events the block cannot contain; `None` when the chain gives none that can be trusted.
    ///
    /// Some chains answer with an empty bloom filter whatever the block contains. An empty filter is believed only for
    /// a block that used no gas, because such a block has no events.
    pub(crate) fn trusted_bloom(&self) -> Option<Bloom> {
        let bloom = self.logs_bloom?;
        let is_empty_block = self.gas_used.is_some_and(|gas| gas.is_zero());
        (!bloom.is_zero() || is_empty_block).then_some(bloom)
    }
}

/// The newest headers seen, by hash.
#[derive(Debug, Default)]
pub(crate) struct HeaderCache(Mutex<Headers>);

/// Headers by hash, and the order in which they came: the oldest goes when there are too many.
#[derive(Debug, Default)]
struct Headers {
    by_hash: HashMap<H256, Header>,
    order: VecDeque<H256>,
}

impl HeaderCache {
    pub(crate) fn get(&self, hash: H256) -> Option<Header> {
        self.lock().by_hash.get(&hash).cloned()
    }

    /// Keeps a header, and forgets the oldest when there are too many.
    pub(crate) fn remember(&self, header: &Header) {
        let mut headers = self.lock();
        if headers
            .by_hash
            .insert(header.hash, header.clone())
            .is_none()
        {
            headers.order.push_back(header.hash);
        }
        if headers.order.len() > HEADER_CACHE {
            if let Some(oldest) = headers.order.pop_front() {
                headers.by_hash.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Headers> {
        // No code under the lock can leave the data half changed, so the data of a poisoned lock is usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64, bloom: Option<Bloom>, gas_used: u64) -> Header {
        Header {
            hash: H256::from_low_u64_be(number + 1),
            parent_hash: H256::from_low_u64_be(number),
            number: number.into(),
            timestamp: U256::zero(),
            base_fee_per_gas: None,
            gas_limit: None,
            gas_used: Some(gas_used.into()),
            logs_bloom: bloom,
        }
    }

    #[test]
    fn an_empty_bloom_is_believed_only_of_an_empty_block() {
        let full = Bloom::repeat_byte(1);
        let empty = Bloom::zero();
        assert_eq!(header(1, Some(full), 5).trusted_bloom(), Some(full));
        assert_eq!(header(1, Some(empty), 0).trusted_bloom(), Some(empty));
        assert_eq!(header(1, Some(empty), 5).trusted_bloom(), None);
        assert_eq!(header(1, None, 0).trusted_bloom(), None);
    }

    #[test]
    fn the_cache_forgets_the_oldest() {
        let cache = HeaderCache::default();
        for number in 0..2 * HEADER_CACHE as u64 {
            cache.remember(&header(number, None, 0));
        }
        assert_eq!(cache.get(H256::from_low_u64_be(1)), None);
        let newest = H256::from_low_u64_be(2 * HEADER_CACHE as u64);
        assert!(cache.get(newest).is_some());
        assert_eq!(cache.lock().by_hash.len(), HEADER_CACHE);
    }
}
