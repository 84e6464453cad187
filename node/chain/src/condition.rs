//! What keeps the chain from being followed, for status and health.
//!
//! The connection notes what the newest exchange with the endpoint showed, and the watcher what it ran into.
//! [`Condition::trouble`] shows the one that says most about the cause: an endpoint that cannot be reached explains a
//! watch that stands still. The texts are sentences for a person.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Why the chain is not followed at the moment. None of these ends a member: it waits, and goes on when the trouble is
/// over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The endpoint cannot be reached, or does not answer in time.
    Unreachable,
    /// The endpoint refuses because of too many requests.
    RateLimited,
    /// The endpoint serves a chain with another id.
    WrongChain {
        /// The chain id that was seen first.
        expected: u64,
        /// The chain id that is served now.
        found: u64,
    },
    /// The endpoint serves a chain of the same id on which this ring does not exist.
    OtherChain,
    /// The endpoint's newest block is older than what was read already.
    Behind {
        /// Height of the endpoint's newest block.
        head: u64,
        /// Height up to which this node has read.
        position: u64,
    },
    /// The newest blocks are not read yet, because what they hold takes long to read.
    Reading {
        /// Height of the endpoint's newest block.
        head: u64,
        /// Height up to which this node has read.
        position: u64,
    },
    /// No new block has come for much longer than is usual on this chain.
    Still {
        /// How long ago the newest block came, in seconds.
        seconds: u64,
    },
    /// The endpoint refuses what is asked, or its answer cannot be used.
    Refusing {
        /// The error in words.
        message: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the chain cannot be reached"),
            Self::RateLimited => f.write_str("the chain's endpoint allows fewer requests than are needed"),
            Self::WrongChain { expected, found } => {
                write!(f, "the endpoint serves chain {found} instead of chain {expected}")
            }
            Self::OtherChain => f.write_str("the endpoint serves another chain with the same id: this ring is not on it"),
            Self::Behind { head, position } => write!(
                f,
                "the endpoint is behind: its newest block is {head}, and block {position} has been read already"
            ),
            Self::Reading { head, position } => write!(
                f,
                "the chain is read up to block {position}, and its newest is {head}: the rest is being read"
            ),
            Self::Still { seconds } => write!(f, "the chain stands still: no new block for {seconds} s"),
            Self::Refusing { message } => f.write_str(message),
        }
    }
}

/// What is wrong with the endpoint, and with following the chain. The connection writes the first, the watcher the
/// second.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    endpoint: Mutex<Option<Trouble>>,
    following: Mutex<Option<Trouble>>,
}

fn lock(mutex: &Mutex<Option<Trouble>>) -> MutexGuard<'_, Option<Trouble>> {
    // An assignment cannot panic, so the lock is never poisoned with half a value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Condition {
    /// What the newest exchange with the endpoint showed.
    pub(crate) fn endpoint(&self, trouble: Option<Trouble>) {
        *lock(&self.endpoint) = trouble;
    }

    /// What the watcher ran into.
    pub(crate) fn following(&self, trouble: Option<Trouble>) {
        *lock(&self.following) = trouble;
    }

    /// Whether the newest exchange with the endpoint gave an answer.
    pub(crate) fn answers(&self) -> bool {
        !matches!(
            *lock(&self.endpoint),
            Some(Trouble::Unreachable | Trouble::WrongChain { .. })
        )
    }

    /// The trouble that says most about the cause.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        lock(&self.endpoint)
            .clone()
            .or_else(|| lock(&self.following).clone())
    }
}
