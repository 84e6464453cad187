//! Options of `rings log`: looking at a member's log, proving what is in it, and adding to an avatar's.

use super::{
    avatar::AppendArgs,
    look::MOST_SHOWN,
    place::{PlaceArgs, ShowArgs},
};
use clap::{Args, Subcommand};
use rings_protocol::Address;
use std::path::PathBuf;

/// `rings log`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show a member's log nodes, newest first: when, who, where in the log, and what happened
    #[command(
        after_help = "Example: rings log show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --limit 5"
    )]
    Show(LogArgs),
    /// Show the new log nodes of a member, or of an avatar, as they come, until Ctrl-C
    #[command(
        after_help = "With --json each line is a node as DAG-JSON, as `ipfs dag get` shows it.\n\nExample: rings log follow 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --json | jq .content.seq"
    )]
    Follow(FollowArgs),
    /// Write a proof that a node belongs to a member's log to standard output; `rings log verify` checks it
    #[command(
        after_help = "The proof begins at the head that the chain names, if that is not before the node, or else at the newest head.\n\nExample: rings log prove 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 12 > node12.proof"
    )]
    Prove(ProveArgs),
    /// Check a proof of `rings log prove`, without the log; with --rpc and --ring (or --dir) against the chain too
    #[command(
        after_help = "Status 0 when it is proven, 1 when the file proves nothing or the chain never named its head, 2 when it is no such file.\n\nExample: rings log verify node12.proof --rpc https://chain.example --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )]
    Verify(VerifyLogArgs),
    /// Write a member's log into a content archive (CAR), which `ipfs dag import` reads
    #[command(
        after_help = "The archive holds the parts of the other members' logs too that the log refers to, so that `ipfs dag import` can pin it.\n\nExample: rings log export 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed log.car && ipfs dag import log.car"
    )]
    Export(ExportLogArgs),
    /// Add a message to an avatar's log, and have a member keep it; no transaction is made
    #[command(
        after_help = "Prints the head of the log that is held.\n\nExample: rings log append --key alice.json --ring 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed hello"
    )]
    Append(AppendArgs),
}

/// Options of `log show`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Account of the member
    #[arg(value_name = "MEMBER")]
    pub author: Address,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Position of the first node to show [default: the newest]
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Most nodes to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_SHOWN))]
    pub limit: u32,
}

/// Options of `log follow`.
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// Account of the member, or with --client of an avatar
    #[arg(value_name = "MEMBER")]
    pub author: Address,
    /// Client ring of the avatar, whose logs this ring keeps; what is said in a private one is shown where its recovery line is
    /// kept in the directory
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<Address>,
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Position of the first node to show [default: the one after the newest]
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Write each node as DAG-JSON on a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `log prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// Account of the member
    #[arg(value_name = "MEMBER")]
    pub author: Address,
    /// Position of the node in the log, from 0
    pub seq: u64,
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Options of `log verify`.
#[derive(Debug, Args)]
pub struct VerifyLogArgs {
    /// The proof; - is standard input
    pub file: PathBuf,
    /// The ring to compare with, if it shall be asked
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Options of `log export`.
#[derive(Debug, Args)]
pub struct ExportLogArgs {
    /// Account of the member
    #[arg(value_name = "MEMBER")]
    pub author: Address,
    /// The archive to write; - is standard output
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Only the nodes of this log, without what it refers to: `ipfs dag import --pin-roots=false` reads it
    #[arg(long)]
    pub alone: bool,
}
