//! What the core knows and others look at: members, peers, the chain's height. Small, and behind one lock that is
//! held for moments.

use rings_network::{Peer, PeerId};
use rings_protocol::{crypto::PublicKey, message::Vote, Address};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        atomic::{AtomicU64, Ordering},
        Mutex, MutexGuard, PoisonError,
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// How a member can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its peer id, which follows from its public key.
    pub peer: PeerId,
    /// Its binary multiaddress; empty when it gave none.
    pub multiaddress: Vec<u8>,
}

/// The ring as this member sees it now.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Epoch of the membership.
    pub epoch: u64,
    /// Members, sorted.
    pub members: Vec<Address>,
    /// Contacts of members that announced them.
    pub contacts: BTreeMap<Address, Contact>,
    /// Peers that are connected.
    pub connected: BTreeSet<PeerId>,
    /// When each member was last heard, in milliseconds since 1970.
    pub last_seen: BTreeMap<Address, u64>,
    /// Events up to this block are taken in.
    pub block: u64,
    /// The newest block that the chain has shown.
    pub head: u64,
}

/// Numbers that only rise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Votes signed.
    pub votes: AtomicU64,
    /// Gates of this ring that were resolved.
    pub resolved: AtomicU64,
}

/// What the core knows and others look at.
#[derive(Debug)]
pub struct Shared {
    me: Address,
    snapshot: Mutex<Snapshot>,
    /// Numbers that only rise.
    pub counters: Counters,
}

impl Shared {
    /// Nothing is known yet.
    pub fn new(me: Address) -> Self {
        Self {
            me,
            snapshot: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// A copy of all of it.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The membership is this.
    pub fn membership(&self, epoch: u64, mut members: Vec<Address>) {
        members.sort_unstable();
        let mut snapshot = self.lock();
        (snapshot.epoch, snapshot.members) = (epoch, members);
    }

    /// A member told how it can be reached.
    pub fn announced(&self, member: Address, key: &PublicKey, multiaddress: Vec<u8>) {
        match PeerId::from_public_key(&key.compressed()) {
            Ok(peer) => {
                self.lock()
                    .contacts
                    .insert(member, Contact { peer, multiaddress });
            }
            Err(error) => tracing::warn!(%member, %error, "the chain holds a key that is none"),
        }
    }

    /// The other members that can be reached, as the network wants them.
    pub fn peers(&self) -> Vec<Peer> {
        let snapshot = self.lock();
        let others = snapshot.members.iter().filter(|member| **member != self.me);
        let contacts = others.filter_map(|member| snapshot.contacts.get(member));
        let addresses = |contact: &Contact| match contact.multiaddress.is_empty() {
            true => Vec::new(),
            false => vec![contact.multiaddress.clone()],
        };
        contacts
            .map(|contact| Peer {
                id: contact.peer,
                addresses: addresses(contact),
            })
            .collect()
    }

    /// A peer is connected.
    pub fn connected(&self, peer: PeerId) {
        self.lock().connected.insert(peer);
    }

    /// A peer is not connected any more.
    pub fn disconnected(&self, peer: &PeerId) {
        self.lock().connected.remove(peer);
    }

    /// The peers that are connected.
    pub fn connected_peers(&self) -> Vec<PeerId> {
        self.lock().connected.iter().copied().collect()
    }

    /// The members that are connected.
    pub fn connected_members(&self) -> BTreeSet<Address> {
        let snapshot = self.lock();
        let connected = snapshot
            .contacts
            .iter()
            .filter(|(_, contact)| snapshot.connected.contains(&contact.peer));
        connected.map(|(member, _)| *member).collect()
    }

    /// The peer of a member, if it is connected.
    pub fn peer_of(&self, member: Address) -> Option<PeerId> {
        let snapshot = self.lock();
        let peer = snapshot.contacts.get(&member)?.peer;
        snapshot.connected.contains(&peer).then_some(peer)
    }

    /// Something that this member signed came in.
    pub fn heard(&self, member: Address) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        self.lock().last_seen.insert(member, now);
    }

    /// Events up to `block` are taken in; the chain is at `head`.
    pub fn at_block(&self, block: u64, head: u64) {
        let mut snapshot = self.lock();
        (snapshot.block, snapshot.head) = (block, head);
    }

    /// Votes were signed and are on disk.
    pub fn wrote(&self, votes: &[Vote]) {
        self.counters
            .votes
            .fetch_add(votes.len() as u64, Ordering::Relaxed);
    }

    /// A gate of this ring was resolved.
    pub fn resolved(&self) {
        self.counters.resolved.fetch_add(1, Ordering::Relaxed);
    }
}
