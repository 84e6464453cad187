//! A real geth with a development chain, for the long run.

use super::{
    anvil::first_account,
    eth::Eth,
    tools::tool,
    wait::{free_port, until, LONG},
};
use rings_chain::Chain;
use serde_json::json;
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Ether that the account gets whose key tests have, in wei: 10,000 ether.
const FUND: &str = "0x21e19e0c9bab2400000";

/// A running `geth --dev`; it ends with this value.
#[derive(Debug)]
pub struct Geth {
    child: Child,
    port: u16,
    /// Where its data is.
    _directory: TempDir,
}

impl Geth {
    /// Starts one with these arguments, and gives ether to the account that anvil has ether for.
    pub fn start(args: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let [http, auth] = [port, free_port()].map(|port| port.to_string());
        let child = Command::new(Self::program())
            .args(["--dev", "--ipcdisable", "--nodiscover", "--port", "0"])
            .args(["--http", "--http.port", &http, "--http.api", "eth,net,web3"])
            .args(["--ws", "--ws.port", &http, "--authrpc.port", &auth])
            .arg("--datadir")
            .arg(directory.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("geth starts");
        let geth = Self {
            child,
            port,
            _directory: directory,
        };
        let connect = || super::block_on(Chain::connect(&geth.http())).ok();
        until("geth answers", LONG, connect);
        geth.fund();
        geth
    }

    /// Its development account, whose key geth has, pays.
    fn fund(&self) {
        let eth = Eth::at(&self.http());
        let payer = eth.call("eth_accounts", &json!([]))[0].clone();
        let payment =
            json!([{ "from": payer, "to": first_account().address().to_string(), "value": FUND }]);
        let receipt = eth.receipt(&eth.call("eth_sendTransaction", &payment));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    /// Where geth is.
    pub fn program() -> PathBuf {
        tool("geth", "RINGS_GETH", |version| version.contains("1.17."))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Geth {
    fn drop(&mut self) {
        self.child.kill().expect("geth can be stopped");
        self.child.wait().expect("geth has ended");
    }
}
