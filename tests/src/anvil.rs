//! A chain that the test starts itself, as if somebody else ran it.

use super::{
    perturb::Account,
    tools::tool,
    wait::{block_on, free_port, until, LONG},
};
use rings_chain::Chain;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Private key of anvil's first account.
const FIRST_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Anvil's first account, which has ether.
pub(crate) fn first_account() -> Account {
    Account::from_hex(FIRST_KEY)
}

/// A running anvil; it ends with this value.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    port: u16,
}

impl Anvil {
    /// Starts one with these arguments.
    pub fn start(args: &[&str]) -> Self {
        Self::on(free_port(), args)
    }

    /// Starts one on this port, and waits until it answers.
    pub fn on(port: u16, args: &[&str]) -> Self {
        let child = Command::new(Self::program())
            .args([
                "--host",
                "127.0.0.1",
                "--silent",
                "--port",
                &port.to_string(),
            ])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let anvil = Self { child, port };
        let connect = || block_on(Chain::connect(&anvil.http())).ok();
        until("anvil answers", LONG, connect);
        anvil
    }

    /// Where anvil is.
    pub fn program() -> PathBuf {
        tool("anvil", "RINGS_ANVIL", |version| version.contains("1.7."))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Writes the key of an account that has ether into a file that only its owner can read.
    pub fn write_key(directory: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.join("payer.key");
        fs::write(&path, FIRST_KEY).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Ends it.
    pub fn stop(self) {}
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().expect("anvil can be stopped");
        self.child.wait().expect("anvil has ended");
    }
}
