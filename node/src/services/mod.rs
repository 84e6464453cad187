//! Services and processes: `rings service`, `rings process`, `rings execution`, `rings emit`, `rings search` and `rings trace`.
//!
//! `load.rs` reads definitions and the programs beside them; what is right and wrong in them, the crate `rings-process` says.
//! `check.rs` and `cases.rs` check and show, `init.rs` makes a beginning. `dev.rs` runs a process on this machine
//! (`local.rs`), with events as `dev_input.rs` reads them and connectors that `dev_external.rs` allows, and keeps what `trace.rs` needs (`records.rs`). On a ring,
//! `deploy.rs` puts definitions into its store (`instances.rs`) and has its members run a process; `processes.rs` shows and changes
//! those that they run. `emit.rs` tells of an event and follows what comes of it (`ring_desk.rs`); `list.rs` finds executions in
//! the logs, `ring.rs` what two thirds agreed on, `ring_records.rs` both of a whole trace; `said.rs` finds what members have said about external tasks. `operation.rs` has what a program reads, `lines.rs` how a run is told. `needs.rs` finds the services on which one depends. `registry.rs` is about the registry on chain.

mod cases;
mod check;
mod deploy;
mod dev;
mod dev_external;
mod dev_input;
mod dev_waits;
mod emit;
mod gate_records;
mod init;
mod instances;
mod lines;
mod list;
mod load;
mod local;
mod needs;
mod operation;
mod processes;
mod records;
mod registry;
mod ring;
mod ring_desk;
mod ring_records;
mod said;
mod trace;
mod trace_sources;

pub use emit::emit;
pub use records::DEFAULT_RECORDS;
pub use registry::search;
pub use trace::trace;

use crate::{
    args::{ExecutionCommand, ProcessCommand, ServiceCommand},
    exit::ExitError,
    out::Out,
};
use rings_api::processes::ProcessState;

/// `rings service`
///
/// # Errors
/// As each command.
pub async fn service(command: ServiceCommand, out: Out) -> Result<(), ExitError> {
    match command {
        ServiceCommand::Init(args) => init::init(args, out).await,
        ServiceCommand::Check(args) => check::service(args, out).await,
        ServiceCommand::Show(args) => check::show(args, out).await,
        ServiceCommand::Deploy(args) => deploy::service(args, out).await,
        ServiceCommand::Withdraw(args) => registry::withdraw(args, out).await,
        ServiceCommand::List(args) => processes::services(args, out).await,
        ServiceCommand::Hook(args) => processes::hook(&args, out),
    }
}

/// `rings process`
///
/// # Errors
/// As each command.
pub async fn process(command: ProcessCommand, out: Out) -> Result<(), ExitError> {
    match command {
        ProcessCommand::Check(args) => check::process(args, out).await,
        ProcessCommand::Dev(args) => dev::dev(args, out).await,
        ProcessCommand::Create(args) => deploy::process(args, out).await,
        ProcessCommand::List(args) => processes::list(args, out).await,
        ProcessCommand::Show(args) => processes::show(args, out).await,
        ProcessCommand::Pause(args) => processes::change(args, ProcessState::Paused, out).await,
        ProcessCommand::Resume(args) => processes::change(args, ProcessState::Active, out).await,
        ProcessCommand::Cancel(args) => processes::change(args, ProcessState::Cancelled, out).await,
    }
}

/// `rings execution`
///
/// # Errors
/// As each command.
pub async fn execution(command: ExecutionCommand, out: Out) -> Result<(), ExitError> {
    match command {
        ExecutionCommand::List(args) => list::list(args, out).await,
        ExecutionCommand::Show(args) => list::show(args, out).await,
    }
}
