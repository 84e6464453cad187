//! The same profile in this process: for tests, for measuring, and for trying a program out (`rings run --dry` and
//! `rings bench`).
//!
//! A [`Local`] compiles and runs in a thread with the stack of a worker, without a worker process, without a sandbox
//! and without a limit of time. Its results are those of a [`Pool`](crate::Pool), bit for bit, because both call
//! `run.rs`.

use crate::{
    bounds::RUN_STACK,
    error::ComputeError,
    fault::Fault,
    outcome::Outcome,
    program::Programs,
    run::run,
    second,
    stdio::{Channel, Stdio},
    task::Task,
};
use bytes::Bytes;
use std::io::{self, Read, Write};

/// Runs programs in this process, without a wall-clock limit and without a sandbox. Use it only for programs that you
/// trust, or whose fuel is small. The results are those of a [`crate::Pool`], bit for bit.
pub struct Local {
    programs: Programs,
}

impl Local {
    /// An engine of the profile.
    ///
    /// # Errors
    /// [`ComputeError::Compile`] when the engine does not run on this machine.
    pub fn new() -> Result<Self, ComputeError> {
        Programs::new(None)
            .map(|programs| Self { programs })
            .map_err(translate)
    }

    /// Runs a task, on a thread with as much stack as programs may need. `module` is compiled only the first time that
    /// its hash is seen.
    ///
    /// # Errors
    /// [`ComputeError`] when this machine cannot complete the run.
    pub fn run(
        &mut self,
        task: &Task,
        module: &[u8],
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<Outcome, ComputeError> {
        self.run_with_state(task, module, (input, output), (io::empty(), io::sink()))
    }

    /// As [`Self::run`], with a state and a place for the next one: each pair is what is read, and what is written.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_state(
        &mut self,
        task: &Task,
        module: &[u8],
        standard: (impl Read + Send + 'static, impl Write + Send + 'static),
        state: (impl Read + Send + 'static, impl Write + Send + 'static),
    ) -> Result<Outcome, ComputeError> {
        let loaded = self
            .programs
            .get(task.module, task.limits.fuel, || Ok(module.to_vec()))
            .map_err(|fault| named(fault, task))?;
        let streams = Box::new(LocalStreams::new(standard, state));
        let done = match loaded {
            Ok(program) => on_large_stack(move || run(&program, task, streams)),
            Err(unfit) => return Ok(unfit.outcome(task.limits.fuel)),
        };
        done.map_err(|fault| named(fault, task))
    }

    /// Runs a task on the second engine, which keeps nothing. `task.limits.fuel` counts in that engine's own units.
    ///
    /// # Errors
    /// [`ComputeError`] when this machine cannot complete the run.
    pub fn run_second(
        &mut self,
        task: &Task,
        module: &[u8],
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<Outcome, ComputeError> {
        let streams = LocalStreams::new((input, output), (io::empty(), io::sink()));
        second::run(module, task, Box::new(streams)).map_err(|fault| named(fault, task))
    }
}

/// Runs something on a thread of its own with the stack of a worker's.
fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(RUN_STACK);
        let thread = thread.spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Fault::Memory(format!("no thread: {error}")))?;
        let ended = thread.join();
        ended.map_err(|_| Fault::Internal("the program's thread panicked".into()))?
    })
}

/// By channel: what is read, and what is written.
struct LocalStreams {
    inputs: [Box<dyn Read + Send>; 2],
    outputs: [Box<dyn Write + Send>; 2],
}

impl LocalStreams {
    fn new(
        standard: (impl Read + Send + 'static, impl Write + Send + 'static),
        state: (impl Read + Send + 'static, impl Write + Send + 'static),
    ) -> Self {
        Self {
            inputs: [Box::new(standard.0), Box::new(state.0)],
            outputs: [Box::new(standard.1), Box::new(state.1)],
        }
    }
}

impl Stdio for LocalStreams {
    fn read(&mut self, channel: Channel) -> Result<Option<Bytes>, Fault> {
        let mut chunk = vec![0; crate::frame::CHUNK];
        let input = &mut self.inputs[channel as usize];
        let length = input.read(&mut chunk).map_err(stream)?;
        chunk.truncate(length);
        Ok(Some(chunk.into()).filter(|chunk: &Bytes| !chunk.is_empty()))
    }

    fn write(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), Fault> {
        let output = &mut self.outputs[channel as usize];
        output.write_all(bytes).map_err(stream)
    }
}

fn stream(error: std::io::Error) -> Fault {
    Fault::Closed(error.to_string())
}

fn named(fault: Fault, task: &Task) -> ComputeError {
    match fault {
        Fault::ModuleHash => ComputeError::ModuleHash {
            expected: task.module,
        },
        fault => translate(fault),
    }
}

/// A fault as a pool would report it.
fn translate(fault: Fault) -> ComputeError {
    match fault {
        Fault::Memory(what) => ComputeError::Memory { what },
        Fault::Compile(what) => ComputeError::Compile { what },
        Fault::Closed(what) => ComputeError::Output(std::io::Error::other(what)),
        fault => ComputeError::Protocol {
            what: fault.to_string(),
        },
    }
}
