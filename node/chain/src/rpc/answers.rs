//! What an HTTP status means: a layer between the HTTP client and the JSON-RPC client.
//!
//! The JSON-RPC client gives up on any status but success. Many endpoints send a JSON-RPC error with such a status, and
//! its words decide what to do, so the body is read whatever the status is. The status 429 becomes [`TooManyRequests`],
//! with the time that the header `Retry-After` names.

use super::{
    failure::{TooManyRequests, TOO_MANY_REQUESTS},
    limits::MAX_ERROR_BYTES,
};
use futures::future::{BoxFuture, FutureExt};
use http_body_util::{BodyExt, Limited};
use jsonrpsee::{
    core::{http_helpers::HttpError, BoxError},
    http_client::{transport::Error as TransportError, HttpBody, HttpRequest, HttpResponse},
};
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
        return Ok(response);
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
