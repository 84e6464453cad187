//! JSON-RPC 2.0 over POST and WebSocket. Every method here only reads, except `rings_request` and those that change processes
//! (`process_methods.rs`), which need the token, and those of client rings, which carry signatures. Those of subscriptions
//! belong to a session.
//!
//! [`Rpc`] takes the bytes of one message (a call or a batch, `message.rs`), calls the methods through jsonrpsee, and
//! gives back the answer, or nothing for notifications. A method is one function of the trait
//! [`NodeApi`](crate::NodeApi); to add one, extend the trait, add it to `methods` with the types of `views.rs`, and
//! describe it in `openrpc.rs`. Calls of all connections share a bounded number of places; who does not get one is told
//! that the node is busy.

use super::{
    calls::{parse, token, Calls, TokenShown},
    client_rings::MessageParams,
    error::{with_causes, HttpError},
    limits::HttpLimits,
    message::Message,
    news::{News, NewsReader},
    node_api::{code, ApiError, NodeApi},
    notices::UnsubscribeParams,
    openrpc,
    params::{DigestParams, GateParams, LogParams, RequestParams, RingParams},
    process_methods,
    subscriptions::Subscriptions,
    token::Token,
};
use http::HeaderMap;
use http_body_util::BodyExt;
use jsonrpsee::{
    core::{BoxError, RegisterMethodError},
    server::{
        http::response as http_response, stop_channel, BatchRequestConfig, HttpBody, HttpRequest,
        HttpResponse, Methods, RpcModule, ServerBuilder, ServerConfig, ServerHandle, StopHandle,
        TowerServiceBuilder,
    },
    types::ErrorObjectOwned,
};
use std::sync::Arc;
use tower::{layer::util::Identity, Service};

/// What a session is told when an answer cannot be written.
const INTERNAL: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}"#;

/// How jsonrpsee says that an answer has more bytes than [`HttpLimits`] allow, and how this server says it: the code of the
/// former is `token needed` here.
const OVERSIZED: (&str, &str) = (
    r#""code":-32008,"message":"Response is too big""#,
    r#""code":-32603,"message":"Response is too big""#,
);

type Services = TowerServiceBuilder<Identity, Identity>;

/// The JSON-RPC side. Single requests and sessions have a service each, so that neither can take all places of the other.
pub(super) struct Rpc {
    /// For single requests.
    requests: Services,
    /// For messages of WebSocket sessions.
    sessions: Services,
    methods: Methods,
    stop: StopHandle,
    token: Token,
    /// Most entries of a batch.
    batch: usize,
    /// Most bytes of a message.
    request_bytes: usize,
    /// Most subscriptions of a session.
    subscriptions: usize,
    /// What sessions are told.
    news: News,
}

impl Rpc {
    /// Builds the methods. They are there for as long as the handle is kept.
    pub(super) fn new(
        api: Arc<dyn NodeApi>,
        token: Token,
        limits: &HttpLimits,
    ) -> Result<(Self, ServerHandle), HttpError> {
        let (stop, handle) = stop_channel();
        let rpc = Self {
            news: api.news(),
            subscriptions: limits.subscriptions,
            requests: services(limits, limits.connections as u32),
            sessions: services(limits, limits.sessions),
            methods: methods(Calls::new(api, limits))
                .map_err(HttpError::Methods)?
                .into(),
            stop,
            token,
            batch: limits.batch as usize,
            request_bytes: limits.rpc_request_bytes as usize,
        };
        Ok((rpc, handle))
    }

    /// Bytes in one message.
    pub(super) fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// What a session needs for its subscriptions: their list, and what is told from now on.
    pub(super) fn listen(&self) -> (Arc<Subscriptions>, NewsReader) {
        let subscriptions = Subscriptions::new(self.subscriptions);
        (Arc::new(subscriptions), self.news.listen())
    }

    /// Answers one request, whose whole body is `body`. The answer to notifications is empty.
    pub(super) async fn request(
        &self,
        mut parts: http::request::Parts,
        body: Vec<u8>,
    ) -> Result<HttpResponse, BoxError> {
        if self.token.is_shown(&parts.headers) {
            parts.extensions.insert(TokenShown);
        }
        let request = |body| HttpRequest::from_parts(parts, HttpBody::from(body));
        let numbered = match Message::read(&body, self.batch) {
            Message::AsItIs => return self.ask(&self.requests, request(body)).await,
            Message::Answered(answer) => return Ok(http_response::ok_response(answer)),
            Message::Silent => return Ok(no_content()),
            Message::Calls(numbered) => numbered,
        };
        let request = request(numbered.body.clone().into_bytes());
        let body = text(self.ask(&self.requests, request).await?).await?;
        Ok(http_response::ok_response(
            numbered.answer(body.as_bytes())?,
        ))
    }

    /// Answers one message of a session; `None` when it asks nothing.
    pub(super) async fn message(
        &self,
        message: &[u8],
        (headers, subscriptions): (&HeaderMap, &Arc<Subscriptions>),
    ) -> Option<String> {
        let answered = async {
            let (body, numbered) = match Message::read(message, self.batch) {
                Message::AsItIs => (String::from_utf8_lossy(message).into_owned(), None),
                Message::Answered(answer) => return Ok(Some(answer)),
                Message::Silent => return Ok(None),
                Message::Calls(numbered) => (numbered.body.clone(), Some(numbered)),
            };
            let mut request = as_post(headers, body);
            request.extensions_mut().insert(Arc::clone(subscriptions));
            if self.token.is_shown(headers) {
                request.extensions_mut().insert(TokenShown);
            }
            let body = text(self.ask(&self.sessions, request).await?).await?;
            let answer = match numbered {
                Some(numbered) => numbered.answer(body.as_bytes())?,
                None => body,
            };
            Ok::<_, BoxError>(Some(answer))
        };
        answered.await.unwrap_or_else(|error| {
            tracing::warn!(error = %with_causes(error.as_ref()), "a message could not be answered");
            Some(INTERNAL.to_owned())
        })
    }

    /// Lets jsonrpsee answer. Requests and sessions have services of their own.
    async fn ask(
        &self,
        services: &Services,
        request: HttpRequest<HttpBody>,
    ) -> Result<HttpResponse, BoxError> {
        let mut service = services
            .clone()
            .build(self.methods.clone(), self.stop.clone());
        service.call(request).await
    }
}

/// The answer of jsonrpsee, with the codes of this server.
async fn text(response: HttpResponse) -> Result<String, BoxError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    let text = String::from_utf8(bytes.into())?;
    let (theirs, ours) = OVERSIZED;
    Ok(match text.contains(theirs) {
        true => text.replace(theirs, ours),
        false => text,
    })
}

/// What a caller is told whose message has more bytes than this. The library has a code for it that is `busy` here, which
/// asks to send the same again.
pub(super) fn too_large_answer(limit: usize) -> String {
    let (code, reason) = (code::INVALID_REQUEST, "Invalid Request");
    format!(
        r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{reason}","data":"the message has more than {limit} bytes"}}}}"#
    )
}

/// The request that stands for a message of a session.
fn as_post(headers: &HeaderMap, body: String) -> HttpRequest<HttpBody> {
    let mut request = HttpRequest::new(HttpBody::from(body));
    *request.method_mut() = http::Method::POST;
    let json = http::HeaderValue::from_static("application/json");
    let posted = request.headers_mut();
    posted.insert(http::header::CONTENT_TYPE, json);
    if let Some(host) = headers.get(http::header::HOST) {
        posted.insert(http::header::HOST, host.clone());
    }
    request
}

fn no_content() -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::default());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    response
}

/// jsonrpsee with the bounds of this server. Its own subscriptions are off: ours are methods (`subscriptions.rs`).
fn services(limits: &HttpLimits, connections: u32) -> Services {
    let config = ServerConfig::builder()
        .max_connections(connections)
        .max_request_body_size(limits.rpc_request_bytes)
        .max_response_body_size(limits.rpc_response_bytes)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .max_subscriptions_per_connection(0)
        .build();
    ServerBuilder::with_config(config).to_service_builder()
}

/// The methods that [`openrpc::document`] describes, each with the call behind it.
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
    module.register_async_method(openrpc::GET_LOG, |params, calls, extensions| async move {
        let page: LogParams = parse(&params)?;
        let limit = page
            .limit()
            .map_err(|reason| ApiError::InvalidParams { reason })?;
        let reads = extensions.get::<TokenShown>().is_some();
        let LogParams {
            ring, member, from, ..
        } = page;
        let call = calls.api.log(ring, member, from, limit, reads);
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::REQUEST, |params, calls, extensions| async move {
        let request: RequestParams = parse(&params)?;
        token(&extensions)?;
        calls.run(calls.api.request(request)).await
    })?;
    module.register_async_method(openrpc::GET_REQUEST, |params, calls, _| async move {
        let DigestParams { request } = parse(&params)?;
        calls.run(calls.api.get_request(request)).await
    })?;
    module.register_async_method(openrpc::GET_PROOF, |params, calls, _| async move {
        let DigestParams { request } = parse(&params)?;
        calls.run(calls.api.proof(request)).await
    })?;
    client_ring_methods(&mut module)?;
    process_methods::register(&mut module)?;
    subscription_methods(&mut module)?;
    let document = openrpc::document();
    module.register_method(openrpc::DISCOVER, move |_, _, _| document.clone())?;
    Ok(module)
}

/// The methods for people who have no node.
fn client_ring_methods(module: &mut RpcModule<Calls>) -> Result<(), RegisterMethodError> {
    module.register_async_method(openrpc::FLUSH, |params, calls, _| async move {
        let request = parse(&params)?;
        let call = async { calls.api.client_rings().await?.flush(request).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::APPEND, |params, calls, _| async move {
        let request = parse(&params)?;
        let call = async { calls.api.client_rings().await?.append(request).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::REPLICATE, |params, calls, _| async move {
        let request = parse(&params)?;
        let call = async { calls.api.client_rings().await?.replicate(request).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::GET_MESSAGE, |params, calls, _| async move {
        let MessageParams { msg_hash } = parse(&params)?;
        let call = async { calls.api.client_rings().await?.message(msg_hash).await };
        calls.run(call).await
    })?;
    module.register_async_method(openrpc::GET_CLIENT_RINGS, |params, calls, _| async move {
        let which = parse(&params)?;
        let call = async { calls.api.client_rings().await?.rings(which).await };
        calls.run(call).await
    })?;
    Ok(())
}

/// The methods of sessions.
fn subscription_methods(module: &mut RpcModule<Calls>) -> Result<(), RegisterMethodError> {
    module.register_method(openrpc::SUBSCRIBE, |params, _, extensions| {
        let params = parse(&params)?;
        let begun = session(extensions)?.begin(params);
        begun.map_err(ErrorObjectOwned::from)
    })?;
    module.register_method(openrpc::UNSUBSCRIBE, |params, _, extensions| {
        let UnsubscribeParams { subscription } = parse(&params)?;
        Ok::<_, ErrorObjectOwned>(session(extensions)?.end(subscription))
    })?;
    Ok(())
}

/// The subscriptions of the session in which a method is called.
fn session(extensions: &http::Extensions) -> Result<&Subscriptions, ApiError> {
    let session = extensions.get::<Arc<Subscriptions>>();
    session.map(Arc::as_ref).ok_or_else(|| ApiError::Refused {
        reason: "subscriptions belong to a WebSocket session; open one at the same address".into(),
    })
}
