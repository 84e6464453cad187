//! Figures: how long a message takes over the loopback interface, and what an idle ring costs. Run with
//! `--nocapture` to see them. Alone in its process, so that nothing else is measured.

// Helpers of tests may unwrap as tests may; clippy only knows the functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use rings_network::{start, Config, Event, Limits, Network, Peer, Started, Version};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

const MEMBERS: usize = 5;
const MESSAGES: usize = 500;
const IDLE: Duration = Duration::from_secs(4);

type Node = (Network, mpsc::Receiver<Event>);

async fn ring(listen: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut peers = Vec::new();
    for n in 1..=MEMBERS {
        let config = Config {
            secret: Zeroizing::new([u8::try_from(n).unwrap(); 32]),
            listen: vec![listen.to_owned()],
            limits: Limits::default(),
            topic: "latency".to_owned(),
            version: Version {
                protocol: 1,
                program: "latency".to_owned(),
            },
        };
        let Started {
            network, events, ..
        } = start(config).await.unwrap();
        peers.push(Peer {
            id: network.local_id(),
            addresses: network.listen_addresses().await,
        });
        nodes.push((network, events));
    }
    for (network, _) in &nodes {
        network.set_peers(peers.clone()).await;
    }
    nodes
}

async fn until_connected(nodes: &mut [Node]) {
    for (_, events) in nodes {
        for _ in 1..MEMBERS {
            assert!(matches!(events.recv().await, Some(Event::Connected(_))));
        }
    }
}

/// The time from `publish` until the last of the others has it.
async fn all_have(nodes: &mut [Node], message: Bytes) -> (Duration, Duration) {
    let begin = Instant::now();
    nodes[0].0.publish(message).await.unwrap();
    let mut first = None;
    for (_, events) in &mut nodes[1..] {
        match events.recv().await {
            Some(Event::Gossip { verdict, .. }) => verdict.accept(),
            other => panic!("{other:?}"),
        }
        first.get_or_insert_with(|| begin.elapsed());
    }
    (first.unwrap_or_default(), begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_and_idle_cost() {
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let begin = Instant::now();
        let mut nodes = ring(listen).await;
        until_connected(&mut nodes).await;
        let connected = begin.elapsed();
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for n in 0..MESSAGES {
            let mut vote = vec![0_u8; 400];
            vote[..8].copy_from_slice(&n.to_be_bytes());
            let times = all_have(&mut nodes, vote.into()).await;
            first.push(times.0);
            last.push(times.1);
        }
        let (before, since) = (cpu(), Instant::now());
        tokio::time::sleep(IDLE).await;
        let idle = (cpu() - before).as_secs_f64() / since.elapsed().as_secs_f64();
        let (first, last) = (median(first), median(last));
        println!(
            "{listen}: {MEMBERS} members connected in {connected:?}; publish to first {first:?}, to all {last:?}; \
             idle {:.2} % of a core and {} MB for all of them",
            100.0 * idle,
            resident() / 1024
        );
        assert!(last < Duration::from_millis(100));
        for (network, _) in &nodes {
            network.shutdown().await;
        }
    }
}
