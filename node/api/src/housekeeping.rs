//! `/store/…` and `/backup`: work on the member's store that a person asks for. All of it needs the token.
//!
//! | path | what it does |
//! |---|---|
//! | `POST /store/gc` | removes what nobody needs |
//! | `POST /store/check` | hashes every block |
//! | `POST /store/repair` | fetches what is damaged or missing from others |
//! | `GET /store/export?root=CID` | all blocks, or those below the roots, as CAR v1 |
//! | `POST /store/import` | takes the blocks of a CAR (v1 or v2) |
//! | `GET /backup?member=N` | what the member must not lose, as a tar archive |

use super::{
    access::Peer,
    app::App,
    bearer,
    connections::Working,
    error::with_causes,
    format::CAR_TYPE,
    reply::{discard, Refusal},
    store_work::{StoreKeeper, StoreWorkError},
};
use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
    Extension, Json, Router,
};
use bytes::Bytes;
use cid::Cid;
use futures::{stream, Stream, StreamExt, TryStreamExt};
use http::{header, HeaderMap, StatusCode, Uri};
use rings_store::{ErrorClass, StoreError};
use serde::Serialize;
use std::{fmt::Display, io, sync::Arc};
use tokio_util::io::StreamReader;

/// Most roots that one export names.
const MAX_ROOTS: usize = 256;

/// The paths.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/store/gc", post(collect))
        .route("/store/check", post(check))
        .route("/store/repair", post(repair))
        .route("/store/export", get(export))
        .route("/store/import", post(import))
        .route("/backup", get(backup))
}

async fn collect(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeper, _working) = keeper(&app, &peer, &headers)?;
    answer(keeper.collect().await)
}

async fn check(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeper, _working) = keeper(&app, &peer, &headers)?;
    answer(keeper.check().await)
}

async fn repair(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeper, _working) = keeper(&app, &peer, &headers)?;
    answer(keeper.repair().await)
}

async fn export(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeper, working) = keeper(&app, &peer, &headers)?;
    let roots = roots(&uri)?;
    let archive = keeper.export(roots).await.map_err(refuse)?;
    let kind = [(header::CONTENT_TYPE, CAR_TYPE)];
    Ok((kind, body(archive, working)).into_response())
}

async fn import(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, sent) = request.into_parts();
    // A client that still sends would not read the refusal, so what it sends is thrown away first.
    let (keeper, _working) = match keeper(&app, &peer, &parts.headers) {
        Ok(found) => found,
        Err(refusal) => {
            discard(sent.into_data_stream()).await;
            return Err(refusal);
        }
    };
    let _place = app
        .uploads
        .clone()
        .try_acquire_owned()
        .map_err(|_| Refusal::busy("uploads"))?;
    let archive = sent.into_data_stream().map_err(io::Error::other);
    let archive = StreamReader::new(archive.boxed());
    answer(keeper.import(Box::new(archive)).await)
}

async fn backup(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeper, working) = keeper(&app, &peer, &headers)?;
    let number = match uri.query().unwrap_or_default() {
        "" => 0,
        query => query
            .strip_prefix("member=")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| {
                let line = format!("{query:?} is not member=NUMBER");
                Refusal::new(StatusCode::BAD_REQUEST, line)
            })?,
    };
    let archive = keeper.backup(number).await.map_err(refuse)?;
    let kind = [(header::CONTENT_TYPE, "application/x-tar")];
    Ok((kind, body(archive, working)).into_response())
}

fn answer(done: Result<impl Serialize, StoreWorkError>) -> Result<Response, Refusal> {
    Ok(Json(done.map_err(refuse)?).into_response())
}

/// Checks the token before anything else, then marks the connection as working, for such work may take minutes in which
/// nothing is sent.
fn keeper(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<(Arc<dyn StoreKeeper>, Working), Refusal> {
    bearer::check(app, headers, "work on the store")?;
    let keeper = app.api.keeper().ok_or_else(|| {
        let line = "this member is starting; try again in a second";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, line).with(header::RETRY_AFTER, "1")
    })?;
    Ok((keeper, peer.connection.work()))
}

fn roots(uri: &Uri) -> Result<Vec<Cid>, Refusal> {
    let refuse = |line| Refusal::new(StatusCode::BAD_REQUEST, line);
    let pairs = uri.query().unwrap_or_default().split('&');
    let named = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let root = pair
            .strip_prefix("root=")
            .and_then(|root| root.parse().ok());
        root.ok_or_else(|| refuse(format!("{pair:?} is not root=CID")))
    });
    let roots: Vec<_> = named.collect::<Result<_, _>>()?;
    match roots.len() > MAX_ROOTS {
        true => Err(refuse(format!("at most {MAX_ROOTS} roots can be named"))),
        false => Ok(roots),
    }
}

/// A body that marks the connection as working until it is sent or dropped. An error in the middle closes the connection,
/// so that nobody takes the part that came for the whole.
fn body<E: Display + std::error::Error + Send + Sync + 'static>(
    content: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    working: Working,
) -> Body {
    let held = stream::unfold(
        (content.boxed(), working),
        |(mut content, working)| async move {
            let item = content.next().await?;
            if let Err(error) = &item {
                tracing::warn!(error = %with_causes(error), "an archive was not sent to its end");
            }
            Some((item, (content, working)))
        },
    );
    Body::from_stream(held)
}

fn refuse(error: StoreWorkError) -> Refusal {
    let status = match &error {
        StoreWorkError::NotHere { .. } => StatusCode::NOT_IMPLEMENTED,
        StoreWorkError::Damaged { .. } => StatusCode::CONFLICT,
        StoreWorkError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        StoreWorkError::Store(error) => of_store(error),
        StoreWorkError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, with_causes(&error))
}

fn of_store(error: &StoreError) -> StatusCode {
    match error {
        StoreError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
        error if error.class() == ErrorClass::Invalid => StatusCode::BAD_REQUEST,
        StoreError::Input(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
