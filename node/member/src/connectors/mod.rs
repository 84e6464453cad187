//! Connectors: what this machine does for external tasks.
//!
//! A connector is a program that the member's configuration names (`[connectors] programs`), or the built-in `http`. [`Connectors`]
//! runs one for a [`Call`]: it may take so long and write so much, and whatever it does wrong ends as a [`ConnectorError`], whose
//! text holds nothing that the connector has said. `rings process dev` runs them by the same code.

mod addresses;
mod error;
mod host;
mod http;
mod instances;
mod launch;
mod program;
mod spawner;
#[cfg(test)]
mod tests;

pub use error::ConnectorError;
pub use instances::Instances;
pub use launch::{launcher, Launcher};
pub use program::become_connector;

use crate::config::ConnectorsConfig;
use http::Http;
use program::Programs;
use rings_process::{
    data::Fields,
    execution::Execution,
    external::{read, Call, Secrets},
    service::Task,
};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The name of the built-in connector.
pub const HTTP: &str = rings_process::runners::HTTP;

/// What this machine does for external tasks.
pub struct Connectors {
    programs: Programs,
    http: Http,
    room: Semaphore,
}

impl Connectors {
    /// Those that a configuration allows. Without a launcher, programs are started directly.
    pub fn new(config: &ConnectorsConfig, launcher: Option<Launcher>) -> Self {
        Self {
            programs: Programs::new(config.programs.clone(), launcher),
            http: Http::new(config.hosts.clone(), config.private_hosts.clone()),
            room: Semaphore::new(config.at_once),
        }
    }

    /// Whether the configuration allows a connector.
    pub fn allows(&self, connector: &str) -> bool {
        self.programs.has(connector) || (connector == HTTP && self.http.is_allowed())
    }

    /// Does an external task with all its tries, as soon as there is room, and gives the answer as a document.
    ///
    /// # Errors
    /// Why it has failed, in words that are fit to be shown to anybody.
    pub async fn run(
        &self,
        task: &Task,
        execution: &Execution,
        config: &Fields,
    ) -> Result<Vec<u8>, String> {
        let secrets = Secrets::of(config);
        let mut call = Call::new(task, execution, config).map_err(|why| secrets.without(why))?;
        let Ok(_room) = self.room.acquire().await else {
            return Err(ConnectorError::Stopping.to_string());
        };
        let tries = task.tries();
        loop {
            let why = match self.once(task, &call, &secrets).await {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            tracing::debug!(
                key = call.key,
                attempt = call.attempt,
                why,
                "a try of an external task has failed"
            );
            if call.attempt >= tries {
                return Err(match tries {
                    1 => why,
                    _ => format!("{tries} tries have failed; the last one: {why}"),
                });
            }
            tokio::time::sleep(Duration::from_secs(task.pause(call.attempt))).await;
            call.attempt += 1;
        }
    }

    async fn once(&self, task: &Task, call: &Call, secrets: &Secrets) -> Result<Vec<u8>, String> {
        let connector = task.external.as_deref().unwrap_or_default();
        let limit = Duration::from_secs(task.limit());
        let written = match self.programs.has(connector) {
            true => self.programs.run(connector, call, limit).await,
            false if connector == HTTP => self.http.run(task, call, limit).await,
            false => Err(ConnectorError::NotAllowed {
                connector: connector.into(),
            }),
        };
        let written = written.map_err(|error| secrets.without(error.to_string()))?;
        read(task, &written, secrets)
    }
}
