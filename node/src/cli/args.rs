//! The command line as it is written: commands, options, and an example for each.

use super::{ringdir::RingDir, up::StoreChoice};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use rings_protocol::{
    operation::{DEFAULT_FUEL, DEFAULT_MEMORY},
    Address, Digest,
};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
DIR is --dir, else $RINGS_DIR, else ./.rings.

Exit status:
  0  done; of run: the ring agreed, and the result is on chain
  1  a fault of this program or machine; of verify: the result on chain is wrong
  2  usage: wrong option, no such file, not a WASM module
  3  the ring agreed that the program failed
  4  no quorum in time; the gate stays, and resolves when members return
  5  chain, store or member cannot be reached, or refuse

Example: echo hello | rings run wc.wasm";

/// A ring of machines runs a program, agrees on its output, and puts it on a chain.
#[derive(Debug, Parser)]
#[command(name = "rings", version, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
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
    Down(DirArg),
    /// Show chain, members and gates of the ring in DIR
    #[command(after_help = "Example: rings status --json | jq .members")]
    Status(ShowArgs),
    /// Run a program on the ring in DIR, or on a throw-away ring when there is none
    #[command(
        after_help = "Example: cat a.txt b.txt | rings run sort.wasm -r | rings run wc.wasm"
    )]
    Run(RunArgs),
    /// Repeat a result from chain and blocks alone, and name members that voted otherwise
    #[command(
        after_help = "Status 0 when the result on chain is right, 1 when it is not.\n\nExample: rings verify 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
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
    /// Deploy engine, scope and ring on any chain, and print their addresses
    #[command(
        after_help = "Example: rings deploy --rpc https://chain.example --key key.json --members members.txt"
    )]
    Deploy(DeployArgs),
    /// Measure this machine: what a result costs, beside what it could not cost less
    #[command(after_help = "Example: rings bench --json > bench.json")]
    Bench(BenchArgs),
    /// Look at the ring
    #[command(subcommand)]
    Ring(RingCommand),
    /// Look at a gate
    #[command(subcommand)]
    Gate(GateCommand),
    /// Look at a member's log
    #[command(subcommand)]
    Log(LogCommand),
    /// Make, show, import and export keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print a completion script for a shell
    #[command(after_help = "Example: rings completions bash > /etc/bash_completion.d/rings")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Run programs for a node, over standard input and output
    #[command(hide = true)]
    Worker,
    /// Write this reference of commands as Markdown
    #[command(hide = true)]
    Reference,
}

/// `--dir`
#[derive(Debug, Args)]
pub struct DirArg {
    /// Directory of the ring [default: ./.rings]
    #[arg(long, env = "RINGS_DIR", hide_env_values = true)]
    dir: Option<PathBuf>,
}

impl DirArg {
    /// The directory.
    pub fn dir(&self) -> RingDir {
        RingDir::new(self.dir.clone())
    }
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Number of members of a new ring [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(super::up::MAX_MEMBERS)))]
    pub members: Option<u16>,
    /// Use the chain behind this URL (http, https, ws, wss) in place of an own one
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Key of the account that deploys on that chain and gives the members their ether
    #[arg(long, value_name = "FILE", requires = "rpc")]
    pub key: Option<PathBuf>,
    /// Password of that key; asked for when it is needed
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Option<PathBuf>,
    /// Ether that each member gets on that chain
    #[arg(long, value_name = "ETHER", default_value = "0.05", value_parser = ether, requires = "rpc")]
    pub fund: u128,
    /// Blocks on top of an event before members act on it
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    pub confirmations: u64,
    /// Where blocks are kept: embedded, or kubo=URL [default: embedded]
    #[arg(long, value_name = "STORE")]
    pub store: Option<StoreChoice>,
    /// Return when the ring is ready, and leave it running
    #[arg(long)]
    pub detach: bool,
}

/// Options of commands that show something of a ring.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of commands about a gate.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// Address of the gate
    pub gate: Address,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The gate, where and how
    #[command(flatten)]
    pub gate: GateArgs,
    /// Repeat also the gates whose states it goes back to, from the first state on
    #[arg(long)]
    pub history: bool,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// A file that is one input; may be given several times. Else standard input is the one input
    #[arg(long = "input", value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    /// Run the program once per input
    #[arg(long)]
    pub each: bool,
    /// Most units of fuel that one run may use (about one per instruction)
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FUEL)]
    pub fuel: u64,
    /// Most bytes of memory that one run may have
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MEMORY, value_parser = clap::value_parser!(u64).range(65_536..))]
    pub memory: u64,
    /// Most bytes that one run may write, its next state included [default: 4294967296]
    #[arg(long, value_name = "BYTES")]
    pub max_output: Option<u64>,
    /// Most bytes of stack that one run may have, as programs count them [default: 8388608]
    #[arg(long, value_name = "BYTES")]
    pub stack: Option<u64>,
    /// Give the program a state on descriptor 3, and keep what it writes to descriptor 4: a file, the gate (0x…) whose next
    /// state it is, or "new" for an empty one
    #[arg(long, value_name = "STATE", conflicts_with = "each")]
    pub state: Option<String>,
    /// Write the next state into this file
    #[arg(long, value_name = "FILE", requires = "state")]
    pub next_state: Option<PathBuf>,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// Write what is known about the result, as JSON
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Compute it again, though the ring may have the answer already
    #[arg(long)]
    pub again: bool,
    /// Run it on this machine alone, without a ring, and say what it used: to try a program out
    #[arg(long, conflicts_with_all = ["again", "timeout"])]
    pub dry: bool,
    /// The time that a dry run sees; now, unless it is given
    #[arg(long, value_name = "UNIX SECONDS", requires = "dry")]
    pub time: Option<u64>,
    /// A WASM file (or its CID) that reads standard input and writes standard output, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_names = ["PROGRAM", "ARGS"], num_args = 1..)]
    pub program: Vec<String>,
}

/// Options of `add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// The file; - is standard input
    pub file: PathBuf,
}

/// Options of `cat`.
#[derive(Debug, Args)]
pub struct CatArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// The file's CID
    pub cid: cid::Cid,
}

/// Options of `node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The node's configuration (TOML; docs/config.toml explains it)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Options of `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Directory in which the deployment is remembered, so that it goes on after an interruption
    #[command(flatten)]
    pub dir: DirArg,
    /// The chain's URL (http, https, ws, wss)
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// Key of the account that deploys, and becomes the ring's keeper
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Password of that key; asked for when it is needed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File with the members' addresses, one a line
    #[arg(long, value_name = "FILE")]
    pub members: PathBuf,
    /// 32 bytes in hex, from which the engine's address follows: with the same salt it is the same on every chain
    #[arg(long, value_name = "BYTES32")]
    pub salt: Option<Digest>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Number of members of the throw-away ring
    #[arg(long, default_value_t = super::up::DEFAULT_MEMBERS, value_parser = clap::value_parser!(u16).range(1..=i64::from(super::up::MAX_MEMBERS)))]
    pub members: u16,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// `rings ring`
#[derive(Debug, Subcommand)]
pub enum RingCommand {
    /// Show the ring and its members
    #[command(after_help = "Example: rings ring show --json")]
    Show(ShowArgs),
}

/// `rings gate`
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Show a gate: what it asks, who voted for what, and its result
    #[command(after_help = "Example: rings gate show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    Show(GateArgs),
}

/// `rings log`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show a member's log nodes, newest first
    #[command(
        after_help = "Example: rings log show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --limit 5"
    )]
    Show(LogArgs),
}

/// Options of `log show`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Account of the member
    pub member: Address,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Sequence number of the first node to show [default: the newest]
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Most nodes to show
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

/// `rings key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and encrypt it into a keystore
    #[command(after_help = "Example: rings key new --out key.json --password-file password")]
    New(NewKeyArgs),
    /// Print the address of a key
    #[command(after_help = "Example: rings key show key.json")]
    Show(KeyArgs),
    /// Encrypt the hex of a private key into a keystore
    #[command(after_help = "Example: rings key import secret.hex --out key.json")]
    Import(ImportArgs),
    /// Decrypt a keystore into a file with the hex of the private key, of mode 0600
    #[command(after_help = "Example: rings key export key.json --out secret.hex")]
    Export(ExportArgs),
}

/// A key that is there.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// A keystore, or a file with the hex of a private key; mode 0600
    pub file: PathBuf,
    /// The keystore's password, in a file of mode 0600; asked for when it is needed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Options of `key new`.
#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// The keystore to write; never written over
    #[arg(long, value_name = "FILE", default_value = "key.json")]
    pub out: PathBuf,
    /// The password, in a file of mode 0600; asked for without it
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Options of `key import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// File of mode 0600 with the hex of a private key; - is standard input
    pub hex: PathBuf,
    /// The new keystore
    #[command(flatten)]
    pub new: NewKeyArgs,
}

/// Options of `key export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The key
    #[command(flatten)]
    pub key: KeyArgs,
    /// The file to write; never written over
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Wei in a decimal number of ether.
fn ether(text: &str) -> Result<u128, String> {
    const DIGITS: usize = 18;
    let wrong = || format!("expected a number of ether such as 0.05, got {text:?}");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let good = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > DIGITS || !good(whole) || !good(part) {
        return Err(wrong());
    }
    format!("{whole}{part:0<DIGITS$}")
        .parse()
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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
    fn ether_is_read_exactly() {
        assert_eq!(ether("0.05"), Ok(50_000_000_000_000_000));
        assert_eq!(ether("3"), Ok(3_000_000_000_000_000_000));
        assert_eq!(ether("1.000000000000000001"), Ok(1_000_000_000_000_000_001));
        for wrong in [
            "",
            ".5",
            "-1",
            "1e3",
            "1.0000000000000000001",
            "x",
            "9".repeat(40).as_str(),
        ] {
            assert!(ether(wrong).is_err(), "{wrong}");
        }
    }
}
