//! What an endpoint may not have yet, by its newest block.
//!
//! An endpoint that copies the chain anew answers everything, from the past: it has no code at a contract's address, for hours.
//! So that a contract is not there is believed only when the newest block is of now, and not before the one that made it.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A chain whose newest block is older than this may be a copy that is not complete.
const OLD: Duration = Duration::from_secs(10 * 60);

/// What shows that an endpoint may not be as far as the block that made a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// It has the first block only.
    All,
    /// Its newest block is before the one from which the contract is there.
    Start {
        /// Height of its newest block.
        head: u64,
        /// From which block the contract is there.
        start: u64,
    },
    /// Its newest block is old.
    Recent {
        /// Height of its newest block.
        head: u64,
        /// How old that is, in minutes.
        minutes: u64,
    },
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("it has no block but the first: it may not have the others yet"),
            Self::Start { head, start } => write!(
                f,
                "its newest block is {head}, before block {start} of [chain] start_block: it is behind"
            ),
            Self::Recent { head, minutes } => write!(
                f,
                "its newest block {head} is {minutes} minutes old: it may be behind"
            ),
        }
    }
}

impl Lacking {
    /// What an endpoint with a newest block of this height and time, in seconds since 1970, may lack; `None` when it has all.
    pub(crate) fn of((height, made): (u64, u64), start: u64, now: SystemTime) -> Option<Self> {
        // A clock of the chain that is ahead counts as now.
        let age = now
            .duration_since(UNIX_EPOCH + Duration::from_secs(made))
            .unwrap_or_default();
        match height {
            0 => Some(Self::All),
            head if head < start => Some(Self::Start { head, start }),
            head if age > OLD => Some(Self::Recent {
                head,
                minutes: age.as_secs() / 60,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_lack_what_is_newer_than_its_newest_block() {
        let now = SystemTime::now();
        let lacking = |number, made: SystemTime| {
            let made = made.duration_since(UNIX_EPOCH).unwrap().as_secs();
            Lacking::of((number, made), 20, now)
        };
        assert_eq!(lacking(0, now), Some(Lacking::All));
        let before = Lacking::Start {
            head: 19,
            start: 20,
        };
        assert_eq!(lacking(19, now), Some(before));
        assert_eq!(lacking(20, now), None);
        assert_eq!(lacking(20, now + OLD), None, "its clock is ahead");
        let old = lacking(20, now - 2 * OLD);
        let Some(Lacking::Recent { head: 20, minutes }) = old else {
            panic!("{old:?}");
        };
        assert!((19..=20).contains(&minutes), "{minutes}");
    }
}
