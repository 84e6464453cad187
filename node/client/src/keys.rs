//! The keys of a private client ring: those of the recovery line, and those that members have made since.
//!
//! When somebody who has a key leaves, one of the others makes a new one ([`ClientKeys::rotate`]): a [`Rotation`] and the
//! wrapped keys are two messages of one node, sealed with the old key. Whoever reads that node learns the new key
//! ([`ClientKeys::hear`]), if it was wrapped for it. The keys are shared by the own log and the copies of the others', so
//! what stands in one log opens the next one, and seals what is written from then on.
//!
//! A key has an epoch: the sum of the epochs of the client ring and of the ring that keeps it, which rises with each
//! change of either. The key of the highest epoch seals, and there the one with the least name. One for an epoch that the
//! chain has not reached ([`ClientKeys::reached`]), or of somebody who is no member any more, does not seal: who leaves
//! would go on choosing the key.
//!
//! A new key is wrapped for members who have written under the one before: they have shown that they could read. That the chain
//! lists a member is not enough.

use crate::recovery::LineKey;
use cid::Cid;
use rings_protocol::{
    crypto::{PublicKey, SecretKey},
    eip712::Domain,
    log::{LogNode, OwnLog},
    message::Message,
    private::{
        body_key, unwrap, Keyring, PrivateOpenError, PrivateSealError, ReadKey, Rotation,
        SealedError, WrapError, WrappedKey, Wraps,
    },
    Address, Digest,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Keys that are made until one comes before those of its epoch: far more than are needed.
const MOST_TRIES: usize = 100_000;

/// The keys of a ring, shared by all clones.
#[derive(Clone)]
pub struct ClientKeys(Arc<RwLock<Held>>);

/// Epoch and name of a key. The greatest seals.
type Made = (u64, Reverse<Digest>);

struct Held {
    keys: Keyring,
    /// The account that keys are wrapped for; nothing for who only reads with the keys of the line.
    own: Option<SecretKey>,
    /// The keys that are held, and who announced each; nobody, if it was in the recovery line.
    made: BTreeMap<Made, (ReadKey, Option<Address>)>,
    /// Keys that only open.
    old: Vec<ReadKey>,
    /// What the chain has said last.
    now: Option<(u64, BTreeSet<Address>)>,
    /// Who has each key: for whom it was wrapped, and who has written under it.
    holders: BTreeMap<Digest, BTreeSet<Address>>,
    /// The keys whose rotation was read, so that it is known for whom they were wrapped.
    rotated: BTreeSet<Digest>,
    /// Public keys of those who have written.
    writers: BTreeMap<Address, PublicKey>,
}

/// What the reader of a node learns about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNews {
    /// There is a key that was not held before.
    Key {
        /// The epoch for which it was made.
        epoch: u64,
        /// Its name.
        name: Digest,
    },
    /// There is a key that was not wrapped for this avatar.
    LeftOut {
        /// The epoch for which it was made.
        epoch: u64,
        /// Its name.
        name: Digest,
    },
}

/// What is written to change the key of a ring.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The epoch for which it was made.
    pub epoch: u64,
    /// Its name.
    pub name: Digest,
    /// The body of the node that announces it, sealed with the key before.
    pub messages: Vec<Message>,
    /// Members that have written nothing, so that it could not be wrapped for them: they need the new recovery line.
    pub left_out: BTreeSet<Address>,
}

/// Why no new key can be made.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// Whose keys these are is not known.
    #[error("keys can be changed by an avatar of the ring only")]
    NoAvatar,
    /// It cannot be wrapped.
    #[error("the new key cannot be wrapped")]
    Wrap(#[source] WrapError),
    /// None was found that comes before those of its epoch.
    #[error("no key was found that comes before the ones of epoch {epoch}; it can be changed when the members of the ring change")]
    Taken {
        /// The epoch.
        epoch: u64,
    },
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKeys")
            .field("keys", &self.line_keys())
            .finish()
    }
}

impl ClientKeys {
    /// The keys of a recovery line. `own` is the avatar for whom new ones are wrapped.
    pub fn new(domain: &Domain, line: &[LineKey], own: Option<&SecretKey>) -> Self {
        let mut held = Held {
            keys: Keyring::new(*domain),
            own: own.cloned(),
            made: BTreeMap::new(),
            old: Vec::new(),
            now: None,
            holders: BTreeMap::new(),
            rotated: BTreeSet::new(),
            writers: BTreeMap::new(),
        };
        if let Some(own) = own {
            held.writers.insert(own.address(), own.public_key());
        }
        for LineKey { epoch, key } in line {
            match epoch {
                Some(epoch) => held.add(*epoch, key.clone(), None),
                None if held.keys.add_read(key.clone()) => held.old.push(key.clone()),
                None => {}
            }
        }
        Self(Arc::new(RwLock::new(held)))
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// All keys, as a recovery line has them: those that may not seal first, without an epoch, then the others, oldest first.
    pub fn line_keys(&self) -> Vec<LineKey> {
        let held = self.held();
        let old = held.old.iter().map(|key| (None, key));
        let made = held.made.iter().map(|(made, (key, _))| {
            let epoch = held.seals(made).then_some(made.0);
            (epoch, key)
        });
        let keys = old.chain(made).map(|(epoch, key)| LineKey {
            epoch,
            key: key.clone(),
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by_key(|key| key.epoch);
        keys
    }

    /// How many keys are held.
    pub fn count(&self) -> usize {
        let held = self.held();
        held.old.len() + held.made.len()
    }

    /// The chain has reached an epoch, in which these are the members of the ring. Keys for later epochs, and of others, do not
    /// seal.
    pub fn reached(&self, epoch: u64, members: &[Address]) {
        self.held_mut().now = Some((epoch, members.iter().copied().collect()));
    }

    /// The key that seals now.
    pub fn current(&self) -> Option<LineKey> {
        let held = self.held();
        let ((epoch, _), key) = held.current()?;
        Some(LineKey {
            epoch: Some(*epoch),
            key: key.clone(),
        })
    }

    /// Signs the next node of a log and seals it with the current key.
    ///
    /// # Errors
    /// [`PrivateSealError`]; then nothing was signed that could be sent.
    pub fn seal<L: OwnLog>(
        &self,
        log: &L,
        messages: &[Message],
        from: (Vec<Cid>, Option<u64>),
        key: &SecretKey,
    ) -> Result<LogNode, PrivateSealError<L::Error>> {
        let held = self.held();
        let name = held.current_name().unwrap_or_default();
        held.keys.seal_by(name, log, messages, from, key)
    }

    /// Opens a node: its order, links and author.
    ///
    /// # Errors
    /// [`PrivateOpenError`].
    pub fn open(&self, bytes: &[u8]) -> Result<LogNode, PrivateOpenError> {
        self.held().keys.open(bytes)
    }

    /// What a node says.
    ///
    /// # Errors
    /// [`SealedError`] when its key is not held.
    pub fn read(&self, node: &LogNode) -> Result<Vec<Message>, SealedError> {
        self.held().keys.read(node)
    }

    /// Learns from a node that was opened and stands in its author's log: who has which key, and new keys.
    pub fn hear(&self, node: &LogNode) -> Vec<KeyNews> {
        let Some(name) = body_key(&node.content().body) else {
            return Vec::new();
        };
        let Ok(messages) = self.read(node) else {
            return Vec::new();
        };
        let mut held = self.held_mut();
        // Only who has the key can have sealed a body that opens.
        let author = node.author();
        held.holders.entry(name).or_default().insert(author);
        if !held.writers.contains_key(&author) {
            if let Some(key) = public_key(held.keys.domain(), node) {
                held.writers.insert(author, key);
            }
        }
        let wraps: Vec<_> = messages
            .iter()
            .filter_map(|message| Wraps::from_message(message).ok().flatten())
            .collect();
        let rotations = messages
            .iter()
            .filter_map(|message| Rotation::from_message(message).ok().flatten());
        rotations
            .filter_map(|rotation| {
                let wraps = wraps
                    .iter()
                    .find(|wraps| wraps.to_block().0 == rotation.wraps)?;
                held.take(author, &rotation, wraps)
            })
            .collect()
    }

    /// Who has the current key, and is neither among the members nor among those who keep the ring: because of them it is to be
    /// changed.
    pub fn left(&self, members: &[Address], keepers: &[Address]) -> BTreeSet<Address> {
        let held = self.held();
        let name = held.current_name();
        let holders = name.and_then(|name| held.holders.get(&name));
        let left = holders.into_iter().flatten().copied();
        left.filter(|holder| !members.contains(holder) && !keepers.contains(holder))
            .collect()
    }

    /// Whether it is known for whom the current key was wrapped. It is not for the key of the recovery line, of which replicas tell
    /// when somebody of them has left.
    pub fn is_rotated(&self) -> bool {
        let held = self.held();
        let name = held.current_name();
        name.is_some_and(|name| held.rotated.contains(&name))
    }

    /// Those who have written under a key that is held, of the members: a new key can be wrapped for them.
    pub fn readers(&self, members: &[Address]) -> BTreeSet<Address> {
        let held = self.held();
        let readers = members.iter();
        let readers = readers.filter(|member| held.writers.contains_key(*member));
        readers.copied().collect()
    }

    /// Makes a new key for an epoch, wrapped for those of the members who have written, and its replica key for those who keep
    /// the ring. It seals from when its node stands in the own log and was heard ([`ClientKeys::hear`]).
    ///
    /// # Errors
    /// [`RotateError`].
    pub fn rotate(
        &self,
        epoch: u64,
        (members, keepers): (&[Address], &[PublicKey]),
        mut random: impl FnMut(&mut [u8; 32]),
    ) -> Result<NewKey, RotateError> {
        let mut held = self.held_mut();
        let own = held.own.clone().ok_or(RotateError::NoAvatar)?;
        // The epoch may fall with a reorganisation of the chain; a key of a lower one would not seal.
        let last = held.current().map(|(made, _)| *made);
        let epoch = epoch.max(last.map_or(0, |(epoch, _)| epoch));
        let key = (0..MOST_TRIES)
            .map(|_| ReadKey::generate(held.keys.domain(), &mut random))
            .find(|key| last.is_none_or(|last| (epoch, Reverse(key.name())) > last));
        let key = key.ok_or(RotateError::Taken { epoch })?;
        let readers: Vec<_> = members
            .iter()
            .filter(|member| **member != own.address())
            .filter_map(|member| held.writers.get(member).copied())
            .chain([own.public_key()])
            .collect();
        let left_out = members.iter();
        let left_out = left_out.filter(|member| !held.writers.contains_key(*member));
        let left_out = left_out.copied().collect();
        for to in readers.iter().chain(keepers) {
            held.keys.approve(to.address());
        }
        let made = held.keys.rotate_to(key, epoch, (&readers, keepers), random);
        let (rotation, wraps) = made.map_err(RotateError::Wrap)?;
        Ok(NewKey {
            epoch,
            name: rotation.read,
            messages: vec![rotation.to_message(), wraps.to_message()],
            left_out,
        })
    }

    /// The replica key whose name this is, or the current one, wrapped for a member that keeps the ring.
    ///
    /// # Errors
    /// [`WrapError`] when the public key is not a point of the curve.
    pub fn wrapped_for_replica(
        &self,
        to: &PublicKey,
        random: impl FnMut(&mut [u8; 32]),
    ) -> Result<Vec<u8>, WrapError> {
        let mut held = self.held_mut();
        let Some((epoch, key)) = held
            .current()
            .map(|((epoch, _), key)| (*epoch, key.replica_key()))
        else {
            return Ok(Vec::new());
        };
        held.keys.approve(to.address());
        let wrapped = held.keys.wrap(epoch, &WrappedKey::Replica(key), to, random);
        wrapped.map(|(_, wrapped)| wrapped)
    }
}

impl Held {
    fn add(&mut self, epoch: u64, key: ReadKey, by: Option<Address>) {
        if self.keys.add_read(key.clone()) {
            self.made.insert((epoch, Reverse(key.name())), (key, by));
        }
    }

    fn seals(&self, made: &Made) -> bool {
        let Some((epoch, members)) = &self.now else {
            return true;
        };
        let by = self.made.get(made).and_then(|(_, by)| *by);
        made.0 <= *epoch && by.is_none_or(|by| members.contains(&by))
    }

    /// The newest key that may seal; if there is none, the oldest one.
    fn current(&self) -> Option<(&Made, &ReadKey)> {
        let newest = self.made.iter().rev().find(|(made, _)| self.seals(made));
        let current = newest.or_else(|| self.made.first_key_value());
        current.map(|(made, (key, _))| (made, key))
    }

    /// Its name.
    fn current_name(&self) -> Option<Digest> {
        self.current().map(|((_, name), _)| name.0)
    }

    fn take(&mut self, author: Address, rotation: &Rotation, wraps: &Wraps) -> Option<KeyNews> {
        let (epoch, name) = (rotation.epoch, rotation.read);
        let is_new = self.rotated.insert(name);
        self.holders
            .entry(name)
            .or_default()
            .extend(wraps.accounts());
        let is_old = self.old.iter().any(|key| key.name() == name);
        if !is_new || is_old || self.made.keys().any(|(_, made)| made.0 == name) {
            return None;
        }
        match self.unwrapped(rotation, wraps) {
            Some(key) => {
                self.add(epoch, key, Some(author));
                Some(KeyNews::Key { epoch, name })
            }
            None => Some(KeyNews::LeftOut { epoch, name }),
        }
    }

    /// The announced key, if it was wrapped for this avatar.
    fn unwrapped(&self, rotation: &Rotation, wraps: &Wraps) -> Option<ReadKey> {
        let own = self.own.as_ref()?;
        let wrapped = wraps.of(own.address())?;
        match unwrap(self.keys.domain(), own, wrapped).ok()? {
            (epoch, WrappedKey::Read(key))
                if (epoch, key.name()) == (rotation.epoch, rotation.read) =>
            {
                Some(key)
            }
            _ => None,
        }
    }
}

/// The public key that signed a node.
fn public_key(domain: &Domain, node: &LogNode) -> Option<PublicKey> {
    let signed = node.signed();
    let digest = domain
        .log_node(node.seq(), signed.prev, signed.content)
        .digest();
    signed.signature.recover(&digest).ok()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
