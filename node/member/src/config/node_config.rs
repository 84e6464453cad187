//! The configuration as the member uses it: every value is present and valid.
//!
//! [`NodeConfig::load`] is the only way to get one from a file. Each section of the file is a struct here. To add a
//! key, add it to the table in `keys.rs` and a field to the struct of its section, then write `docs/config.toml` again.
//!
//! Loading has four steps, in this order: read the file, put the environment on top, fill in the defaults, and resolve
//! what depends on other keys or on the machine (relative paths, the number of workers, how many providers must agree).
//! Whatever is wrong is found here, before anything is opened, and the error names the file and line or the variable.
//! So the rest of the program never has to ask whether a value makes sense.

use super::values::{LogFormat, LogLevel};
use rings_protocol::Address;
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

/// The whole configuration of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The chain to follow.
    pub chain: ChainConfig,
    /// The ring to work for.
    pub ring: RingConfig,
    /// The key to sign with, or who has it.
    pub key: KeyConfig,
    /// Where blocks and databases are.
    pub store: StoreConfig,
    /// The libp2p side.
    pub network: NetworkConfig,
    /// The HTTP side.
    pub rpc: RpcConfig,
    /// The workers that run programs.
    pub compute: ComputeConfig,
    /// What is done for client rings.
    pub clients: ClientsConfig,
    /// When ring nodes are due.
    pub ring_log: RingLogConfig,
    /// How much may be asked.
    pub requests: RequestsConfig,
    /// What external tasks may use.
    pub connectors: ConnectorsConfig,
    /// What the node writes about itself.
    pub log: LogConfig,
}

/// `[chain]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// URLs of the providers: http, https, ws or wss; at least one.
    pub rpc: Vec<String>,
    /// How many of them must give the same answer where a lie would cost.
    pub agree: usize,
    /// Blocks on top of a result before it is called final.
    pub confirmations: u64,
    /// First block that can hold an event of the ring: the one in which it was deployed, or an earlier one.
    pub start_block: u64,
}

/// `[ring]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingConfig {
    /// The ring's contract.
    pub address: Address,
    /// Accounts whose gates are computed, besides the ring's keeper and its members.
    pub requesters: Vec<Address>,
    /// Accounts that this member lets read the ring's logs; nobody where everybody may.
    pub readers: Vec<Address>,
}

/// `[key]`, or `[signer]` in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyConfig {
    /// The key is on this machine.
    Here(KeyFiles),
    /// A service has it.
    Signer(SignerConfig),
}

impl KeyConfig {
    /// The files of the key, if it is on this machine.
    pub fn files(&self) -> Option<&KeyFiles> {
        match self {
            Self::Here(files) => Some(files),
            Self::Signer(_) => None,
        }
    }
}

/// `[key]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The member's keystore (Web3 Secret Storage v3), or a file with the hex of its key; mode 0600.
    pub keystore: PathBuf,
    /// A file of mode 0600 with the keystore's password; without it the password is asked for.
    pub password_file: Option<PathBuf>,
}

/// `[signer]`
#[derive(Clone, PartialEq, Eq)]
pub struct SignerConfig {
    /// URL of the service. It may hold a password, so it is not printed as it is.
    pub url: String,
    /// The member's account.
    pub address: Address,
    /// A PEM file of those who vouch for its certificate; nothing for the usual authorities.
    pub authority: Option<PathBuf>,
    /// The certificate of this member, and the key to it.
    pub identity: Option<TlsFiles>,
}

impl fmt::Debug for SignerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerConfig")
            .field("url", &rings_api::shown_url(&self.url))
            .field("address", &self.address)
            .field("authority", &self.authority)
            .field("identity", &self.identity)
            .finish()
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where blocks are kept.
    pub kind: StoreKind,
    /// Directory of this node's databases. Also with Kubo it holds the log's index, the journals and the cursor.
    pub path: PathBuf,
    /// Most bytes of blocks in the embedded store.
    pub max_bytes: Option<u64>,
    /// URLs of gateways where blocks are looked for that no member has.
    pub gateways: Vec<String>,
    /// Gates that are over and whose data a collection leaves, the newest ones.
    pub keep_results: u64,
    /// Whether a collection removes old nodes of the other members' logs.
    pub collect_logs: bool,
    /// Whether logs of which nothing is held are begun at their heads on chain.
    pub logs_from_heads: bool,
    /// Most nodes of one other member's log in a day.
    pub author_daily_nodes: u64,
    /// Most bytes of one other member's log in a day.
    pub author_daily_bytes: u64,
}

/// Where blocks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In a database of the node's own.
    Embedded,
    /// In a Kubo node.
    Kubo {
        /// URL of its RPC, such as `http://127.0.0.1:5001`.
        url: String,
    },
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// libp2p multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Multiaddresses at which others reach this member. If the list is empty, the member finds them out itself.
    pub announce: Vec<String>,
}

/// `[rpc]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// Address and port of the HTTP side.
    pub listen: SocketAddr,
    /// File of mode 0600 with the bearer token that may add files.
    pub token_file: PathBuf,
    /// Names under which this node is reached, besides those of this machine itself.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call this node.
    pub origins: Vec<String>,
    /// For TLS; without: plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// The files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The own certificate, then those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// The key to it, as PEM, in a file of mode 0600.
    pub private_key: PathBuf,
}

/// `[compute]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeConfig {
    /// Programs run at the same time, each in a process of its own.
    pub workers: usize,
    /// Most bytes of memory that one run may ask for. This member does not vote on an operation that asks for more.
    pub memory: u64,
    /// Most units of fuel that one run may ask for. This member does not vote on an operation that asks for more.
    pub fuel: u64,
    /// Most bytes of output that one run may ask for. This member does not vote on an operation that asks for more.
    pub output: u64,
    /// Of a hundred gates, how many are computed on a second engine too, which must agree.
    pub second_opinion: u8,
    /// Further worker programs, each of which computes the profile that it says when it is asked.
    pub profiles: Vec<PathBuf>,
    /// Directory of compiled modules. Members on one machine may share one, so that each module is compiled once. Members
    /// on other machines do not use it.
    pub cache: PathBuf,
}

/// `[clients]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientsConfig {
    /// Client rings that have a daily sum of gas of their own.
    pub granted: Vec<Address>,
    /// Most gas that is paid for in a day for each of them.
    pub gas_per_ring: u64,
    /// Most gas that is paid for in a day for all other client rings together.
    pub gas_for_others: u64,
    /// Most gas that is paid for in a day for each avatar.
    pub gas_per_avatar: u64,
    /// Most bytes of log nodes of one client ring.
    pub bytes_per_ring: u64,
}

/// `[ring_log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLogConfig {
    /// The number of waiting entries that makes a ring node due at once.
    pub entries: usize,
    /// Seconds after which a waiting entry makes one due.
    pub wait: u64,
    /// Seconds after which the result of a gate, which is on chain already, makes a ring node due.
    pub gates: u64,
}

/// `[requests]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsConfig {
    /// Most open requests of one author.
    pub open: usize,
    /// Most ring nodes from the next one to a request's last.
    pub lifetime: u64,
    /// Ring nodes from the next one to the last that may list a request, for requests that do not say it.
    pub until: u64,
}

/// `[connectors]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorsConfig {
    /// The programs, by the names that external tasks have for them.
    pub programs: BTreeMap<String, PathBuf>,
    /// Hosts that may be asked, with or without a port.
    pub hosts: Vec<String>,
    /// Hosts of those whose address may be a private one.
    pub private_hosts: Vec<String>,
    /// Directory with the values of instances.
    pub instances: Option<PathBuf>,
    /// External tasks that run at the same time.
    pub at_once: usize,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines are written to standard error.
    pub format: LogFormat,
    /// Which lines are written.
    pub level: LogLevel,
}
