//! The logs of client rings at the members that keep them: held by several, caught up with, restored, and let go.

use rings_api::client_rings::{ClientRingView, ClientRingsParams};
use rings_client::{held_by, Call as AvatarCall};
use rings_member::keystore;
use rings_protocol::{cids::node_cid, Address, Digest};
use rings_tests::{
    avatars::{ask, refusal, ClientRing},
    block_on, until, Program, Ring, LONG,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Who has signed to hold an avatar's log, in an answer to AppendToRing. Each signature is checked.
fn holders(replicas: &Ring, clients: &ClientRing, answer: &Value) -> BTreeSet<Address> {
    let head: Digest = answer["head"].as_str().unwrap().parse().unwrap();
    let log = (clients.address, clients.avatars[0].key.address(), head);
    let held = answer["held"].as_array().unwrap().iter();
    held.map(|by| {
        let replica = by["replica"].as_str().unwrap().parse().unwrap();
        let signature = by["signature"].as_str().unwrap();
        let signature = hex::decode(signature.trim_start_matches("0x")).unwrap();
        held_by(&replicas.json().domain(), replica, log, &signature).unwrap();
        replica
    })
    .collect()
}

fn append(clients: &ClientRing, known: Digest, replicas: u32, wait: u64) -> AvatarCall {
    let avatar = &clients.avatars[0];
    let place = (clients.address, avatar.key.address());
    AvatarCall::append(place, &avatar.log.since(known), replicas, wait)
}

/// Waits until all these members have signed for an avatar's log. The same nodes again do no harm.
fn wait_signed(
    replicas: &Ring,
    member: usize,
    (clients, known): (&ClientRing, Digest),
    by: &BTreeSet<Address>,
) {
    let request = append(clients, known, by.len() as u32, 5_000);
    until("enough members have signed", LONG, || {
        let answer = ask(replicas, member, &request).unwrap();
        assert_eq!(answer["head"], json!(clients.avatars[0].log.head()));
        (holders(replicas, clients, &answer) == *by).then_some(())
    });
}

/// What a member keeps of a ring.
fn kept(replicas: &Ring, member: usize, ring: Address) -> Option<ClientRingView> {
    let which = ClientRingsParams {
        ring: Some(ring),
        from: None,
    };
    let view = block_on(replicas.client(member).client_rings(&which)).ok()?;
    view.rings.into_iter().next()
}

/// Waits until a member holds an avatar's log up to its end.
pub fn wait_held(replicas: &Ring, member: usize, clients: &ClientRing) {
    let avatar = &clients.avatars[0];
    until("a member holds the whole log", LONG, || {
        let kept = kept(replicas, member, clients.address)?;
        let mut heads = kept.heads.iter();
        heads
            .any(|head| head.avatar == avatar.key.address() && head.head == avatar.log.head())
            .then_some(())
    });
}

#[test]
fn a_line_is_signed_for_by_all_that_are_up_and_the_others_catch_up() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    (0..4).for_each(|member| wait_held(&replicas, member, &clients));
    let members: BTreeSet<_> = replicas.json().members().into_iter().collect();
    let known = clients.avatars[0].log.head();
    clients.say(0, "held by four");
    wait_signed(&replicas, 1, (&clients, known), &members);

    // One of them is down: the three others sign, and it is not waited for longer than asked.
    replicas.kill(&[3]);
    let known = clients.avatars[0].log.head();
    clients.say(0, "held by three");
    let mut three = members.clone();
    three.remove(&replicas.json().member(3));
    wait_signed(&replicas, 1, (&clients, known), &three);
    let answer = ask(
        &replicas,
        2,
        &append(&clients, clients.avatars[0].log.head(), 4, 500),
    );
    assert_eq!(holders(&replicas, &clients, &answer.unwrap()), three);
    // Far more than one offer carries.
    let known = clients.avatars[0].log.head();
    for n in 0..40 {
        clients.say(0, &format!("{n}: {}", "long ".repeat(1_500)));
    }
    wait_signed(&replicas, 1, (&clients, known), &three);

    // What it missed it fetches when it is back.
    replicas.start_member(3, Program::Honest);
    wait_held(&replicas, 3, &clients);
    let answer = ask(
        &replicas,
        3,
        &append(&clients, clients.avatars[0].log.head(), 4, 5_000),
    );
    assert_eq!(holders(&replicas, &clients, &answer.unwrap()), members);
    for node in clients.avatars[0].log.nodes() {
        assert!(has_block(&replicas, 3, node.digest()));
    }
    let status: Value = serde_json::from_str(&replicas.rings(["status", "--json"]).text()).unwrap();
    let ring = &status["clientRings"][0];
    assert_eq!(ring["ring"], json!(clients.address));
    assert_eq!(ring["members"], json!([0, 1, 2, 3]));
    assert_eq!(
        ring["heads"][0]["head"],
        json!(clients.avatars[0].log.head())
    );
    assert_eq!(ring["heads"][0]["behind"], json!([]));
    let text = replicas.rings(["status"]).text();
    assert!(
        text.contains("client   0x") && text.contains("log nodes, newest"),
        "{text}"
    );

    // Whoever is asked for too long a wait says so.
    let refused = append(&clients, clients.avatars[0].log.head(), 4, 60_000);
    assert_eq!(refusal(&replicas, 0, &refused).0, -32602);
}

/// Whether a member itself has a node.
fn has_block(replicas: &Ring, member: usize, digest: Digest) -> bool {
    let url = format!("/members/{member}/rpcUrl");
    let url = replicas.json().text(&url).to_owned();
    let cid = node_cid(digest);
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{url}/ipfs/{cid}?format=raw");
        let answer = client.get(url).send().await.unwrap();
        answer.status().is_success()
    })
}

/// An avatar of the command line, in a private ring.
struct Person<'a> {
    replicas: &'a Ring,
    key: PathBuf,
    ring: String,
    address: Address,
}

impl Person<'_> {
    fn call(&self, command: &[&str], more: &[&str]) -> rings_tests::Call {
        let call = self.replicas.rings(command).arg("--key").arg(&self.key);
        call.args(["--ring", &self.ring]).args(more)
    }

    fn json(&self, command: &[&str], more: &[&str]) -> Value {
        let text = self.call(command, more).arg("--json").text();
        serde_json::from_str(&text).unwrap()
    }

    /// Says a line until all four members have signed for it: on a slow machine one may be late.
    fn held_by_all(&self, line: &str) -> Value {
        until("all four have signed", LONG, || {
            let held = self.json(
                &["log", "append"],
                &["--replicas", "4", "--wait", "5", line],
            );
            (held["held"].as_array().unwrap().len() == 4).then_some(held)
        })
    }

    fn log(&self, extension: &str) -> PathBuf {
        let name = format!("{}-{}.{extension}", self.address, self.ring);
        self.replicas.dir().join("avatars").join(name)
    }
}

/// Keys of people, in files, and their ring.
fn people<const N: usize>(replicas: &Ring) -> [Person<'_>; N] {
    let made: Vec<_> = (0..N)
        .map(|n| {
            let key = replicas.file(&format!("person{n}.key"));
            let secret = rings_client::SecretKey::from_bytes(&[0x40 + n as u8; 32]).unwrap();
            keystore::store_hex(&key, &secret).unwrap();
            (key, secret.address())
        })
        .collect();
    let members: String = made
        .iter()
        .map(|(_, address)| format!("{address}\n"))
        .collect();
    let members = replicas.write("people.txt", members);
    let ring = replicas.rings(["ring", "create", "--members"]).arg(members);
    let ring = ring.text().trim().to_owned();
    let all = made.into_iter().map(|(key, address)| Person {
        replicas,
        key,
        ring: ring.clone(),
        address,
    });
    all.collect::<Vec<_>>().try_into().ok().unwrap()
}

#[test]
fn what_is_lost_is_restored_and_who_leaves_something_out_is_named() {
    let replicas = Ring::up(4);
    let [alice, bob] = people(&replicas);
    assert_eq!(alice.json(&["replicate"], &[])["status"], "relayed");
    bob.json(&["log", "append"], &["bob was here"]);
    alice.held_by_all("one");
    // A member is set back to this day.
    let data = replicas.member_dir(3).join("data").join("clients.redb");
    replicas.kill(&[3]);
    let old = fs::read(&data).unwrap();
    replicas.start_member(3, Program::Honest);
    for line in ["two", "three"] {
        alice.held_by_all(line);
    }
    let shown = alice.json(&["avatar", "show"], &[]);
    let head = shown["head"].as_str().unwrap();

    // The device is lost; what members signed was kept elsewhere, and so was the recovery line.
    let words = replicas.file("words");
    fs::rename(alice.log("held"), &words).unwrap();
    let words = words.to_str().unwrap().to_owned();
    fs::remove_file(alice.log("log")).unwrap();
    replicas.kill(&[0, 1, 2, 3]);
    fs::write(&data, old).unwrap();
    replicas.start_member(3, Program::Honest);
    let restored = alice
        .call(&["avatar", "restore"], &["--words", &words])
        .call();
    restored.ends_with(1);
    let fourth = replicas.json().member(3).to_string();
    let named = format!("replica {fourth} has signed that it holds node {head}");
    assert!(restored.stderr.contains(&named), "{}", restored.stderr);

    // With the others there is all of it.
    for member in 0..3 {
        replicas.launch_member(member, Program::Honest, &[]);
    }
    (0..4).for_each(|member| replicas.wait_connected(member, 3));
    let restored = until("all of it is there", LONG, || {
        let done = alice
            .call(&["avatar", "restore", "--json"], &["--words", &words])
            .call();
        let view: Value = serde_json::from_str(&done.text()).ok()?;
        let is_whole = view["findings"] == json!([]) && view["silent"] == json!([]);
        is_whole.then_some(view)
    });
    let logs = restored["logs"].as_array().unwrap();
    let own = logs
        .iter()
        .find(|log| log["avatar"] == json!(alice.address));
    assert_eq!(own.unwrap()["head"], json!(head));
    assert_eq!(logs.len(), 2);
    let messages = alice.call(&["avatar", "restore", "--messages"], &[]).text();
    let payloads: Vec<_> = messages
        .lines()
        .map(|line| {
            let message: Value = serde_json::from_str(line).unwrap();
            hex::decode(message["payload"].as_str().unwrap()).unwrap()
        })
        .collect();
    for said in ["bob was here", "one", "two", "three"] {
        assert!(payloads.contains(&said.as_bytes().to_vec()), "{said}");
    }
    a_fresh_key_reads_with_the_line_alone(&alice);
    // A restored key never appends; it can leave, and then bob is alone.
    let refused = alice.call(&["log", "append"], &["four"]).call();
    refused.ends_with(2);
    assert!(
        refused.stderr.contains("never appends"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        alice.json(&["avatar", "show"], &[])["restored"],
        json!(true)
    );
    assert_eq!(alice.json(&["avatar", "leave"], &[])["status"], "relayed");
    assert_eq!(alice.json(&["avatar", "show"], &[])["member"], json!(false));
    assert_eq!(bob.json(&["avatar", "show"], &[])["member"], json!(true));
}

/// In a directory that knows nothing, with the recovery line and a key that is new.
fn a_fresh_key_reads_with_the_line_alone(person: &Person<'_>) {
    let replicas = person.replicas;
    let (there, key) = (replicas.file("elsewhere"), replicas.file("fresh.key"));
    keystore::store_hex(&key, &keystore::generate()).unwrap();
    let line = replicas.dir().join("avatars");
    let line = line.join(format!("{}.line", person.ring));
    // What restores members says what restores a person.
    let refused = replicas.rings(["restore", "--dir"]).arg(&there).arg(&line);
    let refused = refused.refused(2);
    assert!(refused.contains("rings avatar restore --key"), "{refused}");
    assert!(!there.exists());
    let call = |command: &[&str]| {
        let call = replicas.rings(command).arg("--key").arg(&key);
        call.arg("--line").arg(&line).arg("--dir").arg(&there)
    };
    let read = call(&["avatar", "restore", "--messages"]).text();
    assert!(read.contains(&hex::encode("bob was here")), "{read}");
    let shown = call(&["avatar", "show", "--json"]).text();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["restored"], &shown["member"]),
        (&json!(false), &json!(false))
    );
}

#[test]
fn a_ring_that_is_not_registered_any_more_is_forgotten() {
    let replicas = Ring::up(4);
    let [alice] = people(&replicas);
    alice.json(&["replicate"], &[]);
    let held = alice.held_by_all("to be forgotten");
    let ring: Address = alice.ring.parse().unwrap();
    let head: Digest = held["head"].as_str().unwrap().parse().unwrap();
    for member in 0..4 {
        assert!(kept(&replicas, member, ring).unwrap().bytes > 0);
        assert!(has_block(&replicas, member, head));
    }
    assert_eq!(
        alice.json(&["replicate", "--end"], &[])["status"],
        "relayed"
    );
    for member in 0..4 {
        until("a member has forgotten the ring", LONG, || {
            let view = block_on(
                replicas
                    .client(member)
                    .client_rings(&ClientRingsParams::default()),
            );
            view.ok()?.rings.is_empty().then_some(())
        });
    }
    // A block would be fetched from another member, so they are looked at when all have forgotten.
    for member in 0..4 {
        assert!(!has_block(&replicas, member, head));
    }
    let refused = alice.call(&["flush"], &[]).call();
    refused.ends_with(5);
    assert!(
        refused.stderr.contains("unknown replica key"),
        "{}",
        refused.stderr
    );
    // It can be kept again; the log comes from the avatar.
    assert_eq!(alice.json(&["replicate"], &[])["status"], "relayed");
    alice.held_by_all("remembered again");
}

/// A file that only its owner can read, as a copy.
pub fn copy_secret(from: &Path, to: &Path) {
    keystore::write_secret(to, &fs::read(from).unwrap()).unwrap();
}
