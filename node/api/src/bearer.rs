//! The token of a request, where one is needed.

use super::{app::App, reply::Refusal};
use http::{header, HeaderMap, StatusCode};

/// Refuses a request without this member's token; `what` says what needs it.
pub(super) fn check(app: &App, headers: &HeaderMap, what: &str) -> Result<(), Refusal> {
    if app.token.is_shown(headers) {
        return Ok(());
    }
    let line = format!("{what} needs the token of this member, as Authorization: Bearer <token>");
    Err(Refusal::new(StatusCode::UNAUTHORIZED, line)
        .with(header::WWW_AUTHENTICATE, "Bearer realm=\"rings\""))
}
