//! A real Kubo with a repository of its own.

use super::{call::Call, tools::tool};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};
use tempfile::TempDir;

/// A running Kubo; it ends with this value.
#[derive(Debug)]
pub struct Kubo {
    repository: TempDir,
    /// Of `ipfs daemon`.
    options: &'static [&'static str],
    daemon: Child,
    /// Kept open, since the daemon would die of a closed pipe.
    said: BufReader<ChildStdout>,
}

impl Kubo {
    /// Starts one without network, and waits until it says that it is ready.
    pub fn start() -> Self {
        Self::start_with(&["--offline"])
    }

    /// Starts one that knows those with which it is [connected](Self::connect), and nobody else.
    pub fn online() -> Self {
        Self::start_with(&["--routing=none"])
    }

    /// Connects it with another one. Both are [online](Self::online).
    pub fn connect(&self, other: &Self) {
        let id = other.ipfs(&["id", "--format=<addrs>"]).text();
        let address = id.lines().find(|address| address.contains("/tcp/"));
        self.ipfs(&["swarm", "connect", address.unwrap()]).ok();
    }

    fn start_with(options: &'static [&'static str]) -> Self {
        let repository = TempDir::new().unwrap();
        let command = || {
            let mut command = Command::new(Self::program());
            command
                .env("IPFS_PATH", repository.path())
                .env("IPFS_TELEMETRY", "off");
            command
        };
        let made = command().args(["init", "--profile=test"]).output().unwrap();
        assert!(made.status.success(), "ipfs init: {made:?}");
        let (daemon, said) = daemon(command(), options);
        Self {
            repository,
            options,
            daemon,
            said,
        }
    }

    /// Ends its process at once, as a machine that fails does. What it has stored is there again after
    /// [`go_on`](Self::go_on).
    pub fn fail(&mut self) {
        // It chose a port by itself, and must have the same one again.
        let address = fs::read_to_string(self.repository.path().join("api")).unwrap();
        self.daemon.kill().expect("Kubo can be stopped");
        self.daemon.wait().expect("Kubo has ended");
        let address = ["config", "Addresses.API", address.trim()];
        self.ipfs(&address).ok();
    }

    /// Starts it again.
    pub fn go_on(&mut self) {
        let mut command = Command::new(Self::program());
        command
            .env("IPFS_PATH", self.repository.path())
            .env("IPFS_TELEMETRY", "off");
        (self.daemon, self.said) = daemon(command, self.options);
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    fn program() -> PathBuf {
        tool("ipfs", "RINGS_IPFS", |version| version.contains("0.42."))
    }

    /// URL of its RPC endpoint.
    pub fn url(&self) -> String {
        let api = fs::read_to_string(self.repository.path().join("api")).unwrap();
        let port = api
            .trim()
            .strip_prefix("/ip4/127.0.0.1/tcp/")
            .unwrap()
            .to_owned();
        format!("http://127.0.0.1:{port}")
    }

    /// A call of `ipfs` on this repository.
    pub fn ipfs(&self, args: &[&str]) -> Call {
        let call = Call::of(Self::program()).args(args);
        call.env("IPFS_PATH", self.repository.path())
            .env("IPFS_TELEMETRY", "off")
    }

    /// The CID that `ipfs add` gives to these bytes, without keeping them.
    pub fn cid_of(&self, bytes: &[u8]) -> String {
        let call = self.ipfs(&["add", "--only-hash", "--quieter"]).stdin(bytes);
        call.text().trim().to_owned()
    }
}

/// Starts a daemon, and waits until it says that it is ready.
fn daemon(mut command: Command, options: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut daemon = command
        .arg("daemon")
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Kubo starts");
    let mut said = BufReader::new(daemon.stdout.take().unwrap());
    let mut all = String::new();
    while !all.contains("Daemon is ready") {
        assert!(
            said.read_line(&mut all).unwrap() > 0,
            "Kubo ends at once: {all}"
        );
    }
    (daemon, said)
}

impl Drop for Kubo {
    fn drop(&mut self) {
        self.daemon.kill().expect("Kubo can be stopped");
        self.daemon.wait().expect("Kubo has ended");
    }
}
