//! Waiting for a moment.

use std::time::Instant;

/// Waits until a moment, or for ever if it is `None`.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
