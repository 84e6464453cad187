//! The configuration as the member uses it: every value is present and valid.
//!
//! [`NodeConfig::load`] is the only way to get one from a file. Each section of the file is a struct here. To add a
//! key, add it to the table in `keys.rs` and a field to the struct of its section, then write `docs/config.toml` again.
//!
//! Loading has four steps, in this order: read the file, put the environment on top, fill in the defaults, and resolve
//! what depends on other keys or on the machine (relative paths, the number of workers, how many providers must agree).
//! Whatever is wrong is found here, before anything is opened, and the error names the file and line or the variable.
//! So the rest of the program never has to ask whether a value makes sense.

use super::{
    error::ConfigError,
    keys::{unknown_variable, variable, ConfigFile},
    values::{KindName, List, LogFormat, LogLevel},
};
use rings_protocol::Address;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The whole configuration of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The chain to follow.
    pub chain: ChainConfig,
    /// The ring to work for.
    pub ring: RingConfig,
    /// The key to sign with.
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

/// `[key]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfig {
    /// The member's keystore (Web3 Secret Storage v3), or a file with the hex of its key; mode 0600.
    pub keystore: PathBuf,
    /// A file of mode 0600 with the keystore's password; without it the password is asked for.
    pub password_file: Option<PathBuf>,
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

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines are written to standard error.
    pub format: LogFormat,
    /// Which lines are written.
    pub level: LogLevel,
}

/// The value of a key that is required or has a default; without it, the error that names the key.
macro_rules! take {
    ($path:ident, $file:ident.$section:ident.$key:ident) => {
        $file.$section.$key.ok_or_else(|| ConfigError::Missing {
            path: $path.into(),
            section: stringify!($section),
            key: stringify!($key),
            name: variable(stringify!($section), stringify!($key)),
        })?
    };
}

impl NodeConfig {
    /// Reads `path`, or standard input if it is `-`, with the environment of this process on top.
    ///
    /// # Errors
    /// [`ConfigError`], which names file and line, or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        if let Some(unknown) = unknown_variable(names) {
            return Err(unknown.into());
        }
        let text = match path == Path::new("-") {
            true => std::io::read_to_string(std::io::stdin()),
            false => std::fs::read_to_string(path),
        };
        let text = text.map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, path, |name| std::env::var(name).ok())
    }

    /// Reads `text`, the content of `path`, with the variables that `environment` gives on top.
    ///
    /// # Errors
    /// As [`NodeConfig::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut file: ConfigFile =
            toml::from_str(text).map_err(|error| ConfigError::in_file(text, path, &error))?;
        file.overlay(&environment)?;
        file.fill_defaults();
        Self::resolve(file, path)
    }

    /// From keys that are all read, to values that are all valid: what depends on another key, on the place of the file
    /// or on the machine is found out here and nowhere else.
    fn resolve(file: ConfigFile, path: &Path) -> Result<Self, ConfigError> {
        let beside = |relative: PathBuf| match path.parent() {
            Some(directory) => directory.join(relative),
            None => relative,
        };
        let rpc: Vec<_> = take!(path, file.chain.rpc)
            .urls()
            .map(ToOwned::to_owned)
            .collect();
        let agree = file.chain.agree.map(|agree| agree.0);
        // More providers than there are can never agree: the member would wait for ever.
        if let Some(agree) = agree.filter(|agree| *agree > rpc.len()) {
            return Err(ConfigError::TooFewProviders {
                path: path.into(),
                agree,
                providers: rpc.len(),
            });
        }
        let store_path = beside(take!(path, file.store.path));
        let modules = store_path.join("modules");
        Ok(Self {
            chain: ChainConfig {
                agree: agree.unwrap_or_else(|| agreeing(rpc.len())),
                rpc,
                confirmations: take!(path, file.chain.confirmations),
                start_block: file.chain.start_block.unwrap_or_default(),
            },
            ring: RingConfig {
                address: take!(path, file.ring.address),
                requesters: file.ring.requesters.unwrap_or_default().0,
                readers: file.ring.readers.unwrap_or_default().0,
            },
            key: KeyConfig {
                keystore: beside(take!(path, file.key.keystore)),
                password_file: file.key.password_file.map(beside),
            },
            store: StoreConfig {
                kind: match take!(path, file.store.kind) {
                    KindName::Embedded => StoreKind::Embedded,
                    KindName::Kubo => StoreKind::Kubo {
                        url: take!(path, file.store.url).0,
                    },
                },
                path: store_path,
                max_bytes: file.store.max_bytes.map(|bytes| bytes.0),
                keep_results: take!(path, file.store.keep_results),
                collect_logs: take!(path, file.store.collect_logs),
                logs_from_heads: take!(path, file.store.logs_from_heads),
                author_daily_nodes: take!(path, file.store.author_daily_nodes),
                author_daily_bytes: take!(path, file.store.author_daily_bytes).0,
            },
            network: NetworkConfig {
                listen: take!(path, file.network.listen).0,
                announce: file.network.announce.unwrap_or_default().0,
            },
            rpc: RpcConfig {
                listen: take!(path, file.rpc.listen),
                token_file: beside(take!(path, file.rpc.token_file)),
                hosts: texts(file.rpc.hosts.unwrap_or_default(), |host| host.0),
                origins: texts(file.rpc.origins.unwrap_or_default(), |origin| origin.0),
                tls: tls_files(
                    path,
                    file.rpc.certificate.map(beside),
                    file.rpc.private_key.map(beside),
                )?,
            },
            compute: ComputeConfig {
                workers: file.compute.workers.unwrap_or_default().0,
                memory: take!(path, file.compute.memory).0,
                fuel: take!(path, file.compute.fuel).0,
                output: take!(path, file.compute.output).0,
                second_opinion: take!(path, file.compute.second_opinion).0,
                profiles: file
                    .compute
                    .profiles
                    .unwrap_or_default()
                    .0
                    .into_iter()
                    .map(beside)
                    .collect(),
                cache: file.compute.cache.map_or(modules, beside),
            },
            clients: ClientsConfig {
                granted: file.clients.granted.unwrap_or_default().0,
                gas_per_ring: take!(path, file.clients.gas_per_ring),
                gas_for_others: take!(path, file.clients.gas_for_others),
                gas_per_avatar: take!(path, file.clients.gas_per_avatar),
                bytes_per_ring: take!(path, file.clients.bytes_per_ring).0,
            },
            ring_log: RingLogConfig {
                entries: take!(path, file.ring_log.entries),
                wait: take!(path, file.ring_log.wait),
                gates: take!(path, file.ring_log.gates),
            },
            requests: RequestsConfig {
                open: take!(path, file.requests.open),
                lifetime: take!(path, file.requests.lifetime),
                until: take!(path, file.requests.until),
            },
            log: LogConfig {
                format: take!(path, file.log.format),
                level: take!(path, file.log.level),
            },
        })
    }
}

/// Both files for TLS, or none.
fn tls_files(
    path: &Path,
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    let half = |has, lacks| ConfigError::HalfOfTls {
        path: path.into(),
        has,
        lacks,
        name: variable("rpc", lacks),
    };
    match (certificate, private_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(private_key)) => Ok(Some(TlsFiles {
            certificate,
            private_key,
        })),
        (Some(_), None) => Err(half("certificate", "private_key")),
        (None, Some(_)) => Err(half("private_key", "certificate")),
    }
}

/// How many providers must agree if the configuration does not say it: two thirds of three or more, so that one may fail.
fn agreeing(providers: usize) -> usize {
    match providers {
        0..=2 => 1,
        several => rings_protocol::quorum::quorum(several),
    }
}

fn texts<T>(list: List<T>, text: impl Fn(T) -> String) -> Vec<String> {
    list.0.into_iter().map(text).collect()
}
