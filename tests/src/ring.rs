//! A ring of real processes, which is taken down with the value whatever happens in the test.

use super::{
    call::{Call, Listener},
    footprint::Footprint,
    logs::{check_log, CheckedLog},
    processes::{alive, children, signal, start_time},
    receipt::Receipt,
    serial::{serial, Serial},
    tools::{program, Program},
    wait::{block_on, until, LONG},
};
use rings_api::{
    views::{GateState, GateView, Health},
    Client, Token,
};
use rings_chain::Chain;
use rings_member::keystore;
use rings_protocol::{crypto::SecretKey, eip712::Domain, Address};
use rustix::process::Signal;
use serde_json::{json, Value};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Lines of each log that are shown when a test fails.
const SHOWN_LINES: usize = 30;
/// Fewest characters of a secret for it to be looked for.
const SECRET_LENGTH: usize = 16;
/// The variable that says where a member's data is.
const STORE_PATH: &str = "RINGS_STORE_PATH";
/// Time for workers to see that their member has ended.
const END_LIMIT: Duration = Duration::from_secs(5);

/// `ring.json`, read anew by whoever wants to know.
#[derive(Debug, Clone)]
pub struct RingFile(pub Value);

/// A ring in a directory of its own. When it goes, so do its processes; that none is left, and that no secret has
/// been written where it does not belong, is checked then, in every test.
#[derive(Debug)]
pub struct Ring {
    home: TempDir,
    said: Listener,
    /// Processes seen, with the time of their start.
    seen: RefCell<BTreeMap<u32, u64>>,
    reaper: Child,
    /// Processes that the test started as members.
    own: RefCell<Vec<Child>>,
    /// Those of them whose data is not where `rings down` looks.
    apart: RefCell<Vec<u32>>,
    _serial: Serial,
}

impl RingFile {
    /// A text in it.
    pub fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.0))
    }

    /// An address in it.
    pub fn address(&self, pointer: &str) -> Address {
        self.text(pointer).parse().unwrap()
    }

    /// How many members there are.
    pub fn count(&self) -> usize {
        self.0["members"].as_array().unwrap().len()
    }

    /// Account of a member.
    pub fn member(&self, index: usize) -> Address {
        self.address(&format!("/members/{index}/address"))
    }

    /// Accounts of all members.
    pub fn members(&self) -> Vec<Address> {
        (0..self.count()).map(|index| self.member(index)).collect()
    }

    /// Where all members answer.
    pub fn rpc_urls(&self) -> Vec<&str> {
        let members = 0..self.count();
        members
            .map(|index| self.text(&format!("/members/{index}/rpcUrl")))
            .collect()
    }

    /// What votes of this ring are signed for.
    pub fn domain(&self) -> Domain {
        Domain::new(self.0["chainId"].as_u64().unwrap(), self.address("/ring"))
    }

    fn pid(&self, pointer: &str) -> Option<u32> {
        self.0.pointer(pointer)?.as_u64()?.try_into().ok()
    }
}

impl Ring {
    /// Starts a ring of so many members, with `rings up --detach`.
    pub fn up(members: usize) -> Self {
        let ring = Self::prepare();
        ring.start(&["--members", &members.to_string()]);
        ring
    }

    /// As [`Ring::up`] with three members and these arguments.
    pub fn up_with<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let ring = Self::prepare();
        let call = ring.rings(["up", "--detach", "--members", "3"]).args(args);
        assert_eq!(call.text(), "ready\n");
        ring.look();
        ring
    }

    /// A place for a ring, which is not there yet.
    pub fn prepare() -> Self {
        let serial = serial();
        let home = TempDir::new().unwrap();
        let reaper = reaper(&home.path().join("ring"));
        Self {
            home,
            said: Listener::default(),
            seen: RefCell::default(),
            reaper,
            own: RefCell::default(),
            apart: RefCell::default(),
            _serial: serial,
        }
    }

    /// `rings up --detach`, the first time or again.
    pub fn start(&self, args: &[&str]) {
        let call = self.rings(["up", "--detach"]).args(args);
        assert_eq!(call.text(), "ready\n");
        self.look();
    }

    /// `rings down`
    pub fn stop(&self) {
        self.look();
        self.rings(["down"]).ok();
    }

    /// Its directory.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join("ring")
    }

    /// A file beside its directory, for what the test needs.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes such a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The directory of a member.
    pub fn member_dir(&self, index: usize) -> PathBuf {
        self.dir().join("members").join(index.to_string())
    }

    /// A call of `rings` about this ring.
    pub fn rings<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        let call = Call::new(Program::Honest).args(args);
        call.env("RINGS_DIR", self.dir())
            .heard_by(self.said.clone())
    }

    /// `rings run` of an example; more options must come with `options`, for what follows is the program's.
    pub fn run(&self, options: &[&str], name: &str, args: &[&str]) -> Call {
        self.rings(["run"])
            .args(options)
            .arg(program(name))
            .args(args)
    }

    /// Runs an example on these bytes, and gives its output and receipt.
    pub fn result(&self, name: &str, input: &[u8]) -> (Vec<u8>, Receipt) {
        let path = self.file("receipt.json");
        let options = ["--receipt", path.to_str().unwrap()];
        let output = self.run(&options, name, &[]).stdin(input).ok();
        (output, Receipt::read(&path))
    }

    /// `ring.json`
    pub fn json(&self) -> RingFile {
        let text = fs::read_to_string(self.dir().join("ring.json")).expect("there is a ring");
        RingFile(serde_json::from_str(&text).unwrap())
    }

    /// Process of a member that runs, as its own lock says.
    pub fn pid(&self, index: usize) -> u32 {
        let lock = self.member_dir(index).join("data/lock");
        content(&lock).parse().expect("the member runs")
    }

    /// What each member costs its machine now.
    pub fn footprints(&self) -> Vec<Footprint> {
        let members = 0..self.json().count();
        members
            .map(|index| Footprint::of(self.pid(index)))
            .collect()
    }

    /// Process of the chain.
    pub fn chain_pid(&self) -> u32 {
        self.json().pid("/chainPid").expect("the chain runs")
    }

    /// Ends members with SIGKILL, all at once, and waits until they are gone.
    pub fn kill(&self, members: &[usize]) {
        self.end(members, Signal::KILL);
    }

    /// Ends members as `rings down` does.
    pub fn terminate(&self, members: &[usize]) {
        self.end(members, Signal::TERM);
    }

    fn end(&self, members: &[usize], how: Signal) {
        self.look();
        let pids: Vec<_> = members.iter().map(|index| self.pid(*index)).collect();
        // Its workers hold what it has locked, until they see that it has gone.
        let workers: Vec<_> = pids.iter().flat_map(|pid| children(*pid)).collect();
        pids.iter().for_each(|pid| signal(*pid, how));
        for pid in pids.into_iter().chain(workers) {
            until("a member has ended", LONG, || (!alive(pid)).then_some(()));
        }
    }

    /// Starts a member that is down with one of our programs, as `rings up` would.
    pub fn start_member(&self, index: usize, with: Program) {
        self.launch_member(index, with, &[]);
        let others =
            (0..self.json().count()).filter(|other| *other != index && self.answers(*other));
        self.wait_connected(index, others.count());
    }

    /// Starts a member that is down with these variables in its environment, and waits only until it has locked its
    /// data.
    pub fn launch_member(&self, index: usize, with: Program, environment: &[(&str, &str)]) {
        let log = fs::OpenOptions::new()
            .append(true)
            .open(self.member_dir(index).join("node.log"))
            .unwrap();
        let child = Command::new(with.path())
            .args(["node", "--config"])
            .arg(self.member_dir(index).join("config.toml"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.note(pid);
        self.own.borrow_mut().push(child);
        let elsewhere = environment.iter().find(|(name, _)| *name == STORE_PATH);
        if elsewhere.is_some() {
            self.apart.borrow_mut().push(pid);
        }
        let data = elsewhere.map_or_else(
            || self.member_dir(index).join("data"),
            |(_, path)| path.into(),
        );
        let lock = data.join("lock");
        until("a member has locked its data", LONG, || {
            (content(&lock).parse() == Ok(pid) || !alive(pid)).then_some(())
        });
    }

    /// The key of a member.
    pub fn member_key(&self, index: usize) -> SecretKey {
        let (key, password) = (
            self.member_dir(index).join("key.json"),
            self.member_dir(index).join("password"),
        );
        keystore::load(&key, Some(&password)).unwrap()
    }

    /// `GET /health` of a member: the status, and why it does not follow its chain.
    pub fn health(&self, index: usize) -> Option<(u16, Option<String>)> {
        let url = self
            .json()
            .text(&format!("/members/{index}/rpcUrl"))
            .to_owned();
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(format!("{url}/health")).send().await.ok()?;
            let status = answer.status().as_u16();
            let health: Health = answer.json().await.unwrap();
            Some((status, health.trouble))
        })
    }

    /// Whether a member answers.
    pub fn answers(&self, index: usize) -> bool {
        block_on(self.client(index).status()).is_ok()
    }

    /// Waits until a member follows its chain and is connected to so many others.
    pub fn wait_connected(&self, index: usize, others: usize) {
        let client = self.client(index);
        until("a member is connected", LONG, || {
            let status = block_on(client.status()).ok()?;
            (status.following && status.peers as usize >= others).then_some(())
        });
    }

    /// The chain, as its URL in `ring.json` shows it.
    pub fn chain(&self) -> Chain {
        block_on(Chain::connect(self.json().text("/rpcUrl"))).unwrap()
    }

    /// Asks the chain anything, past all our code.
    pub fn eth(&self, method: &str, params: &Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let url = self.json().text("/rpcUrl").to_owned();
        let answer: Value = block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client
                .post(url)
                .json(&request)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap()
        });
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Transactions that the account of `rings run` has sent.
    pub fn sent_by_client(&self) -> Value {
        let key = keystore::load(&self.dir().join("client.key"), None).unwrap();
        self.eth("eth_getTransactionCount", &json!([key.address(), "latest"]))
    }

    /// A client of a member.
    pub fn client(&self, index: usize) -> Client {
        let url = self
            .json()
            .text(&format!("/members/{index}/rpcUrl"))
            .to_owned();
        Client::new(&url, Token::read(&self.dir().join("token")).ok()).unwrap()
    }

    /// What `/metrics` of a member answers; `None` when nobody answers there.
    pub fn metrics(&self, index: usize) -> Option<String> {
        let json = self.json();
        let url = format!("{}/metrics", json.text(&format!("/members/{index}/rpcUrl")));
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(url).send().await.ok()?;
            Some(answer.text().await.unwrap())
        })
    }

    /// `rings_getGate` of a member.
    pub fn gate(&self, index: usize, gate: Address) -> GateView {
        block_on(self.client(index).gate(gate)).unwrap()
    }

    /// Waits until a member has the gate in one of its last states, and gives it.
    pub fn wait_resolved(&self, index: usize, gate: Address) -> GateView {
        let client = self.client(index);
        until("the gate is resolved", LONG, || {
            let view = block_on(client.gate(gate)).ok()?;
            matches!(view.state, GateState::Resolved | GateState::Failed).then_some(view)
        })
    }

    /// A member's log as another (or itself) shows it, checked.
    pub fn log(&self, of: usize, from: usize) -> CheckedLog {
        let json = self.json();
        block_on(check_log(
            &self.client(from),
            &json.domain(),
            json.member(of),
        ))
    }

    /// All logs, each as its author shows it, checked.
    pub fn logs(&self) -> Vec<CheckedLog> {
        (0..self.json().count())
            .map(|index| self.log(index, index))
            .collect()
    }

    /// All secrets of the ring in the forms in which they could be written.
    pub fn secrets(&self) -> Vec<String> {
        let dir = self.dir();
        let mut secrets = vec![
            content(&dir.join("token")),
            content(&dir.join("client.key")),
        ];
        for index in 0..self.json().count() {
            let (keystore, password) = (
                self.member_dir(index).join("key.json"),
                self.member_dir(index).join("password"),
            );
            if let Ok(key) = keystore::load(&keystore, Some(&password)) {
                secrets.push(hex::encode(*key.to_bytes()));
            }
            secrets.push(content(&password));
        }
        secrets.retain(|secret| secret.len() >= SECRET_LENGTH);
        secrets
            .iter()
            .map(|secret| secret.trim_start_matches("0x").to_owned())
            .collect()
    }

    /// Everything that members and commands have written for people so far.
    pub fn written(&self) -> String {
        let mut all = self.said.lock().unwrap().clone();
        for (_, text) in self.node_logs() {
            all.push_str(&text);
        }
        all
    }

    fn node_logs(&self) -> Vec<(String, String)> {
        let members = fs::read_dir(self.dir().join("members"))
            .into_iter()
            .flatten()
            .flatten();
        let logs = members.map(|entry| (entry.file_name(), entry.path().join("node.log")));
        logs.map(|(name, path)| (format!("member {}", name.display()), content(&path)))
            .collect()
    }

    /// Remembers the processes that there are now.
    fn look(&self) {
        let Ok(text) = fs::read_to_string(self.dir().join("ring.json")) else {
            return;
        };
        let json = RingFile(serde_json::from_str(&text).unwrap());
        let members =
            (0..json.count()).filter_map(|index| json.pid(&format!("/members/{index}/pid")));
        members
            .chain(json.pid("/chainPid"))
            .for_each(|pid| self.note(pid));
        let own: Vec<_> = self.own.borrow().iter().map(Child::id).collect();
        own.into_iter().for_each(|pid| self.note(pid));
    }

    fn note(&self, pid: u32) {
        let mut seen = self.seen.borrow_mut();
        for pid in children(pid).into_iter().chain([pid]) {
            if let Some(started) = start_time(pid) {
                seen.entry(pid).or_insert(started);
            }
        }
    }

    /// Processes of the ring that run still.
    pub fn left(&self) -> Vec<u32> {
        let seen = self.seen.borrow();
        let same =
            |(pid, started): &(&u32, &u64)| alive(**pid) && start_time(**pid) == Some(**started);
        seen.iter().filter(same).map(|(pid, _)| *pid).collect()
    }

    /// Waits for the children of the test itself, which would stay as zombies.
    fn reap(&self) {
        for mut child in self.own.borrow_mut().drain(..) {
            drop(child.wait());
        }
    }

    fn show_logs(&self) {
        for (name, text) in self.node_logs() {
            eprintln!("--- the end of the log of {name}");
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
                eprintln!("{line}");
            }
        }
    }

    /// That nothing of it is written anywhere but in its own file.
    fn check_secrets(&self) {
        let written = self.written();
        for secret in self.secrets() {
            assert!(
                !written.contains(&secret),
                "a secret was written to a log or to standard error"
            );
        }
    }

    fn take_down(&self) -> Vec<u32> {
        self.look();
        let apart = self.apart.take();
        apart.iter().for_each(|pid| signal(*pid, Signal::TERM));
        if self.dir().join("ring.json").exists() {
            let call = Call::new(Program::Honest).args(["--quiet", "down"]);
            call.env("RINGS_DIR", self.dir()).call();
        }
        self.reap();
        let deadline = Instant::now() + END_LIMIT;
        while !self.left().is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let left = self.left();
        left.iter().for_each(|pid| signal(*pid, Signal::KILL));
        left
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let failed = thread::panicking();
        if failed {
            self.show_logs();
        }
        let left = self.take_down();
        drop(self.reaper.kill());
        drop(self.reaper.wait());
        if !failed {
            assert!(left.is_empty(), "`rings down` left processes {left:?}");
            if self.dir().join("ring.json").exists() {
                self.check_secrets();
            }
        }
    }
}

/// A process that takes the ring down when this one ends without having done so: its standard input ends then.
fn reaper(dir: &Path) -> Child {
    Command::new("sh")
        .args([
            "-c",
            r#"trap "" INT TERM HUP; read -r _; exec "$0" --quiet down --dir "$1""#,
        ])
        .arg(Program::Honest.path())
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh runs")
}

fn content(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
