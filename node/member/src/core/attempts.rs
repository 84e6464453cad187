//! How often this member has tried to register a result.

/// How often a registration was tried.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempts {
    /// All of them.
    pub begun: u64,
    /// Those that ended without being in a block, or that the contract refused.
    pub failed: u64,
}
