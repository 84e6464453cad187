//! Where the events of a kind come from that nobody has to tell: logs of a contract, messages in logs, results of a ring.

use crate::{
    message_origin::{MessageOrigin, MessageReader},
    origin::{LogReader, Origin},
    result_origin::{ResultOrigin, ResultReader},
    selection::OriginFault,
    shape::Record,
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// Somebody tells of an event that the members find themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} comes from {origin}, where the members find it themselves; on a ring nobody tells it by hand or by a webhook (`rings process dev` takes it by hand)")]
pub struct NotTold {
    /// The event.
    pub event: String,
    /// Where it comes from.
    pub origin: String,
}

/// Where they come from. Which one it is, its keys say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventOrigin {
    /// Logs of a contract.
    Log(Origin),
    /// Messages in logs of a ring.
    Message(MessageOrigin),
    /// Results of a ring.
    Result(ResultOrigin),
}

/// What reads them.
#[derive(Debug)]
pub enum EventReader {
    /// Logs of a contract.
    Log(LogReader),
    /// Messages in logs of a ring.
    Message(MessageReader),
    /// Results of a ring.
    Result(ResultReader),
}

impl EventOrigin {
    /// What reads events with these data.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reader(&self, data: &Record) -> Result<EventReader, OriginFault> {
        match self {
            Self::Log(origin) => origin.reader(data).map(EventReader::Log),
            Self::Message(origin) => origin.reader(data).map(EventReader::Message),
            Self::Result(origin) => origin.reader(data).map(EventReader::Result),
        }
    }
}

impl Display for EventOrigin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(origin) => {
                write!(f, "the logs {} of contract {}", origin.log, origin.contract)
            }
            Self::Message(origin) => {
                write!(
                    f,
                    "the messages of domain {} in the logs of ",
                    origin.message
                )?;
                match origin.ring {
                    Some(ring) => write!(f, "client ring {ring}"),
                    None => f.write_str("this ring"),
                }
            }
            Self::Result(origin) => write!(f, "the results of ring {}", origin.results),
        }
    }
}
