//! The paths of the server, and the handler of each.
//!
//! [`router`] joins them: JSON-RPC at `/` (`rpc.rs`, and `session.rs` for WebSocket), the gateway and uploads at
//! `/ipfs`, `/ui`, `/health` and `/metrics`. The small handlers are here. What holds for all of them (access rules, limits of
//! size and time) is put around the router by `server.rs` and `access.rs`.
//!
//! The body of a call is read here and not by jsonrpsee, so that reading has a deadline, and a call that is still
//! arriving takes no place among those at work. Large bodies have places of their own.

use super::{
    access::{self, Access, Peer},
    app::App,
    gateway, hooks, housekeeping,
    metrics_form::MetricsForm,
    reply::{discard, Refusal},
    rpc::too_large_answer,
    session, ui, upload,
    views::Health,
};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
    Extension, Json, Router,
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{header, HeaderMap, StatusCode, Uri};
use jsonrpsee::server::{
    http::{is_json, response as rpc_response},
    ws::is_upgrade_request,
    HttpBody, HttpResponse,
};
use std::sync::Arc;

/// Largest JSON-RPC request that needs no place among the large ones, in bytes.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// All paths, behind the check of host and origin.
pub(super) fn router(app: App) -> Router {
    let access = Arc::new(Access::new(&app.limits.hosts, &app.limits.origins));
    Router::new()
        .route("/", get(json_rpc).post(json_rpc))
        .route("/ipfs", post(upload::post))
        .route("/ipfs/{cid}", get(gateway::get))
        .route("/ipfs/{cid}/", get(gateway::no_paths))
        .route("/ipfs/{cid}/{*path}", get(gateway::no_paths))
        .route("/events/{instance}/{event}", post(hooks::post))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .merge(housekeeping::routes())
        .merge(ui::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(access, access::admit))
        .with_state(app)
}

/// 200 while the member does its work; 503 with the reason while it does not follow its chain, or its store fails, so that a
/// load balancer leaves it out.
async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let (following, trouble) = (app.api.following(), app.api.trouble());
    let status = match following && trouble.is_none() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let health = Health {
        following,
        trouble,
        warnings: app.api.warnings(),
    };
    (status, Json(health))
}

/// The metrics in the form that the caller asks for.
async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    let mut text = String::new();
    let written = app.api.encode_metrics(&mut text);
    written.map_err(|_| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written as text",
        )
    })?;
    let form = MetricsForm::asked(&headers);
    let kind = [
        (header::CONTENT_TYPE, form.content_type()),
        (header::VARY, "accept"),
    ];
    Ok((kind, form.text(text)).into_response())
}

/// Any other path: says what there is.
async fn nothing_here(uri: Uri) -> Refusal {
    let line = format!(
        "nothing is at {}; there are POST / (JSON-RPC), /ipfs, /events, /store, /backup, /ui/, /health and /metrics",
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

/// Makes a WebSocket session of the connection, if there is a place for one.
async fn session(app: &App, peer: &Peer, request: Request) -> HttpResponse {
    let Ok(place) = app.sessions.clone().try_acquire_owned() else {
        return rpc_response::too_many_requests();
    };
    let per_address = app.limits.sessions_per_address;
    let mut server = soketto::handshake::http::Server::new();
    let Ok(response) = server.receive_request(&request) else {
        return rpc_response::denied();
    };
    if !peer
        .connections
        .begin_session(&peer.connection, per_address)
    {
        return rpc_response::too_many_requests();
    }
    let (rpc, stop) = (app.rpc.clone(), app.stop.clone());
    tokio::spawn(async move {
        session::converse(rpc, request.map(HttpBody::new), server, stop).await;
        drop(place);
    });
    response.map(|()| HttpBody::default())
}

/// Answers one request. The body is read here, before jsonrpsee sees the request, so that reading has a deadline and a
/// request that is still arriving takes no place among the calls.
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
    let _working = peer.connection.work();
    let answered = app.rpc.request(parts, body.into()).await;
    answered.unwrap_or_else(|_| rpc_response::internal_error())
}

/// Reads a body into memory. One that is larger than [`SMALL_BODY_BYTES`] needs a place, so memory is bounded by the
/// places and not by the connections.
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
            // Read to its end, within bounds, so that the client gets the answer and not a connection that was cut.
            discard(chunks).await;
            return Err(too_large(limit));
        }
    }
    Ok(bytes.freeze())
}

/// Code and text are those of JSON-RPC: the library's own code for it stands for `busy` here, which asks to try again.
fn too_large(limit: u32) -> HttpResponse {
    let mut response = rpc_response::ok_response(too_large_answer(limit as usize));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

fn too_slow() -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from("the body did not arrive in time\n"));
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}
