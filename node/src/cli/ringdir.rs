//! The directory of a ring: which file is where, and `ring.json`.

use super::failure::{Context, Failure, Status};
use crate::{
    http::{Client, Token},
    keystore,
};
use rings_chain::Chain;
use rings_protocol::{crypto::SecretKey, Address};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Version of `ring.json`.
const VERSION: u32 = 1;
/// Where a ring is when nobody says otherwise.
pub const DEFAULT_DIR: &str = ".rings";

/// The directory of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingDir {
    root: PathBuf,
}

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

/// The directory of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDir {
    root: PathBuf,
}

impl RingDir {
    /// The directory `given`, or the default one.
    pub fn new(given: Option<PathBuf>) -> Self {
        let root = given.unwrap_or_else(|| DEFAULT_DIR.into());
        Self { root }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), Failure> {
        private_directory(&self.root)
    }

    /// `ring.json`.
    pub fn ring_json(&self) -> PathBuf {
        self.root.join("ring.json")
    }

    /// The bearer token of all members.
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The account that `rings run` uses.
    pub fn client_key(&self) -> PathBuf {
        self.root.join("client.key")
    }

    /// Held by the one process that sends from the client's account.
    pub fn client_lock(&self) -> PathBuf {
        self.root.join("client.lock")
    }

    /// Journal of the client's transactions.
    pub fn client_journal(&self) -> PathBuf {
        self.root.join("client.redb")
    }

    /// Journal of the deployment.
    pub fn deploy_journal(&self) -> PathBuf {
        self.root.join("deploy.redb")
    }

    /// Held by the process that starts or stops something here.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Held by the `rings up` that stays in the foreground.
    pub fn supervisor(&self) -> PathBuf {
        self.root.join("supervisor")
    }

    /// State and log of the chain.
    pub fn anvil(&self) -> PathBuf {
        self.root.join("anvil")
    }

    /// The directory of member `index`.
    pub fn member(&self, index: usize) -> MemberDir {
        let root = self.root.join("members").join(index.to_string());
        MemberDir { root }
    }

    /// What `ring.json` says; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not one of this version.
    pub fn find(&self) -> Result<Option<RingFile>, Failure> {
        let path = self.ring_json();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("cannot read {}; check who owns it", path.display());
                return Err(Failure::usage(what).because(error));
            }
        };
        let file: RingFile = serde_json::from_str(&text).map_err(|error| {
            let what = format!("{} is not a ring file; name another DIR", path.display());
            Failure::usage(what).because(error)
        })?;
        if file.version != VERSION {
            let path = path.display();
            let found = file.version;
            return Err(Failure::usage(format!(
                "{path} has version {found}, not {VERSION}; use the rings that wrote it"
            )));
        }
        Ok(Some(file))
    }

    /// As [`RingDir::find`], where there must be a ring.
    ///
    /// # Errors
    /// When there is none, too.
    pub fn read(&self) -> Result<RingFile, Failure> {
        self.find()?.ok_or_else(|| {
            Failure::usage(format!(
                "there is no ring in {}; start one with `rings up`, or name its directory with --dir",
                self.root.display()
            ))
        })
    }

    /// Writes `ring.json`, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &RingFile) -> Result<(), Failure> {
        let text = serde_json::to_string(file)
            .map_err(|error| Failure::internal("ring.json cannot be written").because(error))?;
        replace(&self.ring_json(), format!("{text}\n").as_bytes())
    }

    /// The account of `rings run`.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn client(&self) -> Result<SecretKey, Failure> {
        Ok(keystore::load(&self.client_key(), None)?)
    }

    /// A client of each member, with the token if it is there.
    ///
    /// # Errors
    /// When the token is there and cannot be used.
    pub fn clients(&self, file: &RingFile) -> Result<Vec<Client>, Failure> {
        let path = self.token();
        let token = match path.exists() {
            true => Some(Token::read(&path)?),
            false => None,
        };
        let clients = file.members.iter();
        let clients = clients.map(|member| Client::new(&member.rpc_url, token.clone()));
        Ok(clients.collect::<Result<_, _>>()?)
    }
}

impl RingFile {
    /// The current version of the form, for a new file.
    pub fn version() -> u32 {
        VERSION
    }

    /// The chain. Ours tells of new blocks by itself over its WebSocket, so that nothing waits for a poll.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn chain(&self) -> Result<Chain, Failure> {
        let own = self
            .rpc_url
            .strip_prefix("http://")
            .filter(|_| self.own_chain);
        let url = own.map_or_else(|| self.rpc_url.clone(), |rest| format!("ws://{rest}"));
        Ok(Chain::connect(&url).await?)
    }
}

impl MemberDir {
    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), Failure> {
        private_directory(&self.root)
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Its key.
    pub fn keystore(&self) -> PathBuf {
        self.root.join("key.json")
    }

    /// The password of its key.
    pub fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    /// What it writes about itself.
    pub fn log(&self) -> PathBuf {
        self.root.join("node.log")
    }

    /// Held by the running member; its content is the process id.
    pub fn lock(&self) -> PathBuf {
        self.root.join("data").join("lock")
    }
}

/// Makes a directory that nobody else can look into.
fn private_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.context(
        Status::Usage,
        format!(
            "cannot make the directory {}; name another with --dir",
            path.display()
        ),
    )
}

/// Puts a file in place of what was there, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let write = || {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error).map(drop)
    };
    write().context(
        Status::Unavailable,
        format!(
            "cannot write {}; check the disk's free space",
            path.display()
        ),
    )
}

/// The end of a log file, for an error message: its error if that is what it ends with, else its last lines, as one.
pub fn log_end(path: &Path) -> String {
    const LINES: usize = 3;
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let error = lines.last().and_then(|line| line.strip_prefix("error: "));
    if let Some(error) = error {
        return error.to_owned();
    }
    match lines.len() {
        0 => "it wrote nothing".into(),
        count => lines[count.saturating_sub(LINES)..].join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> RingFile {
        RingFile {
            version: VERSION,
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
            chain_pid: None,
            store: "embedded".into(),
        }
    }

    #[test]
    fn the_file_has_the_names_of_the_interface_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        assert_eq!(dir.find().unwrap(), None);
        dir.write(&file()).unwrap();
        assert_eq!(dir.read().unwrap(), file());
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.ring_json()).unwrap()).unwrap();
        for key in [
            "version", "chainId", "rpcUrl", "engine", "scope", "ring", "members",
        ] {
            assert!(!json[key].is_null(), "{key}");
        }
        for key in ["address", "peerId", "rpcUrl", "pid"] {
            assert!(!json["members"][0][key].is_null(), "{key}");
        }
    }

    #[test]
    fn what_is_no_ring_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        let absent = dir.read().unwrap_err();
        assert!(absent.to_string().contains("`rings up`"), "{absent}");
        fs::write(dir.ring_json(), "{}").unwrap();
        assert_eq!(dir.read().unwrap_err().status(), Status::Usage);
        let later = serde_json::to_string(&RingFile {
            version: 9,
            ..file()
        })
        .unwrap();
        fs::write(dir.ring_json(), later).unwrap();
        let error = dir.read().unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }

    #[test]
    fn the_end_of_a_log_is_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(log_end(&path), "it wrote nothing");
        fs::write(&path, "a\nb\n\nc\nd\n").unwrap();
        assert_eq!(log_end(&path), "b | c | d");
        fs::write(&path, "a\nerror: no luck\n").unwrap();
        assert_eq!(log_end(&path), "no luck");
    }
}
