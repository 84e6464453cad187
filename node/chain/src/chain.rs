//! The handle on one chain: blocks, balances, calls and logs.

use crate::{
    convert::{address, count, digest, h160},
    error::ChainError,
    heads::{self, Heads},
    revert,
    rpc::{Rpc, RpcFailure},
    types::BlockRef,
};
use ethers_core::{
    abi::{AbiDecode, AbiEncode},
    types::{Bytes, Filter, Log, H160, H256, U256, U64},
};
use ethers_providers::{JsonRpcClient, RpcError};
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many headers are remembered, so that a block that was just seen need not be fetched.
const HEADER_CACHE: usize = 512;

/// A chain behind an http(s) or ws(s) endpoint. Cheap to clone; connections are made again when they
/// break, and the chain id is compared each time.
#[derive(Clone)]
pub struct Chain(Arc<Inner>);

struct Inner {
    rpc: Rpc,
    id: u64,
    headers: Mutex<HeaderCache>,
    pushed: Mutex<Option<heads::Receiver>>,
}

/// The part of a block header that is used here; chains may leave out the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub hash: H256,
    pub parent_hash: H256,
    pub number: U64,
    pub timestamp: U256,
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
}

/// The part of a receipt that is used here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub transaction_hash: H256,
    pub block_hash: H256,
    pub block_number: U64,
    pub gas_used: U256,
    #[serde(default)]
    pub status: Option<U64>,
    #[serde(default)]
    pub contract_address: Option<H160>,
    #[serde(default)]
    pub logs: Vec<Log>,
}

/// The part of a transaction that is used here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Transaction {
    #[serde(default)]
    pub to: Option<H160>,
    pub input: Bytes,
}

/// At which block a contract is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Latest,
    Block(u64),
}

impl At {
    fn json(self) -> serde_json::Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Block(number) => json!(U64::from(number)),
        }
    }
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
}

/// The newest headers seen, by hash.
#[derive(Default)]
struct HeaderCache {
    headers: HashMap<H256, Header>,
    order: VecDeque<H256>,
}

impl HeaderCache {
    fn insert(&mut self, header: Header) {
        let hash = header.hash;
        if self.headers.insert(hash, header).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > HEADER_CACHE {
            if let Some(oldest) = self.order.pop_front() {
                self.headers.remove(&oldest);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these protect is whole between any two statements, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chain {
    /// Connects and reads the chain id, which must stay the same from then on.
    ///
    /// # Errors
    /// [`ChainError::Url`] for another scheme than http, https, ws or wss; what the transport says when
    /// there is no chain behind it.
    pub async fn connect(url: &str) -> Result<Self, ChainError> {
        let rpc = Rpc::new(url)?;
        let id: U64 = rpc.ask("eth_chainId", json!([])).await?;
        Ok(Self(Arc::new(Inner {
            rpc,
            id: id.as_u64(),
            headers: Mutex::default(),
            pushed: Mutex::default(),
        })))
    }

    /// The chain id.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Scheme and host of the endpoint; the rest of its URL may hold a secret.
    pub fn endpoint(&self) -> &str {
        self.0.rpc.endpoint()
    }

    /// Whether the newest exchange with the endpoint succeeded.
    pub fn is_reachable(&self) -> bool {
        self.0.rpc.is_reachable()
    }

    /// Height of the newest block.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn block_number(&self) -> Result<u64, ChainError> {
        let number: U64 = self.ask("eth_blockNumber", json!([])).await?;
        Ok(number.as_u64())
    }

    /// The newest block.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn head(&self) -> Result<BlockRef, ChainError> {
        Ok(self.latest().await?.block())
    }

    /// The canonical block at a height.
    ///
    /// # Errors
    /// [`ChainError::NoSuchBlock`] above the head; others when the chain cannot be asked.
    pub async fn block(&self, number: u64) -> Result<BlockRef, ChainError> {
        let header = self.header(number).await?;
        header
            .map(|header| header.block())
            .ok_or(ChainError::NoSuchBlock { number })
    }

    /// Balance of an account, in wei.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn balance(&self, account: Address) -> Result<u128, ChainError> {
        let wei: U256 = self
            .ask("eth_getBalance", json!([h160(account), "latest"]))
            .await?;
        Ok(wei.min(u128::MAX.into()).as_u128())
    }

    /// Whether there is code at an address.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn has_code(&self, account: Address) -> Result<bool, ChainError> {
        let code: Bytes = self
            .ask("eth_getCode", json!([h160(account), "latest"]))
            .await?;
        Ok(!code.is_empty())
    }

    /// Transactions of an account that are mined, hence its next nonce.
    pub(crate) async fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.transaction_count(account, "latest").await
    }

    /// The next nonce of an account, those in the endpoint's pool counted too.
    pub(crate) async fn pending_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.transaction_count(account, "pending").await
    }

    async fn transaction_count(&self, account: Address, tag: &str) -> Result<u64, ChainError> {
        let nonce: U64 = self
            .ask("eth_getTransactionCount", json!([h160(account), tag]))
            .await?;
        Ok(nonce.as_u64())
    }

    /// The newest header.
    pub(crate) async fn latest(&self) -> Result<Header, ChainError> {
        let header: Option<Header> = self
            .ask("eth_getBlockByNumber", json!(["latest", false]))
            .await?;
        let header = header.ok_or_else(|| {
            ChainError::malformed("eth_getBlockByNumber", "there is no newest block")
        })?;
        self.remember(&header);
        Ok(header)
    }

    /// The canonical header at a height, if the chain is so long.
    pub(crate) async fn header(&self, number: u64) -> Result<Option<Header>, ChainError> {
        let header: Option<Header> = self
            .ask("eth_getBlockByNumber", json!([U64::from(number), false]))
            .await?;
        if let Some(header) = &header {
            self.remember(header);
        }
        Ok(header)
    }

    /// The header with this hash at this height; an error when the canonical block there is another.
    pub(crate) async fn header_of(&self, number: u64, hash: H256) -> Result<Header, ChainError> {
        if let Some(header) = lock(&self.0.headers).headers.get(&hash) {
            return Ok(header.clone());
        }
        let header = self.header(number).await?;
        header
            .filter(|header| header.hash == hash)
            .ok_or(ChainError::NoSuchBlock { number })
    }

    /// Keeps a header that came by.
    pub(crate) fn remember(&self, header: &Header) {
        lock(&self.0.headers).insert(header.clone());
    }

    /// The logs that a filter selects.
    pub(crate) async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
        self.ask("eth_getLogs", [filter]).await
    }

    /// The receipt of a transaction that is mined.
    pub(crate) async fn receipt(&self, hash: H256) -> Result<Option<Receipt>, ChainError> {
        self.ask("eth_getTransactionReceipt", [hash]).await
    }

    /// A transaction, mined or not.
    pub(crate) async fn transaction(&self, hash: H256) -> Result<Option<Transaction>, ChainError> {
        self.ask("eth_getTransactionByHash", [hash]).await
    }

    /// Reads a contract's view.
    pub(crate) async fn view<C: AbiEncode, R: AbiDecode>(
        &self,
        what: &'static str,
        contract: Address,
        call: C,
        at: At,
    ) -> Result<R, ChainError> {
        let request = json!({ "to": h160(contract), "data": Bytes::from(call.encode()) });
        let answer = self.call_contract(request, at).await?;
        if answer.is_empty() {
            return Err(ChainError::NotAContract {
                address: contract,
                what,
            });
        }
        R::decode(&answer).map_err(|error| ChainError::malformed(what, error))
    }

    /// `eth_call`, with a revert put into words.
    pub(crate) async fn call_contract(
        &self,
        request: serde_json::Value,
        at: At,
    ) -> Result<Bytes, ChainError> {
        let answer = self.request("eth_call", json!([request, at.json()])).await;
        answer.map_err(|failure| self.reverted("eth_call", failure))
    }

    /// The gas that a call needs now.
    pub(crate) async fn estimate(&self, request: serde_json::Value) -> Result<u64, ChainError> {
        let gas: Result<U256, _> = self.request("eth_estimateGas", json!([request])).await;
        gas.map(count)
            .map_err(|failure| self.reverted("eth_estimateGas", failure))
    }

    /// A request whose failure the caller looks into.
    pub(crate) async fn request<R>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, RpcFailure>
    where
        R: serde::de::DeserializeOwned + Send,
    {
        self.0.rpc.request(method, params).await
    }

    async fn ask<R>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, ChainError>
    where
        R: serde::de::DeserializeOwned + Send,
    {
        self.0.rpc.ask(method, params).await
    }

    /// A failure with the endpoint's name.
    pub(crate) fn explain(&self, method: &str, failure: RpcFailure) -> ChainError {
        self.0.rpc.explain(method, failure)
    }

    /// The same, where the failure may be a contract's revert.
    fn reverted(&self, method: &str, failure: RpcFailure) -> ChainError {
        let revert = failure.as_error_response().and_then(revert::from_response);
        match revert {
            Some(reason) => ChainError::Reverted { reason },
            None => self.explain(method, failure),
        }
    }

    /// Whether the endpoint tells of new blocks by itself (websocket).
    pub(crate) fn pushes(&self) -> bool {
        self.0.rpc.pushes()
    }

    /// New heads as they come: pushed over a websocket, else polled.
    pub(crate) fn heads(&self, poll: Duration) -> Heads {
        if !self.pushes() {
            return Heads::polled(self.clone(), poll);
        }
        let mut pushed = lock(&self.0.pushed);
        let receiver = pushed.get_or_insert_with(|| heads::follow(self.0.rpc.clone()));
        Heads::pushed(self.clone(), receiver.clone())
    }

    /// The account that a log or a receipt names.
    pub(crate) fn created(receipt: &Receipt) -> Option<Address> {
        receipt.contract_address.map(address)
    }
}

impl Receipt {
    /// Whether the transaction did what it should; chains before Byzantium do not say.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_none_or(|status| !status.is_zero())
    }

    pub(crate) fn hash(&self) -> Digest {
        digest(self.transaction_hash)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({} at {})", self.id(), self.endpoint())
    }
}
