//! The keys of this member's ring, if it is private: shared by all parts that read or write its log nodes.
//!
//! Whether a ring is private, and who may read it, is decided by each operator: `[ring] readers` names the accounts that this
//! member has approved. That the chain lists a member is not enough, for whoever keeps or pays for a ring must not read it. A
//! key is given only to an account that is approved here and a member now.
//!
//! Each epoch has a key of its own, so who has left reads nothing that is written later. [`RingKeys::rotate`] makes one;
//! who needs one asks a member that holds nodes under it (`core/keys.rs`). A key is on disk, wrapped to this member's own
//! account, before it seals anything.

use crate::{
    signer::MemberKey,
    state::{MemberState, StateError},
};
use rings_protocol::{
    cids::node_cid,
    crypto::{PublicKey, SecretKey, Signer},
    eip712::Domain,
    private::{
        node_key, unwrap, Keyring, LogForm, ReadKey, Rotation, Unsealed, WrapError, WrappedKey,
    },
    Address, Digest,
};
use rings_store::{Block, StoreError};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

/// Why a key cannot be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not on disk.
    #[error("a key of the ring cannot be kept")]
    State(#[from] StateError),
    /// It cannot be wrapped, or what came is no key.
    #[error("a key of the ring cannot be wrapped or unwrapped")]
    Wrap(#[from] WrapError),
    /// The block of wrapped keys.
    #[error("the wrapped keys are no block")]
    Block(#[from] StoreError),
    /// It is another key than the one that was asked for.
    #[error("a member gave another key than the one that was asked for")]
    Another,
    /// The member's key is not here.
    #[error("the keys of a private ring are wrapped to the member's key, and a signer has it, which unwraps nothing: use [key] in this ring")]
    Signer,
    /// The ring is not private.
    #[error("this member was not told that the ring is private; set [ring] readers")]
    Open,
}

/// The keys of the ring.
pub struct RingKeys {
    key: MemberKey,
    /// The accounts that this member lets read; nobody where the ring is open.
    readers: BTreeSet<Address>,
    state: Arc<MemberState>,
    /// Replaced as a whole, so that whoever opens thousands of nodes holds no lock.
    form: RwLock<Arc<LogForm>>,
}

impl RingKeys {
    /// With the keys that are on disk. `readers` is empty for a ring that everybody may read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(
        domain: Domain,
        key: impl Into<MemberKey>,
        readers: &[Address],
        state: Arc<MemberState>,
    ) -> Result<Self, KeyError> {
        let key = key.into();
        let mut readers: BTreeSet<_> = readers.iter().copied().collect();
        let form = match readers.is_empty() {
            true => LogForm::Open(domain),
            false => {
                readers.insert(key.address());
                let secret = key.secret().ok_or(KeyError::Signer)?;
                LogForm::Private(Box::new(keyring(domain, secret, &readers, &state)?))
            }
        };
        Ok(Self {
            key,
            readers,
            state,
            form: RwLock::new(Arc::new(form)),
        })
    }

    /// How nodes are written and read now.
    pub fn form(&self) -> Arc<LogForm> {
        let form = self.form.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&form)
    }

    /// Whether the ring is private.
    pub fn is_private(&self) -> bool {
        !self.readers.is_empty()
    }

    /// Whether own nodes can be written in this epoch.
    pub fn may_write(&self, epoch: u64) -> bool {
        match &*self.form() {
            LogForm::Open(_) => true,
            LogForm::Private(keys) => keys.of_epoch(epoch).is_some(),
        }
    }

    /// What a sealed node of this ring is to who may read it; nothing for any other block.
    pub fn unseal(&self, bytes: &[u8]) -> Option<Unsealed> {
        match &*self.form() {
            LogForm::Private(keys) if node_key(bytes).is_ok() => keys.unseal(bytes).ok(),
            _ => None,
        }
    }

    /// Whether a block is sealed with a key of this ring.
    pub fn is_sealed(&self, bytes: &[u8]) -> bool {
        match &*self.form() {
            LogForm::Private(keys) => node_key(bytes).is_ok_and(|name| keys.opens(name)),
            LogForm::Open(_) => false,
        }
    }

    /// Makes the key of an epoch, for those of these members that this one lets read. It is on disk when this returns. The
    /// block has to be stored and the rotation written into the own log.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing has changed.
    pub fn rotate(&self, epoch: u64, members: &[PublicKey]) -> Result<(Rotation, Block), KeyError> {
        let form = self.form();
        let LogForm::Private(keys) = &*form else {
            return Err(KeyError::Open);
        };
        let mut keys = keys.clone();
        let own = [self.key.public_key()];
        let others = members
            .iter()
            .filter(|key| key.address() != own[0].address());
        let all: Vec<_> = others.copied().chain(own).collect();
        let (rotation, wraps) = keys.rotate(epoch, (&all, &[]), random)?;
        let own = wraps.of(self.key.address()).ok_or(KeyError::Another)?;
        self.state.keep_key(rotation.read, epoch, own)?;
        let (digest, bytes) = wraps.to_block();
        let block = Block::new(node_cid(digest), bytes.into())?;
        self.change(|keys| {
            if let Ok(key) = self.unwrap(keys.domain(), own) {
                add(keys, key.1);
            }
            keys.announced(&rotation, 0);
        });
        Ok((rotation, block))
    }

    /// Takes a key that a member gave, if it is the one whose replica key has this name. It is on disk when this returns.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn take(&self, name: Digest, wrapped: &[u8]) -> Result<(), KeyError> {
        let (epoch, key) = self.unwrap(self.form().domain(), wrapped)?;
        let WrappedKey::Read(read) = &key else {
            return Err(KeyError::Another);
        };
        if read.replica_key().name() != name {
            return Err(KeyError::Another);
        }
        self.state.keep_key(read.name(), epoch, wrapped)?;
        self.change(|keys| add(keys, key));
        Ok(())
    }

    /// A member's log announces a key. It counts in its epoch, and only from a member that was approved here: otherwise
    /// whoever enters members could have the others seal with a key that it knows.
    pub fn announced(&self, by: Address, rotation: &Rotation) {
        if self.is_reader(by) {
            self.change(|keys| keys.announced(rotation, 0));
        }
    }

    /// Whether this member lets an account read.
    pub fn is_reader(&self, account: Address) -> bool {
        self.readers.contains(&account)
    }

    /// The key whose replica key has this name, wrapped for an account, if this member lets it read.
    pub fn give(&self, to: &PublicKey, name: Digest) -> Option<Vec<u8>> {
        let form = self.form();
        let LogForm::Private(keys) = &*form else {
            return None;
        };
        let read: &ReadKey = keys.read_key_of(name)?;
        let epoch = keys.epoch_of(read.name());
        let wrapped = keys.wrap(epoch, &WrappedKey::Read(read.clone()), to, random);
        // Only accounts in `readers` are approved, and the keyring asks that.
        wrapped.ok().map(|(_, wrapped)| wrapped)
    }

    /// A wrapping for this member. There is no private ring without the key on this machine.
    fn unwrap(&self, domain: &Domain, wrapped: &[u8]) -> Result<(u64, WrappedKey), KeyError> {
        let key = self.key.secret().ok_or(KeyError::Signer)?;
        Ok(unwrap(domain, key, wrapped)?)
    }

    fn change(&self, change: impl FnOnce(&mut Keyring)) {
        let mut form = self.form.write().unwrap_or_else(PoisonError::into_inner);
        if let LogForm::Private(keys) = &**form {
            let mut keys = keys.clone();
            change(&mut keys);
            *form = Arc::new(LogForm::Private(keys));
        }
    }
}

fn random(bytes: &mut [u8; 32]) {
    use rand::RngCore;
    rand::rngs::OsRng.fill_bytes(bytes);
}

fn add(keys: &mut Keyring, key: WrappedKey) {
    let added = match key {
        WrappedKey::Read(key) => keys.add_read(key),
        WrappedKey::Replica(key) => keys.add_replica(key),
    };
    if !added {
        tracing::warn!(
            "there is no room for another key of the ring; nodes under it cannot be read"
        );
    }
}

/// The keys that are on disk.
fn keyring(
    domain: Domain,
    key: &SecretKey,
    readers: &BTreeSet<Address>,
    state: &MemberState,
) -> Result<Keyring, StateError> {
    let (mut keys, held) = (Keyring::new(domain), state.held_keys()?);
    readers.iter().for_each(|reader| keys.approve(*reader));
    for wrapped in held.wrapped {
        match unwrap(&domain, key, &wrapped) {
            Ok((_, key)) => add(&mut keys, key),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(error = cause, "a kept key of the ring cannot be unwrapped");
            }
        }
    }
    let approved = held.rotations.iter().filter(|(by, _)| readers.contains(by));
    approved.for_each(|(_, rotation)| keys.announced(rotation, 0));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Identity;

    const EPOCH: u64 = 3;

    fn account(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn of(n: u8, readers: &[u8], directory: &tempfile::TempDir) -> RingKeys {
        let readers: Vec<_> = readers.iter().map(|n| account(*n).address()).collect();
        let identity = Identity {
            chain_id: 31337,
            ring: Address([7; 20]),
            member: account(n).address(),
        };
        let path = directory.path().join(format!("{n}.redb"));
        let state = Arc::new(MemberState::open(&path, &identity).unwrap());
        RingKeys::open(domain(), account(n), &readers, state).unwrap()
    }

    #[test]
    fn a_key_is_given_to_those_that_were_approved_and_kept_by_them() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (of(1, &[2], &directory), of(2, &[1, 3], &directory));
        let puppet = account(9).address();
        assert!(!one.may_write(EPOCH) && one.is_private());
        let members = [1, 2, 3].map(|n| account(n).public_key());
        let (rotation, block) = one.rotate(EPOCH, &members).unwrap();
        assert!(one.may_write(EPOCH) && !one.may_write(EPOCH + 1));
        let wraps = rings_protocol::private::Wraps::from_bytes(block.data()).unwrap();
        let accounts: BTreeSet<_> = wraps.accounts().collect();
        assert_eq!(accounts, [1, 2].map(|n| account(n).address()).into());

        let name = rotation.replica;
        assert_eq!(
            one.give(&account(3).public_key(), name),
            None,
            "not approved"
        );
        assert_eq!(two.give(&account(1).public_key(), name), None, "not held");
        let given = one.give(&account(2).public_key(), name).unwrap();
        assert!(matches!(
            two.take(Digest([1; 32]), &given),
            Err(KeyError::Another)
        ));
        assert!(of(3, &[1], &directory).take(name, &given).is_err());
        two.take(name, &given).unwrap();
        assert!(!two.may_write(EPOCH), "no log has announced it");
        two.announced(puppet, &rotation);
        assert!(!two.may_write(EPOCH), "only that of a stranger has");
        two.announced(account(3).address(), &rotation);
        assert!(two.may_write(EPOCH), "two has approved the third");
        // The second one has approved the third, and gives it what it got.
        assert!(two.give(&account(3).public_key(), name).is_some());
        drop(two);
        let two = of(2, &[1], &directory);
        assert!(
            two.give(&account(1).public_key(), name).is_some(),
            "it is on disk"
        );
        assert!(
            !two.may_write(EPOCH),
            "no node that says so was written here"
        );
    }

    #[test]
    fn a_ring_without_readers_is_open_and_has_no_keys() {
        let directory = tempfile::tempdir().unwrap();
        let open = of(1, &[], &directory);
        assert!(open.may_write(EPOCH) && !open.is_private());
        assert!(matches!(open.rotate(EPOCH, &[]), Err(KeyError::Open)));
        assert_eq!(open.give(&account(1).public_key(), Digest([1; 32])), None);
    }
}
