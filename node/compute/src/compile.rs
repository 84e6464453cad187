//! Compiling a module for the cache, in a process that does nothing else.
//!
//! A program that broke out of its engine would control its worker. So workers that run programs can only read the cache.
//! What is in the cache comes from processes that have run no program: each compiles one module, has no file at all, and ends.
//! The machine code goes through this process into the cache, under the hash of the module. So even a module that
//! broke the compiler could only change its own machine code.

use crate::{
    cache::{DiskCache, Locking},
    error::ComputeError,
    frame::{decode, Compiled, Hello, Tag},
    known::Known,
    module_source::{load, ModuleBytes, ModuleSource},
    outcome::Outcome,
    spawner::Spawner,
    turns::Turns,
    worker_handle::{Broken, Budget, Worker},
};
use rings_protocol::Digest;
use std::{path::Path, time::Duration};

/// How an attempt at compiling has ended.
enum Attempt {
    /// The cache has the module, if it can keep anything; or the module is outside the profile, or not paid for.
    Ended(Option<Outcome>),
    /// Somebody else compiles it.
    Busy,
}

/// What a compilation needs.
pub(crate) struct Compiler<'a> {
    /// Starts processes.
    pub spawner: &'a Spawner,
    /// What they are started with, for errors.
    pub command: &'a Path,
    /// The profile that they must have.
    pub profile: &'a str,
    /// Wall-clock time that one may take.
    pub limit: Duration,
    /// When it is whose turn.
    pub turns: &'a Turns,
    /// What is known about modules.
    pub known: &'a Known,
    /// What the run that needs the module has.
    pub fuel: u64,
}

impl Compiler<'_> {
    /// Makes sure that the cache has the module, if it can keep anything. When several need the same module, one
    /// compiles it and the others wait, without a turn. An outcome is returned for a module outside the profile, and for one
    /// that the run's fuel does not pay for.
    ///
    /// # Errors
    /// An error of this machine, or of `source`.
    pub(crate) async fn ensure(
        &self,
        cache: &DiskCache,
        module: Digest,
        source: &impl ModuleSource,
    ) -> Result<Option<Outcome>, ComputeError> {
        let mut alone = true;
        loop {
            // Whoever held the lock may have compiled it, or may have failed.
            if cache.has(module) {
                return Ok(None);
            }
            self.known.check(module)?;
            if let Some(what) = self.known.outside(module) {
                return Ok(Some(Outcome::outside_profile(&what)));
            }
            if self.known.is_unpaid(module, self.fuel) {
                return Ok(Some(Outcome::out_of_fuel_at_start(self.fuel)));
            }
            let attempt = || self.attempt(cache, module, source, alone);
            let ended = self.turns.take(attempt).await;
            match ended.map_err(|_| ComputeError::Closed)?? {
                Attempt::Ended(ended) => return Ok(ended),
                // The holder of a lock that has used all the time that compiling may take may be stuck. Compiling
                // twice does no harm.
                Attempt::Busy => alone = cache.wait(module, self.limit).await,
            }
        }
    }

    /// Compiles the module, unless somebody else does, who is waited for if this one is to compile `alone`.
    async fn attempt(
        &self,
        cache: &DiskCache,
        module: Digest,
        source: &impl ModuleSource,
        alone: bool,
    ) -> Result<Attempt, ComputeError> {
        let _lock = match cache.lock(module) {
            Locking::Held(lock) => Some(lock),
            Locking::Busy if alone => return Ok(Attempt::Busy),
            Locking::Busy => None,
            // The cache cannot be written, so the worker compiles for itself.
            Locking::Impossible => return Ok(Attempt::Ended(None)),
        };
        if cache.has(module) {
            return Ok(Attempt::Ended(None));
        }
        let bytes = load(source).await?;
        let hello = Hello {
            cache: None,
            fuel: Some(self.fuel),
        };
        let mut worker =
            Worker::start(self.spawner, self.command, hello, Some(self.profile)).await?;
        match self.compile(&mut worker, cache, module, bytes).await {
            Ok(ended) => {
                worker.dismiss().await;
                ended.map(Attempt::Ended)
            }
            Err(broken) => Err(worker.bury(broken, self.limit).await),
        }
    }

    async fn compile(
        &self,
        worker: &mut Worker,
        cache: &DiskCache,
        module: Digest,
        bytes: ModuleBytes,
    ) -> Result<Result<Option<Outcome>, ComputeError>, Broken> {
        let (mut budget, mut waiting) = (Budget::new(self.limit), Budget::new(self.limit));
        let sent = worker.send_module(&mut budget, &mut waiting, Tag::Compile, bytes);
        if sent.await? != module {
            let wrong = ComputeError::ModuleHash { expected: module };
            return Err(Broken::Module(wrong));
        }
        let mut file = cache.begin(module);
        loop {
            let (tag, payload) = worker.receive(&mut budget).await?;
            match tag {
                Tag::Output => file.write(&payload),
                Tag::Compiled => {
                    return Ok(match decode(&payload)? {
                        Compiled::All => {
                            file.keep();
                            Ok(None)
                        }
                        Compiled::OutsideProfile(what) => {
                            self.known.note_outside(module, &what);
                            Ok(Some(Outcome::outside_profile(&what)))
                        }
                        Compiled::Unpaid(cost) => {
                            self.known.note_cost(module, cost);
                            Ok(Some(Outcome::out_of_fuel_at_start(self.fuel)))
                        }
                        Compiled::Failed(what) => Err(ComputeError::Compile { what }),
                    });
                }
                tag => return Err(Broken::Protocol(format!("{tag:?} while compiling"))),
            }
        }
    }
}
