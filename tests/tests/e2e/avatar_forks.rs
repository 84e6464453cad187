//! Avatars that sign two histories: two devices with one key, or somebody who cheats.

use rings_client::{Action, Call, Digest, Log, SecretKey};
use rings_protocol::{log::ForkClaim, Address};
use rings_tests::{
    avatars::{ask, line, refusal, ClientRing},
    block_on, until, Program, Ring, LONG,
};
use serde_json::{json, Value};

/// The end of an avatar's log at a replica.
fn end(replicas: &Ring, index: usize, ring: Address, avatar: Address) -> Option<Value> {
    let rings = shown(replicas, index, ring);
    let heads = rings["heads"].as_array()?.clone();
    heads
        .into_iter()
        .find(|head| head["avatar"] == json!(avatar))
}

/// What a replica shows of a client ring.
fn shown(replicas: &Ring, index: usize, ring: Address) -> Value {
    let client = replicas.client(index);
    let asked = client.call::<Value>("rings_getClientRings", json!({ "ring": ring }));
    block_on(asked).unwrap()["rings"][0].take()
}

/// Waits until a replica shows that an avatar has forked its log, and checks the evidence.
fn told(replicas: &Ring, index: usize, clients: &ClientRing, avatar: Address) -> Value {
    let fork = until("a replica shows the fork", LONG, || {
        let shown = shown(replicas, index, clients.address);
        shown["forks"].get(0).cloned()
    });
    assert_eq!(fork["avatar"], json!(avatar));
    let claim = fork["claim"].as_str().unwrap().trim_start_matches("0x");
    let claim = ForkClaim::from_bytes(&hex::decode(claim).unwrap()).unwrap();
    let domain = clients.avatars[0].log.domain();
    assert_eq!(claim.verify(domain), Ok(avatar));
    fork
}

fn is_frozen(replicas: &Ring, ring: Address, avatar: Address) -> bool {
    block_on(replicas.chain().is_frozen(ring, avatar)).unwrap()
}

/// Says something in a log.
fn say(log: &mut Log, key: &SecretKey, text: &str) {
    log.append(key, vec![line(text)], &[], None).unwrap();
}

#[test]
fn two_histories_for_one_head_are_kept_as_evidence_and_freeze_the_log() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 2);
    let (key, ring) = (clients.avatars[0].key.clone(), clients.address);
    let avatar = key.address();
    let mut other = clients.avatars[0].log.clone();
    let known = other.head();
    clients.say(0, "one history");
    say(&mut other, &key, "another history");
    let log = clients.avatars[0].log.clone();
    // All four hold the first one.
    let first = Call::append((ring, avatar), &log.since(known), 4, 5_000);
    let answer = ask(&replicas, 0, &first).unwrap();
    assert_eq!(answer["held"].as_array().unwrap().len(), 4, "{answer}");
    // The other one is refused, and kept as evidence; the contract is told.
    let second = Call::append((ring, avatar), &other.since(known), 1, 0);
    let (code, data) = refusal(&replicas, 1, &second);
    assert_eq!(code, -32602);
    assert!(data.contains("another node is held here"), "{data}");
    told(&replicas, 1, &clients, avatar);
    until("the log is frozen", LONG, || {
        is_frozen(&replicas, ring, avatar).then_some(())
    });
    until("the end of it is known", LONG, || {
        let fork = told(&replicas, 1, &clients, avatar);
        (fork["proven"] == json!(true)).then_some(())
    });
    let status = replicas.rings(["status"]).text();
    assert!(status.contains("FORKED"), "{status}");
    // Nothing that was held is lost, and the head on chain moves no more.
    for index in 0..4 {
        let end = end(&replicas, index, ring, avatar).unwrap();
        assert_eq!(end["head"], json!(log.head()));
    }
    let signed = clients.sign(0, Action::default());
    let request = clients.flush(0, &signed);
    assert_eq!(refusal(&replicas, 2, &request).0, -32006);
    // The person's other avatar goes on.
    clients.say(1, "from my other device");
    let fresh = clients.avatars[1].log.since(Digest::ZERO);
    let request = Call::append((ring, clients.avatars[1].key.address()), &fresh, 4, 5_000);
    let answer = ask(&replicas, 3, &request).unwrap();
    assert_eq!(answer["held"].as_array().unwrap().len(), 4, "{answer}");
}

#[test]
fn two_devices_with_one_key_at_two_members_are_noticed() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    let (key, ring) = (clients.avatars[0].key.clone(), clients.address);
    let avatar = key.address();
    let known = clients.avatars[0].log.head();
    until("all hold the beginning", LONG, || {
        let ends = (0..4).map(|index| end(&replicas, index, ring, avatar));
        ends.into_iter()
            .all(|end| end.is_some_and(|end| end["head"] == json!(known)))
            .then_some(())
    });
    let mut phone = clients.avatars[0].log.clone();
    clients.say(0, "from the desk");
    for text in ["from the phone", "and again"] {
        say(&mut phone, &key, text);
    }
    // Each device talks to a member that does not hear the other one now.
    replicas.kill(&[1, 2, 3]);
    let desk = clients.avatars[0].log.clone();
    let request = Call::append((ring, avatar), &desk.since(known), 1, 0);
    ask(&replicas, 0, &request).unwrap();
    replicas.kill(&[0]);
    replicas.start_member(3, Program::Honest);
    let request = Call::append((ring, avatar), &phone.since(known), 1, 0);
    until("the other member takes the phone's nodes", LONG, || {
        ask(&replicas, 3, &request).ok()
    });
    for index in 0..3 {
        replicas.start_member(index, Program::Honest);
    }
    // They compare what they hold, and the log freezes; each branch is where it was taken in.
    until("the log is frozen", LONG, || {
        is_frozen(&replicas, ring, avatar).then_some(())
    });
    let desk_end = end(&replicas, 0, ring, avatar).unwrap();
    assert_eq!(desk_end["head"], json!(desk.head()));
    let phone_end = end(&replicas, 3, ring, avatar).unwrap();
    assert_eq!(phone_end["head"], json!(phone.head()));
}
