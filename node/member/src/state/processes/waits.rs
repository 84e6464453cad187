//! Executions that wait for an event, and the events for which they may wait.
//!
//! An event that is waited for is kept as a run is, under its source in the place of an installation: so it is known who has
//! written it, who has seen it, and whether this member has found it. A run that only waits is parked: it is not in memory, and
//! opened again when what it waits for is decided.

use super::{
    base::{
        read, ProcessState, ENDED, EVENTS, FIRST, LAST, OPEN, PARKED, RUNS, RUN_ORDER, SOURCES,
        WAITERS, WAITS, WAIT_GATES, WAIT_KEYS, WAIT_SLOTS, WAIT_TIMES,
    },
    records::{Awaited, RunKey, RunRecord, Waiting, NEVER},
    runs::{write_ended, Opening},
};
use crate::state::{
    error::StateError,
    tables::{decode, encode, Word},
    Ended,
};
use cid::Cid;
use redb::{ReadableTable, ReadableTableMetadata};
use rings_process::{event::Event, wait};
use rings_protocol::{cids::digest_of, Digest};

/// Executions that wait at once, in all.
pub const MAX_WAITS: u64 = 100_000;
/// Sets of fields by which executions tell the events of one source apart.
const MAX_FORMS: usize = 64;
/// Events of before an execution began to wait that may be the one.
const MAX_EARLIER: usize = 1_000;

/// Milliseconds by which a member may have heard of an event earlier than of one that came before it.
const OUT_OF_ORDER: u64 = 600_000;

/// How an execution began to wait.
#[derive(Debug)]
pub enum Begun {
    /// It has ended meanwhile.
    Ended,
    /// Too many wait.
    Full,
    /// It waits; these events came before, since its process began.
    Waits(Vec<Opening>),
}

impl ProcessState {
    /// From now on events of this source are kept.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn await_source(&self, source: Digest, quorum: bool) -> Result<(), StateError> {
        let known = |awaited: &Awaited| awaited.quorum == quorum;
        if self.awaited(source)?.as_ref().is_some_and(known) {
            return Ok(());
        }
        self.database.write(|transaction| {
            let mut table = transaction.open_table(SOURCES)?;
            let held: Awaited = read(&table, source)?.unwrap_or_default();
            let awaited = Awaited { quorum, ..held };
            table.insert(source.0, encode(&awaited)?.as_slice())?;
            Ok(())
        })?;
        // Events of it may have come before.
        self.has_opened();
        Ok(())
    }

    /// What is known of a source.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn awaited(&self, source: Digest) -> Result<Option<Awaited>, StateError> {
        self.database
            .read(|transaction| read(&transaction.open_table(SOURCES)?, source))
    }

    /// An execution begins to wait, or waits already.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn begin_wait(&self, id: &Cid, waiting: &Waiting) -> Result<Begun, StateError> {
        let name = digest_of(id).unwrap_or_default().0;
        let source = waiting.source;
        self.database.write(|transaction| {
            if transaction.open_table(ENDED)?.get(name)?.is_some() {
                return Ok(Begun::Ended);
            }
            let mut waits = transaction.open_table(WAITS)?;
            let is_new = waits.get(name)?.is_none();
            if is_new && waits.len()? >= MAX_WAITS {
                return Ok(Begun::Full);
            }
            if is_new {
                waits.insert(name, encode(waiting)?.as_slice())?;
                if waiting.until != NEVER {
                    let mut times = transaction.open_table(WAIT_TIMES)?;
                    times.insert((waiting.until, name), ())?;
                }
                let mut slots = transaction.open_table(WAIT_SLOTS)?;
                slots.insert(wait::slot(id).0, name)?;
            }
            if waiting.gate.is_some() {
                transaction.open_table(WAIT_GATES)?.insert(name, ())?;
                return Ok(Begun::Waits(Vec::new()));
            }
            if is_new {
                let key = wait::key(source, &waiting.execution.inputs);
                let mut keys = transaction.open_table(WAIT_KEYS)?;
                keys.insert((key.0, name), ())?;
                let mut sources = transaction.open_table(SOURCES)?;
                let mut awaited: Awaited = read(&sources, source)?.unwrap_or_default();
                let is_new_form = awaited.forms.insert(wait::form(&waiting.execution));
                if is_new_form && awaited.forms.len() <= MAX_FORMS {
                    sources.insert(source.0, encode(&awaited)?.as_slice())?;
                }
            }
            let (runs, events) = (
                transaction.open_table(RUNS)?,
                transaction.open_table(EVENTS)?,
            );
            let order = transaction.open_table(RUN_ORDER)?;
            let mut earlier = Vec::new();
            let of_source = order.range((source.0, 0)..=(source.0, u64::MAX))?;
            for entry in of_source.rev().take(MAX_EARLIER) {
                let event = entry?.1.value();
                let record = runs.get((source.0, event))?;
                let record: Option<RunRecord> =
                    record.map(|record| decode(record.value())).transpose()?;
                let Some(record) = record else { continue };
                let is_the_one = record.may_begin() && waiting.may_be(&record);
                if !is_the_one && record.since.saturating_add(OUT_OF_ORDER) < waiting.since {
                    // Those before it came still earlier.
                    break;
                }
                if let Some(bytes) = events.get(event)?.filter(|_| is_the_one) {
                    earlier.push(Opening {
                        key: (source, Digest(event)),
                        event: bytes.value().to_vec(),
                    });
                }
            }
            Ok(Begun::Waits(earlier))
        })
    }

    /// These runs wait for an execution. Whether it still waits.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn add_waiters(&self, id: &Cid, runs: &[RunKey]) -> Result<bool, StateError> {
        let name = digest_of(id).unwrap_or_default().0;
        self.database.write(|transaction| {
            if transaction.open_table(WAITS)?.get(name)?.is_none() {
                return Ok(false);
            }
            let mut waiters = transaction.open_table(WAITERS)?;
            for (installation, event) in runs {
                waiters.insert((name, installation.0, event.0), ())?;
            }
            Ok(true)
        })
    }

    /// These runs only wait.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn park(&self, keys: &[RunKey]) -> Result<(), StateError> {
        self.database.write(|transaction| {
            let mut open = transaction.open_table(OPEN)?;
            let mut parked = transaction.open_table(PARKED)?;
            for (installation, event) in keys {
                let key = (installation.0, event.0);
                open.remove(key)?;
                parked.insert(key, ())?;
            }
            Ok(())
        })
    }

    /// An execution that waits.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waiting(&self, name: Digest) -> Result<Option<Waiting>, StateError> {
        self.database
            .read(|transaction| read(&transaction.open_table(WAITS)?, name))
    }

    /// Executions that wait, of the runs of one event or of all.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn all_waiting(
        &self,
        event: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, Waiting)>, StateError> {
        self.database.read(|transaction| {
            let mut found = Vec::new();
            let table = transaction.open_table(WAITS)?;
            for entry in table.range::<Word>(..)? {
                if found.len() >= limit {
                    break;
                }
                let (name, waiting) = entry?;
                let waiting: Waiting = decode(waiting.value())?;
                if event.is_none_or(|event| event == waiting.event) {
                    found.push((Digest(name.value()), waiting));
                }
            }
            Ok(found)
        })
    }

    /// The names of all executions that wait.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waiting_names(&self) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(WAITS)?;
            let names = table.range::<Word>(..)?;
            names.map(|entry| Ok(Digest(entry?.0.value()))).collect()
        })
    }

    /// The execution that waits for what is decided in this slot.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn wait_of_slot(&self, slot: Digest) -> Result<Option<Digest>, StateError> {
        self.database.read(|transaction| {
            let found = transaction.open_table(WAIT_SLOTS)?.get(slot.0)?;
            Ok(found.map(|found| Digest(found.value())))
        })
    }

    /// Events for which processes may wait, and for which nobody has looked yet.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn awaited_events(&self, limit: usize) -> Result<Vec<Opening>, StateError> {
        self.database.read(|transaction| {
            let (open, events) = (
                transaction.open_table(OPEN)?,
                transaction.open_table(EVENTS)?,
            );
            let mut found = Vec::new();
            for entry in transaction.open_table(SOURCES)?.range::<Word>(..)? {
                let source = entry?.0.value();
                for entry in open.range((source, FIRST)..=(source, LAST))? {
                    if found.len() >= limit {
                        return Ok(found);
                    }
                    let (source, event) = entry?.0.value();
                    if let Some(bytes) = events.get(event)? {
                        found.push(Opening {
                            key: (Digest(source), Digest(event)),
                            event: bytes.value().to_vec(),
                        });
                    }
                }
            }
            Ok(found)
        })
    }

    /// The executions that wait for an event of this source.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waits_for(&self, source: Digest, event: &Event) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let awaited: Option<Awaited> = read(&transaction.open_table(SOURCES)?, source)?;
            let keys = transaction.open_table(WAIT_KEYS)?;
            let mut found = Vec::new();
            for form in awaited.unwrap_or_default().forms {
                let Some(key) = wait::key_of(source, event, &form) else {
                    continue;
                };
                for entry in keys.range((key.0, FIRST)..=(key.0, LAST))? {
                    found.push(Digest(entry?.0.value().1));
                }
            }
            Ok(found)
        })
    }

    /// Executions whose time is over by `now`, the time of a block, and for which this member has not chosen.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn overdue(&self, now: u64, limit: usize) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let times = transaction.open_table(WAIT_TIMES)?;
            let due = times.range((0, FIRST)..=(now, LAST))?.take(limit);
            due.map(|entry| Ok(Digest(entry?.0.value().1))).collect()
        })
    }

    /// Whether an execution waits for which this member has not chosen.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn has_deadlines(&self) -> Result<bool, StateError> {
        self.database
            .read(|transaction| Ok(!transaction.open_table(WAIT_TIMES)?.is_empty()?))
    }

    /// This member has said what it would choose for these executions that wait.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waits_chosen(&self, chosen: &[(Digest, Waiting)]) -> Result<(), StateError> {
        if chosen.is_empty() {
            return Ok(());
        }
        self.database.write(|transaction| {
            let mut times = transaction.open_table(WAIT_TIMES)?;
            for (name, waiting) in chosen {
                times.remove((waiting.until, name.0))?;
            }
            Ok(())
        })
    }

    /// The bytes of an event that this member knows, and how it knows of it as one of this source or installation.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn known_event(
        &self,
        source: Digest,
        event: Digest,
    ) -> Result<Option<(Vec<u8>, RunRecord)>, StateError> {
        self.database.read(|transaction| {
            let record = transaction.open_table(RUNS)?.get((source.0, event.0))?;
            let record = record.map(|record| decode(record.value())).transpose()?;
            let bytes = transaction.open_table(EVENTS)?.get(event.0)?;
            Ok(bytes.map(|bytes| bytes.value().to_vec()).zip(record))
        })
    }

    /// An execution that waited has ended: what it gave is written, and the runs that wait for it are open again. Gives these runs.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written.
    pub fn end_wait(
        &self,
        id: &Cid,
        waiting: &Waiting,
        ended: &Ended,
    ) -> Result<Vec<RunKey>, StateError> {
        let name = digest_of(id).unwrap_or_default();
        let runs = self.database.write(|transaction| {
            write_ended(transaction, &[(*id, ended.clone())])?;
            transaction.open_table(WAITS)?.remove(name.0)?;
            let mut times = transaction.open_table(WAIT_TIMES)?;
            times.remove((waiting.until, name.0))?;
            let key = wait::key(waiting.source, &waiting.execution.inputs);
            let mut keys = transaction.open_table(WAIT_KEYS)?;
            keys.remove((key.0, name.0))?;
            let mut slots = transaction.open_table(WAIT_SLOTS)?;
            slots.remove(wait::slot(id).0)?;
            transaction.open_table(WAIT_GATES)?.remove(name.0)?;
            let mut runs = Vec::new();
            let mut waiters = transaction.open_table(WAITERS)?;
            for entry in waiters.range((name.0, FIRST, FIRST)..=(name.0, LAST, LAST))? {
                let (_, installation, event) = entry?.0.value();
                runs.push((Digest(installation), Digest(event)));
            }
            waiters.retain_in((name.0, FIRST, FIRST)..=(name.0, LAST, LAST), |_, ()| false)?;
            let mut parked = transaction.open_table(PARKED)?;
            let mut open = transaction.open_table(OPEN)?;
            for (installation, event) in &runs {
                let key = (installation.0, event.0);
                if parked.remove(key)?.is_some() {
                    open.insert(key, ())?;
                }
            }
            Ok(runs)
        })?;
        self.has_opened();
        Ok(runs)
    }
}
