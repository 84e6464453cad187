//! Options of `rings service`, `rings process`, `rings execution`, `rings emit` and `rings trace`.

use super::{
    look::MOST_SHOWN,
    place::{DirArg, PlaceArgs, ShowArgs},
    registry::{RegisterArgs, WithdrawArgs},
    values::wait,
};
use cid::Cid;
use clap::{Args, Subcommand, ValueEnum};
use rings_protocol::{Address, Digest};
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// `rings service`
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Make a directory with a service that works, and a process that uses it, to begin with
    #[command(
        after_help = "Example: rings service init greeter && cd greeter && ./build && rings service check"
    )]
    Init(InitArgs),
    /// Check a service: its definition, its programs, and the cases beside it; prints the service hash
    #[command(
        after_help = "A case is a file cases/NAME.json: {\"task\": …, \"inputs\": {…}, \"answer\": {\"status\": …, \"outputs\": {…}}}.\n\nExample: rings service check car/service.yml"
    )]
    Check(DefinitionArgs),
    /// Show a service and its hash; with --json the canonical definition, whose CID the hash is
    #[command(after_help = "Example: rings service show car/service.yml --json | ipfs add -q")]
    Show(DefinitionArgs),
    /// Put a service and its programs into the store of the ring in DIR, and make an instance of it; prints the instance hash
    #[command(
        after_help = "The values of the configuration and the salt stay in DIR, and are not sent anywhere. The services on which it depends are started with it, unless DIR has an instance of them.\n\nExample: rings service deploy car/service.yml --config values.json"
    )]
    Deploy(DeployServiceArgs),
    /// Advise others against a service or process that this account has registered (`rings service deploy --register`)
    #[command(
        after_help = "The entry stays, and says so; `rings search` leaves it out.\n\nExample: rings service withdraw QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
    )]
    Withdraw(WithdrawArgs),
    /// List the instances: those in DIR, and those of the processes that the ring runs
    #[command(after_help = "Example: rings service list --json")]
    List(ServiceListArgs),
    /// Show where a webhook sends events of an instance, and the secret with which it signs them
    #[command(
        after_help = "A sender posts the data as JSON to URL/EVENT, with Rings-Signature: t=SECONDS,v1=HEX; HEX is the HMAC-SHA256 of SECONDS.EVENT.BODY under the secret, or of SECONDS.EVENT.ID.BODY with Rings-Event-Id: ID.\n\nExample: rings service hook 0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Hook(HookArgs),
}

/// `rings process`
#[derive(Debug, Subcommand)]
pub enum ProcessCommand {
    /// Check a process against its services; prints its CID
    #[command(after_help = "Example: rings process check process.yml")]
    Check(ProcessCheckArgs),
    /// Run a process on this machine alone, under the rules and limits of a ring, and read it again when a file changes
    #[command(
        after_help = "Each line of standard input, or of the files of --event, is an event: its data as JSON. A file is named as \"@PATH\". A line `time SECONDS` is the time of a block, for processes with a schedule.\n\nExample: echo '{\"kwh\": 7}' | rings process dev process.yml"
    )]
    Dev(DevArgs),
    /// Have the ring in DIR run a process, for the instances of its services; prints its CID
    #[command(
        after_help = "The members go on with it until it is cancelled, whether a command runs or not.\n\nExample: rings process create process.yml --instance car=0x…"
    )]
    Create(CreateProcessArgs),
    /// List the processes that the ring runs
    #[command(after_help = "Example: rings process list --json")]
    List(ProcessListArgs),
    /// Show a process: its instances, its newest runs, and their executions
    #[command(after_help = "Example: rings process show charging")]
    Show(ProcessShowArgs),
    /// Let a process wait: events are taken down, and nothing is asked of the ring until it goes on
    #[command(after_help = "Example: rings process pause charging")]
    Pause(ChangeProcessArgs),
    /// Let a process that waits go on
    #[command(after_help = "Example: rings process resume charging")]
    Resume(ChangeProcessArgs),
    /// End a process for good
    #[command(after_help = "Example: rings process cancel charging")]
    Cancel(ChangeProcessArgs),
}

/// `rings execution`
#[derive(Debug, Subcommand)]
pub enum ExecutionCommand {
    /// List the newest executions in the members' logs
    #[command(after_help = "Example: rings execution list --limit 50")]
    List(ExecutionListArgs),
    /// Show an execution: its inputs, what caused it, and what it gave
    #[command(
        after_help = "Example: rings execution show QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
    )]
    Show(ExecutionArgs),
}

/// In which language `service init` writes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust, with serde_json
    Rust,
    /// C, with nothing but its library
    C,
    /// Go, with nothing but its library
    Go,
    /// JavaScript, in an interpreter (Boa) that is compiled once
    Javascript,
}

/// Options of `service init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory to make
    pub directory: PathBuf,
    /// The language of the program
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub language: Language,
}

/// A service.
#[derive(Debug, Args)]
pub struct DefinitionArgs {
    /// The definition, or its directory
    #[arg(default_value = "service.yml")]
    pub file: PathBuf,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `service deploy`.
#[derive(Debug, Args)]
pub struct DeployServiceArgs {
    /// The definition, or its directory
    #[arg(default_value = "service.yml")]
    pub file: PathBuf,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// A JSON file with the values of the configuration; - is standard input
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The same for a service on which it depends and that is started with it; may be given for several
    #[arg(long = "config-of", value_name = "SERVICE=FILE")]
    pub needs: Vec<NamedFile>,
    /// Whether others find it
    #[command(flatten)]
    pub register: RegisterArgs,
}

/// Options of `process check`.
#[derive(Debug, Args)]
pub struct ProcessCheckArgs {
    /// The definition, or its directory
    #[arg(default_value = "process.yml")]
    pub file: PathBuf,
}

/// Options of `process dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The definition, or its directory
    #[arg(default_value = "process.yml")]
    pub file: PathBuf,
    /// A file of events, one on each line; may be given several times; - is standard input. Without it, they come from standard input
    #[arg(long = "event", value_name = "FILE")]
    pub events: Vec<PathBuf>,
    /// Directory of the documents and results that are kept for `rings trace`
    #[arg(long, value_name = "DIR", default_value = crate::services::DEFAULT_RECORDS)]
    pub records: PathBuf,
    /// A file with the section [connectors] of a member's configuration: what external tasks may use here
    #[arg(long, value_name = "FILE")]
    pub connectors: Option<PathBuf>,
    /// The values of a service's configuration, as JSON; may be given for several services
    #[arg(long, value_name = "SERVICE=FILE")]
    pub config: Vec<NamedFile>,
    /// A ring that is taken to be down: its tasks expire; may be given several times
    #[arg(long, value_name = "RING")]
    pub down: Vec<Address>,
}

/// A service by the process's name for it, and a file.
#[derive(Debug, Clone)]
pub struct NamedFile {
    /// The service.
    pub service: String,
    /// The file.
    pub file: PathBuf,
}

impl FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((service, file)) if !service.is_empty() && !file.is_empty() => Ok(Self {
                service: service.into(),
                file: file.into(),
            }),
            _ => Err("write SERVICE=FILE, such as car=values.json".into()),
        }
    }
}

/// Options of `process create`.
#[derive(Debug, Args)]
pub struct CreateProcessArgs {
    /// The definition, or its directory
    #[arg(default_value = "process.yml")]
    pub file: PathBuf,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// An instance for one of its services [default: the only instance of that service in DIR]
    #[arg(long = "instance", value_name = "SERVICE=INSTANCE")]
    pub instances: Vec<NamedInstance>,
    /// Another one than that with the same instances that was there before
    #[arg(long)]
    pub again: bool,
    /// Whether others find it
    #[command(flatten)]
    pub register: RegisterArgs,
}

/// Options of `service list`.
#[derive(Debug, Args)]
pub struct ServiceListArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `service hook`.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// The instance: 0x and 64 hexadecimal digits
    pub instance: Digest,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
}

/// Options of `process list`.
#[derive(Debug, Args)]
pub struct ProcessListArgs {
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Options of `process show`.
#[derive(Debug, Args)]
pub struct ProcessShowArgs {
    /// The process: its name, its CID, or its installation (0x and 64 hexadecimal digits)
    pub process: InstallationId,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Most runs that are shown
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub limit: u32,
}

/// Options of `process pause`, `resume` and `cancel`.
#[derive(Debug, Args)]
pub struct ChangeProcessArgs {
    /// The process: its name, its CID, or its installation (0x and 64 hexadecimal digits)
    pub process: InstallationId,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// How long to wait until a ring node has decided it: seconds, or such as 5m
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// How a process that a ring runs is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallationId {
    /// By its installation.
    Installation(Digest),
    /// By the CID of its definition.
    Process(Cid),
    /// By the name in its definition.
    Name(String),
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation(digest) => digest.fmt(f),
            Self::Process(cid) => cid.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for InstallationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let installation = text.parse().map(Self::Installation);
        let process = || super::values::cid(text).map(Self::Process);
        let is_name = text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let name = || is_name.then(|| Self::Name(text.to_owned()));
        let found = installation.or_else(|_| process()).ok().or_else(name);
        found.ok_or_else(|| {
            format!("expected the name of a process, its CID (Qm…), or an installation (0x and 64 hexadecimal digits), got {text:?}")
        })
    }
}

/// `SERVICE=INSTANCE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInstance {
    /// The process's name for the service.
    pub service: String,
    /// The instance.
    pub instance: Digest,
}

impl FromStr for NamedInstance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected SERVICE=0x and 64 hexadecimal digits, got {text:?}");
        let (service, instance) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Self {
            service: service.to_owned(),
            instance: instance.parse().map_err(|_| wrong())?,
        })
    }
}

/// Options of `emit`.
#[derive(Debug, Args)]
pub struct EmitArgs {
    /// The instance in which it happened: 0x and 64 hexadecimal digits
    pub instance: Digest,
    /// The event, as the service names it
    pub event: String,
    /// Its data as JSON; a file is named as "@PATH"
    #[arg(default_value = "{}")]
    pub data: String,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Another event than the one with the same data that was there before
    #[arg(long)]
    pub again: bool,
    /// End when a member has taken the event down
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait until all has been done that follows: seconds, or such as 5m
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = wait)]
    pub timeout: Duration,
}

/// Options of `execution list`.
#[derive(Debug, Args)]
pub struct ExecutionListArgs {
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Most requests in the logs that are looked at
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_SHOWN))]
    pub limit: u32,
}

/// Options of `execution show`.
#[derive(Debug, Args)]
pub struct ExecutionArgs {
    /// The execution's CID, or the digest of its request
    pub id: ExecutionId,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Options of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The execution's CID, or the digest of its request
    pub id: ExecutionId,
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Directory with what `rings process dev` has kept, which is looked at first unless a ring is named
    #[arg(long, value_name = "DIR", default_value = crate::services::DEFAULT_RECORDS)]
    pub records: PathBuf,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// How an execution is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionId {
    /// By its own CID.
    Execution(Cid),
    /// By the request with which a ring agreed on it.
    Request(Digest),
}

impl ExecutionId {
    /// The execution, if it is named by its own CID.
    pub fn execution(self) -> Option<Cid> {
        match self {
            Self::Execution(cid) => Some(cid),
            Self::Request(_) => None,
        }
    }

    /// The request, if it is named by that.
    pub fn request(self) -> Option<Digest> {
        match self {
            Self::Request(digest) => Some(digest),
            Self::Execution(_) => None,
        }
    }
}

impl FromStr for ExecutionId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let request = text.parse().map(Self::Request);
        let execution = || super::values::cid(text).map(Self::Execution);
        request.or_else(|_| execution()).map_err(|_| {
            format!("expected the CID of an execution (Qm…), or a request (0x and 64 hexadecimal digits), got {text:?}")
        })
    }
}
