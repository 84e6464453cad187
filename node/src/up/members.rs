//! A member's directory: its key and configuration when it is made, its ports when it is started again.
//!
//! [`identity`] gives the key of a directory and makes one if there is none. [`configure`] writes the configuration of
//! a new member. [`refresh`] changes an existing one before a start: ports that other programs have taken meanwhile,
//! and the URL of the chain. All else in the file stays as a person may have changed it.
//!
//! The password is on disk before the key that needs it, so an interrupted start leaves no key that nobody can open.

use super::plan::StoreChoice;
use crate::{
    exit::{Context, ExitError, ExitStatus},
    ports::Ports,
    ringdir::{replace, MemberDir, RingFile},
};
use rings_chain::is_on_this_machine;
use rings_member::{
    config::{ConfigFile, ConnectorsSection, KindName, List},
    keystore::{self, KeystoreError, Strength},
};
use rings_network::PeerId;
use rings_protocol::{crypto::SecretKey, Address};
use std::{fs, net::Ipv4Addr, path::Path};
use tokio::task;

/// A member's account, before it has anything else.
#[derive(Debug, Clone)]
pub struct MemberIdentity {
    pub address: Address,
    pub peer_id: String,
}

/// What all members of a ring have in common.
#[derive(Debug)]
pub struct Common<'a> {
    pub chain_url: &'a str,
    pub confirmations: u64,
    pub start_block: u64,
    pub ring: Address,
    pub requester: Address,
    pub store: &'a StoreChoice,
    pub workers: usize,
    /// Seconds that a result waits for a ring node; `None` for the default.
    pub ring_node_wait: Option<u64>,
}

/// The key in `dir`, made if there is none.
pub async fn identity(dir: MemberDir) -> Result<MemberIdentity, ExitError> {
    let made = task::spawn_blocking(move || make_identity(&dir)).await;
    made.map_err(|error| ExitError::internal("a key could not be made").because(error))?
}

/// A member's key: the one that is there, or a new one. A creation that was broken off so goes on with the same accounts.
fn make_identity(dir: &MemberDir) -> Result<MemberIdentity, ExitError> {
    dir.create()?;
    let (keystore, password_file) = (dir.keystore(), dir.password());
    let key = match keystore.exists() {
        true => keystore::load(&keystore, Some(&password_file))?,
        false => make_key(&keystore, &password_file)?,
    };
    Ok(MemberIdentity {
        address: key.address(),
        peer_id: peer_id(&key)?,
    })
}

/// Makes a key. The password is written before the key that needs it.
fn make_key(keystore: &Path, password_file: &Path) -> Result<SecretKey, KeystoreError> {
    let (key, password) = (keystore::generate(), keystore::generate_password());
    match keystore::write_secret(password_file, password.as_bytes()) {
        Ok(()) => keystore::store(keystore, &key, &password, Strength::Light)?,
        Err(KeystoreError::Exists { .. }) => {
            let password = keystore::password(keystore, Some(password_file))?;
            keystore::store(keystore, &key, &password, Strength::Light)?;
        }
        Err(error) => return Err(error),
    }
    Ok(key)
}

fn peer_id(key: &SecretKey) -> Result<String, ExitError> {
    let id = PeerId::from_public_key(&key.public_key().compressed());
    let id = id.map_err(|error| ExitError::internal("a key has no peer id").because(error))?;
    Ok(id.to_string())
}

/// Writes the configuration of a new member; gives the port of its HTTP side.
pub fn configure(
    dir: &MemberDir,
    common: &Common<'_>,
    ports: &mut Ports,
) -> Result<u16, ExitError> {
    let (rpc, libp2p) = (ports.choose()?, ports.choose()?);
    let mut file = ConfigFile::default();
    file.chain.rpc = Some(common.chain_url.parse().map_err(ExitError::usage)?);
    file.chain.confirmations = Some(common.confirmations);
    file.chain.start_block = Some(common.start_block);
    file.ring.address = Some(common.ring);
    file.ring.requesters = Some(List(vec![common.requester]));
    file.key.keystore = Some("key.json".into());
    file.key.password_file = Some("password".into());
    file.store.kind = Some(match common.store {
        StoreChoice::Embedded => KindName::Embedded,
        StoreChoice::Kubo(url) => {
            file.store.url = Some(url.clone());
            KindName::Kubo
        }
    });
    file.store.path = Some("data".into());
    file.rpc.token_file = Some("../../token".into());
    file.compute.workers = Some(
        common
            .workers
            .to_string()
            .parse()
            .map_err(ExitError::usage)?,
    );
    file.ring_log.wait = common.ring_node_wait;
    // `rings service deploy` writes the values of instances there, for all members.
    file.connectors.instances = Some("../../instances".into());
    // The members share a machine, so one of them compiles for all.
    file.compute.cache = Some("../../modules".into());
    set_ports(&mut file, rpc, libp2p, common.chain_url);
    write(dir, &file)?;
    Ok(rpc)
}

/// Prepares a member that is down for its start: gives it other ports if its own are taken, and the chain's URL if that has
/// changed.
pub fn refresh(
    dir: &MemberDir,
    ring: &RingFile,
    ports: &mut Ports,
    own_chain_url: Option<&str>,
) -> Result<u16, ExitError> {
    let mut file = read(dir)?;
    let before = file.clone();
    let rpc = file.rpc.listen.map_or(0, |listen| listen.port());
    let (rpc, libp2p) = (
        ports.keep_or_choose(rpc)?,
        ports.keep_or_choose(libp2p_port(&file))?,
    );
    let url = own_chain_url.unwrap_or(&ring.rpc_url);
    set_ports(&mut file, rpc, libp2p, url);
    file.chain.rpc = Some(url.parse().map_err(ExitError::usage)?);
    if file != before {
        write(dir, &file)?;
    }
    Ok(rpc)
}

fn set_ports(file: &mut ConfigFile, rpc: u16, libp2p: u16, chain_url: &str) {
    let address = format!("/ip4/127.0.0.1/tcp/{libp2p}");
    file.rpc.listen = Some((Ipv4Addr::LOCALHOST, rpc).into());
    file.network.listen = Some(List(vec![
        address.clone(),
        format!("/ip4/127.0.0.1/udp/{libp2p}/quic-v1"),
    ]));
    // All members are on this machine, whatever chain they follow. A node that is not told so announces no loopback address
    // to the chain of others.
    if !is_on_this_machine(chain_url) {
        file.network.announce = Some(List(vec![address]));
    }
}

/// Writes what a member lets external tasks use. Where the instances are stays as it is, unless the section says it.
///
/// # Errors
/// When its configuration cannot be read or written.
pub fn connect(dir: &MemberDir, connectors: &ConnectorsSection) -> Result<(), ExitError> {
    edit(dir, |file| {
        let instances = file.connectors.instances.take();
        file.connectors = connectors.clone();
        file.connectors.instances = connectors.instances.clone().or(instances);
    })?;
    Ok(())
}

/// Changes the configuration of a member. Returns whether it is another one now.
///
/// # Errors
/// When it cannot be read or written.
pub fn edit(dir: &MemberDir, change: impl FnOnce(&mut ConfigFile)) -> Result<bool, ExitError> {
    let mut file = read(dir)?;
    let before = file.clone();
    change(&mut file);
    if file != before {
        write(dir, &file)?;
    }
    Ok(file != before)
}

/// The TCP port in `/ip4/…/tcp/PORT`; 0 when there is none.
fn libp2p_port(file: &ConfigFile) -> u16 {
    let listen = file.network.listen.iter().flat_map(|list| &list.0);
    let mut ports = listen.filter_map(|address| address.split_once("/tcp/")?.1.parse().ok());
    ports.next().unwrap_or(0)
}

fn read(dir: &MemberDir) -> Result<ConfigFile, ExitError> {
    let path = dir.config();
    let shown = path.display();
    let text = fs::read_to_string(&path).context(
        ExitStatus::Usage,
        format!("cannot read {shown}; check who owns it"),
    )?;
    toml::from_str(&text).map_err(|error| {
        ExitError::usage(format!("{shown} is not a node's configuration")).because(error)
    })
}

fn write(dir: &MemberDir, file: &ConfigFile) -> Result<(), ExitError> {
    let text = toml::to_string(file)
        .map_err(|error| ExitError::internal("a configuration cannot be written").because(error))?;
    replace(&dir.config(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringdir::RingDir;
    use rings_member::config::NodeConfig;
    use std::net::TcpListener;

    fn common(store: &StoreChoice) -> Common<'_> {
        Common {
            chain_url: "ws://127.0.0.1:1",
            confirmations: 0,
            start_block: 3,
            ring: Address([1; 20]),
            requester: Address([2; 20]),
            store,
            workers: 1,
            ring_node_wait: Some(1),
        }
    }

    fn ring_file() -> RingFile {
        RingFile {
            chain_id: 1,
            rpc_url: "http://127.0.0.1:2".into(),
            ring: Address([1; 20]),
            start_block: 3,
            own_chain: true,
            ..RingFile::empty()
        }
    }

    #[tokio::test]
    async fn a_member_keeps_its_key_and_its_configuration_loads() {
        let directory = tempfile::tempdir().unwrap();
        let member = RingDir::new(Some(directory.path().into())).member(0);
        let made = identity(member.clone()).await.unwrap();
        let again = identity(member.clone()).await.unwrap();
        assert_eq!(made.address, again.address);
        assert!(made.peer_id.starts_with("16Uiu2HA"), "{}", made.peer_id);

        let kubo = StoreChoice::Kubo("http://127.0.0.1:5001".parse().unwrap());
        let port = configure(&member, &common(&kubo), &mut Ports::default()).unwrap();
        let text = fs::read_to_string(member.config()).unwrap();
        let config = NodeConfig::parse(&text, &member.config(), |_| None).unwrap();
        assert_eq!(config.rpc.listen.port(), port);
        let key = config.key.files().unwrap();
        assert_eq!(key.keystore, member.keystore());
        assert_eq!(config.network.listen.len(), 2);
        assert_eq!(config.ring.requesters, [Address([2; 20])]);
        keystore::load(&key.keystore, key.password_file.as_deref()).unwrap();
        // The password is random, so guessing it takes long enough without much work.
        let written = fs::read_to_string(&key.keystore).unwrap();
        assert!(written.contains("\"n\":8192"), "{written}");
    }

    #[tokio::test]
    async fn only_ports_that_are_taken_change() {
        let directory = tempfile::tempdir().unwrap();
        let member = RingDir::new(Some(directory.path().into())).member(0);
        member.create().unwrap();
        let first = configure(
            &member,
            &common(&StoreChoice::Embedded),
            &mut Ports::default(),
        );
        let first = first.unwrap();
        let libp2p = libp2p_port(&read(&member).unwrap());
        let url = Some("ws://127.0.0.1:9");
        let same = refresh(&member, &ring_file(), &mut Ports::default(), url).unwrap();
        assert_eq!(same, first);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        let other = refresh(&member, &ring_file(), &mut Ports::default(), url).unwrap();
        assert_ne!(other, first);
        let file = read(&member).unwrap();
        assert_eq!(libp2p_port(&file), libp2p);
        let urls = file.chain.rpc.unwrap();
        assert_eq!(urls.urls().collect::<Vec<_>>(), ["ws://127.0.0.1:9"]);
        drop(taken);
    }
}
