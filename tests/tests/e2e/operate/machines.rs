//! Five machines, and a sixth: each a directory with an address of its own in 127.0.0.0/8, and a shell that runs what a person types there.

use super::page::Block;
use rings_api::Client;
use rings_protocol::Address;
use rings_tests::{
    alive, block_on, serial, signal, until, Anvil, Call, Done, Eth, Program, Serial, Signal, LONG,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

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
const NETWORK: &str = "192.0.2.";
const FIRST: &str = "192.0.2.1";
/// What a block is for that is typed on all machines.
const EACH: &str = "each";
/// Kills whoever holds the lock of a member's data, when its standard input ends.
const REAPER: &str = r#"trap "" INT TERM HUP; read -r _
for lock in "$0"/*/data/lock; do flock -n "$lock" true || kill -9 "$(cat "$lock")"; done"#;
/// Ten ether, in wei.
const TEN_ETHER: &str = "0x8ac7230489e80000";

/// The machines, and the chain that they use.
pub struct Machines {
    home: TempDir,
    chain: Anvil,
    /// The first three numbers of all addresses, with a point behind.
    network: String,
    /// What stands on the page, and what it is here.
    values: BTreeMap<String, String>,
    /// Those that there are now.
    current: Vec<&'static str>,
    reaper: Child,
    _serial: Serial,
}

impl Machines {
    /// Five empty directories, and a chain.
    pub fn new() -> Self {
        let serial = serial();
        let home = TempDir::new().unwrap();
        for name in NAMES {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        // Addresses that no other test of this machine uses.
        let network = format!(
            "127.{}.{}.",
            1 + rand::random::<u8>() / 2,
            rand::random::<u8>()
        );
        Self {
            chain: Anvil::start(&["--chain-id", "1337"]),
            network,
            values: BTreeMap::new(),
            current: NAMES[..5].to_vec(),
            reaper: reaper(home.path()),
            home,
            _serial: serial,
        }
    }

    /// The directory of a machine.
    pub fn dir(&self, machine: &str) -> PathBuf {
        self.home.path().join(machine)
    }

    /// The chain, past all our code.
    pub fn eth(&self) -> Eth {
        Eth::at(&self.chain.http())
    }

    /// Host and port of a machine's HTTP side.
    pub fn host(&self, machine: &str) -> String {
        format!("{}{}:7545", self.network, number(machine))
    }

    /// A client of the member on a machine.
    pub fn client(&self, machine: &str) -> Client {
        Client::new(&format!("http://{}", self.host(machine)), None).unwrap()
    }

    /// The member of a machine, as the page's reader knows it.
    pub fn member(&self, machine: &str) -> Address {
        self.values[EXAMPLES[number(machine) - 1]].parse().unwrap()
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
            text = text.replace(FIRST, &format!("{NETWORK}{}", number(machine)));
        }
        for (example, value) in &self.values {
            text = text.replace(example, value);
        }
        text.replace(CHAIN, &self.chain.http())
            .replace(NETWORK, &self.network)
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
        let call = Call::of("sh").args(["-eu", "-c", text]).limit(2 * LONG);
        let call = call.env("PATH", path.unwrap()).env_remove("RINGS_DIR");
        call.current_dir(&self.dir(machine)).call().ok()
    }

    /// Gives an account ten ether.
    pub fn give_ether(&self, account: &str) {
        self.eth()
            .call("anvil_setBalance", &json!([account, TEN_ETHER]));
    }

    /// Waits until each member that there is now follows the chain, and is connected to all others.
    pub fn wait_connected(&self) {
        let others = self.current.len() - 1;
        for machine in &self.current {
            let client = self.client(machine);
            until("a member is connected to all others", LONG, || {
                let status = block_on(client.status()).ok()?;
                (status.following && status.peers as usize == others).then_some(())
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
