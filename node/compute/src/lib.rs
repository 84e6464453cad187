//! Runs WASI preview 1 commands so that every machine gets the same bytes, the same failure and the
//! same fuel.
//!
//! A [`Pool`] keeps a few worker processes warm. A [`Task`] says what to run and with which [`Limits`]; the pool gives it
//! to a worker, answers when the program reads, and passes on what it writes, piece by piece, so that neither side ever
//! holds a whole file. What comes back is an [`Outcome`]. A worker does nothing else: it has no key, no environment, no
//! network, and no file but a cache of compiled modules. [`worker_main`] is its main function; it talks with its parent
//! over standard input and output (`frame`).
//!
//! What a program may use and what it costs is the profile: the proposals (`features`), bounds (`bounds`), costs
//! (`costs`), the engine's configuration (`engine`) and the host functions (`wasi`). [`profile()`] is its name, and
//! [`check_module`] says whether a module is within it. Before a module is compiled it gets instructions that count its
//! stack (`stack`).
//!
//! Two kinds of failure must never be confused. A [`Failure`] comes from the program, is the same everywhere, and is
//! voted on. A [`ComputeError`] comes from this machine; the member then does not vote.
//!
//! # What a caller can rely on
//!
//! * **One profile, one result.** The same [`Task`] gives the same output, the same failure and the same fuel in every
//!   worker of a profile. Clocks show the time that the operation names, random bytes are a stream from a seed that all
//!   members know, and there is one thread.
//! * **A run has bounds before it begins**: fuel, memory, output and stack are in its [`Limits`]. Fuel is counted so that
//!   a unit takes at most [`UNIT_NANOSECONDS`]; so a run that reaches the limit of time shows that the machine is slow or
//!   busy, and is no failure of the program.
//! * **A worker may be lost.** One that breaks the protocol or takes too long is killed; its run ends with a
//!   [`ComputeError`], as if it had died by itself, and the next run gets a new worker. Nothing is tried again here,
//!   because only the caller can give the inputs again.
//! * **Workers cannot change what others run.** Each module is compiled in a process that runs no program; workers can
//!   only read what came of it.
//! * **Output may be taken back.** It goes to the caller while the program runs; if the run does not succeed, the caller
//!   is told to discard it.

mod arities;
mod bounds;
mod cache;
mod check;
mod compile;
mod conversation;
mod costs;
mod effort;
mod elaboration;
mod engine;
mod engine_calls;
mod error;
mod escape;
mod fault;
mod features;
#[cfg(test)]
mod fixture;
mod frame;
mod known;
mod labels;
mod limits;
mod local;
mod module_source;
mod opinion;
mod outcome;
mod pool;
mod pools;
mod profile;
mod profile_error;
mod program;
mod reserved;
mod run;
mod sandbox;
mod second;
mod sizes;
mod spawner;
mod stack;
mod startup;
mod stdio;
mod streams;
mod task;
mod trap;
mod turns;
mod versions;
mod wasi;
mod worker;
mod worker_handle;

pub use bounds::{
    MAX_AGAIN, MAX_ALIVE, MAX_COMPUTED, MAX_EFFORT, MAX_EXPORTS, MAX_FUNCTIONS, MAX_FUNCTION_BYTES,
    MAX_FUNCTION_LOCALS, MAX_FUNCTION_OPERATORS, MAX_GLOBALS, MAX_IMPORTS, MAX_JOINED_LOCALS,
    MAX_JOINS, MAX_LABELS, MAX_LABEL_ENTRIES, MAX_MODULE_BYTES, MAX_MOVED_VALUES,
    MAX_NESTED_LOCALS, MAX_NESTED_LOOPS, MAX_NESTING, MAX_SEGMENT_ELEMENTS, MAX_SHARES,
    MAX_SIGNATURE_VALUES, MAX_STACK, MAX_TABLE_ELEMENTS, MAX_TABLE_OPERATIONS, MAX_TYPES,
    MAX_VALUES,
};
pub use check::{check_module, compile_effort};
pub use costs::{
    compile_fuel, most_fuel, BLOCK_FUEL, BYTE_FUEL, CALL_FUEL, ITEM_FUEL, TIME_MARGIN,
    TOUCH_SECONDS, UNIT_NANOSECONDS,
};
pub use error::ComputeError;
pub use escape::escape_for_terminal;
pub use features::{proposals, proposals_off};
pub use local::Local;
pub use module_source::{ModuleBytes, ModuleSource};
pub use opinion::{HashedOutput, Opinion, Witnessed};
pub use outcome::{Failure, Notes, Outcome, Reason};
pub use pool::{Pool, PoolConfig};
pub use pools::Pools;
pub use profile::profile;
pub use profile_error::ProfileError;
pub use sandbox::{Guard, Sandbox};
pub use streams::OutputSink;
pub use task::{gate_seed, state_seed, Limits, Task};
pub use trap::OUTPUT_TRAP;
pub use versions::{WASMI_VERSION, WASMPARSER_VERSION, WASMTIME_VERSION};
pub use wasi::{import_names, imports, WASI_MODULE};
pub use worker::worker_main;
