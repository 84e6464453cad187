//! One endpoint: every request goes through here.
//!
//! [`Rpc`] holds the transport (`http` or `ws`), the throttle, and the requests in flight. [`Rpc::ask`] shares equal
//! requests, waits for the throttle, tries again after temporary failures, and notes whether the endpoint answers. It
//! returns an `RpcFailure`, which `Chain` turns into a [`ChainError`](crate::ChainError) with the name of the endpoint.
//!
//! How often a request is tried depends on the failure: [`ATTEMPTS`] for a lost connection, [`OUTAGE_ATTEMPTS`] for an
//! endpoint that is there and cannot answer now, once for a refusal that would be repeated. One of several endpoints is
//! tried once in any case, because the next one is asked then (`providers`). Sending a transaction is never shared
//! between callers: two sendings are two events.

use super::{
    failure::RpcFailure,
    http::Http,
    params::RawParams,
    single::{Answer, SingleFlight},
    throttle::Throttle,
    url::{redact, Endpoint},
    ws::{HeadSubscription, Ws},
};
use crate::{backoff::Backoff, condition::Condition, error::ChainError};
use async_trait::async_trait;
use ethers_providers::JsonRpcClient;
use futures::FutureExt;
use serde::{de::DeserializeOwned, Serialize};
use serde_json::value::{to_raw_value, RawValue};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often a request is tried when its failure is temporary: a lost connection, or a refusal for too many requests.
const ATTEMPTS: u32 = 4;
/// How often a request is tried at an endpoint that is there and cannot answer now: HTTP status 500 or above, or a backend
/// that is away or does not know a block yet. The waits between these attempts take one and a half seconds at least,
/// because a command that ends has to be given again by hand.
const OUTAGE_ATTEMPTS: u32 = 7;
/// The one method that is never shared between callers.
const SEND: &str = "eth_sendRawTransaction";

/// A connection to one endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rpc(Arc<Inner>);

/// What all clones of a client share.
struct Inner {
    /// Scheme and host.
    shown: String,
    transport: Transport,
    throttle: Throttle,
    single: SingleFlight,
    condition: Condition,
    /// How often a request is tried at most.
    attempts: u32,
}

/// How the endpoint is spoken to.
enum Transport {
    Http(Box<Http>),
    Ws(Box<Ws>),
}

impl Rpc {
    /// Prepares a connection; nothing is sent before the first request.
    pub(crate) fn new(url: &str) -> Result<Self, ChainError> {
        Self::with_attempts(url, u32::MAX)
    }

    /// Prepares a connection to one of several endpoints. A request is tried once, because after a failure another endpoint
    /// is asked.
    pub(crate) fn one_of_several(url: &str) -> Result<Self, ChainError> {
        Self::with_attempts(url, 1)
    }

    fn with_attempts(url: &str, attempts: u32) -> Result<Self, ChainError> {
        let shown = redact(url);
        let transport = Endpoint::parse(url).and_then(Transport::new);
        let transport = transport.map_err(|reason| ChainError::Url {
            url: shown.clone(),
            reason,
        })?;
        Ok(Self(Arc::new(Inner {
            shown,
            transport,
            throttle: Throttle::default(),
            single: SingleFlight::default(),
            condition: Condition::default(),
            attempts,
        })))
    }

    /// Scheme and host.
    pub(crate) fn endpoint(&self) -> &str {
        &self.0.shown
    }

    /// What is wrong with the endpoint or the chain behind it.
    pub(crate) fn condition(&self) -> &Condition {
        &self.0.condition
    }

    /// Whether the chain tells of new blocks by itself.
    pub(crate) fn pushes(&self) -> bool {
        matches!(self.0.transport, Transport::Ws(_))
    }

    /// The pause between two requests that the endpoint bears; zero while it has refused none.
    pub(crate) fn gap(&self) -> Duration {
        self.0.throttle.gap()
    }

    /// Reads the chain id, which must be the same each time.
    pub(crate) async fn identify(&self) -> Result<u64, ChainError> {
        let id = self.patiently(|| self.0.transport.identify()).await;
        id.map_err(|failure| self.explain("eth_chainId", failure))
    }

    /// From now on the chain id must be this one.
    pub(crate) async fn expect(&self, id: u64) {
        match &self.0.transport {
            Transport::Http(http) => http.expect(id),
            Transport::Ws(ws) => ws.expect(id).await,
        }
    }

    /// A failure with the endpoint's name.
    fn explain(&self, method: &str, failure: RpcFailure) -> ChainError {
        failure.explain(self.endpoint(), method)
    }

    /// Subscribes to new heads; only a websocket can.
    pub(crate) async fn subscribe_heads(&self) -> Result<HeadSubscription, RpcFailure> {
        match &self.0.transport {
            Transport::Ws(ws) => self.noting(Instant::now(), ws.subscribe_heads().await),
            Transport::Http(_) => Err(RpcFailure::unreachable("http cannot subscribe")),
        }
    }

    /// One exchange, shared with all callers that ask for the same at the same time.
    pub(super) async fn exchange(&self, method: &str, params: Box<RawValue>) -> Answer {
        let key = format!("{method} {params}");
        let asking = || {
            let (rpc, method) = (self.clone(), method.to_owned());
            async move {
                let transport = &rpc.0.transport;
                let asked = rpc.patiently(|| transport.request(&method, RawParams(params.clone())));
                asked.await.map(Arc::from)
            }
            .boxed()
        };
        match method {
            SEND => asking().await,
            _ => self.0.single.share(key, asking).await,
        }
    }

    /// Tries again after temporary failures, at the pace that the endpoint allows.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, RpcFailure>
    where
        F: std::future::Future<Output = Result<T, RpcFailure>>,
    {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        loop {
            self.0.throttle.turn().await?;
            attempts += 1;
            match self.noting(Instant::now(), attempt().await) {
                Err(failure) if attempts < attempts_at(&failure).min(self.0.attempts) => {
                    match failure {
                        RpcFailure::RateLimited { .. } => {} // the throttle makes the next try wait
                        _ => backoff.wait().await,
                    }
                }
                other => return other,
            }
        }
    }

    /// Notes the result of an exchange for the throttle and for the status.
    fn noting<T>(&self, sent: Instant, result: Result<T, RpcFailure>) -> Result<T, RpcFailure> {
        let failure = result.as_ref().err();
        match failure {
            Some(RpcFailure::RateLimited { after }) => self.0.throttle.limited(sent, *after),
            Some(failure) if failure.is_outage() => {}
            _ => self.0.throttle.answered(),
        }
        let trouble = failure.and_then(RpcFailure::trouble);
        self.0.condition.endpoint(trouble);
        result
    }
}

/// How often a request with this failure is tried.
fn attempts_at(failure: &RpcFailure) -> u32 {
    match failure {
        RpcFailure::Unreachable { .. } | RpcFailure::RateLimited { .. } => ATTEMPTS,
        failure if failure.is_passing() => OUTAGE_ATTEMPTS,
        _ => 1,
    }
}

impl Transport {
    fn new(endpoint: Endpoint) -> Result<Self, String> {
        if endpoint.is_websocket() {
            return Ok(Self::Ws(Box::new(Ws::new(endpoint))));
        }
        let http = Http::new(&endpoint)?;
        Ok(Self::Http(Box::new(http)))
    }

    async fn request(&self, method: &str, params: RawParams) -> Result<Box<RawValue>, RpcFailure> {
        match self {
            Self::Http(http) => http.request(method, params).await,
            Self::Ws(ws) => ws.request(method, params).await,
        }
    }

    async fn identify(&self) -> Result<u64, RpcFailure> {
        match self {
            Self::Http(http) => http.identify().await,
            Self::Ws(ws) => ws.identify().await,
        }
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
