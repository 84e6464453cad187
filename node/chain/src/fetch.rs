//! Events in bounded answers: if an endpoint refuses a request as too large, it is divided into smaller ones.
//!
//! A range of blocks is halved until one block is left. A block is asked for by its hash; its events are divided by
//! contract and by kind, and at last read from the receipts of its transactions, one by one.
//!
//! [`PageSize`] remembers which size an endpoint bears, and tries a larger one after some pages without a refusal.
//! [`page`] reads forwards for the watcher, [`search`] and [`search_up_to`] backwards from a block for single
//! questions. Endpoints word a refusal in many ways, or just close the connection. So each failure that a smaller
//! request could avoid counts as "too large", and only a request for one block that fails is a failure.

use crate::{
    chain::Chain,
    error::ChainError,
    interest::{Interest, Span},
    raw_event::RawEvent,
    rpc::is_passing_refusal,
};
use ethers_core::types::H256;
use futures::{future::BoxFuture, stream, FutureExt, StreamExt, TryStreamExt};

/// Pages that must succeed before a larger one is tried again.
const GROW_AFTER: u32 = 8;
/// Receipts of one block that are asked for at once.
const CONCURRENT_RECEIPTS: usize = 4;

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

    /// After a page of `blocks` was refused: half of it.
    fn shrink(&mut self, blocks: u64) {
        self.successes = 0;
        self.size = (blocks / 2).max(1);
    }

    /// After a page succeeded.
    fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= GROW_AFTER {
            self.successes = 0;
            self.size = self.size.saturating_mul(2).min(self.largest);
        }
    }
}

/// Whether a smaller request may succeed where this one failed.
fn is_too_much(error: &ChainError) -> bool {
    match error {
        ChainError::Refused { message, .. } => !is_passing_refusal(message),
        // A websocket connection breaks when an answer is too large.
        ChainError::TooLarge { .. }
        | ChainError::Timeout { .. }
        | ChainError::Unreachable { .. } => true,
        _ => false,
    }
}

/// Events of the blocks from `from` on: as many blocks as the endpoint gives at once, and not beyond `limit`. Also returns
/// the last block that was read.
pub(crate) async fn page(
    chain: &Chain,
    interests: &[Interest],
    size: &mut PageSize,
    from: u64,
    limit: u64,
) -> Result<(u64, Vec<RawEvent>), ChainError> {
    loop {
        let to = size.end(from, limit);
        match range(chain, interests, from, to).await {
            Ok(events) => {
                size.succeeded();
                return Ok((to, events));
            }
            Err(error) if is_too_much(&error) && from == to => {
                return Ok((to, one_block(chain, interests, from).await?));
            }
            Err(error) if is_too_much(&error) => {
                tracing::debug!(%error, from, to, "halving the page");
                size.shrink(to - from + 1);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn range(
    chain: &Chain,
    interests: &[Interest],
    from: u64,
    to: u64,
) -> Result<Vec<RawEvent>, ChainError> {
    let mut events = Vec::new();
    for interest in interests {
        let span = Span::Range { from, to };
        events.extend(chain.events(interest, span).await?);
    }
    Ok(events)
}

async fn one_block(
    chain: &Chain,
    interests: &[Interest],
    number: u64,
) -> Result<Vec<RawEvent>, ChainError> {
    let header = chain.header(number).await?;
    let header = header.ok_or(ChainError::NoSuchBlock { number })?;
    let mut events = Vec::new();
    for interest in interests {
        events.extend(block(chain, interest.clone(), header.hash, number).await?);
    }
    Ok(events)
}

/// The events of one block, in as many answers as it takes.
pub(crate) fn block(
    chain: &Chain,
    interest: Interest,
    hash: H256,
    number: u64,
) -> BoxFuture<'_, Result<Vec<RawEvent>, ChainError>> {
    async move {
        match chain.events(&interest, Span::Block(hash)).await {
            Err(error) if is_too_much(&error) => {}
            other => return other,
        }
        match interest.halves() {
            Some((one, other)) => {
                let mut events = block(chain, one, hash, number).await?;
                events.extend(block(chain, other, hash, number).await?);
                Ok(events)
            }
            None => from_receipts(chain, &interest, hash, number).await,
        }
    }
    .boxed()
}

/// The events of one block from the receipts of its transactions. Each receipt is asked for alone, and the events that are
/// not wanted are dropped at once.
async fn from_receipts(
    chain: &Chain,
    interest: &Interest,
    hash: H256,
    number: u64,
) -> Result<Vec<RawEvent>, ChainError> {
    tracing::info!(number, "reading a block's events from its receipts");
    let missing = || ChainError::NoSuchBlock { number };
    let transactions = chain.transactions(hash).await?.ok_or_else(missing)?;
    let receipts = transactions.transactions.into_iter().map(|transaction| {
        let interest = interest.clone();
        async move {
            let receipt = chain.receipt(transaction).await?;
            let receipt = receipt
                .filter(|receipt| receipt.block_hash == hash)
                .ok_or_else(missing)?;
            let mut events = receipt.logs;
            events.retain(|event| interest.selects(event));
            Ok::<_, ChainError>(events)
        }
    });
    // Collected first: a lazy stream over borrowed parameters is not `Send` enough for the compiler.
    let receipts: Vec<_> = receipts.collect();
    let events: Vec<Vec<RawEvent>> = stream::iter(receipts)
        .buffered(CONCURRENT_RECEIPTS)
        .try_collect()
        .await?;
    Ok(events.into_iter().flatten().collect())
}

/// Events from the head down to `from`, newest page first; ends after the first page that has any, or goes on when `all`.
/// In the order of the chain.
pub(crate) async fn search(
    chain: &Chain,
    interest: &Interest,
    from: u64,
    all: bool,
) -> Result<Vec<RawEvent>, ChainError> {
    let head = chain.block_number().await?;
    search_up_to(chain, interest, from, head, all).await
}

/// As [`search`], from block `to` down.
pub(crate) async fn search_up_to(
    chain: &Chain,
    interest: &Interest,
    from: u64,
    mut to: u64,
    all: bool,
) -> Result<Vec<RawEvent>, ChainError> {
    let mut size = PageSize::new(u64::MAX);
    let mut pages = Vec::new();
    let interests = std::slice::from_ref(interest);
    loop {
        let begin = size.begin(to, from);
        match range(chain, interests, begin, to).await {
            Ok(events) => {
                size.succeeded();
                pages.push(events);
            }
            Err(error) if is_too_much(&error) && begin == to => {
                pages.push(one_block(chain, interests, to).await?);
            }
            Err(error) if is_too_much(&error) => {
                size.shrink(to - begin + 1);
                continue;
            }
            Err(error) => return Err(error),
        }
        let found = pages.last().is_some_and(|events| !events.is_empty());
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
        while size.end(1, 5000) > 1 {
            size.shrink(size.end(1, 5000));
            halvings += 1;
        }
        assert_eq!(halvings, 9);
    }

    #[test]
    fn pages_grow_back_slowly_to_the_largest() {
        let mut size = PageSize::new(100);
        size.shrink(100);
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
