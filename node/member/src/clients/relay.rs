//! The part that brings actions to the chain: one errand for each open action, and news of others for those errands.
//!
//! After a restart it begins with all actions in the database that have not ended. The steps of one action are in
//! `errand.rs`.

use super::{
    errand::Errand,
    keeper::{Clients, MAX_OPEN},
};
use crate::state::StateError;
use rings_protocol::Digest;
use std::{collections::HashMap, sync::Arc};
use tokio::{
    sync::{mpsc, Notify, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Errands that ask the chain something, or wait for a transaction of theirs, at one moment.
const AT_WORK: usize = 256;

/// Relays until `stop`, beginning with what was open when the member last ended. `begun` gives the names of actions that
/// were taken in, or about which there is news.
///
/// # Errors
/// [`StateError`] when the database cannot be read.
pub async fn relay(
    clients: Arc<Clients>,
    mut begun: mpsc::Receiver<Digest>,
    stop: CancellationToken,
) -> Result<(), StateError> {
    let mut errands = Errands {
        running: JoinSet::new(),
        news: HashMap::new(),
        places: Arc::new(Semaphore::new(AT_WORK)),
    };
    for msg_hash in clients.state.open_flushes(MAX_OPEN)? {
        errands.begin(&clients, msg_hash)?;
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            msg_hash = begun.recv() => match msg_hash {
                Some(msg_hash) => errands.begin(&clients, msg_hash)?,
                None => break,
            },
            Some(ended) = errands.running.join_next() => errands.ended(ended),
        }
    }
    errands.running.shutdown().await;
    Ok(())
}

/// The errands that run.
struct Errands {
    running: JoinSet<Digest>,
    news: HashMap<Digest, Arc<Notify>>,
    places: Arc<Semaphore>,
}

impl Errands {
    /// Starts an errand, or tells the one that runs that there is news.
    fn begin(&mut self, clients: &Arc<Clients>, msg_hash: Digest) -> Result<(), StateError> {
        if let Some(news) = self.news.get(&msg_hash) {
            news.notify_one();
            return Ok(());
        }
        let Some(flush) = clients.state.flush(msg_hash)? else {
            return Ok(());
        };
        let news = Arc::new(Notify::new());
        let errand = Errand::new(Arc::clone(clients), msg_hash, flush, Arc::clone(&news))?;
        let Some(errand) = errand else {
            return Ok(());
        };
        self.news.insert(msg_hash, news);
        let places = Arc::clone(&self.places);
        self.running.spawn(async move {
            errand.run(&places).await;
            msg_hash
        });
        Ok(())
    }

    fn ended(&mut self, ended: Result<Digest, tokio::task::JoinError>) {
        match ended {
            Ok(msg_hash) => {
                self.news.remove(&msg_hash);
            }
            // Its action is found again when the member starts again.
            Err(error) => tracing::error!(%error, "an errand ended with an error"),
        }
    }
}
