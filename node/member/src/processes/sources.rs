//! Events that nobody has to tell: logs of contracts, and schedules.
//!
//! A member reads the logs of all contracts that start a process, from the first block that it has not read, as soon as enough
//! blocks are on top. How far it has read is on disk, with what it found, so it finds the same again after any time of being
//! away. Schedules follow the times of blocks. Each event that is found and stands in no log is written into one: the members
//! have their turns in an order that the event gives.

use super::{
    agenda::{Agenda, DueRun},
    error::ProcessError,
    keeper::Processes,
    log_pages::read_page,
    moment::at,
    watched::Watched,
};
use crate::{
    clock,
    state::{Found, Installed, Opening, ReadTo, StateError},
};
use futures::future::join_all;
use rings_api::with_causes;
use rings_chain::BlockRef;
use rings_process::{
    document::Document,
    event::Event,
    plan::Plan,
    words::{Activity, Happened, Installation, Word, VERSION},
};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Events that were found and are written at once.
const WRITTEN_AT_ONCE: usize = 256;
/// Installations whose plans are read at once.
const READ_AT_ONCE: usize = 16;
/// Installations whose schedules are followed at once.
const FOLLOWED_AT_ONCE: usize = 1_024;

/// The pause between two tries to read a definition is doubled so often at most.
const LONGEST_PAUSE: u32 = 6;

/// Finds events until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used and waiting does not help.
pub async fn find(shared: Arc<Processes>, stop: CancellationToken) -> Result<(), StateError> {
    let mut finder = Finder::default();
    // The watcher of the chain has seen them. Nothing is asked while there is no new block.
    let mut heads = shared.parts.chain.read_blocks();
    let mut taken = shared.taken.subscribe();
    while !stop.is_cancelled() {
        let head = *heads.borrow_and_update();
        taken.borrow_and_update();
        let (wake, is_paused) = match finder.step(&shared, head).await {
            Ok(()) => (finder.wake(), false),
            Err(ProcessError::State(error)) if !error.is_transient() => return Err(error),
            Err(ProcessError::Stopping) => break,
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(
                    cause,
                    "events of processes cannot be looked for now; trying again"
                );
                (Some(Instant::now() + shared.parts.turn), true)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = at(wake) => {}
            () = shared.heard.notified(), if !is_paused => {}
            Ok(()) = heads.changed(), if !is_paused => {}
            Ok(()) = taken.changed(), if !is_paused => {}
        }
    }
    Ok(())
}

#[derive(Default)]
struct Finder {
    watched: Watched,
    agenda: Agenda,
    /// From which block on each installation counts that was taken up.
    taken_up: BTreeMap<Digest, u64>,
    /// Installations at which somebody has to look; nothing before all were looked at once.
    wanted: Option<BTreeSet<Digest>>,
    /// Those that were taken up, and for whom it is not on disk that their events are looked for.
    new: Vec<(Digest, Installation)>,
    /// Those whose definitions could not be read, and when they are tried again.
    unread: BTreeSet<Digest>,
    again: Option<Instant>,
    /// How often some could not be read, up to [`LONGEST_PAUSE`].
    failures: u32,
    /// The last block that was read, for events with so many blocks on top.
    last: BTreeMap<u64, BlockRef>,
    /// The head up to which everything was looked at.
    seen: u64,
    /// The time of the newest block whose time was asked for.
    time: Option<(u64, u64)>,
    /// When it is this member's turn to write an event.
    due: BTreeMap<Digest, Instant>,
}

impl Finder {
    /// `head` is the newest block; 0 as long as none is known.
    async fn step(&mut self, shared: &Processes, head: u64) -> Result<(), ProcessError> {
        if head > 0 {
            self.take_up(shared, head).await?;
        }
        if head > self.seen {
            let found = self.read_logs(shared, head).await?;
            let due = self.follow_schedules(shared, head).await?;
            if found + due > 0 {
                // Others may have written them already: then the runs go on.
                shared.parts.words.notify_one();
            }
            self.seen = head;
        }
        self.write(shared).await
    }

    /// When a step is due, whatever happens.
    fn wake(&self) -> Option<Instant> {
        self.due.values().copied().chain(self.again).min()
    }

    /// Looks at the installations that are new or have changed: at all of them when the member starts.
    async fn take_up(&mut self, shared: &Processes, head: u64) -> Result<(), ProcessError> {
        let changed = std::mem::take(&mut *shared.changed());
        match &mut self.wanted {
            Some(wanted) => wanted.extend(changed),
            None => self.wanted = Some(all_installed(shared)?),
        }
        if self.again.is_some_and(|again| again <= Instant::now()) {
            self.again = None;
            let unread = std::mem::take(&mut self.unread);
            self.wanted.get_or_insert_default().extend(unread);
        }
        let wanted: Vec<_> = self.wanted.iter().flatten().copied().collect();
        let mut times = Vec::new();
        for (number, id) in wanted.iter().enumerate() {
            if number % READ_AT_ONCE == 0 {
                let next = wanted[number..].iter().take(READ_AT_ONCE);
                self.read_plans(shared, next.copied()).await?;
            }
            let time = self.take_up_one(shared, *id, head).await?;
            times.extend(time.map(|time| (*id, time)));
        }
        if !times.is_empty() {
            // So that none of these blocks is asked for again after a start.
            write_found(shared, &[], times)?;
        }
        // After they are listened for: what is being read without them is read again.
        tokio::task::block_in_place(|| shared.state.look_for(&self.new))?;
        self.new.clear();
        self.wanted = Some(BTreeSet::new());
        shared.all_are_looked_for();
        if self.unread.is_empty() {
            self.failures = 0;
        }
        Ok(())
    }

    /// Reads the plans of installations beside each other, and pins what they consist of together. What cannot be read is told
    /// when it is looked at.
    async fn read_plans(
        &self,
        shared: &Processes,
        ids: impl Iterator<Item = Digest>,
    ) -> Result<(), ProcessError> {
        let mut processes = BTreeSet::new();
        for id in ids.filter(|id| !self.taken_up.contains_key(id)) {
            let installed = shared.state.installed(id)?;
            let installed = installed.filter(|held| held.activity != Activity::Cancelled);
            processes.extend(installed.map(|held| held.installation.process));
        }
        let reads = processes
            .into_iter()
            .map(|process| shared.read_plan(process));
        let read: Vec<_> = join_all(reads).await.into_iter().flatten().collect();
        let to_pin = read.iter().flat_map(|(_, to_pin)| to_pin);
        let to_pin: Vec<_> = to_pin.copied().collect();
        if !to_pin.is_empty() {
            shared.pin(&to_pin).await?;
        }
        read.iter().for_each(|(plan, _)| shared.plans.keep(plan));
        Ok(())
    }

    /// Looks at an installation. Gives the time from which on its schedule is followed, if it is new.
    async fn take_up_one(
        &mut self,
        shared: &Processes,
        id: Digest,
        head: u64,
    ) -> Result<Option<u64>, ProcessError> {
        let installed = shared.state.installed(id)?;
        let Some(Installed {
            installation,
            activity,
            ..
        }) = installed
        else {
            return Ok(None);
        };
        let of = (id, &installation.instances);
        if activity == Activity::Cancelled {
            shared.users().leave_out(&shared.state, of)?;
            self.forget(id);
            return Ok(None);
        }
        if self.taken_up.get(&id) == Some(&installation.since) {
            return Ok(None);
        }
        let Some(plan) = self.plan(shared, id, &installation).await else {
            tokio::task::block_in_place(|| shared.state.look_later(id))?;
            return Ok(None);
        };
        self.forget(id);
        shared.users().read(&shared.state, of, &plan)?;
        shared.listen_for(id, &installation, &plan);
        let mut new = None;
        if let Some(schedule) = plan.schedule() {
            let after = match shared.state.followed(id)? {
                Some(time) => time,
                None => {
                    let before = installation.since.saturating_sub(1).min(head);
                    *new.insert(self.time_of(shared, before).await?)
                }
            };
            let on = (installation.process, &plan.process().on);
            self.agenda.add(id, on, schedule, after);
        }
        if self.watched.add(id, &installation, &plan) || plan.schedule().is_some() {
            // It may reach back to blocks that were looked at.
            self.seen = 0;
        }
        self.taken_up.insert(id, installation.since);
        self.new.push((id, installation));
        Ok(new)
    }

    fn forget(&mut self, id: Digest) {
        self.taken_up.remove(&id);
        self.watched.remove(id);
        self.agenda.remove(id);
    }

    /// The plan of an installation whose events are kept from now on; nothing if that cannot be had now.
    async fn plan(
        &mut self,
        shared: &Processes,
        id: Digest,
        installation: &Installation,
    ) -> Option<Arc<Plan>> {
        let again = match shared.plan(installation.process).await {
            Ok(plan) => match shared.await_sources(&plan, installation) {
                Ok(()) => return Some(plan),
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::warn!(process = %installation.process, cause, "events that a process waits for cannot be kept now; trying again");
                    shared.parts.turn
                }
            },
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(process = %installation.process, cause, "a process cannot be read now; trying again");
                // Less and less often: nobody may have it.
                self.failures = self.failures.saturating_add(1).min(LONGEST_PAUSE);
                shared.parts.turn * (1 << self.failures)
            }
        };
        self.unread.insert(id);
        self.again = Some(Instant::now() + again);
        None
    }

    /// The time of a block. That of the last one is not asked for again.
    async fn time_of(&mut self, shared: &Processes, block: u64) -> Result<u64, ProcessError> {
        if let Some((_, time)) = self.time.filter(|(known, _)| *known == block) {
            return Ok(time);
        }
        let time = shared.parts.chain.block(block).await?.timestamp;
        self.time = Some((block, time));
        Ok(time)
    }

    /// Reads logs of all blocks that are deep enough. How many events were found.
    async fn read_logs(&mut self, shared: &Processes, head: u64) -> Result<usize, ProcessError> {
        let mut found = 0;
        // Services that wait for more blocks do not keep others waiting.
        for confirmations in self.watched.depths() {
            let Some(to) = head.checked_sub(confirmations) else {
                continue;
            };
            loop {
                let span = (self.last.get(&confirmations).copied(), to);
                let page = read_page(shared, &self.watched, confirmations, span).await?;
                let Some((last, count)) = page else { break };
                found += count;
                self.last.insert(confirmations, last);
                if last.number >= to {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Makes the events of schedules that are due by the time of the newest block. How many there are.
    async fn follow_schedules(
        &mut self,
        shared: &Processes,
        head: u64,
    ) -> Result<usize, ProcessError> {
        if self.agenda.is_empty() {
            return Ok(0);
        }
        let now = shared.parts.chain.block(head).await?.timestamp;
        let mut count = 0;
        loop {
            let due = self.agenda.due(now, FOLLOWED_AT_ONCE);
            if due.is_empty() {
                return Ok(count);
            }
            count += write_due(shared, &due, now)?;
            for DueRun { installation, .. } in due {
                self.agenda.followed(installation, now);
            }
        }
    }

    /// Writes events that stand in no log, when it is this member's turn.
    async fn write(&mut self, shared: &Processes) -> Result<(), ProcessError> {
        let unwritten = shared.state.unwritten(WRITTEN_AT_ONCE)?;
        self.due
            .retain(|event, _| unwritten.iter().any(|each| each.key.1 == *event));
        let now = Instant::now();
        let mut starts: BTreeMap<Digest, (Vec<u8>, BTreeSet<Digest>)> = BTreeMap::new();
        for Opening { key, event } in unwritten {
            let turn = || now + shared.parts.turn * shared.place(key.1);
            if *self.due.entry(key.1).or_insert_with(turn) <= now {
                let entry = starts.entry(key.1).or_insert((event, BTreeSet::new()));
                entry.1.insert(key.0);
            }
        }
        if starts.is_empty() {
            return Ok(());
        }
        let mut words = Vec::with_capacity(starts.len());
        for (name, (event, starts)) in starts {
            self.due.insert(name, now + shared.round());
            let happened = |event| {
                Word::Happened(Box::new(Happened {
                    event,
                    starts,
                    version: VERSION,
                }))
            };
            let word = Event::from_bytes(&event).map(happened);
            let checked = word.map_err(ProcessError::from);
            match checked.and_then(|word| Ok(word.to_message().map(|_| word)?)) {
                Ok(word) => words.push(word),
                // It keeps no other from being written.
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::warn!(event = %name, cause, "an event that was found cannot be written into a log");
                }
            }
        }
        shared.say(&words).await
    }
}

/// Writes the events of schedules that are due at the time `now` of a block. How many there are.
fn write_due(shared: &Processes, all: &[DueRun], now: u64) -> Result<usize, ProcessError> {
    let (mut found, mut times) = (Vec::new(), Vec::with_capacity(all.len()));
    for run in all {
        if run.due.left_out > 0 {
            tracing::warn!(process = %run.process, left_out = run.due.left_out, "scheduled times were too many to be caught up");
        }
        for time in &run.due.times {
            found.push(Found {
                installation: run.installation,
                event: Event::scheduled(run.process, *time).to_bytes()?,
                place: None,
            });
        }
        times.push((run.installation, now));
    }
    write_found(shared, &found, times)?;
    Ok(found.len())
}

/// Writes what schedules have found, and the times up to which they were followed.
fn write_found(
    shared: &Processes,
    found: &[Found],
    times: Vec<(Digest, u64)>,
) -> Result<(), ProcessError> {
    let read = ReadTo {
        next_block: None,
        times,
    };
    let write = || shared.state.found(found, &read, clock::milliseconds());
    tokio::task::block_in_place(write)?;
    Ok(())
}

/// All installations.
fn all_installed(shared: &Processes) -> Result<BTreeSet<Digest>, ProcessError> {
    let mut all = BTreeSet::new();
    shared.state.each_installed(|id, _| {
        all.insert(id);
    })?;
    Ok(all)
}
