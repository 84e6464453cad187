//! `POST /events/{instance}/{event}`: an event by a webhook. The body is its data, a JSON object.
//!
//! The sender shows the member's token, or signs: `Rings-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of
//! `SECONDS.EVENT.BODY`, or of `SECONDS.EVENT.ID.BODY` with a `Rings-Event-Id`, under the secret of the instance. So whoever
//! reads a message on its way can neither make another event nor a second one of it. The secret follows from the member's token ([`Token::hook_secret`]), so a sender
//! can be given it and can do nothing else. A signature counts for five minutes.
//!
//! An event has an id, so the same one again starts nothing: `Rings-Event-Id`, which the sender chooses, or the hash of what was
//! sent (with a signature, of the time too).

use super::{
    access::Peer,
    app::App,
    bearer,
    node_api::ApiError,
    processes::{EmittedView, HookedEvent},
    reply::{discard, Refusal},
    token::Token,
};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    Extension, Json,
};
use futures::StreamExt;
use http::{header, HeaderMap, StatusCode};
use rings_protocol::{cids::sha256, Digest};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most bytes of a body.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Seconds by which the time of a signature may differ from this machine's.
const TOLERANCE: u64 = 300;
/// Most characters of an id that a sender chooses.
const MAX_ID: usize = 128;
const SIGNATURE: &str = "rings-signature";
const EVENT_ID: &str = "rings-event-id";

/// Takes an event down. The answer is given when it is on disk.
pub(super) async fn post(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Path((instance, event)): Path<(String, String)>,
    request: Request,
) -> Result<Json<EmittedView>, Refusal> {
    let (parts, body) = request.into_parts();
    let signed = parts.headers.contains_key(SIGNATURE);
    // Who shows nothing sends nothing either.
    let shown = match signed {
        true => Ok(()),
        false => bearer::check(&app, &parts.headers, "an event"),
    };
    if let Err(refusal) = shown {
        discard(body.into_data_stream()).await;
        return Err(refusal);
    }
    let instance: Digest = instance
        .parse()
        .map_err(|_| wrong("the path names no instance: 0x and 64 hexadecimal digits"))?;
    let read = tokio::time::timeout(app.limits.call_timeout, read(body)).await;
    let body = read.map_err(|_| {
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the event did not arrive in time; send it again",
        )
    })??;
    let what = match signed {
        true => check_signature(&app.token, (instance, &event), &parts.headers, &body)?,
        false => body.clone(),
    };
    let data = serde_json::from_slice(&body)
        .map_err(|_| wrong("the body is no JSON; send the data of the event as an object"))?;
    let hooked = HookedEvent {
        instance,
        event,
        data,
        id: id(&parts.headers, &what)?,
    };
    let _working = peer.connection.work();
    let processes = app.api.processes().await.map_err(refusal)?;
    processes.hook(hooked).await.map(Json).map_err(refusal)
}

fn wrong(line: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, line)
}

fn refusal(error: ApiError) -> Refusal {
    let status = match &error {
        ApiError::InvalidParams { .. } | ApiError::NotFollowed { .. } => StatusCode::BAD_REQUEST,
        ApiError::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        ApiError::Refused { .. } => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error.to_string())
}

/// Reads the body into memory, within its bound, whatever length was announced.
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend(chunk.map_err(|_| wrong("the event ended early; send it again"))?);
        if bytes.len() > MAX_BODY_BYTES {
            discard(chunks).await;
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "an event has at most {MAX_BODY_BYTES} bytes; put what is large into a file"
                ),
            ));
        }
    }
    Ok(bytes)
}

/// Checks a signature, and gives what was signed.
fn check_signature(
    token: &Token,
    (instance, event): (Digest, &str),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let refused = |line: &str| {
        Refusal::new(StatusCode::UNAUTHORIZED, line)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"rings\"")
    };
    let text = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let parts = text.and_then(|text| text.strip_prefix("t=")?.split_once(",v1="));
    let (time, code) = parts.ok_or_else(|| {
        refused("the signature is not t=SECONDS,v1=HEX (HMAC-SHA256 of SECONDS.EVENT.BODY)")
    })?;
    let seconds: u64 = time
        .parse()
        .map_err(|_| refused("the time of the signature is no number of seconds since 1970"))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if now.abs_diff(seconds) > TOLERANCE {
        return Err(refused("the signature is older than five minutes, or of a time to come; sign again, and check the clock"));
    }
    let id = headers.get(EVENT_ID).map(|id| id.as_bytes());
    let parts = [
        Some(time.as_bytes()),
        Some(event.as_bytes()),
        id,
        Some(body),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let signed = parts.join(&b'.');
    let code = hex::decode(code).unwrap_or_default();
    match token.hook_secret(instance).signs(&signed, &code) {
        true => Ok(signed),
        false => Err(refused(
            "the signature does not fit; `rings service hook` shows the secret of an instance",
        )),
    }
}

/// The id of an event: as the sender names it, or the hash of what was sent.
fn id(headers: &HeaderMap, sent: &[u8]) -> Result<String, Refusal> {
    let Some(named) = headers.get(EVENT_ID) else {
        return Ok(sha256(sent).to_string());
    };
    let named = named.to_str().unwrap_or_default();
    let is_good = (1..=MAX_ID).contains(&named.len());
    is_good
        .then(|| named.to_owned())
        .ok_or_else(|| wrong("Rings-Event-Id has 1 to 128 visible ASCII characters"))
}
