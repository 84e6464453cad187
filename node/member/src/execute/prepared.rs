//! Work that is ready for a worker.

use super::{
    context::TaskContext,
    files::{Files, Input, Program},
};
use rings_compute::{Pool, Task};
use rings_protocol::operation::{FailureRecord, Mode};
use std::sync::Arc;

/// A gate's work, ready to be handed to a worker.
pub struct Prepared {
    pub(super) context: TaskContext,
    pub(super) files: Arc<Files>,
    pub(super) profile: String,
    /// What to run, or a failure that is clear already. Such a failure is a result too.
    pub(super) work: Result<Work, Box<FailureRecord>>,
}

impl Prepared {
    /// The profile that the operation names; nothing where a failure is clear already.
    pub fn operation_profile(&self) -> Option<&str> {
        self.work.as_ref().ok().map(|work| work.pool.profile())
    }
}

/// The program of an operation with its inputs.
pub(super) struct Work {
    /// The pool of the operation's profile.
    pub pool: Arc<Pool>,
    /// Whether the program runs once over all inputs, or once for each.
    pub mode: Mode,
    /// What every run has in common.
    pub task: Task,
    /// The program's file.
    pub program: Program,
    /// The inputs, checked, in the order of the pins.
    pub inputs: Vec<Input>,
}
