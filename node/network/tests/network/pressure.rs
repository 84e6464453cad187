//! A consumer that does not keep up.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{
    atomic::{AtomicBool, AtomicUsize, Ordering},
    Arc,
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rings_network::{start, Event, Limits, NetworkError, Started};
use tokio::time::timeout;

use crate::support::*;

/// Threads that flood.
const FLOODS: usize = 3;
/// Connections that each of them keeps open.
const FLOOD_HELD: usize = 150;
/// How long one connection may take.
const FLOOD_PATIENCE: Duration = Duration::from_millis(200);

/// A node that reads neither events nor requests, in a ring with one that does.
async fn sleeper(limits: Limits) -> (Started, Node) {
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let started = start(config(1, &setup)).await.unwrap();
    let sleeper = &started.network;
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
    (started, awake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_queued_events_hold_nothing_up() {
    let (started, awake) = sleeper(Limits::default()).await;
    let (sleeper, mut events) = (started.network, started.events);
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
async fn a_full_queue_drops_gossip_but_obeys() {
    let small = Limits {
        event_queue: 8,
        ..Limits::default()
    };
    let (started, awake) = sleeper(small).await;
    let (sleeper, mut events) = (started.network, started.events);
    for n in 0..300 {
        awake.publish(&format!("{n}")).await.unwrap();
    }
    until("gossip is dropped", || async {
        sleeper.stats().gossip_dropped > 200
    })
    .await;
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

/// Nobody answers requests, and more of them come than fit: gossip arrives all the same, and what does not fit is refused
/// at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serving_others_never_holds_up_listening() {
    let small = Limits {
        request_queue: 3,
        ..Limits::default()
    };
    let (mut started, awake) = sleeper(small).await;
    let ask = || {
        let (network, peer) = (awake.network.clone(), started.network.local_id());
        tokio::spawn(async move { network.request(&peer, Bytes::new()).await })
    };
    let asked: Vec<_> = (0..10).map(|_| ask()).collect();
    let stats = || started.network.stats();
    until("the excess is refused", || async {
        stats().requests_refused == 7
    })
    .await;
    for n in 0..300 {
        awake.publish(&format!("{n}")).await.unwrap();
    }
    let mut heard = 0;
    while heard < 300 {
        let event = timeout(PATIENCE, started.events.recv()).await;
        heard += usize::from(matches!(event.unwrap(), Some(Event::Gossip { .. })));
    }
    for reply in 0..3 {
        let request = started.requests.recv().await.unwrap();
        match reply {
            0 => request.reply.busy(),
            _ => request.reply.send(Bytes::from_static(b"at last")),
        }
    }
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    let busy = answers.iter();
    let busy = busy.filter(|answer| matches!(answer, Err(NetworkError::Busy { .. })));
    assert_eq!(busy.count(), 8);
    assert_eq!(answers.iter().flatten().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_without_verdict_is_bounded_in_bytes() {
    let small = Limits {
        verdict_bytes: 10_000,
        ..Limits::default()
    };
    let (started, awake) = sleeper(small).await;
    let (sleeper, mut events) = (started.network, started.events);
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
    let (started, awake) = sleeper(Limits::default()).await;
    let sleeper = started.network;
    drop((started.events, started.requests));
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

/// Opens connections as fast as it can and says nothing on them; keeps the last of them open.
fn flood(port: u16, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut open = VecDeque::new();
        while !stop.load(Ordering::Relaxed) {
            if let Ok(stream) = TcpStream::connect_timeout(&address, FLOOD_PATIENCE) {
                open.push_back(stream);
                count.fetch_add(1, Ordering::Relaxed);
            }
            if open.len() > FLOOD_HELD {
                open.pop_front();
            }
        }
    })
}

/// A member that starts again under a flood of connections from strangers is soon connected with all others: it dials
/// them, and the flood does not keep it from doing so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_find_each_other_in_a_flood_of_connections() {
    let mut nodes = ring(5, &Setup::default()).await;
    let restarted = nodes.remove(0);
    let address = restarted.peer().await.addresses.remove(0);
    let address = rings_network::address_text(&address).unwrap();
    let port: u16 = address.rsplit('/').next().unwrap().parse().unwrap();
    restarted.kill().await;
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let flood = |_| flood(port, Arc::clone(&stop), Arc::clone(&count));
    let floods: Vec<_> = (0..FLOODS).map(flood).collect();
    let setup = Setup {
        listen: vec![address],
        ..Setup::default()
    };
    let restarted = Node::start(1, &setup).await;
    until("the flood is on", || async {
        count.load(Ordering::Relaxed) > 1000
    })
    .await;
    let begin = Instant::now();
    let mut peers = Vec::new();
    for node in &nodes {
        peers.push(node.peer().await);
    }
    restarted.network.set_peers(peers).await;
    restarted.until_connected(4).await;
    let took = begin.elapsed();
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.join().unwrap();
    }
    println!("connected {took:?} after the list was known");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(restarted.network.stats().connections_refused > 0);
}
