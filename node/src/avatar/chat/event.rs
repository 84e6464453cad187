//! What happens in a conversation, and who shows it.

use rings_protocol::Address;
use serde::Serialize;
use std::fmt;

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub(super) enum LineState {
    /// It is on the disk of who wrote it.
    Written,
    /// So many members have signed that they hold it.
    Held {
        /// How many.
        replicas: usize,
    },
    /// The chain has it.
    Final,
}

/// A line that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatLine {
    /// Whose line it is.
    pub(super) avatar: Address,
    /// How that person is shown.
    pub(super) name: String,
    /// Whether it was said here.
    pub(super) mine: bool,
    /// Its position in the log.
    pub(super) seq: u64,
    /// When it was said, in seconds since 1970, as its author's clock has it.
    pub(super) time: Option<u64>,
    /// The text.
    pub(super) text: String,
    /// How far it is.
    #[serde(flatten)]
    pub(super) state: LineState,
}

/// A person of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Person {
    /// How it is shown.
    pub(super) name: String,
    /// Its avatars.
    pub(super) avatars: Vec<Address>,
    /// Whether it is who reads this.
    pub(super) me: bool,
    /// Seconds since its newest node came to the members; nothing if there is none.
    pub(super) seen: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "event")]
pub(super) enum ChatEvent {
    /// Somebody said something.
    Message(ChatLine),
    /// A log is further, up to a position.
    State {
        /// Whose log.
        avatar: Address,
        /// The newest node that is as far.
        seq: u64,
        /// Whether it was written here.
        mine: bool,
        /// How far.
        #[serde(flatten)]
        state: LineState,
    },
    /// Who is in the ring.
    People {
        /// All of them.
        people: Vec<Person>,
        /// Whether somebody asked.
        asked: bool,
    },
    /// A word to the reader.
    Note {
        /// The word.
        text: String,
    },
    /// What is being typed.
    #[serde(skip)]
    Draft(String),
}

impl fmt::Display for LineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => f.write_str("written"),
            Self::Held { replicas } => write!(f, "held by {replicas}"),
            Self::Final => f.write_str("final on chain"),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.me {
            f.write_str(" (you)")?;
        }
        match self.seen {
            None => f.write_str(", said nothing yet")?,
            Some(seconds) => write!(f, ", seen {seconds} s ago")?,
        }
        if self.avatars.len() > 1 {
            write!(f, ", {} devices", self.avatars.len())?;
        }
        Ok(())
    }
}

/// Shows what happens.
pub(super) trait ChatView {
    /// Something happened.
    fn show(&mut self, event: &ChatEvent);
    /// The conversation has ended.
    fn close(&mut self);
}
