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

/// An installation that is started by logs or by a schedule.
pub(super) struct Trigger {
    pub id: Digest,
    pub installation: Installation,
    pub plan: Arc<Plan>,
    pub reader: Option<LogReader>,
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
        let Some((service, event)) = self.plan.event() else {
            return Ok(None);
        };
        let event = Event {
            data,
            event: event.to_owned(),
            instance: self.instance(),
            process: None,
            service: Some(service),
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

    fn instance(&self) -> Option<Digest> {
        let service = self.plan.event_service()?;
        self.installation.instances.get(service).copied()
    }
}
