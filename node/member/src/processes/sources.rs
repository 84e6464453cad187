//! Events that nobody has to tell: logs of contracts, and schedules.
//!
//! A member reads the logs of all contracts that start a process, from the first block that it has not read, as soon as enough
//! blocks are on top. How far it has read is on disk, with what it found, so it finds the same again after any time of being
//! away. Schedules follow the times of blocks. Each event that is found and stands in no log is written into one: the members
//! have their turns in an order that the event gives.

use super::{
    error::ProcessError, keeper::Processes, log_pages::read_page, trigger::Trigger,
    waits::source_of,
};
use crate::{
    clock,
    state::{Found, Opening, ReadTo, StateError},
};
use rings_api::with_causes;
use rings_chain::BlockRef;
use rings_process::{
    document::Document,
    event::Event,
    origin::LogReader,
    plan::Plan,
    words::{Activity, Happened, Installation, Word, VERSION},
};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{atomic::Ordering, Arc},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether there is a new block. No question to the chain is behind it.
const LOOK: Duration = Duration::from_millis(20);
/// Events that were found and are written at once.
const WRITTEN_AT_ONCE: usize = 256;
/// Installations that are read from the disk at once.
const PAGE: usize = 1_024;

/// The pause between two tries to read a definition is doubled so often at most.
const LONGEST_PAUSE: u32 = 6;

/// What is known of the installations, and when it was read.
#[derive(Default)]
struct Triggers {
    all: Vec<Trigger>,
    /// Processes that do not start by themselves.
    others: BTreeSet<Digest>,
}

/// Finds events until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used and waiting does not help.
pub async fn find(shared: Arc<Processes>, stop: CancellationToken) -> Result<(), StateError> {
    let mut finder = Finder::default();
    let mut pause = LOOK;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match finder.step(&shared).await {
            Ok(()) => LOOK,
            Err(ProcessError::State(error)) if !error.is_transient() => return Err(error),
            Err(ProcessError::Stopping) => break,
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(
                    cause,
                    "events of processes cannot be looked for now; trying again"
                );
                shared.parts.turn
            }
        };
    }
    Ok(())
}

#[derive(Default)]
struct Finder {
    triggers: Triggers,
    /// How often members' words were taken in when the installations were read.
    taken: Option<u64>,
    /// When those are tried again whose definitions could not be read.
    again: Option<Instant>,
    /// How often some could not be read, up to [`LONGEST_PAUSE`].
    failures: u32,
    /// There may be events that stand in no log.
    has_found: bool,
    /// The last block that was read, for events with so many blocks on top.
    last: BTreeMap<u64, BlockRef>,
    /// The head up to which everything was looked at.
    seen: u64,
    /// When it is this member's turn to write an event.
    due: BTreeMap<Digest, Instant>,
}

impl Finder {
    async fn step(&mut self, shared: &Processes) -> Result<(), ProcessError> {
        let taken = *shared.taken.borrow();
        let is_due = self.again.is_some_and(|again| again <= Instant::now());
        if self.taken != Some(taken) || is_due {
            self.read_installed(shared).await?;
            if self.again.is_none() {
                self.failures = 0;
            }
            self.taken = Some(taken);
        }
        // The watcher of the chain has seen it. Nothing is asked while there is no new block.
        let head = shared.parts.ring.head();
        if head > self.seen && !self.triggers.all.is_empty() {
            let is_done = self.read_logs(shared, head).await?;
            self.follow_schedules(shared, head).await?;
            if is_done {
                self.seen = head;
            }
        }
        self.has_found |= shared.has_heard.swap(false, Ordering::AcqRel);
        match self.has_found || !self.due.is_empty() {
            true => self.write(shared).await,
            false => Ok(()),
        }
    }

    /// Reads which installations start by themselves.
    async fn read_installed(&mut self, shared: &Processes) -> Result<(), ProcessError> {
        self.again = None;
        // Also what was found before this process was started.
        self.has_found = true;
        let known = self.triggers.all.iter();
        let known: BTreeMap<_, _> = known
            .map(|trigger| (trigger.owner, trigger.installation.since))
            .collect();
        let (mut after, mut kept, mut new) = (None, BTreeSet::new(), Vec::new());
        loop {
            let page = shared.state.all_installed(after, PAGE)?;
            let count = page.len();
            for (id, installed) in page {
                after = Some(id);
                let is_over = installed.activity == Activity::Cancelled;
                if is_over || self.triggers.others.contains(&id) {
                    continue;
                }
                match known.get(&id) == Some(&installed.installation.since) {
                    true => drop(kept.insert(id)),
                    false => new.push((id, installed.installation)),
                }
            }
            if count < PAGE {
                break;
            }
        }
        self.triggers
            .all
            .retain(|trigger| kept.contains(&trigger.owner));
        for (id, installation) in new {
            self.add(shared, id, installation).await;
        }
        Ok(())
    }

    async fn add(&mut self, shared: &Processes, id: Digest, installation: Installation) {
        let plan = match shared.plan(installation.process).await {
            Ok(plan) => plan,
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(process = %installation.process, cause, "a process cannot be read now; trying again");
                // Less and less often: nobody may have it.
                self.failures = self.failures.saturating_add(1).min(LONGEST_PAUSE);
                self.again = Some(Instant::now() + shared.parts.turn * (1 << self.failures));
                return;
            }
        };
        if let Err(error) = shared.await_sources(&plan, &installation) {
            let cause = with_causes(&error);
            tracing::warn!(process = %installation.process, cause, "events that a process waits for cannot be kept now; trying again");
            self.again = Some(Instant::now() + shared.parts.turn);
            return;
        }
        shared.listen_for(id, &installation, &plan);
        let new = triggers(id, &installation, &plan);
        if new.is_empty() {
            self.triggers.others.insert(id);
            return;
        }
        // It may reach back to blocks that were looked at.
        self.seen = 0;
        self.triggers.all.extend(new);
    }

    /// Reads pages of logs. Whether all blocks were read that are deep enough.
    async fn read_logs(&mut self, shared: &Processes, head: u64) -> Result<bool, ProcessError> {
        let readers = self.triggers.all.iter();
        let readers = readers.filter_map(|trigger| Some((trigger, trigger.reader.as_ref()?)));
        // Services that wait for more blocks do not keep others waiting.
        let mut by_depth: BTreeMap<u64, Vec<(&Trigger, &LogReader)>> = BTreeMap::new();
        for (trigger, reader) in readers {
            let at_depth = by_depth.entry(reader.confirmations).or_default();
            at_depth.push((trigger, reader));
        }
        let (mut is_done, mut has_found) = (true, false);
        for (confirmations, readers) in by_depth {
            let Some(to) = head.checked_sub(confirmations) else {
                continue;
            };
            let last = self.last.get(&confirmations);
            let span = (last.copied(), to);
            let page = read_page(shared, &readers, confirmations, span).await?;
            let Some((last, count)) = page else {
                continue;
            };
            let is_level = last.number >= to;
            self.last.insert(confirmations, last);
            is_done &= is_level;
            has_found |= count > 0;
        }
        self.has_found |= has_found;
        Ok(is_done)
    }

    /// Makes the events of schedules that are due by the time of the newest block.
    async fn follow_schedules(
        &mut self,
        shared: &Processes,
        head: u64,
    ) -> Result<(), ProcessError> {
        let all = &self.triggers.all;
        let scheduled = || {
            let with = |trigger| {
                let trigger: &Trigger = trigger;
                let is_own = trigger.id == trigger.owner;
                Some((trigger, trigger.plan.schedule().filter(|_| is_own)?))
            };
            all.iter().filter_map(with)
        };
        if scheduled().next().is_none() {
            return Ok(());
        }
        let now = shared.parts.chain.block(head).await?.timestamp;
        let (mut found, mut times) = (Vec::new(), Vec::new());
        for (trigger, schedule) in scheduled() {
            let after = match shared.state.followed(trigger.id)? {
                Some(time) => time,
                None => {
                    let before = trigger.installation.since.saturating_sub(1);
                    shared.parts.chain.block(before.min(head)).await?.timestamp
                }
            };
            if after >= now {
                continue;
            }
            let due = schedule.due(after, now);
            if due.left_out > 0 {
                tracing::warn!(process = %trigger.installation.process, left_out = due.left_out, "scheduled times were too many to be caught up");
            }
            for time in due.times {
                let event = Event::scheduled(trigger.installation.process, time);
                found.push(Found {
                    installation: trigger.id,
                    event: event.to_bytes()?,
                });
            }
            times.push((trigger.id, now));
        }
        let read = ReadTo {
            next_block: None,
            times,
        };
        let write = || shared.state.found(&found, &read, clock::milliseconds());
        tokio::task::block_in_place(write)?;
        self.has_found |= !found.is_empty();
        Ok(())
    }

    /// Writes events that stand in no log, when it is this member's turn.
    async fn write(&mut self, shared: &Processes) -> Result<(), ProcessError> {
        let unwritten = shared.state.unwritten(WRITTEN_AT_ONCE)?;
        self.has_found = unwritten.len() >= WRITTEN_AT_ONCE;
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
            words.push(Word::Happened(Box::new(Happened {
                event: Event::from_bytes(&event)?,
                starts,
                version: VERSION,
            })));
        }
        shared.say(&words).await
    }
}

/// What logs and a schedule do for an installation.
fn triggers(owner: Digest, installation: &Installation, plan: &Arc<Plan>) -> Vec<Trigger> {
    let trigger = |id, reader, event| Trigger {
        owner,
        id,
        installation: installation.clone(),
        plan: Arc::clone(plan),
        reader,
        event,
    };
    let mut found = Vec::new();
    let reader = plan.log_reader();
    if reader.is_some() || plan.schedule().is_some() {
        let event = plan.event_service().zip(plan.event());
        let event = event.map(|(service, (_, event))| (service.to_owned(), event.to_owned()));
        found.push(trigger(owner, reader, event));
    }
    for (_, wait) in plan.waits() {
        if let Some(reader) = plan.reader_of(&wait.service_name, &wait.event) {
            let instance = installation.instances.get(&wait.service_name);
            let source = source_of(wait, instance.copied());
            let event = (wait.service_name.clone(), wait.event.clone());
            found.push(trigger(source, Some(reader), Some(event)));
        }
    }
    found
}
