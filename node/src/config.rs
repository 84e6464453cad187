//! The configuration of `rings node`: a TOML file, read once into types that are known to be good.
//!
//! Every key can be set by an environment variable `RINGS_SECTION_KEY` too, which wins over the file; lists are
//! separated by commas there. Relative paths, wherever they stand, are relative to the file's directory, so
//! that a member's directory can be moved. `docs/config.toml` explains each key.

use rings_protocol::{operation::DEFAULT_OUTPUT, Address};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Blocks on top of an event before it is acted on, unless the file says otherwise.
pub const DEFAULT_CONFIRMATIONS: u64 = 12;
/// Port of the HTTP side, unless the file says otherwise.
pub const DEFAULT_RPC_PORT: u16 = 7545;
/// Where libp2p listens, unless the file says otherwise.
pub const DEFAULT_LISTEN: [&str; 2] = ["/ip4/0.0.0.0/tcp/7645", "/ip4/0.0.0.0/udp/7645/quic-v1"];
/// Most bytes of memory that one run may ask of this machine, unless the file says otherwise.
pub const DEFAULT_MEMORY: u64 = 1 << 30;
/// Fuel that one run may ask for unless told otherwise: minutes of work.
pub const DEFAULT_MAX_FUEL: u64 = 1_000_000_000_000;
/// Most workers that a configuration may ask for.
pub const MAX_WORKERS: usize = 256;

/// All that a running node is told.
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
    /// What the node writes about itself.
    pub log: LogConfig,
}

/// `[chain]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    /// URL of the provider: http, https, ws or wss.
    pub rpc: String,
    /// Blocks on top of an event before it is acted on.
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
}

/// `[key]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfig {
    /// The member's keystore (Web3 Secret Storage v3), or a file with the hex of its key; mode 0600.
    pub keystore: PathBuf,
    /// The keystore's password, in a file of mode 0600; without it, it is asked for.
    pub password_file: Option<PathBuf>,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where blocks are kept.
    pub kind: StoreKind,
    /// Directory of this node's databases (also with Kubo: the log, the journals and the cursor are there).
    pub path: PathBuf,
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
}

/// `[rpc]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// Address and port of the HTTP side.
    pub listen: SocketAddr,
    /// File of mode 0600 with the bearer token that may add files.
    pub token_file: PathBuf,
}

/// `[compute]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeConfig {
    /// Programs run at the same time, each in a process of its own.
    pub workers: usize,
    /// Most bytes of memory that one run may ask of this machine. An operation that asks for more gets no vote
    /// from this member.
    pub memory: u64,
    /// Most units of fuel that one run may ask for. An operation that asks for more gets no vote from this member.
    pub fuel: u64,
    /// Most bytes of output that one run may ask for. An operation that asks for more gets no vote from this member.
    pub output: u64,
    /// Of a hundred gates, how many are computed on a second engine too, which must agree.
    pub second_opinion: u8,
    /// Directory of compiled modules. Members on one machine may share one: each module is compiled once, and nothing in it
    /// is trusted by anybody on another machine.
    pub cache: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines are written to standard error.
    pub format: LogFormat,
}

/// How lines are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}; give its path with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value that is not of its type.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// An environment variable has a value that is not of its type.
    #[error("the environment variable {name}: {reason}")]
    Environment {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that has no default is neither in the file nor in the environment.
    #[error("{}: [{section}] {key} is missing; write it there or set {name}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// The environment variable that stands for it.
        name: &'static str,
    },
}

impl NodeConfig {
    /// Reads `path`, with the environment of this process on top.
    ///
    /// # Errors
    /// [`ConfigError`], which names file and line, or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, path, |name| std::env::var(name).ok())
    }

    /// Reads `text`, which stands in `path`, with the variables that `environment` knows on top.
    ///
    /// # Errors
    /// As [`NodeConfig::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut file: ConfigFile =
            toml::from_str(text).map_err(|error| at_line(text, path, &error))?;
        file.overlay(&environment)?;
        file.validate(path)
    }
}

/// The file as it is written: what is not there has a default, or is an error later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// `[chain]`
    pub chain: ChainSection,
    /// `[ring]`
    pub ring: RingSection,
    /// `[key]`
    pub key: KeySection,
    /// `[store]`
    pub store: StoreSection,
    /// `[network]`
    pub network: NetworkSection,
    /// `[rpc]`
    pub rpc: RpcSection,
    /// `[compute]`
    pub compute: ComputeSection,
    /// `[log]`
    pub log: LogSection,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($field), "`; see `docs/config.toml`.")]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }
    };
}

section! {
    /// `[chain]` as written.
    ChainSection { rpc: ChainUrl, confirmations: u64, start_block: u64 }
}
section! {
    /// `[ring]` as written.
    RingSection { address: Address, requesters: List<Address> }
}
section! {
    /// `[key]` as written.
    KeySection { keystore: PathBuf, password_file: PathBuf }
}
section! {
    /// `[store]` as written.
    StoreSection { kind: KindName, path: PathBuf, url: HttpUrl }
}
section! {
    /// `[network]` as written.
    NetworkSection { listen: List<String> }
}
section! {
    /// `[rpc]` as written.
    RpcSection { listen: SocketAddr, token_file: PathBuf }
}
section! {
    /// `[compute]` as written.
    ComputeSection { workers: Workers, memory: Bytes, fuel: Fuel, output: Bytes, second_opinion: Percent, cache: PathBuf }
}
section! {
    /// `[log]` as written.
    LogSection { format: LogFormat }
}

/// The environment variables that stand for keys of the file. A parent that starts nodes with files of their
/// own takes these out of their environment.
pub const VARIABLES: [&str; 20] = [
    "RINGS_CHAIN_RPC",
    "RINGS_CHAIN_CONFIRMATIONS",
    "RINGS_CHAIN_START_BLOCK",
    "RINGS_RING_ADDRESS",
    "RINGS_RING_REQUESTERS",
    "RINGS_KEY_KEYSTORE",
    "RINGS_KEY_PASSWORD_FILE",
    "RINGS_STORE_KIND",
    "RINGS_STORE_PATH",
    "RINGS_STORE_URL",
    "RINGS_NETWORK_LISTEN",
    "RINGS_RPC_LISTEN",
    "RINGS_RPC_TOKEN_FILE",
    "RINGS_COMPUTE_WORKERS",
    "RINGS_COMPUTE_MEMORY",
    "RINGS_COMPUTE_FUEL",
    "RINGS_COMPUTE_OUTPUT",
    "RINGS_COMPUTE_SECOND_OPINION",
    "RINGS_COMPUTE_CACHE",
    "RINGS_LOG_FORMAT",
];

impl ConfigFile {
    fn overlay(&mut self, env: &impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        set(&mut self.chain.rpc, env, "RINGS_CHAIN_RPC")?;
        set(
            &mut self.chain.confirmations,
            env,
            "RINGS_CHAIN_CONFIRMATIONS",
        )?;
        set(&mut self.chain.start_block, env, "RINGS_CHAIN_START_BLOCK")?;
        set(&mut self.ring.address, env, "RINGS_RING_ADDRESS")?;
        set(&mut self.ring.requesters, env, "RINGS_RING_REQUESTERS")?;
        set(&mut self.key.keystore, env, "RINGS_KEY_KEYSTORE")?;
        set(&mut self.key.password_file, env, "RINGS_KEY_PASSWORD_FILE")?;
        set(&mut self.store.kind, env, "RINGS_STORE_KIND")?;
        set(&mut self.store.path, env, "RINGS_STORE_PATH")?;
        set(&mut self.store.url, env, "RINGS_STORE_URL")?;
        set(&mut self.network.listen, env, "RINGS_NETWORK_LISTEN")?;
        set(&mut self.rpc.listen, env, "RINGS_RPC_LISTEN")?;
        set(&mut self.rpc.token_file, env, "RINGS_RPC_TOKEN_FILE")?;
        set(&mut self.compute.workers, env, "RINGS_COMPUTE_WORKERS")?;
        set(&mut self.compute.memory, env, "RINGS_COMPUTE_MEMORY")?;
        set(&mut self.compute.fuel, env, "RINGS_COMPUTE_FUEL")?;
        set(&mut self.compute.output, env, "RINGS_COMPUTE_OUTPUT")?;
        set(
            &mut self.compute.second_opinion,
            env,
            "RINGS_COMPUTE_SECOND_OPINION",
        )?;
        set(&mut self.compute.cache, env, "RINGS_COMPUTE_CACHE")?;
        set(&mut self.log.format, env, "RINGS_LOG_FORMAT")
    }

    fn validate(self, path: &Path) -> Result<NodeConfig, ConfigError> {
        let beside = |relative: PathBuf| match path.parent() {
            Some(directory) => directory.join(relative),
            None => relative,
        };
        let missing = |section, key, name| ConfigError::Missing {
            path: path.into(),
            section,
            key,
            name,
        };
        let store_path = beside(self.store.path.unwrap_or_else(|| "data".into()));
        let cache = self.compute.cache.map(beside);
        Ok(NodeConfig {
            chain: ChainConfig {
                rpc: self
                    .chain
                    .rpc
                    .ok_or_else(|| missing("chain", "rpc", "RINGS_CHAIN_RPC"))?
                    .0,
                confirmations: self.chain.confirmations.unwrap_or(DEFAULT_CONFIRMATIONS),
                start_block: self.chain.start_block.unwrap_or(0),
            },
            ring: RingConfig {
                address: self
                    .ring
                    .address
                    .ok_or_else(|| missing("ring", "address", "RINGS_RING_ADDRESS"))?,
                requesters: self.ring.requesters.unwrap_or_default().0,
            },
            key: KeyConfig {
                keystore: self
                    .key
                    .keystore
                    .map(beside)
                    .ok_or_else(|| missing("key", "keystore", "RINGS_KEY_KEYSTORE"))?,
                password_file: self.key.password_file.map(beside),
            },
            store: StoreConfig {
                kind: match (self.store.kind.unwrap_or_default(), self.store.url) {
                    (KindName::Embedded, _) => StoreKind::Embedded,
                    (KindName::Kubo, Some(url)) => StoreKind::Kubo { url: url.0 },
                    (KindName::Kubo, None) => {
                        return Err(missing("store", "url", "RINGS_STORE_URL"))
                    }
                },
                path: store_path.clone(),
            },
            network: NetworkConfig {
                listen: match self.network.listen {
                    Some(listen) => listen.0,
                    None => DEFAULT_LISTEN.map(String::from).into(),
                },
            },
            rpc: RpcConfig {
                listen: self
                    .rpc
                    .listen
                    .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, DEFAULT_RPC_PORT).into()),
                token_file: self
                    .rpc
                    .token_file
                    .map(beside)
                    .ok_or_else(|| missing("rpc", "token_file", "RINGS_RPC_TOKEN_FILE"))?,
            },
            compute: ComputeConfig {
                workers: self.compute.workers.unwrap_or_default().0,
                memory: self.compute.memory.map_or(DEFAULT_MEMORY, |bytes| bytes.0),
                fuel: self.compute.fuel.map_or(DEFAULT_MAX_FUEL, |fuel| fuel.0),
                output: self.compute.output.map_or(DEFAULT_OUTPUT, |bytes| bytes.0),
                second_opinion: self.compute.second_opinion.map_or(0, |percent| percent.0),
                cache: cache.unwrap_or_else(|| store_path.join("modules")),
            },
            log: LogConfig {
                format: self.log.format.unwrap_or_default(),
            },
        })
    }
}

/// Puts the variable `name` in place of what the file says, when it is set.
fn set<T>(
    slot: &mut Option<T>,
    env: &impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<(), ConfigError>
where
    T: FromStr<Err: fmt::Display>,
{
    if let Some(text) = env(name) {
        let value = text.trim().parse().map_err(|error: T::Err| {
            let reason = error.to_string();
            ConfigError::Environment { name, reason }
        })?;
        *slot = Some(value);
    }
    Ok(())
}

fn at_line(text: &str, path: &Path, error: &toml::de::Error) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    ConfigError::Line {
        path: path.into(),
        line: 1 + text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        reason: error.message().replace('\n', ", "),
    }
}

/// A text of which only some values are good.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(pub(crate) String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $check(&text) {
                    return Ok(Self(text));
                }
                Err(format!(concat!("expected ", $wanted, ", got {:?}"), text))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                text.to_owned().try_into()
            }
        }
    };
}

checked_text!(
    /// URL of a chain's provider.
    ChainUrl,
    |text: &str| has_scheme(text, &["http", "https", "ws", "wss"]),
    "a URL that begins with http://, https://, ws:// or wss://"
);
checked_text!(
    /// URL of a Kubo RPC.
    HttpUrl,
    |text: &str| has_scheme(text, &["http", "https"]),
    "a URL that begins with http:// or https://"
);

fn has_scheme(text: &str, schemes: &[&str]) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty())
}

/// A list: an array in the file, separated by commas in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(T::from_str).collect::<Result<_, _>>().map(Self)
    }
}

/// `kind` of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// `embedded`
    #[default]
    Embedded,
    /// `kubo`
    Kubo,
}

impl FromStr for KindName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "kubo" => Ok(Self::Kubo),
            _ => Err("expected embedded or kubo"),
        }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

/// A number within bounds.
macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident($type:ty), $bounds:expr, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "u64")]
        pub struct $name(pub(crate) $type);

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(number: u64) -> Result<Self, String> {
                match <$type>::try_from(number) {
                    Ok(number) if $bounds.contains(&number) => Ok(Self(number)),
                    _ => Err(format!(concat!("expected ", $wanted, ", got {}"), number)),
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let number: u64 = text
                    .parse()
                    .map_err(|_| format!(concat!("expected ", $wanted, ", got {:?}"), text))?;
                number.try_into()
            }
        }
    };
}

bounded_number!(
    /// Number of workers.
    Workers(usize), (1..=MAX_WORKERS), "a number from 1 to 256"
);
bounded_number!(
    /// Bytes of memory: at least the one page that every WASM program has.
    Bytes(u64), (65_536..=1 << 40), "a number of bytes from 65536 to 2^40"
);

bounded_number!(
    /// Units of fuel.
    Fuel(u64), (1..=u64::MAX), "a number of units of fuel, at least 1"
);
bounded_number!(
    /// So many of a hundred.
    Percent(u8), (0..=100), "a number from 0 to 100"
);

impl Default for Workers {
    /// As many as this machine runs at the same time.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(cores.min(MAX_WORKERS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/etc/rings/node.toml";
    const SAMPLE: &str = include_str!("../../docs/config.toml");
    const SMALL: &str = r#"
[chain]
rpc = "http://127.0.0.1:8545"
[ring]
address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
[key]
keystore = "key.json"
[rpc]
token_file = "/run/token"
"#;

    fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
        NodeConfig::parse(text, Path::new(PATH), |_| None)
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_sample_is_read_and_names_every_key() {
        let config = parse(SAMPLE).unwrap();
        assert_eq!(config.chain.rpc, "wss://ethereum.example/ws");
        assert_eq!(config.ring.requesters.len(), 1);
        assert_eq!(config.store.path, Path::new("/etc/rings/data"));
        for name in VARIABLES {
            let key = name.splitn(3, '_').nth(2).unwrap().to_lowercase();
            let documented = SAMPLE.lines().any(|line| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{key} = "))
            });
            assert!(documented, "{name} is not in docs/config.toml");
        }
    }

    #[test]
    fn defaults_fill_what_a_small_file_leaves_out() {
        let config = parse(SMALL).unwrap();
        assert_eq!(config.chain.confirmations, DEFAULT_CONFIRMATIONS);
        assert_eq!(config.store.kind, StoreKind::Embedded);
        assert_eq!(config.store.path, Path::new("/etc/rings/data"));
        assert_eq!(config.key.keystore, Path::new("/etc/rings/key.json"));
        assert_eq!(config.rpc.token_file, Path::new("/run/token"));
        assert_eq!(config.rpc.listen.port(), DEFAULT_RPC_PORT);
        assert_eq!(config.network.listen, DEFAULT_LISTEN);
        assert!(config.compute.workers >= 1);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let cases = [
            (SMALL.replace("[key]", "[kye]"), 6, "unknown field `kye`"),
            (
                SMALL.replace("keystore", "keystor"),
                7,
                "unknown field `keystor`",
            ),
            (SMALL.replace("http://", "ftp://"), 3, "expected a URL"),
            (SMALL.replace("0x5aA", "0x5AA"), 5, "checksum"),
            (SMALL.replace("[rpc]", "[rpc"), 8, ""),
            (
                format!("{SMALL}[compute]\nworkers = 0\n"),
                11,
                "from 1 to 256",
            ),
            (format!("{SMALL}[compute]\nmemory = -1\n"), 11, ""),
            (format!("{SMALL}[log]\nformat = \"xml\"\n"), 11, "text"),
            (format!("{SMALL}listen = \"localhost\"\n"), 10, ""),
        ];
        for (text, line, reason) in cases {
            let message = message(&text);
            let place = format!("{PATH}:{line}: ");
            assert!(
                message.starts_with(&place) && message.contains(reason),
                "{message}"
            );
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let text = SMALL.replace("keystore = \"key.json\"", "");
        assert_eq!(
            message(&text),
            "/etc/rings/node.toml: [key] keystore is missing; write it there or set RINGS_KEY_KEYSTORE"
        );
        let text = format!("{SMALL}[store]\nkind = \"kubo\"\n");
        assert!(message(&text).contains("RINGS_STORE_URL"));
    }

    #[test]
    fn every_key_can_be_set_by_its_variable() {
        let values = [
            "ws://127.0.0.1:1",
            "3",
            "17",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "other.json",
            "secret",
            "kubo",
            "/var/lib/rings",
            "http://127.0.0.1:5001",
            "/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/udp/1/quic-v1",
            "[::1]:80",
            "tokens",
            "2",
            "65536",
            "1000",
            "70000",
            "25",
            "/var/cache/rings",
            "json",
        ];
        let environment = |name: &str| {
            let index = VARIABLES.iter().position(|variable| *variable == name)?;
            Some(values[index].to_owned())
        };
        let config = NodeConfig::parse("", Path::new(PATH), environment).unwrap();
        let expected = NodeConfig {
            chain: ChainConfig {
                rpc: values[0].into(),
                confirmations: 3,
                start_block: 17,
            },
            ring: RingConfig {
                address: values[3].parse().unwrap(),
                requesters: vec![
                    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
                        .parse()
                        .unwrap(),
                    values[3].parse().unwrap(),
                ],
            },
            key: KeyConfig {
                keystore: "/etc/rings/other.json".into(),
                password_file: Some("/etc/rings/secret".into()),
            },
            store: StoreConfig {
                kind: StoreKind::Kubo {
                    url: values[9].into(),
                },
                path: "/var/lib/rings".into(),
            },
            network: NetworkConfig {
                listen: vec![
                    "/ip4/127.0.0.1/tcp/1".into(),
                    "/ip4/127.0.0.1/udp/1/quic-v1".into(),
                ],
            },
            rpc: RpcConfig {
                listen: values[11].parse().unwrap(),
                token_file: "/etc/rings/tokens".into(),
            },
            compute: ComputeConfig {
                workers: 2,
                memory: 65_536,
                fuel: 1000,
                output: 70_000,
                second_opinion: 25,
                cache: "/var/cache/rings".into(),
            },
            log: LogConfig {
                format: LogFormat::Json,
            },
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_bad_variable_is_named() {
        let environment = |name: &str| (name == "RINGS_RPC_LISTEN").then(|| "here".into());
        let error = NodeConfig::parse(SMALL, Path::new(PATH), environment).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the environment variable RINGS_RPC_LISTEN: "),
            "{error}"
        );
    }

    #[test]
    fn a_written_file_reads_back() {
        let mut file = ConfigFile::default();
        file.chain.rpc = Some("http://127.0.0.1:8545".parse().unwrap());
        file.ring.address = Some(Address([1; 20]));
        file.key.keystore = Some("key.json".into());
        file.rpc.token_file = Some("../../token".into());
        let text = toml::to_string(&file).unwrap();
        assert_eq!(toml::from_str::<ConfigFile>(&text).unwrap(), file);
        assert_eq!(parse(&text).unwrap().ring.address, Address([1; 20]));
    }
}
