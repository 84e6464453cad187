//! Options of commands that make a ring, or a directory of one: `up`, `down`, `deploy`, `join`, `bench`; and of what
//! may be paid for gas.

use super::{
    place::DirArg,
    values::{ether, gwei},
};
use crate::{
    terms::TermsArgs,
    up::plan::{DEFAULT_MEMBERS, MAX_MEMBERS},
};
use clap::{Args, Subcommand};
use rings_chain::SubmitterConfig;
use rings_protocol::{Address, Digest};
use std::path::PathBuf;

/// Options of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Number of members of a new ring [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MEMBERS)))]
    pub members: Option<u16>,
    /// Use the chain behind this URL (http, https, ws, wss) instead of starting one
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Key of the account that deploys on that chain and gives the members their ether
    #[arg(long, value_name = "FILE", requires = "rpc")]
    pub key: Option<PathBuf>,
    /// File with the password of that key; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Option<PathBuf>,
    /// Ether that each member gets on that chain
    #[arg(long, value_name = "ETHER", default_value = "0.05", value_parser = ether, requires = "rpc")]
    pub fund: u128,
    /// Blocks on top of a result before it is called final; nothing waits for them
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    pub confirmations: u64,
    /// Where blocks are kept: embedded, or kubo=URL [default: embedded]
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// Who may change the membership of a new ring
    #[command(flatten)]
    pub terms: TermsArgs,
    /// Most that is paid for gas
    #[command(flatten)]
    pub fees: FeeArgs,
    /// A file with the section [connectors] of a member's configuration: what external tasks may use, at all members that are
    /// started
    #[arg(long, value_name = "FILE")]
    pub connectors: Option<PathBuf>,
    /// Return when the ring is ready, and leave it running
    #[arg(long)]
    pub detach: bool,
    /// Stop and remove the ring that is in the directory first, with its chain and keys, and make a new one
    #[arg(long, conflicts_with = "rpc")]
    pub fresh: bool,
    /// Write the content of ring.json in place of "ready"
    #[arg(long)]
    pub json: bool,
}

/// Options of `down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Remove the ring from the directory too, with its chain and keys; only a ring whose chain ends with it
    #[arg(long)]
    pub remove: bool,
}

/// Options of `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Directory that becomes the ring's, with `ring.json` and the deployment's journal, so that an interrupted deployment
    /// goes on where it stopped
    #[command(flatten)]
    pub dir: DirArg,
    /// The chain's URL (http, https, ws, wss)
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// Key of the account that deploys, and becomes the ring's keeper
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// File with the password of that key; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File with the members' addresses, one per line, each perhaps followed by the member's URL; - is standard input
    #[arg(long, value_name = "FILE")]
    pub members: PathBuf,
    /// Ether that each member gets from that account, for its transactions
    #[arg(long, value_name = "ETHER", value_parser = ether)]
    pub fund: Option<u128>,
    /// 32 bytes in hex from which the engine's address is derived: the same salt gives the same address on every chain
    #[arg(long, value_name = "BYTES32")]
    pub salt: Option<Digest>,
    /// Who may change the membership of the ring
    #[command(flatten)]
    pub terms: TermsArgs,
    /// Most that is paid for gas
    #[command(flatten)]
    pub fees: FeeArgs,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Directory to make for the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// The chain's URL (http, https, ws, wss)
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// Address of the ring
    #[arg(long, value_name = "ADDRESS")]
    pub ring: Address,
    /// Address of the scope for new gates [default: the first one of the ring's engine]
    #[arg(long, value_name = "ADDRESS")]
    pub scope: Option<Address>,
    /// URL of a member's HTTP side; may be given several times
    #[arg(long = "member", value_name = "URL")]
    pub members: Vec<String>,
    /// File of mode 0600 with the token of the member named before it, in the same order as --member; one file for all
    /// members may be given once; - is standard input
    #[arg(long = "token", value_name = "FILE", requires = "members")]
    pub tokens: Vec<PathBuf>,
    /// Key of the account that asks for gates and pays for them [default: a new one in the directory]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// File with the password of that key; without it the password is asked for when it is needed
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// `--fee-cap`
#[derive(Debug, Clone, Copy, Args)]
pub struct FeeArgs {
    /// Most that may be paid for one unit of gas [default: 500]
    #[arg(long, value_name = "GWEI", value_parser = gwei)]
    fee_cap: Option<u128>,
}

impl FeeArgs {
    /// How transactions are sent.
    pub fn submitter(self) -> SubmitterConfig {
        let default = SubmitterConfig::default();
        SubmitterConfig {
            fee_cap: self.fee_cap.unwrap_or(default.fee_cap),
            ..default
        }
    }
}

/// What `bench` measures instead.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// What logs and requests cost: writing, opening and syncing logs, and results without gates
    #[command(after_help = "Example: rings bench logs --nodes 10000")]
    Logs(BenchLogsArgs),
    /// What client rings cost: holding and flushing, alone and of a hundred avatars at once, being told, and getting a log back
    #[command(after_help = "Example: rings bench clients --nodes 100000")]
    Clients(BenchClientsArgs),
    /// What processes cost: from an event to a result, chains, many at once, and thousands that wait
    #[command(after_help = "Example: rings bench processes --done 100000")]
    Processes(BenchProcessesArgs),
}

/// Options of `bench processes`.
#[derive(Debug, Args)]
pub struct BenchProcessesArgs {
    /// Executions that are done before the cost of one is compared with that at the beginning
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub done: u64,
    /// Processes that wait for a schedule or a contract, for which memory and processor time of a member are measured; 0 leaves
    /// that out
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=19_000))]
    pub processes: u64,
    /// Number of members of the throw-away ring
    #[arg(long, default_value_t = DEFAULT_MEMBERS, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MEMBERS)))]
    pub members: u16,
    /// A program that runs a chain of ten steps of another engine, and prints the median of its times in milliseconds, such as
    /// tests/peers/dbos/chain; it is shown beside the chain of ten tasks
    #[arg(long, value_name = "PROGRAM")]
    pub peer: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `bench clients`.
#[derive(Debug, Args)]
pub struct BenchClientsArgs {
    /// Nodes of the log that is got back
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub nodes: u64,
    /// Client rings that say nothing, for which memory and processor time of a member are measured; 0 leaves that out
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub rings: u64,
    /// Number of members of the throw-away ring that keeps the logs
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MEMBERS)))]
    pub members: u16,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `bench logs`.
#[derive(Debug, Args)]
pub struct BenchLogsArgs {
    /// Nodes of the log that is opened and synced
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub nodes: u64,
    /// Requests that are asked at once: as many as make a ring node full
    #[arg(long, default_value_t = 1_000, value_parser = requests)]
    pub batch: usize,
    /// Number of members of the throw-away ring that is asked
    #[arg(long, default_value_t = DEFAULT_MEMBERS, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MEMBERS)))]
    pub members: u16,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

fn requests(text: &str) -> Result<usize, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count| (1..=5_000).contains(count));
    count.ok_or_else(|| "expected 1 to 5000".into())
}

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// What to measure instead
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// Number of members of the throw-away ring
    #[arg(long, default_value_t = DEFAULT_MEMBERS, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MEMBERS)))]
    pub members: u16,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}
