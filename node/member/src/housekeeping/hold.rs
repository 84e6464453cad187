//! Keeping the store below `[store] max_bytes` while the member runs.
//!
//! A [`Holder`] looks at the size every two seconds and collects at 14 sixteenths of the bound, down to 12, so that
//! what comes meanwhile finds room. What must be kept stays, even above the bound; the member then says so in status
//! and health, and the next collection waits a while, because it would find the same.

use super::keeper::Housekeeper;
use rings_api::StoreWorkError;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the size of the store is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Collecting begins above so many sixteenths of the bound, so that what comes meanwhile finds room.
const BEGINS: u64 = 14;
/// And it removes until there are so many sixteenths.
const ENDS: u64 = 12;
/// How long a collection waits that would find the same as the last one, which could not remove enough.
const AGAIN: Duration = Duration::from_secs(600);

/// Holds one store below its bound.
pub struct Holder {
    keeper: Arc<Housekeeper>,
    most: u64,
    /// When the next collection may begin, if the last one could not remove enough.
    not_before: Option<Instant>,
}

impl Holder {
    /// For this store, if it has a bound.
    pub fn new(keeper: &Arc<Housekeeper>) -> Option<Self> {
        let most = keeper.policy.max_bytes?;
        keeper.store.inventory()?;
        Some(Self {
            keeper: Arc::clone(keeper),
            most,
            not_before: None,
        })
    }

    /// Looks again and again, until `shutdown`. A failure is told, and tried again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.look().await {
                self.not_before = Some(Instant::now() + AGAIN);
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(
                    error = cause,
                    "the store was not collected; it is tried again later"
                );
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreWorkError> {
        let keeper = &self.keeper;
        let size = keeper.store.size().await?;
        let is_full = size.bytes > self.part(BEGINS);
        if !is_full || self.not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let Ok(_turn) = keeper.turn.try_lock() else {
            return Ok(());
        };
        let collected = keeper.collect_now(Some(self.part(ENDS))).await?;
        if collected.file_bytes > self.most {
            keeper.inventory()?.shrink().await?;
        }
        self.not_before = None;
        if collected.bytes > self.part(BEGINS) {
            self.not_before = Some(Instant::now() + AGAIN);
            tracing::warn!(
                bytes = collected.bytes,
                max_bytes = self.most,
                "what must be kept fills the store; raise [store] max_bytes, or take pins away"
            );
        }
        Ok(())
    }

    fn part(&self, sixteenths: u64) -> u64 {
        self.most / 16 * sixteenths
    }
}
