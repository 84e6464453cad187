//! Events that are messages in logs, or results of another ring.
//!
//! Both are found by every member itself, in what it holds: the logs of its ring and of the client rings that it keeps, and the
//! ring nodes that another ring registers. How far each log was read is on disk, with what was found, so nothing is missed while a
//! member is away. An installation names the first message of each log that may start it, so all members find the same.
//! What was found is written into a log by `sources`, as logs of contracts are, and only then does a process begin.

use super::{
    error::ProcessError,
    keeper::Processes,
    listener::{Begun, Listener},
    messages::Heads,
    results::Results,
};
use crate::state::StateError;
use rings_api::with_causes;
use rings_process::words::Activity;
use rings_protocol::Digest;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether logs have grown. Nobody is asked for it.
const LOOK: Duration = Duration::from_millis(50);

/// Listens until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used and waiting does not help.
pub async fn find_in_logs(
    shared: Arc<Processes>,
    stop: CancellationToken,
) -> Result<(), StateError> {
    let mut listening = Listening::default();
    let mut taken = shared.taken.subscribe();
    let mut pause = LOOK;
    while !stop.is_cancelled() {
        let listens = !listening.all.is_empty();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause), if listens => {}
            Ok(()) = taken.changed(), if !listens => {}
        }
        pause = match listening.step(&shared).await {
            Ok(()) => LOOK,
            Err(ProcessError::State(error)) if !error.is_transient() => return Err(error),
            Err(ProcessError::Stopping) => break,
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(
                    cause,
                    "logs cannot be searched for events of processes now; trying again"
                );
                shared.parts.turn
            }
        };
    }
    Ok(())
}

#[derive(Default)]
struct Listening {
    /// How often members' words were taken in when the installations were read.
    taken: Option<u64>,
    /// How often it had been put back then how far was read.
    put_back: u64,
    /// What listens, with the first messages that count.
    all: Vec<(Arc<Listener>, Begun)>,
    heads: Heads,
    results: Results,
}

impl Listening {
    async fn step(&mut self, shared: &Processes) -> Result<(), ProcessError> {
        if !shared.are_all_looked_for() {
            return Ok(());
        }
        let taken = *shared.taken.borrow();
        let put_back = shared.state.put_back();
        if self.taken != Some(taken) || self.put_back != put_back {
            self.put_back = put_back;
            self.all = active(shared)?;
            self.heads.forget();
            self.taken = Some(taken);
        }
        if self.all.is_empty() {
            // Its own plans are read later than the words about it.
            self.taken = None;
            return Ok(());
        }
        let all = (&self.all[..], put_back);
        let mut found = self.heads.read(shared, all).await?;
        found |= self.results.read(shared, all).await?;
        if found {
            shared.heard.notify_one();
            // Others may have written them already: then the runs go on.
            shared.parts.words.notify_one();
        }
        Ok(())
    }
}

/// What listens for installations that are not cancelled.
fn active(shared: &Processes) -> Result<Vec<(Arc<Listener>, Begun)>, ProcessError> {
    let all = shared.listeners().clone();
    let mut begun: BTreeMap<Digest, Option<Begun>> = BTreeMap::new();
    for listener in &all {
        if begun.contains_key(&listener.owner) {
            continue;
        }
        let installed = shared.state.installed(listener.owner)?;
        let installed = installed.filter(|held| held.activity != Activity::Cancelled);
        begun.insert(
            listener.owner,
            installed.map(|held| held.installation.heads),
        );
    }
    let active = all.into_iter().filter_map(|listener| {
        let begun = begun.get(&listener.owner)?.clone()?;
        Some((listener, begun))
    });
    Ok(active.collect())
}
