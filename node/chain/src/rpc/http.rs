//! JSON-RPC over HTTP POST, on connections that are kept and reused.

use super::{
    failure::RpcFailure, ExpectedId, RawParams, CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS,
    MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT,
};
use ethers_core::types::U64;
use jsonrpsee::{
    core::client::ClientT,
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use serde_json::value::RawValue;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// HTTP does not show when a connection is replaced, so the chain id is read again after each failure
/// and whenever it has not been read for so long.
const VERIFY_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Http {
    client: HttpClient,
    expected: ExpectedId,
    verified: Mutex<Option<Instant>>,
}

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let client = HttpClientBuilder::default()
            .request_timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .max_request_size(MAX_REQUEST_BYTES)
            .max_response_size(MAX_RESPONSE_BYTES)
            .max_concurrent_requests(MAX_CONCURRENT_REQUESTS)
            .build(url)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            expected: ExpectedId::default(),
            verified: Mutex::default(),
        })
    }

    pub(super) async fn request(
        &self,
        method: &str,
        params: RawParams,
    ) -> Result<Box<RawValue>, RpcFailure> {
        self.verify().await?;
        let answer = self.client.request(method, params).await;
        answer.map_err(|error| self.distrust(error.into()))
    }

    /// Reads the chain id, unless it was read a moment ago on connections that have held since.
    async fn verify(&self) -> Result<(), RpcFailure> {
        let verified = *self.verified();
        if verified.is_some_and(|at| at.elapsed() < VERIFY_INTERVAL) {
            return Ok(());
        }
        let found: U64 = self.client.request("eth_chainId", rpc_params![]).await?;
        self.expected.check(found)?;
        *self.verified() = Some(Instant::now());
        Ok(())
    }

    fn distrust(&self, failure: RpcFailure) -> RpcFailure {
        if failure.is_outage() {
            *self.verified() = None;
        }
        failure
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // A panic elsewhere cannot leave an instant half written.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
