//! Options of commands that look at one thing: gates, results.

use super::{place::ShowArgs, subject::Subject};
use clap::{Args, Subcommand, ValueEnum};
use rings_protocol::Address;
use std::path::PathBuf;

/// Most log nodes or gates that one call shows.
pub(super) const MOST_SHOWN: i64 = 1_000;

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
    /// A gate (0x and 40 digits), a request (0x and 64 digits), or a file: the proof of a request, or an accusation; - is standard
    /// input
    #[arg(value_name = "GATE|REQUEST|FILE")]
    pub subject: Subject,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Repeat all gates from which its state comes too, from the first state on
    #[arg(long, conflicts_with = "accuse")]
    pub history: bool,
    /// Write what proves that a member voted otherwise into this file, which anybody can check offline; - is standard output
    #[arg(long, value_name = "FILE")]
    pub accuse: Option<PathBuf>,
    /// The member to accuse, where several voted otherwise [default: the first]
    #[arg(long, value_name = "MEMBER", requires = "accuse")]
    pub accused: Option<Address>,
}

/// `rings gate`
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Show a gate: what it asks, who voted for what, and its result
    #[command(after_help = "Example: rings gate show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    Show(GateArgs),
    /// List the gates that the ring was asked for, the newest first
    #[command(after_help = "Example: rings gate list --state open --limit 50")]
    List(GateListArgs),
}

/// Options of `gate list`.
#[derive(Debug, Args)]
pub struct GateListArgs {
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Only gates in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<ListedState>,
    /// Only gates that this account has asked for
    #[arg(long, value_name = "ADDRESS")]
    pub requester: Option<Address>,
    /// Most gates to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=MOST_SHOWN))]
    pub limit: u32,
    /// Newer gates to pass over, to see the next page
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u32,
}

/// How far a gate is, as the chain tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListedState {
    /// It has no result yet.
    Open,
    /// Its outputs are on chain.
    Resolved,
    /// The ring agreed that the program failed.
    Failed,
}
