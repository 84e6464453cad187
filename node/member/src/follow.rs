//! Brings updates of the chain into the core's inbox, one at a time.

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
