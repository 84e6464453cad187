//! The command line as it is written: commands, options, and an example for each.
//!
//! [`Cli`] is all of it. The options of a command are a struct in the file of its kind: `run.rs`, `make.rs` (commands that
//! make a ring or its directory), `look.rs`, `log.rs`, `keep.rs` (a keeper's work), `key.rs`, `avatar.rs`, and `place.rs` for where a ring is. Values with units or bounds are
//! read by `values.rs`.

mod avatar;
mod keep;
mod key;
mod log;
mod look;
mod make;
mod place;
mod registry;
mod request;
mod run;
mod service;
mod store;
mod subject;
pub mod values;

pub use avatar::{
    AddDeviceArgs, AppendArgs, ApproveArgs, AvatarArgs, AvatarCommand, AvatarRestoreArgs,
    AvatarShowArgs, ChatArgs, DeviceArgs, FlushArgs, LeaveArgs, RecoverArgs, ReplicateArgs,
};
pub use keep::{
    CreateRingArgs, KeepArgs, LineArgs, MemberArgs, PrivateArgs, ReaderArgs, ReplaceArgs,
    RingCommand, RotateArgs,
};
pub use key::{ExportArgs, ImportArgs, KeyArgs, KeyCommand, NewKeyArgs};
pub use log::{ExportLogArgs, FollowArgs, LogArgs, LogCommand, ProveArgs, VerifyLogArgs};
pub use look::{GateArgs, GateCommand, GateListArgs, ListedState, VerifyArgs};
pub use make::{
    BenchArgs, BenchClientsArgs, BenchCommand, BenchLogsArgs, BenchProcessesArgs, DeployArgs,
    DownArgs, JoinArgs, UpArgs,
};
pub use place::{PlaceArgs, ShowArgs};
pub use registry::{RegisterArgs, SearchArgs, WithdrawArgs};
pub use request::{RequestArgs, RequestCommand, RequestListArgs, RequestProofArgs};

use place::DirArg;
pub use run::RunArgs;
pub use service::{
    ChangeProcessArgs, CreateProcessArgs, DefinitionArgs, DeployServiceArgs, DevArgs, EmitArgs,
    ExecutionArgs, ExecutionCommand, ExecutionListArgs, HookArgs, InitArgs, InstallationId,
    Language, NamedFile, ProcessCheckArgs, ProcessCommand, ProcessListArgs, ProcessShowArgs,
    ServiceCommand, ServiceListArgs, TraceArgs,
};
pub use store::{
    BackupArgs, ExportStoreArgs, ImportStoreArgs, RestoreArgs, StoreArgs, StoreCommand, WhoArgs,
};
pub use subject::Subject;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use rings_member::config::LogLevel;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
DIR is --dir, else $RINGS_DIR, else ./.rings.

Exit status:
  0  done; of run: the ring agreed, and the result is on chain (with --no-wait: two thirds have voted)
  1  a fault of this program or machine; of verify: the result on chain is wrong, or a file proves nothing
  2  usage: wrong option, no such file, not a WASM module
  3  the ring agreed that the program failed
  4  no quorum in time; the gate or request stays, and resolves when members return
  5  chain, store or member cannot be reached, or refuse

Example: echo hello | rings run wc.wasm";

/// A ring of machines runs a program, agrees on its output, and puts it on a chain.
#[derive(Debug, Parser)]
#[command(name = "rings", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Show the causes of an error
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a ring on this machine: a chain, the contracts, and one process per member
    #[command(after_help = "Example: rings up --members 7 --dir /tmp/ring --detach")]
    Up(UpArgs),
    /// Stop the ring in DIR: its members, then its chain
    #[command(after_help = "Example: rings down --dir /tmp/ring")]
    Down(DownArgs),
    /// Show chain, members and gates of the ring in DIR
    #[command(after_help = "Example: rings status --json | jq .members")]
    Status(ShowArgs),
    /// Run a program on the ring in DIR, or on a throw-away ring when there is none
    #[command(
        after_help = "Example: cat a.txt b.txt | rings run sort.wasm -r | rings run wc.wasm\nExample: rings run --no-gate --proof result.proof --input a.txt wc.wasm && rings verify result.proof"
    )]
    Run(RunArgs),
    /// Repeat a result from chain and blocks alone, and name members that voted for another; or check a file
    #[command(
        after_help = "Status 0 when what is looked at is right, 1 when it is not, 2 when the file is of no such kind.\n\nExample: rings verify 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --accuse liar.accusation\nExample: rings verify liar.accusation"
    )]
    Verify(VerifyArgs),
    /// Put a file into the ring's store and print its CID (the one of `ipfs add`)
    #[command(after_help = "Example: rings add report.pdf")]
    Add(AddArgs),
    /// Write a file of the ring's store to standard output; every block is hashed
    #[command(
        after_help = "Example: rings cat QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o > hello.txt"
    )]
    Cat(CatArgs),
    /// Run one member, for a real deployment
    #[command(after_help = "Example: rings node --config /etc/rings/node.toml")]
    Node(NodeArgs),
    /// Deploy engine, scope and ring on any chain, print their addresses, and make a directory for the ring
    #[command(
        after_help = "Example: rings deploy --rpc https://chain.example --key key.json --members members.txt"
    )]
    Deploy(DeployArgs),
    /// Make a directory for a ring that others run, from the chain alone
    #[command(
        after_help = "Example: rings join --rpc https://chain.example --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --member http://a.example:7545 --token a.token"
    )]
    Join(JoinArgs),
    /// Measure this machine: what a result costs, beside its lower bound
    #[command(after_help = "Example: rings bench --json > bench.json")]
    Bench(BenchArgs),
    /// Look at the ring, and keep it
    #[command(subcommand)]
    Ring(RingCommand),
    /// Look at gates
    #[command(subcommand)]
    Gate(GateCommand),
    /// Look at requests without a gate, and get proofs of their results
    #[command(subcommand)]
    Request(RequestCommand),
    /// Look at a member's log, and prove what is in it
    #[command(subcommand)]
    Log(LogCommand),
    /// Collect, check, repair, export and import the blocks of members
    #[command(subcommand)]
    Store(StoreCommand),
    /// Copy what members must not lose into one file, while they run: state, logs, files that were added, keys
    #[command(
        after_help = "The file is a tar archive. It holds keys unless --without-keys is given: keep it secret.\n\nExample: rings backup ring.tar --member 0"
    )]
    Backup(BackupArgs),
    /// Put members of a backup back whose data are lost; they sign nothing before the others have said where their logs end
    #[command(
        after_help = "A member whose data are there is left as it is. Never start a member twice, from two copies of its data.\n\nExample: rings restore ring.tar --member 0"
    )]
    Restore(RestoreArgs),
    /// Make, show, import and export keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make and show avatars: people who act without a node and without ether
    #[command(subcommand)]
    Avatar(AvatarCommand),
    /// Bring an avatar's log, and a call of its account, to the chain through a member that pays
    #[command(
        after_help = "Prints the transaction.\n\nExample: rings flush --key alice.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --to 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 --data 0xa9059cbb"
    )]
    Flush(FlushArgs),
    /// Have the members of the ring in DIR keep the logs of an avatar's ring
    #[command(
        after_help = "Prints the transaction.\n\nExample: rings replicate --key alice.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Replicate(ReplicateArgs),
    /// Talk in an avatar's ring: on a terminal a screen, else lines
    #[command(
        after_help = "Commands in it: /name NAME, /call NAME 0xADDRESS, /also 0xADDRESS, /who, /flush, /help, /quit.\nWith --json each event is a line of JSON.\n\nExample: rings chat --key alice.json --line alice.line --name alice"
    )]
    Chat(ChatArgs),
    /// Make, check and deploy services: tasks, and events that start processes
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Check, try out and create processes: when this happens, these tasks run
    #[command(subcommand)]
    Process(ProcessCommand),
    /// Look at executions of processes on a ring
    #[command(subcommand)]
    Execution(ExecutionCommand),
    /// Tell the ring in DIR that something happened, and show what follows
    #[command(
        after_help = "The same event again finds the results that are there; it is another one with --again.\n\nExample: rings emit 0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 charged '{\"kwh\": 7}'"
    )]
    Emit(EmitArgs),
    /// Search the chain's registry of services and processes by their names
    #[command(
        after_help = "What is found is the word of the account that registered it; look at who that is.\n\nExample: rings search car"
    )]
    Search(SearchArgs),
    /// Go from a result of a process back to its event, and check every hash on the way
    #[command(
        after_help = "Status 0 when the result follows from its event, 1 when it does not. Each step that a ring agreed on can be computed again: `rings verify REQUEST`.\n\nExample: rings trace QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
    )]
    Trace(TraceArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example: rings completions bash > /etc/bash_completion.d/rings")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of a command, or write those of all commands into a directory
    #[command(after_help = "Example: rings man --out /usr/local/share/man/man1")]
    Man(ManArgs),
    /// Stop what another command has started, when that command ends without doing so
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Run programs for a node, over standard input and output
    #[command(hide = true)]
    Worker,
    /// Become a connector of an external task, and end when the process that started this one ends
    #[command(hide = true)]
    Connector {
        /// Its program
        program: PathBuf,
    },
    /// Write this reference of commands as Markdown
    #[command(hide = true)]
    Reference,
}

/// Options of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// The file; - is standard input
    pub file: PathBuf,
    /// Write JSON: the CID and the number of bytes
    #[arg(long)]
    pub json: bool,
}

/// Options of `cat`.
#[derive(Debug, Args)]
pub struct CatArgs {
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The file's CID, also as ipfs://CID
    #[arg(value_parser = values::cid)]
    pub cid: cid::Cid,
}

/// Options of `node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The node's configuration (TOML; docs/config.toml explains it); - is standard input
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What is logged: error, warn, info, debug or trace; wins over [log] level
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
    /// The command, such as ring show [default: rings itself]
    pub command: Vec<String>,
}

/// Options of `guard`, which only this program calls.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Directory of the ring
    pub dir: PathBuf,
    /// Remove the directory in the end
    #[arg(long)]
    pub remove: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use rings_protocol::operation::DEFAULT_FUEL;

    #[test]
    fn the_definition_is_sound_and_every_command_has_an_example() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                check(sub);
            }
            let help = command.get_after_help().map(ToString::to_string);
            let example = help.is_some_and(|help| help.contains("Example: "));
            assert!(
                example || command.has_subcommands(),
                "{}",
                command.get_name()
            );
        }
        Cli::command().debug_assert();
        check(&Cli::command());
    }

    #[test]
    fn all_that_follows_the_program_is_its_own() {
        let line = [
            "rings", "run", "--each", "x.wasm", "-l", "--fuel", "-", "--",
        ];
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not run");
        };
        assert_eq!(run.program, ["x.wasm", "-l", "--fuel", "-", "--"]);
        assert!(run.each && run.fuel == DEFAULT_FUEL);
        assert!(Cli::try_parse_from(["rings", "run"]).is_err());
        assert!(Cli::try_parse_from(["rings", "run", "--no-such", "x.wasm"]).is_err());
    }

    #[test]
    fn the_most_that_is_paid_for_gas_can_be_changed() {
        let line = ["rings", "run", "--fee-cap", "6000.5", "x.wasm"];
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not run");
        };
        assert_eq!(run.fees.submitter().fee_cap, 6_000_500_000_000);
    }
}
