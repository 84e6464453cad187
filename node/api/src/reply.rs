//! Refusals: an HTTP status and one line that says why and what to do.

use axum::{
    body::BodyDataStream,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http::{header, HeaderName, HeaderValue, StatusCode};
use std::time::Duration;

/// How the line begins with which a member refuses because it does much of the same already.
pub(crate) const TOO_MANY: &str = "too many";

/// Bytes of an unwanted body that are read and thrown away, so that its sender can read the answer.
const DISCARD_BYTES: usize = 1 << 20;
/// Time for reading them.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// A refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    line: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, line: impl Into<String>) -> Self {
        let line = line.into();
        Self {
            status,
            line,
            header: None,
        }
    }

    /// The same for a caller that wants only what is here: 412 in place of 404, as the specification of path gateways has it.
    pub(super) fn absent_here(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::PRECONDITION_FAILED;
        }
        self
    }

    /// All places for `what` are taken.
    pub(super) fn busy(what: &str) -> Self {
        let line = format!("{TOO_MANY} {what} at this moment; try again in a second");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, line).with(header::RETRY_AFTER, "1")
    }

    /// Adds a header that goes with this status.
    pub(super) fn with(self, name: HeaderName, value: &'static str) -> Self {
        self.with_value(name, HeaderValue::from_static(value))
    }

    /// Adds a header whose value is made at run time.
    pub(super) fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.line)).into_response();
        let headers = response.headers_mut();
        headers.extend(self.header);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response
    }
}

/// Reads a body that is not wanted, within limits. If a connection is closed with unread bytes, it is reset, and the
/// sender may never see the answer.
pub(super) async fn discard(mut chunks: BodyDataStream) {
    let reading = async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    if tokio::time::timeout(DISCARD_TIME, reading).await.is_err() {
        tracing::debug!("an unwanted body was not read to its end in time");
    }
}
