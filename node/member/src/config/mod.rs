//! The configuration of `rings node`: a TOML file, read once into types whose values are valid.
//!
//! [`NodeConfig::load`] reads the file into a [`ConfigFile`], in which every key may be missing, puts the environment on
//! top, fills in the defaults, and resolves the rest: relative paths, wherever they stand, are relative to the file's
//! directory, so that a member's directory can be moved. All keys are in one table, `keys.rs`, which also gives the names
//! of the environment variables (`RINGS_SECTION_KEY`; lists are separated by commas there) and the text of
//! `docs/config.toml`.

mod connectors_file;
mod error;
mod keys;
mod load;
mod node_config;
mod resolve;
#[cfg(test)]
mod tests;
mod values;

pub use connectors_file::ConnectorsFile;
pub use error::{ConfigError, UnknownVariable};
pub use keys::{
    documentation, meant, unknown_variable, variables, ConfigFile, ConnectorsSection, Key,
    Presence, KEYS, PREFIX,
};
pub use node_config::{
    ChainConfig, ClientsConfig, ComputeConfig, ConnectorsConfig, KeyConfig, KeyFiles, LogConfig,
    NetworkConfig, NodeConfig, RequestsConfig, RingConfig, RingLogConfig, RpcConfig, SignerConfig,
    StoreConfig, StoreKind, TlsFiles,
};
pub use values::{HttpUrl, KindName, List, LogFormat, LogLevel, NamedProgram};
