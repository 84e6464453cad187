//! What listens to logs of rings for an installation: the messages and results that start it, or are events for which it may wait.

use crate::state::{Found, LogPlace};
use cid::Cid;
use rings_process::{
    data::Fields,
    event::{Event, Source, VERSION},
    event_origin::EventReader,
    message_origin::MessageReader,
    plan::Plan,
    result_origin::ResultReader,
    wait,
    words::{event_bytes, Installation, WordError},
};
use rings_protocol::{Address, Digest};
use std::collections::BTreeMap;

/// The messages of each log, by ring and author, from which on they count.
pub(super) type Begun = BTreeMap<Address, BTreeMap<Address, u64>>;

/// What listens for one event of an installation.
pub(super) struct Listener {
    /// The installation.
    pub owner: Digest,
    /// The same, or the source of the events that are waited for.
    pub id: Digest,
    pub reader: Heeded,
    event: String,
    instance: Option<Digest>,
    service: Option<Cid>,
    since: u64,
}

/// What is listened to.
pub(super) enum Heeded {
    /// Messages.
    Messages(MessageReader),
    /// Results of a ring.
    Results(ResultReader),
}

/// What listens for an installation.
pub(super) fn listeners(owner: Digest, installation: &Installation, plan: &Plan) -> Vec<Listener> {
    let listener = |id, service: &str, event: &str| {
        let reader = match plan.event_reader_of(service, event)? {
            EventReader::Log(_) => return None,
            EventReader::Message(reader) => Heeded::Messages(reader),
            EventReader::Result(reader) => Heeded::Results(reader),
        };
        Some(Listener {
            owner,
            id,
            reader,
            event: event.to_owned(),
            instance: installation.instances.get(service).copied(),
            service: plan.process().services.get(service).copied(),
            since: installation.since,
        })
    };
    let started = plan.event_service().zip(plan.event());
    let started = started.and_then(|(service, (_, event))| listener(owner, service, event));
    let awaited = plan.waits().filter_map(|(_, awaited)| {
        let instance = installation.instances.get(&awaited.service_name);
        let source = wait::source(instance.copied().unwrap_or_default(), &awaited.event);
        listener(source, &awaited.service_name, &awaited.event)
    });
    started.into_iter().chain(awaited).collect()
}

impl Listener {
    /// The event with these data, and its place on the chain if it has one.
    ///
    /// # Errors
    /// [`WordError`]: it is none, for everybody alike.
    pub fn found(
        &self,
        data: Fields,
        source: Source,
        place: Option<LogPlace>,
    ) -> Result<Found, WordError> {
        let event = Event {
            data,
            event: self.event.clone(),
            instance: self.instance,
            process: None,
            service: self.service,
            source,
            version: VERSION,
        };
        Ok(Found {
            installation: self.id,
            event: event_bytes(&event)?,
            place,
        })
    }

    /// What reads messages of this ring's logs, if it does; `own` is the member's ring.
    pub fn messages_of(&self, ring: Address, own: Address) -> Option<&MessageReader> {
        match &self.reader {
            Heeded::Messages(reader) if reader.ring().unwrap_or(own) == ring => Some(reader),
            _ => None,
        }
    }

    /// What reads results, and the first block of the ring nodes that list them.
    pub fn results(&self) -> Option<(&ResultReader, u64)> {
        match &self.reader {
            Heeded::Results(reader) => Some((reader, self.since)),
            Heeded::Messages(_) => None,
        }
    }
}
