//! What the methods of JSON-RPC share: places, a time limit, parameters, the token, and errors.

use super::{
    error::with_causes,
    limits::HttpLimits,
    node_api::{ApiError, NodeApi},
};
use http::Extensions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::Deserialize;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// What a caller is told to wait, in milliseconds, when all places are taken.
const BUSY_MILLISECONDS: u64 = 100;
/// The caller has shown the member's token: with the request, or when it opened the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenShown;

/// What the methods share.
pub(super) struct Calls {
    pub(super) api: Arc<dyn NodeApi>,
    places: Semaphore,
    timeout: Duration,
}

impl Calls {
    pub(super) fn new(api: Arc<dyn NodeApi>, limits: &HttpLimits) -> Self {
        Self {
            api,
            places: Semaphore::new(limits.calls),
            timeout: limits.call_timeout,
        }
    }

    /// Runs one call, if there is a place, for a limited time.
    pub(super) async fn run<T>(
        &self,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ErrorObjectOwned> {
        let busy = ApiError::Busy {
            milliseconds: BUSY_MILLISECONDS,
        };
        // Nobody waits for a place: a queue would only make all answers late.
        let _place = self.places.try_acquire().map_err(|_| busy)?;
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => Ok(answer?),
            Err(elapsed) => {
                let what = format!("no answer within {} ms", self.timeout.as_millis());
                Err(ApiError::internal(what, elapsed).into())
            }
        }
    }
}

/// Refuses who has not shown the member's token.
pub(super) fn token(extensions: &Extensions) -> Result<(), ApiError> {
    let shown = extensions.get::<TokenShown>();
    shown.map(|_| ()).ok_or(ApiError::NoToken)
}

/// Reads the parameters of a call.
pub(super) fn parse<T: for<'a> Deserialize<'a>>(
    params: &Params<'_>,
) -> Result<T, ErrorObjectOwned> {
    params.parse()
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        let (code, message) = (error.code(), error.message());
        match &error {
            ApiError::Busy { milliseconds } => Self::owned(code, message, Some(milliseconds)),
            ApiError::LogIncomplete { missing } => {
                let cids: Vec<_> = missing.iter().map(ToString::to_string).collect();
                Self::owned(code, message, Some(cids))
            }
            ApiError::StaleHead { head } => Self::owned(code, message, Some(head)),
            ApiError::Internal { source, .. } => {
                tracing::warn!(error = %error, cause = %with_causes(source.as_ref()), "a call failed");
                Self::owned(code, message, Some(error.to_string()))
            }
            _ => Self::owned(code, message, Some(error.to_string())),
        }
    }
}
