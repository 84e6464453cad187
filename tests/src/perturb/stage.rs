//! A chain, a provider before it, and a ring whose members and commands reach the chain through that provider.

use super::{Account, Contracts, Pin, Provider, Spec};
use crate::{
    anvil::Anvil, eth::Eth, geth::Geth, receipt::Receipt, ring::Ring, tools::program, wait::until,
};
use cid::Cid;
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};
use std::{
    cell::{Cell, OnceCell},
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Fuel of the operations here: a second of work.
const FUEL: u64 = 5_000_000_000;
/// The default, where reading the input costs much.
const MUCH_FUEL: u64 = 20_000_000_000;
/// Time that `rings up` may take on a chain that makes a block a second.
const UP_LIMIT: Duration = Duration::from_secs(300);
/// Ether that each member gets.
const FUND: &str = "10";

/// A transaction of a member that registers a result.
#[derive(Debug)]
pub struct Sent {
    /// The gate.
    pub gate: Address,
    /// The member.
    pub by: Address,
    /// The number of its block, as the chain writes it.
    pub block: String,
    transaction: Value,
}

/// All of it. What stands first goes first.
#[derive(Debug)]
pub struct Stage {
    /// The ring.
    pub ring: Ring,
    /// What its members and commands see of the chain.
    pub provider: Provider,
    /// The chain itself.
    pub chain: Node,
    /// Whether the ring speaks WebSocket.
    web_socket: bool,
    template: OnceCell<BTreeMap<String, Value>>,
    salts: Cell<u64>,
}

/// The program that makes the chain.
#[derive(Debug)]
pub enum Node {
    /// Anvil.
    Anvil(Anvil),
    /// Geth, in the long run.
    Geth(Geth),
}

impl Node {
    /// Its port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Anvil(anvil) => anvil.port(),
            Self::Geth(geth) => geth.port(),
        }
    }

    /// Its URL.
    pub fn http(&self) -> String {
        match self {
            Self::Anvil(anvil) => anvil.http(),
            Self::Geth(geth) => geth.http(),
        }
    }
}

/// What a gate is asked to compute: tokens of an operation and of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The operation.
    pub operation: Digest,
    /// Its inputs.
    pub inputs: Vec<Digest>,
}

impl Stage {
    /// A ring of so many members over HTTP, on an anvil that makes a block for each transaction.
    pub fn http(members: usize) -> Self {
        Self::with(members, false, &[], &[])
    }

    /// The same over WebSocket.
    pub fn web_socket(members: usize) -> Self {
        Self::with(members, true, &[], &[])
    }

    /// A ring with these arguments of anvil and of `rings up`.
    pub fn with(members: usize, web_socket: bool, anvil: &[&str], up: &[&str]) -> Self {
        Self::prepare(web_socket, anvil).started(members, up)
    }

    /// The same on geth's development chain, with these arguments of geth.
    pub fn on_geth(members: usize, web_socket: bool, geth: &[&str], up: &[&str]) -> Self {
        let ring = Ring::prepare();
        Self::before(ring, Node::Geth(Geth::start(geth)), web_socket).started(members, up)
    }

    fn started(self, members: usize, up: &[&str]) -> Self {
        let members = members.to_string();
        let options = [&["--members", &members][..], up].concat();
        self.up(&options).limit(UP_LIMIT).ok();
        self.ring.start(&[]);
        self
    }

    /// A chain and a provider, and a place for a ring.
    pub fn prepare(web_socket: bool, anvil: &[&str]) -> Self {
        let ring = Ring::prepare();
        Self::before(ring, Node::Anvil(Anvil::start(anvil)), web_socket)
    }

    fn before(ring: Ring, chain: Node, web_socket: bool) -> Self {
        Self {
            ring,
            provider: Provider::before(chain.port()),
            chain,
            web_socket,
            template: OnceCell::new(),
            salts: Cell::new(0),
        }
    }

    /// The call of `rings up` that makes the ring.
    pub fn up(&self, options: &[&str]) -> crate::Call {
        let key = Anvil::write_key(self.ring.dir().parent().unwrap());
        let call = self.ring.rings(["up", "--detach", "--rpc", &self.url()]);
        call.arg("--key")
            .arg(key)
            .args(["--fund", FUND])
            .args(options)
    }

    /// The provider's URL for the ring.
    pub fn url(&self) -> String {
        match self.web_socket {
            true => self.provider.ws(),
            false => self.provider.http(),
        }
    }

    /// The chain itself, past the provider.
    pub fn eth(&self) -> Eth {
        Eth::at(&self.chain.http())
    }

    /// The contracts.
    pub fn contracts(&self) -> Contracts {
        let json = self.ring.json();
        Contracts {
            chain: self.eth(),
            engine: json.address("/engine"),
            scope: json.address("/scope"),
            ring: json.address("/ring"),
        }
    }

    /// The account whose gates the members compute.
    pub fn requester(&self) -> Account {
        Account::read(&self.ring.dir().join("client.key"))
    }

    /// The account that keeps the ring: `rings up` gives that to its client.
    pub fn keeper(&self) -> Account {
        self.requester()
    }

    /// The account that deployed.
    pub fn deployer(&self) -> Account {
        Account::read(&self.ring.file("payer.key"))
    }

    /// An account that nobody knows, with ether.
    pub fn stranger(&self) -> Account {
        let stranger = Account::from_bytes(&[7; 32]);
        stranger.fund(&self.eth());
        stranger
    }

    /// Puts a file into the ring's store; gives its digest.
    pub fn add(&self, content: impl AsRef<[u8]>) -> Digest {
        let path = self.ring.write("to-add", content);
        let cid = self.ring.rings(["--quiet", "add"]).arg(path).text();
        digest_of(cid.trim())
    }

    /// The operation of an example as its file, with these keys set otherwise. What a ring itself writes is the
    /// pattern, so that a key that is new in operations is there.
    pub fn operation(&self, name: &str, args: &[&str], time: Option<u64>) -> Vec<u8> {
        self.operation_of(&program(name), args, time, FUEL)
    }

    /// The same for the program in a file.
    fn operation_of(&self, program: &Path, args: &[&str], time: Option<u64>, fuel: u64) -> Vec<u8> {
        let mut keys = self.template.get_or_init(|| self.read_template()).clone();
        let wasm = self.ring.rings(["--quiet", "add"]).arg(program).text();
        keys.insert("args".into(), json!(args));
        keys.insert("fuel".into(), json!(fuel));
        keys.insert("program".into(), json!({ "/": wasm.trim() }));
        if let Some(time) = time {
            keys.insert("time".into(), json!(time));
        }
        serde_json::to_vec(&keys).unwrap()
    }

    fn read_template(&self) -> BTreeMap<String, Value> {
        let (_, receipt) = self.ring.result("wc", b"template\n");
        let cid = receipt.text("/operation/cid").to_owned();
        let operation = self.ring.rings(["cat", &cid]).ok();
        serde_json::from_slice(&operation).unwrap()
    }

    /// Stores and declares an operation and an input.
    pub fn job(&self, name: &str, time: Option<u64>, input: &[u8]) -> Job {
        self.declared(self.operation(name, &[], time), self.add(input))
    }

    /// The same for the program in a file.
    pub fn job_of(&self, program: &Path, input: &[u8]) -> Job {
        self.declared(self.operation_of(program, &[], None, FUEL), self.add(input))
    }

    /// The same for an example and an input that is stored already, and may be large.
    pub fn job_on(&self, name: &str, input: Digest) -> Job {
        let operation = self.operation_of(&program(name), &[], None, MUCH_FUEL);
        self.declared(operation, input)
    }

    fn declared(&self, operation: Vec<u8>, input: Digest) -> Job {
        let digests = [self.add(operation), input];
        let tokens = self.contracts().declare(&self.requester(), &digests, false);
        Job {
            operation: tokens[0],
            inputs: tokens[1..].to_vec(),
        }
    }

    /// A gate for it that is not there yet.
    pub fn spec(&self, job: &Job) -> Spec {
        let inputs = [&[job.operation][..], &job.inputs].concat();
        self.spec_of(inputs.into_iter().map(Pin::Token).collect())
    }

    /// A gate with these inputs that is not there yet.
    pub fn spec_of(&self, inputs: Vec<Pin>) -> Spec {
        let json = self.ring.json();
        let mut salt = [0; 32];
        self.salts.set(self.salts.get() + 1);
        salt[24..].copy_from_slice(&self.salts.get().to_be_bytes());
        Spec {
            scope: json.address("/scope"),
            rings: vec![json.address("/ring")],
            inputs,
            outputs: 1,
            salt,
        }
    }

    /// Asks for it once more.
    pub fn gate(&self, job: &Job) -> Address {
        self.contracts()
            .create_gate(&self.requester(), &self.spec(job))
    }

    /// Asks for it so many times more.
    pub fn gates(&self, job: &Job, count: usize) -> Vec<Address> {
        (0..count).map(|_| self.gate(job)).collect()
    }

    /// Waits until all these gates have ended on the chain; gives how long that took.
    pub fn wait_ended(&self, gates: &[Address], limit: Duration) -> Duration {
        let (contracts, began) = (self.contracts(), Instant::now());
        let mut left = gates.to_vec();
        until("all gates have ended", limit, || {
            left.retain(|gate| !contracts.has_ended(*gate));
            left.is_empty().then_some(())
        });
        began.elapsed()
    }

    /// The gates that have not ended after this time.
    pub fn unresolved(&self, gates: &[Address], patience: Duration) -> Vec<Address> {
        let (contracts, began) = (self.contracts(), Instant::now());
        let mut left = gates.to_vec();
        while !left.is_empty() && began.elapsed() < patience {
            left.retain(|gate| !contracts.has_ended(*gate));
        }
        left
    }

    /// The output of a gate as its bytes: the token's data, from the store.
    pub fn output(&self, gate: Address) -> Vec<u8> {
        let contracts = self.contracts();
        let digest = contracts.read_data(contracts.output_of(gate, 0)).unwrap();
        self.ring.rings(["cat", &cid_of(digest)]).ok()
    }

    /// Repeats a result from chain and blocks, and checks that it is right and that no member is wrong.
    ///
    /// # Panics
    /// When it is not so.
    pub fn verify(&self, gate: Address) {
        let done = self
            .ring
            .rings(["verify", "--json", &gate.to_string()])
            .call();
        let text = done.text();
        assert_eq!(
            done.status.code(),
            Some(0),
            "{gate}: {text}\n{}",
            done.stderr
        );
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["right"], true, "{gate}: {text}");
        for member in report["members"].as_array().unwrap() {
            assert_ne!(member["right"], false, "{gate}: {member}");
        }
    }

    /// `rings status --json`
    pub fn status(&self) -> Value {
        serde_json::from_slice(&self.ring.rings(["status", "--json"]).ok()).unwrap()
    }

    /// That `rings status` names no member as one that voted otherwise.
    ///
    /// # Panics
    /// When it does.
    pub fn check_nobody_named(&self) {
        for member in self.status()["members"].as_array().unwrap() {
            assert_eq!(member["diverged"], json!([]), "{member}");
        }
    }

    /// Registrations of results since a block: how many succeeded, and how many reverted.
    pub fn registrations(&self, since: u64) -> (usize, usize) {
        let (good, reverted) = self.registered(since);
        (good.len(), reverted.len())
    }

    /// The registrations that succeeded since a block, and those that reverted.
    pub fn registered(&self, since: u64) -> (Vec<Sent>, Vec<Sent>) {
        let (json, eth) = (self.ring.json(), self.eth());
        let ring = json.text("/ring").to_lowercase();
        let signature = "registerOutputs(address,uint96[],bytes32[],bytes32[],bytes32[],uint8[])";
        let selector = format!("0x{}", hex::encode(&super::call_data(signature, &[])[..4]));
        let text = |transaction: &Value, key: &str| {
            transaction[key].as_str().unwrap_or_default().to_lowercase()
        };
        let (mut good, mut reverted) = (Vec::new(), Vec::new());
        for (transaction, receipt) in eth.transactions_since(since) {
            let input = text(&transaction, "input");
            let Some(params) = input.strip_prefix(&selector) else {
                continue;
            };
            if text(&transaction, "to") != ring {
                continue;
            }
            // The first parameter is the gate: the last 20 bytes of a word.
            let gate = format!("0x{}", &params[24..64]).parse().unwrap();
            let block = text(&receipt, "blockNumber");
            let sent = Sent {
                gate,
                by: text(&transaction, "from").parse().unwrap(),
                block,
                transaction,
            };
            match receipt["status"] == "0x1" {
                true => good.push(sent),
                false => reverted.push(sent),
            }
        }
        (good, reverted)
    }

    /// What the chain says to the call of a transaction on the state behind its block, if it does not take it there, and whether the
    /// gate had its result then.
    pub fn refusal(&self, sent: &Sent) -> (Option<Value>, bool) {
        let (eth, of) = (self.eth(), &sent.transaction);
        let call = json!({ "from": of["from"], "to": of["to"], "data": of["input"] });
        let is_resolved = hex::encode(super::call_data("isResolved()", &[]));
        let resolved = json!({ "to": sent.gate, "data": format!("0x{is_resolved}") });
        // Where there is no gate, nothing comes back.
        let resolved = eth.ask("eth_call", &json!([resolved, sent.block]));
        let is_one = |word: Value| word.as_str().is_some_and(|word| word.ends_with('1'));
        let refused = eth.ask("eth_call", &json!([call, sent.block])).err();
        (refused, resolved.is_ok_and(is_one))
    }

    /// Processes of the members.
    pub fn pids(&self) -> Vec<u32> {
        let members = 0..self.ring.json().count();
        members.map(|index| self.ring.pid(index)).collect()
    }

    /// Everything below the ring's directory, in bytes.
    pub fn disk(&self) -> u64 {
        fn size(path: &Path) -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let sizes = entries.map(|entry| match entry.metadata() {
                Ok(data) if data.is_dir() => size(&entry.path()),
                Ok(data) => data.len(),
                // It has gone since the directory was read.
                Err(_) => 0,
            });
            sizes.sum()
        }
        size(&self.ring.dir())
    }

    /// Runs an example as a user does, on these bytes.
    pub fn result(&self, name: &str, input: &[u8]) -> (Vec<u8>, Receipt) {
        self.ring.result(name, input)
    }
}

/// The digest in a CID's text.
pub(super) fn digest_of(cid: &str) -> Digest {
    let cid: Cid = cid.parse().unwrap();
    Digest(cid.hash().digest().try_into().unwrap())
}

/// The CID that `ipfs add` gives to data of this digest.
fn cid_of(digest: Digest) -> String {
    const SHA2_256: u64 = 0x12;
    let hash = cid::multihash::Multihash::wrap(SHA2_256, &digest.0).unwrap();
    Cid::new_v0(hash).unwrap().to_string()
}
