//! The host side of WASI preview 1: arguments, one clock, seeded random bytes, three streams.
//!
//! All 46 functions exist, because the runtimes of Rust and Go import functions that they never call.
//! Those that would need files, sockets or other processes answer [`Errno::NOSYS`], always.
//! Nothing here asks the machine anything: every answer follows from the task and the input.

mod args;
mod clock;
mod errno;
mod fd;
mod memory;
mod poll;
mod process;
mod signatures;
mod state;

pub(crate) use errno::{Errno, Halt};
pub use signatures::import_names;
pub(crate) use signatures::{signature, Signature};
pub(crate) use state::{State, Stop};

use memory::Guest;
use signatures::SIGNATURES;
use wasmtime::{Caller, Engine, FuncType, Linker, Trap, Val};

/// The module that programs import WASI preview 1 from.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";
/// Fuel for each call of a host function.
pub const CALL_FUEL: u64 = 100;
/// Fuel for each byte that a host function reads or writes for the program.
pub const BYTE_FUEL: u64 = 1;
/// Rises whenever an answer or a charge in here changes; part of the engine's identity.
pub(crate) const VERSION: u32 = 1;

/// What a host function answers: nothing more than "done", an errno, or the end of the run.
type Answer = Result<(), Halt>;
/// A host function: the guest, and the arguments in the order and width of its signature.
type Function = fn(&mut Guest<'_>, &Arguments<'_>) -> Answer;

/// The arguments of one call. A position that the signature lacks reads as 0.
struct Arguments<'a>(&'a [Val]);

impl Arguments<'_> {
    /// A pointer, length, descriptor or flags.
    fn u32(&self, index: usize) -> u32 {
        self.0
            .get(index)
            .and_then(Val::i32)
            .map_or(0, |value| value as u32)
    }
}

/// The functions that do something. All others in [`SIGNATURES`] answer [`Errno::NOSYS`].
const FUNCTIONS: &[(&str, Function)] = &[
    ("args_get", args::args_get),
    ("args_sizes_get", args::args_sizes_get),
    ("environ_get", args::environ_get),
    ("environ_sizes_get", args::environ_sizes_get),
    ("clock_res_get", clock::clock_res_get),
    ("clock_time_get", clock::clock_time_get),
    ("fd_close", fd::fd_close),
    ("fd_fdstat_get", fd::fd_fdstat_get),
    ("fd_filestat_get", fd::fd_filestat_get),
    ("fd_prestat_get", fd::fd_prestat_get),
    ("fd_prestat_dir_name", fd::fd_prestat_get),
    ("fd_read", fd::fd_read),
    ("fd_seek", fd::fd_seek),
    ("fd_tell", fd::fd_seek),
    ("fd_write", fd::fd_write),
    ("poll_oneoff", poll::poll_oneoff),
    ("proc_exit", process::proc_exit),
    ("random_get", process::random_get),
    ("sched_yield", process::sched_yield),
];

fn absent(_: &mut Guest<'_>, _: &Arguments<'_>) -> Answer {
    Err(Errno::NOSYS.into())
}

/// A linker with every function of WASI preview 1.
///
/// # Errors
/// When the engine refuses a definition, which would be a defect of the table.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for signature in SIGNATURES {
        let function = FUNCTIONS
            .iter()
            .find(|(name, _)| *name == signature.name)
            .map_or(absent as Function, |(_, function)| *function);
        let ty = FuncType::new(
            engine,
            signature.engine_params(),
            signature.engine_results(),
        );
        linker.func_new(WASI_MODULE, signature.name, ty, move |caller, args, out| {
            call(function, caller, args, out)
        })?;
    }
    Ok(linker)
}

fn call(
    function: Function,
    caller: Caller<'_, State>,
    args: &[Val],
    out: &mut [Val],
) -> wasmtime::Result<()> {
    let mut guest = Guest::new(caller)?;
    let answer = guest
        .charge(CALL_FUEL)
        .and_then(|()| function(&mut guest, &Arguments(args)));
    let errno = match answer {
        Ok(()) => 0,
        Err(Halt::Errno(errno)) => errno.code(),
        Err(Halt::End(error)) => return Err(error),
    };
    if let Some(out) = out.first_mut() {
        *out = Val::I32(errno);
    }
    Ok(())
}

impl From<Trap> for Halt {
    fn from(trap: Trap) -> Self {
        Self::End(trap.into())
    }
}

#[cfg(test)]
mod tests;
