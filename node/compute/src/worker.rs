//! The worker process: it greets its parent, then runs one task after the other until the parent is gone.
//!
//! [`worker_main`] closes inherited files, enters the sandbox (`sandbox/`), sends its profile, and waits for frames
//! (`frame.rs`). For a task it loads the module from the cache or asks the parent for it, runs it (`run.rs`, or
//! `second.rs` for a second opinion), and asks the parent for input and hands it output meanwhile. A worker that was
//! started to compile compiles one module, sends the machine code, and ends.

use crate::{
    bounds::RUN_STACK,
    fault::Fault,
    frame::{
        decode, encode, Compiled, Hello, Pipe, Ready, ReportedFault, RunReport, Tag, CHUNK,
        PROTOCOL,
    },
    outcome::Outcome,
    profile::profile,
    program::{Programs, Unfit},
    run::run,
    sandbox::{self, Sandbox},
    second,
    stdio::{Channel, Stdio},
    task::Task,
};
use bytes::Bytes;
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
    thread,
};

/// A worker that has more memory of its own than this after a run is replaced: neither the second engine's translator nor
/// a deep stack gives its memory back.
const RETIRE_BYTES: u64 = 64 << 20;
/// Runs that use less fuel cannot have taken so much memory, so it is not measured after them.
const LONG_RUN: u64 = 10_000_000;

/// The body of a worker process. It speaks with its parent on standard input and output, and ends when the parent
/// closes them.
///
/// It reads no environment, no key, and no file but the cache. Its parent clears the environment and sets the working
/// directory. The worker itself closes all other files, and gives up the right to open files and to reach a network or
/// another process (seccomp and Landlock, see [`Sandbox`]). Call it at the start of `main`, before anything is opened
/// and before any thread is started.
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
    // The main thread's stack depends on the user's limits, so programs run in a thread whose stack is the same
    // everywhere.
    thread::Builder::new()
        .name("program".into())
        .stack_size(RUN_STACK)
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
    let ready = Ready {
        protocol: PROTOCOL,
        profile: profile(),
        sandbox,
    };
    pipe.send(Tag::Ready, &encode(&ready)?)?;
    while let Some((tag, payload)) = pipe.receive()? {
        match tag {
            Tag::Run => {
                let result = perform(pipe, &mut programs, &decode(&payload)?);
                let retire = is_long(&result) && own_memory.bytes() > RETIRE_BYTES;
                answer(pipe, result, retire)?;
            }
            Tag::Compile => compile(pipe, &programs, &payload, hello.fuel)?,
            Tag::Second => {
                let result = perform_second(pipe, &decode(&payload)?);
                answer(pipe, result, own_memory.bytes() > RETIRE_BYTES)?;
            }
            _ => return Err(unexpected(tag)),
        }
    }
    Ok(())
}

/// Whether a run may have left much memory behind.
fn is_long(result: &Result<Outcome, Fault>) -> bool {
    result
        .as_ref()
        .is_ok_and(|outcome| outcome.fuel >= LONG_RUN)
}

/// The second engine is asked rarely, so it keeps nothing between two runs.
fn perform_second(pipe: &Pipe, task: &Task) -> Result<Outcome, Fault> {
    grant_memory(task)?;
    let module = request_module(pipe)?;
    second::run(&module, task, Box::new(pipe.clone()))
}

fn grant_memory(task: &Task) -> Result<(), Fault> {
    sandbox::grant_memory(task.limits.memory)
        .map_err(|error| Fault::Memory(format!("cannot set the limit: {error}")))
}

/// One task: memory first, then the module (from the cache, or asked for), then the run. A module outside the profile is
/// the program's failure, not this machine's.
fn perform(pipe: &Pipe, programs: &mut Programs, task: &Task) -> Result<Outcome, Fault> {
    grant_memory(task)?;
    let loaded = programs.get(task.module, task.limits.fuel, || request_module(pipe))?;
    match loaded {
        Ok(program) => run(&program, task, Box::new(pipe.clone())),
        Err(unfit) => Ok(unfit.outcome(task.limits.fuel)),
    }
}

/// Compiles a module that the parent keeps, if that much fuel pays for it.
fn compile(pipe: &Pipe, programs: &Programs, wasm: &[u8], fuel: Option<u64>) -> io::Result<()> {
    // The most memory that any worker may have, because the limit of a task is not known here.
    sandbox::grant_memory(0)?;
    let ended = match programs.precompile(wasm, fuel.unwrap_or(u64::MAX)) {
        Ok(Ok(bytes)) => {
            for piece in bytes.chunks(CHUNK) {
                pipe.send(Tag::Output, piece)?;
            }
            Compiled::All
        }
        Ok(Err(Unfit::Profile(error))) => Compiled::OutsideProfile(error.to_string()),
        Ok(Err(Unfit::Unpaid(cost))) => Compiled::Unpaid(cost),
        Err(fault) => Compiled::Failed(fault.to_string()),
    };
    pipe.send(Tag::Compiled, &encode(&ended)?)
}

fn answer(pipe: &Pipe, result: Result<Outcome, Fault>, retire: bool) -> io::Result<()> {
    match result {
        Ok(outcome) => pipe.send(Tag::Done, &encode(&RunReport::new(outcome, retire))?),
        // The parent is gone, so nobody waits for an answer.
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
