//! How a JSON-RPC request can fail, before it is known what was asked for.

use super::{MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
use crate::error::{Cause, ChainError};
use ethers_providers::{JsonRpcError, ProviderError, RpcError};
use jsonrpsee::{
    core::{client::Error as ClientError, http_helpers::HttpError, BoxError},
    http_client::transport::Error as HttpTransportError,
    types::ErrorObjectOwned,
};
use std::sync::Arc;

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RpcFailure {
    #[error("the endpoint cannot be reached")]
    Unreachable {
        #[source]
        source: Cause,
    },
    #[error("the endpoint did not answer in time")]
    Timeout,
    #[error("the endpoint serves chain {found}, not {expected}")]
    WrongChain { expected: u64, found: u64 },
    #[error("the endpoint refused")]
    Refused(#[source] JsonRpcError),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer makes no sense")]
    Malformed(#[source] Arc<serde_json::Error>),
}

/// A connection problem that is only known by its words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

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
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Timeout | Self::WrongChain { .. }
        )
    }

    /// The same for a reader: with the endpoint's name and what was asked.
    pub(crate) fn explain(self, endpoint: &str, method: &str) -> ChainError {
        let (endpoint, method) = (endpoint.to_owned(), method.to_owned());
        match self {
            Self::Unreachable { source } => ChainError::Unreachable { endpoint, source },
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

impl From<ErrorObjectOwned> for RpcFailure {
    fn from(error: ErrorObjectOwned) -> Self {
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

/// Tells an answer that is too large from a connection that failed.
fn transport(error: BoxError) -> RpcFailure {
    match error.downcast_ref::<HttpTransportError>() {
        Some(HttpTransportError::Http(HttpError::TooLarge)) => RpcFailure::TooLarge,
        _ => RpcFailure::Unreachable {
            source: Arc::from(error),
        },
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
