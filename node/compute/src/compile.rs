//! Compiling a module for the cache, in a process that does nothing else.
//!
//! A program that broke out of its engine would own its worker. So workers that run programs can only read the cache, and what is in it
//! comes from processes that have run none: each compiles one module, has no file at all, and ends. Its machine code goes through
//! this process into the cache, under the hash of the module that it was given, so that even a module that
//! broke the compiler could only spoil itself.

use crate::{
    cache::DiskCache,
    error::ComputeError,
    frame::{decode, Compiled, Tag},
    pool::{load, ModuleSource},
    spawner::Spawner,
    worker::outside_profile,
    worker_handle::{Broken, Budget, Worker},
    Outcome,
};
use bytes::Bytes;
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{path::Path, time::Duration};

/// What a compilation needs.
pub(crate) struct Compiler<'a> {
    /// Starts processes.
    pub spawner: &'a Spawner,
    /// What they are started with, for errors.
    pub command: &'a Path,
    /// The identity that they must have.
    pub engine: &'a str,
    /// Wall-clock time that one may take.
    pub limit: Duration,
}

impl Compiler<'_> {
    /// Makes sure that the cache has the module, as far as it can keep anything; several that need the same module wait for one.
    /// An outcome is that of a module outside the profile.
    ///
    /// # Errors
    /// A fault of this machine, or of `source`.
    pub(crate) async fn ensure(
        &self,
        cache: &DiskCache,
        module: Digest,
        source: &impl ModuleSource,
    ) -> Result<Option<Outcome>, ComputeError> {
        if cache.has(module) {
            return Ok(None);
        }
        // Without a lock nothing can be written either: the worker compiles for itself.
        let Some(_lock) = cache.lock(module).await else {
            return Ok(None);
        };
        if cache.has(module) {
            return Ok(None);
        }
        let bytes = load(source).await?;
        if Digest(Sha256::digest(&bytes).into()) != module {
            return Err(ComputeError::ModuleHash { expected: module });
        }
        let mut worker = Worker::start(self.spawner, self.command, None, self.engine).await?;
        match self.compile(&mut worker, cache, module, &bytes).await {
            Ok(ended) => {
                worker.dismiss().await;
                ended
            }
            Err(broken) => Err(worker.bury(broken, self.limit).await),
        }
    }

    async fn compile(
        &self,
        worker: &mut Worker,
        cache: &DiskCache,
        module: Digest,
        bytes: &Bytes,
    ) -> Result<Result<Option<Outcome>, ComputeError>, Broken> {
        let mut budget = Budget::new(self.limit);
        worker.send(&mut budget, Tag::Compile, bytes).await?;
        let mut entry = cache.begin(module);
        loop {
            let (tag, payload) = worker.receive(&mut budget).await?;
            match tag {
                Tag::Output => entry.write(&payload),
                Tag::Compiled => {
                    return Ok(match decode(&payload)? {
                        Compiled::All => {
                            entry.keep();
                            Ok(None)
                        }
                        Compiled::OutsideProfile(what) => Ok(Some(outside_profile(&what))),
                        Compiled::Failed(what) => Err(ComputeError::Compile { what }),
                    });
                }
                tag => return Err(Broken::Protocol(format!("{tag:?} while compiling"))),
            }
        }
    }
}
