//! JSON-RPC to the chain: an Ethereum-library client over jsonrpsee, for http(s) and ws(s).
//!
//! Every request has a timeout and a bounded answer. The chain id is read at the first connection and
//! compared at every later one, so that an endpoint which quietly serves another chain is noticed.

mod backoff;
mod failure;
mod http;
mod prompt;
mod ws;

use crate::error::ChainError;
use async_trait::async_trait;
use ethers_core::types::U64;
use ethers_providers::JsonRpcClient;
use jsonrpsee::core::traits::ToRpcParams;
use serde::{de::DeserializeOwned, Serialize};
use serde_json::value::{to_raw_value, RawValue};
use std::{
    fmt,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, OnceLock,
    },
    time::Duration,
};

pub(crate) use backoff::Backoff;
pub(crate) use failure::RpcFailure;
pub(crate) use ws::HeadSubscription;

/// The longest that one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is taken, in bytes.
pub const MAX_RESPONSE_BYTES: u32 = 32 * 1024 * 1024;
/// The largest request that is sent, in bytes.
pub const MAX_REQUEST_BYTES: u32 = 8 * 1024 * 1024;
/// Requests under way at once; more wait their turn.
pub const MAX_CONCURRENT_REQUESTS: usize = 256;

/// A connection to one endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rpc(Arc<Inner>);

struct Inner {
    endpoint: String,
    transport: Transport,
    reachable: AtomicBool,
}

enum Transport {
    Http(http::Http),
    Ws(ws::Ws),
}

/// The chain id that the first answer gave; later ones must agree.
#[derive(Default)]
struct ExpectedId(OnceLock<u64>);

impl ExpectedId {
    fn check(&self, found: U64) -> Result<u64, RpcFailure> {
        let found = found.as_u64();
        let expected = *self.0.get_or_init(|| found);
        if expected == found {
            Ok(found)
        } else {
            Err(RpcFailure::WrongChain { expected, found })
        }
    }
}

/// Parameters that are JSON already.
struct RawParams(Box<RawValue>);

impl ToRpcParams for RawParams {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}

/// Scheme and host of a URL, without what may hold a secret: user, path and query.
fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    format!("{scheme}://{}", host(rest))
}

/// Host and port of what follows the scheme of a URL.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

impl Rpc {
    /// Prepares a connection; nothing is sent before the first request.
    pub(crate) fn new(url: &str) -> Result<Self, ChainError> {
        let endpoint = redact(url);
        let transport = match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("http" | "https") => http::Http::new(url).map(Transport::Http),
            Some("ws" | "wss") => Ok(Transport::Ws(ws::Ws::new(url))),
            _ => Err("unknown scheme".to_owned()),
        };
        let transport = transport.map_err(|reason| ChainError::Url {
            url: endpoint.clone(),
            reason,
        })?;
        Ok(Self(Arc::new(Inner {
            endpoint,
            transport,
            reachable: AtomicBool::new(false),
        })))
    }

    /// Scheme and host.
    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Whether the newest exchange succeeded and the connection stands.
    pub(crate) fn is_reachable(&self) -> bool {
        self.0.reachable.load(Ordering::Relaxed)
    }

    /// Whether the chain tells of new blocks by itself.
    pub(crate) fn pushes(&self) -> bool {
        matches!(self.0.transport, Transport::Ws(_))
    }

    /// Asks for one thing.
    pub(crate) async fn ask<R: DeserializeOwned + Send>(
        &self,
        method: &str,
        params: impl fmt::Debug + Serialize + Send + Sync,
    ) -> Result<R, ChainError> {
        self.request(method, params)
            .await
            .map_err(|failure| self.explain(method, failure))
    }

    /// A failure with the endpoint's name.
    pub(crate) fn explain(&self, method: &str, failure: RpcFailure) -> ChainError {
        failure.explain(self.endpoint(), method)
    }

    /// Subscribes to new heads; only a websocket can.
    pub(crate) async fn subscribe_heads(&self) -> Result<HeadSubscription, RpcFailure> {
        match &self.0.transport {
            Transport::Ws(ws) => self.noting(ws.subscribe_heads().await),
            Transport::Http(_) => Err(RpcFailure::unreachable("http cannot subscribe")),
        }
    }

    /// One exchange; a connection that turns out to be stale is replaced once.
    async fn exchange(
        &self,
        method: &str,
        params: Box<RawValue>,
    ) -> Result<Box<RawValue>, RpcFailure> {
        let first = self.attempt(method, RawParams(params.clone())).await;
        let result = match first {
            Err(RpcFailure::Unreachable { .. }) => self.attempt(method, RawParams(params)).await,
            other => other,
        };
        self.noting(result)
    }

    async fn attempt(&self, method: &str, params: RawParams) -> Result<Box<RawValue>, RpcFailure> {
        match &self.0.transport {
            Transport::Http(http) => http.request(method, params).await,
            Transport::Ws(ws) => ws.request(method, params).await,
        }
    }

    fn noting<T>(&self, result: Result<T, RpcFailure>) -> Result<T, RpcFailure> {
        let reachable = !matches!(&result, Err(failure) if failure.is_outage());
        self.0.reachable.store(reachable, Ordering::Relaxed);
        result
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({})", self.endpoint())
    }
}

#[async_trait]
impl JsonRpcClient for Rpc {
    type Error = RpcFailure;

    async fn request<T, R>(&self, method: &str, params: T) -> Result<R, RpcFailure>
    where
        T: fmt::Debug + Serialize + Send + Sync,
        R: DeserializeOwned + Send,
    {
        let params = to_raw_value(&params).map_err(RpcFailure::malformed)?;
        let answer = self.exchange(method, params).await?;
        serde_json::from_str(answer.get()).map_err(RpcFailure::malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (url, shown) in [
            ("https://node.example/v3/KEY", "https://node.example"),
            (
                "wss://user:pass@node.example:8546/?k=KEY",
                "wss://node.example:8546",
            ),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn only_four_schemes_are_spoken() {
        for url in ["ftp://host", "127.0.0.1:8545", "", "http//x", "http://"] {
            let refused = Rpc::new(url);
            assert!(matches!(refused, Err(ChainError::Url { .. })), "{url}");
        }
        for url in ["http://h", "https://h:1/x", "ws://h:1", "wss://h"] {
            assert!(Rpc::new(url).is_ok(), "{url}");
        }
    }
}
