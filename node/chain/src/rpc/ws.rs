//! JSON-RPC over a websocket. When the connection breaks, the next request makes a new one.
//!
//! [`Ws`] keeps one connection for all callers, and connects again when it is needed, with a pause after a failure.
//! After each connect the chain id is compared with the first one. Pings show when the peer has gone.
//! [`Ws::subscribe_heads`] gives a [`HeadSubscription`], which ends with its connection; `feed` then subscribes anew.
//!
//! Callers that come at the same time share one attempt to connect, and during the pause they get the failure of the
//! last attempt. Sizes, times and the number of requests under way are bounded in `limits`.

use super::{
    failure::RpcFailure,
    identity::ExpectedId,
    limits::{
        CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
        REQUEST_TIMEOUT,
    },
    params::RawParams,
    prompt::PromptStream,
    url::Endpoint,
    ws_answers::PlainAnswers,
};
use crate::{backoff::Backoff, header::Header};
use ethers_core::types::U64;
use jsonrpsee::{
    client_transport::ws::{Url, WsHandshakeError, WsTransportClientBuilder},
    core::{
        client::{
            ClientT, Subscription, SubscriptionClientT, TransportReceiverT, TransportSenderT,
        },
        ClientError,
    },
    rpc_params,
    ws_client::{PingConfig, WsClient, WsClientBuilder},
};
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// New heads that wait to be read. A reader that falls further behind has to subscribe again.
const HEAD_BUFFER: usize = 256;
/// How often the peer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// After this long without a sign of the peer, the connection counts as lost.
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

/// An endpoint over WebSocket, with one connection for all who ask it.
pub(super) struct Ws {
    endpoint: Endpoint,
    expected: ExpectedId,
    link: Mutex<Link>,
}

/// The connection, or why there is none.
#[derive(Default)]
struct Link {
    client: Option<Arc<WsClient>>,
    backoff: Backoff,
    /// No new connection is tried before this moment, and this is why the last one failed.
    closed: Option<(Instant, RpcFailure)>,
}

impl Ws {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
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

    /// From now on the chain id must be this one. It is compared with each connect, so the connection is made anew.
    pub(super) async fn expect(&self, id: u64) {
        self.expected.set(id);
        self.link.lock().await.client = None;
    }

    /// Reads the chain id, and compares it with the one before.
    pub(super) async fn identify(&self) -> Result<u64, RpcFailure> {
        let client = self.client().await?;
        let found: U64 = client.request("eth_chainId", rpc_params![]).await?;
        self.expected.check(found)
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

    /// The open connection, or a new one. Callers at the same time share one attempt.
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
        let client = timeout(CONNECT_TIMEOUT, self.handshake())
            .await
            .map_err(|_| RpcFailure::Timeout)??;
        let found: U64 = client.request("eth_chainId", rpc_params![]).await?;
        self.expected.check(found)?;
        Ok(client)
    }
}

impl Ws {
    /// Opens the socket. Without TLS it is a [`prompt`](super::prompt) stream, which acknowledges at once.
    async fn handshake(&self) -> Result<WsClient, RpcFailure> {
        let transport = self.transport();
        let url = Url::parse(self.endpoint.as_str());
        let url = url.map_err(|error| ClientError::Transport(error.into()))?;
        let Some(authority) = self.endpoint.plain_authority() else {
            let (sender, receiver) = transport.build(url).await.map_err(refused)?;
            return Ok(client(sender, receiver));
        };
        let stream = PromptStream::connect(&authority).await;
        let stream = stream.map_err(|error| RpcFailure::Unreachable {
            source: Arc::new(error),
        })?;
        let socket = transport.build_with_stream(url, stream).await;
        let (sender, receiver) = socket.map_err(refused)?;
        Ok(client(sender, receiver))
    }

    fn transport(&self) -> WsTransportClientBuilder {
        WsTransportClientBuilder::default()
            .connection_timeout(CONNECT_TIMEOUT)
            .max_request_size(MAX_REQUEST_BYTES)
            .max_response_size(MAX_RESPONSE_BYTES)
            .set_headers(self.endpoint.headers())
    }
}

/// A client on an open socket.
fn client(
    sender: impl TransportSenderT + Send,
    receiver: impl TransportReceiverT + Send,
) -> WsClient {
    let pings = PingConfig::new()
        .ping_interval(PING_INTERVAL)
        .inactive_limit(PING_LIMIT);
    WsClientBuilder::default()
        .request_timeout(REQUEST_TIMEOUT)
        .max_concurrent_requests(MAX_CONCURRENT_REQUESTS)
        .max_buffer_capacity_per_subscription(HEAD_BUFFER)
        .enable_ws_ping(pings)
        .build_with_transport(sender, PlainAnswers(receiver))
}

fn refused(error: WsHandshakeError) -> RpcFailure {
    ClientError::Transport(error.into()).into()
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
