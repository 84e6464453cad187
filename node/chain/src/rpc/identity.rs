//! Which chain the endpoint serves. Its first chain id is remembered, and all later ones must be equal to it. Where several
//! endpoints are one chain, they say together which id is expected.

use super::failure::RpcFailure;
use ethers_core::types::U64;
use std::sync::{Mutex, PoisonError};

/// The chain id that every answer must have; nothing before the first one.
#[derive(Default)]
pub(super) struct ExpectedId(Mutex<Option<u64>>);

impl ExpectedId {
    pub(super) fn set(&self, id: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// The first chain id that is seen is the right one from then on.
    pub(super) fn check(&self, found: U64) -> Result<u64, RpcFailure> {
        let found = found.as_u64();
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = *expected.get_or_insert(found);
        if expected == found {
            Ok(found)
        } else {
            Err(RpcFailure::WrongChain { expected, found })
        }
    }
}
