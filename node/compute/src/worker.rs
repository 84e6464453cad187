//! The worker process, whole life: greet, then run one task after the other until the parent is gone.

use crate::{
    engine_id,
    frame::{decode, encode, Compiled, Hello, Pipe, Ready, Report, ReportedFault, Tag, CHUNK},
    profile::MACHINE_STACK,
    program::Programs,
    run::{run, Channel, Fault, Stdio},
    sandbox::{self, Sandbox},
    second, Failure, Outcome, Reason, Task,
};
use bytes::Bytes;
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
    thread,
};

/// Stack of the thread that runs programs: theirs, and room for the host functions that they call.
pub(crate) const STACK: usize = MACHINE_STACK + (4 << 20);

/// A worker that has asked the second engine, and whose own memory is more than this afterwards, is replaced: what a
/// translator has taken does not come back by itself.
const RETIRE_BYTES: u64 = 16 << 20;

/// The body of a worker process. It speaks with its parent on standard input and output, and ends when the parent
/// closes them.
///
/// What it leaves out is the point: it reads no environment, no file but the cache, and no key. Its parent
/// clears the environment and sets the working directory; the rest it gives up itself: open files, and with
/// seccomp and Landlock the means to open others, to reach a network or another process ([`Sandbox`]).
/// Call it first thing in `main`, before anything is opened and any thread is started.
pub fn worker_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "worker: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    sandbox::close_inherited()?;
    let pipe = Pipe::new(
        File::from(io::stdin().as_fd().try_clone_to_owned()?),
        File::from(io::stdout().as_fd().try_clone_to_owned()?),
    );
    let Some(hello) = greeting(&pipe)? else {
        return Ok(());
    };
    let own_memory = sandbox::OwnMemory::open();
    // The threads that are started below inherit it.
    let sandbox = sandbox::enter(hello.cache.as_deref())?;
    // The main thread's stack is whatever the user's limits say; programs get the same everywhere.
    thread::Builder::new()
        .name("program".into())
        .stack_size(STACK)
        .spawn(move || attend(&pipe, &hello, sandbox, own_memory))?
        .join()
        .map_err(|_| io::Error::other("the program's thread panicked"))?
}

/// The parent's first frame; `None` when it has none.
fn greeting(pipe: &Pipe) -> io::Result<Option<Hello>> {
    match pipe.receive()? {
        None => Ok(None),
        Some((Tag::Hello, payload)) => decode(&payload).map(Some),
        Some((tag, _)) => Err(unexpected(tag)),
    }
}

/// Serves the parent until it closes its end.
fn attend(
    pipe: &Pipe,
    hello: &Hello,
    sandbox: Sandbox,
    mut own_memory: sandbox::OwnMemory,
) -> io::Result<()> {
    let mut programs = Programs::new(hello.cache.as_deref()).map_err(io::Error::other)?;
    let engine = engine_id();
    pipe.send(Tag::Ready, &encode(&Ready { engine, sandbox })?)?;
    while let Some((tag, payload)) = pipe.receive()? {
        match tag {
            Tag::Run => {
                let result = perform(pipe, &mut programs, &decode(&payload)?);
                answer(pipe, result, false)?;
            }
            Tag::Compile => compile(pipe, &programs, &payload)?,
            Tag::Second => {
                let result = perform_second(pipe, &decode(&payload)?);
                answer(pipe, result, own_memory.bytes() > RETIRE_BYTES)?;
            }
            _ => return Err(unexpected(tag)),
        }
    }
    Ok(())
}

/// The second engine translates as it goes and keeps nothing: it is asked rarely.
fn perform_second(pipe: &Pipe, task: &Task) -> Result<Outcome, Fault> {
    grant_memory(task)?;
    let module = request_module(pipe)?;
    second::run(&module, task, Box::new(pipe.clone()))
}

fn grant_memory(task: &Task) -> Result<(), Fault> {
    sandbox::grant_memory(task.limits.memory)
        .map_err(|error| Fault::Memory(format!("cannot set the limit: {error}")))
}

fn perform(pipe: &Pipe, programs: &mut Programs, task: &Task) -> Result<Outcome, Fault> {
    grant_memory(task)?;
    let loaded = programs.get(task.module, || request_module(pipe))?;
    match loaded {
        Ok(program) => run(&program, task, Box::new(pipe.clone())),
        Err(error) => Ok(outside_profile(&error)),
    }
}

/// Compiles a module that the parent keeps.
fn compile(pipe: &Pipe, programs: &Programs, wasm: &[u8]) -> io::Result<()> {
    // The most that any process here may have, for the limit of a task is not known.
    sandbox::grant_memory(0)?;
    let ended = match programs.precompile(wasm) {
        Ok(Ok(bytes)) => {
            for piece in bytes.chunks(CHUNK) {
                pipe.send(Tag::Output, piece)?;
            }
            Compiled::All
        }
        Ok(Err(error)) => Compiled::OutsideProfile(error.to_string()),
        Err(fault) => Compiled::Failed(fault.to_string()),
    };
    pipe.send(Tag::Compiled, &encode(&ended)?)
}

/// A module outside the profile fails alike on every machine: it is a result.
pub(crate) fn outside_profile(error: &impl std::fmt::Display) -> Outcome {
    let text = format!("the module {error}").into_bytes();
    Outcome {
        result: Err(Failure::new(Reason::Input, text)),
        fuel: 0,
        memory: 0,
        output: 0,
    }
}

fn answer(pipe: &Pipe, result: Result<Outcome, Fault>, retire: bool) -> io::Result<()> {
    match result {
        Ok(outcome) => pipe.send(Tag::Done, &encode(&Report::new(outcome, retire))?),
        // Nobody is left to answer to.
        Err(Fault::Closed(what)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, what)),
        Err(fault) => pipe.send(Tag::Fault, &encode(&ReportedFault::from(fault))?),
    }
}

fn request_module(pipe: &Pipe) -> Result<Vec<u8>, Fault> {
    match ask(pipe, Tag::NeedModule)? {
        (Tag::Module, bytes) => Ok(bytes),
        (tag, _) => Err(refused(tag)),
    }
}

fn ask(pipe: &Pipe, question: Tag) -> Result<(Tag, Vec<u8>), Fault> {
    pipe.send(question, &[])
        .and_then(|()| pipe.receive())
        .map_err(closed)?
        .ok_or_else(|| Fault::Closed("the parent has closed its end".into()))
}

fn refused(tag: Tag) -> Fault {
    match tag {
        Tag::Abandon => Fault::Abandoned,
        tag => Fault::Closed(unexpected(tag).to_string()),
    }
}

fn closed(error: io::Error) -> Fault {
    Fault::Closed(error.to_string())
}

fn unexpected(tag: Tag) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected {tag:?}"))
}

impl Stdio for Pipe {
    fn read(&mut self, channel: Channel) -> Result<Option<Bytes>, Fault> {
        let question = match channel {
            Channel::Standard => Tag::NeedInput,
            Channel::State => Tag::NeedState,
        };
        match ask(self, question)? {
            (Tag::Input, bytes) => Ok(Some(bytes.into())),
            (Tag::End, _) => Ok(None),
            (tag, _) => Err(refused(tag)),
        }
    }

    fn write(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), Fault> {
        let tag = match channel {
            Channel::Standard => Tag::Output,
            Channel::State => Tag::NextState,
        };
        self.send(tag, bytes).map_err(closed)
    }
}
