//! Events of one kind that a service reads from logs of a contract, and the installations for which they are.

use super::error::ProcessError;
use crate::state::{Found, LogPlace};
use cid::Cid;
use rings_chain::ContractLog;
use rings_process::{
    data::Fields,
    event::{Event, Source, VERSION as EVENT_VERSION},
    origin::LogReader,
    words::event_bytes,
};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A kind of events: the service, and its name for them. All installations of the service mean the same logs.
pub(super) type Kind = Arc<(Cid, String)>;

/// For whom an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listener {
    /// The installation that it starts, or the source of events for which installations may wait.
    pub id: Digest,
    /// The installation.
    pub owner: Digest,
}

/// What reads the events of a kind, once for all for whom they are.
pub(super) struct Reading {
    kind: Kind,
    reader: LogReader,
    /// By the instance in which they happen: for whom, and from which block on.
    listeners: BTreeMap<Option<Digest>, BTreeMap<Listener, u64>>,
}

impl Reading {
    /// Nobody listens yet.
    pub fn new(kind: Kind, reader: LogReader) -> Self {
        let listeners = BTreeMap::new();
        Self {
            kind,
            reader,
            listeners,
        }
    }

    /// What reads them.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// One more listens, from this block on.
    pub fn add(&mut self, instance: Option<Digest>, listener: Listener, since: u64) {
        let of_instance = self.listeners.entry(instance).or_default();
        of_instance.insert(listener, since);
    }

    /// One listens no more. Whether nobody does.
    pub fn remove(&mut self, instance: Option<Digest>, listener: &Listener) -> bool {
        if let Some(of_instance) = self.listeners.get_mut(&instance) {
            of_instance.remove(listener);
            if of_instance.is_empty() {
                self.listeners.remove(&instance);
            }
        }
        self.listeners.is_empty()
    }

    /// Who listens, and from which block on.
    pub fn listeners(&self) -> impl Iterator<Item = (&Listener, u64)> {
        let all = self.listeners.values().flatten();
        all.map(|(listener, since)| (listener, *since))
    }

    /// The event that a log is, for all who listen.
    pub fn found(
        &self,
        chain: u64,
        log: &ContractLog,
        found: &mut Vec<Found>,
    ) -> Result<(), ProcessError> {
        if self.listeners().all(|(_, since)| log.block < since) {
            return Ok(());
        }
        let data = match self.reader.read(&log.topics, &log.data) {
            Ok(Some(data)) => data,
            Ok(None) => return Ok(()),
            Err(reason) => {
                tracing::warn!(transaction = %log.transaction, index = log.index, reason, "a log is no event of a process");
                return Ok(());
            }
        };
        for (instance, listeners) in &self.listeners {
            let of_block = listeners.iter().filter(|(_, since)| **since <= log.block);
            let ids: BTreeSet<Digest> = of_block.map(|(listener, _)| listener.id).collect();
            if ids.is_empty() {
                continue;
            }
            let event = match event_bytes(&self.event(chain, *instance, (log, &data))) {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(transaction = %log.transaction, index = log.index, %error, "a log is no event of a process");
                    continue;
                }
            };
            found.extend(ids.into_iter().map(|installation| Found {
                installation,
                event: event.clone(),
                place: Some(LogPlace {
                    block: log.block,
                    log: log.in_block,
                }),
            }));
        }
        Ok(())
    }

    fn event(
        &self,
        chain: u64,
        instance: Option<Digest>,
        (log, data): (&ContractLog, &Fields),
    ) -> Event {
        let (service, event) = &*self.kind;
        Event {
            data: data.clone(),
            event: event.clone(),
            instance,
            process: None,
            service: Some(*service),
            source: Source::Chain {
                chain,
                contract: log.contract.to_string(),
                index: log.index,
                transaction: log.transaction,
            },
            version: EVENT_VERSION,
        }
    }
}
