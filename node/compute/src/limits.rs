//! Memory and tables grow by the operation's leave, and for no other reason.

use crate::profile::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use wasmi::errors::{MemoryError, TableError};
use wasmi_core::LimiterError;

/// The host itself could not give memory that the operation grants: a fault of this machine.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct HostMemory {
    /// What the system said.
    pub what: String,
}

/// Decides about each growth, and remembers what the classification of a failure needs.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: u64,
    tables: u64,
    /// Largest size that linear memory had, in bytes.
    pub high_water: u64,
    /// Whether a growth of memory was refused because the operation does not grant it.
    pub refused: bool,
}

impl Limiter {
    /// Grants at most `memory` bytes.
    pub(crate) fn new(memory: u64) -> Self {
        Self {
            memory: memory.min(MAX_MEMORY),
            tables: 0,
            high_water: 0,
            refused: false,
        }
    }

    /// What the program's own maximum rules out is not refused by the operation. Not every engine asks about it.
    fn grant_memory(&mut self, desired: usize, maximum: Option<usize>) -> bool {
        let desired = desired as u64;
        let possible = maximum.map_or(MAX_MEMORY, |own| MAX_MEMORY.min(own as u64));
        if desired > possible {
            return false;
        }
        let allowed = desired <= self.memory;
        if allowed {
            self.high_water = self.high_water.max(desired);
        } else {
            self.refused = true;
        }
        allowed
    }

    fn grant_table(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let total = self.tables + (desired.saturating_sub(current)) as u64;
        let allowed = total <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|max| desired <= max);
        if allowed {
            self.tables = total;
        }
        allowed
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grant_memory(desired, maximum))
    }

    // Only called for a growth that was allowed above: what failed is the host.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        let what = format!("{error:#}");
        Err(HostMemory { what }.into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grant_table(current, desired, maximum))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        let what = format!("{error:#}");
        Err(HostMemory { what }.into())
    }
}

impl wasmi::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.grant_memory(desired, maximum))
    }

    // A growth that was allowed above and failed is a fault of this machine; the trap that follows says so.
    fn memory_grow_failed(&mut self, _: &MemoryError) -> Result<(), LimiterError> {
        Err(LimiterError::ResourceLimiterDeniedAllocation)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.grant_table(current, desired, maximum))
    }

    fn table_grow_failed(&mut self, _: &TableError) -> Result<(), LimiterError> {
        Err(LimiterError::ResourceLimiterDeniedAllocation)
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::ResourceLimiter;

    #[test]
    fn memory_grows_to_the_limit_and_the_mark_follows() {
        let mut limiter = Limiter::new(1 << 20);
        assert!(limiter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!limiter.memory_growing(0, (1 << 20) + 65536, None).unwrap());
        assert_eq!((limiter.high_water, limiter.refused), (1 << 20, true));
    }

    #[test]
    fn what_the_program_rules_out_itself_is_not_refused_by_the_operation() {
        let mut limiter = Limiter::new(u64::MAX);
        assert!(!limiter.memory_growing(0, 131072, Some(65536)).unwrap());
        assert!(!limiter.memory_growing(0, (1 << 32) + 65536, None).unwrap());
        assert!(!limiter.refused);
        let mut small = Limiter::new(65536);
        assert!(!small.memory_growing(0, 262144, Some(131072)).unwrap());
        assert!(!small.refused);
        assert!(!small.memory_growing(0, 131072, Some(131072)).unwrap());
        assert!(small.refused);
    }

    #[test]
    fn tables_share_one_limit() {
        let mut limiter = Limiter::new(0);
        let half = MAX_TABLE_ELEMENTS as usize / 2;
        assert!(limiter.table_growing(0, half, None).unwrap());
        assert!(limiter.table_growing(0, half, None).unwrap());
        assert!(!limiter.table_growing(half, half + 1, None).unwrap());
    }
}
