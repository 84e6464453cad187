//! What is computed ([`TaskContext`]), what this machine spends on it ([`Bounds`]), and which gates are looked at
//! twice.
//!
//! Which gates a member computes on its second engine follows from gate and member by a hash. So each member has a
//! sample of its own, together they look at more gates than one of them does, and a member that computes a gate again
//! decides as before.

use rings_protocol::{cids::sha256, gate::Computation, Address};

/// Separates this use of the hash from all others.
const SAMPLE_DOMAIN: &[u8] = b"rings second opinion v1";

/// What is computed, and what this machine does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskContext {
    /// The gate, with what its futures hold.
    pub computation: Computation,
    /// How many output pins the gate has; `None` where the operation alone says it, as for a request.
    pub outputs: Option<u128>,
    /// Who computes it; only the choice of what is computed twice depends on it.
    pub member: Address,
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

    /// Whether `member` asks the second engine about `gate`.
    pub(super) fn samples(self, member: Address, gate: Address) -> bool {
        is_sampled(SAMPLE_DOMAIN, member, gate, self.second_opinion)
    }
}

/// Whether `gate` is among the `percent` of a hundred gates that `member` computes twice. Each member has a sample of its
/// own, so that together they look at more gates than one of them does.
pub(crate) fn is_sampled(domain: &[u8], member: Address, gate: Address, percent: u8) -> bool {
    let draw = sha256(&[domain, member.as_ref(), gate.as_ref()].concat());
    u16::from_be_bytes([draw.0[0], draw.0[1]]) % 100 < u16::from(percent)
}
