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
    /// What the second engine said of the runs.
    pub opinions: Opinions,
}

/// How often the second engine was asked, by what it said. A run of which it says something else has no execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opinions {
    /// Runs that gave the same on it.
    pub agreed: u64,
    /// Runs that cannot be compared between the engines.
    pub silent: u64,
}

impl std::ops::AddAssign for Opinions {
    fn add_assign(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.silent += other.silent;
    }
}
