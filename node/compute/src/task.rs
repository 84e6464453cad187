//! What is run, and what came of it.

use rings_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What one run may use. Part of the operation, so that running out is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Units of fuel: about one per WASM instruction, one per byte copied, read or written.
    pub fuel: u64,
    /// Bytes of linear memory. Growing beyond it is answered with -1, whatever the machine has.
    pub memory: u64,
    /// Bytes of standard output and of the next state together. A write that would exceed it ends the program with the trap
    /// [`crate::OUTPUT_TRAP`]. Each byte also costs [`crate::BYTE_FUEL`].
    pub output: u64,
    /// Bytes of stack, at most [`crate::MAX_STACK`]. A frame costs what its module says, not what a machine makes of it:
    /// 256, and 16 for each parameter, local and operand.
    pub stack: u64,
}

/// One run of one program. Together with the input it determines every bit of the [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// sha2-256 of the WASM module's bytes.
    pub module: Digest,
    /// The program's name: `argv[0]`.
    pub program: String,
    /// Arguments after the name.
    pub args: Vec<String>,
    /// What the run may use.
    pub limits: Limits,
    /// What every clock says, in Unix seconds: the time of the block that made the gate ready.
    pub time: u64,
    /// Seed of the random bytes.
    pub seed: [u8; 32],
    /// Whether there is a state: descriptor 3 reads it, and descriptor 4 writes the one that follows it.
    pub state: bool,
}

/// How a run ended. Deterministic, so that it can be voted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the program succeeded: it returned, or exited with status 0.
    pub result: Result<(), Failure>,
    /// Units of fuel used. All of the limit when it ran out.
    pub fuel: u64,
    /// High-water mark of linear memory, in bytes.
    pub memory: u64,
    /// Bytes that the program wrote to its standard output, and to its next state.
    pub output: u64,
}

/// A program that failed: a result like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub reason: Reason,
    /// The end of its standard error, at most [`rings_protocol::operation::STDERR_TAIL`] bytes. For
    /// [`Reason::Input`] it says what is wrong with the module.
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
    /// It starts with more memory than it may have, or it gave up (`unreachable`) after it had been
    /// refused more by the operation.
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
    /// A failure with what the program said last.
    pub(crate) fn new(reason: Reason, stderr: Vec<u8>) -> Self {
        Self { reason, stderr }
    }
}
