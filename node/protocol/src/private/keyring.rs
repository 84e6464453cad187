//! All the keys that one member or one replica has of a ring: which seals now, which still open, and who gets one.
//!
//! Many keys are normal: each stays for reading what it sealed. The one that seals is settled by a fixed order, from the
//! rotations that stand in members' logs: the highest epoch, and there the least name. So two members who rotate at once
//! lose nothing, and all come to the same key. A key is wrapped only for accounts that this member has approved
//! ([`Keyring::approve`]); that the chain lists a member is not enough, for whoever pays for a ring must not read it.

use super::{
    keys::{ReadKey, ReplicaKey},
    rotation::{Rotation, Wraps},
    seal::{
        body_key, node_key, open_body, open_node, opening_of, seal_body, seal_node, NodePlace,
        SealedError,
    },
    unsealed::Unsealed,
    wrap::{unwrap, wrap, WrapError, WrappedKey},
};
use crate::{
    crypto::{PublicKey, SecretKey, Signer},
    eip712::Domain,
    log::{seal, write_messages, LogNode, NodeError, OwnLog, SealError},
    message::Message,
    Address, Digest,
};
use cid::Cid;
use std::collections::{BTreeMap, BTreeSet};

/// Most keys that are held. One is made when somebody leaves, so a ring of many years has some hundreds.
pub const MAX_KEYS: usize = 4096;

/// Why a node of a private ring cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateSealError<E> {
    /// There is no key that may seal now: somebody has left since it was made. Rotate first.
    #[error("no key was made since an account left in epoch {epoch}; make one before anything is written")]
    Rotate {
        /// The epoch in which somebody left.
        epoch: u64,
    },
    /// The key that seals now is not held: no member has wrapped it for this one.
    #[error("the current key {name} is not wrapped for this member; ask a member that has approved this one")]
    NoKey {
        /// The key's name.
        name: Digest,
    },
    /// The own log cannot be read.
    #[error("the own log cannot be read, so nothing is added to it")]
    Log(#[source] E),
    /// The node cannot be made.
    #[error("the log node cannot be written")]
    Node(#[source] SealError<E>),
    /// It cannot be sealed.
    #[error("the log node cannot be sealed")]
    Sealed(#[source] SealedError),
}

/// Why a node of a private ring cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PrivateOpenError {
    /// The seal.
    #[error("the seal of the log node cannot be opened")]
    Sealed(#[source] SealedError),
    /// What is in it.
    #[error("what is sealed is not a log node")]
    Node(#[source] NodeError),
}

/// The keys of one member or replica.
#[derive(Debug, Clone)]
pub struct Keyring {
    domain: Domain,
    read: BTreeMap<Digest, ReadKey>,
    replica: BTreeMap<Digest, ReplicaKey>,
    /// The rotations that stand in logs: epoch and name of the read key, and the replica key's name.
    rotations: BTreeMap<(u64, std::cmp::Reverse<Digest>), Digest>,
    /// Since when a replica key no longer seals.
    retired: BTreeMap<Digest, u64>,
    approved: BTreeSet<Address>,
}

impl Keyring {
    /// No keys yet.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            read: BTreeMap::new(),
            replica: BTreeMap::new(),
            rotations: BTreeMap::new(),
            retired: BTreeMap::new(),
            approved: BTreeSet::new(),
        }
    }

    /// Adds a read key, and the replica key that goes with it. Returns false if there is no room.
    pub fn add_read(&mut self, key: ReadKey) -> bool {
        let added = self.add_replica(key.replica_key());
        added && {
            self.read.insert(key.name(), key);
            true
        }
    }

    /// Adds a replica key. Returns false if there is no room.
    pub fn add_replica(&mut self, key: ReplicaKey) -> bool {
        if self.replica.len() >= MAX_KEYS && !self.replica.contains_key(&key.name()) {
            return false;
        }
        self.replica.insert(key.name(), key);
        true
    }

    /// Adds what a block of wrapped keys has for this account. Returns whether there was something.
    ///
    /// # Errors
    /// [`WrapError`] when it is not for this account or this ring.
    pub fn add_wrapped(&mut self, wraps: &Wraps, secret: &SecretKey) -> Result<bool, WrapError> {
        let Some(wrapped) = wraps.of(secret.address()) else {
            return Ok(false);
        };
        Ok(match unwrap(&self.domain, secret, wrapped)?.1 {
            WrappedKey::Read(key) => self.add_read(key),
            WrappedKey::Replica(key) => self.add_replica(key),
        })
    }

    /// Takes a rotation from a member's log, at a time in milliseconds. Keys that no longer seal are retired from now on.
    pub fn announced(&mut self, rotation: &Rotation, now: u64) {
        let key = (rotation.epoch, std::cmp::Reverse(rotation.read));
        self.rotations.insert(key, rotation.replica);
        while self.rotations.len() > MAX_KEYS {
            self.rotations.pop_first();
        }
        let current = self.rotations.last_key_value().map(|(_, replica)| *replica);
        for replica in self
            .rotations
            .values()
            .filter(|replica| Some(**replica) != current)
        {
            self.retired.entry(*replica).or_insert(now);
        }
        if let Some(current) = current {
            self.retired.remove(&current);
        }
    }

    /// Epoch and name of the read key that seals now: of the highest epoch, the least name.
    pub fn current(&self) -> Option<(u64, Digest)> {
        let (epoch, name) = self.rotations.last_key_value()?.0;
        Some((*epoch, name.0))
    }

    /// Whether a replica still takes nodes under this key: it seals now, or was retired less than `grace` milliseconds ago.
    pub fn is_fresh(&self, replica: Digest, now: u64, grace: u64) -> bool {
        let retired = self.retired.get(&replica);
        retired.is_none_or(|since| now < since.saturating_add(grace))
    }

    /// This member lets an account read: it approved its entry, or has always had it in the ring.
    pub fn approve(&mut self, account: Address) {
        self.approved.insert(account);
    }

    /// This member no longer lets an account read. What it could read it still can, until the key is rotated.
    pub fn disapprove(&mut self, account: Address) {
        self.approved.remove(&account);
    }

    /// The accounts that this member lets read.
    pub fn approved(&self) -> impl Iterator<Item = Address> + '_ {
        self.approved.iter().copied()
    }

    /// Wraps a key for an account that this member has approved. `random` gives secure random numbers.
    ///
    /// # Errors
    /// [`WrapError::NotApproved`] for anybody else.
    pub fn wrap(
        &self,
        epoch: u64,
        key: &WrappedKey,
        to: &PublicKey,
        random: impl FnMut(&mut [u8; 32]),
    ) -> Result<(Address, Vec<u8>), WrapError> {
        let account = to.address();
        if !self.approved.contains(&account) {
            return Err(WrapError::NotApproved { account });
        }
        Ok((account, wrap(&self.domain, epoch, key, to, random)?))
    }

    /// Makes a new read key for an epoch, from the caller's secure random numbers, and wraps it for members and its
    /// replica key for replicas: for those of them that this member has approved. The key is added here; the caller
    /// stores the block of wrapped keys and writes the rotation into its log.
    ///
    /// # Errors
    /// [`WrapError`] when a public key is not a point of the curve.
    pub fn rotate(
        &mut self,
        epoch: u64,
        receivers: (&[PublicKey], &[PublicKey]),
        mut random: impl FnMut(&mut [u8; 32]),
    ) -> Result<(Rotation, Wraps), WrapError> {
        let key = ReadKey::generate(&self.domain, &mut random);
        self.rotate_to(key, epoch, receivers, random)
    }

    /// As [`Keyring::rotate`], to a key that the caller has made.
    ///
    /// # Errors
    /// As [`Keyring::rotate`].
    pub fn rotate_to(
        &mut self,
        key: ReadKey,
        epoch: u64,
        (members, replicas): (&[PublicKey], &[PublicKey]),
        mut random: impl FnMut(&mut [u8; 32]),
    ) -> Result<(Rotation, Wraps), WrapError> {
        let replica = WrappedKey::Replica(key.replica_key());
        let read = WrappedKey::Read(key.clone());
        let members = members.iter().map(|to| (&read, to));
        let all = replicas.iter().map(|to| (&replica, to)).chain(members);
        let approved = all.filter(|(_, to)| self.approved.contains(&to.address()));
        let wraps = approved.map(|(key, to)| self.wrap(epoch, key, to, &mut random));
        let wraps = Wraps::new(wraps.collect::<Result<Vec<_>, _>>()?);
        let rotation = Rotation {
            epoch,
            read: key.name(),
            replica: key.replica_key().name(),
            wraps: wraps.to_block().0,
        };
        self.add_read(key);
        Ok((rotation, wraps))
    }

    /// Signs the next node of the own log and seals it. `left` is the epoch in which a member or a replica last left: a key
    /// from before it seals nothing any more.
    ///
    /// # Errors
    /// [`PrivateSealError`]; then nothing was signed that could be sent.
    pub fn seal<L: OwnLog>(
        &self,
        log: &L,
        left: u64,
        messages: &[Message],
        (refs, time): (Vec<Cid>, Option<u64>),
        key: &(impl Signer + ?Sized),
    ) -> Result<LogNode, PrivateSealError<L::Error>> {
        let current = self.current().filter(|(epoch, _)| *epoch >= left);
        let (_, name) = current.ok_or(PrivateSealError::Rotate { epoch: left })?;
        let read = self
            .read
            .get(&name)
            .ok_or(PrivateSealError::NoKey { name })?;
        self.seal_with(read, log, messages, (refs, time), key)
    }

    /// The read key that seals in an epoch, where every change of the membership makes a new one: of those that members' logs
    /// announce for it and that are held, the one with the least name. So nobody can stop the others by announcing a key that
    /// it gives to nobody, or one for an epoch that never comes.
    pub fn of_epoch(&self, epoch: u64) -> Option<&ReadKey> {
        let of_epoch = self.rotations.keys().filter(|(made, _)| *made == epoch);
        let names = of_epoch.map(|(_, name)| name.0);
        let held = names.filter(|name| self.read.contains_key(name));
        self.read.get(&held.min()?)
    }

    /// As [`Keyring::seal`], with the key of this epoch and of no other ([`Keyring::of_epoch`]).
    ///
    /// # Errors
    /// [`PrivateSealError`]; then nothing was signed that could be sent.
    pub fn seal_in<L: OwnLog>(
        &self,
        log: &L,
        epoch: u64,
        messages: &[Message],
        (refs, time): (Vec<Cid>, Option<u64>),
        key: &(impl Signer + ?Sized),
    ) -> Result<LogNode, PrivateSealError<L::Error>> {
        let read = self.of_epoch(epoch);
        let read = read.ok_or(PrivateSealError::Rotate { epoch })?;
        self.seal_with(read, log, messages, (refs, time), key)
    }

    /// As [`Keyring::seal`], with the read key of this name.
    ///
    /// # Errors
    /// [`PrivateSealError`]; then nothing was signed that could be sent.
    pub fn seal_by<L: OwnLog>(
        &self,
        name: Digest,
        log: &L,
        messages: &[Message],
        (refs, time): (Vec<Cid>, Option<u64>),
        key: &SecretKey,
    ) -> Result<LogNode, PrivateSealError<L::Error>> {
        let read = self.read.get(&name);
        let read = read.ok_or(PrivateSealError::NoKey { name })?;
        self.seal_with(read, log, messages, (refs, time), key)
    }

    fn seal_with<L: OwnLog>(
        &self,
        read: &ReadKey,
        log: &L,
        messages: &[Message],
        (refs, time): (Vec<Cid>, Option<u64>),
        key: &(impl Signer + ?Sized),
    ) -> Result<LogNode, PrivateSealError<L::Error>> {
        let tip = log.tip().map_err(PrivateSealError::Log)?;
        let place = NodePlace {
            domain: self.domain,
            author: key.address(),
            seq: tip.map_or(0, |tip| tip.seq + 1),
        };
        // The body is sealed first, with the read key; the signature is over the sealed body, so replicas can check it
        // without reading it. The whole node is then sealed with the replica key.
        let body = seal_body(read, &place, messages).map_err(PrivateSealError::Sealed)?;
        let node = seal(log, vec![body], refs, time, &self.domain, key);
        let node = node.map_err(PrivateSealError::Node)?;
        let sealed = seal_node(&read.replica_key(), node.bytes());
        Ok(node.in_block(sealed.map_err(PrivateSealError::Sealed)?))
    }

    /// Opens a node as a replica does: order, links and author, not the body. The node's name is that of the sealed block.
    ///
    /// # Errors
    /// [`PrivateOpenError`].
    pub fn open(&self, bytes: &[u8]) -> Result<LogNode, PrivateOpenError> {
        let name = node_key(bytes).map_err(PrivateOpenError::Sealed)?;
        let key = self.replica.get(&name);
        let key = key.ok_or(PrivateOpenError::Sealed(SealedError::Key { name }))?;
        let plain = open_node(key, bytes).map_err(PrivateOpenError::Sealed)?;
        let node = LogNode::open(&plain, &self.domain).map_err(PrivateOpenError::Node)?;
        Ok(node.in_block(bytes.to_vec()))
    }

    /// What a sealed node is to a member: the signed node, and its messages.
    ///
    /// # Errors
    /// [`PrivateOpenError`]; [`SealedError::Key`] in it when a key is not held.
    pub fn unseal(&self, bytes: &[u8]) -> Result<Unsealed, PrivateOpenError> {
        let node = self.open(bytes)?;
        let body = self.read(&node).map_err(PrivateOpenError::Sealed)?;
        let name = node_key(bytes).map_err(PrivateOpenError::Sealed)?;
        let key = self.replica.get(&name);
        let key = key.ok_or(PrivateOpenError::Sealed(SealedError::Key { name }))?;
        Ok(Unsealed {
            node: open_node(key, bytes).map_err(PrivateOpenError::Sealed)?,
            body: write_messages(&body),
            opening: Some(opening_of(key, bytes).map_err(PrivateOpenError::Sealed)?),
        })
    }

    /// Whether the replica key of this name is held, so that what it seals can be opened.
    pub fn opens(&self, name: Digest) -> bool {
        self.replica.contains_key(&name)
    }

    /// The epoch for which a read key was announced; 0 if it was not.
    pub fn epoch_of(&self, read: Digest) -> u64 {
        let mut announced = self.rotations.keys().rev();
        let found = announced.find(|(_, name)| name.0 == read);
        found.map_or(0, |(epoch, _)| *epoch)
    }

    /// The read key whose replica key has this name.
    pub fn read_key_of(&self, replica: Digest) -> Option<&ReadKey> {
        let mut keys = self.read.values();
        keys.find(|key| key.replica_key().name() == replica)
    }

    /// Chain and ring.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Opens the body of a node as a member does.
    ///
    /// # Errors
    /// [`SealedError`]; [`SealedError::Key`] when its read key is not held.
    pub fn read(&self, node: &LogNode) -> Result<Vec<Message>, SealedError> {
        let body = &node.content().body;
        let Some(name) = body_key(body) else {
            return Ok(body.clone());
        };
        let key = self.read.get(&name).ok_or(SealedError::Key { name })?;
        let place = NodePlace {
            domain: self.domain,
            author: node.author(),
            seq: node.seq(),
        };
        open_body(key, &place, body)
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
