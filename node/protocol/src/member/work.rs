//! What a member knows of one open gate: how far it is, who voted for what, and what is to happen when.
//!
//! A `Work` has the computation, its tally of votes, the [`Phase`] of this member's own computing, and whether this
//! member may submit. The state machine in `mod.rs` changes it when something happens, and asks it when it has to be
//! looked at again. [`Computed`] is a result of this member, [`Registration`] one that enough members have signed, and
//! [`Timings`] says when each step was reached.

use super::tally::Tally;
use crate::{
    backoff::Backoff,
    gate::Computation,
    journal::Draft,
    message::{Outputs, Vote},
    Address, Digest,
};
use std::time::Duration;

/// First pause before a computation that this machine failed to make is tried again.
pub const RETRY_MIN: Duration = Duration::from_millis(500);
/// Longest such pause.
pub const RETRY_MAX: Duration = Duration::from_secs(60);

/// How far a member is with a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The program runs, or will.
    Computing,
    /// This machine could not compute it; it is tried again.
    Abstaining {
        /// When it is tried again.
        until: u64,
    },
    /// It may cost more than this member spends, or this member has no worker of its profile: no vote, and it is not
    /// tried again.
    Declined {
        /// Why.
        reason: String,
    },
    /// This member has its result, and votes for it in every epoch.
    Voted(Computed),
    /// This member had signed another result before, and will not sign this one.
    Refused,
}

/// What a computation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// The outputs.
    pub outputs: Outputs,
    /// Fuel used.
    pub fuel: u64,
    /// The profile that ran it.
    pub profile: String,
}

impl Computed {
    /// What a vote says was computed.
    pub fn of(vote: Vote) -> Self {
        Self {
            outputs: vote.outputs,
            fuel: vote.fuel,
            profile: vote.profile,
        }
    }

    /// The vote for it in an epoch, not signed yet.
    pub(super) fn draft(&self, computation: Computation, epoch: u64) -> Draft {
        let Self {
            outputs,
            fuel,
            profile,
        } = self.clone();
        Draft {
            computation,
            epoch,
            fuel,
            outputs,
            profile,
        }
    }
}

/// When what happened, for those who measure: milliseconds of the caller's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// The gate became ready.
    pub ready: Option<u64>,
    /// The own result was there.
    pub computed: Option<u64>,
    /// Two thirds agreed.
    pub quorum: Option<u64>,
    /// The chain accepted it.
    pub resolved: Option<u64>,
}

/// Outputs that two thirds have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// What was computed.
    pub computation: Computation,
    /// The epoch of the signatures.
    pub epoch: u64,
    /// The outputs.
    pub outputs: Outputs,
    /// The votes, in ascending order of their signers: as many as are needed.
    pub votes: Vec<(Address, Vote)>,
}

/// Whether this member may submit a gate's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    /// As soon as two thirds agree and its turn comes.
    Due,
    /// It is under way.
    Sent,
    /// Two thirds agree on a result that this member found to be wrong; it leaves the submission to others.
    Barred,
}

/// One open gate.
#[derive(Debug)]
pub(super) struct Work {
    pub computation: Computation,
    /// How far this member's own computing is.
    pub phase: Phase,
    /// Who voted for what.
    pub tally: Tally,
    pub timings: Timings,
    pub submission: Submission,
    /// The pauses between tries of the computation.
    pub retries: Backoff,
    /// Why the newest try that has ended gave nothing.
    pub without: Option<String>,
    /// The members whose turn comes before the own, by their places in the list of members. Found when two thirds
    /// agree, and kept until the membership changes.
    pub before: Option<Box<[u8]>>,
    /// When something is to be done; the same stands in the member's schedule.
    pub wake: Option<u64>,
}

impl Work {
    pub(super) fn new(computation: Computation, phase: Phase, now: u64) -> Self {
        Self {
            computation,
            phase,
            tally: Tally::default(),
            timings: Timings {
                ready: Some(now),
                ..Timings::default()
            },
            submission: Submission::Due,
            retries: Backoff::new(RETRY_MIN, RETRY_MAX),
            without: None,
            before: None,
            wake: None,
        }
    }

    /// A pause has ended, so the program is to run now.
    pub(super) fn is_to_run(&mut self, now: u64) -> bool {
        let is_due = matches!(self.phase, Phase::Abstaining { until, .. } if until <= now);
        if is_due {
            self.phase = Phase::Computing;
        }
        is_due
    }

    /// Whether this member found another result itself. Then it leaves the submission to others.
    pub(super) fn contradicts(&self, result: Digest) -> bool {
        matches!(&self.phase, Phase::Voted(computed) if computed.outputs.result() != result)
    }

    /// The membership has changed. Places in the list are different, and submitting may be possible again.
    pub(super) fn begin_epoch(&mut self) {
        self.timings.quorum = None;
        self.before = None;
        if self.submission == Submission::Barred {
            self.submission = Submission::Due;
        }
    }
}
