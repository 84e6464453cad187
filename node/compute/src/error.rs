//! Faults of this machine, which are never votes.

use rings_protocol::Digest;
use std::{error::Error, io, path::PathBuf, time::Duration};

/// A run that this machine could not complete. It says nothing about the program: no vote follows.
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
    /// The worker was built from other sources than this process.
    #[error("the worker's engine is {theirs}, this node's is {ours}; restart the node, its program file was replaced")]
    Engine {
        /// What this process would run.
        ours: String,
        /// What the worker runs.
        theirs: String,
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
    /// Compiling the module took too long, more than once. It is not tried again before this process is started anew.
    #[error("compiling the program needs more than {} s here, and was given up; it may be made for that", .limit.as_secs())]
    CompileTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The worker broke the protocol, and was killed.
    #[error("the worker sent what it should not: {what}")]
    Protocol {
        /// What it did.
        what: String,
    },
    /// This machine had not the memory that the operation grants.
    #[error("this machine lacks memory for the run: {what}")]
    Memory {
        /// What could not be had.
        what: String,
    },
    /// The engine could not compile the module or set it up.
    #[error("the engine could not prepare the module: {what}")]
    Compile {
        /// What the engine said.
        what: String,
    },
    /// The module could not be had.
    #[error("the module could not be loaded")]
    Module(#[source] Box<dyn Error + Send + Sync>),
    /// The module that was loaded has another hash than the task names.
    #[error("the module's bytes do not hash to {expected}; the block source is corrupt")]
    ModuleHash {
        /// The hash that the task names.
        expected: Digest,
    },
    /// The module is larger than any that is accepted, so that it cannot even be handed to a worker.
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
    #[error("the program's output could not be kept")]
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
            Self::Engine { .. }
                | Self::Compile { .. }
                | Self::CompileTimeout { .. }
                | Self::ModuleTooLarge { .. }
                | Self::Closed
        )
    }
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
