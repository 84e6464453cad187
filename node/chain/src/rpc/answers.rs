//! What an HTTP status means: a layer between the HTTP client and the JSON-RPC client.
//!
//! The JSON-RPC client gives up on any status but success. Many endpoints send a JSON-RPC error with such a status, and
//! its words decide what to do, so the body is read whatever the status is. The status 429 becomes [`TooManyRequests`],
//! with the time that the header `Retry-After` names. And some endpoints write `"error": null` beside a result, as JSON-RPC 1.0
//! wants it; the JSON-RPC client takes that for no answer, so it is taken out.

use super::{
    failure::{TooManyRequests, TOO_MANY_REQUESTS},
    limits::{MAX_ERROR_BYTES, MAX_RESPONSE_BYTES},
};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use jsonrpsee::{
    core::{http_helpers::HttpError, BoxError},
    http_client::{transport::Error as TransportError, HttpBody, HttpRequest, HttpResponse},
};
use serde::{de::IgnoredAny, Deserialize};
use serde_json::value::RawValue;
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service};

/// Puts [`ReadErrors`] around a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadErrorsLayer;

/// Reads the body of answers whose status is not success.
#[derive(Debug, Clone)]
pub(super) struct ReadErrors<S>(S);

impl<S> Layer<S> for ReadErrorsLayer {
    type Service = ReadErrors<S>;

    fn layer(&self, inner: S) -> ReadErrors<S> {
        ReadErrors(inner)
    }
}

impl<S, B> Service<HttpRequest> for ReadErrors<S>
where
    S: Service<HttpRequest, Response = HttpResponse<B>, Error = TransportError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<HttpResponse, TransportError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let answering = self.0.call(request);
        async move { read(answering.await?.map(HttpBody::new)).await }.boxed()
    }
}

async fn read(response: HttpResponse) -> Result<HttpResponse, TransportError> {
    let status = response.status();
    if status.is_success() {
        return without_null_error(response).await;
    }
    if status == TOO_MANY_REQUESTS {
        let retry_after = retry_after(&response);
        let limit = Box::new(TooManyRequests { retry_after });
        return Err(TransportError::Http(HttpError::Stream(limit)));
    }
    let body = Limited::new(response.into_body(), MAX_ERROR_BYTES);
    match body.collect().await.map(|body| body.to_bytes()) {
        Ok(bytes) if is_json_rpc(&bytes) => Ok(HttpResponse::new(bytes.to_vec().into())),
        // A body that is too large, or incomplete, is not a JSON-RPC error either.
        Ok(_) | Err(_) => Err(TransportError::Rejected {
            status_code: status.as_u16(),
        }),
    }
}

/// An answer as JSON-RPC 1.0 and 2.0 have it.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// The same answer, without an error that is null.
async fn without_null_error(response: HttpResponse) -> Result<HttpResponse, TransportError> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE_BYTES as usize);
    let bytes = body.collect().await.map_err(broken)?.to_bytes();
    let bytes = plain(&bytes).map_or(bytes, Bytes::from);
    Ok(HttpResponse::from_parts(
        parts,
        HttpBody::new(Full::new(bytes)),
    ))
}

fn broken(error: BoxError) -> TransportError {
    TransportError::Http(match error.is::<LengthLimitError>() {
        true => HttpError::TooLarge,
        false => HttpError::Stream(error),
    })
}

/// An answer with an error that is null, written without it; nothing for any other answer.
pub(super) fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    const KEY: &[u8] = b"\"error\"";
    // Most answers have no such key, and large ones are not parsed twice.
    bytes.windows(KEY.len()).find(|window| *window == KEY)?;
    let answer: Answer<'_> = serde_json::from_slice(bytes).ok()?;
    if answer.error.is_some() {
        return None;
    }
    let result = answer.result.map_or("null", RawValue::get);
    let id = answer.id.get();
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes())
}

/// The pause that an endpoint wants, in seconds. A date, the other form of the header (RFC 9110, section 10.2.3), is
/// ignored: the throttle then uses its own pause.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let value = response.headers().get("retry-after")?;
    let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_json_rpc(bytes: &[u8]) -> bool {
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes);
    object.is_ok_and(|object| object.contains_key("error") || object.contains_key("result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_null_is_taken_out_and_any_other_is_left() {
        let taken = |text: &str| plain(text.as_bytes()).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(
            taken(r#"{"id":7,"error":null,"result":{"a":[1, null]}}"#).unwrap(),
            r#"{"jsonrpc":"2.0","id":7,"result":{"a":[1, null]}}"#
        );
        assert_eq!(
            taken(r#"{"jsonrpc":"2.0","id":"x","result":null,"error":null}"#).unwrap(),
            r#"{"jsonrpc":"2.0","id":"x","result":null}"#
        );
        for left in [
            r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{},"result":null}"#,
            r#"{"error":null}"#,
            r#"no "error" at all"#,
        ] {
            assert_eq!(taken(left), None, "{left}");
        }
    }
}
