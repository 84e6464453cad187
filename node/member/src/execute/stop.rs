//! Why there is nothing to run: something is malformed or not paid for, which is a result, or this machine is at fault.

use super::error::ExecuteError;
use rings_protocol::operation::{FailureRecord, Reason};

/// Why there is nothing to run.
pub(super) enum Stop {
    /// The operation, the program or an input is malformed, or the inputs take more fuel than there is; and always will.
    Failed(Box<FailureRecord>),
    /// A fault of this machine.
    Fault(ExecuteError),
}

impl From<ExecuteError> for Stop {
    fn from(error: ExecuteError) -> Self {
        Self::Fault(error)
    }
}

/// The record of something malformed.
pub(super) fn malformed(what: &str, input: Option<u64>) -> Box<FailureRecord> {
    Box::new(FailureRecord {
        code: None,
        input,
        reason: Reason::Input,
        stderr: what.as_bytes().to_vec(),
        trap: None,
    })
}

/// The record of inputs of which more blocks have to be read than the operation's fuel pays for, as a run would give it.
pub(super) fn out_of_fuel(input: Option<u64>) -> Box<FailureRecord> {
    Box::new(FailureRecord {
        code: None,
        input,
        reason: Reason::Fuel,
        stderr: Vec::new(),
        trap: None,
    })
}
