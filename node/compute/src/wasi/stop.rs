//! Why the host ends a run: a result (exit, fuel, too much output) or a fault of this machine.

use crate::fault::Fault;

/// Why the host ends a run, other than by a trap.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The program exited.
    #[error("exit status {0}")]
    Exit(u32),
    /// All fuel is used.
    #[error("out of fuel")]
    Fuel,
    /// It wrote more than it may.
    #[error("too much output")]
    Output,
    /// This machine cannot go on.
    #[error("{0}")]
    Fault(Fault),
}
