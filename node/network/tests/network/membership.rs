//! Which peers may connect, which are disconnected, and which come back.

use std::time::Duration;

use rings_network::{start, Limits, NetworkError, Peer};

use crate::proxy::{socket, Proxy};
use crate::support::*;

/// Nodes that ask one another only every ten minutes whether they are there.
fn trusting() -> Setup {
    let limits = Limits {
        liveness_interval: Duration::from_secs(600),
        ..Limits::default()
    };
    Setup {
        limits,
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_and_cannot_gossip() {
    let members = ring(2, &Setup::default()).await;
    let stranger = Node::start(9, &Setup::default()).await;
    let peers = vec![members[0].peer().await, members[1].peer().await];
    stranger.network.set_peers(peers).await;
    for member in &members {
        until("it was refused", || async {
            member.network.stats().connections_refused >= 3
        })
        .await;
        let refused = stranger.ask(member.id(), b"?").await.unwrap_err();
        assert!(refused.is_transient(), "{refused:?}");
    }
    assert!(matches!(
        stranger.publish("let me in").await,
        Err(NetworkError::NoPeers)
    ));
    assert!(stranger.network.connected().await.is_empty());
    assert!(
        stranger.connections().is_empty(),
        "a refusal is not a connection"
    );
    for member in &members {
        assert_eq!(member.network.connected().await.len(), 1);
        assert_eq!(member.heard(), 0);
        assert_eq!(member.connections().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_not_dialed_either_and_refusals_slow_it_down() {
    let member = Node::start(1, &Setup::default()).await;
    let stranger = Node::start(2, &Setup::default()).await;
    stranger.network.set_peers(vec![member.peer().await]).await;
    until("it was refused", || async {
        member.network.stats().connections_refused >= 3
    })
    .await;
    // 100, 200, 400 ms …: they get rarer.
    let before = member.network.stats().connections_refused;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(member.network.stats().connections_refused - before <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_is_dropped_and_one_let_in_again_returns() {
    let nodes = ring(3, &Setup::default()).await;
    let (kept, removed) = (nodes[1].peer().await, nodes[2].peer().await);
    nodes[0].network.set_peers(vec![kept.clone()]).await;
    nodes[0].until_connected(1).await;
    nodes[2].until_connected(1).await;
    until("it is told", || async {
        nodes[0].connections().contains(&(removed.id, false))
    })
    .await;
    let refused = nodes[0].ask(removed.id, b"?").await;
    assert!(matches!(refused, Err(NetworkError::NotConnected { .. })));

    nodes[0]
        .network
        .set_peers(vec![kept, removed.clone()])
        .await;
    for node in &nodes {
        node.until_connected(2).await;
    }
    let told: Vec<_> = nodes[0]
        .connections()
        .into_iter()
        .filter(|(peer, _)| *peer == removed.id)
        .collect();
    assert_eq!(
        told,
        [(removed.id, true), (removed.id, false), (removed.id, true)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_comes_back_at_its_address() {
    let mut nodes = ring(3, &Setup::default()).await;
    let killed = nodes.remove(0);
    let (id, port) = (
        killed.id(),
        socket(&killed.network.listen_addresses().await[0]).port(),
    );
    killed.kill().await;
    for node in &nodes {
        node.until_connected(1).await;
        let lost = node.ask(id, b"?").await;
        assert!(matches!(lost, Err(NetworkError::NotConnected { .. })));
    }
    let setup = Setup {
        listen: vec![format!("/ip4/127.0.0.1/tcp/{port}")],
        ..Setup::default()
    };
    let back = Node::start(1, &setup).await;
    assert_eq!(back.id(), id);
    let peers = vec![nodes[0].peer().await, nodes[1].peer().await];
    back.network.set_peers(peers).await;
    back.until_connected(2).await;
    for node in &nodes {
        node.until_connected(2).await;
    }
    back.publish("I am back").await.unwrap();
    nodes[0].until_heard(1).await;
    nodes[1].until_heard(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_only_the_other_side_can_dial_is_connected() {
    let deaf = Setup {
        listen: Vec::new(),
        ..Setup::default()
    };
    let (open, deaf) = pair(&Setup::default(), &deaf).await;
    assert_eq!(deaf.ask(open.id(), b"ab").await.unwrap(), "ba");
    assert_eq!(open.ask(deaf.id(), b"ab").await.unwrap(), "ba");
}

/// Two nodes of which only the second can dial, through a proxy.
async fn through_a_proxy(setup: &Setup) -> (Node, Node, Proxy) {
    let deaf = Setup {
        listen: Vec::new(),
        ..setup.clone()
    };
    let (one, two) = (Node::start(1, setup).await, Node::start(2, &deaf).await);
    let proxy = Proxy::to(socket(&one.network.listen_addresses().await[0])).await;
    one.network.set_peers(vec![two.peer().await]).await;
    let proxied = Peer {
        id: one.id(),
        addresses: vec![proxy.multiaddr()],
    };
    two.network.set_peers(vec![proxied]).await;
    one.until_connected(1).await;
    two.until_connected(1).await;
    (one, two, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_line_is_noticed_and_replaced() {
    let limits = Limits {
        liveness_interval: Duration::from_millis(300),
        liveness_timeout: Duration::from_millis(600),
        request_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let (one, two, proxy) = through_a_proxy(&setup).await;
    proxy.cut();
    let peer = two.id();
    let unanswered = one.ask(peer, b"?").await;
    assert!(
        matches!(unanswered, Err(NetworkError::Timeout { .. })),
        "{unanswered:?}"
    );
    until("the loss and the return are told", || async {
        one.connections() == [(peer, true), (peer, false), (peer, true)]
    })
    .await;
    one.publish("again").await.unwrap();
    two.until_heard(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_starts_anew_replaces_its_dead_connection() {
    let (one, two, proxy) = through_a_proxy(&trusting()).await;
    proxy.cut();
    two.kill().await;
    // Nobody told the first that the second is gone, and it does not ask.
    let deaf = Setup {
        listen: Vec::new(),
        ..trusting()
    };
    let two = Node::start(2, &deaf).await;
    two.network.set_peers(vec![one.peer().await]).await;
    until("it is back", || async {
        one.connections() == [(two.id(), true), (two.id(), false), (two.id(), true)]
    })
    .await;
    two.until_connected(1).await;
    one.publish("to you").await.unwrap();
    two.until_heard(1).await;
    two.publish("and to you").await.unwrap();
    one.until_heard(1).await;
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    for listen in [TCP, QUIC] {
        let setup = Setup {
            listen: vec![listen.to_owned()],
            ..Setup::default()
        };
        let first = Node::start(1, &setup).await;
        let port = socket(&first.network.listen_addresses().await[0]).port();
        let taken = listen.replace("/0", &format!("/{port}"));
        let setup = Setup {
            listen: vec![taken.clone()],
            ..Setup::default()
        };
        let error = start(config(2, &setup)).await.err().unwrap();
        assert!(
            matches!(error, NetworkError::AddressInUse { .. }),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(text.contains(&taken) && !text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_one_clear_line() {
    for wrong in [
        "127.0.0.1:4001",
        "/ip4/1.2.3.4/tcp/1/ws",
        "/dns4/localhost/tcp/1",
    ] {
        let setup = Setup {
            listen: vec![wrong.to_owned()],
            ..Setup::default()
        };
        let text = start(config(1, &setup)).await.err().unwrap().to_string();
        assert!(text.contains(wrong) && !text.contains('\n'), "{text}");
    }
    let setup = Setup {
        listen: vec!["/ip4/203.0.113.1/tcp/4001".to_owned()],
        ..Setup::default()
    };
    let error = start(config(1, &setup)).await.err().unwrap();
    assert!(matches!(error, NetworkError::Listen { .. }), "{error:?}");
}

#[tokio::test]
async fn all_interfaces_and_both_transports() {
    let setup = Setup {
        listen: vec![
            "/ip4/0.0.0.0/tcp/0".to_owned(),
            "/ip4/0.0.0.0/udp/0/quic-v1".to_owned(),
        ],
        ..Setup::default()
    };
    let node = Node::start(1, &setup).await;
    let addresses = node.network.listen_addresses().await;
    assert!(addresses.len() >= 2);
    assert!(addresses.iter().all(|address| socket(address).port() != 0));
    node.network.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_goodbye_and_ends_everything() {
    let (one, two) = pair(&Setup::default(), &Setup::default()).await;
    let other = one.network.clone();
    one.network.shutdown().await;
    other.shutdown().await;
    one.task.await.unwrap();
    assert!(matches!(
        other.publish("late".into()).await,
        Err(NetworkError::Stopped)
    ));
    assert!(matches!(
        other.request(&two.id(), "late".into()).await,
        Err(NetworkError::Stopped)
    ));
    assert!(other.connected().await.is_empty());
    assert!(other.listen_addresses().await.is_empty());
    other.set_peers(Vec::new()).await;
    two.until_connected(0).await;
}

#[tokio::test]
async fn the_last_handle_ends_the_task() {
    let node = Node::start(1, &Setup::default()).await;
    drop(node.network);
    node.task.await.unwrap();
}
