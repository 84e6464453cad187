//! Errors of this machine. No vote follows from them.
//!
//! A [`ComputeError`] says why a run could not be completed here: the worker died, the time was up, memory was short,
//! the input could not be read. What the program did wrong itself is a [`Failure`](crate::Failure) and never stands
//! here. [`ComputeError::is_transient`] says whether the same run may succeed when it is tried again, and
//! [`ComputeError::is_declined`] whether this machine will never do it, so that the member declines and shows why.

use rings_protocol::Digest;
use std::{error::Error, io, path::PathBuf, time::Duration};

/// Why this machine could not complete a run. It says nothing about the program, so no vote follows.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The worker process could not be started.
    #[error("cannot start the worker {command}; check that the file exists and may be executed")]
    Spawn {
        /// The command.
        command: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The worker computes another profile than its pool.
    #[error("the worker computes the profile {found}, and not {expected}; its program file was replaced: restart the node")]
    Profile {
        /// The pool's profile.
        expected: String,
        /// The worker's profile.
        found: String,
    },
    /// The worker ended in the middle of its work: killed, out of memory, or broken.
    #[error("the worker died ({status}){}", said(.stderr))]
    Died {
        /// How it ended.
        status: String,
        /// The end of what it wrote to its standard error.
        stderr: String,
    },
    /// The worker needed longer than the wall-clock limit, and was killed.
    #[error("the worker needed more than {} s and was stopped; this machine is too slow or too busy for the program's fuel", .limit.as_secs())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Compiling the module took too long, more than once. It is not tried again until this process is restarted.
    #[error("compiling the program takes more than {} s on this machine, and is not tried again until the node restarts", .limit.as_secs())]
    CompileTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The compiler's process died while compiling the module, more than once. It is not tried again until this process
    /// is restarted.
    #[error("the compiler of the program died more than once on this machine ({status}); it is not tried again until the node restarts")]
    CompilerDied {
        /// How the last one ended.
        status: String,
    },
    /// No worker program computes the profile that the operation names.
    #[error("no worker here computes the profile {asked}; this member computes {}; see [compute] profiles", .have.join(", "))]
    NoProfile {
        /// The profile that is asked for.
        asked: String,
        /// The profiles that are there.
        have: Vec<String>,
    },
    /// The input came too slowly, or the output was taken too slowly.
    #[error("the program waited more than {} s for its input, and was stopped; check the block source", .limit.as_secs())]
    InputTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The worker broke the protocol, and was killed.
    #[error("the worker broke the protocol: {what}; if this happens again, report it")]
    Protocol {
        /// What it did.
        what: String,
    },
    /// This machine does not have the memory that the operation grants.
    #[error("this machine lacks memory for the run: {what}")]
    Memory {
        /// What was not available.
        what: String,
    },
    /// The engine could not compile the module or set it up.
    #[error("the engine could not prepare the module: {what}")]
    Compile {
        /// What the engine said.
        what: String,
    },
    /// The module could not be loaded.
    #[error("the module could not be loaded")]
    Module(#[source] Box<dyn Error + Send + Sync>),
    /// The module that was loaded has another hash than the task names.
    #[error("the module's bytes do not hash to {expected}; the block source is corrupt")]
    ModuleHash {
        /// The hash that the task names.
        expected: Digest,
    },
    /// The module is larger than any that is accepted, so it is not handed to a worker.
    #[error("the module has {length} bytes; at most {limit} are accepted")]
    ModuleTooLarge {
        /// Its length in bytes.
        length: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The input could not be read.
    #[error("the program's input could not be read")]
    Input(#[source] io::Error),
    /// The output could not be written.
    #[error("the program's output could not be stored")]
    Output(#[source] io::Error),
    /// The pool is shutting down.
    #[error("the workers are shutting down")]
    Closed,
}

impl ComputeError {
    /// A module source's own error.
    pub fn module(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Module(error.into())
    }

    /// Whether the same run may succeed when it is tried again on this machine.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self,
            Self::Profile { .. }
                | Self::Compile { .. }
                | Self::CompileTimeout { .. }
                | Self::CompilerDied { .. }
                | Self::NoProfile { .. }
                | Self::ModuleTooLarge { .. }
                | Self::Closed
        )
    }
}

impl ComputeError {
    /// Whether this machine declines the program: another try here will not succeed, though other machines may do it.
    pub fn is_declined(&self) -> bool {
        matches!(
            self,
            Self::Compile { .. }
                | Self::CompileTimeout { .. }
                | Self::CompilerDied { .. }
                | Self::NoProfile { .. }
                | Self::ModuleTooLarge { .. }
        )
    }
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
