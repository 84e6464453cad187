//! Several machines with addresses of their own, on one: a hub, where the chain runs, and machines that reach it and one
//! another. The last one may be behind a router: it reaches the hub, and nobody reaches it, except through a port mapping at
//! the hub.
//!
//! They are network namespaces, joined by a bridge, where this user may make them; each holder of one ends with this
//! process. Where not, each machine is a loopback address of its own: then nothing keeps the last machine from dialing the
//! others, and the tests say so.

use super::{
    call::Call,
    serial::{serial, Serial},
    wait::{until, LONG},
};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// The name of the hub, for the machine behind the router and those that want to reach it.
pub const GATEWAY: &str = "gateway.example";

/// Runs a command until its standard input ends, which it does when this process does.
const LEASH: &str = r#""$@" </dev/null & child=$!; read -r _; kill -KILL "$child"; wait "$child""#;

/// The first three numbers of the addresses in one network, and of those behind the router.
const NETWORK: &str = "10.77.0";
const BEHIND: &str = "10.78.0";

/// The hub, and machines around it.
#[derive(Debug)]
pub struct Machines {
    /// The first three numbers of the addresses, apart or here.
    network: String,
    /// Whether the last machine is behind a router.
    has_router: bool,
    /// The holders of the hub and of the machines; none where there are no namespaces.
    hub: Option<Child>,
    machines: Vec<Child>,
    count: usize,
    home: TempDir,
    _serial: Serial,
}

/// A program that runs on one of the machines; it ends with this value.
#[derive(Debug)]
pub struct Process(Child);

impl Machines {
    /// Starts so many machines, the last one behind a router.
    pub fn start(count: usize) -> Self {
        Self::make(count, NETWORK, true)
    }

    /// Starts so many machines in one network, whose addresses begin with these three numbers. Machine 0 has the address that ends
    /// with 1. Where there are no namespaces, the addresses begin otherwise.
    pub fn in_network(count: usize, network: &str) -> Self {
        Self::make(count, network, false)
    }

    fn make(count: usize, network: &str, has_router: bool) -> Self {
        let mut machines = Self {
            network: network.to_owned(),
            has_router,
            hub: None,
            machines: Vec::new(),
            count,
            home: TempDir::new().unwrap(),
            _serial: serial(),
        };
        if !machines.make_namespaces() {
            eprintln!("NO NETWORK NAMESPACES for this user: each machine is a loopback address");
            (machines.hub, machines.machines) = (None, Vec::new());
            // Addresses that no other test of this machine uses.
            let (one, two) = (1 + rand::random::<u8>() / 2, rand::random::<u8>());
            machines.network = format!("127.{one}.{two}");
        }
        machines
    }

    /// Whether the machines have networks of their own.
    pub fn are_apart(&self) -> bool {
        self.hub.is_some()
    }

    /// A directory for a machine's files.
    pub fn dir(&self, machine: usize) -> PathBuf {
        let dir = self.home.path().join(machine.to_string());
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// A directory for files of the hub.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the hub is, as the machines in front of the router see it.
    pub fn hub_address(&self) -> String {
        match self.are_apart() {
            true => format!("{}.254", self.network),
            false => "127.0.0.1".into(),
        }
    }

    /// Where the hub is, as a machine sees it.
    pub fn hub_from(&self, machine: usize) -> String {
        match self.are_apart() && self.is_hidden(machine) {
            true => format!("{BEHIND}.254"),
            false => self.hub_address(),
        }
    }

    /// The address of a machine.
    pub fn address(&self, machine: usize) -> String {
        let network = match self.are_apart() && self.is_hidden(machine) {
            true => BEHIND,
            false => &self.network,
        };
        format!("{network}.{}", machine + 1)
    }

    /// Whether a machine is behind the router.
    pub fn is_hidden(&self, machine: usize) -> bool {
        self.has_router && machine + 1 == self.count
    }

    /// A call of a program at the hub.
    pub fn at_hub(&self, program: impl AsRef<OsStr>) -> Call {
        call(self.hub.as_ref(), program.as_ref())
    }

    /// A call of a program on a machine.
    pub fn on(&self, machine: usize, program: impl AsRef<OsStr>) -> Call {
        call(self.machines.get(machine), program.as_ref())
    }

    /// Starts a program at the hub that goes on running. What it says is written to this file.
    pub fn run_at_hub(&self, words: &[&OsStr], log: &Path) -> Process {
        Process::start(self.hub.as_ref(), words, log)
    }

    /// The same on a machine.
    pub fn run_on(&self, machine: usize, words: &[&OsStr], log: &Path) -> Process {
        Process::start(self.machines.get(machine), words, log)
    }

    /// What an HTTP server on a machine answers to a GET, without its headers.
    pub fn get(&self, machine: usize, port: u16, path: &str) -> Option<String> {
        let host = match self.are_apart() {
            true => "127.0.0.1".to_owned(),
            false => self.address(machine),
        };
        let script = format!(
            "exec 3<>/dev/tcp/{host}/{port}; printf 'GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3"
        );
        let answer = self.on(machine, "bash").args(["-c", &script]).call();
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    /// What an HTTP server at the hub answers to this JSON, without its headers.
    pub fn post_at_hub(&self, port: u16, json: &str) -> Option<String> {
        let length = json.len();
        // The body comes by standard input, for it may be long and have quotes.
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; {{ printf 'POST / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\nContent-Length: {length}\\r\\n\\r\\n'; cat; }} >&3; cat <&3"
        );
        let call = self.at_hub("bash").args(["-c", &script]);
        let answer = call.stdin(json).call();
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    fn make_namespaces(&mut self) -> bool {
        let hosts = self.home.path().join("hosts");
        fs::write(
            &hosts,
            format!("127.0.0.1 localhost\n{}.254 {GATEWAY}\n", self.network),
        )
        .unwrap();
        let Some(hub) = holder(None, &hosts) else {
            return false;
        };
        self.hub = Some(hub);
        let bridge = format!(
            "ip link add br0 type bridge && ip addr add {}.254/24 dev br0 && ip link set br0 up",
            self.network
        );
        self.script(None, &bridge)
            && (0..self.count).all(|machine| self.make_machine(machine, &hosts))
    }

    fn make_machine(&mut self, machine: usize, hosts: &Path) -> bool {
        let Some(holder) = holder(self.hub.as_ref(), hosts) else {
            return false;
        };
        let (pid, address) = (holder.id(), self.address(machine));
        self.machines.push(holder);
        let join = match self.is_hidden(machine) {
            true => format!("ip addr add {BEHIND}.254/24 dev v{machine}"),
            false => format!("ip link set v{machine} master br0"),
        };
        let outside = format!(
            "ip link add v{machine} type veth peer name eth0 netns {pid} && {join} && ip link set v{machine} up"
        );
        let inside = format!("ip addr add {address}/24 dev eth0 && ip link set eth0 up");
        self.script(None, &outside) && self.script(Some(machine), &inside)
    }

    fn script(&self, machine: Option<usize>, script: &str) -> bool {
        let holder = match machine {
            Some(machine) => self.machines.get(machine),
            None => self.hub.as_ref(),
        };
        let done = call(holder, OsStr::new("sh")).args(["-c", script]).call();
        if !done.status.success() {
            eprintln!("{script}: {}", done.stderr);
        }
        done.status.success()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for holder in self.machines.iter_mut().chain(&mut self.hub) {
            drop(holder.kill());
            drop(holder.wait());
        }
    }
}

impl Process {
    fn start(holder: Option<&Child>, words: &[&OsStr], log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut all: Vec<OsString> = entering(holder);
        all.extend(["sh", "-c", LEASH, "sh"].map(Into::into));
        all.extend(words.iter().map(Into::into));
        let child = Command::new(&all[0])
            .args(&all[1..])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Ends it at once.
    pub fn kill(self) {}
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// The words that put a command into a namespace.
fn entering(holder: Option<&Child>) -> Vec<OsString> {
    let Some(holder) = holder else {
        return Vec::new();
    };
    let pid = holder.id().to_string();
    let mut words: Vec<OsString> = ["nsenter", "-t", &pid, "-n", "-m"].map(Into::into).into();
    if !is_root() {
        words.extend(["-U", "--preserve-credentials"].map(Into::into));
    }
    words.push("--".into());
    words
}

fn call(holder: Option<&Child>, program: &OsStr) -> Call {
    let mut words = entering(holder);
    words.push(program.to_owned());
    Call::of(&words[0]).args(&words[1..])
}

/// A process in a network of its own, made from within another one.
fn holder(within: Option<&Child>, hosts: &Path) -> Option<Child> {
    let script = r#"mount --bind "$0" /etc/hosts && ip link set lo up && echo up && read -r _"#;
    let mut words = entering(within);
    words.push("unshare".into());
    if within.is_none() && !is_root() {
        words.extend(["--user", "--map-root-user"].map(Into::into));
    }
    words.extend(["--net", "--mount", "--", "sh", "-c", script].map(Into::into));
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .arg(hosts)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .ok()?;
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take()?);
    if said.read_line(&mut line).is_ok() && line == "up\n" {
        return Some(child);
    }
    drop(child.kill());
    drop(child.wait());
    None
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Waits until a file says this.
pub fn until_said(file: &Path, what: &str) -> String {
    until(what, LONG, || {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.contains(what).then_some(text)
    })
}
