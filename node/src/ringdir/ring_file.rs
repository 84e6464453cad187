//! `ring.json`: its form, and what follows from its content alone.
//!
//! [`RingFile`] is an interface: other programs read it, so its names change only on purpose and with its version. It
//! has no secrets. Members and chain have their process ids in it, as hints; whether a process runs is told by its lock
//! (`process.rs`). A [`ClientFile`] says where the key of the account is that asks and pays, if that is not in the
//! directory.

use crate::exit::{Context, ExitError, ExitStatus};
use rings_chain::Chain;
use rings_protocol::Address;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of `ring.json`.
pub(super) const VERSION: u32 = 1;

/// `ring.json`: what programs need to know about a ring on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingFile {
    /// Version of this form.
    pub version: u32,
    /// Chain id.
    pub chain_id: u64,
    /// Provider of the chain.
    pub rpc_url: String,
    /// The engine's contract.
    pub engine: Address,
    /// The scope's contract.
    pub scope: Address,
    /// The ring's contract.
    pub ring: Address,
    /// The members' processes.
    pub members: Vec<MemberEntry>,
    /// First block that can hold an event of the ring.
    #[serde(default)]
    pub start_block: u64,
    /// Whether the chain is one that `rings up` runs itself.
    #[serde(default)]
    pub own_chain: bool,
    /// Process of that chain; `null` when it does not run.
    #[serde(default)]
    pub chain_pid: Option<u32>,
    /// Where blocks are: `embedded`, or `kubo=URL`.
    #[serde(default)]
    pub store: String,
    /// The key that `rings run` uses, if it is not that of the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientFile>,
}

/// Where the key of an account is that is not in the directory itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFile {
    /// The keystore, or a file with the hex of the key.
    pub key: PathBuf,
    /// The file with its password; without it the password is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

impl ClientFile {
    /// From paths as they are given, which are relative to this process's directory.
    ///
    /// # Errors
    /// Status 2 when a path is standard input, which cannot be read again later.
    pub fn new(key: &Path, password_file: Option<&Path>) -> Result<Self, ExitError> {
        let absolute = |path: &Path| {
            if path == Path::new("-") {
                let what = "the key must be read again later; name a file, not standard input";
                return Err(ExitError::usage(what));
            }
            std::path::absolute(path).context(
                ExitStatus::Usage,
                format!("the path {} cannot be used", path.display()),
            )
        };
        Ok(Self {
            key: absolute(key)?,
            password_file: password_file.map(absolute).transpose()?,
        })
    }
}

/// One member in `ring.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberEntry {
    /// Its account.
    pub address: Address,
    /// Its libp2p id.
    pub peer_id: String,
    /// Its HTTP side.
    pub rpc_url: String,
    /// Its process; `null` when it does not run.
    pub pid: Option<u32>,
}

impl RingFile {
    /// Nothing but the version and the defaults, to be filled.
    pub fn empty() -> Self {
        Self {
            version: VERSION,
            chain_id: 0,
            rpc_url: String::new(),
            engine: Address::default(),
            scope: Address::default(),
            ring: Address::default(),
            members: Vec::new(),
            start_block: 0,
            own_chain: false,
            chain_pid: None,
            store: String::new(),
            client: None,
        }
    }

    /// How many members can be asked, because their URL is known.
    pub fn located(&self) -> usize {
        let members = self.members.iter();
        members.filter(|member| !member.rpc_url.is_empty()).count()
    }

    /// Connects to the chain. A chain that `rings up` started is reached over its WebSocket, which tells of new blocks at
    /// once, without polling.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn chain(&self) -> Result<Chain, ExitError> {
        let own = self
            .rpc_url
            .strip_prefix("http://")
            .filter(|_| self.own_chain);
        let url = own.map_or_else(|| self.rpc_url.clone(), |rest| format!("ws://{rest}"));
        Ok(Chain::connect(&url).await?)
    }
}

/// A ring of one member, for tests.
#[cfg(test)]
pub(super) fn example() -> RingFile {
    RingFile {
        chain_id: 31337,
        rpc_url: "http://127.0.0.1:8545".into(),
        engine: Address([1; 20]),
        scope: Address([2; 20]),
        ring: Address([3; 20]),
        members: vec![MemberEntry {
            address: Address([4; 20]),
            peer_id: "16Uiu2HA".into(),
            rpc_url: "http://127.0.0.1:7545".into(),
            pid: Some(4711),
        }],
        start_block: 1,
        own_chain: true,
        store: "embedded".into(),
        ..RingFile::empty()
    }
}
