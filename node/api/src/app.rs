//! What all handlers share: the member's answers, the token, the limits, and the places for work that is bounded.

use super::{limits::HttpLimits, node_api::NodeApi, rpc::Rpc, token::Token};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// JSON-RPC requests with a large body that are received at one moment; further ones get 429.
const LARGE_BODIES: usize = 16;

/// The handlers get it from axum by `State<App>`.
pub(super) type App = Arc<AppState>;

/// The member behind this server, the bounds, and the places that requests take.
pub(super) struct AppState {
    /// The member that answers.
    pub(super) api: Arc<dyn NodeApi>,
    pub(super) token: Token,
    pub(super) limits: HttpLimits,
    /// Places for files that are coming.
    pub(super) uploads: Arc<Semaphore>,
    /// Places for content that is being sent.
    pub(super) downloads: Arc<Semaphore>,
    /// Places for calls with large bodies.
    pub(super) large_bodies: Semaphore,
    /// Places for WebSocket sessions.
    pub(super) sessions: Arc<Semaphore>,
    pub(super) rpc: Arc<Rpc>,
    /// Cancelled when sessions have to end.
    pub(super) stop: CancellationToken,
}

impl AppState {
    pub(super) fn new(
        api: Arc<dyn NodeApi>,
        token: Token,
        rpc: Rpc,
        limits: HttpLimits,
        stop: CancellationToken,
    ) -> App {
        Arc::new(Self {
            api,
            token,
            uploads: Arc::new(Semaphore::new(limits.uploads)),
            downloads: Arc::new(Semaphore::new(limits.downloads)),
            large_bodies: Semaphore::new(LARGE_BODIES),
            sessions: Arc::new(Semaphore::new(limits.sessions as usize)),
            limits,
            rpc: Arc::new(rpc),
            stop,
        })
    }
}
