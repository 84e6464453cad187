//! A member that comes to a replica ring later gets the keys of the client rings that it keeps, and their logs.

use rings_api::Client;
use rings_client::{Call, Digest, Keyring, ReadKey, Secrecy};
use rings_member::keystore;
use rings_protocol::{private::WrappedKey, Address};
use rings_tests::{
    avatars::{ask, ClientRing},
    block_on, free_port, until, Program, Ring, LONG,
};
use serde_json::{json, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The member that comes later: its process, which ends with this value.
struct Newcomer {
    process: Child,
    client: Client,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        // It may have ended by itself; then the test has failed already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Writes a directory for one more member, as the operator of another machine would. Gives it, and its account.
fn prepare(replicas: &Ring) -> (PathBuf, Address) {
    let home = replicas.file("newcomer");
    fs::create_dir_all(&home).unwrap();
    keystore::write_secret(&home.join("password"), b"the password of the newcomer").unwrap();
    let text = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let (key, password) = (text("key.json"), text("password"));
    let new = [
        "key",
        "new",
        "--light",
        "--out",
        &key,
        "--password-file",
        &password,
    ];
    let account = replicas.rings(new).text().trim().parse().unwrap();
    let token = fs::read(replicas.dir().join("token")).unwrap();
    keystore::write_secret(&home.join("token"), &token).unwrap();
    (home, account)
}

/// Starts it, with the first member's configuration except for what is its own.
fn start(replicas: &Ring, home: &Path) -> Newcomer {
    let config = replicas.member_dir(0).join("config.toml");
    let port = free_port();
    let text = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let own = [
        ("RINGS_KEY_KEYSTORE", text("key.json")),
        ("RINGS_KEY_PASSWORD_FILE", text("password")),
        ("RINGS_STORE_PATH", text("data")),
        ("RINGS_RPC_LISTEN", format!("127.0.0.1:{port}")),
        ("RINGS_RPC_TOKEN_FILE", text("token")),
        (
            "RINGS_NETWORK_LISTEN",
            format!("/ip4/127.0.0.1/tcp/{}", free_port()),
        ),
    ];
    let log = fs::File::create(home.join("node.log")).unwrap();
    let process = Command::new(Program::Honest.path())
        .args(["node", "--config"])
        .arg(config)
        .envs(own)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let client = Client::new(&format!("http://127.0.0.1:{port}"), None).unwrap();
    Newcomer { process, client }
}

#[test]
fn a_member_that_comes_later_gets_keys_and_logs_and_one_that_leaves_is_told_of() {
    let replicas = Ring::up(3);
    // A private ring is kept by the three that are there.
    let mut clients = ClientRing::new(&replicas, 1, |domain| {
        Secrecy::with_key(domain, ReadKey::from_bytes([7; 32], domain))
    });
    let domain = *clients.avatars[0].log.domain();
    let read = ReadKey::from_bytes([7; 32], &domain);
    let mut keys = Keyring::new(domain);
    let first = replicas.member_key(0).public_key();
    keys.approve(first.address());
    let key = WrappedKey::Replica(read.replica_key());
    let (_, wrapped) = keys
        .wrap(1, &key, &first, |bytes| *bytes = rand::random())
        .unwrap();
    clients.say(0, "before the newcomer");
    clients.hand_over(&replicas, &wrapped);
    let avatar = clients.avatars[0].key.address();
    let (home, account) = prepare(&replicas);
    replicas.eth("anvil_setBalance", &json!([account, "0x56bc75e2d63100000"]));
    let account_text = account.to_string();
    replicas.rings(["ring", "enter", &account_text]).ok();
    let newcomer = start(&replicas, &home);
    let ring = clients.address;
    let shown = |client: &Client| -> Option<Value> {
        let asked = client.call::<Value>("rings_getClientRings", json!({ "ring": ring }));
        Some(block_on(asked).ok()?["rings"].get(0)?.clone())
    };
    // It holds the log, which it cannot check without the key.
    until("the newcomer holds the log", 2 * LONG, || {
        let head = shown(&newcomer.client)?["heads"].get(0)?["head"].clone();
        (head == json!(clients.avatars[0].log.head())).then_some(())
    });
    // It takes new nodes in itself, and relays like the others.
    clients.say(0, "to the newcomer");
    let log = &clients.avatars[0].log;
    let request = Call::append((ring, avatar), &log.since(Digest::ZERO), 1, 0);
    let held: Value = block_on(newcomer.client.call(request.method, request.params)).unwrap();
    assert_eq!(held["head"], json!(log.head()));
    assert_eq!(held["held"][0]["replica"], json!(account));
    // When it leaves, it has the key still, and the ring is asked for another one.
    assert!(!shown(&replicas.client(0)).unwrap()["rotate"].is_boolean());
    replicas.rings(["ring", "exit", &account_text]).ok();
    until("the ring is asked to rotate", LONG, || {
        let shown = shown(&replicas.client(0))?;
        (shown["rotate"] == json!(true)).then_some(())
    });
    let status = replicas.rings(["status"]).text();
    assert!(
        status.contains("A FORMER MEMBER HAS ITS REPLICA KEY"),
        "{status}"
    );
    assert!(ask(&replicas, 1, &Call::message(Digest::ZERO))
        .unwrap()
        .is_null());
}
