//! What a member keeps of client rings: the indexes of their logs, the actions of their avatars, and what those cost.
//!
//! [`ClientState`] is a redb database of its own beside the member's (`clients.redb`). Blocks of log nodes are in the block
//! store, and must be there before their index is written. Nodes and the action that they lead to are written in one
//! transaction ([`ClientState::take`]). The actions that are not on chain yet are listed, so that a member that starts again
//! goes on with them.
//!
//! The tables are in `client_tables.rs`, what is written into them in `client_changes.rs`, the rings' replica keys in `client_keys.rs`,
//! evidence of forks in `client_forks.rs`. Which rings and logs there are is read by `kept.rs`.

use super::{
    client_changes::{Change, Ending, Flush, Spent, Taken},
    client_tables::{copy_all, create, CURSORS, FLUSHES, NODES, OPEN, PLACES, SIZES, SPENT, TIPS},
    copying::copy_database,
    database::Durable,
    error::StateError,
    file::{claim, open_or_make},
    open::Identity,
    tables::{decode, Account, Word},
    together::Together,
};
use rings_protocol::{
    flush::{FlushStatus, HeldLogs},
    log::{LogNode, Tip},
    Address, Digest,
};
use std::{
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// A node of a client ring's logs: ring, author and position.
pub type Place = (Address, Address, u64);

/// 1: the first one.
const FORMAT: &str = "1";
const IDENTITY: &str = "clients of";

/// The database of client rings.
pub struct ClientState {
    pub(super) database: Durable,
    together: Together<Change>,
    /// How often nodes were taken in since it was opened.
    changes: AtomicU64,
}

/// The logs of one client ring.
pub struct HeldRing<'a> {
    state: &'a ClientState,
    ring: Address,
}

impl ClientState {
    /// Opens or makes the database at `path` for one member.
    ///
    /// # Errors
    /// [`StateError`]: locked by another process, damaged, of another version, or another member's.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, StateError> {
        let wanted = format!("{identity}, format {FORMAT}");
        let database = open_or_make(path, |transaction| {
            claim(transaction, path, IDENTITY, wanted.clone())?;
            create(transaction)
        })?;
        Ok(Self {
            database,
            together: Together::default(),
            changes: AtomicU64::new(0),
        })
    }

    /// The logs that are held of a ring.
    pub fn held(&self, ring: Address) -> HeldRing<'_> {
        HeldRing { state: self, ring }
    }

    /// Writes new nodes of a ring's logs and the action that came with them, in one durable transaction, which those who come at the
    /// same moment share. The blocks of the
    /// nodes must be in the store before. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn take(
        &self,
        ring: Address,
        nodes: &[LogNode],
        flush: Option<(Digest, &Flush)>,
        now: u64,
    ) -> Result<(), StateError> {
        if nodes.is_empty() && flush.is_none() {
            return Ok(());
        }
        let taken = Taken::new(ring, nodes, flush, now)?;
        self.write_together(Change::Taken(taken))?;
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// How often nodes were taken in since it was opened.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Writes a change in one durable transaction, which those who come at the same moment share.
    fn write_together(&self, change: Change) -> Result<(), StateError> {
        self.together.write(change, |batch| {
            self.database.write(|transaction| {
                batch
                    .iter()
                    .try_for_each(|change| change.write(transaction))
            })
        })
    }

    /// Bytes of a ring's log nodes that are kept.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn size(&self, ring: Address) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let size = transaction.open_table(SIZES)?.get(ring.0)?;
            Ok(size.map_or(0, |size| size.value()))
        })
    }

    /// Writes how an action ended, and what was paid.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn end(
        &self,
        msg_hash: Digest,
        status: FlushStatus,
        spent: Option<Spent>,
    ) -> Result<(), StateError> {
        self.write_together(Change::Ended(Ending {
            msg_hash,
            status,
            spent,
        }))
    }

    /// Writes what was paid for an avatar today, beside its actions.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn paid(&self, spent: Spent) -> Result<(), StateError> {
        self.write_together(Change::Paid(spent))
    }

    /// An action by its name.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn flush(&self, msg_hash: Digest) -> Result<Option<Flush>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(FLUSHES)?.get(msg_hash.0)?;
            record.map(|record| decode(record.value())).transpose()
        })
    }

    /// The actions that have not come to their end, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_flushes(&self, limit: usize) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let open = transaction.open_table(OPEN)?;
            let names = open.range::<Word>(..)?.take(limit);
            names.map(|entry| Ok(Digest(entry?.0.value()))).collect()
        })
    }

    /// The gas that was paid for each avatar, on the last day on which some was paid for it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn spent(&self) -> Result<Vec<Spent>, StateError> {
        self.database.read(|transaction| {
            let spent = transaction.open_table(SPENT)?;
            let all = spent.range::<(Account, Account)>(..)?;
            all.map(|entry| {
                let (key, value) = entry?;
                let ((ring, avatar), (day, gas)) = (key.value(), value.value());
                Ok(Spent {
                    day,
                    ring: Address(ring),
                    avatar: Address(avatar),
                    gas,
                })
            })
            .collect()
        })
    }

    /// The first node of a member's log that was not read for messages about actions.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn cursor(&self, member: Address) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let cursor = transaction.open_table(CURSORS)?.get(member.0)?;
            Ok(cursor.map_or(0, |cursor| cursor.value()))
        })
    }

    /// All nodes before `next` were read.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read_up_to(&self, member: Address, next: u64) -> Result<(), StateError> {
        self.write_together(Change::ReadUpTo(member, next))
    }
}

impl ClientState {
    /// Copies the database into the file `path`, which must be empty or absent, as it is at one moment.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn snapshot(&self, path: &Path) -> Result<(), StateError> {
        copy_database(&self.database, path, copy_all)
    }

    /// The nodes of all rings' logs behind a place, in the order of ring, author and position, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn nodes_after(
        &self,
        last: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Digest)>, StateError> {
        self.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let from = match last {
                Some((ring, author, seq)) => Bound::Excluded((ring.0, author.0, seq)),
                None => Bound::Unbounded,
            };
            let found = nodes.range::<(Account, Account, u64)>((from, Bound::Unbounded))?;
            found
                .take(limit)
                .map(|entry| {
                    let (place, digest) = entry?;
                    let (ring, author, seq) = place.value();
                    let place = (Address(ring), Address(author), seq);
                    Ok((place, Digest(digest.value())))
                })
                .collect()
        })
    }
}

impl HeldLogs for HeldRing<'_> {
    type Error = StateError;

    fn tip(&self, author: Address) -> Result<Option<Tip>, StateError> {
        self.state.database.read(|transaction| {
            let tip = transaction.open_table(TIPS)?.get((self.ring.0, author.0))?;
            Ok(tip.map(|tip| {
                let (seq, digest) = tip.value();
                Tip {
                    seq,
                    digest: Digest(digest),
                }
            }))
        })
    }

    fn digest_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, StateError> {
        self.state.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let digest = nodes.get((self.ring.0, author.0, seq))?;
            Ok(digest.map(|digest| Digest(digest.value())))
        })
    }

    fn place_of(&self, digest: Digest) -> Result<Option<(Address, u64)>, StateError> {
        self.state.database.read(|transaction| {
            let place = transaction
                .open_table(PLACES)?
                .get((self.ring.0, digest.0))?;
            Ok(place.map(|place| {
                let (author, seq) = place.value();
                (Address(author), seq)
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{crypto::SecretKey, eip712::Domain, log::OwnLog};

    fn identity(member: u8) -> Identity {
        Identity {
            chain_id: 31337,
            ring: Address([1; 20]),
            member: Address([member; 20]),
        }
    }

    struct Own(Vec<LogNode>);

    impl OwnLog for Own {
        type Error = StateError;
        fn tip(&self) -> Result<Option<Tip>, StateError> {
            Ok(self.0.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, StateError> {
            Ok(self.0.get(seq as usize).map(LogNode::digest))
        }
    }

    #[test]
    fn what_was_taken_in_is_there_when_it_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.redb");
        let (ring, key) = (Address([7; 20]), SecretKey::from_bytes(&[5; 32]).unwrap());
        let domain = Domain::new(31337, ring);
        let mut own = Own(vec![]);
        for time in 0..3 {
            let node = rings_protocol::log::seal(&own, vec![], vec![], Some(time), &domain, &key);
            own.0.push(node.unwrap());
        }
        let (avatar, name) = (key.address(), Digest([9; 32]));
        let signature = key.sign(&name).unwrap();
        let flush = Flush::received((ring, avatar), b"mtx", signature, 12, true);
        {
            let state = ClientState::open(&path, &identity(1)).unwrap();
            state.take(ring, &own.0, Some((name, &flush)), 9).unwrap();
            state.read_up_to(Address([1; 20]), 8).unwrap();
        }
        let state = ClientState::open(&path, &identity(1)).unwrap();
        let held = state.held(ring);
        assert_eq!(held.tip(avatar).unwrap(), Some(own.0[2].tip()));
        assert_eq!(held.digest_at(avatar, 1).unwrap(), Some(own.0[1].digest()));
        let bytes: usize = own.0.iter().map(|node| node.bytes().len()).sum();
        assert_eq!(state.size(ring).unwrap(), bytes as u64);
        assert_eq!(held.place_of(own.0[1].digest()).unwrap(), Some((avatar, 1)));
        assert_eq!(state.held(Address([8; 20])).tip(avatar).unwrap(), None);
        assert_eq!(state.open_flushes(9).unwrap(), [name]);
        let read = state.flush(name).unwrap().unwrap();
        assert_eq!(read, flush);
        assert_eq!(
            read.signed().unwrap(),
            (b"mtx".to_vec(), signature.to_bytes())
        );
        assert_eq!(state.cursor(Address([1; 20])).unwrap(), 8);

        let status = FlushStatus::Relayed {
            transaction: Digest([3; 32]),
            fee: u128::MAX,
        };
        let spent = Spent {
            day: 3,
            ring,
            avatar,
            gas: 70_000,
        };
        state.end(name, status.clone(), Some(spent)).unwrap();
        assert_eq!(state.open_flushes(9).unwrap(), []);
        assert_eq!(state.flush(name).unwrap().unwrap().status, status);
        assert_eq!(state.spent().unwrap(), [spent]);
    }

    #[test]
    fn it_belongs_to_one_member() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.redb");
        drop(ClientState::open(&path, &identity(1)).unwrap());
        let other = ClientState::open(&path, &identity(2));
        assert!(matches!(other, Err(StateError::Foreign { .. })));
    }
}
