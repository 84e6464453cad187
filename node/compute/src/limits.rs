//! Whether memory and tables may grow. Only the operation decides it, never the machine, so the same request gets the
//! same answer everywhere.
//!
//! A [`Limiter`] is asked by both engines for each growth. It grants what the operation allows, keeps the high-water
//! mark, and remembers whether it has refused something: from that, the end of a run is told to be "out of memory" or
//! not. A growth that was granted and still fails is an error of this machine ([`HostMemory`]).

use crate::bounds::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use wasmi::errors::{MemoryError, TableError};
use wasmi_core::LimiterError;

/// The host could not give memory that the operation grants. This is an error of this machine.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct HostMemory {
    /// What the system said.
    pub what: String,
}

/// Decides about each growth, and remembers what is needed to find out later why a program failed.
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

    /// A growth beyond the program's own maximum fails too, but does not count as refused by the operation. (Not every
    /// engine asks about such a growth.)
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

    // This is called only for a growth that was allowed above, so the machine has failed.
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
