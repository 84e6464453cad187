//! The same work on the files of a member that is down.
//!
//! It takes the lock of the data directory, as a running member does, so the two never work at once. A repair asks the
//! block source that the caller gives, for there is no network here.

use super::keeper::{Housekeeper, Policy};
use crate::{
    config::{NodeConfig, StoreKind},
    late_store::{settle, SettleError},
    layout::{self, LayoutError},
    lock::{DataLock, LockError},
    opened::{store_config, CLIENTS, STATE},
    state::{ClientState, MemberState, StateError},
};
use rings_store::{BlockSource, StoreError};
use std::{path::PathBuf, sync::Arc};

/// The files of a member that is down. They are locked as long as this lives, so that it is not started meanwhile.
pub struct Offline {
    /// Works on its store.
    pub keeper: Housekeeper,
    _lock: DataLock,
}

/// Why the files of a member cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No member ran here.
    #[error("{path} has no state.redb: no member ran there; check [store] path")]
    NoMember {
        /// The data directory.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The member runs, or something else uses its files.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// One of its databases.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store has not got yet.
    #[error("log nodes that are on disk cannot be put into the block store")]
    Settle(#[from] SettleError),
}

impl Offline {
    /// Opens the files of the member with this configuration. `others` is asked for what is damaged.
    ///
    /// # Errors
    /// [`OfflineError`].
    pub async fn open(
        config: &NodeConfig,
        others: Arc<dyn BlockSource>,
    ) -> Result<Self, OfflineError> {
        let path = &config.store.path;
        let database = path.join(STATE);
        if !database.is_file() {
            return Err(OfflineError::NoMember { path: path.clone() });
        }
        layout::check(path)?;
        let lock = DataLock::take(path)?;
        let clients = path.join(CLIENTS);
        let databases = move || {
            let state = MemberState::open_any(&database)?;
            let has_clients = std::fs::metadata(&clients).is_ok_and(|file| file.len() > 0);
            let clients = has_clients.then(|| ClientState::open(&clients, &state.identity()));
            Ok::<_, StateError>((state, clients.transpose()?))
        };
        let opened = tokio::task::spawn_blocking(databases).await;
        let (state, clients) = opened.map_err(|_| StoreError::Stopped)??;
        let store = rings_store::open(&store_config(config)).await?;
        settle(&state, &*store).await?;
        let keeper = Housekeeper::new(store, Arc::new(state), others, policy(config), path.clone());
        Ok(Self {
            keeper: keeper.with_clients(clients.map(Arc::new)),
            _lock: lock,
        })
    }
}

/// What a configuration says about collecting. Kubo is not collected.
pub fn policy(config: &NodeConfig) -> Policy {
    Policy {
        results: config.store.keep_results,
        max_bytes: match config.store.kind {
            StoreKind::Embedded => config.store.max_bytes,
            StoreKind::Kubo { .. } => None,
        },
        confirmations: config.chain.confirmations,
        logs: config.store.collect_logs,
    }
}
