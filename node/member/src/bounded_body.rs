//! The body of an HTTP response, read as far as a bound allows.

use reqwest::Response;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection has ended before it.
    Ended(reqwest::Error),
    /// It is longer than the bound.
    TooLong,
}

/// The whole body, unless it has more than `limit` bytes: then nothing beyond them is read.
///
/// # Errors
/// [`BodyError`].
pub(crate) async fn bounded_body(
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Ended)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
