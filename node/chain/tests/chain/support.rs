//! A real anvil, and what the tests need around it.

use jsonrpsee::{
    core::client::ClientT,
    http_client::{HttpClient, HttpClientBuilder},
};
use rings_chain::{
    calls, deploy, Call, Chain, Deployed, ForkRule, RingTerms, Submitted, Submitter, Update,
};
use rings_protocol::{
    cids::{keccak256, sha256},
    crypto::{SecretKey, Signature},
    eip712::Domain,
    gate::{Computation, GateInput, GateSpec},
    Address, Digest,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

/// The first account of anvil's well-known mnemonic, which has ether.
const RICH: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// The version that the scripts install.
const ANVIL_VERSION: &str = "1.7";
/// The longest that anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A chain of its own for one test; it ends with it.
pub struct Anvil {
    process: Child,
    pub port: u16,
    rpc: HttpClient,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        assert!(killed.is_ok());
    }
}

fn is_right_version(program: &PathBuf) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).contains(&format!("Version: {ANVIL_VERSION}"))
    })
}

/// Where anvil is: `RINGS_ANVIL`, else PATH, else where the scripts put it.
fn anvil_program() -> PathBuf {
    if let Some(program) = std::env::var_os("RINGS_ANVIL") {
        return program.into();
    }
    let tools = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/rings/tools"));
    let installed = [
        "bin/anvil",
        "npm/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil",
        "npm/node_modules/@foundry-rs/anvil-linux-arm64/bin/anvil",
    ];
    let mut places = vec![PathBuf::from("anvil")];
    places.extend(tools.iter().flat_map(|t| installed.map(|at| t.join(at))));
    places
        .into_iter()
        .find(is_right_version)
        .unwrap_or_else(|| panic!("there is no anvil {ANVIL_VERSION}: run ./anvil-scripts/test once, which installs it"))
}

impl Anvil {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_on(0, arguments)
    }

    pub fn start_on(port: u16, arguments: &[&str]) -> Self {
        let mut process = Command::new(anvil_program())
            .args(["--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .find_map(|line| {
                let line = line.unwrap();
                line.strip_prefix("Listening on 127.0.0.1:")?.parse().ok()
            })
            .expect("anvil says where it listens");
        // Whatever else it says must be read, or it would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let rpc = HttpClientBuilder::default()
            .build(format!("http://127.0.0.1:{port}"))
            .unwrap();
        Self { process, port, rpc }
    }

    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Any method, anvil's own included: tests may use them, the crate may not.
    pub async fn ask(&self, method: &str, params: Vec<Value>) -> Value {
        self.rpc.request(method, params).await.unwrap()
    }

    pub async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", vec![blocks.into()]).await;
    }
}

pub fn rich_key() -> SecretKey {
    SecretKey::from_bytes(&hex::decode(RICH).unwrap().try_into().unwrap()).unwrap()
}

pub fn member_key(index: u8) -> SecretKey {
    SecretKey::from_bytes(&sha256(&[b'm', index]).0).unwrap()
}

pub fn purpose(name: &str) -> Digest {
    keccak256(name.as_bytes())
}

/// A deployed ring on an anvil, and everything to work with it.
pub struct World {
    pub anvil: Anvil,
    pub chain: Chain,
    pub submitter: Submitter,
    pub members: Vec<SecretKey>,
    pub at: Deployed,
    pub directory: TempDir,
    counter: u64,
}

impl World {
    pub async fn new(members: u8, arguments: &[&str]) -> Self {
        let anvil = Anvil::start(arguments);
        let chain = Chain::connect(&anvil.ws()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("rich.journal");
        let submitter = Submitter::open(journal, chain.clone(), rich_key())
            .await
            .unwrap();
        let members: Vec<_> = (0..members).map(member_key).collect();
        let addresses: Vec<_> = members.iter().map(SecretKey::address).collect();
        let at = deploy(&chain, &submitter, &addresses, &terms(), None)
            .await
            .unwrap();
        Self {
            anvil,
            chain,
            submitter,
            members,
            at,
            directory,
            counter: 0,
        }
    }

    /// Sends a call that must succeed, and returns its transaction.
    pub async fn send(&mut self, call: Call) -> Submitted {
        self.counter += 1;
        let purpose = purpose(&format!("call {}", self.counter));
        let submitted = self.submitter.submit(purpose, call).await.unwrap();
        assert!(
            matches!(submitted, Submitted::Mined { .. }),
            "{submitted:?}"
        );
        submitted
    }

    /// A new gate over fresh data.
    pub async fn gate(&mut self, outputs: u128) -> (Address, GateSpec) {
        self.counter += 1;
        let operation = sha256(&self.counter.to_be_bytes());
        let input = sha256(b"input");
        let declare = calls::declare_data(self.at.scope, &[operation, input]);
        self.send(declare).await;
        let spec = GateSpec {
            scope: self.at.scope,
            rings: vec![self.at.ring],
            inputs: vec![GateInput::Constant(operation), GateInput::Constant(input)],
            outputs,
            salt: Digest::ZERO,
        };
        (self.create(&spec).await, spec)
    }

    pub async fn create(&mut self, spec: &GateSpec) -> Address {
        let engine = self.at.engine;
        self.send(calls::create_gate(engine, spec)).await;
        self.chain.gate_of(engine, spec).await.unwrap()
    }

    /// The members' signatures on a result, in ascending order of their signers.
    pub async fn sign(
        &self,
        gate: Address,
        epoch: u64,
        pins: &[u128],
        cids: &[Digest],
        signers: usize,
    ) -> Vec<Signature> {
        self.sign_for(self.at.ring, gate, epoch, pins, cids, signers)
            .await
    }

    /// The digest that members of a ring sign.
    pub async fn signed(
        &self,
        ring: Address,
        gate: Address,
        epoch: u64,
        pins: &[u128],
        cids: &[Digest],
    ) -> Digest {
        let inputs = self.chain.inputs_hash(gate).await.unwrap().unwrap();
        let domain = Domain::new(self.chain.id(), ring);
        let data = domain.outputs(Computation { gate, inputs }, epoch, pins, cids);
        data.digest()
    }

    /// The same for another ring of the same members.
    pub async fn sign_for(
        &self,
        ring: Address,
        gate: Address,
        epoch: u64,
        pins: &[u128],
        cids: &[Digest],
        signers: usize,
    ) -> Vec<Signature> {
        let digest = self.signed(ring, gate, epoch, pins, cids).await;
        let mut keys: Vec<_> = self.members.iter().take(signers).collect();
        keys.sort_by_key(|key| key.address());
        keys.iter().map(|key| key.sign(&digest).unwrap()).collect()
    }

    /// A registration of all outputs by all members.
    pub async fn registration(&self, gate: Address, epoch: u64, outputs: u128) -> Call {
        self.registration_by(self.at.ring, gate, epoch, outputs)
            .await
    }

    /// The same by another ring of the same members.
    pub async fn registration_by(
        &self,
        ring: Address,
        gate: Address,
        epoch: u64,
        outputs: u128,
    ) -> Call {
        let pins: Vec<_> = (0..outputs).collect();
        let cids: Vec<_> = pins
            .iter()
            .map(|pin| sha256(&[&gate.0[..], &pin.to_be_bytes()].concat()))
            .collect();
        let all = self.members.len();
        let signatures = self.sign_for(ring, gate, epoch, &pins, &cids, all).await;
        calls::register_outputs(ring, gate, &pins, &cids, &signatures)
    }
}

/// How the rings of the tests are kept: by the account that has ether, and without delay.
pub fn terms() -> RingTerms {
    RingTerms {
        keeper: Some(rich_key().address()),
        entry_delay: 0,
        fork_rule: ForkRule::Remove,
    }
}

/// The next update, which must come.
pub async fn next(updates: &mut mpsc::Receiver<Update>) -> Update {
    timeout(PATIENCE, updates.recv())
        .await
        .expect("an update in time")
        .expect("the watcher runs")
}
