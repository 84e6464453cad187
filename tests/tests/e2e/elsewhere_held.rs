//! Log nodes that no other member has: they are in a Kubo of the avatar, and the chain says where the log ends.

use super::{kept::wait_held, kubo::move_to_kubo};
use rings_client::{Action, Call};
use rings_protocol::flush::Signed;
use rings_tests::{
    avatars::{ask, ended, ClientRing},
    until, Eth, Kubo, Program, Ring, LONG,
};
use serde_json::json;

/// Puts the whole log of the first avatar into its own Kubo.
fn publish(clients: &ClientRing, own: &Kubo) {
    for node in clients.avatars[0].log.nodes() {
        let put = own.ipfs(&["block", "put", "--cid-codec=dag-cbor"]);
        let cid = put.stdin(node.bytes()).text();
        assert_eq!(cid.trim(), node.cid().to_string());
    }
}

#[test]
fn what_only_the_avatars_own_kubo_has_is_fetched_and_pinned() {
    let (kubo, own) = (Kubo::online(), Kubo::online());
    kubo.connect(&own);
    let replicas = Ring::up(3);
    replicas.stop();
    move_to_kubo(&replicas, 1, &kubo);
    replicas.start(&[]);
    let mut clients = ClientRing::kept(&replicas, 1);
    (0..3).for_each(|member| wait_held(&replicas, member, &clients));

    // A flush that one member took, which is gone then.
    replicas.kill(&[1, 2]);
    (0..100).for_each(|n| clients.say(0, &format!("number {n}")));
    let signed = clients.sign(0, Action::default());
    let name = signed.0.digest(clients.avatars[0].log.domain());
    ask(&replicas, 0, &clients.flush(0, &signed)).unwrap();
    ended(&replicas, 0, name);
    assert_eq!(clients.state(0).head, clients.avatars[0].log.head());
    replicas.kill(&[0]);
    publish(&clients, &own);
    replicas.start_member(1, Program::Honest);
    replicas.start_member(2, Program::Honest);
    // The one with Kubo finds the nodes there, and gives them to the one with a store of its own.
    wait_held(&replicas, 1, &clients);
    wait_held(&replicas, 2, &clients);

    // One that no member was told of: the avatar's friend has paid for it.
    clients.say(0, "by ourselves");
    publish(&clients, &own);
    let (action, signature) = clients.sign(0, Action::default());
    let domain = clients.avatars[0].log.domain();
    let signed = Signed::read(
        domain,
        action.avatar,
        &action.to_abi(),
        &signature.to_bytes(),
    );
    let eth = Eth::at(replicas.json().text("/rpcUrl"));
    let friend = eth.call("eth_accounts", &json!([]))[0].clone();
    let data = format!("0x{}", hex::encode(signed.unwrap().calldata()));
    let call = json!([{ "from": friend, "to": clients.address, "data": data }]);
    eth.call("eth_sendTransaction", &call);
    wait_held(&replicas, 1, &clients);
    wait_held(&replicas, 2, &clients);
    drop(own);
    let pinned = kubo.ipfs(&["pin", "ls", "--type=direct", "--quiet"]).text();
    for node in &clients.avatars[0].log.nodes()[1..] {
        assert!(pinned.contains(&node.cid().to_string()), "{pinned}");
    }
    // Whoever asks a member gets its word that it holds the log.
    let place = (clients.address, clients.avatars[0].key.address());
    let held = until("a member gives its word", LONG, || {
        ask(&replicas, 2, &Call::append(place, &[], 2, 5_000)).ok()
    });
    assert_eq!(held["head"], json!(clients.avatars[0].log.head()));
}
