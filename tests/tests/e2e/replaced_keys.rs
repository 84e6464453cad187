//! The key of a private client ring has changed: members take nodes under the old one for a while, and then only before one under
//! the new key.

use rings_client::{
    Action, Call, Digest, Domain, Keyring, LineKey, Log, ReadKey, Secrecy, SecretKey,
};
use rings_protocol::private::WrappedKey;
use rings_tests::{
    avatars::{ask, refusal, ClientRing},
    until, Ring, LONG,
};
use serde_json::json;

/// The replica key of a read key, wrapped for the first member.
fn wrapped(replicas: &Ring, domain: &Domain, epoch: u64, key: &ReadKey) -> Vec<u8> {
    let mut keys = Keyring::new(*domain);
    let member = replicas.member_key(0).public_key();
    keys.approve(member.address());
    let key = WrappedKey::Replica(key.replica_key());
    let wrapped = keys.wrap(epoch, &key, &member, |bytes| *bytes = rand::random());
    wrapped.unwrap().1
}

/// What an avatar has written that no member holds.
fn append(clients: &ClientRing, avatar: usize, known: Digest) -> Call {
    let avatar = &clients.avatars[avatar];
    let place = (clients.address, avatar.key.address());
    Call::append(place, &avatar.log.since(known), 1, 0)
}

/// The same log, which goes on under the second key.
fn with_both(log: &Log, keys: [&ReadKey; 2], own: &SecretKey) -> Log {
    let keys = [(0, keys[0]), (2, keys[1])].map(|(epoch, key)| LineKey {
        epoch: Some(epoch),
        key: key.clone(),
    });
    let secrecy = Secrecy::of(log.domain(), &keys, Some(own));
    let nodes = log.nodes().iter().map(|node| node.bytes().to_vec());
    Log::read(*log.domain(), secrecy, nodes).unwrap()
}

#[test]
fn a_replaced_key_seals_nothing_after_a_grace_and_what_was_written_is_not_lost() {
    let replicas = Ring::up(3);
    let read = |n: u8, domain: &Domain| ReadKey::from_bytes([n; 32], domain);
    let mut clients = ClientRing::new(&replicas, 2, |domain| {
        Secrecy::with_key(domain, read(1, domain))
    });
    let domain = *clients.avatars[0].log.domain();
    let (first, second) = (read(1, &domain), read(2, &domain));
    clients.say(0, "hello");
    clients.hand_over(&replicas, &wrapped(&replicas, &domain, 0, &first));

    // The other avatar has a new key, made for the epoch that the chain has reached.
    clients.avatars[1].log = Log::new(domain, Secrecy::with_key(&domain, second.clone()));
    clients.say(1, "under the new key");
    let mut request = append(&clients, 1, Digest::ZERO);
    let key = wrapped(&replicas, &domain, 2, &second);
    request.params["replica_key"] = json!(format!("0x{}", hex::encode(key)));
    ask(&replicas, 0, &request).unwrap();
    // All members have it from the first one, and take the old key for a while.
    let request = append(&clients, 1, Digest::ZERO);
    for member in [1, 2] {
        until("the member has the new key", LONG, || {
            ask(&replicas, member, &request).ok()
        });
    }
    let known = clients.avatars[0].log.head();
    clients.say(0, "in time");
    for member in 0..3 {
        ask(&replicas, member, &append(&clients, 0, known)).unwrap();
    }

    replicas.eth("evm_increaseTime", &json!([601]));
    replicas.eth("evm_mine", &json!([]));
    let known = clients.avatars[0].log.head();
    clients.say(0, "too late");
    let action = clients.sign(0, Action::default());
    for member in 0..3 {
        for request in [append(&clients, 0, known), clients.flush(0, &action)] {
            let (code, data) = refusal(&replicas, member, &request);
            assert_eq!(code, -32002, "{data}");
            assert!(data.contains("sealed with a replaced key"), "{data}");
        }
    }

    // It is not signed again: the next node is sealed with the new key, and both are taken.
    let avatar = &mut clients.avatars[0];
    avatar.log = with_both(&avatar.log, [&first, &second], &avatar.key);
    clients.say(0, "and again");
    let nodes = append(&clients, 0, known);
    for member in 0..3 {
        let held = ask(&replicas, member, &nodes).unwrap();
        assert_eq!(held["head"], json!(clients.avatars[0].log.head()));
    }
    assert_eq!(clients.avatars[0].log.nodes().len(), 4);
}
