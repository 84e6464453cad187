//! Options of `rings request`: requests without a gate.

use super::{
    look::MOST_SHOWN,
    place::{PlaceArgs, ShowArgs},
};
use clap::{Args, Subcommand};
use rings_protocol::Digest;
use std::path::PathBuf;

/// `rings request`
#[derive(Debug, Subcommand)]
pub enum RequestCommand {
    /// Show a request: what it asks, who voted for what, and the ring node that lists its result
    #[command(
        after_help = "Example: rings request show 0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Show(RequestArgs),
    /// List the newest requests in the members' logs
    #[command(after_help = "Example: rings request list --limit 50")]
    List(RequestListArgs),
    /// Write the proof that two thirds agreed on a request's result, as `rings run --proof` does; `rings verify` checks it
    #[command(
        after_help = "A proof from a ring node whose number ends with 99 stands for good. Another one is good until a hundred more ring nodes are there; get it anew then.\n\nExample: rings request proof 0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 result.proof"
    )]
    Proof(RequestProofArgs),
}

/// Options of `request show`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// Digest of the request
    pub request: Digest,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Options of `request list`.
#[derive(Debug, Args)]
pub struct RequestListArgs {
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Most requests to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_SHOWN))]
    pub limit: u32,
}

/// Options of `request proof`.
#[derive(Debug, Args)]
pub struct RequestProofArgs {
    /// Digest of the request
    pub request: Digest,
    /// The file to write; - is standard output
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
}
