//! Logs in bounded pages: what an endpoint finds too much is asked for in smaller pieces.

use crate::{chain::Chain, error::ChainError};
use ethers_core::types::{Filter, Log};

/// Pages that must succeed before a larger one is tried again.
const GROW_AFTER: u32 = 8;

/// How many blocks to ask for at once.
#[derive(Debug, Clone)]
pub(crate) struct PageSize {
    size: u64,
    largest: u64,
    successes: u32,
}

impl PageSize {
    pub(crate) fn new(largest: u64) -> Self {
        let largest = largest.max(1);
        Self {
            size: largest,
            largest,
            successes: 0,
        }
    }

    /// The last block of the page that begins at `from` and does not pass `limit`.
    pub(crate) fn end(&self, from: u64, limit: u64) -> u64 {
        from.saturating_add(self.size - 1).min(limit)
    }

    /// The first block of the page that ends at `to` and does not pass `limit`.
    fn begin(&self, to: u64, limit: u64) -> u64 {
        to.saturating_sub(self.size - 1).max(limit)
    }

    /// After a page of `blocks` was refused: half of it. `false` when it was one block already.
    pub(crate) fn shrink(&mut self, blocks: u64) -> bool {
        self.successes = 0;
        self.size = (blocks / 2).max(1);
        blocks > 1
    }

    /// After a page came through.
    pub(crate) fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= GROW_AFTER {
            self.successes = 0;
            self.size = self.size.saturating_mul(2).min(self.largest);
        }
    }
}

/// Whether a smaller page may come through where this one did not.
pub(crate) fn is_too_much(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::Refused { .. } | ChainError::TooLarge { .. } | ChainError::Timeout { .. }
        // A websocket answers what is too large by breaking.
        | ChainError::Unreachable { .. }
    )
}

/// Logs that a filter selects, newest page first, from the head down to `from`; ends after the first
/// page that has any, or goes on when `all`. In the order of the chain.
pub(crate) async fn search(
    chain: &Chain,
    filter: &Filter,
    from: u64,
    all: bool,
) -> Result<Vec<Log>, ChainError> {
    let mut to = chain.block_number().await?;
    let mut size = PageSize::new(u64::MAX);
    let mut pages = Vec::new();
    loop {
        let begin = size.begin(to, from);
        match chain
            .logs(&filter.clone().from_block(begin).to_block(to))
            .await
        {
            Ok(logs) => {
                size.succeeded();
                pages.push(logs);
            }
            Err(error) if is_too_much(&error) && size.shrink(to - begin + 1) => continue,
            Err(error) => return Err(error),
        }
        let found = pages.last().is_some_and(|logs| !logs.is_empty());
        if begin <= from || (found && !all) {
            return Ok(pages.into_iter().rev().flatten().collect());
        }
        to = begin - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refused_page_is_halved_down_to_one_block() {
        let mut size = PageSize::new(1000);
        assert_eq!(size.end(1, 5000), 1000);
        let mut halvings = 0;
        while size.shrink(size.end(1, 5000)) {
            halvings += 1;
        }
        assert_eq!((halvings, size.end(1, 5000)), (9, 1));
    }

    #[test]
    fn pages_grow_back_slowly_to_the_largest() {
        let mut size = PageSize::new(100);
        assert!(size.shrink(100));
        for _ in 0..GROW_AFTER - 1 {
            size.succeeded();
        }
        assert_eq!(size.end(1, 5000), 50);
        for _ in 0..10 * GROW_AFTER {
            size.succeeded();
        }
        assert_eq!(size.end(1, 5000), 100);
    }

    proptest! {
        #[test]
        fn a_page_is_within_its_limits(largest: u64, from: u64, limit: u64) {
            prop_assume!(from <= limit);
            let size = PageSize::new(largest);
            let end = size.end(from, limit);
            prop_assert!(from <= end && end <= limit && end - from < largest.max(1));
            let begin = size.begin(limit, from);
            prop_assert!(from <= begin && begin <= limit && limit - begin < largest.max(1));
        }
    }
}
