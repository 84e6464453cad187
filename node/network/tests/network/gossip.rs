//! Publishing, forwarding and verdicts.

use std::time::Instant;

use bytes::Bytes;
use rings_network::{Limits, NetworkError, Peer};

use crate::support::*;

async fn all_hear_all_once(nodes: &[Node], rounds: usize) {
    for round in 0..rounds {
        for (n, node) in nodes.iter().enumerate() {
            node.publish(&format!("{n} says {round}")).await.unwrap();
        }
    }
    let expected = (nodes.len() - 1) * rounds;
    for node in nodes {
        node.until_heard(expected).await;
    }
    // A copy would come by way of a member that forwards: let one more message pass through all.
    nodes[0].publish("last").await.unwrap();
    for node in &nodes[1..] {
        node.until_heard(expected + 1).await;
        let messages = node.messages();
        assert!(tally(&messages).values().all(|count| *count == 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_members_connect_and_gossip_reaches_all_once() {
    let start = Instant::now();
    let nodes = ring(5, &Setup::default()).await;
    println!("five members connected after {:?}", start.elapsed());
    all_hear_all_once(&nodes, 20).await;
    for node in &nodes {
        let told = node.connections();
        assert_eq!(told.len(), 4, "each peer once, none lost: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_quic_alone() {
    let setup = Setup {
        listen: vec![QUIC.to_owned()],
        ..Setup::default()
    };
    all_hear_all_once(&ring(3, &setup).await, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_members() {
    let nodes = ring(20, &Setup::default()).await;
    all_hear_all_once(&nodes, 2).await;
}

/// First and last do not know one another; all go through the one in the middle.
async fn chain(judge: Judge) -> [Node; 3] {
    let middle = Setup {
        judge,
        ..Setup::default()
    };
    let nodes = [
        Node::start(1, &Setup::default()).await,
        Node::start(2, &middle).await,
        Node::start(3, &Setup::default()).await,
    ];
    let (first, last) = (nodes[0].peer().await, nodes[2].peer().await);
    let centre = nodes[1].peer().await;
    nodes[0].network.set_peers(vec![centre.clone()]).await;
    nodes[2].network.set_peers(vec![centre]).await;
    nodes[1].network.set_peers(vec![first, last]).await;
    for (node, peers) in nodes.iter().zip([1, 2, 1]) {
        node.until_connected(peers).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_message_goes_around_a_missing_link() {
    let [first, middle, last] = chain(Judge::Accept).await;
    first.publish("hello").await.unwrap();
    last.until_heard(1).await;
    let seen = last.seen.lock().unwrap();
    assert_eq!(seen.gossip, [(middle.id(), Bytes::from_static(b"hello"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ignored_message_goes_no_further_and_nobody_is_blamed() {
    let [first, middle, last] = chain(Judge::Ignore).await;
    for n in 0..10 {
        first.publish(&format!("ignored {n}")).await.unwrap();
    }
    middle.until_heard(10).await;
    // What the one in the middle publishes itself goes both ways, after all that it might have forwarded.
    middle.publish("own").await.unwrap();
    last.until_heard(1).await;
    assert_eq!(last.messages(), ["own"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_messages_are_rejected_is_not_heard_any_more() {
    let [first, middle, last] = chain(Judge::Reject).await;
    for n in 0..3 {
        first.publish(&format!("bad {n}")).await.unwrap();
        middle.until_heard(n + 1).await;
    }
    // The verdicts have been given; once they have had their effect, nothing comes through.
    let mut silenced = false;
    for n in 0..100 {
        let before = middle.heard();
        first.publish(&format!("more {n}")).await.unwrap();
        // An answered request comes after the message: both took the same connection.
        assert_eq!(first.ask(middle.id(), b"ab").await.unwrap(), "ba");
        silenced = middle.heard() == before;
        if silenced {
            break;
        }
    }
    assert!(
        silenced,
        "its requests are answered, its gossip must not be heard"
    );
    assert_eq!(last.heard(), 0);
}

#[tokio::test]
async fn publishing_says_when_nobody_gets_it() {
    let limits = Limits {
        gossip_bytes: 1000,
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let alone = Node::start(1, &setup).await;
    assert!(matches!(
        alone.publish("hello").await,
        Err(NetworkError::NoPeers)
    ));
    let too_long = alone.network.publish(vec![0; 1001].into()).await;
    assert!(matches!(
        too_long,
        Err(NetworkError::TooLarge {
            size: 1001,
            limit: 1000,
            ..
        })
    ));

    let other = Node::start(2, &setup).await;
    alone.network.set_peers(vec![other.peer().await]).await;
    other.network.set_peers(vec![alone.peer().await]).await;
    alone.until_connected(1).await;
    alone.publish("hello").await.unwrap();
    other.until_heard(1).await;
    assert!(matches!(
        alone.publish("hello").await,
        Err(NetworkError::Duplicate { .. })
    ));
    assert!(matches!(
        other.publish("hello").await,
        Err(NetworkError::Duplicate { .. })
    ));
    alone.network.publish(vec![0; 1000].into()).await.unwrap();
    other.until_heard(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_longest_size_come_through_back_to_back() {
    let (one, two) = pair(&Setup::default(), &Setup::default()).await;
    let longest = Limits::default().gossip_bytes;
    for n in 0..32_u8 {
        one.network.publish(vec![n; longest].into()).await.unwrap();
    }
    two.until_heard(32).await;
    assert!(two
        .messages()
        .iter()
        .all(|message| message.len() == longest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_transport_at_the_announced_port_is_tried() {
    let quic = Setup {
        listen: vec![QUIC.to_owned()],
        ..Setup::default()
    };
    let deaf = Setup {
        listen: Vec::new(),
        ..Setup::default()
    };
    let (listener, dialer) = (Node::start(1, &quic).await, Node::start(2, &deaf).await);
    let port = crate::proxy::socket(&listener.network.listen_addresses().await[0]);
    let announced = Peer {
        id: listener.id(),
        addresses: vec![crate::proxy::multiaddr(port)],
    };
    listener.network.set_peers(vec![dialer.peer().await]).await;
    dialer.network.set_peers(vec![announced]).await;
    dialer.until_connected(1).await;
    listener.until_connected(1).await;
}
