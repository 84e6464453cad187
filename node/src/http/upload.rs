//! `POST /ipfs`: a file into the store, as `ipfs add` would cut it.

use super::{
    access::Peer,
    api::Added,
    reply::{discard, Refusal},
    routes::App,
    rpc::chain,
};
use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    Extension, Json,
};
use futures::StreamExt;
use http::{header, HeaderMap, StatusCode};
use rings_store::{Importer, StoreError};

/// Imports the body. The answer is given when the blocks are durable.
pub(super) async fn post(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Json<Added>, Refusal> {
    let (parts, body) = request.into_parts();
    let place = match admit(&app, &parts.headers) {
        Ok(place) => place,
        Err(refusal) => {
            // Who asks first does not send a body that was not called for.
            if !parts.headers.contains_key(header::EXPECT) {
                discard(body.into_data_stream()).await;
            }
            return Err(refusal);
        }
    };
    let working = peer.connection.work();
    let added = import(&app, body).await?;
    drop((place, working));
    Ok(Json(added))
}

fn admit(app: &App, headers: &HeaderMap) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
    if !presented(headers).is_some_and(|token| app.token.matches(token)) {
        let line = "adding files needs the token of this member, as Authorization: Bearer <token>";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, line)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"rings\""));
    }
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > app.limits.upload_bytes) {
        return Err(too_large(app));
    }
    let uploads = app.uploads.clone();
    uploads
        .try_acquire_owned()
        .map_err(|_| Refusal::busy("uploads"))
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn import(app: &App, body: Body) -> Result<Added, Refusal> {
    let mut importer = Importer::new(app.api.store());
    let mut chunks = body.into_data_stream();
    let mut left = app.limits.upload_bytes;
    while let Some(chunk) = next(app, &mut chunks).await? {
        left = left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| too_large(app))?;
        importer.write(&chunk).await.map_err(not_stored)?;
    }
    let imported = importer.finish().await.map_err(not_stored)?;
    Ok(Added {
        cid: imported.cid,
        bytes: imported.bytes,
    })
}

async fn next(app: &App, chunks: &mut BodyDataStream) -> Result<Option<bytes::Bytes>, Refusal> {
    match tokio::time::timeout(app.limits.idle_timeout, chunks.next()).await {
        Ok(chunk) => chunk.transpose().map_err(|_| {
            let line = "the file ended early; send it again";
            Refusal::new(StatusCode::BAD_REQUEST, line)
        }),
        Err(_) => {
            let line = "the file stopped coming; send it again";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, line))
        }
    }
}

fn too_large(app: &App) -> Refusal {
    let limit = app.limits.upload_bytes;
    let line = format!("a file may have {limit} bytes here; split it, or add it to another store");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, line)
}

fn not_stored(error: StoreError) -> Refusal {
    let status = match &error {
        StoreError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::Unreachable { .. } | StoreError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::warn!(error = %chain(&error), "a file was not added");
    Refusal::new(status, format!("the file was not added: {error}"))
}
