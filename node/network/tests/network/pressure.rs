//! A consumer that does not keep up.

use bytes::Bytes;
use rings_network::{start, Event, Limits, NetworkError};
use tokio::time::timeout;

use crate::support::*;

/// A node that reads no events, in a ring with one that does.
async fn sleeper(
    limits: Limits,
) -> (
    rings_network::Network,
    tokio::sync::mpsc::Receiver<Event>,
    Node,
) {
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let (sleeper, events, _task) = start(config(1, &setup)).await.unwrap();
    let awake = Node::start(2, &Setup::default()).await;
    let peer = rings_network::Peer {
        id: sleeper.local_id(),
        addresses: sleeper.listen_addresses().await,
    };
    awake.network.set_peers(vec![peer]).await;
    sleeper.set_peers(vec![awake.peer().await]).await;
    until("connected", || async {
        sleeper.connected().await.len() == 1
    })
    .await;
    awake.until_connected(1).await;
    (sleeper, events, awake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_queued_events_hold_nothing_up() {
    let (sleeper, mut events, awake) = sleeper(Limits::default()).await;
    for n in 0..300 {
        awake.publish(&format!("{n}")).await.unwrap();
    }
    // The answer comes back through the same task that has 300 events to deliver.
    let answer = timeout(
        PATIENCE,
        sleeper.request(&awake.id(), Bytes::from_static(b"ab")),
    )
    .await;
    assert_eq!(answer.unwrap().unwrap(), "ba");
    let mut heard = 0;
    while heard < 300 {
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        heard += usize::from(matches!(event, Event::Gossip { .. }));
    }
    assert_eq!(sleeper.stats().gossip_dropped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_gossip_and_refuses_requests_but_obeys() {
    let small = Limits {
        event_queue: 8,
        ..Limits::default()
    };
    let (sleeper, mut events, awake) = sleeper(small).await;
    for n in 0..300 {
        awake.publish(&format!("{n}")).await.unwrap();
    }
    until("gossip is dropped", || async {
        sleeper.stats().gossip_dropped > 200
    })
    .await;
    let refused = awake.ask(sleeper.local_id(), b"?").await;
    assert!(
        matches!(refused, Err(NetworkError::Busy { .. })),
        "{refused:?}"
    );
    let answer = timeout(
        PATIENCE,
        sleeper.request(&awake.id(), Bytes::from_static(b"ab")),
    )
    .await;
    assert_eq!(answer.unwrap().unwrap(), "ba");
    sleeper
        .publish(Bytes::from_static(b"still here"))
        .await
        .unwrap();
    awake.until_heard(1).await;

    // The other goes away while the queue is full: that is not lost.
    let (id, peer) = (awake.id(), awake.peer().await);
    awake.network.shutdown().await;
    until("disconnected", || async {
        sleeper.connected().await.is_empty()
    })
    .await;
    sleeper.set_peers(vec![peer]).await;
    let mut gone = false;
    while !gone {
        let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        gone = matches!(event, Event::Disconnected(peer) if peer == id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_without_verdict_is_bounded_in_bytes() {
    let small = Limits {
        verdict_bytes: 10_000,
        ..Limits::default()
    };
    let (sleeper, mut events, awake) = sleeper(small).await;
    for n in 0..50_u8 {
        awake.network.publish(vec![n; 1000].into()).await.unwrap();
    }
    until("gossip is dropped", || async {
        sleeper.stats().gossip_dropped == 40
    })
    .await;
    let mut verdicts = Vec::new();
    while verdicts.len() < 10 {
        if let Event::Gossip { verdict, .. } =
            timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
        {
            verdicts.push(verdict);
        }
    }
    // With the verdicts there is room again.
    drop(verdicts);
    awake.publish("again").await.unwrap();
    let event = timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, Event::Gossip { data, .. } if data == "again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_gone_does_not_stop_the_network() {
    let (sleeper, events, awake) = sleeper(Limits::default()).await;
    drop(events);
    awake.publish("anybody?").await.unwrap();
    until("gossip is dropped", || async {
        sleeper.stats().gossip_dropped == 1
    })
    .await;
    assert_eq!(
        sleeper
            .request(&awake.id(), Bytes::from_static(b"ab"))
            .await
            .unwrap(),
        "ba"
    );
    let refused = awake.ask(sleeper.local_id(), b"?").await;
    assert!(matches!(refused, Err(NetworkError::Busy { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_votes_all_arrive() {
    let nodes = ring(5, &Setup::default()).await;
    let vote = "v".repeat(500);
    let mut tasks = Vec::new();
    for node in &nodes {
        let (network, vote) = (node.network.clone(), vote.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..500 {
                let message = format!("{} {n} {vote}", network.local_id());
                network.publish(message.into()).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for node in &nodes {
        node.until_heard(2000).await;
        assert_eq!(node.network.stats().gossip_dropped, 0);
        assert!(tally(&node.messages()).values().all(|count| *count == 1));
    }
}
