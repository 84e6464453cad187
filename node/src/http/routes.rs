//! Paths and what answers them.

use super::{
    access::{self, Access, Peer},
    api::{Health, NodeApi},
    gateway,
    reply::{discard, Refusal},
    rpc::{self, Rpc},
    session::Session,
    upload, HttpLimits, Token,
};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get, post},
    Extension, Json, Router,
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{header, StatusCode, Uri};
use http_body_util::Full;
use jsonrpsee::server::{
    http::{is_json, response as rpc_response},
    ws::is_upgrade_request,
    HttpBody, HttpResponse,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Content type of the metrics: the text format that Prometheus reads, in its later edition.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bytes of a JSON-RPC request that every connection may send.
const SMALL_BODY_BYTES: usize = 64 * 1024;
/// JSON-RPC requests above that which may come in at one moment; further ones get 429.
const LARGE_BODIES: usize = 16;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

/// The fields of [`App`].
pub(super) struct Shared {
    pub(super) api: Arc<dyn NodeApi>,
    pub(super) token: Token,
    pub(super) limits: HttpLimits,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) downloads: Arc<Semaphore>,
    large_bodies: Semaphore,
    rpc: Rpc,
}

impl App {
    pub(super) fn new(api: Arc<dyn NodeApi>, token: Token, rpc: Rpc, limits: HttpLimits) -> Self {
        Self(Arc::new(Shared {
            api,
            token,
            uploads: Arc::new(Semaphore::new(limits.uploads)),
            downloads: Arc::new(Semaphore::new(limits.downloads)),
            large_bodies: Semaphore::new(LARGE_BODIES),
            limits,
            rpc,
        }))
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.0.limits
    }
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// All paths, behind the check of host and origin.
pub(super) fn router(app: App) -> Router {
    let access = Arc::new(Access::new(&app.limits.hosts, &app.limits.origins));
    Router::new()
        .route("/", any(json_rpc))
        .route("/ipfs", post(upload::post))
        .route("/ipfs/{cid}", get(gateway::get))
        .route("/ipfs/{cid}/", get(gateway::no_paths))
        .route("/ipfs/{cid}/{*path}", get(gateway::no_paths))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(access, access::admit))
        .with_state(app)
}

async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let following = app.api.following();
    let status = match following {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Health { following }))
}

async fn metrics(State(app): State<App>) -> Result<Response, Refusal> {
    let mut text = String::new();
    match app.api.encode_metrics(&mut text) {
        Ok(()) => Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response()),
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written as text",
        )),
    }
}

async fn nothing_here(uri: Uri) -> Refusal {
    let line = format!(
        "nothing is at {}; there are POST / (JSON-RPC), /ipfs, /health and /metrics",
        uri.path()
    );
    Refusal::new(StatusCode::NOT_FOUND, line)
}

async fn wrong_method() -> Refusal {
    let line = "this path does not answer that method";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, line)
}

/// JSON-RPC: a WebSocket session, or one request with a body.
async fn json_rpc(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let response = match is_upgrade_request(&request) {
        true => session(&app, &peer, request).await,
        false => call(&app, &peer, request).await,
    };
    response.map(Body::new)
}

async fn session(app: &App, peer: &Peer, request: Request) -> HttpResponse {
    let session = Arc::new(Session::default());
    let answered = app
        .rpc
        .session(request.map(HttpBody::new), session.clone())
        .await;
    let response = answered.unwrap_or_else(|_| rpc_response::internal_error());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        peer.connection.begin(session);
    }
    response
}

/// One request. The body is read here, before jsonrpsee sees the request: with a deadline, and without taking the place
/// of a call that is complete.
async fn call(app: &App, peer: &Peer, request: Request) -> HttpResponse {
    let (parts, body) = request.into_parts();
    if parts.method == http::Method::POST && !is_json(parts.headers.get(header::CONTENT_TYPE)) {
        discard(body.into_data_stream()).await;
        return rpc_response::unsupported_content_type();
    }
    let body = match tokio::time::timeout(app.limits.call_timeout, collect(app, body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused,
        Err(_) => return too_slow(),
    };
    if let Some(refused) = rpc::invalid_request(&body) {
        return refused;
    }
    let _working = peer.connection.work();
    let request = Request::from_parts(parts, HttpBody::new(Full::new(body)));
    let answered = app.rpc.request(request).await;
    answered.unwrap_or_else(|_| rpc_response::internal_error())
}

async fn collect(app: &App, body: Body) -> Result<Bytes, HttpResponse> {
    let limit = app.limits.rpc_request_bytes;
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut place = None;
    while let Some(chunk) = chunks.next().await {
        bytes.extend(chunk.map_err(|_| rpc_response::malformed())?);
        if bytes.len() > SMALL_BODY_BYTES && place.is_none() {
            place = Some(
                app.large_bodies
                    .try_acquire()
                    .map_err(|_| rpc_response::too_many_requests())?,
            );
        }
        if bytes.len() > limit as usize {
            discard(chunks).await;
            return Err(rpc_response::too_large(limit));
        }
    }
    Ok(bytes.freeze())
}

fn too_slow() -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from("the body did not arrive in time\n"));
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}
