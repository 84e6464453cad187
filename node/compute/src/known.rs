//! What a pool remembers about modules: which are compiled, which are no programs, what compiling costs, and
//! which are not tried again.
//!
//! It only saves work, and is forgotten with the process. A module that the compiler twice needed too long for, or died
//! of, is refused from then on: anybody can publish such a module, and trying it again for every gate would occupy the
//! compilers.

use crate::error::ComputeError;
use rings_protocol::Digest;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Modules that are remembered of each kind.
const MAX_REMEMBERED: usize = 10_000;
/// How often compiling a module may fail before it is not tried again.
const MOST_TRIES: u32 = 2;

/// How compiling a module has failed.
#[derive(Debug, Clone)]
pub(crate) enum Failed {
    /// It took longer than this.
    Slow(Duration),
    /// The compiler's process ended in this way.
    Died(String),
}

/// What is known about modules.
#[derive(Default)]
pub(crate) struct Known {
    /// Modules that the cache had when they were last looked for.
    compiled: Mutex<HashSet<Digest>>,
    /// Modules whose compiling has failed: how often, and the last failure.
    failed: Mutex<HashMap<Digest, (u32, Failed)>>,
    /// Modules outside the profile, and why.
    outside: Mutex<HashMap<Digest, String>>,
    /// What compiling modules costs that somebody could not pay.
    costs: Mutex<HashMap<Digest, u64>>,
}

impl Known {
    /// Whether the cache has the module.
    pub(crate) fn is_compiled(&self, module: Digest) -> bool {
        self.compiled().contains(&module)
    }

    /// Notes that the cache has the module.
    pub(crate) fn note_compiled(&self, module: Digest) {
        let mut compiled = self.compiled();
        if compiled.len() >= MAX_REMEMBERED {
            compiled.clear();
        }
        compiled.insert(module);
    }

    /// Notes that the cache does not have the module any more.
    pub(crate) fn forget(&self, module: Digest) {
        self.compiled().remove(&module);
    }

    /// Notes what went wrong while a module was compiled. Other errors say nothing about the module.
    pub(crate) fn note_failed(&self, module: Digest, error: &ComputeError) {
        let how = match error {
            ComputeError::Timeout { limit } => Failed::Slow(*limit),
            ComputeError::Died { status, .. } => Failed::Died(status.clone()),
            _ => return,
        };
        let mut failed = self.failed();
        if failed.len() >= MAX_REMEMBERED {
            failed.clear();
        }
        let entry = failed.entry(module).or_insert((0, how.clone()));
        *entry = (entry.0 + 1, how);
    }

    /// Refuses a module whose compiling has failed too often.
    ///
    /// # Errors
    /// [`ComputeError::CompileTimeout`] or [`ComputeError::CompilerDied`].
    pub(crate) fn check(&self, module: Digest) -> Result<(), ComputeError> {
        match self.failed().get(&module) {
            Some((times, Failed::Slow(limit))) if *times >= MOST_TRIES => {
                Err(ComputeError::CompileTimeout { limit: *limit })
            }
            Some((times, Failed::Died(status))) if *times >= MOST_TRIES => {
                Err(ComputeError::CompilerDied {
                    status: status.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Notes that a module is outside the profile.
    pub(crate) fn note_outside(&self, module: Digest, what: &str) {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        if outside.len() >= MAX_REMEMBERED {
            outside.clear();
        }
        outside.insert(module, what.to_owned());
    }

    /// Why the module is outside the profile, if that is known.
    pub(crate) fn outside(&self, module: Digest) -> Option<String> {
        let outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        outside.get(&module).cloned()
    }

    /// Notes how much fuel compiling a module costs.
    pub(crate) fn note_cost(&self, module: Digest, cost: u64) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        if costs.len() >= MAX_REMEMBERED {
            costs.clear();
        }
        costs.insert(module, cost);
    }

    /// Whether it is known that compiling the module costs more than `fuel`.
    pub(crate) fn is_unpaid(&self, module: Digest, fuel: u64) -> bool {
        let costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        costs.get(&module).is_some_and(|cost| *cost > fuel)
    }

    fn compiled(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<Digest, (u32, Failed)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_a_compiler_died_of_twice_is_refused_and_others_are_not() {
        let (known, bad, good) = (Known::default(), Digest([1; 32]), Digest([2; 32]));
        let died = ComputeError::Died {
            status: "signal: 6".into(),
            stderr: String::new(),
        };
        known.note_failed(bad, &died);
        assert!(known.check(bad).is_ok());
        known.note_failed(bad, &ComputeError::Closed); // says nothing
        assert!(known.check(bad).is_ok());
        known.note_failed(bad, &died);
        let refused = known.check(bad).unwrap_err();
        assert!(matches!(&refused, ComputeError::CompilerDied { .. }));
        assert!(refused.is_declined() && !refused.is_transient());
        assert!(known.check(good).is_ok());
    }
}
