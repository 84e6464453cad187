//! Several worker programs side by side, one for each profile.
//!
//! An operation names the profile that computes it, and a program computes exactly one. So a ring that changes to a new
//! version needs members that can compute with both for a while: [`Pools`] has the program's own pool, and one for each
//! further program of the configuration. All share one number of slots, so more profiles do not mean more processes at
//! work.

use crate::{
    error::ComputeError,
    pool::{Pool, PoolConfig},
};
use std::{path::PathBuf, sync::Arc};

/// The pools of a member: one of its own program, and one for each further worker program. Their runs share one number of
/// workers.
///
/// An operation names the profile that computes it; [`Self::of`] finds the pool, or says that this member has none.
pub struct Pools {
    own: Arc<Pool>,
    others: Vec<Arc<Pool>>,
}

impl Pools {
    /// Makes a pool of this program's own profile, and asks each of `programs` for its profile. They are started with the
    /// arguments that `config` has.
    ///
    /// # Errors
    /// When one of the programs cannot be started, or is not a worker.
    pub async fn start(config: PoolConfig, programs: &[PathBuf]) -> Result<Self, ComputeError> {
        let own = Arc::new(Pool::new(config.clone()));
        let mut pools = Self {
            own,
            others: Vec::new(),
        };
        for program in programs {
            let mut config = config.clone();
            config.command.0.clone_from(program);
            pools.add(config).await?;
        }
        Ok(pools)
    }

    async fn add(&mut self, config: PoolConfig) -> Result<(), ComputeError> {
        let program = config.command.0.clone();
        let pool = Pool::of_program(config, &self.own).await?;
        // A pool that is dropped here has started no worker.
        match self.of(pool.profile()) {
            Ok(_) => {
                tracing::warn!(program = %program.display(), profile = pool.profile(), "another worker program computes this profile already; this one is not used");
            }
            Err(_) => self.others.push(Arc::new(pool)),
        }
        Ok(())
    }

    /// The pool that computes a profile.
    ///
    /// # Errors
    /// [`ComputeError::NoProfile`] when there is none: this member declines.
    pub fn of(&self, profile: &str) -> Result<&Arc<Pool>, ComputeError> {
        self.all()
            .find(|pool| pool.profile() == profile)
            .ok_or_else(|| ComputeError::NoProfile {
                asked: profile.chars().take(MAX_PROFILE).collect(),
                have: self.profiles().map(ToOwned::to_owned).collect(),
            })
    }

    /// The pool of this program's own profile.
    pub fn own(&self) -> &Arc<Pool> {
        &self.own
    }

    /// All profiles that can be computed here, this program's own first.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.all().map(|pool| pool.profile())
    }

    /// How many runs wait for a worker.
    pub fn waiting(&self) -> usize {
        self.all().map(|pool| pool.waiting()).sum()
    }

    /// Ends all runs and all workers, and waits for that.
    pub async fn shutdown(&self) {
        // All pools are told first, because they share their slots.
        self.all().for_each(|pool| pool.close());
        for pool in self.all() {
            pool.shutdown().await;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Pool>> {
        std::iter::once(&self.own).chain(&self.others)
    }
}

/// Longest name of a profile that an error repeats, in characters.
const MAX_PROFILE: usize = 100;
