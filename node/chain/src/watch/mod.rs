//! Follows the chain: events in order from a cursor that survives restarts and reorganisations.
//!
//! [`watch`] reads, whenever there is a new head, what lies between its cursor and the head, and hands it to the consumer
//! as [`Update::Page`]s. Blocks near the head are read one by one: their headers must link to the cursor's block, the
//! bloom filters in them tell which can contain something, and those are asked for by their hash, so that a machine of
//! the endpoint that is behind answers with an error. Blocks further back are read in ranges, and looked at again later
//! (`sweep`). When the cursor's block is not canonical any more, the newest cursor that is becomes the new start, and the
//! consumer is told by [`Update::Rewind`] to forget what came after it.
//!
//! It reads requests to the own ring, which the engine emits; all events of the own ring; and results that other rings
//! register for gates that the own ring's gates wait for (`follow`). The amount of work depends on these events only, not
//! on the rest of the chain. No failure of an endpoint ends the watch: it says what is wrong ([`crate::Trouble`]), waits,
//! and goes on.

mod absence;
mod advance;
mod follow;
mod locate;
mod places;
mod rhythm;
mod sweep;
mod trail;
mod update;
mod watcher;
mod work;

use crate::{chain::Chain, error::ChainError, types::Cursor};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watcher::{Stop, Watcher};

pub use trail::TRAIL_LENGTH;
pub use update::{Update, WatchConfig};

/// Follows the chain until `shutdown`, or until nobody receives any more.
///
/// `trail` is what the consumer has durably processed, newest last, at most [`TRAIL_LENGTH`] cursors of it; the consumer
/// should store each page's cursor and its effects in one transaction, so that the cursor is durable exactly with what it
/// caused. Outages and endpoints that misbehave are waited for. May be dropped at any time.
///
/// # Errors
/// None at present: it waits for every failure of an endpoint to end.
pub async fn watch(
    chain: Chain,
    config: WatchConfig,
    trail: Vec<Cursor>,
    out: mpsc::Sender<Update>,
    shutdown: CancellationToken,
) -> Result<(), ChainError> {
    let watcher = Watcher::new(chain, config, trail, out);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = watcher.run() => match ended {
            Stop::Failed(error) => Err(error),
            Stop::Waiting(_) | Stop::Unheard => Ok(()),
        },
    }
}
