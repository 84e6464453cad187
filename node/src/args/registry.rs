//! Options about the registry of services and processes on chain: `rings search`, `--register`, `rings service withdraw`.

use super::{
    make::FeeArgs,
    place::{DirArg, ShowArgs},
    values::cid,
};
use cid::Cid;
use clap::Args;
use rings_chain::{MAX_REGISTERED_NAME, MAX_REGISTERED_VERSION};
use std::path::PathBuf;

/// Most entries that one search shows.
const MOST_FOUND: i64 = 1_000;

/// Options of `search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What the name contains, whatever the case of its letters; nothing for all
    #[arg(default_value = "", value_parser = name)]
    pub text: String,
    /// Where and how
    #[command(flatten)]
    pub show: ShowArgs,
    /// Show those too that their owners advise against
    #[arg(long)]
    pub all: bool,
    /// Most entries that are shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MOST_FOUND))]
    pub limit: u32,
}

/// Whether and how a definition is registered.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Register it on chain with this version, for others to find; sends a transaction
    #[arg(long = "register", value_name = "VERSION", value_parser = version)]
    pub version: Option<String>,
    /// A file for people, such as README.md, that the entry names; - is standard input
    #[arg(long, value_name = "FILE", requires = "version")]
    pub description: Option<PathBuf>,
    /// What a transaction may cost
    #[command(flatten)]
    pub fees: FeeArgs,
}

/// Options of `service withdraw`.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// The service hash, or the CID of a process
    #[arg(value_parser = cid)]
    pub cid: Cid,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Take it back
    #[arg(long)]
    pub undo: bool,
    /// What a transaction may cost
    #[command(flatten)]
    pub fees: FeeArgs,
}

fn name(text: &str) -> Result<String, String> {
    match text.len() <= MAX_REGISTERED_NAME {
        true => Ok(text.to_owned()),
        false => Err(format!("no name has more than {MAX_REGISTERED_NAME} bytes")),
    }
}

fn version(text: &str) -> Result<String, String> {
    match (1..=MAX_REGISTERED_VERSION).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected 1 to {MAX_REGISTERED_VERSION} bytes")),
    }
}
