//! JSON-RPC over a websocket that is made again when it breaks.

use super::{
    failure::RpcFailure, host, prompt::PromptStream, Backoff, ExpectedId, RawParams,
    CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
    REQUEST_TIMEOUT,
};
use crate::chain::Header;
use ethers_core::types::U64;
use jsonrpsee::{
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// New heads that wait to be read; a reader so slow is subscribed again.
const HEAD_BUFFER: usize = 256;
/// How often the peer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A peer so silent is gone.
const PING_LIMIT: Duration = Duration::from_secs(25);

/// A stream of new heads; it ends when the connection does.
pub(crate) struct HeadSubscription {
    stream: Subscription<Header>,
    /// Keeps the connection open while it is read.
    _client: Arc<WsClient>,
}

impl HeadSubscription {
    /// The next head; `None` when the connection is lost.
    pub(crate) async fn next(&mut self) -> Option<Result<Header, RpcFailure>> {
        let next = self.stream.next().await?;
        Some(next.map_err(RpcFailure::malformed))
    }
}

pub(super) struct Ws {
    url: String,
    expected: ExpectedId,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    client: Option<Arc<WsClient>>,
    backoff: Backoff,
    /// Until then a failed connection is not tried again, and this is why it failed.
    closed: Option<(Instant, RpcFailure)>,
}

impl Ws {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            expected: ExpectedId::default(),
            link: Mutex::default(),
        }
    }

    pub(super) async fn request(
        &self,
        method: &str,
        params: RawParams,
    ) -> Result<Box<RawValue>, RpcFailure> {
        let client = self.client().await?;
        Ok(client.request(method, params).await?)
    }

    pub(super) async fn subscribe_heads(&self) -> Result<HeadSubscription, RpcFailure> {
        let client = self.client().await?;
        let stream = client
            .subscribe("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe")
            .await?;
        Ok(HeadSubscription {
            stream,
            _client: client,
        })
    }

    /// The connection that stands, or a new one; many callers share one attempt.
    async fn client(&self) -> Result<Arc<WsClient>, RpcFailure> {
        let mut link = self.link.lock().await;
        if let Some(client) = link.client.as_ref().filter(|c| c.is_connected()) {
            return Ok(client.clone());
        }
        if let Some((until, failure)) = &link.closed {
            if Instant::now() < *until {
                return Err(failure.clone());
            }
        }
        match self.connect().await {
            Ok(client) => Ok(link.open(client)),
            Err(failure) => Err(link.close(failure)),
        }
    }

    async fn connect(&self) -> Result<WsClient, RpcFailure> {
        let pings = PingConfig::new()
            .ping_interval(PING_INTERVAL)
            .inactive_limit(PING_LIMIT);
        let builder = WsClientBuilder::default()
            .request_timeout(REQUEST_TIMEOUT)
            .connection_timeout(CONNECT_TIMEOUT)
            .max_request_size(MAX_REQUEST_BYTES)
            .max_response_size(MAX_RESPONSE_BYTES)
            .max_concurrent_requests(MAX_CONCURRENT_REQUESTS)
            .max_buffer_capacity_per_subscription(HEAD_BUFFER)
            .enable_ws_ping(pings);
        let client = timeout(CONNECT_TIMEOUT, self.handshake(builder))
            .await
            .map_err(|_| RpcFailure::Timeout)??;
        let found: U64 = client.request("eth_chainId", rpc_params![]).await?;
        self.expected.check(found)?;
        Ok(client)
    }
}

impl Ws {
    /// Opens the socket. Without TLS it is ours, so that it can acknowledge at once.
    async fn handshake(&self, builder: WsClientBuilder) -> Result<WsClient, RpcFailure> {
        let Some(rest) = self.url.strip_prefix("ws://") else {
            return Ok(builder.build(&self.url).await?);
        };
        let host = host(rest);
        let has_port = host.rsplit(':').next().is_some_and(|port| {
            port.len() < host.len() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let authority = match has_port {
            true => host.to_owned(),
            false => format!("{host}:80"),
        };
        let stream =
            PromptStream::connect(&authority)
                .await
                .map_err(|error| RpcFailure::Unreachable {
                    source: Arc::new(error),
                })?;
        Ok(builder.build_with_stream(&self.url, stream).await?)
    }
}

impl Link {
    fn open(&mut self, client: WsClient) -> Arc<WsClient> {
        let client = Arc::new(client);
        *self = Self {
            client: Some(client.clone()),
            ..Self::default()
        };
        client
    }

    fn close(&mut self, failure: RpcFailure) -> RpcFailure {
        self.client = None;
        self.closed = Some((Instant::now() + self.backoff.next(), failure.clone()));
        failure
    }
}
