//! JSON-RPC over HTTP POST, on connections that are kept and reused.
//!
//! A URL may be served by another machine, or another chain, at any time. So the chain id is read at the first request,
//! after each outage, and whenever it has not been read for [`VERIFY_INTERVAL`]; a websocket has the same check when it
//! connects.

use super::{
    answers::{ReadErrors, ReadErrorsLayer},
    failure::RpcFailure,
    identity::ExpectedId,
    limits::{
        CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
        REQUEST_TIMEOUT,
    },
    params::RawParams,
    url::Endpoint,
};
use ethers_core::types::U64;
use jsonrpsee::{
    core::client::ClientT,
    http_client::{HttpBackend, HttpClient, HttpClientBuilder, RpcLogger, RpcService},
    rpc_params,
};
use serde_json::value::RawValue;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// HTTP does not show when a connection is replaced, so the chain id is read at the first request, after each outage, and
/// whenever it has not been read for this long.
const VERIFY_INTERVAL: Duration = Duration::from_secs(10);

type Client = HttpClient<RpcLogger<RpcService<ReadErrors<HttpBackend>>>>;

/// An endpoint over HTTP, and when its chain id was last asked for.
pub(super) struct Http {
    client: Client,
    expected: ExpectedId,
    verified: Mutex<Option<Instant>>,
}

impl Http {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let client = HttpClientBuilder::default()
            .request_timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .max_request_size(MAX_REQUEST_BYTES)
            .max_response_size(MAX_RESPONSE_BYTES)
            .max_concurrent_requests(MAX_CONCURRENT_REQUESTS)
            .set_headers(endpoint.headers())
            .set_http_middleware(tower::ServiceBuilder::new().layer(ReadErrorsLayer))
            .build(endpoint.as_str())
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            expected: ExpectedId::default(),
            verified: Mutex::default(),
        })
    }

    /// Sends one request. From time to time the chain id is asked first, because an address may be given to another node
    /// at any time.
    pub(super) async fn request(
        &self,
        method: &str,
        params: RawParams,
    ) -> Result<Box<RawValue>, RpcFailure> {
        let verified = *self.verified();
        if verified.is_none_or(|at| at.elapsed() >= VERIFY_INTERVAL) {
            self.identify().await?;
        }
        let answer = self.client.request(method, params).await;
        answer.map_err(|error| self.distrust(error.into()))
    }

    /// From now on the chain id must be this one. It is read before the next request.
    pub(super) fn expect(&self, id: u64) {
        self.expected.set(id);
        *self.verified() = None;
    }

    /// Reads the chain id, and compares it with the one before.
    pub(super) async fn identify(&self) -> Result<u64, RpcFailure> {
        let found: U64 = self.client.request("eth_chainId", rpc_params![]).await?;
        let id = self.expected.check(found)?;
        *self.verified() = Some(Instant::now());
        Ok(id)
    }

    fn distrust(&self, failure: RpcFailure) -> RpcFailure {
        if failure.is_outage() {
            *self.verified() = None;
        }
        failure
    }

    fn verified(&self) -> MutexGuard<'_, Option<Instant>> {
        // An instant is written at once, so the value of a poisoned lock is usable.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
