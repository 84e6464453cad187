//! `GET /ipfs/{cid}`: blocks, archives (CAR) and files, for everyone, as the trustless gateway specification defines.
//!
//! A request is parsed into what it asks for: the CID, the form ([`Format`](crate::format::Format)), and perhaps a
//! range or an `ETag` that the client has already. Blocks come from the member's source: its own store, then the other
//! members. A file is sent as a stream; when it fails in the middle, the connection is cut, so that the client cannot
//! take a part for the whole. Answers for a CID never change, and are marked so for caches.

use super::{
    access::Peer,
    app::App,
    bearer,
    connections::Working,
    error::with_causes,
    format::{Format, FormatQuery, CAR_TYPE_FULL, RAW_TYPE},
    range::{wanted, Part, Wanted},
    reply::Refusal,
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
use http::{header, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rings_protocol::cids::{digest_of, DAG_CBOR, RAW};
use rings_store::{file_size, read_car, read_file, read_file_from, BlockSource, StoreError};
use std::{future::Future, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// The content behind a CID never changes.
const CACHE_FOR_EVER: &str = "public, max-age=29030400, immutable";
/// Items of [`read_car`]'s stream that hold the first block: the header, the block's name, its bytes.
const FIRST_BLOCK_ITEMS: usize = 3;
/// The multihash code of content that is its own hash.
const IDENTITY: u64 = 0;
static X_IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
static X_IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// Held while content is sent: a place among the downloads, and the mark that the connection works.
type Hold = (OwnedSemaphorePermit, Working);

/// Sends the content of `cid`. `HEAD` gets the same headers.
pub(super) async fn get(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    Query(query): Query<FormatQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let cid = parse(&name)?;
    let format = query.resolve(&headers)?;
    let tag = tag(&cid, format);
    // The place is held until the body is sent, so it bounds the downloads that are under way, and not only their
    // beginnings.
    let place = app.downloads.clone().try_acquire_owned();
    let place = place.map_err(|_| Refusal::busy("downloads"))?;
    let hold = (place, peer.connection.work());
    let asked = Asked {
        cid,
        format,
        method,
        headers,
        tag,
    };
    let answered = match is_known(&asked.headers, &asked.tag) {
        true => asked.not_modified(&app).await,
        false => asked.send(&app, hold).await,
    };
    let mut response = answered.map_err(|refusal| match is_only_if_cached(&asked.headers) {
        true => refusal.absent_here(),
        false => refusal,
    })?;
    response.headers_mut().extend(common(&name, &asked.tag)?);
    Ok(response)
}

/// One request.
struct Asked {
    cid: Cid,
    format: Format,
    method: Method,
    headers: HeaderMap,
    /// The tag of what is asked for.
    tag: String,
}

/// Whether the caller only wants what is here already (RFC 9111, section 5.2.1.7).
fn is_only_if_cached(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .any(|directive| directive.trim().eq_ignore_ascii_case("only-if-cached"))
}

/// Paths below a CID: there are no directories here.
pub(super) async fn no_paths() -> Refusal {
    let line = "paths below a CID are not served; ask for /ipfs/ and the CID of the file itself";
    Refusal::new(StatusCode::NOT_FOUND, line)
}

/// Reads the CID. Only those by SHA-256 can be served, and those that hold their content themselves.
fn parse(name: &str) -> Result<Cid, Refusal> {
    let refuse = |line| Refusal::new(StatusCode::BAD_REQUEST, line);
    let cid: Cid = name
        .parse()
        .map_err(|_| refuse(format!("{name:?} is not a CID")))?;
    if inline(&cid).is_none() {
        digest_of(&cid).map_err(|error| refuse(error.to_string()))?;
    }
    Ok(cid)
}

/// The content of a raw CID whose hash is the content itself, such as `bafkqaaa`, which holds nothing: the probe of the
/// trustless gateway specification.
fn inline(cid: &Cid) -> Option<Bytes> {
    let inline = cid.codec() == RAW && cid.hash().code() == IDENTITY;
    inline.then(|| Bytes::copy_from_slice(cid.hash().digest()))
}

/// The `ETag`. Archives have weak ones, because the same blocks may be packed in another order.
fn tag(cid: &Cid, format: Format) -> String {
    match format {
        Format::File => format!("\"{cid}\""),
        Format::Raw => format!("\"{cid}.raw\""),
        Format::Car => format!("W/\"{cid}.car\""),
        Format::CarOfBlock => format!("W/\"{cid}.block.car\""),
    }
}

/// Whether the client has it already (`If-None-Match`, compared weakly as RFC 9110 says).
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

impl Asked {
    /// The client has it already. The block is looked up all the same, because the answer must be an error if it is not
    /// available.
    async fn not_modified(&self, app: &App) -> Result<Response, Refusal> {
        if inline(&self.cid).is_none() {
            find(app, app.api.source().blocks(&[self.cid])).await?;
            self.check_sealed(app).await?;
        }
        Ok(StatusCode::NOT_MODIFIED.into_response())
    }

    /// Sends what is asked for. Of an archive, the first block is looked for before the head of the answer leaves, so
    /// that a missing one is still an error with a status.
    async fn send(&self, app: &App, hold: Hold) -> Result<Response, Refusal> {
        let (cid, source) = (self.cid, app.api.source());
        if let Some(content) = inline(&cid) {
            return self.inline(content);
        }
        self.check_sealed(app).await?;
        match self.format {
            Format::Raw => self.raw(app, source).await,
            Format::File => self.file(app, source, hold).await,
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

    /// Log nodes of a private ring are sealed, and even so nobody gets them without the member's token.
    async fn check_sealed(&self, app: &App) -> Result<(), Refusal> {
        if self.cid.codec() != DAG_CBOR || app.token.is_shown(&self.headers) {
            return Ok(());
        }
        let blocks = find(app, app.api.source().blocks(&[self.cid])).await?;
        match blocks.iter().any(|block| app.api.is_sealed(block.data())) {
            true => bearer::check(app, &self.headers, "a log node of a private ring"),
            false => Ok(()),
        }
    }

    fn inline(&self, content: Bytes) -> Result<Response, Refusal> {
        match self.format {
            Format::Raw | Format::File => self.whole(content),
            Format::Car | Format::CarOfBlock => {
                let line = format!("{} holds its content itself; ask for ?format=raw", self.cid);
                Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, line))
            }
        }
    }

    /// One block as it is.
    async fn raw(&self, app: &App, source: Arc<dyn BlockSource>) -> Result<Response, Refusal> {
        let mut blocks = find(app, source.blocks(&[self.cid])).await?;
        let block = blocks
            .pop()
            .ok_or_else(|| refuse(StoreError::WrongAnswer { cid: self.cid }))?;
        self.whole(block.into_data())
    }

    /// Content that is in memory.
    fn whole(&self, content: Bytes) -> Result<Response, Refusal> {
        let length = content.len() as u64;
        let (mut response, content) = match self.part(length)? {
            None => (Response::default(), content),
            Some(part) => {
                // A part is within the content, which is in memory, so its numbers fit.
                let (first, end) = (part.first as usize, (part.first + part.length) as usize);
                (partial(part, length)?, content.slice(first..end))
            }
        };
        *response.body_mut() = Body::from(content);
        if self.format == Format::Raw {
            let kind = HeaderValue::from_static(RAW_TYPE);
            let name = attachment(&self.cid, "bin");
            let name = HeaderValue::from_str(&name).map_err(|_| unwritable())?;
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, kind);
            headers.insert(header::CONTENT_DISPOSITION, name);
        } else {
            response.headers_mut().insert(header::CONTENT_TYPE, OCTETS);
        }
        response.headers_mut().insert(header::ACCEPT_RANGES, BYTES);
        Ok(response)
    }

    /// A file as a stream. Its size is read from the root block first, so the answer has a length.
    async fn file(
        &self,
        app: &App,
        source: Arc<dyn BlockSource>,
        hold: Hold,
    ) -> Result<Response, Refusal> {
        let cid = self.cid;
        if cid.codec() == DAG_CBOR {
            let line =
                format!("{cid} is a log node, not a file; ask for ?format=raw or ?format=car");
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, line));
        }
        let length = find(app, file_size(source.as_ref(), cid)).await?;
        let (mut response, content, sent) = match self.part(length)? {
            None => (Response::default(), read_file(source, cid), length),
            Some(part) => {
                let content = read_file_from(source, cid, part.first);
                let content = cut(content, part.length).boxed();
                (partial(part, length)?, content, part.length)
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, OCTETS);
        headers.insert(header::ACCEPT_RANGES, BYTES);
        headers.insert(header::CONTENT_LENGTH, sent.into());
        *response.body_mut() = body(content, hold);
        Ok(response)
    }

    /// The part of a content of `length` bytes that is wanted; `None` for all of it.
    fn part(&self, length: u64) -> Result<Option<Part>, Refusal> {
        match wanted(&self.method, &self.headers, &self.tag, length) {
            Wanted::All => Ok(None),
            Wanted::Part(part) => Ok(Some(part)),
            Wanted::Nothing => {
                let line = format!("the range lies behind the end: there are {length} bytes");
                let value = HeaderValue::from_str(&format!("bytes */{length}"));
                let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, line);
                Err(refusal.with_value(header::CONTENT_RANGE, value.map_err(|_| unwritable())?))
            }
        }
    }
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// The head of an answer that is a part of `length` bytes.
fn partial(part: Part, length: u64) -> Result<Response, Refusal> {
    let range = HeaderValue::from_str(&part.header(length)).map_err(|_| unwritable())?;
    let head = (
        StatusCode::PARTIAL_CONTENT,
        [(header::CONTENT_RANGE, range)],
    );
    Ok(head.into_response())
}

fn unwritable() -> Refusal {
    let line = "the answer cannot be written into headers";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, line)
}

/// The first `length` bytes. After them nothing is read.
fn cut(
    content: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
    length: u64,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    stream::unfold(
        (content.boxed(), length),
        |(mut content, left)| async move {
            if left == 0 {
                return None;
            }
            match content.next().await? {
                Ok(mut bytes) => {
                    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - bytes.len() as u64;
                    Some((Ok(bytes), (content, left)))
                }
                Err(error) => Some((Err(error), (content, 0))),
            }
        },
    )
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

/// A body that holds its place until it is sent or dropped. An error in the middle closes the connection, so that
/// no client takes the part that it got for the whole.
fn body(
    content: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
    hold: Hold,
) -> Body {
    let held = stream::unfold((content.boxed(), hold), |(mut content, hold)| async move {
        let item = content.next().await?;
        if let Err(error) = &item {
            tracing::debug!(error = %with_causes(error), "content was not sent to its end");
        }
        Some((item, (content, hold)))
    });
    Body::from_stream(held)
}

/// Looks for the first block of what is asked for, with a deadline.
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

/// The answer to a failed store. Details that only this node's operator should read go to its log.
fn refuse(error: StoreError) -> Refusal {
    use StoreError::*;
    let status = match &error {
        NotFound { .. } => StatusCode::NOT_FOUND,
        Cid(_) | NotAFile { .. } | Malformed { .. } | TooBig { .. } | TooLarge { .. } => {
            StatusCode::BAD_REQUEST
        }
        Corrupt { .. } | WrongAnswer { .. } => StatusCode::BAD_GATEWAY,
        _ => {
            tracing::warn!(error = %with_causes(&error), "the store cannot be read");
            let line = "the store of this node cannot be read; its log says why";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, line);
        }
    };
    Refusal::new(status, with_causes(&error))
}
