//! From keys that are all read, to values that are all valid.
//!
//! What depends on another key, on the place of the file or on the machine is found out here and nowhere else. Each section of
//! the file has a function of its own.

use super::{
    error::ConfigError,
    keys::{
        variable, ChainSection, ClientsSection, ComputeSection, ConfigFile, ConnectorsSection,
        KeySection, LogSection, NetworkSection, RequestsSection, RingLogSection, RingSection,
        RpcSection, SignerSection, StoreSection,
    },
    node_config::{
        ChainConfig, ClientsConfig, ComputeConfig, ConnectorsConfig, KeyConfig, KeyFiles,
        LogConfig, NetworkConfig, NodeConfig, RequestsConfig, RingConfig, RingLogConfig, RpcConfig,
        SignerConfig, StoreConfig, StoreKind, TlsFiles,
    },
    values::{KindName, List, CONNECTORS_AT_ONCE},
};
use std::path::{Path, PathBuf};

/// The value of a key that is required or has a default; without it, the error that names the key.
macro_rules! take {
    ($file:ident, $section:ident.$key:ident) => {
        $section.$key.ok_or_else(|| ConfigError::Missing {
            path: $file.0.into(),
            section: stringify!($section),
            key: stringify!($key),
            name: variable(stringify!($section), stringify!($key)),
        })?
    };
}

/// The file that the configuration is read from.
#[derive(Clone, Copy)]
struct Origin<'a>(&'a Path);

impl Origin<'_> {
    /// A path that is relative to the file's directory.
    fn beside(self, relative: PathBuf) -> PathBuf {
        match self.0.parent() {
            Some(directory) => directory.join(relative),
            None => relative,
        }
    }
}

/// The configuration that the file at `path` means.
///
/// # Errors
/// When a key is missing, or contradicts another one.
pub(super) fn resolve(file: ConfigFile, path: &Path) -> Result<NodeConfig, ConfigError> {
    let origin = Origin(path);
    let store = store(file.store, origin)?;
    Ok(NodeConfig {
        chain: chain(file.chain, origin)?,
        key: key((file.key, file.signer), &file.ring, origin)?,
        ring: ring(file.ring, origin)?,
        network: network(file.network, origin)?,
        rpc: rpc(file.rpc, origin)?,
        compute: compute(file.compute, origin, &store.path)?,
        clients: clients(file.clients, origin)?,
        ring_log: ring_log(file.ring_log, origin)?,
        requests: requests(file.requests, origin)?,
        connectors: connectors(file.connectors, path),
        log: log(file.log, origin)?,
        store,
    })
}

fn chain(chain: ChainSection, origin: Origin<'_>) -> Result<ChainConfig, ConfigError> {
    let rpc = take!(origin, chain.rpc);
    let rpc: Vec<_> = rpc.urls().map(ToOwned::to_owned).collect();
    let agree = chain.agree.map(|agree| agree.0);
    // More providers than there are can never agree: the member would wait for ever.
    if let Some(agree) = agree.filter(|agree| *agree > rpc.len()) {
        return Err(ConfigError::TooFewProviders {
            path: origin.0.into(),
            agree,
            providers: rpc.len(),
        });
    }
    Ok(ChainConfig {
        agree: agree.unwrap_or_else(|| agreeing(rpc.len())),
        rpc,
        confirmations: take!(origin, chain.confirmations),
        start_block: chain.start_block.unwrap_or_default(),
    })
}

fn ring(ring: RingSection, origin: Origin<'_>) -> Result<RingConfig, ConfigError> {
    Ok(RingConfig {
        address: take!(origin, ring.address),
        requesters: ring.requesters.unwrap_or_default().0,
        readers: ring.readers.unwrap_or_default().0,
    })
}

/// The key is on this machine, or a signer has it.
fn key(
    (key, signer): (KeySection, SignerSection),
    ring: &RingSection,
    origin: Origin<'_>,
) -> Result<KeyConfig, ConfigError> {
    if signer == SignerSection::default() {
        return Ok(KeyConfig::Here(KeyFiles {
            keystore: origin.beside(take!(origin, key.keystore)),
            password_file: key.password_file.map(|path| origin.beside(path)),
        }));
    }
    let path = || origin.0.into();
    if key != KeySection::default() {
        return Err(ConfigError::KeyAndSigner { path: path() });
    }
    // Keys of a private ring are wrapped to the member's key, and a signer signs only: it unwraps nothing.
    if ring
        .readers
        .as_ref()
        .is_some_and(|readers| !readers.0.is_empty())
    {
        return Err(ConfigError::ReadersNeedKey { path: path() });
    }
    Ok(KeyConfig::Signer(SignerConfig {
        url: take!(origin, signer.url).0,
        address: take!(origin, signer.address),
        authority: signer.authority.map(|path| origin.beside(path)),
        identity: tls_files(
            ("signer", origin),
            signer.certificate.map(|path| origin.beside(path)),
            signer.private_key.map(|path| origin.beside(path)),
        )?,
    }))
}

fn store(store: StoreSection, origin: Origin<'_>) -> Result<StoreConfig, ConfigError> {
    let gateways = store.gateways.unwrap_or_default().0;
    Ok(StoreConfig {
        kind: match take!(origin, store.kind) {
            KindName::Embedded => StoreKind::Embedded,
            KindName::Kubo => StoreKind::Kubo {
                url: take!(origin, store.url).0,
            },
        },
        path: origin.beside(take!(origin, store.path)),
        max_bytes: store.max_bytes.map(|bytes| bytes.0),
        gateways: gateways.into_iter().map(|gateway| gateway.0).collect(),
        keep_results: take!(origin, store.keep_results),
        collect_logs: take!(origin, store.collect_logs),
        logs_from_heads: take!(origin, store.logs_from_heads),
        author_daily_nodes: take!(origin, store.author_daily_nodes),
        author_daily_bytes: take!(origin, store.author_daily_bytes).0,
    })
}

fn network(network: NetworkSection, origin: Origin<'_>) -> Result<NetworkConfig, ConfigError> {
    Ok(NetworkConfig {
        listen: take!(origin, network.listen).0,
        announce: network.announce.unwrap_or_default().0,
    })
}

fn rpc(rpc: RpcSection, origin: Origin<'_>) -> Result<RpcConfig, ConfigError> {
    Ok(RpcConfig {
        listen: take!(origin, rpc.listen),
        token_file: origin.beside(take!(origin, rpc.token_file)),
        hosts: texts(rpc.hosts.unwrap_or_default(), |host| host.0),
        origins: texts(rpc.origins.unwrap_or_default(), |origin| origin.0),
        tls: tls_files(
            ("rpc", origin),
            rpc.certificate.map(|path| origin.beside(path)),
            rpc.private_key.map(|path| origin.beside(path)),
        )?,
    })
}

fn compute(
    compute: ComputeSection,
    origin: Origin<'_>,
    store: &Path,
) -> Result<ComputeConfig, ConfigError> {
    let profiles = compute.profiles.unwrap_or_default().0.into_iter();
    let cache = compute.cache.map(|path| origin.beside(path));
    Ok(ComputeConfig {
        workers: compute.workers.unwrap_or_default().0,
        memory: take!(origin, compute.memory).0,
        fuel: take!(origin, compute.fuel).0,
        output: take!(origin, compute.output).0,
        second_opinion: take!(origin, compute.second_opinion).0,
        profiles: profiles.map(|path| origin.beside(path)).collect(),
        cache: cache.unwrap_or_else(|| store.join("modules")),
    })
}

fn clients(clients: ClientsSection, origin: Origin<'_>) -> Result<ClientsConfig, ConfigError> {
    Ok(ClientsConfig {
        granted: clients.granted.unwrap_or_default().0,
        gas_per_ring: take!(origin, clients.gas_per_ring),
        gas_for_others: take!(origin, clients.gas_for_others),
        gas_per_avatar: take!(origin, clients.gas_per_avatar),
        bytes_per_ring: take!(origin, clients.bytes_per_ring).0,
    })
}

fn ring_log(ring_log: RingLogSection, origin: Origin<'_>) -> Result<RingLogConfig, ConfigError> {
    Ok(RingLogConfig {
        entries: take!(origin, ring_log.entries),
        wait: take!(origin, ring_log.wait),
        gates: take!(origin, ring_log.gates),
    })
}

fn requests(requests: RequestsSection, origin: Origin<'_>) -> Result<RequestsConfig, ConfigError> {
    Ok(RequestsConfig {
        open: take!(origin, requests.open),
        lifetime: take!(origin, requests.lifetime),
        until: take!(origin, requests.until),
    })
}

/// What external tasks may use, where paths are relative to the directory of the file.
pub(super) fn connectors(connectors: ConnectorsSection, path: &Path) -> ConnectorsConfig {
    let origin = Origin(path);
    let programs = connectors.programs.unwrap_or_default().0;
    let programs = programs.iter().map(|program| {
        let (name, path) = program.parts();
        (name.to_owned(), origin.beside(path.into()))
    });
    ConnectorsConfig {
        programs: programs.collect(),
        hosts: texts(connectors.hosts.unwrap_or_default(), |host| host.0),
        private_hosts: texts(connectors.private_hosts.unwrap_or_default(), |host| host.0),
        instances: connectors.instances.map(|path| origin.beside(path)),
        at_once: connectors
            .at_once
            .map_or(CONNECTORS_AT_ONCE, |number| number.0),
    }
}

fn log(log: LogSection, origin: Origin<'_>) -> Result<LogConfig, ConfigError> {
    Ok(LogConfig {
        format: take!(origin, log.format),
        level: take!(origin, log.level),
    })
}

/// Both files for TLS, or none.
fn tls_files(
    (section, origin): (&'static str, Origin<'_>),
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    let half = |has, lacks| ConfigError::HalfOfTls {
        path: origin.0.into(),
        section,
        has,
        lacks,
        name: variable(section, lacks),
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
