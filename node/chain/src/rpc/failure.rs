//! How a JSON-RPC request can fail, before it is known what was asked for.
//!
//! An [`RpcFailure`] is made from the errors of the transport and of JSON-RPC. Endpoints give different codes for the
//! same reason, so the text decides in some cases: too many requests, or a refusal that may pass. The failure says
//! whether to try again (`is_passing`), whether the endpoint is away (`is_outage`), what to show in status and health
//! (`trouble`), and becomes a [`ChainError`] for the caller (`explain`).

use super::limits::{MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
use crate::{
    condition::Trouble,
    error::{Cause, ChainError},
};
use ethers_providers::{JsonRpcError, ProviderError, RpcError};
use jsonrpsee::{
    client_transport::ws::WsHandshakeError,
    core::{client::Error as ClientError, http_helpers::HttpError, BoxError},
    http_client::transport::Error as HttpTransportError,
    types::ErrorObjectOwned,
};
use std::{sync::Arc, time::Duration};

/// HTTP status of a refusal for too many requests; some endpoints use it as a JSON-RPC code.
pub(super) const TOO_MANY_REQUESTS: u16 = 429;

/// Texts of refusals for too many requests. The codes are not enough: -32005 is also the code of an answer with too many
/// events.
const RATE_LIMIT_WORDS: &[&str] = &[
    "too many requests",
    "rate limit",
    "ratelimit",
    "rate-limit",
    "request limit",
    "requests per second",
    "compute units per second",
    "capacity limit exceeded",
    "daily request count exceeded",
];

/// Texts of refusals after which the same request may succeed a moment later.
const PASSING_WORDS: &[&str] = &[
    "header not found",
    "block not found",
    "unknown block",
    "internal error",
    "internal server error",
    "temporarily unavailable",
    "service unavailable",
    "backend is not available",
    "try again",
    "timed out",
    "timeout",
];

/// The code of JSON-RPC for a method that an endpoint does not have.
const METHOD_NOT_FOUND: i64 = -32601;

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RpcFailure {
    #[error("the endpoint cannot be reached")]
    Unreachable {
        #[source]
        source: Cause,
    },
    #[error("the endpoint answered with HTTP status {status}")]
    Rejected { status: u16 },
    #[error("the endpoint allows fewer requests than were made")]
    RateLimited {
        /// How long it wants us to wait.
        after: Option<Duration>,
    },
    #[error("the endpoint did not answer in time")]
    Timeout,
    #[error("the endpoint serves chain {found}, not {expected}")]
    WrongChain { expected: u64, found: u64 },
    #[error("the endpoint refused")]
    Refused(#[source] JsonRpcError),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer does not have the expected form")]
    Malformed(#[source] Arc<serde_json::Error>),
}

/// A connection problem of which only a description is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

/// The endpoint answered with HTTP status 429. This value travels through the HTTP client as the cause of its error.
#[derive(Debug, thiserror::Error)]
#[error("too many requests")]
pub(super) struct TooManyRequests {
    pub retry_after: Option<Duration>,
}

impl RpcFailure {
    pub(crate) fn unreachable(words: impl Into<String>) -> Self {
        Self::Unreachable {
            source: Arc::new(Words(words.into())),
        }
    }

    pub(crate) fn malformed(error: serde_json::Error) -> Self {
        Self::Malformed(Arc::new(error))
    }

    /// Whether the endpoint is away, as opposed to having answered something.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout | Self::WrongChain { .. } => true,
            Self::Rejected { status } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the same request may get an answer a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::RateLimited { .. } => true,
            Self::Rejected { status } => *status >= 500,
            Self::Refused(error) => is_passing_refusal(&error.message),
            _ => false,
        }
    }

    /// Whether it says something of the endpoint, so that another one may answer the same request. A refusal that all give
    /// for the same reason, such as a contract's revert, does not.
    pub(super) fn is_of_provider(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout
            | Self::WrongChain { .. }
            | Self::Rejected { .. }
            | Self::RateLimited { .. }
            | Self::Malformed(_) => true,
            Self::Refused(error) => {
                error.code == METHOD_NOT_FOUND || is_passing_refusal(&error.message)
            }
            Self::TooLarge => false,
        }
    }

    /// The failure in words, with the words of a refusal or of the transport.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Refused(error) => format!("it refused: {}", error.message),
            Self::Unreachable { source } => format!("{self}: {}", innermost(source.as_ref())),
            other => other.to_string(),
        }
    }

    /// The trouble that this failure means, for status and health.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Unreachable { .. } | Self::Timeout | Self::Rejected { .. } => {
                Some(Trouble::Unreachable)
            }
            Self::RateLimited { .. } => Some(Trouble::RateLimited),
            Self::WrongChain { expected, found } => Some(Trouble::WrongChain {
                expected: *expected,
                found: *found,
            }),
            Self::Refused(_) | Self::TooLarge | Self::Malformed(_) => None,
        }
    }

    /// The error for the caller, with the endpoint's name and the method.
    pub(crate) fn explain(self, endpoint: &str, method: &str) -> ChainError {
        let (endpoint, method) = (endpoint.to_owned(), method.to_owned());
        match self {
            Self::Unreachable { source } => ChainError::Unreachable { endpoint, source },
            Self::Rejected { .. } => ChainError::Unreachable {
                endpoint,
                source: Arc::new(self),
            },
            Self::RateLimited { after } => ChainError::RateLimited {
                endpoint,
                method,
                wait: after,
            },
            Self::Timeout => ChainError::Timeout {
                endpoint,
                method,
                seconds: REQUEST_TIMEOUT.as_secs(),
            },
            Self::WrongChain { expected, found } => ChainError::WrongChain {
                endpoint,
                expected,
                found,
            },
            Self::Refused(error) => ChainError::Refused {
                endpoint,
                method,
                code: error.code,
                message: error.message,
            },
            Self::TooLarge => ChainError::TooLarge {
                method,
                limit: MAX_RESPONSE_BYTES,
            },
            Self::Malformed(error) => ChainError::malformed(&method, error),
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

/// Whether the words of a refusal say that the same request may get an answer a moment later.
pub(crate) fn is_passing_refusal(message: &str) -> bool {
    says(message, PASSING_WORDS)
}

fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_lowercase();
    words.iter().any(|phrase| message.contains(phrase))
}

impl From<ErrorObjectOwned> for RpcFailure {
    fn from(error: ErrorObjectOwned) -> Self {
        if error.code() == i32::from(TOO_MANY_REQUESTS) || says(error.message(), RATE_LIMIT_WORDS) {
            return Self::RateLimited { after: None };
        }
        Self::Refused(JsonRpcError {
            code: error.code().into(),
            message: error.message().to_owned(),
            data: error
                .data()
                .and_then(|data| serde_json::from_str(data.get()).ok()),
        })
    }
}

impl From<ClientError> for RpcFailure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Call(error) => error.into(),
            ClientError::RequestTimeout => Self::Timeout,
            ClientError::ParseError(error) => Self::Malformed(Arc::new(error)),
            ClientError::Transport(error) => transport(error),
            ClientError::RestartNeeded(source) => Self::Unreachable { source },
            other => Self::unreachable(other.to_string()),
        }
    }
}

/// What an error of the transport says about the endpoint.
fn transport(error: BoxError) -> RpcFailure {
    if let Some(WsHandshakeError::Rejected { status_code }) = error.downcast_ref() {
        return rejected(*status_code);
    }
    match error.downcast_ref::<HttpTransportError>() {
        Some(HttpTransportError::Http(HttpError::TooLarge)) => RpcFailure::TooLarge,
        Some(HttpTransportError::Rejected { status_code }) => rejected(*status_code),
        Some(HttpTransportError::Http(HttpError::Stream(inner))) => {
            match inner.downcast_ref::<TooManyRequests>() {
                Some(limit) => RpcFailure::RateLimited {
                    after: limit.retry_after,
                },
                None => RpcFailure::Unreachable {
                    source: Arc::from(error),
                },
            }
        }
        _ => RpcFailure::Unreachable {
            source: Arc::from(error),
        },
    }
}

fn rejected(status: u16) -> RpcFailure {
    match status {
        TOO_MANY_REQUESTS => RpcFailure::RateLimited { after: None },
        status => RpcFailure::Rejected { status },
    }
}

impl RpcError for RpcFailure {
    fn as_error_response(&self) -> Option<&JsonRpcError> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }

    fn as_serde_error(&self) -> Option<&serde_json::Error> {
        match self {
            Self::Malformed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RpcFailure> for ProviderError {
    fn from(failure: RpcFailure) -> Self {
        Self::JsonRpcClientError(Box::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, message: &str) -> RpcFailure {
        ErrorObjectOwned::owned(code, message, None::<()>).into()
    }

    #[test]
    fn too_many_requests_are_told_from_too_many_events() {
        for (code, message) in [
            (
                429,
                "Your app has exceeded its compute units per second capacity",
            ),
            (-32005, "daily request count exceeded, request rate limited"),
            (-32007, "50/second request limit reached"),
            (-32000, "Too Many Requests"),
        ] {
            let failure = of(code, message);
            assert!(
                matches!(failure, RpcFailure::RateLimited { .. }),
                "{message}"
            );
        }
        for (code, message) in [
            (-32005, "query returned more than 10000 results"),
            (-32602, "block range limit exceeded"),
        ] {
            let failure = of(code, message);
            assert!(matches!(failure, RpcFailure::Refused(_)), "{message}");
            assert!(!failure.is_passing(), "{message}");
        }
        assert!(of(-32000, "header not found").is_passing());
    }
}
