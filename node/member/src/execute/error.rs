//! Why a result could not be computed here. None of these is a result: a member with such an error does not vote.

use rings_compute::{ComputeError, Opinion};
use rings_protocol::{cids::CidError, operation::OperationError};
use rings_store::StoreError;

/// A fault of this machine: nothing is known about the program, and no vote follows.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A block could not be read, or an output could not be kept.
    #[error("the blocks of the gate could not be read or written")]
    Store(#[source] StoreError),
    /// The worker failed.
    #[error("the program could not be run to its end")]
    Compute(#[source] ComputeError),
    /// The operation may use more than this machine gives to one run.
    #[error("the operation may use {asked} {unit} and this member gives {limit} to one run; see [compute] {key}")]
    TooMuch {
        /// The key of the configuration that sets the limit.
        key: &'static str,
        /// In what it is counted.
        unit: &'static str,
        /// What the operation asks for.
        asked: u64,
        /// What this machine gives.
        limit: u64,
    },
    /// The operation may use more fuel than fits the time that this machine gives to one run.
    #[error("the operation may use {asked} units of fuel, and this member's limit of time for one run fits {limit}; ask for less with --fuel")]
    TooLong {
        /// The fuel that the operation asks for.
        asked: u64,
        /// The fuel that fits the limit of time.
        limit: u64,
    },
    /// Two WebAssembly engines do not agree about the program: one of them is wrong.
    #[error("{0}")]
    Differs(Opinion),
    /// A CID of the wrong kind came out of the importer.
    #[error("the output has a CID that cannot go on chain")]
    Cid(#[from] CidError),
    /// The failure record could not be written.
    #[error("the failure record could not be encoded")]
    Record(#[from] OperationError),
}

impl ExecuteError {
    /// Whether this member declines, so that another try does not help: it has no worker of the profile, it spends less
    /// than the operation asks for, its two engines disagree, or it cannot compile the program.
    pub fn is_declined(&self) -> bool {
        match self {
            Self::TooMuch { .. } | Self::TooLong { .. } | Self::Differs(_) => true,
            Self::Compute(error) => error.is_declined(),
            Self::Store(_) | Self::Cid(_) | Self::Record(_) => false,
        }
    }
}
