//! The host side of WASI preview 1: arguments, one clock, seeded random bytes, three streams.
//!
//! All 46 functions exist, because the runtimes of Rust and Go import functions that they never call.
//! Those that would need files, sockets or other processes answer [`Errno::NOSYS`], always.
//! Nothing here asks the machine anything: every answer follows from the task and the input.

mod args;
mod clock;
mod errno;
mod fd;
mod first;
mod memory;
mod poll;
mod process;
mod second;
mod signatures;
mod state;

pub(crate) use errno::{Errno, Halt};
pub use signatures::import_names;
pub(crate) use signatures::{signature, Signature};
pub(crate) use state::{State, Stop};

pub(crate) use first::{linker, Held};
pub(crate) use second::{linker as second_linker, Held as SecondHeld};

use memory::{Engine, Guest};
use signatures::SIGNATURES;

/// The module that programs import WASI preview 1 from.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";
/// Fuel for each call of a host function.
pub const CALL_FUEL: u64 = 100;
/// Fuel for each byte that a host function reads or writes for the program.
pub const BYTE_FUEL: u64 = 1;
/// Rises whenever an answer or a charge in here, or what counts as a failure, changes; part of the engine's identity.
pub(crate) const VERSION: u32 = 3;

/// What a host function answers: nothing more than "done", an errno, or the end of the run.
type Answer = Result<(), Halt>;
/// A host function: the guest, and the arguments in the order and width of its signature.
type Function = fn(&mut Guest<'_>, &Arguments) -> Answer;

/// Most parameters that a function has.
const MAX_PARAMS: usize = 9;

/// The arguments of one call. A position that the signature lacks reads as 0, and so does one of 64 bits: no
/// function here looks at those.
struct Arguments([u32; MAX_PARAMS]);

impl Arguments {
    /// The arguments, of which those that are not of 32 bits are `None`.
    fn new(values: impl Iterator<Item = Option<i32>>) -> Self {
        let mut arguments = [0; MAX_PARAMS];
        for (argument, value) in arguments.iter_mut().zip(values) {
            *argument = value.unwrap_or(0) as u32;
        }
        Self(arguments)
    }

    /// A pointer, length, descriptor or flags.
    fn u32(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// A function that does something.
struct Entry {
    name: &'static str,
    function: Function,
    /// What it answers, for the documentation.
    answer: &'static str,
}

const fn entry(name: &'static str, function: Function, answer: &'static str) -> Entry {
    Entry {
        name,
        function,
        answer,
    }
}

/// The functions that do something. All others in [`SIGNATURES`] answer [`Errno::NOSYS`].
const FUNCTIONS: &[Entry] = &[
    entry(
        "args_get",
        args::args_get,
        "the arguments, each ended by a zero byte",
    ),
    entry(
        "args_sizes_get",
        args::args_sizes_get,
        "how many arguments, and how many bytes",
    ),
    entry(
        "environ_get",
        args::environ_get,
        "nothing: the environment is empty",
    ),
    entry("environ_sizes_get", args::environ_sizes_get, "0 and 0"),
    entry(
        "clock_res_get",
        clock::clock_res_get,
        "one second, for clocks 0 to 3; `EINVAL` for others",
    ),
    entry(
        "clock_time_get",
        clock::clock_time_get,
        "the block's time and what the program has slept, for clocks 0 to 3; `EINVAL` for others",
    ),
    entry(
        "fd_close",
        fd::fd_close,
        "closes an open descriptor for good; `EBADF` for others",
    ),
    entry(
        "fd_fdstat_get",
        fd::fd_fdstat_get,
        "for open descriptors: of unknown type, without flags; `EBADF` for others",
    ),
    entry(
        "fd_filestat_get",
        fd::fd_filestat_get,
        "for open descriptors: of unknown type, all else 0; `EBADF` for others",
    ),
    entry(
        "fd_prestat_get",
        fd::fd_prestat_get,
        "`EBADF`: no directory is open",
    ),
    entry(
        "fd_prestat_dir_name",
        fd::fd_prestat_get,
        "`EBADF`: no directory is open",
    ),
    entry(
        "fd_read",
        fd::fd_read,
        "fills all buffers unless the stream ends, on 0 and 3; `EBADF` on others",
    ),
    entry(
        "fd_seek",
        fd::fd_seek,
        "`ESPIPE` on open descriptors; `EBADF` on others",
    ),
    entry(
        "fd_tell",
        fd::fd_seek,
        "`ESPIPE` on open descriptors; `EBADF` on others",
    ),
    entry(
        "fd_write",
        fd::fd_write,
        "takes all of it, on 1, 2 and 4; `EBADF` on others",
    ),
    entry(
        "poll_oneoff",
        poll::poll_oneoff,
        "at once: streams are ready; if there are only clocks, time moves to the first deadline",
    ),
    entry(
        "proc_exit",
        process::proc_exit,
        "ends the run with that status",
    ),
    entry(
        "random_get",
        process::random_get,
        "the next bytes of the seed's ChaCha20 stream",
    ),
    entry("sched_yield", process::sched_yield, "success"),
];

/// What all others answer.
const ABSENT: &str = "`ENOSYS`, whatever the arguments";

fn absent(_: &mut Guest<'_>, _: &Arguments) -> Answer {
    Err(Errno::NOSYS.into())
}

/// Every function of the standard with what it does.
fn functions() -> impl Iterator<Item = (&'static Signature, Function)> {
    SIGNATURES.iter().map(|signature| {
        let function = known(signature).map_or(absent as Function, |entry| entry.function);
        (signature, function)
    })
}

fn known(signature: &Signature) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.name == signature.name)
}

/// Every function that a program may import: its name, its type, and in words what it answers.
pub fn imports() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    SIGNATURES.iter().map(|signature| {
        let answer = known(signature).map_or(ABSENT, |entry| entry.answer);
        (signature.name, signature.to_string(), answer)
    })
}

/// One call, whichever engine makes it: the errno for the program, or the end of the run.
fn call(function: Function, engine: &mut dyn Engine, args: &Arguments) -> Result<i32, Stop> {
    let mut guest = Guest::new(engine);
    let answer = guest
        .charge(CALL_FUEL)
        .and_then(|()| function(&mut guest, args));
    match answer {
        Ok(()) => Ok(0),
        Err(Halt::Errno(errno)) => Ok(errno.code()),
        Err(Halt::Stop(stop)) => Err(stop),
    }
}

#[cfg(test)]
mod tests;
