//! When ring nodes are due, how much one author may ask, and when something is final.

use rings_protocol::{assembly::Settings, request::Limits};

/// Blocks on top of a ring node before requests that it lists are forgotten, at least: a reorganisation that is not so deep
/// costs nothing but time.
const LEAST_DEPTH: u64 = 16;

/// What this member's configuration says about ring nodes and requests.
#[derive(Debug, Clone, Copy)]
pub struct RingTerms {
    /// When a ring node is due, and how long turns are.
    pub settings: Settings,
    /// How much one author may ask.
    pub limits: Limits,
    /// Seconds after which a result of a gate makes a ring node due.
    pub gates: u64,
    /// Ring nodes from the next one to the `until` of a request that names none.
    pub patience: u64,
    /// Blocks on top of something before it is called final.
    pub confirmations: u64,
}

impl RingTerms {
    /// Blocks on top of a ring node before requests that it lists are forgotten.
    pub(super) fn depth(&self) -> u64 {
        self.confirmations.max(LEAST_DEPTH)
    }
}
