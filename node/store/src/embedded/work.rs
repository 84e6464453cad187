//! Running work on the database off the asynchronous threads.

use super::slot::DatabaseSlot;
use crate::{error::Cause, StoreError};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// Runs `work` on a thread that may block. The permit goes with it, so that a caller who stops waiting does not let more
/// in than the limit.
pub(super) async fn run<T: Send + 'static>(
    shared: &Arc<DatabaseSlot>,
    permit: OwnedSemaphorePermit,
    work: impl FnOnce(&DatabaseSlot) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let slot = Arc::clone(shared);
    let done = task::spawn_blocking(move || {
        let result = work(&slot);
        drop(permit);
        result
    });
    match done.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(damaged(shared, Some(error.into()))),
        Err(_) => Err(StoreError::Stopped),
    }
}

/// redb panics on some kinds of damage that its checksums do not cover.
pub(super) fn damaged(shared: &DatabaseSlot, source: Option<Cause>) -> StoreError {
    StoreError::CorruptDatabase {
        path: shared.path().to_owned(),
        source,
    }
}

pub(super) async fn permit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(|_| StoreError::Stopped)
}
