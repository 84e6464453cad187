//! What `rings up` is asked to do.

use crate::{ringdir::RingDir, terms::TermsArgs};
use rings_chain::SubmitterConfig;
use rings_member::config::HttpUrl;
use std::{fmt, path::PathBuf, str::FromStr};

/// Most members of a ring on one machine.
pub const MAX_MEMBERS: u16 = 64;
/// Members of a ring unless told otherwise.
pub const DEFAULT_MEMBERS: u16 = 5;

/// What `rings up` is asked to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub dir: RingDir,
    /// How many members; `None`: as many as the ring has, or [`DEFAULT_MEMBERS`] for a new one.
    pub members: Option<u16>,
    /// A chain that exists already; `None`: an anvil that `rings up` starts.
    pub given: Option<GivenChain>,
    /// Where blocks are kept; `None`: where the ring keeps them, or embedded for a new one.
    pub store: Option<StoreChoice>,
    /// Blocks on top of a result before it is called final.
    pub confirmations: u64,
    /// Who may change the membership of a new ring.
    pub terms: TermsArgs,
    /// What is paid for gas.
    pub fees: SubmitterConfig,
}

/// A chain that exists already.
#[derive(Debug, Clone)]
pub struct GivenChain {
    /// Its provider.
    pub url: String,
    /// The account that deploys and gives the members their ether; needed for a new ring only.
    pub key: Option<PathBuf>,
    /// The password of that key.
    pub password_file: Option<PathBuf>,
    /// Wei that each member gets.
    pub fund: u128,
}

/// `--store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// A database per member.
    Embedded,
    /// One Kubo for all.
    Kubo(HttpUrl),
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "embedded" => Ok(Self::Embedded),
            Some(("kubo", url)) => url.parse().map(Self::Kubo),
            _ => Err("expected embedded or kubo=URL".into()),
        }
    }
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Kubo(url) => write!(f, "kubo={}", url.as_ref()),
        }
    }
}
