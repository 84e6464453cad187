//! Runs WASI preview 1 commands so that every machine gets the same bytes, the same failure and the
//! same fuel.
//!
//! A [`Pool`] keeps a few worker processes warm. A worker compiles and runs programs, and does nothing
//! else: it has no key, no environment, no network, and no file but a cache of compiled modules. It
//! talks with its parent over its standard input and output ([`worker_main`] is its whole life), asks for
//! input when the program reads, and waits when its output is not taken, so that neither side ever
//! holds a whole file. What a program may use is fixed by the profile ([`check_module`], [`engine_id`]).
//!
//! Two kinds of failure must never be confused. A [`Failure`] is the program's own, is the same
//! everywhere, and is voted on. A [`ComputeError`] is this machine's, and is never a vote.

mod cache;
mod check;
mod compile;
mod error;
#[cfg(test)]
mod fixture;
mod frame;
mod limits;
mod local;
mod opinion;
mod pool;
mod profile;
mod program;
mod run;
mod sandbox;
mod second;
mod spawner;
mod stack;
mod task;
mod wasi;
mod worker;
mod worker_handle;

pub use check::{check_module, ProfileError};
pub use error::ComputeError;
pub use local::Local;
pub use opinion::{HashedOutput, Opinion, Witnessed};
pub use pool::{ModuleSource, OutputSink, Pool, PoolConfig};
pub use profile::{
    engine_id, proposals, proposals_off, MAX_FUNCTIONS, MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS,
    MAX_LABELS, MAX_MODULE_BYTES, MAX_NESTED_LOCALS, MAX_NESTING, MAX_PASSED_VALUES, MAX_STACK,
    MAX_TABLE_ELEMENTS, WASMTIME_VERSION,
};
pub use run::OUTPUT_TRAP;
pub use sandbox::{Guard, Sandbox};
pub use second::WASMI_VERSION;
pub use task::{Failure, Limits, Outcome, Reason, Task};
pub use wasi::{import_names, imports, BYTE_FUEL, CALL_FUEL, WASI_MODULE};
pub use worker::worker_main;
