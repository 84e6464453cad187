//! The outcome of a run.
//!
//! An [`Outcome`] is what members vote on: success or a [`Failure`], with the fuel that was used. All of it follows
//! from task and input. [`Notes`] are for a person and belong to no result. That a module is outside the profile is a
//! failure with one fixed text, since the reason in words depends on the version of the validator.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The text in the failure record of a module outside the profile. It is fixed, because members must agree on every
/// byte of a record. The exact reason depends on the version of the validator, so it is only in
/// [`Notes::outside_profile`].
pub(crate) const OUTSIDE: &str = "the module is not a program of the profile";

/// How a run ended. Everything in it but the notes is deterministic, so that it can be voted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the program succeeded: it returned, or exited with status 0.
    pub result: Result<(), Failure>,
    /// Units of fuel used. All of the limit when it ran out.
    pub fuel: u64,
    /// High-water mark of linear memory, in bytes.
    pub memory: u64,
    /// Bytes that the program wrote to its standard output and to its next state.
    pub output: u64,
    /// Notes for a person. They are not part of the result.
    pub notes: Notes,
}

/// Notes for a person about a run. They are not part of the result, so nobody votes on them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notes {
    /// The program read a clock although the operation sets no time, so that the clock stood at 0 (1970).
    #[serde(default)]
    pub unset_clock: bool,
    /// What is wrong with the module, when the reason is [`Reason::Input`].
    #[serde(default)]
    pub outside_profile: Option<String>,
}

impl Notes {
    /// The notes as lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let clock = "the program read a clock, and the operation sets no time: the clock stood at 1970; see --time";
        let clock = self.unset_clock.then(|| clock.to_owned());
        let outside = self.outside_profile.as_ref();
        let outside = outside.map(|what| format!("the module {what}"));
        clock.into_iter().chain(outside).collect()
    }
}

/// The failure of a program. It is a result, as success is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub reason: Reason,
    /// The end of its standard error, at most [`rings_protocol::operation::STDERR_TAIL`] bytes. For
    /// [`Reason::Input`] it is one fixed text; see [`Notes::outside_profile`].
    pub stderr: Vec<u8>,
}

/// Why a program failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It exited with a status other than 0.
    Exit {
        /// The status.
        code: u32,
    },
    /// It trapped.
    Trap {
        /// The trap's name, such as `unreachable` or `integer-division-by-zero`.
        trap: &'static str,
    },
    /// It used all its fuel.
    Fuel,
    /// It starts with more memory than it may have, or it gave up (`unreachable`) after the operation's limit had
    /// refused it more.
    Memory,
    /// The module is outside the profile.
    Input,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit { code } => write!(f, "exit status {code}"),
            Self::Trap { trap } => write!(f, "trap: {trap}"),
            Self::Fuel => f.write_str("out of fuel"),
            Self::Memory => f.write_str("out of memory"),
            Self::Input => f.write_str("not a program of the profile"),
        }
    }
}

impl Failure {
    /// A failure with the end of the program's standard error.
    pub(crate) fn new(reason: Reason, stderr: Vec<u8>) -> Self {
        Self { reason, stderr }
    }
}

impl Outcome {
    /// Of a program that failed before its first instruction.
    fn before_start(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            fuel: 0,
            memory: 0,
            output: 0,
            notes: Notes::default(),
        }
    }

    /// Of a program whose initial memory is more than it may have.
    pub(crate) fn refused_at_start() -> Self {
        Self::before_start(Failure::new(Reason::Memory, Vec::new()))
    }

    /// Of a module outside the profile, and what is wrong with it. It fails in the same way on every machine, so it is a
    /// result.
    pub(crate) fn outside_profile(what: &str) -> Self {
        let mut outcome = Self::before_start(Failure::new(Reason::Input, OUTSIDE.into()));
        outcome.notes.outside_profile = Some(what.to_owned());
        outcome
    }

    /// Of a program that has less fuel than compiling it and its inputs cost.
    pub(crate) fn out_of_fuel_at_start(fuel: u64) -> Self {
        Self {
            fuel,
            ..Self::before_start(Failure::new(Reason::Fuel, Vec::new()))
        }
    }
}
