//! An execution that is under way here, what is to be done for it, and what a look at it finds.

use super::keeper::Answer;
use crate::state::RunKey;
use cid::Cid;
use rings_process::{execution::Execution, service::Task, work::Work};
use rings_protocol::{Address, Digest};
use std::{collections::BTreeSet, sync::Arc, time::Instant};

/// What is to be done for an execution.
pub(super) enum Duty {
    /// The ring is asked for it.
    Ask(Box<Work>),
    /// A connector does it.
    Connect(Box<Errand>),
    /// It waits for an event.
    Wait(Box<Wait>),
    /// A gate settles it.
    Settle(Box<Settling>),
}

/// An execution that waits for an event.
pub(super) struct Wait {
    pub execution: Execution,
    /// The source of the event.
    pub source: Digest,
    /// Seconds after which it has expired.
    pub within: u64,
}

/// An execution that a gate settles.
pub(super) struct Settling {
    pub execution: Execution,
    pub work: Work,
    /// The ring that computes it; the own one without it.
    pub ring: Option<Address>,
    /// Seconds after which it has expired, if it may expire.
    pub within: Option<u64>,
}

/// An execution of an external task.
pub(super) struct Errand {
    pub execution: Execution,
    pub task: Task,
    /// The instance whose values it may use.
    pub instance: Digest,
}

/// An execution that is under way.
pub(super) struct Job {
    pub execution: Execution,
    pub duty: Arc<Duty>,
    /// The runs that wait for it.
    pub runs: BTreeSet<RunKey>,
    /// The requests that may give its result.
    pub requests: BTreeSet<Digest>,
    /// When this member may ask it.
    pub due: Instant,
    /// Since when it is under way here.
    pub since: Instant,
    /// A look is under way.
    pub is_busy: bool,
    /// Something came while a look was under way.
    pub look_again: bool,
    /// Whether this member has asked it.
    pub has_asked: bool,
    /// Whether somebody has looked at it.
    pub was_looked_at: bool,
}

/// What a look may do.
pub(super) struct Look {
    pub execution: Cid,
    pub duty: Arc<Duty>,
    /// The run for which it is asked.
    pub run: RunKey,
    pub requests: BTreeSet<Digest>,
    /// Since when it is under way here.
    pub since: Instant,
    /// Whether it is this member's turn to ask.
    pub may_ask: bool,
    /// Whether this member has asked before.
    pub has_asked: bool,
    /// Whether it is the first one here.
    pub is_first: bool,
}

/// What came of a look.
pub(super) enum Seen {
    /// The execution has ended.
    Ended {
        request: Option<Digest>,
        answer: Answer,
        result: Option<Cid>,
        /// The members on whose word it rests, if it is external.
        by: Vec<Address>,
        /// Whether that is on disk already.
        is_kept: bool,
    },
    /// It waits for an event, which is on disk.
    Waits,
    /// It has not; `asked` says whether this member has asked it now, and as what.
    Open { asked: Option<Digest> },
}
