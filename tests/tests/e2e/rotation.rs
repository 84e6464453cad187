//! The key of a private client ring changes when somebody leaves who has it; devices come and go with the signatures of two
//! thirds.

use super::kept::copy_secret;
use rings_client::{Address, ClientKeys, RecoveryLine, SecretKey};
use rings_member::keystore;
use rings_tests::{block_on, until, Program, Ring, Terminal, LONG};
use serde_json::{json, Value};
use std::{fs, path::PathBuf, process::Command};

/// A device with a directory of its own: what it knows of keys comes from the line that it was given, and from the logs.
struct Device<'a> {
    replicas: &'a Ring,
    home: PathBuf,
    key: PathBuf,
    address: Address,
    ring: Address,
}

impl<'a> Device<'a> {
    fn new(replicas: &'a Ring, n: u8) -> Self {
        let home = replicas.file(&format!("device{n}"));
        fs::create_dir_all(&home).unwrap();
        let (key, secret) = (
            home.join("key"),
            SecretKey::from_bytes(&[0x60 + n; 32]).unwrap(),
        );
        keystore::store_hex(&key, &secret).unwrap();
        Self {
            replicas,
            key,
            home,
            address: secret.address(),
            ring: Address::default(),
        }
    }

    /// It is given the recovery line.
    fn joins(&mut self, ring: Address, line: &std::path::Path) {
        self.ring = ring;
        copy_secret(line, &self.home.join("given"));
    }

    fn call(&self, command: &[&str], more: &[&str]) -> rings_tests::Call {
        let call = self.replicas.rings(command).arg("--key").arg(&self.key);
        let call = call.arg("--line").arg(self.home.join("given"));
        call.arg("--dir").arg(self.home.join("rings")).args(more)
    }

    fn says(&self, line: &str) -> String {
        self.call(&["log", "append"], &[line]).call().ok().stderr
    }

    /// The keys that it knows.
    fn keys(&self) -> ClientKeys {
        let path = self.home.join(format!("rings/avatars/{}.line", self.ring));
        let line: RecoveryLine = fs::read_to_string(path).unwrap().parse().unwrap();
        ClientKeys::new(&line.domain, &line.keys, None)
    }

    /// The newest node of its log, as a member has it.
    fn newest(&self, member: usize) -> Vec<u8> {
        let client = self.replicas.client(member);
        until("the member has something of this log", LONG, || {
            let page = block_on(client.log(self.ring, self.address, None, 1)).ok()?;
            Some(page.nodes.first()?.bytes.0.clone())
        })
    }
}

#[test]
fn the_key_changes_when_somebody_leaves_and_a_device_takes_the_place_of_a_lost_one() {
    let replicas = Ring::up(4);
    let mut devices: Vec<_> = (0..4).map(|n| Device::new(&replicas, n)).collect();
    let members: String = devices[..2]
        .iter()
        .map(|device| format!("{}\n", device.address))
        .collect();
    let members = replicas.write("people.txt", members);
    let ring = replicas
        .rings(["ring", "create", "--members"])
        .arg(members)
        .text();
    let ring: Address = ring.trim().parse().unwrap();
    let line = replicas.dir().join("avatars").join(format!("{ring}.line"));
    devices[..2]
        .iter_mut()
        .for_each(|device| device.joins(ring, &line));
    let [alice, bob] = [&devices[0], &devices[1]];
    alice.call(&["replicate"], &[]).ok();
    alice.says("hello");
    bob.says("hi");
    let first = alice.keys();
    assert!(first.open(&bob.newest(0)).is_ok());
    // Somebody who has the line in the directory of the ring follows what Alice says.
    let mut follow = Command::new(Program::Honest.path());
    follow.args(["log", "follow", "--from", "0", "--client"]);
    follow.args([ring.to_string(), alice.address.to_string()]);
    follow
        .arg("--dir")
        .arg(replicas.dir())
        .env_remove("RINGS_DIR");
    let mut follow = Terminal::start(&mut follow);
    let said = |bytes: &'static str| {
        move |line: &str| {
            line.contains(&format!("chat message: {bytes} bytes"))
                .then_some(())
        }
    };
    follow.sees("what was there", said("5"));
    alice.says("and more");
    follow.sees("what is told", said("8"));

    // A member of the ring that keeps it leaves: it has the replica key.
    let former = replicas.json().member(3).to_string();
    replicas.kill(&[3]);
    replicas.rings(["ring", "exit", &former]).ok();
    let said = alice.says("without it");
    assert!(
        said.contains("has left and had the replica key; changing the key"),
        "{said}"
    );
    assert_eq!((first.count(), alice.keys().count()), (1, 2));
    for member in 0..3 {
        let newest = alice.newest_not_for(&first, member);
        assert!(alice.keys().open(&newest).is_ok());
    }
    // Bob finds the key in Alice's log.
    let said = bob.says("indeed");
    assert!(!said.contains("changing"), "{said}");
    bob.newest_not_for(&first, 0);
    assert_eq!(bob.keys().count(), 2);
    // Once more on purpose, also for who kept the old recovery line: it is wrapped for who has written.
    let rotated = bob.call(&["ring", "rotate", "--json"], &[]).text();
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    assert_eq!(rotated["leftOut"], json!([]));
    alice.says("read again");
    assert_eq!(alice.keys().count(), 3);

    // Alice gets a second device; both people sign it.
    let line = alice.call_line();
    devices[2..]
        .iter_mut()
        .for_each(|device| device.joins(ring, &line));
    let [alice, bob, second, third] = [&devices[0], &devices[1], &devices[2], &devices[3]];
    let change = alice
        .call(&["avatar", "add"], &[&second.address.to_string()])
        .text();
    let open = bob.call(&["avatar", "approve", "--json"], &[]).text();
    let open: Value = serde_json::from_str(&open).unwrap();
    assert_eq!(open[0]["change"], json!(change.trim()));
    assert_eq!(
        (&open[0]["enter"], &open[0]["signed"]),
        (&json!([second.address]), &json!([alice.address]))
    );
    bob.call(&["avatar", "approve"], &[&change.trim()[..12]])
        .ok();
    second
        .call(&["avatar", "also"], &[&alice.address.to_string()])
        .ok();
    // The first one is lost: the second has a third take its place, and the lost one reads nothing new.
    let (lost, fresh) = (alice.address.to_string(), third.address.to_string());
    let change = second
        .call(
            &["avatar", "recover"],
            &["--lost", &lost, "--fresh", &fresh],
        )
        .text();
    bob.call(&["avatar", "approve"], &[change.trim()]).ok();
    let shown = third.call(&["avatar", "show", "--json"], &[]).text();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["member"], json!(true));
    second.says("from the second");
    let refused = alice
        .call(&["log", "append"], &["from the lost one"])
        .call();
    refused.ends_with(2);
    let newest = second.newest_not_for(&alice.keys(), 0);
    assert!(bob.keys().open(&newest).is_ok());
}

impl Device<'_> {
    /// The newest node of its log at a member, once these keys do not open it.
    fn newest_not_for(&self, keys: &ClientKeys, member: usize) -> Vec<u8> {
        until("what is new is sealed with another key", LONG, || {
            let newest = self.newest(member);
            keys.open(&newest).is_err().then_some(newest)
        })
    }

    /// The recovery line as it is now, in a file.
    fn call_line(&self) -> PathBuf {
        let ring = self.ring.to_string();
        let line = self.replicas.rings(["ring", "line", "--ring", &ring]);
        let line = line.arg("--dir").arg(self.home.join("rings")).text();
        let path = self.home.join("line");
        keystore::write_secret(&path, line.as_bytes()).unwrap();
        path
    }
}
