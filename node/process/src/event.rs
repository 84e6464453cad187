//! Events: what happened, with its data and its source. The id of an event is the CID of these, and of nothing else: no block
//! and no clock of a member is in it, so every member derives the same.

use crate::{bounds::MAX_EMITTED, data::Fields, document::Document};
use cid::Cid;
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};

/// Version of the form of events.
pub const VERSION: u32 = 1;

/// The name of the event of a schedule.
pub const SCHEDULED: &str = "scheduled";

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its data.
    pub data: Fields,
    /// Its kind, as the service names it.
    pub event: String,
    /// The instance in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Digest>,
    /// The process whose schedule it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Cid>,
    /// The service of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Cid>,
    /// Where it comes from.
    pub source: Source,
    /// [`VERSION`].
    pub version: u32,
}

/// Where an event comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A log of a transaction.
    Chain {
        /// The chain's id.
        chain: u64,
        /// The address of the contract that emitted it.
        contract: String,
        /// Its place among the logs of the transaction: it is the same on every branch.
        index: u64,
        /// The transaction.
        transaction: Digest,
    },
    /// A person, by `rings emit`.
    Hand {
        /// Tells events apart that say the same.
        nonce: u64,
    },
    /// A message in a log.
    Message {
        /// The chain's id.
        chain: u64,
        /// The account whose log it is.
        log: Address,
        /// The log node.
        node: Cid,
        /// Its place among the messages of the node.
        place: u64,
        /// The number of the node in the log.
        position: u64,
        /// The ring whose log it is.
        ring: Address,
    },
    /// A result of another ring.
    Result {
        /// The chain's id.
        chain: u64,
        /// How many events in a row have come of tasks up to this one, in whichever rings; 0 where no process gave the result.
        #[serde(default, skip_serializing_if = "is_zero")]
        depth: u64,
        /// Its place among the lines of the ring node.
        line: u64,
        /// The ring node.
        node: Cid,
        /// The ring.
        ring: Address,
    },
    /// A task that ended with a status for which the service has an event.
    Task {
        /// How many tasks have emitted events in a row up to this one.
        depth: u64,
        /// The execution.
        execution: Cid,
        /// What it gave.
        result: Cid,
    },
    /// A webhook of a member.
    Webhook {
        /// The sender's name for it: the same again is the same event.
        id: String,
    },
    /// The schedule of the process.
    Schedule {
        /// The time that was due, in seconds since 1970.
        time: u64,
    },
}

impl Document for Event {
    const WHAT: &'static str = "an event";
}

impl Source {
    /// How many events in a row have come of tasks up to this one: events that they have emitted, and results of other rings.
    pub fn depth(&self) -> u64 {
        match self {
            Self::Result { depth, .. } | Self::Task { depth, .. } => *depth,
            _ => 0,
        }
    }

    /// Whether every member can find such an event itself, so that the word of one is not enough.
    pub fn is_found(&self) -> bool {
        match self {
            Self::Chain { .. }
            | Self::Message { .. }
            | Self::Result { .. }
            | Self::Schedule { .. }
            | Self::Task { .. } => true,
            Self::Hand { .. } | Self::Webhook { .. } => false,
        }
    }
}

/// A result is no event, for too many events in a row have come of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_EMITTED} events in a row have come of tasks, which is the most; do two rings start each other?")]
pub struct TooDeep;

/// So that what has no depth has the bytes that it would have without the field.
fn is_zero(depth: &u64) -> bool {
    *depth == 0
}

impl Event {
    /// The depth of a result that a task gives in a run which this event has started, if another ring takes that for an event.
    ///
    /// # Errors
    /// [`TooDeep`]: it is none, for all members alike.
    pub fn depth_behind(&self) -> Result<u64, TooDeep> {
        match self.source.depth() {
            depth if depth >= MAX_EMITTED => Err(TooDeep),
            depth => Ok(depth + 1),
        }
    }

    /// The event of a schedule that was due at `time`.
    pub fn scheduled(process: Cid, time: u64) -> Self {
        let shown = i64::try_from(time).unwrap_or(i64::MAX);
        Self {
            data: Fields::from([("time".to_owned(), shown.into())]),
            event: SCHEDULED.into(),
            instance: None,
            process: Some(process),
            service: None,
            source: Source::Schedule { time },
            version: VERSION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::cid_of;

    fn event(source: Source) -> Event {
        Event {
            data: Fields::from([("kwh".to_owned(), 7.into())]),
            event: "charged".into(),
            instance: Some(Digest([1; 32])),
            process: None,
            service: Some(cid_of(b"service")),
            source,
            version: VERSION,
        }
    }

    fn chain(transaction: u8, index: u64) -> Source {
        Source::Chain {
            chain: 31337,
            contract: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".into(),
            index,
            transaction: Digest([transaction; 32]),
        }
    }

    fn said(log: u8, position: u64, place: u64) -> Source {
        Source::Message {
            chain: 31337,
            log: Address([log; 20]),
            node: cid_of(b"node"),
            place,
            position,
            ring: Address([2; 20]),
        }
    }

    fn result(line: u64, depth: u64) -> Source {
        Source::Result {
            chain: 31337,
            depth,
            line,
            node: cid_of(b"ring node"),
            ring: Address([2; 20]),
        }
    }

    #[test]
    fn an_event_has_one_id_and_survives_its_bytes() {
        let sources = [
            chain(1, 0),
            chain(1, 1),
            chain(2, 0),
            said(1, 0, 0),
            said(1, 0, 1),
            said(1, 1, 0),
            said(2, 0, 0),
            result(0, 0),
            result(1, 0),
            result(1, 1),
            Source::Hand { nonce: 0 },
            Source::Hand { nonce: 1 },
            Source::Task {
                depth: 1,
                execution: cid_of(b"execution"),
                result: cid_of(b"result"),
            },
            Source::Webhook { id: "1".into() },
            Source::Webhook { id: "2".into() },
        ];
        let mut ids: Vec<_> = sources
            .iter()
            .map(|source| event(source.clone()).cid().unwrap())
            .collect();
        for source in sources {
            let event = event(source);
            assert_eq!(
                Event::from_bytes(&event.to_bytes().unwrap()).unwrap(),
                event
            );
        }
        let scheduled = Event::scheduled(cid_of(b"process"), 60);
        assert_eq!(
            Event::from_bytes(&scheduled.to_bytes().unwrap()).unwrap(),
            scheduled
        );
        ids.push(scheduled.cid().unwrap());
        ids.push(Event::scheduled(cid_of(b"process"), 120).cid().unwrap());
        ids.push(Event::scheduled(cid_of(b"other"), 60).cid().unwrap());
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "each has its own");
    }

    /// Each ring takes the other's results for events: they come to an end, in whichever ring.
    #[test]
    fn two_rings_start_each_other_so_many_times_and_no_more() {
        let mut last = event(Source::Hand { nonce: 0 });
        let mut started = 0;
        while let Ok(depth) = last.depth_behind() {
            started += 1;
            last = event(result(0, depth));
            assert_eq!(last.source.depth(), started);
        }
        assert_eq!(started, MAX_EMITTED);
        let task = Source::Task {
            depth: MAX_EMITTED,
            execution: cid_of(b"execution"),
            result: cid_of(b"result"),
        };
        assert_eq!(event(task).depth_behind(), Err(TooDeep));
    }

    #[test]
    fn a_depth_is_counted_whatever_the_event_comes_from() {
        let task = Source::Task {
            depth: 3,
            execution: cid_of(b"execution"),
            result: cid_of(b"result"),
        };
        assert_eq!((task.depth(), result(0, 4).depth()), (3, 4));
        assert_eq!((said(1, 0, 0).depth(), chain(1, 0).depth()), (0, 0));
        let text = String::from_utf8(event(result(0, 0)).to_bytes().unwrap()).unwrap();
        assert!(!text.contains("depth"), "{text}");
    }

    /// The bytes of an event are what its id is made of: a change of them is a change of the format.
    #[test]
    fn the_bytes_are_fixed() {
        let text = String::from_utf8(event(Source::Hand { nonce: 3 }).to_bytes().unwrap()).unwrap();
        let service = cid_of(b"service");
        let one = "01".repeat(32);
        let expected = format!(
            r#"{{"data":{{"kwh":7}},"event":"charged","instance":"0x{one}","service":{{"/":"{service}"}},"source":{{"by":"hand","nonce":3}},"version":1}}"#
        );
        assert_eq!(text, expected);
    }
}
