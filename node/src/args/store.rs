//! Options of `rings store`, `rings backup` and `rings restore`.

use super::{place::DirArg, values};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rings store`
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Remove blocks that nobody needs: outputs of runs that failed, files of old results, what was added for one run
    #[command(
        after_help = "Logs, files that were added with `rings add` or imported, and data of open gates stay. With Kubo use `ipfs repo gc`: \
                      what the members need is pinned there.\n\nExample: rings store gc"
    )]
    Gc(StoreArgs),
    /// Hash every block, and look for those that logs and pins name; one line for each fault
    #[command(
        after_help = "Status 0 when all is well, 1 when something is damaged or missing. With Kubo only log nodes are read; \
                      `ipfs repo verify` checks the rest.\n\nExample: rings store check --member 0"
    )]
    Check(StoreArgs),
    /// Fetch damaged and missing blocks from other members
    #[command(
        after_help = "Status 0 when all is well afterwards, 1 when something is lost.\n\nExample: rings store repair"
    )]
    Repair(StoreArgs),
    /// Write all blocks of a member's store into an archive (CAR v1), or those below --root
    #[command(after_help = "Example: rings store export blocks.car && ipfs dag import blocks.car")]
    Export(ExportStoreArgs),
    /// Put the blocks of an archive (CAR v1 or v2) into a member's store, for good
    #[command(
        after_help = "Example: ipfs dag export QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o | rings store import -"
    )]
    Import(ImportStoreArgs),
}

/// Whose store.
#[derive(Debug, Args)]
pub struct WhoArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// The member: its number in the directory, or its account; not a URL, as other commands take [default: all, or the first that
    /// answers]
    #[arg(long, value_name = "MEMBER", conflicts_with = "config")]
    pub member: Option<String>,
    /// The node with this configuration, in place of a directory
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub config: Option<PathBuf>,
}

/// Options of `store gc`, `check` and `repair`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Whose store
    #[command(flatten)]
    pub who: WhoArgs,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `store export`.
#[derive(Debug, Args)]
pub struct ExportStoreArgs {
    /// The archive to write; - is standard output
    pub file: PathBuf,
    /// Only what is below this CID; may be given several times
    #[arg(long = "root", value_name = "CID", value_parser = values::cid)]
    pub roots: Vec<cid::Cid>,
    /// Whose store
    #[command(flatten)]
    pub who: WhoArgs,
}

/// Options of `store import`.
#[derive(Debug, Args)]
pub struct ImportStoreArgs {
    /// The archive to read; - is standard input
    pub file: PathBuf,
    /// Whose store
    #[command(flatten)]
    pub who: WhoArgs,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The backup to write; - is standard output
    pub file: PathBuf,
    /// Whose
    #[command(flatten)]
    pub who: WhoArgs,
    /// Leave out keys and passwords
    #[arg(long)]
    pub without_keys: bool,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup to read; - is standard input
    pub file: PathBuf,
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Only the member with this number in the backup
    #[arg(long, value_name = "NUMBER")]
    pub member: Option<u32>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}
