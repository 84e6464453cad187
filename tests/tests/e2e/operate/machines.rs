//! Five machines, and a sixth: each a network of its own with the address that it has on the page, a directory, and a shell that runs what
//! a person types there. The chain is at the hub of the network.

use super::page::Block;
use rings_tests::{
    alive, free_port, quantity, signal, until, Anvil, Done, Geth, Process, Program, Signal, LONG,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The names of the machines on the page.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The addresses of their members on the page, in the same order.
const EXAMPLES: [&str; 6] = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
];
/// Other examples on the page.
const CHAIN: &str = "https://chain.example";
const NETWORK: &str = "192.0.2";
const FIRST: &str = "192.0.2.1";
/// How the deployment ends on the page. On a chain whose clock cannot be put forward, the entry delay is short.
const FUND: &str = "--fund 0.05";
const SHORT_DELAY: Duration = Duration::from_secs(8);
/// A day, and some more.
const A_DAY: u64 = 86_400 + 60;
/// The ring on the page.
pub const RING: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
/// What a block is for that is typed on all machines.
const EACH: &str = "each";
/// Kills whoever holds the lock of a member's data, when its standard input ends.
const REAPER: &str = r#"trap "" INT TERM HUP; read -r _
for lock in "$0"/*/data/lock; do flock -n "$lock" true || kill -9 "$(cat "$lock")"; done"#;
/// Ten ether, in wei.
const TEN_ETHER: &str = "0x8ac7230489e80000";

/// The chain that the machines use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anvil, whose clock can be put forward.
    Anvil,
    /// A geth with the options of a development chain, and no others.
    Geth,
}

/// The machines, and the chain that they use.
pub struct Machines {
    kind: Kind,
    port: u16,
    _chain: Process,
    /// What stands on the page, and what it is here.
    values: BTreeMap<String, String>,
    /// Those that there are now.
    current: Vec<&'static str>,
    reaper: Child,
    /// Last, so that everything in the networks ends before them.
    net: rings_tests::Machines,
}

impl Machines {
    /// Five empty directories, and a chain.
    pub fn new(kind: Kind) -> Self {
        let net = rings_tests::Machines::in_network(NAMES.len(), NETWORK);
        for index in 0..NAMES.len() {
            net.dir(index);
        }
        let port = match net.are_apart() {
            true => 8545,
            false => free_port(),
        };
        let words = chain(kind, port, net.home());
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let machines = Self {
            kind,
            port,
            _chain: net.run_at_hub(&words, &net.home().join("chain.log")),
            values: BTreeMap::new(),
            current: NAMES[..5].to_vec(),
            reaper: reaper(net.home()),
            net,
        };
        until("the chain answers", LONG, || {
            machines.asks("eth_chainId", &json!([]))
        });
        machines
    }

    /// The directory of a machine.
    pub fn dir(&self, machine: &str) -> PathBuf {
        let index = number(machine) - 1;
        self.net.home().join(index.to_string())
    }

    /// The chain's URL, as every machine reaches it.
    fn chain(&self) -> String {
        format!("http://{}:{}", self.net.hub_address(), self.port)
    }

    /// Asks the chain, past all our code.
    fn asks(&self, method: &str, params: &Value) -> Option<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.net.post_at_hub(self.port, &request.to_string())?;
        let mut answer: Value = serde_json::from_str(&answer).ok()?;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        Some(answer["result"].take())
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        self.asks(method, params).expect("the chain answers")
    }

    /// The member of a machine, as the page's reader knows it.
    pub fn member(&self, machine: &str) -> &str {
        &self.values[EXAMPLES[number(machine) - 1]]
    }

    /// From now on this is what the page calls `example`.
    pub fn learn(&mut self, example: &str, value: &str) {
        self.values.insert(example.to_owned(), value.to_owned());
    }

    /// Learns the member's address of a machine.
    pub fn learn_member(&mut self, machine: &str, address: &str) {
        self.learn(EXAMPLES[number(machine) - 1], address);
    }

    /// Types a block where it belongs, and gives what came of it, by machine.
    pub fn run(&self, block: &Block) -> Vec<(&'static str, Done)> {
        let machines = NAMES
            .into_iter()
            .filter(|name| match block.machine.as_str() {
                EACH => self.current.contains(name),
                machine => *name == machine,
            });
        let done: Vec<_> = machines
            .map(|machine| (machine, self.shell(machine, &self.text_on(machine, block))))
            .collect();
        assert!(!done.is_empty(), "line {}: on which machine?", block.line);
        done
    }

    /// The block as the person at this machine types it.
    fn text_on(&self, machine: &str, block: &Block) -> String {
        let mut text = block.text.clone();
        if block.machine == EACH {
            text = text.replace(FIRST, &format!("{NETWORK}.{}", number(machine)));
        }
        if self.kind == Kind::Geth {
            let delay = SHORT_DELAY.as_secs();
            text = text.replace(FUND, &format!("{FUND} --entry-delay {delay}"));
        }
        for (example, value) in &self.values {
            text = text.replace(example, value);
        }
        let first = self.net.address(0);
        let network = first.strip_suffix(".1").expect("the first machine");
        text.replace(CHAIN, &self.chain()).replace(NETWORK, network)
    }

    fn shell(&self, machine: &str, text: &str) -> Done {
        let programs = Program::Honest.path();
        let programs = programs.parent().unwrap();
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(
            [programs.to_owned()]
                .into_iter()
                .chain(env::split_paths(&path)),
        );
        // Whoever enters a network begins at the root of the file system.
        let call = self.net.on(number(machine) - 1, "sh");
        let call = call.args(["-eu", "-c", &format!("cd \"$0\"\n{text}")]);
        let call = call.arg(self.dir(machine)).limit(2 * LONG);
        let call = call.env("PATH", path.unwrap()).env_remove("RINGS_DIR");
        call.call().ok()
    }

    /// Gives an account ten ether.
    pub fn give_ether(&self, account: &str) {
        if self.kind == Kind::Anvil {
            self.call("anvil_setBalance", &json!([account, TEN_ETHER]));
            return;
        }
        // The development account of geth pays.
        let payer = self.call("eth_accounts", &json!([]))[0].clone();
        let payment = json!([{ "from": payer, "to": account, "value": TEN_ETHER }]);
        self.call("eth_sendTransaction", &payment);
        until("the account has ether", LONG, || {
            let balance = self.call("eth_getBalance", &json!([account, "latest"]));
            (quantity(&balance) > 0).then_some(())
        });
    }

    /// The entry delay passes.
    pub fn let_a_day_pass(&self) {
        if self.kind == Kind::Anvil {
            self.call("evm_increaseTime", &json!([A_DAY]));
            self.call("evm_mine", &json!([]));
            return;
        }
        // This chain makes a block only for a transaction, each at least a second after the one before, so its time is its own.
        let time = || {
            let block = self.call("eth_getBlockByNumber", &json!(["latest", false]));
            Duration::from_secs(quantity(&block["timestamp"]))
        };
        let over = time() + SHORT_DELAY;
        until("the short entry delay is over", LONG, || {
            let payer = self.call("eth_accounts", &json!([]))[0].clone();
            let nothing = json!([{ "from": payer, "to": payer, "value": "0x0" }]);
            self.call("eth_sendTransaction", &nothing);
            (time() > over).then_some(())
        });
    }

    /// What the member of a machine says of itself, asked on that machine.
    fn own_status(&self, machine: &str) -> Option<Value> {
        let index = number(machine) - 1;
        let url = format!("http://{}:7545", self.net.address(index));
        let call = self.net.on(index, Program::Honest.path());
        let call = call.args(["status", "--json", "--rpc", &self.chain(), "--ring"]);
        let done = call
            .args([self.values[RING].as_str(), "--member", &url])
            .call();
        let mut status: Value = serde_json::from_slice(&done.stdout).ok()?;
        let members = status["members"].as_array_mut()?;
        let own = members
            .iter_mut()
            .find(|one| one["address"] == self.member(machine))?;
        Some(own.take())
    }

    /// Waits until each member that there is now follows the chain, and is connected to all others.
    pub fn wait_connected(&self) {
        let others = self.current.len() - 1;
        for machine in &self.current {
            until("a member is connected to all others", LONG, || {
                let own = self.own_status(machine)?;
                (own["following"] == true && own["peers"] == others).then_some(())
            });
        }
    }

    /// A machine is gone with its disk, and another is there in its place.
    pub fn replace(&mut self, lost: &str, new: &'static str) {
        self.end(lost, Signal::KILL);
        fs::remove_dir_all(self.dir(lost)).unwrap();
        self.current.retain(|machine| *machine != lost);
        self.current.push(new);
    }

    /// The disk with a member's data breaks under it.
    pub fn lose_data(&self, machine: &str) {
        self.end(machine, Signal::KILL);
        fs::remove_dir_all(self.dir(machine).join("data")).unwrap();
    }

    /// Stops all members as their parties would.
    pub fn stop(&self) {
        for machine in &self.current {
            self.end(machine, Signal::TERM);
        }
    }

    fn end(&self, machine: &str, how: Signal) {
        let pid = running(&self.dir(machine)).expect("the member runs");
        signal(pid, how);
        until("a member has ended", LONG, || (!alive(pid)).then_some(()));
    }

    /// What all members have written into their logs.
    fn logs(&self) -> String {
        let logs = NAMES.map(|name| {
            let text = fs::read_to_string(self.dir(name).join("node.log"));
            format!("--- {name}\n{}\n", text.unwrap_or_default())
        });
        logs.concat()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let left = NAMES.iter().filter_map(|name| running(&self.dir(name)));
        let left: Vec<_> = left.collect();
        for pid in &left {
            signal(*pid, Signal::KILL);
        }
        drop(self.reaper.kill());
        drop(self.reaper.wait());
        match std::thread::panicking() {
            true => println!("{}", self.logs()),
            false => assert_eq!(left, [] as [u32; 0], "members run still"),
        }
    }
}

fn number(machine: &str) -> usize {
    let index = NAMES.iter().position(|name| *name == machine);
    index.expect("it is one of the machines") + 1
}

/// The process of the member in a directory, while it runs. A later process with the same number is none.
fn running(dir: &Path) -> Option<u32> {
    let lock = fs::read_to_string(dir.join("data/lock")).ok()?;
    let pid = lock.trim().parse().ok()?;
    let works_here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|at| at == dir);
    (alive(pid) && works_here).then_some(pid)
}

/// The words that start the chain.
fn chain(kind: Kind, port: u16, home: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let (program, words): (PathBuf, Vec<&str>) = match kind {
        Kind::Anvil => (
            Anvil::program(),
            vec![
                "--silent",
                "--host",
                "0.0.0.0",
                "--chain-id",
                "1337",
                "--port",
            ],
        ),
        Kind::Geth => (
            Geth::program(),
            vec![
                "--dev",
                "--ipcdisable",
                "--nodiscover",
                "--port",
                "0",
                "--authrpc.port",
                "8551",
                "--http",
                "--http.addr",
                "0.0.0.0",
                "--http.vhosts",
                "*",
                "--http.api",
                "eth,net,web3",
                "--datadir",
                "DATA",
                "--http.port",
            ],
        ),
    };
    let data = home.join("geth").into_os_string();
    let words = words.into_iter().map(|word| match word {
        "DATA" => data.clone(),
        word => word.into(),
    });
    let mut all = vec![program.into_os_string()];
    all.extend(words);
    all.push(port.into());
    all
}

/// Ends all members when this process ends without having done so: its standard input ends then.
fn reaper(home: &Path) -> Child {
    Command::new("sh")
        .args(["-c", REAPER])
        .arg(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs")
}
