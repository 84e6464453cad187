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
/// How the library says that a value has none of several forms.
const UNTAGGED: &str = "any variant of untagged enum";
/// What stands for parameters that were left out.
const NO_PARAMETERS: &str = "{}";
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
    let read = read(params.as_str().unwrap_or(NO_PARAMETERS));
    read.map_err(|reason| ApiError::InvalidParams { reason }.into())
}

/// What `text` says; else which parameter is wrong, and what was expected there.
fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    if !text.trim_start().starts_with('{') {
        return Err("parameters are given by name, as an object: see rpc.discover".into());
    }
    let reader = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let place = error.path().to_string();
        told(&place, &error.inner().to_string())
    })
}

/// The library's words, without the names of types and the place in the text, which say nothing to the caller.
fn told(place: &str, error: &str) -> String {
    let error = error.split(" at line ").next().unwrap_or(error);
    let error = match (
        error.split_once("expected struct "),
        error.contains(UNTAGGED),
    ) {
        (Some((before, _)), _) => format!("{before}expected an object"),
        (None, true) => "it has none of the forms that are allowed".to_owned(),
        (None, false) => error
            .replace("missing field", "missing parameter")
            .replace("unknown field", "unknown parameter"),
    };
    match place {
        "." | "" | "?" => format!("{error}; see rpc.discover"),
        place => format!("parameter `{place}`: {error}; see rpc.discover"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{LogParams, RequestParams};

    fn wrong<T: for<'a> Deserialize<'a>>(text: &str) -> String {
        read::<T>(text).err().unwrap()
    }

    #[test]
    fn the_parameter_and_its_shape_are_named_and_no_type_of_the_program() {
        let ring = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let text = wrong::<LogParams>("{}");
        assert!(text.starts_with("missing parameter `ring`"), "{text}");
        let text = wrong::<LogParams>(r#"{"ring": 5}"#);
        assert!(text.starts_with("parameter `ring`: "), "{text}");
        let text = wrong::<LogParams>(r#"{"ring": "0x12"}"#);
        assert!(text.contains("40 hexadecimal digits"), "{text}");
        assert!(!text.contains("line"), "{text}");
        let text = wrong::<LogParams>(&format!(r#"{{"ring": "{ring}", "colour": 1}}"#));
        assert!(text.contains("unknown parameter `colour`"), "{text}");
        for text in ["5", "[]", r#"["0x12"]"#, "null"] {
            let text = wrong::<LogParams>(text);
            assert!(text.contains("by name"), "{text}");
        }
        let inputs = format!(
            r#"{{"ring": "{ring}", "operation": "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", "inputs": [7]}}"#
        );
        let text = wrong::<RequestParams>(&inputs);
        assert!(text.starts_with("parameter `inputs[0]`: "), "{text}");
        for name in ["struct", "Params", "View"] {
            assert!(!text.contains(name), "{text}");
        }
    }
}
