//! An installation that starts by itself, and the events that logs are for it.

use super::error::ProcessError;
use crate::state::Found;
use rings_chain::ContractLog;
use rings_process::{
    document::Document,
    event::{Event, Source, VERSION as EVENT_VERSION},
    origin::LogReader,
    plan::Plan,
    words::Installation,
};
use rings_protocol::Digest;
use std::sync::Arc;

/// What logs or a schedule do for an installation: they start it, or are events for which it may wait.
pub(super) struct Trigger {
    /// The installation.
    pub owner: Digest,
    /// The same, or the source of the events that are waited for.
    pub id: Digest,
    pub installation: Installation,
    pub plan: Arc<Plan>,
    pub reader: Option<LogReader>,
    /// The event of logs: its service, by the process's name, and its own name.
    pub event: Option<(String, String)>,
}

impl Trigger {
    /// The event that a log is.
    pub fn found(
        &self,
        chain: u64,
        reader: &LogReader,
        log: &ContractLog,
    ) -> Result<Option<Found>, ProcessError> {
        let data = match reader.read(&log.topics, &log.data) {
            Ok(Some(data)) => data,
            Ok(None) => return Ok(None),
            Err(reason) => {
                tracing::warn!(transaction = %log.transaction, index = log.index, reason, "a log is no event of a process");
                return Ok(None);
            }
        };
        let Some((service, event)) = &self.event else {
            return Ok(None);
        };
        let event = Event {
            data,
            event: event.clone(),
            instance: self.installation.instances.get(service).copied(),
            process: None,
            service: self.plan.process().services.get(service).copied(),
            source: Source::Chain {
                chain,
                contract: log.contract.to_string(),
                index: log.index,
                transaction: log.transaction,
            },
            version: EVENT_VERSION,
        };
        Ok(Some(Found {
            installation: self.id,
            event: event.to_bytes()?,
        }))
    }
}
