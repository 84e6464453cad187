//! `POST /ipfs`: puts a file into the store, in the same blocks as `ipfs add` makes.
//!
//! The body is imported while it comes, so its size does not matter for memory. The answer is given when all blocks are
//! durable and the file is pinned: for good, or with `?keep=SECONDS` for a while. If the body breaks off, nothing is
//! pinned, and the blocks go with the next collection.

use super::{
    access::Peer,
    app::App,
    bearer,
    error::with_causes,
    reply::{discard, Refusal},
    views::Added,
};
use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    Extension, Json,
};
use futures::StreamExt;
use http::{header, HeaderMap, StatusCode, Uri};
use rings_store::{BlockKey, Importer, Pin, StoreError};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

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
            // A client that sent `Expect: 100-continue` sends no body after a refusal.
            if !parts.headers.contains_key(header::EXPECT) {
                discard(body.into_data_stream()).await;
            }
            return Err(refusal);
        }
    };
    let working = peer.connection.work();
    let added = import(&app, body, until(&parts.uri)?).await?;
    app.api.file_added();
    drop((place, working));
    Ok(Json(added))
}

/// Checks token and announced length before anything is read, and takes a place.
fn admit(app: &App, headers: &HeaderMap) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
    bearer::check(app, headers, "adding files")?;
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

/// Until when the file is kept, in seconds since 1970: for ever, unless `?keep=SECONDS` says less.
fn until(uri: &Uri) -> Result<u64, Refusal> {
    let Some(query) = uri.query().filter(|query| !query.is_empty()) else {
        return Ok(Pin::ALWAYS);
    };
    let seconds = query
        .strip_prefix("keep=")
        .and_then(|text| text.parse::<u64>().ok());
    let seconds = seconds.ok_or_else(|| {
        let line = format!("{query:?} is not keep=SECONDS");
        Refusal::new(StatusCode::BAD_REQUEST, line)
    })?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Ok(now.saturating_add(seconds))
}

async fn import(app: &App, body: Body, until: u64) -> Result<Added, Refusal> {
    let store = app.api.store();
    // Until the pin is on disk.
    let _lease = store.lease();
    let mut importer = Importer::new(Arc::clone(&store));
    let mut chunks = body.into_data_stream();
    let mut left = app.limits.upload_bytes;
    while let Some(chunk) = next(app, &mut chunks).await? {
        left = left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| too_large(app))?;
        importer.write(&chunk).await.map_err(not_stored)?;
    }
    let imported = importer.finish().await.map_err(not_stored)?;
    if let Some(inventory) = store.inventory() {
        let key = BlockKey::of(&imported.cid).map_err(not_stored)?;
        let pin = Pin {
            key,
            below: true,
            until,
        };
        inventory.pin(vec![pin]).await.map_err(not_stored)?;
    }
    Ok(Added {
        cid: imported.cid,
        bytes: imported.bytes,
    })
}

/// The next piece of the file. One that stops coming for too long is an error, so that nobody holds a place by sending
/// nothing.
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

/// A failure of the store. It is written to the log too, because it is this machine's and not the sender's.
fn not_stored(error: StoreError) -> Refusal {
    let status = match &error {
        StoreError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::Unreachable { .. } | StoreError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::warn!(error = %with_causes(&error), "a file was not added");
    Refusal::new(status, format!("the file was not added: {error}"))
}
