//! A peer with a member's key and manners of its own: it connects as that member does, and then does not do what a
//! member does. The real member must be down.

use super::Random;
use crate::{
    ring::Ring,
    wait::{block_on, runtime, until, LONG},
};
use cid::Cid;
use rings_network::{
    start, Config, Event, Limits, Network, Peer, PeerId, PeerRequest, Reply, Started, Version,
};
use rings_protocol::{
    crypto::SecretKey,
    eip712::Domain,
    log::{Content, LogNode},
    message::Message,
    Address, Digest, PROTOCOL_VERSION,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::{
    sync::mpsc::Receiver,
    task::{AbortHandle, JoinSet},
};

/// Nodes that an impostor says it has beyond those that there are.
const CLAIMED: u64 = 1_000;
/// Between two rounds of a flood.
const ROUND: Duration = Duration::from_millis(5);
/// Messages and requests of one round.
const ROUND_SIZE: usize = 8;
/// Codes of a multiaddress: IPv4 and TCP.
const IP4: u8 = 4;
const TCP: u8 = 6;

/// What an impostor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Claims that every log is longer than it is, and gives nothing.
    Stalls,
    /// Sends garbage, and asks for everything, as fast as it can.
    Floods,
    /// Signs one log node after another for one position of its log.
    Forks,
}

/// A running impostor; it ends with this value.
#[derive(Debug)]
pub struct Impostor {
    network: Network,
    task: AbortHandle,
    deeds: Arc<AtomicUsize>,
    /// Its name among peers.
    pub peer_id: String,
}

/// What members ask one another, as they write it.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Blocks(Vec<Cid>),
    Heads,
    Nodes { author: Address, from: u64 },
}

/// What an impostor answers.
#[derive(Debug, Serialize)]
enum Answer {
    Heads(Vec<(Address, u64, Digest)>),
}

/// All that its task works with.
struct Act {
    network: Network,
    events: Receiver<Event>,
    requests: Receiver<PeerRequest>,
    manners: Manners,
    key: SecretKey,
    domain: Domain,
    members: Vec<Address>,
    peers: Vec<PeerId>,
    random: Random,
    deeds: Arc<AtomicUsize>,
    /// Questions that it leaves open.
    open: Vec<Reply>,
}

impl Impostor {
    /// Takes the place of a member, which must be down.
    pub fn start(ring: &Ring, index: usize, manners: Manners) -> Self {
        let (json, key) = (ring.json(), ring.member_key(index));
        let domain = json.domain();
        let others: Vec<usize> = (0..json.count()).filter(|other| *other != index).collect();
        let peers: Vec<Peer> = others.iter().map(|other| peer(ring, *other)).collect();
        let config = Config {
            secret: key.to_bytes(),
            listen: vec![format!("/ip4/127.0.0.1/tcp/{}", libp2p_port(ring, index))],
            limits: Limits::default(),
            topic: format!("/rings/{}/{}", domain.chain_id, domain.ring),
            version: Version {
                protocol: PROTOCOL_VERSION,
                program: "an impostor".into(),
            },
        };
        // A process that was killed may hold its port a moment longer than it runs.
        let Started {
            network,
            events,
            requests,
            ..
        } = until("the member's port is free", LONG, || {
            block_on(start(config.clone())).ok()
        });
        block_on(network.set_peers(peers.clone()));
        let deeds = Arc::new(AtomicUsize::new(0));
        let act = Act {
            network: network.clone(),
            events,
            requests,
            manners,
            key,
            domain,
            members: json.members(),
            peers: peers.into_iter().map(|peer| peer.id).collect(),
            random: Random::new(index as u64),
            deeds: Arc::clone(&deeds),
            open: Vec::new(),
        };
        let task = runtime().spawn(act.run()).abort_handle();
        Self {
            peer_id: network.local_id().to_string(),
            network,
            task,
            deeds,
        }
    }

    /// What it has done so far: questions left open, messages sent.
    pub fn deeds(&self) -> usize {
        self.deeds.load(Ordering::Relaxed)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
        block_on(self.network.shutdown());
    }
}

impl Act {
    async fn run(mut self) {
        let mut asking = JoinSet::new();
        let mut round = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                // Gossip is received and dropped: an impostor passes nothing on.
                event = self.events.recv() => if event.is_none() { return },
                Some(request) = self.requests.recv() => self.on_request(request),
                _ = round.tick(), if self.manners != Manners::Stalls => self.round(&mut asking).await,
                Some(_) = asking.join_next() => {}
            }
        }
    }

    fn on_request(&mut self, PeerRequest { data, reply, .. }: PeerRequest) {
        match serde_ipld_dagcbor::from_slice(&data) {
            Ok(Ask::Heads) => reply.send(self.claims().into()),
            _ => {
                self.deeds.fetch_add(1, Ordering::Relaxed);
                self.open.push(reply);
            }
        }
    }

    /// Heads that nobody has, of all members.
    fn claims(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let heads = self
            .members
            .iter()
            .map(|author| (*author, CLAIMED, Digest(random.bytes())));
        serde_ipld_dagcbor::to_vec(&Answer::Heads(heads.collect())).unwrap()
    }

    async fn round(&mut self, asking: &mut JoinSet<()>) {
        for _ in 0..ROUND_SIZE {
            let message = match self.manners {
                Manners::Forks => self.fork(),
                _ => self.random.bytes().to_vec(),
            };
            if self.network.publish(message.into()).await.is_ok() {
                self.deeds.fetch_add(1, Ordering::Relaxed);
            }
            if self.manners == Manners::Floods && asking.len() < ROUND_SIZE * self.peers.len() {
                self.ask(asking);
            }
        }
    }

    fn ask(&mut self, asking: &mut JoinSet<()>) {
        let (network, peer) = (self.network.clone(), *self.random.pick(&self.peers));
        let author = *self.random.pick(&self.members);
        let request = serde_ipld_dagcbor::to_vec(&Ask::Nodes { author, from: 0 }).unwrap();
        asking.spawn(async move { drop(network.request(&peer, request.into()).await) });
    }

    /// Another first node of its own log.
    fn fork(&mut self) -> Vec<u8> {
        let message = Message {
            domain: "tests".into(),
            payload: self.random.bytes().to_vec().into(),
            status: "said".into(),
            kind: "Noise".into(),
        };
        let content = Content {
            body: vec![message],
            prev: None,
            refs: Vec::new(),
            seq: 0,
            skip: None,
            time: None,
        };
        let node = LogNode::seal(content, &self.domain, &self.key).unwrap();
        node.bytes().to_vec()
    }
}

fn peer(ring: &Ring, index: usize) -> Peer {
    let id: PeerId = ring
        .json()
        .text(&format!("/members/{index}/peerId"))
        .parse()
        .unwrap();
    let [high, low] = libp2p_port(ring, index).to_be_bytes();
    let [a, b, c, d] = Ipv4Addr::LOCALHOST.octets();
    Peer {
        id,
        addresses: vec![vec![IP4, a, b, c, d, TCP, high, low]],
    }
}

/// The port of a member's TCP listener, from its configuration.
fn libp2p_port(ring: &Ring, index: usize) -> u16 {
    let text = fs::read_to_string(ring.member_dir(index).join("config.toml")).unwrap();
    let digits = text.split("/tcp/").nth(1).expect("it listens on TCP");
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}
