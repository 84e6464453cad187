//! What a run gives.

use rings_protocol::{operation::FailureRecord, Digest};

/// A result that can be voted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The digest of the data on each output pin; one pin,
    /// [`FAILURE_PIN`](rings_protocol::gate::FAILURE_PIN), when the program failed.
    pub outputs: Vec<(u128, Digest)>,
    /// Why it failed.
    pub failure: Option<FailureRecord>,
    /// Units of fuel used by all runs together.
    pub fuel: u64,
    /// Most bytes of linear memory that one run had.
    pub memory: u64,
    /// The profile that ran it.
    pub profile: String,
    /// What a person should know besides; nobody votes on it.
    pub notes: Vec<String>,
}
