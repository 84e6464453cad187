//! The command line.

mod anvil;
mod args;
mod bench;
mod failure;
mod files;
mod history;
mod key;
mod member;
mod out;
mod ports;
mod process;
mod reference;
mod ringdir;
mod rings;
mod run;
mod show;
mod signals;
mod status;
mod up;
mod verify;
mod worker_pool;

use crate::node::Faults;
use args::{Cli, Command, GateCommand, LogCommand, RingCommand};
use clap::{CommandFactory, Parser};
use failure::{Failure, Status};
use out::Out;
use std::{future::Future, process::ExitCode};
use tokio::runtime::{Builder, Runtime};

/// Most threads of a node: its work is done by workers, which are other processes.
const NODE_THREADS: usize = 4;

/// The whole program. `faults` are those that a member of this process commits: none, outside of tests.
pub fn main(faults: Faults) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // It goes where clap wants it; a closed terminal is no reason to say more.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Status::Usage as u8));
        }
    };
    let out = Out::new(cli.quiet, cli.verbose);
    match dispatch(cli.command, faults, out) {
        Ok(code) => code,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.status() as u8)
        }
    }
}

fn dispatch(command: Command, faults: Faults, out: Out) -> Result<ExitCode, Failure> {
    match command {
        Command::Worker => return Ok(rings_compute::worker_main()),
        Command::Node(args) => wait(node_runtime()?, member::run(args, faults)),
        Command::Up(args) => wait(runtime()?, rings::up(args, out)),
        Command::Bench(args) => wait(runtime()?, bench::bench(args, out)),
        Command::Down(args) => wait(runtime()?, rings::down(args, out)),
        Command::Run(args) => wait(runtime()?, run::run(args, out)),
        Command::Deploy(args) => wait(runtime()?, rings::deploy(args, out)),
        Command::Completions { shell } => completions(shell, out),
        Command::Status(args) => wait(runtime()?, status::status(args, out)),
        Command::Verify(args) if args.history => wait(runtime()?, history::verify(args, out)),
        Command::Verify(args) => wait(runtime()?, verify::verify(args, out)),
        Command::Add(args) => wait(runtime()?, files::add(args, out)),
        Command::Cat(args) => wait(runtime()?, files::cat(args, out)),
        Command::Ring(RingCommand::Show(args)) => wait(runtime()?, show::ring(args, out)),
        Command::Gate(GateCommand::Show(args)) => wait(runtime()?, show::gate(args, out)),
        Command::Log(LogCommand::Show(args)) => wait(runtime()?, show::log(args, out)),
        Command::Key(command) => key::key(command, out),
        Command::Reference => out.bytes(reference::markdown().as_bytes()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: clap_complete::Shell, out: Out) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rings", &mut script);
    out.bytes(&script)
}

/// Runs a command to its end, and waits for nothing that it has left behind.
fn wait(
    runtime: Runtime,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::internal("cannot start").because(error))
}

fn node_runtime() -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.clamp(1, NODE_THREADS);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::internal("cannot start").because(error))
}
