//! Transactions and receipts: the parts that are used here. Fields that some endpoints leave out are optional.

use crate::{
    convert::{address, digest},
    raw_event::RawEvent,
};
use ethers_core::types::{Bytes, H160, H256, U256, U64};
use rings_protocol::{Address, Digest};
use serde::Deserialize;

/// The part of a receipt that is used here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub transaction_hash: H256,
    pub block_hash: H256,
    pub block_number: U64,
    pub gas_used: U256,
    /// What one gas cost, in wei; some endpoints do not say it for old transactions.
    #[serde(default)]
    pub effective_gas_price: Option<U256>,
    #[serde(default)]
    pub from: Option<H160>,
    #[serde(default)]
    pub status: Option<U64>,
    #[serde(default)]
    pub contract_address: Option<H160>,
    #[serde(default)]
    pub logs: Vec<RawEvent>,
}

/// The part of a transaction that is used here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Transaction {
    #[serde(default)]
    pub to: Option<H160>,
    pub input: Bytes,
}

/// The transactions of a block, by hash.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BlockTransactions {
    pub transactions: Vec<H256>,
}

impl Receipt {
    /// Whether the transaction did not revert; chains before Byzantium do not say.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_none_or(|status| !status.is_zero())
    }

    pub(crate) fn hash(&self) -> Digest {
        digest(self.transaction_hash)
    }

    /// The contract that the transaction created.
    pub(crate) fn created(&self) -> Option<Address> {
        self.contract_address.map(address)
    }
}
