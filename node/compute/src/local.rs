//! The same profile in this process: for tests, for measuring, and for trying a program out.

use crate::{
    error::ComputeError,
    program::Programs,
    run::{run, Fault, Stdio},
    second,
    worker::outside_profile,
    Outcome, Task,
};
use bytes::Bytes;
use std::io::{Read, Write};

/// Runs programs in this process, with no wall-clock limit: only for programs that one trusts to end, or
/// whose fuel is small. Results are those of a [`crate::Pool`], bit for bit.
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

    /// Runs a task. `module` is compiled only the first time that its hash is seen. Deep recursion of the
    /// program uses up to [`crate::MAX_WASM_STACK`] of the calling thread's stack.
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
        let loaded = self
            .programs
            .get(task.module, || Ok(module.to_vec()))
            .map_err(|fault| named(fault, task))?;
        match loaded {
            Ok(program) => run(&program, task, Box::new(Streams { input, output }))
                .map_err(|fault| named(fault, task)),
            Err(error) => Ok(outside_profile(&error)),
        }
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
        second::run(module, task, Box::new(Streams { input, output }))
            .map_err(|fault| named(fault, task))
    }
}

struct Streams<R, W> {
    input: R,
    output: W,
}

impl<R: Read + Send + 'static, W: Write + Send + 'static> Stdio for Streams<R, W> {
    fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut chunk = vec![0; crate::frame::CHUNK];
        let length = self.input.read(&mut chunk).map_err(stream)?;
        chunk.truncate(length);
        Ok(Some(chunk.into()).filter(|chunk: &Bytes| !chunk.is_empty()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.output.write_all(bytes).map_err(stream)
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
