//! Logs of contracts that are not Rings' own: what starts processes.
//!
//! They are read in pages of bounded length, for known contracts and kinds only. Where a log stands among those of its
//! transaction is read from the receipt, because that place is the same on every branch of the chain.

use crate::{
    chain::Chain,
    convert::{address, digest, h256},
    error::ChainError,
    fetch::{page, PageSize},
    interest::Interest,
    raw_event::{EventPlace, RawEvent},
    receipt::Receipt,
};
use rings_protocol::{Address, Digest};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks of one page.
const PAGE_BLOCKS: u64 = 2_000;
/// Contracts that one question names.
const CONTRACTS_AT_ONCE: usize = 128;

/// A log of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractLog {
    /// Who emitted it.
    pub contract: Address,
    /// Its topics.
    pub topics: Vec<Digest>,
    /// Its data.
    pub data: Vec<u8>,
    /// The height of its block.
    pub block: u64,
    /// Its place among the logs of the block.
    pub in_block: u64,
    /// Its transaction.
    pub transaction: Digest,
    /// Its place among the logs of the transaction.
    pub index: u64,
}

impl Chain {
    /// The logs of these contracts and kinds (their first topics), from a block on, in the order of the chain: as many blocks
    /// as are read at once, and not beyond `limit`. Also gives the last block that was read.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn contract_logs(
        &self,
        wanted: &[(Address, Digest)],
        from: u64,
        limit: u64,
    ) -> Result<(u64, Vec<ContractLog>), ChainError> {
        let interests: Vec<_> = wanted
            .chunks(CONTRACTS_AT_ONCE)
            .map(Interest::logs)
            .collect();
        let mut size = PageSize::new(PAGE_BLOCKS);
        let (last, events) = page(self, &interests, &mut size, from, limit).await?;
        let wanted: BTreeSet<_> = wanted.iter().copied().collect();
        let mut placed: Vec<(EventPlace, RawEvent)> = Vec::new();
        for event in events {
            let kind = event.topics.first().copied().map(digest);
            let is_wanted =
                kind.is_some_and(|kind| wanted.contains(&(address(event.address), kind)));
            if is_wanted {
                placed.push((event.place(), event));
            }
        }
        placed.sort_by_key(|(place, _)| (place.number, place.log_index));
        placed.dedup_by_key(|(place, _)| (place.number, place.log_index));
        let mut receipts: BTreeMap<_, Receipt> = BTreeMap::new();
        let mut logs = Vec::with_capacity(placed.len());
        for (place, event) in placed {
            if !receipts.contains_key(&place.transaction) {
                let receipt = self.receipt(place.transaction).await?;
                let receipt = receipt.filter(|receipt| receipt.block_hash == place.block);
                // A reorganisation came in between: the page is read again.
                let receipt = receipt.ok_or(ChainError::NoSuchBlock {
                    number: place.number,
                })?;
                // The logs of one transaction follow each other.
                receipts.clear();
                receipts.insert(place.transaction, receipt);
            }
            let receipt = receipts.get(&place.transaction);
            let index = receipt.and_then(|receipt| index(receipt, place));
            let index = index.ok_or_else(|| {
                ChainError::malformed("eth_getTransactionReceipt", "a receipt without its log")
            })?;
            logs.push(ContractLog {
                contract: address(event.address),
                topics: event.topics.into_iter().map(digest).collect(),
                data: event.data.to_vec(),
                block: place.number,
                in_block: place.log_index,
                transaction: digest(place.transaction),
                index,
            });
        }
        Ok((last, logs))
    }
}

impl Chain {
    /// The log at a place of a transaction that is mined; nothing if there is none.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn log_of(
        &self,
        transaction: Digest,
        index: u64,
    ) -> Result<Option<ContractLog>, ChainError> {
        let receipt = self.receipt(h256(transaction)).await?;
        let Some(receipt) = receipt else {
            return Ok(None);
        };
        let block = receipt.block_number.as_u64();
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let log = receipt.logs.into_iter().nth(place);
        Ok(log.map(|event| ContractLog {
            contract: address(event.address),
            in_block: event.place().log_index,
            topics: event.topics.into_iter().map(digest).collect(),
            data: event.data.to_vec(),
            block,
            transaction,
            index,
        }))
    }
}

/// The place of a log among those of its transaction.
fn index(receipt: &Receipt, place: EventPlace) -> Option<u64> {
    let mut logs = receipt.logs.iter();
    let found = logs.position(|log| log.place().log_index == place.log_index)?;
    u64::try_from(found).ok()
}
