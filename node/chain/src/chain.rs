//! The handle on one chain: blocks, balances, calls and events.
//!
//! A [`Chain`] is a connection (`rpc`) with what was read and stays true: the chain id, headers by hash, specifications
//! of gates. It makes typed requests and turns their failures into [`ChainError`]s. `reads.rs`, `history.rs` and
//! `fetch.rs` add methods to it for contracts, results and events. `At` says at which block a contract is read: the
//! newest, the pool's, or one by its hash.

mod signals;

use crate::{
    condition::{Condition, Trouble},
    convert::{count, digest, h160},
    error::ChainError,
    header::{Header, HeaderCache},
    interest::{Interest, Span},
    raw_event::{EventPlace, RawEvent},
    receipt::{BlockTransactions, Receipt, Transaction},
    revert,
    rpc::{self, HeadReceiver, ProviderState, Providers, RpcFailure},
    specs::SpecCache,
    types::BlockRef,
};
use ethers_core::{
    abi::{AbiDecode, AbiEncode},
    types::{Bytes, H256, U256, U64},
};
use ethers_providers::{JsonRpcClient, RpcError};
use rings_protocol::{Address, Digest};
use serde::{de::DeserializeOwned, Serialize};
use serde_json::{json, Value};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::watch;

/// A chain behind an http(s) or ws(s) endpoint, or behind several. Cheap to clone. Connections are made again when they
/// break, and the chain id is compared each time.
#[derive(Clone)]
pub struct Chain(Arc<Inner>);

/// What all clones of a [`Chain`] share.
struct Inner {
    rpc: Providers,
    id: u64,
    headers: HeaderCache,
    specs: SpecCache,
    /// The newest head that the endpoint has pushed. Empty until somebody reads it.
    pushed: OnceLock<HeadReceiver>,
    /// Changes when a transaction that was sent through this connection is in a block.
    mined: watch::Sender<()>,
    /// Changes when there may be a block that the endpoint has not told of.
    hints: watch::Sender<()>,
    /// The newest block up to which a watcher has read.
    read: watch::Sender<u64>,
}

/// At which block a contract is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Latest,
    /// The newest block, and the transactions of the pool that would come next.
    Pending,
    Block(u64),
    /// A block by its hash (EIP-1898): an endpoint that does not have it says so.
    Hash(H256),
}

impl At {
    fn json(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Pending => json!("pending"),
            Self::Block(number) => json!(U64::from(number)),
            Self::Hash(hash) => json!({ "blockHash": hash }),
        }
    }
}

/// A message as `eth_call` and `eth_estimateGas` want it.
pub(crate) fn message_of(from: Address, to: Option<Address>, data: &[u8], value: u128) -> Value {
    let mut message = json!({
        "from": h160(from),
        "data": Bytes::from(data.to_vec()),
        "value": U256::from(value),
    });
    if let Some(to) = to {
        message["to"] = json!(h160(to));
    }
    message
}

impl Chain {
    /// Connects and reads the chain id, which must stay the same from then on.
    ///
    /// # Errors
    /// [`ChainError::Url`] for another scheme than http, https, ws or wss; the transport's error when there is no chain
    /// behind it.
    pub async fn connect(url: &str) -> Result<Self, ChainError> {
        Self::connect_to(&[url.to_owned()], 1).await
    }

    /// As [`Chain::connect`], with several endpoints: the first that works is asked, and transactions go to all. Where a
    /// lie would cost, `agree` of them must give the same answer.
    ///
    /// # Errors
    /// As [`Chain::connect`]; the transport's error only when there is a chain behind none of them.
    pub async fn connect_to(urls: &[String], agree: usize) -> Result<Self, ChainError> {
        let rpc = Providers::new(urls, agree)?;
        let id = rpc.identify().await?;
        rpc.watch_over();
        Ok(Self(Arc::new(Inner {
            rpc,
            id,
            headers: HeaderCache::default(),
            specs: SpecCache::default(),
            pushed: OnceLock::new(),
            mined: watch::Sender::new(()),
            hints: watch::Sender::new(()),
            read: watch::Sender::new(0),
        })))
    }

    /// The chain id.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// How each endpoint stands, in the order in which they were given.
    pub fn providers(&self) -> Vec<ProviderState> {
        self.0.rpc.states()
    }

    /// The chain cannot be followed with the endpoint that is asked now: another one is asked, if there is one.
    pub(crate) fn suspect(&self, trouble: &Trouble) {
        self.0.rpc.suspect(&trouble.to_string());
    }

    /// Scheme and host of the endpoint that is asked now; the rest of its URL may hold a secret.
    pub fn endpoint(&self) -> &str {
        self.0.rpc.endpoint()
    }

    /// Whether the newest exchange with the endpoint gave an answer.
    pub fn is_reachable(&self) -> bool {
        self.condition().answers()
    }

    /// What keeps the chain from being followed at the moment, for status and health.
    pub fn trouble(&self) -> Option<Trouble> {
        self.condition().trouble()
    }

    /// The connection.
    pub(crate) fn rpc(&self) -> &Providers {
        &self.0.rpc
    }

    pub(crate) fn condition(&self) -> &Condition {
        self.0.rpc.condition()
    }

    /// Asks the endpoint for its chain id, which must be that of the start.
    pub(crate) async fn identify(&self) -> Result<(), ChainError> {
        self.0.rpc.identify().await.map(drop)
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

    /// The canonical header at a height; `None` above the head.
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
        if let Some(header) = self.0.headers.get(hash) {
            return Ok(header);
        }
        let header = self.header(number).await?;
        header
            .filter(|header| header.hash == hash)
            .ok_or(ChainError::NoSuchBlock { number })
    }

    /// The block of an event. Its time is in the event where the endpoint gives it, else in the header.
    pub(crate) async fn block_of(
        &self,
        event: &RawEvent,
        place: EventPlace,
    ) -> Result<BlockRef, ChainError> {
        if let Some(timestamp) = event.block_timestamp {
            return Ok(BlockRef {
                number: place.number,
                hash: digest(place.block),
                timestamp: count(timestamp),
            });
        }
        let header = self.header_of(place.number, place.block).await?;
        Ok(header.block())
    }

    /// The specifications of gates that were read.
    pub(crate) fn specs(&self) -> &SpecCache {
        &self.0.specs
    }

    /// Keeps a header that was part of another answer.
    pub(crate) fn remember(&self, header: &Header) {
        self.0.headers.remember(header);
    }

    /// The events that an interest selects.
    pub(crate) async fn events(
        &self,
        interest: &Interest,
        span: Span,
    ) -> Result<Vec<RawEvent>, ChainError> {
        self.ask("eth_getLogs", [interest.filter(span)]).await
    }

    /// The receipt of a transaction that is mined.
    pub(crate) async fn receipt(&self, hash: H256) -> Result<Option<Receipt>, ChainError> {
        self.ask("eth_getTransactionReceipt", [hash]).await
    }

    /// The gas that a transaction used; nothing while it is in no block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn gas_used(&self, transaction: Digest) -> Result<Option<u64>, ChainError> {
        let receipt = self.receipt(H256(transaction.0)).await?;
        Ok(receipt.map(|receipt| count(receipt.gas_used)))
    }

    /// The hashes of a block's transactions; `None` when the endpoint does not know the block.
    pub(crate) async fn transactions(
        &self,
        block: H256,
    ) -> Result<Option<BlockTransactions>, ChainError> {
        self.ask("eth_getBlockByHash", json!([block, false])).await
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
    pub(crate) async fn call_contract(&self, request: Value, at: At) -> Result<Bytes, ChainError> {
        let answer = self.request("eth_call", json!([request, at.json()])).await;
        answer.map_err(|failure| self.reverted("eth_call", failure))
    }

    /// The gas that a call needs now.
    pub(crate) async fn estimate(&self, request: Value) -> Result<u64, ChainError> {
        let gas: Result<U256, _> = self.request("eth_estimateGas", json!([request])).await;
        gas.map(count)
            .map_err(|failure| self.reverted("eth_estimateGas", failure))
    }

    /// A request whose failure the caller handles itself.
    pub(crate) async fn request<R>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, RpcFailure>
    where
        R: DeserializeOwned + Send,
    {
        self.0.rpc.request(method, params).await
    }

    /// A request whose failure is told with the endpoint's name.
    pub(crate) async fn ask<R>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, ChainError>
    where
        R: DeserializeOwned + Send,
    {
        self.0.rpc.ask(method, params).await
    }

    /// A failure with the endpoint's name.
    pub(crate) fn explain(&self, method: &str, failure: RpcFailure) -> ChainError {
        self.0.rpc.explain(method, failure)
    }

    /// As `explain`, for a call whose failure may be a contract's revert.
    fn reverted(&self, method: &str, failure: RpcFailure) -> ChainError {
        let revert = failure.as_error_response().and_then(revert::from_response);
        match revert {
            Some(reason) => ChainError::Reverted { reason },
            None => self.explain(method, failure),
        }
    }

    /// The pause between two requests that the endpoint bears; zero while it has refused none.
    pub(crate) fn gap(&self) -> Duration {
        self.0.rpc.gap()
    }

    /// Whether the endpoint tells of new blocks by itself (websocket).
    pub(crate) fn pushes(&self) -> bool {
        self.0.rpc.pushes()
    }

    /// The newest head that the endpoint has pushed, if it pushes any. The subscription is made by the first who asks.
    pub(crate) fn pushed_heads(&self) -> Option<HeadReceiver> {
        let rpc = &self.0.rpc;
        rpc.pushes().then(|| {
            let receiver = self
                .0
                .pushed
                .get_or_init(|| rpc::follow(rpc.clone(), self.hints()));
            receiver.clone()
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({} at {})", self.id(), self.endpoint())
    }
}
