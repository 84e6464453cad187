//! Errors of a worker: why this machine could not complete a run. A fault is never a result; the parent makes a
//! [`ComputeError`](crate::ComputeError) of it.

/// Why this machine could not complete a run. It says nothing about the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The parent cannot supply what was asked for, and knows the reason.
    #[error("the run was abandoned")]
    Abandoned,
    /// The other side is gone.
    #[error("the other end is closed: {0}")]
    Closed(String),
    /// Not enough memory on this machine.
    #[error("{0}")]
    Memory(String),
    /// The engine could not prepare the module.
    #[error("{0}")]
    Compile(String),
    /// The module's bytes have another hash.
    #[error("the module has another hash")]
    ModuleHash,
    /// A defect of this program or of the engine.
    #[error("{0}")]
    Internal(String),
}
