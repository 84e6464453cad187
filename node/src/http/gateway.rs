//! `GET /ipfs/{cid}`: blocks, archives and files for everyone, as the trustless gateway specification says.

use super::{
    access::Peer,
    connections::Working,
    format::{Format, FormatQuery, CAR_TYPE_FULL, RAW_TYPE},
    reply::Refusal,
    routes::App,
    rpc::chain,
};
use axum::{
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    Extension,
};
use bytes::Bytes;
use cid::Cid;
use futures::{stream, Stream, StreamExt};
use http::{header, HeaderMap, HeaderName, HeaderValue, StatusCode};
use rings_protocol::cids::{digest_of, DAG_CBOR};
use rings_store::{file_size, read_car, read_file, BlockSource, StoreError};
use std::{future::Future, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// What a CID names never changes.
const CACHE_FOR_EVER: &str = "public, max-age=29030400, immutable";
/// Items of [`read_car`]'s stream that hold the first block: the header, the block's name, its bytes.
const FIRST_BLOCK_ITEMS: usize = 3;
static X_IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
static X_IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// What is held while content is sent.
type Hold = (OwnedSemaphorePermit, Working);

/// Sends what `cid` names. `HEAD` gets the same headers.
pub(super) async fn get(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    Query(query): Query<FormatQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let cid = parse(&name)?;
    let format = query.resolve(&headers)?;
    let tag = tag(&cid, format);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, common(&name, &tag)?).into_response());
    }
    let place = app.downloads.clone().try_acquire_owned();
    let place = place.map_err(|_| Refusal::busy("downloads"))?;
    let hold = (place, peer.connection.work());
    let mut response = send(&app, cid, format, hold).await?;
    response.headers_mut().extend(common(&name, &tag)?);
    Ok(response)
}

/// Paths below a CID: there are no directories here.
pub(super) async fn no_paths() -> Refusal {
    let line = "paths below a CID are not served; ask for /ipfs/ and the CID of the file itself";
    Refusal::new(StatusCode::NOT_FOUND, line)
}

fn parse(name: &str) -> Result<Cid, Refusal> {
    let refuse = |line| Refusal::new(StatusCode::BAD_REQUEST, line);
    let cid: Cid = name
        .parse()
        .map_err(|_| refuse(format!("{name:?} is not a CID")))?;
    digest_of(&cid).map_err(|error| refuse(error.to_string()))?;
    Ok(cid)
}

fn tag(cid: &Cid, format: Format) -> String {
    match format {
        Format::File => format!("\"{cid}\""),
        Format::Raw => format!("\"{cid}.raw\""),
        Format::Car => format!("W/\"{cid}.car\""),
        Format::CarOfBlock => format!("W/\"{cid}.block.car\""),
    }
}

/// Whether the asker has it already (`If-None-Match`, compared weakly as RFC 9110 says).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    known.any(|known| known.trim() == "*" || weak(known) == weak(tag))
}

/// Headers that do not depend on the form.
fn common(name: &str, tag: &str) -> Result<HeaderMap, Refusal> {
    let text = |text: &str| {
        let line = "the CID cannot stand in a header";
        HeaderValue::from_str(text).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, line))
    };
    Ok(HeaderMap::from_iter([
        (header::ETAG, text(tag)?),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static(CACHE_FOR_EVER),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::VARY, HeaderValue::from_static("accept")),
        (X_IPFS_PATH.clone(), text(&format!("/ipfs/{name}"))?),
        (X_IPFS_ROOTS.clone(), text(name)?),
    ]))
}

async fn send(app: &App, cid: Cid, format: Format, hold: Hold) -> Result<Response, Refusal> {
    let source = app.api.source();
    match format {
        Format::Raw => raw(app, source, cid).await,
        Format::File => file(app, source, cid, hold).await,
        Format::Car => {
            find(app, source.blocks(&[cid])).await?;
            Ok(archive(cid, body(read_car(source, cid), hold)))
        }
        Format::CarOfBlock => {
            find(app, source.blocks(&[cid])).await?;
            let first = read_car(source, cid).take(FIRST_BLOCK_ITEMS);
            Ok(archive(cid, body(first, hold)))
        }
    }
}

async fn raw(app: &App, source: Arc<dyn BlockSource>, cid: Cid) -> Result<Response, Refusal> {
    let mut blocks = find(app, source.blocks(&[cid])).await?;
    let block = blocks
        .pop()
        .ok_or_else(|| refuse(StoreError::WrongAnswer { cid }))?;
    let headers = [
        (header::CONTENT_TYPE, RAW_TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, attachment(&cid, "bin")),
    ];
    Ok((headers, block.into_data()).into_response())
}

async fn file(
    app: &App,
    source: Arc<dyn BlockSource>,
    cid: Cid,
    hold: Hold,
) -> Result<Response, Refusal> {
    if cid.codec() == DAG_CBOR {
        let line = format!("{cid} is a log node, not a file; ask for ?format=raw or ?format=car");
        return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, line));
    }
    let bytes = find(app, file_size(source.as_ref(), cid)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    Ok((headers, body(read_file(source, cid), hold)).into_response())
}

fn archive(cid: Cid, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, CAR_TYPE_FULL.to_owned()),
        (header::CONTENT_DISPOSITION, attachment(&cid, "car")),
    ];
    (headers, body).into_response()
}

fn attachment(cid: &Cid, extension: &str) -> String {
    format!("attachment; filename=\"{cid}.{extension}\"")
}

/// A body that holds its place until it is sent or dropped. An error in the middle breaks the connection off,
/// so that nobody takes the beginning for the whole.
fn body(
    content: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
    hold: Hold,
) -> Body {
    let held = stream::unfold((content.boxed(), hold), |(mut content, hold)| async move {
        let item = content.next().await?;
        if let Err(error) = &item {
            tracing::debug!(error = %chain(error), "content was broken off");
        }
        Some((item, (content, hold)))
    });
    Body::from_stream(held)
}

/// The first look at what is asked for, with a deadline.
async fn find<T>(
    app: &App,
    looking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refusal> {
    let limit = app.limits.block_timeout;
    match tokio::time::timeout(limit, looking).await {
        Ok(found) => found.map_err(refuse),
        Err(_) => {
            let line = format!("no member gave the block within {} s", limit.as_secs());
            Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, line))
        }
    }
}

/// The answer to a failure, without what only this node's operator should read.
fn refuse(error: StoreError) -> Refusal {
    use StoreError::*;
    let status = match &error {
        NotFound { .. } => StatusCode::NOT_FOUND,
        Cid(_) | NotAFile { .. } | Malformed { .. } | TooBig { .. } | TooLarge { .. } => {
            StatusCode::BAD_REQUEST
        }
        Corrupt { .. } | WrongAnswer { .. } => StatusCode::BAD_GATEWAY,
        _ => {
            tracing::warn!(error = %chain(&error), "the store cannot be read");
            let line = "the store of this node cannot be read; its log says why";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, line);
        }
    };
    Refusal::new(status, chain(&error))
}
