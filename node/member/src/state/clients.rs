//! What a member keeps of client rings: the indexes of their logs, the actions of their avatars, and what those cost.
//!
//! [`ClientState`] is a redb database of its own beside the member's (`clients.redb`). Blocks of log nodes are in the block
//! store, and must be there before their index is written. Nodes and the action that they lead to are written in one
//! transaction ([`ClientState::take`]). Which rings and logs there are is read by `kept.rs`. The actions that are not on chain yet are listed, so that a member that starts again
//! goes on with them.

use super::{
    copying::copy_database,
    database::Durable,
    error::StateError,
    file::{claim, open_or_make},
    open::Identity,
    tables::{decode, encode, Account, Word, META},
    together::Together,
};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use rings_protocol::{
    crypto::{CryptoError, Signature},
    flush::{FlushStatus, HeldLogs},
    log::{LogNode, Tip},
    Address, Digest,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// A node of a client ring's logs: ring, author and position.
pub type Place = (Address, Address, u64);

/// 1: the first one.
const FORMAT: &str = "1";
const IDENTITY: &str = "clients of";
/// Most keys of one client ring: it gets one more each time somebody leaves.
const MAX_RING_KEYS: usize = 256;

/// Ring → record, JSON.
pub(super) const RINGS: TableDefinition<'_, Account, &[u8]> = TableDefinition::new("rings");
/// (ring, author, sequence number) → digest.
pub(super) const NODES: TableDefinition<'_, (Account, Account, u64), Word> =
    TableDefinition::new("nodes");
/// (ring, author) → end of its log.
pub(super) const TIPS: TableDefinition<'_, (Account, Account), (u64, Word)> =
    TableDefinition::new("tips");
/// (ring, digest) → (author, sequence number).
pub(super) const PLACES: TableDefinition<'_, (Account, Word), (Account, u64)> =
    TableDefinition::new("places");
/// (ring, author) → when its end was taken in, in milliseconds since 1970.
pub(super) const SINCE: TableDefinition<'_, (Account, Account), u64> =
    TableDefinition::new("since");
/// Ring → bytes of its log nodes.
pub(super) const SIZES: TableDefinition<'_, Account, u64> = TableDefinition::new("sizes");
/// Name of an action → record, JSON.
const FLUSHES: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("flushes");
/// Names of actions that have not come to their end.
const OPEN: TableDefinition<'_, Word, ()> = TableDefinition::new("open");
/// Member → the first node of its log that was not read for messages about actions.
const CURSORS: TableDefinition<'_, Account, u64> = TableDefinition::new("cursors");
/// (ring, avatar) → (day, gas that was paid on it).
const SPENT: TableDefinition<'_, (Account, Account), (u64, u64)> = TableDefinition::new("spent");
/// (ring, avatar) → evidence that it forked its log, JSON.
pub(super) const FORKS: TableDefinition<'_, (Account, Account), &[u8]> =
    TableDefinition::new("forks");

/// An action of an avatar, as this member has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flush {
    /// The avatar's ring.
    pub ring: Address,
    /// Who acts.
    pub avatar: Address,
    /// `abi.encode(CompoundAction)`, in hexadecimal.
    mtx: String,
    /// The avatar's signature.
    signature: Signature,
    /// The height of the chain when it was taken in: its transaction is in a later block.
    pub since: u64,
    /// Whether this member wrote into its own log that it took it in.
    pub mine: bool,
    /// How far it is.
    pub status: FlushStatus,
}

/// A client ring that was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// The action that registers it.
    pub registered_by: Option<Digest>,
    /// Its replica keys, wrapped to this member, in hexadecimal.
    pub keys: Vec<String>,
    /// Since when each of them is kept, in seconds of the chain.
    #[serde(default)]
    pub since: Vec<u64>,
    /// Members of this ring to which the newest key was wrapped, by whomever.
    #[serde(default)]
    pub shared: BTreeSet<Address>,
}

/// What was paid for an avatar on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The day, counted from 1970.
    pub day: u64,
    /// The avatar's ring.
    pub ring: Address,
    /// The avatar.
    pub avatar: Address,
    /// Gas.
    pub gas: u64,
}

impl Flush {
    /// An action that was taken in.
    pub fn received(
        (ring, avatar): (Address, Address),
        mtx: &[u8],
        signature: Signature,
        since: u64,
        mine: bool,
    ) -> Self {
        Self {
            ring,
            avatar,
            mtx: hex::encode(mtx),
            signature,
            since,
            mine,
            status: FlushStatus::Received,
        }
    }

    /// The bytes of the action and of its signature.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn signed(&self) -> Result<(Vec<u8>, [u8; 65]), StateError> {
        let mtx = hex::decode(&self.mtx).map_err(|error| StateError::Format(error.into()))?;
        let bytes = self.signature.to_bytes();
        let checked: Result<_, CryptoError> = Signature::from_slice(&bytes);
        checked.map_err(|error| StateError::Format(error.into()))?;
        Ok((mtx, bytes))
    }
}

/// The database of client rings.
pub struct ClientState {
    pub(super) database: Durable,
    together: Together<Change>,
    /// How often nodes were taken in since it was opened.
    changes: AtomicU64,
}

/// What is written together with what others write at the same moment.
enum Change {
    Taken(Taken),
    Ended(Ending),
    Paid(Spent),
    /// All nodes of a member's log before this one were read.
    ReadUpTo(Address, u64),
}

impl Change {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        match self {
            Self::Taken(taken) => taken.write(transaction),
            Self::Ended(ending) => ending.write(transaction),
            Self::Paid(spent) => spent.write(transaction),
            Self::ReadUpTo(member, next) => {
                transaction.open_table(CURSORS)?.insert(member.0, *next)?;
                Ok(())
            }
        }
    }
}

/// How an action ended, and what was paid for its avatar today.
struct Ending {
    msg_hash: Digest,
    status: FlushStatus,
    spent: Option<Spent>,
}

impl Ending {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let name = self.msg_hash.0;
        let mut flushes = transaction.open_table(FLUSHES)?;
        let record = flushes.get(name)?.map(|record| decode(record.value()));
        if let Some(record) = record {
            let status = self.status.clone();
            let flush = Flush { status, ..record? };
            flushes.insert(name, encode(&flush)?.as_slice())?;
        }
        transaction.open_table(OPEN)?.remove(name)?;
        let spent = self.spent.as_ref();
        spent.map_or(Ok(()), |spent| spent.write(transaction))
    }
}

impl Spent {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let mut spent = transaction.open_table(SPENT)?;
        spent.insert((self.ring.0, self.avatar.0), (self.day, self.gas))?;
        Ok(())
    }
}

/// What is written when nodes are taken in.
struct Taken {
    ring: Address,
    nodes: Vec<TakenNode>,
    /// The name of the action that came with them, and its record.
    flush: Option<(Digest, Vec<u8>)>,
    now: u64,
}

/// A node as the index has it.
struct TakenNode {
    author: Account,
    seq: u64,
    digest: Word,
    bytes: u64,
}

impl TakenNode {
    fn of(node: &LogNode) -> Self {
        Self {
            author: node.author().0,
            seq: node.seq(),
            digest: node.digest().0,
            bytes: node.bytes().len() as u64,
        }
    }
}

impl Taken {
    fn write(&self, transaction: &WriteTransaction) -> Result<(), StateError> {
        let ring = self.ring.0;
        let mut index = transaction.open_table(NODES)?;
        let mut tips = transaction.open_table(TIPS)?;
        let mut places = transaction.open_table(PLACES)?;
        let mut since = transaction.open_table(SINCE)?;
        for node in &self.nodes {
            let (author, seq, digest) = (node.author, node.seq, node.digest);
            index.insert((ring, author, seq), digest)?;
            tips.insert((ring, author), (seq, digest))?;
            since.insert((ring, author), self.now)?;
            places.insert((ring, digest), (author, seq))?;
        }
        // What a ring takes on this disk is counted with its nodes, so that its limit holds after a restart too.
        let added: u64 = self.nodes.iter().map(|node| node.bytes).sum();
        let mut sizes = transaction.open_table(SIZES)?;
        let before = sizes.get(ring)?.map_or(0, |size| size.value());
        sizes.insert(ring, before.saturating_add(added))?;
        if let Some((msg_hash, record)) = &self.flush {
            let mut flushes = transaction.open_table(FLUSHES)?;
            flushes.insert(msg_hash.0, record.as_slice())?;
            transaction.open_table(OPEN)?.insert(msg_hash.0, ())?;
        }
        Ok(())
    }
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
        let taken = Taken {
            ring,
            nodes: nodes.iter().map(TakenNode::of).collect(),
            flush: match flush {
                Some((msg_hash, flush)) => Some((msg_hash, encode(flush)?)),
                None => None,
            },
            now,
        };
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

    /// A client ring that was handed over.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keeping(&self, ring: Address) -> Result<Option<Keeping>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(RINGS)?.get(ring.0)?;
            record.map(|record| decode(record.value())).transpose()
        })
    }

    /// Keeps a client ring: adds a wrapped replica key with the time of the chain, and names the action that registers it, where they are given. Returns
    /// false if there is no room for the key.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn keep(
        &self,
        ring: Address,
        key: Option<(&str, u64)>,
        registered_by: Option<Digest>,
    ) -> Result<bool, StateError> {
        self.database.write(|transaction| {
            let mut rings = transaction.open_table(RINGS)?;
            let record = rings.get(ring.0)?.map(|record| decode(record.value()));
            let mut keeping: Keeping = record.transpose()?.unwrap_or_default();
            let key = key.filter(|(key, _)| keeping.keys.iter().all(|known| known != key));
            if let Some((key, since)) = key {
                if keeping.keys.len() >= MAX_RING_KEYS {
                    return Ok(false);
                }
                // Those from before times were noted count as kept for long.
                keeping.since.resize(keeping.keys.len(), 0);
                keeping.since.push(since);
                keeping.keys.push(key.to_owned());
                keeping.shared.clear();
            }
            keeping.registered_by = registered_by.or(keeping.registered_by);
            rings.insert(ring.0, encode(&keeping)?.as_slice())?;
            Ok(true)
        })
    }

    /// The newest replica key of a ring was wrapped to these members.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn shared(
        &self,
        ring: Address,
        members: impl IntoIterator<Item = Address>,
    ) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut rings = transaction.open_table(RINGS)?;
            let record = rings.get(ring.0)?.map(|record| decode(record.value()));
            let keeping: Option<Keeping> = record.transpose()?;
            if let Some(mut keeping) = keeping {
                keeping.shared.extend(members);
                rings.insert(ring.0, encode(&keeping)?.as_slice())?;
            }
            Ok(())
        })
    }
}

impl ClientState {
    /// Copies the database into the file `path`, which must be empty or absent, as it is at one moment.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn snapshot(&self, path: &Path) -> Result<(), StateError> {
        copy_database(&self.database, path, |copying| {
            copying.table(META)?;
            copying.table(RINGS)?;
            copying.table(NODES)?;
            copying.table(TIPS)?;
            copying.table(PLACES)?;
            copying.table(SINCE)?;
            copying.table(SIZES)?;
            copying.table(FLUSHES)?;
            copying.table(OPEN)?;
            copying.table(CURSORS)?;
            copying.table(SPENT)?;
            copying.table(FORKS)
        })
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

fn create(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(RINGS)?;
    transaction.open_table(NODES)?;
    transaction.open_table(TIPS)?;
    transaction.open_table(PLACES)?;
    transaction.open_table(SINCE)?;
    transaction.open_table(SIZES)?;
    transaction.open_table(FLUSHES)?;
    transaction.open_table(OPEN)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(SPENT)?;
    transaction.open_table(FORKS)?;
    Ok(())
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

    #[test]
    fn a_ring_has_a_bounded_number_of_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.redb");
        let state = ClientState::open(&path, &identity(1)).unwrap();
        let ring = Address([7; 20]);
        for n in 0..MAX_RING_KEYS {
            assert!(state
                .keep(ring, Some((&n.to_string(), n as u64)), None)
                .unwrap());
        }
        assert!(!state.keep(ring, Some(("one more", 1)), None).unwrap());
        let by = Some(Digest([1; 32]));
        assert!(state.keep(ring, Some(("0", 7)), by).unwrap());
        assert!(state.keep(ring, None, None).unwrap());
        let keeping = state.keeping(ring).unwrap().unwrap();
        assert_eq!(keeping.registered_by, Some(Digest([1; 32])));
        assert_eq!(keeping.keys.len(), MAX_RING_KEYS);
        assert_eq!(keeping.since[..2], [0, 1]);
        assert_eq!(keeping.since.len(), MAX_RING_KEYS);
    }
}
