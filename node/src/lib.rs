//! The command line: the commands of the program `rings`. The running member is the crate `rings-member`.
//!
//! [`main`] reads the arguments (`args/`) and calls the function of the command. What a command prints goes through
//! `out.rs`; how it fails is an `ExitError` (`exit.rs`) with one line for people and an exit status for scripts.
//!
//! * `up/` (with `anvil.rs`, `ports.rs`, `process.rs`) starts and stops a ring on this machine; `ringdir/` knows its
//!   directory.
//! * `run/` is `rings run`: from files to a gate, and from its result to standard output and receipt; `run/dry.rs` needs no
//!   ring.
//! * `requests/` shows requests without a gate; `proven.rs` compares proofs of their results with the chain, `voters.rs`
//!   and `ballots.rs` find who has voted for what in the logs, `asked.rs` what was asked.
//! * `log/` looks at members' logs, and proves what is in them.
//! * `verify/` computes results again, in workers of their own (`worker_pool.rs`), and checks proofs and accusations;
//!   `known.rs` finds a result on chain.
//! * `kept.rs` shows which client rings the members keep.
//! * `place.rs` finds the ring that a command looks at, in a directory or on a chain alone. `show.rs`, `status.rs`, `gates.rs`
//!   and `files.rs` show it; `deploy.rs` and `terms.rs` make rings on any chain, and `join.rs` a directory for one of others;
//!   `keeper.rs` changes who is a member, and `foretold.rs` says what that brings; `key.rs` is about keys.
//! * `store/` works on members' stores and backups.
//! * `services/` is about services and processes: it runs them here or on a ring, and traces results back to events.
//! * `avatar/` is for people who have no node: their logs, their actions, their rings.
//! * `node.rs` runs a member in this process, by the crate `rings-member`. `bench/` measures. `reference.rs` writes
//!   `docs/cli.md`, and `man.rs` the manual pages.

mod anvil;
mod args;
mod asked;
mod avatar;
mod ballots;
mod bench;
mod deploy;
mod ether;
mod exit;
mod files;
mod foretold;
mod gate_text;
mod gates;
mod heap;
mod input;
mod interrupted;
mod join;
mod keeper;
mod kept;
mod key;
mod known;
mod log;
mod man;
mod node;
mod out;
mod place;
mod ports;
mod process;
mod proven;
mod readers;
mod reference;
mod requests;
mod ringdir;
mod run;
mod services;
mod show;
mod signals;
mod status;
mod status_text;
mod store;
mod terms;
mod up;
mod verify;
mod voters;
mod votes;
mod when;
mod whole_file;
mod worker_pool;

use args::{Cli, Command, GateCommand};
use clap::{CommandFactory, Parser};
use exit::{ExitError, ExitStatus};
use out::Out;
use rings_member::{
    config::{unknown_variable, ConfigError},
    Faults,
};
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
            return ExitCode::from(
                u8::try_from(error.exit_code()).unwrap_or(ExitStatus::Usage as u8),
            );
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

/// The exit status when a connector cannot be started, as that of a shell.
const NOT_EXECUTABLE: u8 = 126;

/// Calls the function of the command. The worker comes first: it must not start a runtime or look at the environment.
fn dispatch(command: Command, faults: Faults, out: Out) -> Result<ExitCode, ExitError> {
    if matches!(command, Command::Worker) {
        return Ok(rings_compute::worker_main());
    }
    if let Command::Connector { program } = &command {
        // Nobody reads what a connector says to standard error; its exit status tells.
        drop(rings_member::connectors::become_connector(program));
        return Ok(ExitCode::from(NOT_EXECUTABLE));
    }
    check_environment()?;
    match command {
        Command::Worker | Command::Connector { .. } => Ok(()),
        Command::Guard(args) => wait(runtime()?, up::watch(args, out)),
        Command::Node(args) => {
            let heap = heap::settle();
            wait(node_runtime()?, node::run(args, faults, heap))
        }
        Command::Up(args) => wait(runtime()?, up::up(args, out)),
        Command::Bench(args) => wait(runtime()?, bench::bench(args, out)),
        Command::Down(args) => wait(runtime()?, up::down(args, out)),
        Command::Run(args) => wait(runtime()?, run::run(args, out)),
        Command::Deploy(args) => wait(runtime()?, deploy::deploy(args, out)),
        Command::Join(args) => wait(runtime()?, join::join(args, out)),
        Command::Completions { shell } => completions(shell, out),
        Command::Man(args) => man::man(&args, out),
        Command::Status(args) => wait(runtime()?, status::status(args, out)),
        Command::Verify(args) => wait(runtime()?, verify::verify(args, out)),
        Command::Add(args) => wait(runtime()?, files::add(args, out)),
        Command::Cat(args) => wait(runtime()?, files::cat(args, out)),
        Command::Ring(command) => wait(runtime()?, keeper::ring(command, out)),
        Command::Gate(GateCommand::Show(args)) => wait(runtime()?, show::gate(args, out)),
        Command::Gate(GateCommand::List(args)) => wait(runtime()?, gates::list(args, out)),
        Command::Request(command) => wait(runtime()?, requests::request(command, out)),
        Command::Log(command) => wait(runtime()?, log::log(command, out)),
        Command::Store(command) => wait(runtime()?, store::store(command, out)),
        Command::Backup(args) => wait(runtime()?, store::backup(args, out)),
        Command::Restore(args) => wait(runtime()?, store::restore(args, out)),
        Command::Avatar(command) => wait(runtime()?, avatar::avatar(command, out)),
        Command::Flush(args) => wait(runtime()?, avatar::flush(args, out)),
        Command::Replicate(args) => wait(runtime()?, avatar::replicate(args, out)),
        Command::Chat(args) => wait(runtime()?, avatar::chat(args, out)),
        Command::Key(command) => key::key(command, out),
        Command::Service(command) => wait(runtime()?, services::service(command, out)),
        Command::Process(command) => wait(runtime()?, services::process(command, out)),
        Command::Execution(command) => wait(runtime()?, services::execution(command, out)),
        Command::Emit(args) => wait(runtime()?, services::emit(args, out)),
        Command::Search(args) => wait(runtime()?, services::search(args, out)),
        Command::Trace(args) => wait(runtime()?, services::trace(args, out)),
        Command::Reference => out.bytes(reference::markdown().as_bytes()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: clap_complete::Shell, out: Out) -> Result<(), ExitError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "rings", &mut script);
    out.bytes(&script)
}

/// The commands without those that only this program calls.
fn visible() -> clap::Command {
    let all = Cli::command();
    let shown = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    clap::Command::new("rings")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(shown)
}

/// A variable that is nearly one of this program's is taken for a mistake, because what it should do would not be done.
fn check_environment() -> Result<(), ExitError> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    match names
        .filter_map(|name| unknown_variable([name]))
        .find(|unknown| unknown.meant.is_some())
    {
        Some(unknown) => Err(ConfigError::from(unknown).into()),
        None => Ok(()),
    }
}

/// Runs a command to its end, and waits for nothing that it has left behind.
fn wait(
    runtime: Runtime,
    command: impl Future<Output = Result<(), ExitError>>,
) -> Result<(), ExitError> {
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<Runtime, ExitError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| ExitError::internal("cannot start").because(error))
}

fn node_runtime() -> Result<Runtime, ExitError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.clamp(1, NODE_THREADS);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    runtime.map_err(|error| ExitError::internal("cannot start").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_name_every_command_but_those_that_are_hidden() {
        let mut script = Vec::new();
        let shell = clap_complete::Shell::Bash;
        clap_complete::generate(shell, &mut visible(), "rings", &mut script);
        let script = String::from_utf8(script).unwrap();
        for name in ["verify", "join", "gate", "--quiet"] {
            assert!(script.contains(name), "{name}");
        }
        for name in ["worker", "reference", "guard"] {
            assert!(!script.contains(name), "{name}");
        }
    }
}
