//! A member that enters a ring that works already, and is run by the test itself.

use super::{
    processes::signal,
    ring::Ring,
    tools::Program,
    wait::{block_on, free_port, until, LONG},
};
use rings_api::{Client, Token};
use rings_chain::{calls, Submitter};
use rings_member::keystore::{self, Strength};
use rings_protocol::Address;
use rustix::process::Signal;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A member that entered with nothing.
#[derive(Debug)]
pub struct Newcomer {
    /// Its account.
    pub address: Address,
    /// A client of it.
    pub client: Client,
    /// Where its JSON-RPC is.
    pub url: String,
    dir: PathBuf,
    child: Child,
}

impl Newcomer {
    /// Enters the ring, and waits until it is connected to all others. Its configuration is that of the first member, with
    /// other ports and with these lines behind `[store]` and others that are given by their section.
    pub fn start(ring: &Ring, lines: &[(&str, &str)]) -> Self {
        let dir = ring.dir().join("members/new");
        fs::create_dir_all(&dir).unwrap();
        let key = keystore::generate();
        let password = keystore::generate_password();
        keystore::write_secret(&dir.join("password"), password.as_bytes()).unwrap();
        keystore::store(&dir.join("key.json"), &key, &password, Strength::Light).unwrap();
        let port = configure(ring, &dir, lines);
        let address = key.address();
        ring.eth("anvil_setBalance", &json!([address, "0xde0b6b3a7640000"]));
        enter(ring, address);
        let token = Token::read(&ring.dir().join("token")).ok();
        let url = format!("http://127.0.0.1:{port}");
        let newcomer = Self {
            address,
            client: Client::new(&url, token).unwrap(),
            url,
            child: spawn(&dir),
            dir,
        };
        newcomer.wait_connected(ring.json().count());
        newcomer
    }

    /// Waits until it follows its chain and is connected to so many others.
    pub fn wait_connected(&self, others: usize) {
        until("the newcomer is connected to all", LONG, || {
            let status = block_on(self.client.status()).ok()?;
            (status.following && status.peers as usize >= others).then_some(())
        });
    }

    /// Ends it with SIGKILL, and starts it again.
    pub fn restart(&mut self) {
        signal(self.child.id(), Signal::KILL);
        self.child.wait().unwrap();
        self.child = spawn(&self.dir);
    }

    /// Ends it as an operator does.
    pub fn stop(mut self) {
        signal(self.child.id(), Signal::TERM);
        assert!(self.child.wait().unwrap().success());
    }
}

/// A test that fails leaves no process behind.
impl Drop for Newcomer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(dir: &Path) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("node.log"))
        .unwrap();
    Command::new(Program::Honest.path())
        .args(["node", "--config"])
        .arg(dir.join("config.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// As the first member's, with other ports and these lines.
fn configure(ring: &Ring, dir: &Path, lines: &[(&str, &str)]) -> u16 {
    let text = fs::read_to_string(ring.member_dir(0).join("config.toml")).unwrap();
    let (rpc, libp2p) = (free_port(), free_port());
    let kept = text.lines().map(|line| match line {
        line if line.starts_with("listen = [") => format!(
            "listen = [\"/ip4/127.0.0.1/tcp/{libp2p}\", \"/ip4/127.0.0.1/udp/{libp2p}/quic-v1\"]"
        ),
        line if line.starts_with("listen = ") => format!("listen = \"127.0.0.1:{rpc}\""),
        line => line.to_owned(),
    });
    let mut text = kept.collect::<Vec<_>>().join("\n") + "\n";
    for (section, line) in lines {
        let header = format!("[{section}]\n");
        assert!(text.contains(&header), "{text}");
        text = text.replacen(&header, &format!("{header}{line}\n"), 1);
    }
    fs::write(dir.join("config.toml"), text).unwrap();
    rpc
}

/// The ring's keeper, which is the client's account, lets it in. There is no entry delay, so it is settled at once.
fn enter(ring: &Ring, newcomer: Address) {
    let json = ring.json();
    let (engine, at) = (json.address("/engine"), json.address("/ring"));
    let file = ring.dir().join("client.key");
    let keeper = keystore::parse_hex(&file, &fs::read_to_string(&file).unwrap()).unwrap();
    let chain = ring.chain();
    block_on(async {
        let journal = ring.file("entering.redb");
        let submitter = Submitter::open(journal, chain, keeper).await.unwrap();
        let calls = [
            calls::enter(engine, at, newcomer),
            calls::settle(at, newcomer),
        ];
        for call in calls {
            let purpose = rings_protocol::cids::keccak256(&call.data);
            submitter.submit(purpose, call).await.unwrap();
        }
        submitter.shutdown().await;
    });
}
