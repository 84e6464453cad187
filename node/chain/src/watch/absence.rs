//! Whether a block that was read is gone for good, when the endpoint's chain ends before it.
//!
//! Such an endpoint may be behind, for moments (one of its machines) or for long (it copies the chain anew): then nothing must be taken
//! back. Or the block was never on the chain, or the chain went on from below it and is shorter still: then waiting until it is as
//! long again may take hours. So a block is gone when the endpoint has not had it for some seconds, although its newest block is of now.

use crate::{convert::count, header::Header};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How long an endpoint may not have the block.
const PATIENCE: Duration = Duration::from_secs(5);
/// A block that is younger is of now.
const FRESH: Duration = Duration::from_secs(60);

/// Since when the endpoint does not have the block that was read last.
#[derive(Debug, Default)]
pub(super) struct Absence(Option<Instant>);

impl Absence {
    /// The endpoint has the block.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// The endpoint's chain ends with `head`, before the block. Says whether the block is gone.
    pub(super) fn is_final(&mut self, head: &Header, at: Instant, now: SystemTime) -> bool {
        let since = *self.0.get_or_insert(at);
        let made = UNIX_EPOCH + Duration::from_secs(count(head.timestamp));
        // A clock of the chain that is ahead counts as now.
        let is_fresh = now.duration_since(made).unwrap_or_default() < FRESH;
        let is_final = is_fresh && at >= since + PATIENCE;
        if is_final {
            self.end();
        }
        is_final
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers_core::types::{H256, U256, U64};

    fn head(made: SystemTime) -> Header {
        let seconds = made.duration_since(UNIX_EPOCH).unwrap().as_secs();
        Header {
            hash: H256::zero(),
            parent_hash: H256::zero(),
            number: U64::one(),
            timestamp: U256::from(seconds),
            base_fee_per_gas: None,
            gas_limit: None,
            gas_used: None,
            logs_bloom: None,
        }
    }

    #[test]
    fn a_block_is_gone_when_a_living_chain_has_lacked_it_for_long() {
        let (at, now) = (Instant::now(), SystemTime::now());
        let (living, old) = (head(now), head(now - 2 * FRESH));
        let ahead = head(now + 100 * FRESH);
        let mut absence = Absence::default();
        assert!(!absence.is_final(&living, at, now));
        let later = at + PATIENCE;
        assert!(
            !absence.is_final(&old, later, now),
            "it copies the chain anew"
        );
        assert!(absence.is_final(&living, later, now));
        // It begins anew, also when the block was there in between.
        assert!(!absence.is_final(&ahead, later, now));
        absence.end();
        let later = later + PATIENCE;
        assert!(!absence.is_final(&ahead, later, now));
        assert!(absence.is_final(&ahead, later + PATIENCE, now));
    }
}
