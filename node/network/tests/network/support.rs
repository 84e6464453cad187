//! Nodes whose events are recorded, and waiting for conditions.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rings_network::{
    start, Config, Event, Limits, Network, NetworkError, Peer, PeerId, PeerRequest, Reply, Started,
    Version,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Much longer than anything takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// What a node does with what it hears.
#[derive(Clone, Copy)]
pub enum Judge {
    Accept,
    Ignore,
    Reject,
}

/// What a node does with a request: the answer is the request, reversed; or none is given.
#[derive(Clone, Copy)]
pub enum Answer {
    Reversed,
    Bytes(usize),
    Nothing,
    Hold,
}

#[derive(Clone)]
pub struct Setup {
    pub listen: Vec<String>,
    pub limits: Limits,
    pub judge: Judge,
    pub answer: Answer,
    pub protocol: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: vec![TCP.to_owned()],
            limits: Limits::default(),
            judge: Judge::Accept,
            answer: Answer::Reversed,
            protocol: 1,
        }
    }
}

/// What a node has heard.
#[derive(Default)]
pub struct Seen {
    pub gossip: Vec<(PeerId, Bytes)>,
    pub connections: Vec<(PeerId, bool)>,
    pub held: Vec<Reply>,
}

pub struct Node {
    pub network: Network,
    pub seen: Arc<Mutex<Seen>>,
    pub task: JoinHandle<()>,
}

pub fn secret(n: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([n; 32])
}

pub fn config(n: u8, setup: &Setup) -> Config {
    Config {
        secret: secret(n),
        listen: setup.listen.clone(),
        limits: setup.limits.clone(),
        topic: "test".to_owned(),
        version: Version {
            protocol: setup.protocol,
            program: format!("rings 0.{}", setup.protocol),
        },
    }
}

impl Node {
    /// The n-th node; n is its key, too.
    pub async fn start(n: u8, setup: &Setup) -> Self {
        let Started {
            network,
            events,
            requests,
            task,
        } = start(config(n, setup)).await.unwrap();
        let seen = Arc::default();
        tokio::spawn(record(events, Arc::clone(&seen), setup.judge));
        tokio::spawn(answer(requests, Arc::clone(&seen), setup.answer));
        Self {
            network,
            seen,
            task,
        }
    }

    pub fn id(&self) -> PeerId {
        self.network.local_id()
    }

    pub async fn peer(&self) -> Peer {
        Peer {
            id: self.id(),
            addresses: self.network.listen_addresses().await,
        }
    }

    pub async fn until_connected(&self, count: usize) {
        until("connected", || async {
            self.network.connected().await.len() == count
        })
        .await;
    }

    pub async fn until_heard(&self, count: usize) {
        until("gossip", || async { self.heard() >= count }).await;
    }

    pub fn heard(&self) -> usize {
        self.seen.lock().unwrap().gossip.len()
    }

    pub fn messages(&self) -> Vec<Bytes> {
        let seen = self.seen.lock().unwrap();
        seen.gossip.iter().map(|(_, data)| data.clone()).collect()
    }

    pub fn connections(&self) -> Vec<(PeerId, bool)> {
        self.seen.lock().unwrap().connections.clone()
    }

    pub async fn publish(&self, text: &str) -> Result<(), NetworkError> {
        self.network
            .publish(Bytes::copy_from_slice(text.as_bytes()))
            .await
    }

    pub async fn ask(&self, peer: PeerId, data: &[u8]) -> Result<Bytes, NetworkError> {
        self.network
            .request(&peer, Bytes::copy_from_slice(data))
            .await
    }

    /// Ends the task without a goodbye.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn record(mut events: mpsc::Receiver<Event>, seen: Arc<Mutex<Seen>>, judge: Judge) {
    while let Some(event) = events.recv().await {
        let mut seen = seen.lock().unwrap();
        match event {
            Event::Gossip {
                from,
                data,
                verdict,
            } => {
                seen.gossip.push((from, data));
                match judge {
                    Judge::Accept => verdict.accept(),
                    Judge::Ignore => verdict.ignore(),
                    Judge::Reject => verdict.reject(),
                }
            }
            Event::Connected(peer) => seen.connections.push((peer, true)),
            Event::Disconnected(peer) => seen.connections.push((peer, false)),
        }
    }
}

async fn answer(mut requests: mpsc::Receiver<PeerRequest>, seen: Arc<Mutex<Seen>>, answer: Answer) {
    while let Some(PeerRequest { data, reply, .. }) = requests.recv().await {
        match answer {
            Answer::Reversed => reply.send(data.iter().rev().copied().collect()),
            Answer::Bytes(count) => reply.send(vec![7; count].into()),
            Answer::Nothing => drop(reply),
            Answer::Hold => seen.lock().unwrap().held.push(reply),
        }
    }
}

/// Tells each of the nodes of all others.
pub async fn introduce(nodes: &[Node]) {
    let mut peers = Vec::new();
    for node in nodes {
        peers.push(node.peer().await);
    }
    for node in nodes {
        node.network.set_peers(peers.clone()).await;
    }
}

/// A ring of that many nodes, all connected.
pub async fn ring(count: u8, setup: &Setup) -> Vec<Node> {
    let mut nodes = Vec::new();
    for n in 1..=count {
        nodes.push(Node::start(n, setup).await);
    }
    introduce(&nodes).await;
    for node in &nodes {
        node.until_connected(usize::from(count) - 1).await;
    }
    nodes
}

/// Two connected nodes with their own setups.
pub async fn pair(first: &Setup, second: &Setup) -> (Node, Node) {
    let nodes = [Node::start(1, first).await, Node::start(2, second).await];
    introduce(&nodes).await;
    for node in &nodes {
        node.until_connected(1).await;
    }
    let [first, second] = nodes;
    (first, second)
}

/// Waits for a condition.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How often each message was heard.
pub fn tally(messages: &[Bytes]) -> HashMap<&[u8], usize> {
    let mut tally = HashMap::new();
    for message in messages {
        *tally.entry(message.as_ref()).or_default() += 1;
    }
    tally
}
