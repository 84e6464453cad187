//! The ring as this member sees it now: members, peers, the height of the chain.
//!
//! The core writes a [`RingStatus`]; the HTTP side, the metrics and the network configuration read it, mostly as a
//! [`Snapshot`]. It is small, and behind one lock that is never held while waiting. Nothing in it has to survive a
//! restart.
//!
//! Two things are found out here and not only kept. [`Cost`] turns wei into a number of registrations, for warnings.
//! And [`RingStatus::is_by_twin`] compares announcements on chain with those of this process: one that it did not make
//! tells that a second process runs with the same key.

use super::{clock, counters::Counters};
use rings_chain::RingState;
use rings_network::{Peer, PeerId};
use rings_protocol::{crypto::PublicKey, message::Vote, Address, Digest};
use rings_store::StoreSize;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Announcements of this process that are remembered.
const ANNOUNCEMENTS_KEPT: usize = 64;

/// An account that can pay for fewer registrations than this is short of ether.
pub const FEW_REGISTRATIONS: u64 = 20;

/// What a registration costs at the chain's price now, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// What the account must have when it is sent, most of which is not spent; 0 while the price is not known.
    pub needed: u128,
    /// What it spends, about.
    pub spent: u128,
}

impl Cost {
    /// How many registrations an account that holds `wei` can pay for; `None` while the price is not known.
    pub fn affordable(self, wei: u128) -> Option<u64> {
        if self.needed == 0 {
            return None;
        }
        let Some(left) = wei.checked_sub(self.needed) else {
            return Some(0);
        };
        let further = left.checked_div(self.spent).unwrap_or(u128::MAX);
        Some(u64::try_from(further.saturating_add(1)).unwrap_or(u64::MAX))
    }
}

/// How a member can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its peer id: the one that it has announced, or that of its public key.
    pub peer: PeerId,
    /// Its public key, to which keys of a private ring are wrapped.
    pub public_key: PublicKey,
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
    /// Signatures that a result needs.
    pub needed: u64,
    /// Who enters and exits members; nobody where the members keep the ring themselves.
    pub keeper: Option<Address>,
    /// Contacts of members that announced them.
    pub contacts: BTreeMap<Address, Contact>,
    /// Peers that are connected.
    pub connected: BTreeSet<PeerId>,
    /// When each member was last heard, in milliseconds since 1970.
    pub last_seen: BTreeMap<Address, u64>,
    /// Events up to this block are in the state database.
    pub block: u64,
    /// The newest block that the chain has shown.
    pub head: u64,
    /// Members against whom there is a proof that they signed two nodes for one position of their logs.
    pub forked: BTreeSet<Address>,
    /// How often each member did not deliver log nodes that it should have.
    pub stalled: BTreeMap<Address, u64>,
    /// The binary multiaddresses of this process that the chain has, one behind the other.
    pub own_address: Option<Vec<u8>>,
    /// Why the chain does not have those that it should.
    pub not_announced: Option<String>,
    /// How much the block store holds.
    pub store: StoreSize,
    /// What members' accounts hold, in wei, as far as it was asked.
    pub funds: BTreeMap<Address, u128>,
    /// What a registration costs, once that is known.
    pub cost: Cost,
    /// After a backup was put back: members that have said where the own log ends and that nothing is missing here, and how
    /// many must.
    pub recovering: Option<(usize, usize)>,
    /// Members whose logs are not held further today, and the position of the first node that is not.
    pub held_back: BTreeMap<Address, u64>,
    /// The name of a key under which nodes came, and which nobody has given to this member.
    pub locked_out: Option<Digest>,
    /// The binary multiaddress that another process has announced with this member's key, since this one announced its own.
    pub twin: Option<Vec<u8>>,
}

impl Snapshot {
    /// How many registrations an account can pay for; `None` if that is not known.
    pub fn affordable(&self, member: Address) -> Option<u64> {
        self.cost.affordable(*self.funds.get(&member)?)
    }

    /// Whether an account is known to be unable to pay for a registration.
    pub fn is_poor(&self, member: Address) -> bool {
        self.affordable(member) == Some(0)
    }
}

/// The ring as this member sees it now, shared by all parts.
#[derive(Debug)]
pub struct RingStatus {
    me: Address,
    /// Accounts whose gates are computed, besides members and keeper.
    requesters: BTreeSet<Address>,
    snapshot: Mutex<Snapshot>,
    /// What this process has announced, or is announcing.
    announcements: Mutex<VecDeque<Vec<u8>>>,
    /// What was counted since the start.
    pub counters: Counters,
}

impl RingStatus {
    /// Nothing is known yet.
    pub fn new(me: Address, requesters: BTreeSet<Address>) -> Self {
        Self {
            me,
            requesters,
            snapshot: Mutex::default(),
            announcements: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// The newest block that the chain has shown.
    pub fn head(&self) -> u64 {
        self.lock().head
    }

    /// This member's account.
    pub fn me(&self) -> Address {
        self.me
    }

    /// Looks at it without a copy. All others wait meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        look(&self.lock())
    }

    /// A copy of the whole.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the membership.
    pub fn membership(&self, ring: &RingState) {
        let mut members = ring.members.clone();
        members.sort_unstable();
        let mut snapshot = self.lock();
        (snapshot.epoch, snapshot.members) = (ring.epoch, members);
        (snapshot.needed, snapshot.keeper) = (ring.quorum, ring.keeping.keeper);
    }

    /// Whether an account's gates are computed although it is not a member.
    pub fn accepts(&self, account: Address) -> bool {
        self.requesters.contains(&account) || self.lock().keeper == Some(account)
    }

    /// There is a proof that this member signed two nodes for one position.
    pub fn forked(&self, member: Address) {
        self.lock().forked.insert(member);
    }

    /// How far the member is with finding out where its own log ends; `None` when it knows.
    pub fn recovers(&self, progress: Option<(usize, usize)>) {
        self.lock().recovering = progress;
    }

    /// How far the member is with finding out where its own log ends, in words.
    pub fn recovering(&self) -> Option<String> {
        let (heard, needed) = self.lock().recovering?;
        Some(format!(
            "restored from a backup: {heard} of {needed} other members have said where this member's log ends; it signs nothing before"
        ))
    }

    /// The log of an author is not held from this position on; `None`: it is held again. Says whether that is news.
    pub fn hold_back(&self, author: Address, from: Option<u64>) -> bool {
        let mut snapshot = self.lock();
        match from {
            Some(seq) => snapshot.held_back.insert(author, seq).is_none(),
            None => snapshot.held_back.remove(&author).is_some(),
        }
    }

    /// The member behind a peer.
    pub fn member_of(&self, peer: &PeerId) -> Option<Address> {
        let snapshot = self.lock();
        let mut contacts = snapshot.contacts.iter();
        let (member, _) = contacts.find(|(_, contact)| contact.peer == *peer)?;
        Some(*member)
    }

    /// A peer did not deliver log nodes that it should have. Returns which member it is.
    pub fn stalled(&self, peer: PeerId) -> Option<Address> {
        let mut snapshot = self.lock();
        let mut contacts = snapshot.contacts.iter();
        let (member, _) = contacts.find(|(_, contact)| contact.peer == peer)?;
        let member = *member;
        *snapshot.stalled.entry(member).or_default() += 1;
        Some(member)
    }

    /// The public key of the member behind a peer, if it is a member now.
    pub fn key_of(&self, peer: &PeerId) -> Option<PublicKey> {
        let snapshot = self.lock();
        let mut contacts = snapshot.contacts.iter();
        let (member, contact) = contacts.find(|(_, contact)| contact.peer == *peer)?;
        let is_member = snapshot.members.binary_search(member).is_ok();
        is_member.then_some(contact.public_key)
    }

    /// The public keys of the members that have announced them.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let snapshot = self.lock();
        let contacts = snapshot.members.iter();
        let contacts = contacts.filter_map(|member| snapshot.contacts.get(member));
        contacts.map(|contact| contact.public_key).collect()
    }

    /// Nodes came that are sealed with a key that this member was not given; `None`: it has it now.
    pub fn locked_out(&self, name: Option<Digest>) {
        self.lock().locked_out = name;
    }

    /// The members that have announced how they can be reached.
    pub fn known_contacts(&self) -> BTreeSet<Address> {
        self.lock().contacts.keys().copied().collect()
    }

    /// Records how a member can be reached.
    ///
    /// A member may announce any peer id. One that is another member's is not believed, so that nobody is taken for somebody else:
    /// the member whose key gives the id has it, and else the one that was known to have it before.
    pub fn announced(&self, member: Address, key: &PublicKey, multiaddress: Vec<u8>) {
        let of_key = PeerId::from_public_key(&key.compressed());
        let named = PeerId::of_member(&key.compressed(), &multiaddress);
        let (peer, of_key) = match (named, of_key) {
            (Ok(peer), Ok(of_key)) => (peer, of_key),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%member, %error, "the public key on chain is invalid");
                return;
            }
        };
        let mut snapshot = self.lock();
        let mut contacts = snapshot.contacts.iter();
        let holder = contacts.find(|(other, contact)| **other != member && contact.peer == peer);
        let holder = holder.map(|(other, _)| *other);
        if let Some(other) = holder {
            let (liar, right) = match peer == of_key {
                true => (other, member),
                false => (member, other),
            };
            tracing::warn!(%liar, %right, %peer, "a member has announced the peer id of another one, and is not believed");
            snapshot.contacts.remove(&liar);
            if liar == member {
                return;
            }
        }
        let contact = Contact {
            peer,
            public_key: *key,
            multiaddress,
        };
        snapshot.contacts.insert(member, contact);
    }

    /// This process sends an announcement. Its event may come back before the transaction is known to be in a block.
    pub fn announces(&self, multiaddress: Vec<u8>) {
        let mut own = self.announcements();
        own.push_back(multiaddress);
        while own.len() > ANNOUNCEMENTS_KEPT {
            own.pop_front();
        }
    }

    fn announcements(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        let announcements = self.announcements.lock();
        announcements.unwrap_or_else(PoisonError::into_inner)
    }

    /// This process is announced on chain with these binary multiaddresses.
    pub fn own_address(&self, multiaddress: Vec<u8>) {
        self.lock().own_address = Some(multiaddress);
    }

    /// Why the chain does not say how this member can be reached; `None` when it does.
    pub fn not_announced(&self, reason: Option<String>) {
        self.lock().not_announced = reason;
    }

    /// Records how much the block store holds.
    pub fn store(&self, size: StoreSize) {
        self.lock().store = size;
    }

    /// Records what accounts hold, and what a registration costs.
    pub fn funds(&self, wei: &[(Address, u128)], cost: Cost) {
        let mut snapshot = self.lock();
        snapshot.funds.extend(wei.iter().copied());
        snapshot.cost = cost;
    }

    /// An announcement of this member has just come. Returns whether another process made it, with the same key.
    pub fn is_by_twin(&self, multiaddress: &[u8]) -> bool {
        let mine = self.announcements().iter().any(|own| own == multiaddress);
        let mut snapshot = self.lock();
        let own = snapshot.own_address.as_deref();
        let is_other = !mine && own.is_some_and(|own| own != multiaddress);
        snapshot.twin = is_other.then(|| multiaddress.to_vec());
        is_other
    }

    /// The other members that have announced how to reach them, in the form that the network takes.
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

    /// Records that a peer is connected.
    pub fn connected(&self, peer: PeerId) {
        self.lock().connected.insert(peer);
    }

    /// Records that a peer is no longer connected.
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

    /// Records that something signed by this member has just arrived.
    pub fn heard(&self, member: Address) {
        let now = clock::milliseconds();
        self.lock().last_seen.insert(member, now);
    }

    /// Records that events up to `block` are in the state database, and that the chain is at `head`.
    pub fn at_block(&self, block: u64, head: u64) {
        let mut snapshot = self.lock();
        (snapshot.block, snapshot.head) = (block, head);
    }

    /// Counts votes that were signed and are on disk.
    pub fn wrote(&self, votes: &[Vote]) {
        self.counters.voted(votes.len());
    }

    /// Counts a ring node, and its entries.
    pub fn listed(&self, entries: u64) {
        self.counters.listed(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::crypto::SecretKey;

    #[test]
    fn an_account_pays_for_as_many_registrations_as_it_can_send() {
        let cost = Cost {
            needed: 100,
            spent: 10,
        };
        for (wei, count) in [(0, 0), (99, 0), (100, 1), (109, 1), (110, 2), (300, 21)] {
            assert_eq!(cost.affordable(wei), Some(count), "{wei}");
        }
        assert_eq!(
            Cost::default().affordable(0),
            None,
            "the price is not known"
        );
    }

    #[test]
    fn nobody_is_taken_for_another_by_announcing_its_peer_id() {
        let status = RingStatus::new(Address([1; 20]), BTreeSet::new());
        let key = |n: u8| SecretKey::from_bytes(&[n; 32]).unwrap().public_key();
        let of_key = |n: u8| PeerId::from_public_key(&key(n).compressed()).unwrap();
        let behind = |peer: PeerId| rings_network::joined(&[], Some(&peer));
        let member = |n: u8| key(n).address();

        // The second has a key of its own for the network, and the third claims it.
        status.announced(member(2), &key(2), behind(of_key(20)));
        assert_eq!(status.member_of(&of_key(20)), Some(member(2)));
        assert_eq!(status.member_of(&of_key(2)), None);
        status.announced(member(3), &key(3), behind(of_key(20)));
        assert_eq!(status.member_of(&of_key(20)), Some(member(2)));
        assert!(!status.known_contacts().contains(&member(3)));

        // It claims the fourth's, before that one announces itself.
        status.announced(member(3), &key(3), behind(of_key(4)));
        status.announced(member(4), &key(4), Vec::new());
        assert_eq!(status.member_of(&of_key(4)), Some(member(4)));
        assert!(!status.known_contacts().contains(&member(3)));

        // It may always go back to what is its own, and the second may change.
        status.announced(member(3), &key(3), Vec::new());
        status.announced(member(2), &key(2), behind(of_key(21)));
        assert_eq!(status.member_of(&of_key(3)), Some(member(3)));
        assert_eq!(status.member_of(&of_key(21)), Some(member(2)));
        assert_eq!(status.member_of(&of_key(20)), None);
    }

    #[test]
    fn an_announcement_by_another_process_with_this_key_is_noticed() {
        let status = RingStatus::new(Address([1; 20]), BTreeSet::new());
        assert!(
            !status.is_by_twin(&[1]),
            "this process has not announced itself yet"
        );
        status.own_address(vec![2]);
        assert!(!status.is_by_twin(&[2]));
        assert!(status.is_by_twin(&[3]));
        assert_eq!(status.snapshot().twin, Some(vec![3]));
        // This process announces itself elsewhere: the event may come before the transaction's receipt.
        status.announces(vec![4]);
        assert!(!status.is_by_twin(&[4]));
        // Announced anew, after the other one was stopped.
        assert!(!status.is_by_twin(&[2]));
        assert_eq!(status.snapshot().twin, None);
    }
}
