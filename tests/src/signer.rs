//! A signer with the published API of Web3Signer, as a process of its own (`tests/signer`).

use super::{
    script::script,
    wait::{free_port, until, LONG},
};
use rings_protocol::crypto::SecretKey;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Certificates of a signer that speaks HTTPS.
#[derive(Debug, Clone)]
pub struct SignerTls {
    /// Its own certificate.
    pub certificate: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// The certificate that its clients show.
    pub clients: PathBuf,
}

/// A signer that runs, or can be started again.
#[derive(Debug)]
pub struct Signer {
    directory: PathBuf,
    port: u16,
    tls: Option<SignerTls>,
    child: Option<Child>,
}

impl Signer {
    /// Starts one that has these keys; its files are in `directory`.
    pub fn start(directory: &Path, keys: &[SecretKey], tls: Option<SignerTls>) -> Self {
        fs::create_dir_all(directory).unwrap();
        let keys = keys.iter().map(|key| hex::encode(*key.to_bytes()) + "\n");
        fs::write(directory.join("keys"), keys.collect::<String>()).unwrap();
        let mut signer = Self {
            directory: directory.to_owned(),
            port: free_port(),
            tls,
            child: None,
        };
        signer.start_again();
        signer
    }

    /// Starts it again at the same port, and waits until it listens.
    pub fn start_again(&mut self) {
        let log = File::create(self.log()).unwrap();
        let call = script("tests/signer", "signer.mjs");
        let mut command = Command::new(call.path());
        command.args(call.arguments()).arg(self.port.to_string());
        command.arg(self.directory.join("keys"));
        if let Some(tls) = &self.tls {
            command.args([&tls.certificate, &tls.key, &tls.clients]);
        }
        let command = command.stdin(Stdio::piped());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        self.child = Some(child.unwrap());
        until("the signer listens", LONG, || {
            self.said().contains("listening").then_some(())
        });
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.join("signer.log")
    }

    /// What it has written since it was started the last time: a line for each request.
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match self.tls {
            Some(_) => format!("https://localhost:{}", self.port),
            None => format!("http://127.0.0.1:{}", self.port),
        }
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
