//! Where peers are: names, several addresses, what they see of each other, and who cannot be reached.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use rings_network::{announcement, Peer};

use crate::proxy::{socket, Proxy};
use crate::support::*;

/// The only port of a node that listens on one.
async fn port(node: &Node) -> u16 {
    socket(&node.network.listen_addresses().await[0]).port()
}

fn at(id: rings_network::PeerId, texts: &[String]) -> Peer {
    // As it stands on chain: all in one.
    let addresses = vec![announcement(texts).unwrap().concat()];
    Peer { id, addresses }
}

async fn until_away(node: &Node, says: &str) -> String {
    let mut reason = String::new();
    until(says, || {
        let away = node.network.unreachable();
        reason = away
            .first()
            .map(|away| away.reason.clone())
            .unwrap_or_default();
        let is_said = reason.contains(says);
        async move { is_said }
    })
    .await;
    reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_reached_by_its_name() {
    let one = Node::start(1, &Setup::default()).await;
    let two = Node::start(2, &Setup::default()).await;
    let name = format!("/dns4/localhost/tcp/{}", port(&one).await);
    one.network.set_peers(vec![at(two.id(), &[])]).await;
    two.network.set_peers(vec![at(one.id(), &[name])]).await;
    one.until_connected(1).await;
    two.until_connected(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_addresses_one_is_enough() {
    let one = Node::start(1, &Setup::default()).await;
    let two = Node::start(2, &Setup::default()).await;
    // A port mapping: others reach the first at another port than its own, as behind a router or in a container.
    let mapping = Proxy::to(socket(&one.network.listen_addresses().await[0])).await;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    let texts = [
        format!("/ip4/127.0.0.1/tcp/{closed}"),
        format!("/ip4/127.0.0.1/tcp/{}", mapping.address.port()),
    ];
    one.network.set_peers(vec![at(two.id(), &[])]).await;
    two.network.set_peers(vec![at(one.id(), &texts)]).await;
    two.until_connected(1).await;
    one.until_connected(1).await;
    assert!(two.network.unreachable().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_say_where_they_see_a_node() {
    let setup = Setup {
        listen: vec!["/ip4/0.0.0.0/tcp/0".to_owned()],
        ..Setup::default()
    };
    let (one, two) = pair(&setup, &setup).await;
    for node in [&one, &two] {
        let mut own = node.network.own_addresses();
        let seen = own.wait_for(|own| !own.seen.is_empty());
        let seen = tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
        // Both are on one machine, so it is an address of an interface of this machine.
        let listening: Vec<IpAddr> = seen.listening.iter().map(|a| socket(a).ip()).collect();
        assert!(listening.contains(&seen.seen[0]), "{seen:?}");
        assert!(listening.contains(&Ipv4Addr::LOCALHOST.into()), "{seen:?}");
    }
    for (node, other) in [(&one, &two), (&two, &one)] {
        let program = node.network.program_of(&other.id());
        assert_eq!(program.as_deref(), Some("rings 0.1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_reached_is_named_with_the_reason() {
    let one = Node::start(1, &Setup::default()).await;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let closed = format!("/ip4/127.0.0.1/tcp/{}", nobody.local_addr().unwrap().port());
    drop(nobody);
    let other = Node::start(2, &Setup::default()).await;
    let (peer, other_peer) = (other.id(), other.peer().await);
    one.network
        .set_peers(vec![at(peer, std::slice::from_ref(&closed))])
        .await;
    let reason = until_away(&one, &closed).await;
    assert!(reason.contains("refused"), "{reason}");
    let since = one.network.unreachable()[0].since;

    one.network.set_peers(vec![at(peer, &[])]).await;
    until_away(&one, "announced no address").await;
    assert_eq!(
        one.network.unreachable()[0].since,
        since,
        "it is the same outage"
    );

    // Another peer answers at its address.
    let third = Node::start(3, &Setup::default()).await;
    let wrong = format!("/ip4/127.0.0.1/tcp/{}", port(&third).await);
    one.network.set_peers(vec![at(peer, &[wrong])]).await;
    until_away(&one, &third.id().to_string()).await;

    // It does not know this one.
    one.network.set_peers(vec![other_peer]).await;
    until_away(&one, "before the peers had met").await;

    other.network.set_peers(vec![one.peer().await]).await;
    one.until_connected(1).await;
    assert!(one.network.unreachable().is_empty());
    other.network.shutdown().await;
    until("it is away again", || async {
        one.network
            .unreachable()
            .iter()
            .any(|away| away.peer == peer)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_say_why_they_do_not_work_together() {
    let old = Node::start(1, &Setup::default()).await;
    let next = Setup {
        protocol: 2,
        ..Setup::default()
    };
    let new = Node::start(2, &next).await;
    let peers = vec![old.peer().await, new.peer().await];
    old.network.set_peers(peers.clone()).await;
    new.network.set_peers(peers).await;
    let reason = until_away(&old, "version 2 of the protocol (rings 0.2)").await;
    assert!(reason.contains("upgrade this member's program"), "{reason}");
    let reason = until_away(&new, "version 1 of the protocol (rings 0.1)").await;
    assert!(reason.contains("upgrade that member's program"), "{reason}");
    for node in [&old, &new] {
        assert!(node.network.connected().await.is_empty());
        assert!(
            node.connections().is_empty(),
            "neither was told of the other"
        );
    }
    // Two of the newer version do.
    let third = Node::start(3, &next).await;
    let peers = vec![new.peer().await, third.peer().await];
    new.network.set_peers(peers.clone()).await;
    third.network.set_peers(peers).await;
    third.until_connected(1).await;
    assert_eq!(new.ask(third.id(), b"ab").await.unwrap(), "ba");
    let events = new.connections();
    assert_eq!(events, [(third.id(), true)]);
}
