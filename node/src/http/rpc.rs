//! JSON-RPC 2.0 over POST and WebSocket, through jsonrpsee. Every method here only reads.

use super::{
    api::{ApiError, NodeApi},
    openrpc,
    server::HttpError,
    session::{InFlight, InTurn, Session},
    HttpLimits,
};
use jsonrpsee::{
    core::{middleware::RpcServiceBuilder, BoxError, RegisterMethodError},
    server::{
        http::response as http_response, stop_channel, BatchRequestConfig, HttpBody, HttpRequest,
        HttpResponse, Methods, PingConfig, RpcModule, ServerBuilder, ServerConfig, ServerHandle,
        StopHandle, TowerServiceBuilder,
    },
    types::{
        ErrorCode, ErrorObjectOwned, Id, InvalidRequest, Notification, Params, Request, Response,
        ResponsePayload,
    },
};
use rings_protocol::Address;
use serde::{de::IgnoredAny, Deserialize};
use serde_json::value::RawValue;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tower::{layer::util::Identity, Service};

/// Log nodes in one page, when the caller does not say.
const DEFAULT_LOG_PAGE: u32 = 50;
/// Log nodes in one page at most.
const MAX_LOG_PAGE: u32 = 256;
/// Answers that a WebSocket session holds for a client that is slow to read.
const SESSION_BUFFER: u32 = 16;
/// How often a WebSocket client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_LIMIT: Duration = Duration::from_secs(45);
/// What a caller is told to wait, in milliseconds, when all places are taken.
const BUSY_MILLISECONDS: u64 = 100;

type Services = TowerServiceBuilder<Identity, Identity>;

/// The JSON-RPC side: one service for single requests and one for sessions, which cannot starve each other.
pub(super) struct Rpc {
    requests: Services,
    sessions: Services,
    methods: Methods,
    stop: StopHandle,
}

impl Rpc {
    /// Builds the methods. The handle stops the WebSocket sessions.
    pub(super) fn new(
        api: Arc<dyn NodeApi>,
        limits: &HttpLimits,
    ) -> Result<(Self, ServerHandle), HttpError> {
        let (stop, handle) = stop_channel();
        let rpc = Self {
            requests: services(limits, limits.connections as u32),
            sessions: services(limits, limits.sessions),
            methods: methods(Calls::new(api, limits))
                .map_err(HttpError::Methods)?
                .into(),
            stop,
        };
        Ok((rpc, handle))
    }

    /// Answers one request whose body is complete.
    pub(super) async fn request(
        &self,
        request: HttpRequest<HttpBody>,
    ) -> Result<HttpResponse, BoxError> {
        let service = self.requests.clone();
        service
            .build(self.methods.clone(), self.stop.clone())
            .call(request)
            .await
    }

    /// Begins a WebSocket session, in which `session` keeps reader, calls and writer in step.
    pub(super) async fn session(
        &self,
        mut request: HttpRequest<HttpBody>,
        session: Arc<Session>,
    ) -> Result<HttpResponse, BoxError> {
        request
            .extensions_mut()
            .insert(InFlight::new(session.clone()));
        let in_turn = move |service| InTurn::new(service, session.clone());
        let middleware = RpcServiceBuilder::new().layer_fn(in_turn);
        let service = self.sessions.clone().set_rpc_middleware(middleware);
        service
            .build(self.methods.clone(), self.stop.clone())
            .call(request)
            .await
    }
}

fn services(limits: &HttpLimits, connections: u32) -> Services {
    let pings = PingConfig::new()
        .ping_interval(PING_INTERVAL)
        .inactive_limit(PING_LIMIT);
    let config = ServerConfig::builder()
        .max_connections(connections)
        .max_request_body_size(limits.rpc_request_bytes)
        .max_response_body_size(limits.rpc_response_bytes)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .max_subscriptions_per_connection(0)
        .set_message_buffer_capacity(SESSION_BUFFER)
        .enable_ws_ping(pings)
        .build();
    ServerBuilder::with_config(config).to_service_builder()
}

/// What the methods share.
struct Calls {
    api: Arc<dyn NodeApi>,
    places: Semaphore,
    timeout: Duration,
}

impl Calls {
    fn new(api: Arc<dyn NodeApi>, limits: &HttpLimits) -> Self {
        Self {
            api,
            places: Semaphore::new(limits.calls),
            timeout: limits.call_timeout,
        }
    }

    /// Runs one call, if there is a place, for a limited time.
    async fn run<T>(
        &self,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ErrorObjectOwned> {
        let busy = ApiError::Busy {
            milliseconds: BUSY_MILLISECONDS,
        };
        let _place = self.places.try_acquire().map_err(|_| busy)?;
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => {
                let what = format!("no answer within {} ms", self.timeout.as_millis());
                Err(ApiError::internal(what, elapsed).into())
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RingParams {
    ring: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateParams {
    gate: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogParams {
    ring: Address,
    member: Address,
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    limit: Option<u32>,
}

impl LogParams {
    fn limit(&self) -> Result<u32, ApiError> {
        match self.limit.unwrap_or(DEFAULT_LOG_PAGE) {
            limit @ 1..=MAX_LOG_PAGE => Ok(limit),
            limit => Err(ApiError::InvalidParams {
                reason: format!("limit is {limit}; give a number from 1 to {MAX_LOG_PAGE}"),
            }),
        }
    }
}

/// The methods of [`openrpc::METHODS`], each with the call behind it.
fn methods(calls: Calls) -> Result<RpcModule<Calls>, RegisterMethodError> {
    let mut module = RpcModule::new(calls);
    module.register_async_method(openrpc::STATUS, |_, calls, _| async move {
        calls.run(calls.api.status()).await
    })?;
    module.register_async_method(openrpc::GET_RING, |params, calls, _| async move {
        let RingParams { ring } = parse(&params)?;
        calls.run(calls.api.ring(ring)).await
    })?;
    module.register_async_method(openrpc::GET_GATE, |params, calls, _| async move {
        let GateParams { gate } = parse(&params)?;
        calls.run(calls.api.gate(gate)).await
    })?;
    module.register_async_method(openrpc::GET_LOG, |params, calls, _| async move {
        let page: LogParams = parse(&params)?;
        let limit = page.limit()?;
        calls
            .run(calls.api.log(page.ring, page.member, page.from, limit))
            .await
    })?;
    let document = openrpc::document();
    module.register_method(openrpc::DISCOVER, move |_, _, _| document.clone())?;
    Ok(module)
}

/// The answer to a body that is JSON and not a call. jsonrpsee takes some of those for broken JSON.
pub(super) fn invalid_request(body: &[u8]) -> Option<HttpResponse> {
    let is_call = serde_json::from_slice::<Request<'_>>(body).is_ok()
        || serde_json::from_slice::<Notification<'_, Option<&RawValue>>>(body).is_ok();
    let is_batch = body.trim_ascii_start().starts_with(b"[");
    if is_call || is_batch || serde_json::from_slice::<IgnoredAny>(body).is_err() {
        return None;
    }
    let request = serde_json::from_slice::<InvalidRequest<'_>>(body);
    let id = request.map_or(Id::Null, |request| request.id);
    let error = ResponsePayload::<()>::error(ErrorCode::InvalidRequest);
    let answer = serde_json::to_string(&Response::new(error, id)).ok()?;
    Some(http_response::ok_response(answer))
}

fn parse<T: for<'a> Deserialize<'a>>(params: &Params<'_>) -> Result<T, ErrorObjectOwned> {
    params.parse()
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        let (code, message) = (error.code(), error.message());
        match &error {
            ApiError::Busy { milliseconds } => Self::owned(code, message, Some(milliseconds)),
            ApiError::Internal { source, .. } => {
                tracing::warn!(error = %error, cause = %chain(source.as_ref()), "a call failed");
                Self::owned(code, message, Some(error.to_string()))
            }
            _ => Self::owned(code, message, Some(error.to_string())),
        }
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
