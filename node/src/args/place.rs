//! Where a ring is: a directory, or a chain and an address.

use crate::ringdir::RingDir;
use clap::Args;
use rings_protocol::Address;
use std::{env, path::PathBuf};

/// The variable that names the directory of the ring.
const VARIABLE: &str = "RINGS_DIR";

/// `--dir`
#[derive(Debug, Clone, Args)]
pub struct DirArg {
    /// Directory of the ring [default: $RINGS_DIR, else ./.rings]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl DirArg {
    /// The directory.
    pub fn dir(&self) -> RingDir {
        RingDir::new(self.named())
    }

    /// Whether the option or the variable names it. An empty variable is as if it were not set.
    pub fn is_named(&self) -> bool {
        self.named().is_some()
    }

    fn named(&self) -> Option<PathBuf> {
        let variable = || env::var_os(VARIABLE).filter(|value| !value.is_empty());
        self.dir.clone().or_else(|| variable().map(PathBuf::from))
    }
}

/// The ring that a command looks at.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Directory of the ring
    #[command(flatten)]
    pub dir: DirArg,
    /// Look at the ring --ring on the chain behind this URL (http, https, ws, wss), in place of a directory
    #[arg(long, value_name = "URL", requires = "ring", conflicts_with = "dir")]
    pub rpc: Option<String>,
    /// Address of that ring
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    pub ring: Option<Address>,
    /// URL of a member of that ring (not its number), to ask for what is not on chain: blocks, votes, logs; may be given several
    /// times
    #[arg(long = "member", value_name = "URL", requires = "rpc")]
    pub members: Vec<String>,
}

impl PlaceArgs {
    /// Whether an option or the variable names the ring, so that it is not only the default.
    pub fn is_named(&self) -> bool {
        self.rpc.is_some() || self.dir.is_named()
    }
}

/// Options of commands that show something of a ring.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Which ring
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}
