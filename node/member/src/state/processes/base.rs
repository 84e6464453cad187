//! The database of processes and its tables; what is installed, and how far was read.

use super::records::Installed;
use crate::state::{
    database::Durable,
    error::StateError,
    file::{claim, open_or_make},
    open::Identity,
    tables::{decode, encode, Account, Word},
};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use rings_protocol::{Address, Digest};
use std::{
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// 1: the first one.
const FORMAT: &str = "1";
const IDENTITY: &str = "processes of";
/// Installations that are read at once.
const PAGE: usize = 1_024;

/// Installation → record, JSON.
pub(super) const INSTALLED: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("installed");
/// (installation, number, digest of the word) → a change that somebody wants.
pub(super) const CHANGES: TableDefinition<'_, (Word, u64, Word), &[u8]> =
    TableDefinition::new("changes");
/// Slots for which this member has said what it would choose.
pub(super) const CHOSEN: TableDefinition<'_, Word, ()> = TableDefinition::new("chosen");
/// Event → its bytes.
pub(super) const EVENTS: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("events");
/// (installation, event) → record of the run, JSON.
pub(super) const RUNS: TableDefinition<'_, (Word, Word), &[u8]> = TableDefinition::new("runs");
/// Runs that have begun and are not over.
pub(super) const OPEN: TableDefinition<'_, (Word, Word), ()> = TableDefinition::new("open");
/// Runs whose event this member has found, and no log names yet.
pub(super) const UNWRITTEN: TableDefinition<'_, (Word, Word), ()> =
    TableDefinition::new("unwritten");
/// (installation, number of the run at this member) → event.
pub(super) const RUN_ORDER: TableDefinition<'_, (Word, u64), Word> =
    TableDefinition::new("run_order");
/// Execution → record of what it gave, JSON.
pub(super) const ENDED: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("ended");
/// Number of the execution at this member → execution.
pub(super) const END_ORDER: TableDefinition<'_, u64, Word> = TableDefinition::new("end_order");
/// (event, execution): it has ended.
pub(super) const OF_EVENT: TableDefinition<'_, (Word, Word), ()> = TableDefinition::new("of_event");
/// (execution, request): with which it was asked, as a member says.
pub(super) const REQUESTS: TableDefinition<'_, (Word, Word), ()> = TableDefinition::new("requests");
/// (execution, member) → how far the member is with it, JSON.
pub(super) const ATTEMPTS: TableDefinition<'_, (Word, Account), &[u8]> =
    TableDefinition::new("attempts");
/// (execution, digest of the verdict) → the verdict and who proposed it, JSON.
pub(super) const VERDICTS: TableDefinition<'_, (Word, Word), &[u8]> =
    TableDefinition::new("verdicts");
/// Member → the first node of its log that was not read for words about processes.
pub(super) const CURSORS: TableDefinition<'_, Account, u64> = TableDefinition::new("cursors");
/// Blocks on top of a log before it is an event → the first block whose logs for that were not read.
pub(super) const CHAIN: TableDefinition<'_, u64, u64> = TableDefinition::new("chain");
/// (ring, author) → the first node of the log that was not read for messages that are events.
pub(super) const MESSAGES: TableDefinition<'_, (Account, Account), u64> =
    TableDefinition::new("messages");
/// (ring, blocks on top) → the first block whose ring nodes of that ring were not read for results that are events.
pub(super) const RESULTS: TableDefinition<'_, (Account, u64), u64> =
    TableDefinition::new("results");
/// Installations whose events nobody here has looked for yet.
pub(super) const PENDING: TableDefinition<'_, Word, ()> = TableDefinition::new("pending");
/// Installation → the time up to which its schedule was followed, in seconds since 1970.
pub(super) const TIMES: TableDefinition<'_, Word, u64> = TableDefinition::new("times");

/// Source of events that processes may wait for → record, JSON.
pub(super) const SOURCES: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("sources");
/// Execution that waits for an event → record, JSON.
pub(super) const WAITS: TableDefinition<'_, Word, &[u8]> = TableDefinition::new("waits");
/// (key of the event that is waited for, execution that waits).
pub(super) const WAIT_KEYS: TableDefinition<'_, (Word, Word), ()> =
    TableDefinition::new("wait_keys");
/// (time of blocks at which it expires, execution that waits): those for which this member has not chosen.
pub(super) const WAIT_TIMES: TableDefinition<'_, (u64, Word), ()> =
    TableDefinition::new("wait_times");
/// Slot → execution that waits.
pub(super) const WAIT_SLOTS: TableDefinition<'_, Word, Word> = TableDefinition::new("wait_slots");
/// Execution that waits for a gate.
pub(super) const WAIT_GATES: TableDefinition<'_, Word, ()> = TableDefinition::new("wait_gates");
/// (execution that waits, installation, event): the run waits for it.
pub(super) const WAITERS: TableDefinition<'_, (Word, Word, Word), ()> =
    TableDefinition::new("waiters");
/// Runs that only wait, and are not in memory.
pub(super) const PARKED: TableDefinition<'_, (Word, Word), ()> = TableDefinition::new("parked");

/// The first and the last key of 32 bytes.
pub(super) const FIRST: Word = [0; 32];
pub(super) const LAST: Word = [0xff; 32];

/// The database of processes.
pub struct ProcessState {
    pub(super) database: Durable,
    /// How often runs may have come to be open.
    opened: AtomicU64,
    /// How often it was put back how far was read for events.
    pub(super) put_back: AtomicU64,
}

impl ProcessState {
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
            opened: AtomicU64::new(0),
            put_back: AtomicU64::new(0),
        })
    }

    /// Grows whenever runs may have come to be open, after that is on disk. Who has read the open runs when it was the same
    /// finds no others.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Acquire)
    }

    /// Runs may have come to be open, and that is on disk.
    pub(super) fn has_opened(&self) {
        self.opened.fetch_add(1, Ordering::Release);
    }

    /// An installation.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn installed(&self, id: Digest) -> Result<Option<Installed>, StateError> {
        self.database
            .read(|transaction| read(&transaction.open_table(INSTALLED)?, id))
    }

    /// All installations, in the order of their names, behind `after`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn all_installed(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, Installed)>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(INSTALLED)?;
            let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.0));
            table
                .range::<Word>((start, Bound::Unbounded))?
                .take(limit)
                .map(|entry| {
                    let (id, record) = entry?;
                    Ok((Digest(id.value()), decode(record.value())?))
                })
                .collect()
        })
    }

    /// Goes through all installations, in the order of their names, without holding all of them in memory.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn each_installed(
        &self,
        mut visit: impl FnMut(Digest, &Installed),
    ) -> Result<(), StateError> {
        let mut after = None;
        loop {
            let page = self.all_installed(after, PAGE)?;
            page.iter()
                .for_each(|(id, installed)| visit(*id, installed));
            after = page.last().map(|(id, _)| *id);
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// The first node of a member's log that was not read.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn cursor(&self, member: Address) -> Result<u64, StateError> {
        self.database.read(|transaction| {
            let cursor = transaction.open_table(CURSORS)?.get(member.0)?;
            Ok(cursor.map_or(0, |cursor| cursor.value()))
        })
    }

    /// The first block whose logs were not read, for events with so many blocks on top; nothing before the first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn next_block(&self, confirmations: u64) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let next = transaction.open_table(CHAIN)?.get(confirmations)?;
            Ok(next.map(|next| next.value()))
        })
    }

    /// The time up to which the schedule of an installation was followed.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn followed(&self, id: Digest) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let time = transaction.open_table(TIMES)?.get(id.0)?;
            Ok(time.map(|time| time.value()))
        })
    }

    /// A change was decided: the installation becomes what it says, if that is its next change.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn decided(&self, id: Digest, number: u64, choice: Digest) -> Result<bool, StateError> {
        let is_decided = self.database.write(|transaction| {
            let mut table = transaction.open_table(INSTALLED)?;
            let Some(mut installed) = read::<Installed>(&table, id)? else {
                return Ok(false);
            };
            let mut changes = transaction.open_table(CHANGES)?;
            let change: rings_process::words::Change = {
                let change = changes.get((id.0, number, choice.0))?;
                let Some(change) = change.filter(|_| installed.changes + 1 == number) else {
                    return Ok(false);
                };
                decode(change.value())?
            };
            // All that is left are changes on which the ring has not decided, so that going through them is short.
            changes.retain_in((id.0, 0, FIRST)..=(id.0, number, LAST), |_, _| false)?;
            installed.changes = number;
            if installed.activity.may_become(change.to) {
                installed.activity = change.to;
            }
            table.insert(id.0, encode(&installed)?.as_slice())?;
            Ok(true)
        })?;
        // Its runs may be gone on with now.
        self.has_opened();
        Ok(is_decided)
    }

    /// The changes that somebody wants next, each with its number and the digest that the ring would decide for.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn wanted_changes(&self) -> Result<Vec<(Digest, u64, Digest)>, StateError> {
        self.database.read(|transaction| {
            let installed = transaction.open_table(INSTALLED)?;
            let mut wanted = Vec::new();
            for entry in transaction
                .open_table(CHANGES)?
                .range::<(Word, u64, Word)>(..)?
            {
                let (id, number, choice) = entry?.0.value();
                let record = read::<Installed>(&installed, Digest(id))?;
                if record.is_some_and(|record| number > record.changes) {
                    wanted.push((Digest(id), number, Digest(choice)));
                }
            }
            Ok(wanted)
        })
    }
}

/// A record of a table of digests.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    table: &impl ReadableTable<Word, &'static [u8]>,
    key: Digest,
) -> Result<Option<T>, StateError> {
    let record = table.get(key.0)?;
    record.map(|record| decode(record.value())).transpose()
}

fn create(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(INSTALLED)?;
    transaction.open_table(CHANGES)?;
    transaction.open_table(CHOSEN)?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(RUNS)?;
    transaction.open_table(OPEN)?;
    transaction.open_table(UNWRITTEN)?;
    transaction.open_table(RUN_ORDER)?;
    transaction.open_table(ENDED)?;
    transaction.open_table(END_ORDER)?;
    transaction.open_table(OF_EVENT)?;
    transaction.open_table(REQUESTS)?;
    transaction.open_table(ATTEMPTS)?;
    transaction.open_table(VERDICTS)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(CHAIN)?;
    transaction.open_table(MESSAGES)?;
    transaction.open_table(RESULTS)?;
    transaction.open_table(PENDING)?;
    transaction.open_table(TIMES)?;
    transaction.open_table(SOURCES)?;
    transaction.open_table(WAITS)?;
    transaction.open_table(WAIT_KEYS)?;
    transaction.open_table(WAIT_TIMES)?;
    transaction.open_table(WAIT_SLOTS)?;
    transaction.open_table(WAIT_GATES)?;
    transaction.open_table(WAITERS)?;
    transaction.open_table(PARKED)?;
    Ok(())
}
