//! Runs of processes: which wait to begin, which are open, and how they end.

use super::{
    base::{
        read, ProcessState, CHAIN, ENDED, END_ORDER, EVENTS, FIRST, INSTALLED, LAST, OF_EVENT,
        OPEN, PARKED, REQUESTS, RUNS, RUN_ORDER, SOURCES, TIMES, UNWRITTEN,
    },
    records::{Ended, Installed, LogPlace, RunEnd, RunKey, RunRecord},
};
use crate::state::{
    error::StateError,
    tables::{decode, encode, Word},
};
use cid::Cid;
use redb::{ReadableTable, WriteTransaction};
use rings_process::{document::cid_of, words::Activity};
use rings_protocol::{cids::digest_of, Digest};

/// An event that this member has found on the chain, for an installation.
#[derive(Debug, Clone)]
pub struct Found {
    /// The installation.
    pub installation: Digest,
    /// The bytes of the event.
    pub event: Vec<u8>,
    /// Where it stands on the chain, if it does.
    pub place: Option<LogPlace>,
}

/// A run that is to be gone on with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Which.
    pub key: RunKey,
    /// The bytes of its event.
    pub event: Vec<u8>,
}

/// How far this member has read.
#[derive(Debug, Clone, Default)]
pub struct ReadTo {
    /// Blocks on top of the logs that were read, and the first block whose logs were not.
    pub next_block: Option<(u64, u64)>,
    /// The times up to which schedules were followed, in seconds since 1970.
    pub times: Vec<(Digest, u64)>,
}

/// How a run ended.
pub type Finished = (RunKey, RunEnd);

impl ProcessState {
    /// Takes in events that were found, and how far was read for them, in one durable transaction.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn found(&self, found: &[Found], read: &ReadTo, now: u64) -> Result<(), StateError> {
        let has_opened = self.database.write(|transaction| {
            let has_opened = take_found(transaction, found, now)?;
            if let Some((confirmations, next)) = read.next_block {
                transaction.open_table(CHAIN)?.insert(confirmations, next)?;
            }
            let mut times = transaction.open_table(TIMES)?;
            for (installation, time) in &read.times {
                times.insert(installation.0, time)?;
            }
            Ok(has_opened)
        })?;
        if has_opened {
            self.has_opened();
        }
        Ok(())
    }

    /// Open runs of processes that are active, without those that `is_known`: at most `limit`, and at most `each` of one
    /// installation, so that a process with many events does not keep others waiting. Also whether these are all.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn openings(
        &self,
        is_known: impl Fn(&RunKey) -> bool,
        (limit, each): (usize, usize),
    ) -> Result<(Vec<Opening>, bool), StateError> {
        self.database.read(|transaction| {
            let (open, events) = (
                transaction.open_table(OPEN)?,
                transaction.open_table(EVENTS)?,
            );
            let installed = transaction.open_table(INSTALLED)?;
            let (mut found, mut is_all) = (Vec::new(), true);
            let mut after: Word = FIRST;
            // One installation after the other, by the first key behind it.
            loop {
                let Some(entry) = open.range((after, FIRST)..)?.next() else {
                    break;
                };
                if found.len() >= limit {
                    is_all = false;
                    break;
                }
                let id = entry?.0.value().0;
                let record = read::<Installed>(&installed, Digest(id))?;
                if record.is_some_and(|record| record.activity == Activity::Active) {
                    let mut of_installation = open.range((id, FIRST)..=(id, LAST))?;
                    for entry in of_installation.by_ref().take(each) {
                        let key = entry?.0.value();
                        let key = (Digest(key.0), Digest(key.1));
                        if is_known(&key) {
                            continue;
                        }
                        if found.len() >= limit {
                            is_all = false;
                            break;
                        }
                        if let Some(event) = events.get(key.1 .0)? {
                            let event = event.value().to_vec();
                            found.push(Opening { key, event });
                        }
                    }
                    is_all &= of_installation.next().is_none();
                }
                match successor(id) {
                    Some(next) => after = next,
                    None => break,
                }
            }
            Ok((found, is_all))
        })
    }

    /// Runs whose event was found and stands in no log yet, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn unwritten(&self, limit: usize) -> Result<Vec<Opening>, StateError> {
        self.database.read(|transaction| {
            let events = transaction.open_table(EVENTS)?;
            let installed = transaction.open_table(INSTALLED)?;
            let mut found = Vec::new();
            let sources = transaction.open_table(SOURCES)?;
            let table = transaction.open_table(UNWRITTEN)?;
            for entry in table.range::<(Word, Word)>(..)? {
                let (id, event) = entry?.0.value();
                let record = read::<Installed>(&installed, Digest(id))?;
                let is_over = match record {
                    Some(record) => record.activity == Activity::Cancelled,
                    // Or it is an event for which processes may wait.
                    None => sources.get(id)?.is_none(),
                };
                let bytes = events.get(event)?.filter(|_| !is_over);
                if let Some(bytes) = bytes {
                    found.push(Opening {
                        key: (Digest(id), Digest(event)),
                        event: bytes.value().to_vec(),
                    });
                }
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Runs may not begin yet, by what was known of them. They are open again when something more is known of their events; those
    /// of which that is so already stay open.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn postpone(&self, keys: &[(RunKey, RunRecord)]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let runs = transaction.open_table(RUNS)?;
            let mut open = transaction.open_table(OPEN)?;
            for ((installation, event), known) in keys {
                let key = (installation.0, event.0);
                let record = runs.get(key)?;
                let record: Option<RunRecord> =
                    record.map(|record| decode(record.value())).transpose()?;
                if record.unwrap_or_default() == *known {
                    open.remove(key)?;
                }
            }
            Ok(())
        })
    }

    /// Whether the event of a run is not on the chain any more.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_orphaned(&self, key: RunKey, orphaned: bool) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut runs = transaction.open_table(RUNS)?;
            let key = (key.0 .0, key.1 .0);
            let record = runs.get(key)?.map(|record| decode(record.value()));
            let Some(record): Option<RunRecord> = record.transpose()? else {
                return Ok(());
            };
            let record = RunRecord { orphaned, ..record };
            runs.insert(key, encode(&record)?.as_slice())?;
            Ok(())
        })
    }

    /// A run.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn run(&self, key: RunKey) -> Result<Option<RunRecord>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(RUNS)?.get((key.0 .0, key.1 .0))?;
            record.map(|record| decode(record.value())).transpose()
        })
    }

    /// Writes what executions gave, and how runs ended, in one durable transaction.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn end(&self, ended: &[(Cid, Ended)], finished: &[Finished]) -> Result<(), StateError> {
        if ended.is_empty() && finished.is_empty() {
            return Ok(());
        }
        self.database.write(|transaction| {
            write_ended(transaction, ended)?;
            let mut runs = transaction.open_table(RUNS)?;
            let mut open = transaction.open_table(OPEN)?;
            for ((id, event), end) in finished {
                let key = (id.0, event.0);
                let record = runs.get(key)?.map(|record| decode(record.value()));
                let record: RunRecord = record.transpose()?.unwrap_or_default();
                let record = RunRecord {
                    end: Some(*end),
                    ..record
                };
                runs.insert(key, encode(&record)?.as_slice())?;
                open.remove(key)?;
                transaction.open_table(PARKED)?.remove(key)?;
            }
            Ok(())
        })
    }

    /// What an execution gave.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn ended(&self, execution: &Cid) -> Result<Option<Ended>, StateError> {
        let Ok(name) = digest_of(execution) else {
            return Ok(None);
        };
        self.database
            .read(|transaction| read(&transaction.open_table(ENDED)?, name))
    }

    /// The requests with which an execution was asked, as members say.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn requests(&self, execution: &Cid) -> Result<Vec<Digest>, StateError> {
        let Ok(name) = digest_of(execution) else {
            return Ok(Vec::new());
        };
        self.database.read(|transaction| {
            let table = transaction.open_table(REQUESTS)?;
            let found = table.range((name.0, FIRST)..=(name.0, LAST))?;
            found.map(|entry| Ok(Digest(entry?.0.value().1))).collect()
        })
    }
}

/// Takes in events that were found.
/// Whether it has opened a run.
pub(super) fn take_found(
    transaction: &WriteTransaction,
    found: &[Found],
    now: u64,
) -> Result<bool, StateError> {
    let mut has_opened = false;
    for Found {
        installation,
        event,
        place,
    } in found
    {
        has_opened |= write_run(transaction, *installation, event, |record| {
            let record = record.unwrap_or(RunRecord {
                must_find: true,
                since: now,
                ..RunRecord::default()
            });
            RunRecord {
                found: true,
                orphaned: false,
                // Another branch may have it elsewhere.
                place: place.or(record.place),
                ..record
            }
        })?;
    }
    Ok(has_opened)
}

/// Writes what executions gave.
pub(super) fn write_ended(
    transaction: &WriteTransaction,
    ended: &[(Cid, Ended)],
) -> Result<(), StateError> {
    let mut table = transaction.open_table(ENDED)?;
    let mut order = transaction.open_table(END_ORDER)?;
    let mut of_event = transaction.open_table(OF_EVENT)?;
    let mut number = order.last()?.map_or(0, |(last, _)| last.value() + 1);
    for (execution, ended) in ended {
        let Ok(name) = digest_of(execution) else {
            continue;
        };
        if table.get(name.0)?.is_none() {
            table.insert(name.0, encode(ended)?.as_slice())?;
            order.insert(number, name.0)?;
            number += 1;
        }
        // Runs of two installations may have an execution in common; each event has it.
        of_event.insert((ended.event.0, name.0), ())?;
    }
    Ok(())
}

/// The key behind this one; none behind the last.
fn successor(mut key: Word) -> Option<Word> {
    for byte in key.iter_mut().rev() {
        let (next, over) = byte.overflowing_add(1);
        *byte = next;
        if !over {
            return Some(key);
        }
    }
    None
}

/// Changes the record of a run, and where it stands: among those that wait for a log, or among the open ones. Whether it stands
/// among the open ones now.
pub(super) fn write_run(
    transaction: &WriteTransaction,
    installation: Digest,
    event: &[u8],
    change: impl FnOnce(Option<RunRecord>) -> RunRecord,
) -> Result<bool, StateError> {
    let Ok(name) = digest_of(&cid_of(event)) else {
        return Ok(false);
    };
    let key = (installation.0, name.0);
    let mut runs = transaction.open_table(RUNS)?;
    let held: Option<RunRecord> = match runs.get(key)? {
        Some(record) => Some(decode(record.value())?),
        None => None,
    };
    let is_new = held.is_none();
    let before = held.clone().unwrap_or_default();
    let record = change(held);
    if !is_new && record == before {
        return Ok(false);
    }
    runs.insert(key, encode(&record)?.as_slice())?;
    if is_new {
        transaction.open_table(EVENTS)?.insert(name.0, event)?;
    }
    if record.has_come() && (is_new || !before.has_come()) {
        let mut order = transaction.open_table(RUN_ORDER)?;
        let mut of_installation = order.range((key.0, 0)..=(key.0, u64::MAX))?;
        let last = of_installation.next_back().transpose()?;
        let number = last.map_or(0, |(last, _)| last.value().1 + 1);
        drop(of_installation);
        order.insert((key.0, number), name.0)?;
    }
    let mut unwritten = transaction.open_table(UNWRITTEN)?;
    match record.found && record.by.is_none() {
        true => unwritten.insert(key, ())?,
        false => unwritten.remove(key)?,
    };
    let is_open = record.may_begin() && record.end.is_none();
    if is_open {
        transaction.open_table(OPEN)?.insert(key, ())?;
    }
    Ok(is_open)
}
