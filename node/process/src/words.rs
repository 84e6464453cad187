//! What members write into their logs about processes.
//!
//! A [`Word`] is a message of the domain [`DOMAIN`] whose payload is a document. A process is installed; an event has
//! happened, and starts processes; an execution was asked of the ring, and has ended; a process is to be paused, to go on, or
//! to be cancelled. Members read each other's words in any order, so nothing follows from the order: an installation is
//! named by what it joins ([`Installation::id`]), the earliest block from which somebody installed it counts, and which
//! change of a process comes next is decided by the ring ([`Change::slot`]).

use crate::{
    attempt::{Attempt, Verdict},
    data::Data,
    document::{Document, DocumentError},
    event::Event,
};
use cid::Cid;
use rings_protocol::{assembly::Choice, cids::sha256, message::Message, Address, Digest};
use serde::{Deserialize, Serialize};
use std::{
    collections::{btree_map::Entry, BTreeMap, BTreeSet},
    fmt,
};

/// Version of the form of words.
pub const VERSION: u32 = 1;
/// The domain of the messages.
pub const DOMAIN: &str = "processes";
/// Most bytes of an event, so that the word about it fits into a log node beside others.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// Most processes that one word about an event starts.
pub const MAX_STARTS: usize = 1_000;

/// Most logs to which an installation listens.
pub const MAX_HEADS: usize = 2_000;

const INSTALLATION: &str = "Installation";
const HAPPENED: &str = "Event";
const PROGRESS: &str = "Execution";
const CHANGE: &str = "Change";
const ATTEMPT: &str = "Attempt";
const VERDICT: &str = "Verdict";
const GATE: &str = "Gate";
const OPENED: &str = "opened";
const PROPOSED: &str = "proposed";

/// A process that a ring runs, for an instance of each of its services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// Of each ring whose logs are listened to: the first node of each log whose messages start it. Of a log that is not here, all do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<Address, BTreeMap<Address, u64>>,
    /// The instance of each service, by the process's names for them.
    pub instances: BTreeMap<String, Digest>,
    /// Tells installations apart that join the same.
    pub nonce: u64,
    /// The process.
    pub process: Cid,
    /// The first block whose events start it.
    pub since: u64,
    /// [`VERSION`].
    pub version: u32,
}

/// An event, and what it starts as far as its author says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// The event.
    pub event: Event,
    /// What it is for: the installations that it starts, and its source ([`wait::source`](crate::wait::source)) where a process
    /// may wait for it.
    pub starts: BTreeSet<Digest>,
    /// [`VERSION`].
    pub version: u32,
}

/// What becomes of an execution, as the member says that asked it of the ring. Which result counts follows from the votes on
/// the request and not from this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The event that started the process.
    pub event: Cid,
    /// The execution.
    pub execution: Cid,
    /// The installation.
    pub installation: Digest,
    /// The request with which it was asked.
    pub request: Digest,
    /// How far it is.
    pub state: Stage,
    /// [`VERSION`].
    pub version: u32,
}

/// How far an execution is that was asked of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It was asked.
    Started,
    /// Two thirds have agreed on an output that is one of the task's statuses.
    Succeeded,
    /// Two thirds have agreed that it gives no such output.
    Failed,
    /// The event for which it waited has not come in time, as the ring decided.
    Expired,
}

/// What a process does with what happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It goes on.
    #[default]
    Active,
    /// Events are taken down, and nothing is asked until it goes on.
    Paused,
    /// Nothing is asked any more, for good.
    Cancelled,
}

/// A member opens the gate that settles an execution. Which gate that is follows from the execution, and what it gives from the
/// chain, and neither from this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The event that started the process.
    pub event: Cid,
    /// The execution.
    pub execution: Cid,
    /// Its gate.
    pub gate: Address,
    /// The installation.
    pub installation: Digest,
    /// [`VERSION`].
    pub version: u32,
}

/// Somebody wants a process to be paused, to go on, or to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The installation.
    pub installation: Digest,
    /// The how many-th change of it this is to be, from 1.
    pub number: u64,
    /// What it is to be then.
    pub to: Activity,
    /// [`VERSION`].
    pub version: u32,
}

impl Document for Installation {
    const WHAT: &'static str = "an installation of a process";
}

impl Document for Happened {
    const WHAT: &'static str = "an event that has happened";
}

impl Document for Progress {
    const WHAT: &'static str = "the progress of an execution";
}

impl Document for Opened {
    const WHAT: &'static str = "the opening of a gate";
}

impl Document for Change {
    const WHAT: &'static str = "a change of a process";
}

impl Installation {
    /// Its name: of everything but since when it is installed.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`].
    pub fn id(&self) -> Result<Digest, DocumentError> {
        let anytime = Self {
            heads: BTreeMap::new(),
            since: 0,
            ..self.clone()
        };
        anytime.to_bytes().map(|bytes| sha256(&bytes))
    }

    /// The same, as early as the earlier of both, in blocks and in each log. The order in which members hear of two means nothing.
    #[must_use]
    pub fn earliest(self, other: &Self) -> Self {
        let mut heads = self.heads;
        for (ring, theirs) in &other.heads {
            match heads.entry(*ring) {
                Entry::Vacant(entry) => drop(entry.insert(theirs.clone())),
                Entry::Occupied(mut entry) => entry.get_mut().retain(|author, first| {
                    // Of a log that is missing, all messages count.
                    let their = theirs.get(author);
                    *first = their.copied().unwrap_or(0).min(*first);
                    their.is_some()
                }),
            }
        }
        Self {
            heads,
            since: self.since.min(other.since),
            ..self
        }
    }
}

impl Change {
    /// The slot that this change would fill.
    pub fn slot(&self) -> Digest {
        const KIND: &[u8] = b"rings process change";
        sha256(&[KIND, &self.installation.0, &self.number.to_be_bytes()].concat())
    }

    /// What a member chooses that wants this change.
    ///
    /// # Errors
    /// [`DocumentError::TooLong`].
    pub fn choice(&self) -> Result<Choice, DocumentError> {
        Ok(Choice {
            slot: self.slot(),
            choice: self.to_bytes().map(|bytes| sha256(&bytes))?,
        })
    }
}

impl Activity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it may become `next`.
    pub fn may_become(self, next: Self) -> bool {
        self != Self::Cancelled && self != next
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stage {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// Why a message is no word.
#[derive(Debug, thiserror::Error)]
pub enum WordError {
    /// Its payload is not what its type says.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is of a type, status or version that this program does not know.
    #[error("a {kind} message with status {status:?} is not known; it may be of a later version")]
    Unknown {
        /// Its type.
        kind: String,
        /// Its status.
        status: String,
    },
    /// It is beyond a bound.
    #[error("{what}")]
    Bound {
        /// Which one.
        what: String,
    },
}

/// What a member writes into its log about processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A process is installed.
    Installation(Installation),
    /// An event has happened.
    Happened(Box<Happened>),
    /// An execution was asked, or has ended.
    Progress(Progress),
    /// A process is to be changed.
    Change(Change),
    /// How far a member is with an external task.
    Attempt(Attempt),
    /// What the attempts at an external task come to, as a member says.
    Verdict(Verdict),
    /// The gate of an execution is opened.
    Opened(Opened),
}

/// The bytes of an event, if members can write it into their logs. One that they cannot is no event, for everybody alike.
///
/// # Errors
/// [`WordError::Bound`] when it is too long, or its data are nested too deep.
pub fn event_bytes(event: &Event) -> Result<Vec<u8>, WordError> {
    let bound = |what: String| Err(WordError::Bound { what });
    if !Data::Map(event.data.clone()).is_within_bounds() {
        return bound("an event whose data are nested too deep, or too many".into());
    }
    let bytes = event.to_bytes()?;
    match bytes.len() {
        length if length > MAX_EVENT_BYTES => bound(format!(
            "an event of {length} bytes; at most {MAX_EVENT_BYTES} are taken: put what is large into a file"
        )),
        _ => Ok(bytes),
    }
}

impl Word {
    fn parts(&self) -> (&'static str, &'static str, u32) {
        match self {
            Self::Installation(word) => (INSTALLATION, "installed", word.version),
            Self::Happened(word) => (HAPPENED, "happened", word.version),
            Self::Progress(word) => (PROGRESS, word.state.name(), word.version),
            Self::Change(word) => (CHANGE, word.to.name(), word.version),
            Self::Attempt(word) => (ATTEMPT, word.state.name(), word.version),
            Self::Verdict(word) => (VERDICT, PROPOSED, word.version),
            Self::Opened(word) => (GATE, OPENED, word.version),
        }
    }

    fn check(&self) -> Result<(), WordError> {
        let bound = |what: String| Err(WordError::Bound { what });
        let word = match self {
            Self::Happened(word) => word,
            Self::Installation(word) => {
                let logs: usize = word.heads.values().map(BTreeMap::len).sum();
                return match logs.max(word.heads.len()) > MAX_HEADS {
                    true => bound(format!(
                        "an installation that listens to {logs} logs; at most {MAX_HEADS} are listened to"
                    )),
                    false => Ok(()),
                };
            }
            Self::Attempt(word) if !word.is_whole() => {
                return bound("an attempt without what its state needs, or with too long a reason".into())
            }
            Self::Verdict(word) if !word.is_whole() => {
                return bound("a verdict that does not have one result of each member, in their order, or a reason".into())
            }
            _ => return Ok(()),
        };
        event_bytes(&word.event)?;
        match word.starts.len() {
            starts if starts > MAX_STARTS => bound(format!(
                "an event that starts {starts} processes; at most {MAX_STARTS} are started"
            )),
            _ => Ok(()),
        }
    }

    /// The message that carries it.
    ///
    /// # Errors
    /// [`WordError`] when it is beyond a bound.
    pub fn to_message(&self) -> Result<Message, WordError> {
        self.check()?;
        let payload = match self {
            Self::Installation(word) => word.to_bytes(),
            Self::Happened(word) => word.to_bytes(),
            Self::Progress(word) => word.to_bytes(),
            Self::Change(word) => word.to_bytes(),
            Self::Attempt(word) => word.to_bytes(),
            Self::Verdict(word) => word.to_bytes(),
            Self::Opened(word) => word.to_bytes(),
        }?;
        let (kind, status, _) = self.parts();
        Ok(Message {
            domain: DOMAIN.into(),
            payload: payload.into(),
            status: status.into(),
            kind: kind.into(),
        })
    }

    /// Whether a message is of this domain.
    pub fn is_one(message: &Message) -> bool {
        message.domain == DOMAIN
    }

    /// The word in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`WordError`] when it claims to be one and is none.
    pub fn from_message(message: &Message) -> Result<Option<Self>, WordError> {
        if !Self::is_one(message) {
            return Ok(None);
        }
        let payload = &message.payload;
        let unknown = || WordError::Unknown {
            kind: message.kind.chars().take(80).collect(),
            status: message.status.chars().take(80).collect(),
        };
        let word = match message.kind.as_str() {
            INSTALLATION => Self::Installation(Installation::from_bytes(payload)?),
            HAPPENED => Self::Happened(Box::new(Happened::from_bytes(payload)?)),
            PROGRESS => Self::Progress(Progress::from_bytes(payload)?),
            CHANGE => Self::Change(Change::from_bytes(payload)?),
            ATTEMPT => Self::Attempt(Attempt::from_bytes(payload)?),
            VERDICT => Self::Verdict(Verdict::from_bytes(payload)?),
            GATE => Self::Opened(Opened::from_bytes(payload)?),
            _ => return Err(unknown()),
        };
        word.check()?;
        match word.parts() == (word.parts().0, message.status.as_str(), VERSION) {
            true => Ok(Some(word)),
            false => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bounds::MAX_DATA_DEPTH, data::Fields, document::cid_of, event::Source};

    fn installation() -> Installation {
        Installation {
            heads: BTreeMap::new(),
            instances: BTreeMap::from([("car".into(), Digest([1; 32]))]),
            nonce: 0,
            process: cid_of(b"process"),
            since: 7,
            version: VERSION,
        }
    }

    fn happened(text: &str) -> Happened {
        Happened {
            event: Event {
                data: Fields::from([("text".into(), text.into())]),
                event: "came".into(),
                instance: Some(Digest([1; 32])),
                process: None,
                service: Some(cid_of(b"service")),
                source: Source::Hand { nonce: 0 },
                version: crate::event::VERSION,
            },
            starts: BTreeSet::from([Digest([2; 32])]),
            version: VERSION,
        }
    }

    fn words() -> Vec<Word> {
        let progress = Progress {
            event: cid_of(b"event"),
            execution: cid_of(b"execution"),
            installation: Digest([2; 32]),
            request: Digest([3; 32]),
            state: Stage::Succeeded,
            version: VERSION,
        };
        let attempt = Attempt {
            execution: cid_of(b"execution"),
            reason: None,
            result: Some(cid_of(b"result")),
            state: crate::attempt::Stage::Answered,
            version: VERSION,
        };
        let verdict = Verdict::of_one(rings_protocol::Address([7; 20]), &attempt).unwrap();
        vec![
            Word::Attempt(attempt),
            Word::Verdict(verdict),
            Word::Installation(installation()),
            Word::Happened(Box::new(happened("a"))),
            Word::Progress(progress),
            Word::Change(change(1, Activity::Paused)),
            Word::Opened(Opened {
                event: cid_of(b"event"),
                execution: cid_of(b"execution"),
                gate: Address([4; 20]),
                installation: Digest([2; 32]),
                version: VERSION,
            }),
        ]
    }

    fn change(number: u64, to: Activity) -> Change {
        Change {
            installation: Digest([2; 32]),
            number,
            to,
            version: VERSION,
        }
    }

    #[test]
    fn a_word_survives_its_message_and_no_other_status_or_domain() {
        for word in words() {
            let message = word.to_message().unwrap();
            assert_eq!(Word::from_message(&message).unwrap().as_ref(), Some(&word));
            let elsewhere = Message {
                domain: "chat".into(),
                ..message.clone()
            };
            assert_eq!(Word::from_message(&elsewhere).unwrap(), None);
            let other = Message {
                status: "other".into(),
                ..message.clone()
            };
            assert!(Word::from_message(&other).is_err());
            let mut longer = message;
            longer.payload.push(b' ');
            assert!(Word::from_message(&longer).is_err());
        }
    }

    #[test]
    fn an_installation_is_named_by_what_it_joins_and_not_by_when() {
        let one = installation();
        let later = Installation {
            since: 9,
            ..one.clone()
        };
        assert_eq!(one.id().unwrap(), later.id().unwrap());
        let again = Installation {
            nonce: 1,
            ..one.clone()
        };
        assert_ne!(one.id().unwrap(), again.id().unwrap());
    }

    #[test]
    fn of_two_installations_the_earliest_in_each_log_counts_in_any_order() {
        let ring = |n: u8| Address([n; 20]);
        let with = |since, heads: &[(u8, &[(u8, u64)])]| Installation {
            heads: heads
                .iter()
                .map(|(at, logs)| {
                    let logs = logs.iter().map(|(author, first)| (ring(*author), *first));
                    (ring(*at), logs.collect())
                })
                .collect(),
            since,
            ..installation()
        };
        let one = with(7, &[(1, &[(5, 3), (6, 9)])]);
        let two = with(5, &[(1, &[(5, 4)]), (2, &[(5, 1)])]);
        let three = with(9, &[(1, &[(5, 2), (6, 1)])]);
        let expected = with(5, &[(1, &[(5, 2)]), (2, &[(5, 1)])]);
        for order in [
            [&one, &two, &three],
            [&three, &two, &one],
            [&two, &three, &one],
        ] {
            let joined = order[0].clone().earliest(order[1]).earliest(order[2]);
            assert_eq!(joined, expected);
            assert_eq!(joined.id().unwrap(), one.id().unwrap());
        }
        let many = (0..=MAX_HEADS as u64).map(|n| {
            let mut account = [0; 20];
            account[12..].copy_from_slice(&n.to_be_bytes());
            (Address(account), 1)
        });
        let many = Installation {
            heads: BTreeMap::from([(ring(1), many.collect())]),
            ..installation()
        };
        assert!(Word::Installation(many).to_message().is_err());
    }

    #[test]
    fn an_event_that_is_too_long_is_refused_by_who_writes_and_who_reads() {
        let long = Word::Happened(Box::new(happened(&"x".repeat(MAX_EVENT_BYTES))));
        assert!(long.to_message().is_err());
        let mut event = happened("x").event;
        assert_eq!(event_bytes(&event).unwrap(), event.to_bytes().unwrap());
        let nested = |depth| (0..depth).fold(Data::Null, |inner, _| Data::List(vec![inner]));
        event.data.insert("deep".into(), nested(MAX_DATA_DEPTH));
        assert!(event_bytes(&event).is_err());
        let mut message = words()[3].to_message().unwrap();
        message.payload = happened(&"x".repeat(MAX_EVENT_BYTES))
            .to_bytes()
            .unwrap()
            .into();
        assert!(Word::from_message(&message).is_err());
    }

    #[test]
    fn changes_of_one_number_compete_for_one_slot() {
        let pause = change(1, Activity::Paused);
        let cancel = change(1, Activity::Cancelled);
        assert_eq!(pause.slot(), cancel.slot());
        assert_ne!(pause.choice().unwrap(), cancel.choice().unwrap());
        assert_ne!(pause.slot(), change(2, Activity::Paused).slot());
        assert!(Activity::Active.may_become(Activity::Paused));
        assert!(!Activity::Cancelled.may_become(Activity::Active));
        assert!(!Activity::Paused.may_become(Activity::Paused));
    }
}
