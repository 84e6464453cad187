//! Brings updates of the chain into the core's inbox, one at a time.
//!
//! It gives the watcher of `rings-chain` its starting point, which is the cursor and the trail in the state database,
//! and passes on what it finds. The next update goes in only after the core has answered that the last one is on disk.
//! So the database never has a gap, and a chain that is far ahead cannot fill the memory. The watcher follows the chain
//! head (`confirmations: 0`): what is reorganised away later comes as an update too.

use super::{config::NodeConfig, core::Input, error::MemberError, opened::Opened};
use rings_chain::{watch, Update, WatchConfig};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Updates of the chain that wait for the core.
const CHAIN_QUEUE: usize = 16;
/// How often an http provider is asked for a new head.
const POLL: Duration = Duration::from_millis(250);
/// Most blocks asked for in one page of events.
const PAGE: u64 = 2_000;
impl Opened {
    /// Follows the chain from where the state database ends, into the core's inbox.
    ///
    /// Members act on the head: what is read there and reorganised away is taken back.
    pub(super) fn follow(
        &self,
        config: &NodeConfig,
        outbox: mpsc::Sender<Input>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), MemberError>> + Send + 'static {
        let chain = self.chain.clone();
        let state = Arc::clone(&self.state);
        let (engine, ring) = (self.engine, self.domain.ring);
        let start_block = config.chain.start_block;
        async move {
            let trail = state.trail()?;
            let config = WatchConfig {
                engine,
                ring,
                start_block,
                confirmations: 0,
                poll: POLL,
                page: PAGE,
                following: state.following()?,
            };
            let (updates, received) = mpsc::channel(CHAIN_QUEUE);
            let (watched, ()) = tokio::join!(
                watch(chain, config, trail, updates, stop),
                pass_on(received, outbox)
            );
            Ok(watched?)
        }
    }
}

async fn pass_on(mut updates: mpsc::Receiver<Update>, outbox: mpsc::Sender<Input>) {
    while let Some(update) = updates.recv().await {
        let (taken, done) = oneshot::channel();
        if outbox.send(Input::Chain { update, taken }).await.is_err() || done.await.is_err() {
            return;
        }
    }
}
