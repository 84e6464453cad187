//! How much the block store holds, looked at now and then: asking a store each time that somebody wants the metrics could be slow.

use super::{error::MemberError, ring_status::RingStatus};
use rings_store::BlockStore;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(60);

/// Looks until `shutdown`. A store that cannot be measured is measured the next time.
pub(super) async fn measure(
    store: Arc<dyn BlockStore>,
    shared: Arc<RingStatus>,
    shutdown: CancellationToken,
) -> Result<(), MemberError> {
    loop {
        match store.size().await {
            Ok(size) => shared.store(size),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(error = cause, "the store cannot be measured");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
