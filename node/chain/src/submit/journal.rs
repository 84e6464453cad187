//! The transaction journal: a transaction is written here before it is sent.
//!
//! A [`TransactionJournal`] is one redb file for one account on one chain, locked against other processes. It maps a
//! nonce to its record (the call, all transactions that were signed for it, and how far it is) and a purpose to its
//! nonce. [`TransactionJournal::apply`] writes several [`Change`]s in one durable transaction. After a crash the
//! records are read again, so no call is sent under a second nonce and no outcome is forgotten.

use super::record::FlightRecord;
use crate::error::{Cause, ChainError};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition};
use rings_protocol::{Address, Digest};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How the name of a journal ends that is being made.
const UNFINISHED: &str = "new";
/// How many finished transactions are remembered by their purpose.
pub const KEPT_OUTCOMES: u64 = 65_536;
/// The database's page cache, in bytes; the journal is small.
const CACHE_BYTES: usize = 1024 * 1024;

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
/// Nonce to record (JSON).
const TRANSACTIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("transactions");
/// Purpose to nonce.
const PURPOSES: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("purposes");
const OWNER: &str = "owner";

type Rows<'a> = Table<'a, u64, &'static [u8]>;
type Purposes<'a> = Table<'a, &'static [u8; 32], u64>;

/// A change of the journal.
#[derive(Debug)]
pub(super) enum Change {
    /// Write a record.
    Put(u64, Box<FlightRecord>),
    /// Remove the record of a nonce.
    Remove(u64),
    /// Forget the transaction of a purpose.
    Forget(Digest),
}

/// The journal's file, locked against other processes. Cheap to clone.
#[derive(Clone)]
pub(super) struct TransactionJournal {
    database: Arc<Database>,
    path: Arc<Path>,
}

/// An error of the database, or of the encoding of a row.
fn failure(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ChainError {
    ChainError::Journal {
        path: path.to_owned(),
        source: Cause::from(source.into()),
    }
}

/// Makes an empty journal under another name first, so that a disk that is full in the middle leaves none that cannot be
/// opened.
fn make(path: &Path) -> Result<(), ChainError> {
    let unfinished = path.with_extension(UNFINISHED);
    let made = || -> io::Result<()> {
        if unfinished.exists() {
            fs::remove_file(&unfinished)?;
        }
        let database = Database::builder()
            .create(&unfinished)
            .map_err(io::Error::other)?;
        drop(database);
        fs::rename(&unfinished, path)?;
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    made().map_err(|error| failure(path, error))
}

impl TransactionJournal {
    /// Opens or makes the journal of an account on a chain.
    pub(super) fn open(path: &Path, chain_id: u64, account: Address) -> Result<Self, ChainError> {
        if !path.exists() {
            make(path)?;
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .open(path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => ChainError::JournalInUse {
                    path: path.to_owned(),
                },
                other => failure(path, other),
            })?;
        let journal = Self {
            database: Arc::new(database),
            path: path.into(),
        };
        journal.claim(&format!("account {account} on chain {chain_id}"))?;
        Ok(journal)
    }

    fn failure(&self, source: impl Into<redb::Error>) -> ChainError {
        failure(&self.path, source.into())
    }

    /// Writes the owner into a new journal, or compares it with the owner of an existing one.
    fn claim(&self, owner: &str) -> Result<(), ChainError> {
        let found = self.claimed(owner).map_err(|error| self.failure(error))?;
        match found {
            Some(found) if found != owner => Err(ChainError::JournalForeign {
                path: self.path.to_path_buf(),
                found,
                expected: owner.into(),
            }),
            _ => Ok(()),
        }
    }

    fn claimed(&self, owner: &str) -> Result<Option<String>, redb::Error> {
        let write = self.database.begin_write()?;
        let found = {
            let mut meta = write.open_table(META)?;
            write.open_table(TRANSACTIONS)?;
            write.open_table(PURPOSES)?;
            let found = meta.get(OWNER)?.map(|owner| owner.value().to_owned());
            if found.is_none() {
                meta.insert(OWNER, owner)?;
            }
            found
        };
        write.commit()?;
        Ok(found)
    }

    /// Every record, in the order of nonces.
    pub(super) fn load(&self) -> Result<Vec<(u64, FlightRecord)>, ChainError> {
        let rows = self.rows().map_err(|error| self.failure(error))?;
        rows.into_iter()
            .map(|(nonce, bytes)| Ok((nonce, self.parse(&bytes)?)))
            .collect()
    }

    fn rows(&self) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let read = self.database.begin_read()?;
        let table = read.open_table(TRANSACTIONS)?;
        let mut rows = Vec::new();
        for row in table.iter()? {
            let (nonce, bytes) = row?;
            rows.push((nonce.value(), bytes.value().to_owned()));
        }
        Ok(rows)
    }

    /// The record of a purpose.
    pub(super) fn find(&self, purpose: Digest) -> Result<Option<(u64, FlightRecord)>, ChainError> {
        let row = self.row(purpose).map_err(|error| self.failure(error))?;
        row.map(|(nonce, bytes)| Ok((nonce, self.parse(&bytes)?)))
            .transpose()
    }

    fn row(&self, purpose: Digest) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
        let read = self.database.begin_read()?;
        let Some(nonce) = read.open_table(PURPOSES)?.get(&purpose.0)? else {
            return Ok(None);
        };
        let nonce = nonce.value();
        let row = read.open_table(TRANSACTIONS)?.get(nonce)?;
        Ok(row.map(|bytes| (nonce, bytes.value().to_owned())))
    }

    fn parse(&self, bytes: &[u8]) -> Result<FlightRecord, ChainError> {
        serde_json::from_slice(bytes).map_err(|error| failure(&self.path, error))
    }

    /// Writes changes in one transaction; they are durable when it returns.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), ChainError> {
        let (journal, path) = (self.clone(), PathBuf::from(&*self.path));
        tokio::task::spawn_blocking(move || journal.apply(&changes))
            .await
            .map_err(|error| failure(&path, error))?
    }

    fn apply(&self, changes: &[Change]) -> Result<(), ChainError> {
        let rows: Vec<_> = changes
            .iter()
            .map(|change| match change {
                Change::Put(_, record) => serde_json::to_vec(record),
                Change::Remove(_) | Change::Forget(_) => Ok(Vec::new()),
            })
            .collect::<Result<_, _>>()
            .map_err(|error| failure(&self.path, error))?;
        self.write(changes, &rows)
            .map_err(|error| self.failure(error))
    }

    fn write(&self, changes: &[Change], rows: &[Vec<u8>]) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut purposes = write.open_table(PURPOSES)?;
            for (change, row) in changes.iter().zip(rows) {
                change.write(row, &mut transactions, &mut purposes)?;
            }
        }
        write.commit()?;
        Ok(())
    }
}

impl Change {
    fn write(
        &self,
        row: &[u8],
        transactions: &mut Rows<'_>,
        purposes: &mut Purposes<'_>,
    ) -> Result<(), redb::Error> {
        match self {
            Self::Put(nonce, record) => {
                transactions.insert(nonce, row)?;
                if let Some(purpose) = record.purpose {
                    purposes.insert(&purpose.0, nonce)?;
                }
            }
            Self::Remove(nonce) => {
                transactions.remove(nonce)?;
            }
            Self::Forget(purpose) => {
                purposes.remove(&purpose.0)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Message, Progress};
    use super::*;

    const ACCOUNT: Address = Address([1; 20]);

    fn record(purpose: u8) -> FlightRecord {
        FlightRecord {
            purpose: Some(Digest([purpose; 32])),
            message: Message::filler(ACCOUNT),
            variants: Vec::new(),
            state: Progress::Pending,
        }
    }

    #[test]
    fn a_journal_that_was_not_made_to_its_end_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.redb");
        // What a full disk leaves.
        fs::write(path.with_extension(UNFINISHED), [0; 4096]).unwrap();
        drop(TransactionJournal::open(&path, 1, ACCOUNT).unwrap());
        drop(TransactionJournal::open(&path, 1, ACCOUNT).unwrap());
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 1, "nothing else is left");
    }

    #[tokio::test]
    async fn what_was_committed_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = TransactionJournal::open(&path, 1, ACCOUNT).unwrap();
        let puts = (0..3)
            .map(|n| Change::Put(n, Box::new(record(n as u8))))
            .collect();
        journal.commit(puts).await.unwrap();
        journal
            .commit(vec![Change::Remove(1), Change::Forget(Digest([1; 32]))])
            .await
            .unwrap();
        drop(journal);

        let journal = TransactionJournal::open(&path, 1, ACCOUNT).unwrap();
        assert_eq!(journal.load().unwrap(), [(0, record(0)), (2, record(2))]);
        let found = journal.find(Digest([2; 32])).unwrap();
        assert_eq!(found, Some((2, record(2))));
        assert_eq!(journal.find(Digest([1; 32])).unwrap(), None);
    }

    #[test]
    fn a_second_opener_and_a_foreign_owner_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = TransactionJournal::open(&path, 1, ACCOUNT).unwrap();
        let second = TransactionJournal::open(&path, 1, ACCOUNT).err().unwrap();
        assert!(matches!(second, ChainError::JournalInUse { .. }));
        drop(journal);
        for (chain, account) in [(2, ACCOUNT), (1, Address([2; 20]))] {
            let foreign = TransactionJournal::open(&path, chain, account)
                .err()
                .unwrap();
            assert!(matches!(foreign, ChainError::JournalForeign { .. }));
        }
    }

    #[test]
    fn a_damaged_file_is_no_panic() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, b"this is not a database").unwrap();
        let damaged = TransactionJournal::open(&path, 1, ACCOUNT).err().unwrap();
        assert!(matches!(damaged, ChainError::Journal { .. }), "{damaged:?}");
    }
}
