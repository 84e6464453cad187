//! The host side of WASI preview 1: arguments, one clock, seeded random bytes, and streams.
//!
//! A program may import all 46 functions (`functions`), because the runtimes of Rust and Go import many that they never
//! call. Those that would need files, sockets or other processes always answer `ENOSYS`. No function asks the machine
//! anything: every answer follows from the task and the input.
//!
//! An engine calls a function through its linker (`first` for wasmtime, `second` for wasmi). Both wrap the caller as a
//! `Guest` (`memory`), which checks pointers and takes fuel, and make the call in `call`. What the host knows about the
//! run is in [`Host`].

mod args;
mod call;
mod clock;
mod errno;
mod fd;
mod first;
mod functions;
mod host;
mod memory;
mod poll;
mod process;
mod second;
mod signatures;
mod stop;

pub(crate) use first::{linker, Held};
pub use functions::imports;
pub(crate) use host::Host;
pub(crate) use second::{linker as second_linker, Held as SecondHeld};
pub use signatures::{import_names, WASI_MODULE};
pub(crate) use signatures::{signature, Signature};
pub(crate) use stop::Stop;

#[cfg(test)]
mod tests;
