//! What is computed ([`TaskContext`]), and what this machine spends on it ([`Bounds`]).

use rings_protocol::gate::Computation;

/// What is computed, and what this machine does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskContext {
    /// The gate, with what its futures hold.
    pub computation: Computation,
    /// How many output pins the gate has; `None` where the operation alone says it, as for a request.
    pub outputs: Option<u128>,
    /// Whether the second engine is asked too.
    pub is_sampled: bool,
    /// What this machine spends on it.
    pub bounds: Bounds,
}

/// What a machine is willing to spend on a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of memory for one run.
    pub memory: u64,
    /// Most units of fuel for one run.
    pub fuel: u64,
    /// Most bytes of output for one run.
    pub output: u64,
    /// Of a hundred gates, how many are computed on the second engine too.
    pub second_opinion: u8,
}

impl Bounds {
    /// No bound, and one engine.
    pub const NONE: Self = Self {
        memory: u64::MAX,
        fuel: u64::MAX,
        output: u64::MAX,
        second_opinion: 0,
    };
}
