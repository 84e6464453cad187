//! The runs and executions that this member has in memory, and what follows when one ends. Nothing here waits for anything.

use super::{
    job::output,
    keeper::{Answer, Processes},
    live::Live,
    look::{Duty, Errand, Job, Look, Settling, Wait},
    waits::source_of,
    written::{Cause, Told, Written},
};
use crate::{
    clock,
    state::{Ended, Finished, RunEnd, RunKey, StateError},
};
use cid::Cid;
use rings_process::{
    event::Event,
    execution::{Execution, State},
    plan::{Settlement, StepKind},
    run::Run,
    service::Task,
    settle,
    words::Stage,
    work::Work,
};
use rings_protocol::{cids::digest_of, Address, Digest};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt::Display,
    sync::Arc,
    time::Instant,
};

/// Executions that are under way here at once.
pub(super) const MAX_JOBS: usize = 1_024;

/// What this member has in memory.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) runs: BTreeMap<RunKey, Run>,
    pub(super) jobs: BTreeMap<Cid, Job>,
    by_request: HashMap<Digest, Cid>,
    /// Executions at which somebody has to look.
    ready: VecDeque<Cid>,
    /// How many tasks have emitted events in a row up to the one of each run, and the instances of its services.
    pub(super) causes: BTreeMap<RunKey, Cause>,
    /// What is to be written.
    ended: Vec<(Cid, Ended)>,
    finished: Vec<Finished>,
    emitted: Vec<Event>,
    /// Runs that may do nothing but wait.
    pub(super) idle: BTreeSet<RunKey>,
    /// Whether there was no room for an execution of a run.
    is_short: bool,
}

impl Runs {
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    pub fn has(&self, key: &RunKey) -> bool {
        self.runs.contains_key(key)
    }

    /// Takes up a run, and makes the executions that are to be done now.
    pub fn open(
        &mut self,
        shared: &Processes,
        key: RunKey,
        (run, cause): (Run, Cause),
    ) -> Result<(), StateError> {
        self.runs.insert(key, run);
        self.causes.insert(key, cause);
        self.advance(shared, key)
    }

    /// A run cannot be gone on with: its event does not start the process.
    pub fn refuse(&mut self, key: RunKey, error: &dyn Display) {
        tracing::warn!(installation = %key.0, event = %key.1, %error, "an event starts nothing");
        self.finished.push((key, RunEnd::Failed));
    }

    /// Forgets the runs of an installation. What is asked stays asked; its results are found when the runs go on.
    pub fn forget(&mut self, shared: &Processes, installation: Digest) {
        self.runs.retain(|key, _| key.0 != installation);
        self.causes.retain(|key, _| key.0 != installation);
        self.leave(&mut shared.live(), |key| key.0 == installation);
    }

    /// Runs wait no more for executions; those for which nobody waits are forgotten.
    pub(super) fn leave(
        &mut self,
        live: &mut BTreeMap<Cid, Live>,
        leaves: impl Fn(&RunKey) -> bool,
    ) {
        self.jobs.retain(|id, job| {
            job.runs.retain(|key| !leaves(key));
            if job.runs.is_empty() {
                live.remove(id);
                for request in &job.requests {
                    self.by_request.remove(request);
                }
            }
            !job.runs.is_empty()
        });
    }

    /// Two thirds have agreed on a request.
    pub fn agreed(&mut self, request: &Digest) {
        if let Some(id) = self.by_request.get(request).copied() {
            self.wake(id);
        }
    }

    /// A member has said something about an external execution.
    pub fn heard(&mut self, execution: Cid) {
        self.wake(execution);
    }

    /// Somebody has to look at all of them.
    pub fn wake_all(&mut self) {
        let all: Vec<_> = self.jobs.keys().copied().collect();
        all.into_iter().for_each(|id| self.wake(id));
    }

    /// Somebody has to look at those whose turn has come.
    pub fn wake_due(&mut self, now: Instant) {
        let due = self.jobs.iter();
        let due = due.filter(|(_, job)| !job.is_busy && job.due <= now);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.wake(id));
    }

    /// When the next turn comes.
    pub fn next_due(&self) -> Option<Instant> {
        let waiting = self.jobs.values().filter(|job| !job.is_busy);
        waiting.map(|job| job.due).min()
    }

    fn wake(&mut self, id: Cid) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.is_busy {
            job.look_again = true;
            return;
        }
        job.is_busy = true;
        self.ready.push_back(id);
    }

    /// The next execution at which somebody has to look.
    pub fn next_look(&mut self, now: Instant) -> Option<Look> {
        loop {
            let id = self.ready.pop_front()?;
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            let Some(run) = job.runs.first().copied() else {
                continue;
            };
            job.look_again = false;
            let is_first = !std::mem::replace(&mut job.was_looked_at, true);
            return Some(Look {
                execution: id,
                duty: Arc::clone(&job.duty),
                since: job.since,
                run,
                requests: job.requests.clone(),
                may_ask: job.due <= now,
                has_asked: job.has_asked,
                is_first,
            });
        }
    }

    /// A look has found nothing. If it asked, the next one comes when all others have had their turns.
    pub fn still_open(
        &mut self,
        shared: &Processes,
        id: Cid,
        asked: Option<Digest>,
        may_ask: bool,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.is_busy = false;
        if let Some(request) = asked {
            job.has_asked = true;
            job.requests.insert(request);
            self.by_request.insert(request, id);
            if let Some(live) = shared.live().get_mut(&id) {
                live.request = Some(request);
                live.is_started = true;
            }
        }
        if let Duty::Connect(_) = *job.duty {
            // What the ring decides is found by looking.
            job.due = Instant::now() + shared.parts.turn;
        } else if may_ask {
            job.due = Instant::now() + shared.round();
        }
        if job.look_again {
            self.wake(id);
        }
    }

    /// An execution has ended: whoever waits for it goes on. Returns what this member has to say about it.
    pub fn end(
        &mut self,
        shared: &Processes,
        id: Cid,
        (request, answer, result): (Option<Digest>, &Answer, Option<Cid>),
        (by, is_kept): (Vec<Address>, bool),
    ) -> Result<Option<Told>, StateError> {
        let Some(job) = self.jobs.remove(&id) else {
            return Ok(None);
        };
        for request in &job.requests {
            self.by_request.remove(request);
        }
        shared.live().remove(&id);
        let mut stage = Stage::Failed;
        for key in &job.runs {
            let Some(run) = self.runs.get_mut(key) else {
                continue;
            };
            let told = match output(answer) {
                Ok(bytes) => run.answered(id, bytes),
                Err(reason) => run.failed(id, reason),
            };
            if let Err(error) = told {
                tracing::error!(execution = %id, %error, "an execution has ended twice");
                continue;
            }
            if let Some(State::Succeeded(_)) = run.job(&id).map(|job| &job.state) {
                stage = Stage::Succeeded;
            }
            self.emit(*key, &id);
        }
        let first = job.runs.first().copied();
        if let Some(run) = first.filter(|_| !is_kept) {
            let reason = output(answer).err().map(str::to_owned);
            let ended = Ended {
                gate: None,
                installation: run.0,
                event: run.1,
                request,
                by,
                stage,
                result,
                reason,
                time: clock::milliseconds(),
            };
            tracing::info!(execution = %id, node = %job.execution.node, state = stage.name(), "an execution has ended");
            self.ended.push((id, ended));
        }
        for key in &job.runs {
            self.advance(shared, *key)?;
        }
        let told = first
            .zip(request)
            .filter(|_| job.has_asked && !is_kept)
            .map(|(run, request)| Told {
                execution: id,
                run,
                request,
                stage,
            });
        Ok(told)
    }

    /// The event that an execution emits which has ended, if there is one, is to be written.
    pub(super) fn emit(&mut self, key: RunKey, id: &Cid) {
        let Some((run, cause)) = self.runs.get(&key).zip(self.causes.get(&key)) else {
            return;
        };
        match run.emitted(id, &cause.instances, cause.depth) {
            Ok(event) => self.emitted.extend(event),
            Err(error) => {
                let cause = rings_api::with_causes(&error);
                tracing::warn!(installation = %key.0, cause, "an event is left out");
            }
        }
    }

    /// What is to be written now.
    pub fn take_written(&mut self) -> Written {
        Written {
            ended: std::mem::take(&mut self.ended),
            finished: std::mem::take(&mut self.finished),
            emitted: std::mem::take(&mut self.emitted),
        }
    }

    /// Gives back what could not be written.
    pub fn put_back(&mut self, written: Written) {
        self.ended.extend(written.ended);
        self.finished.extend(written.finished);
        self.emitted.extend(written.emitted);
    }

    /// Makes the executions for which there was no room.
    pub fn fill(&mut self, shared: &Processes) -> Result<(), StateError> {
        if !self.is_short || self.jobs.len() >= MAX_JOBS {
            return Ok(());
        }
        self.is_short = false;
        let waiting: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, run)| run.created().next().is_some())
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            self.advance(shared, key)?;
        }
        Ok(())
    }

    /// Makes jobs of the executions that a run has created, as long as there is room, and ends the run when it is over.
    pub(super) fn advance(&mut self, shared: &Processes, key: RunKey) -> Result<(), StateError> {
        while let Some(run) = self.runs.get_mut(&key) {
            let room = MAX_JOBS.saturating_sub(self.jobs.len());
            let created = run.created().take(room);
            let created: Vec<_> = created
                .map(|(id, execution)| (id, execution.clone()))
                .collect();
            if created.is_empty() {
                self.is_short |= run.created().next().is_some();
                break;
            }
            for (id, execution) in created {
                self.begin(shared, key, id, execution)?;
            }
        }
        let Some(run) = self.runs.get(&key).filter(|run| run.is_over()) else {
            self.idle.insert(key);
            return Ok(());
        };
        let end = match run.is_good() {
            true => RunEnd::Done,
            false => RunEnd::Failed,
        };
        tracing::info!(installation = %key.0, event = %run.event(), good = run.is_good(), "a process is over");
        self.runs.remove(&key);
        self.causes.remove(&key);
        self.finished.push((key, end));
        Ok(())
    }

    fn begin(
        &mut self,
        shared: &Processes,
        key: RunKey,
        id: Cid,
        execution: Execution,
    ) -> Result<(), StateError> {
        let Some(run) = self.runs.get_mut(&key) else {
            return Ok(());
        };
        let instance = |service: &str| {
            let cause = self.causes.get(&key)?;
            cause.instances.get(service).copied()
        };
        let next = shared.parts.logs.ring_node_count()?;
        let duty = match run.plan().step(&execution.node).map(|step| &step.kind) {
            Some(StepKind::Task(task)) => {
                let instance = instance(&task.service_name);
                match task.settlement {
                    None => duty(shared, (task.task.clone(), instance), &execution, next),
                    Some(settlement) => settling(&task.task, &execution, settlement),
                }
            }
            Some(StepKind::Wait(wait)) => {
                let wait = Wait {
                    execution: execution.clone(),
                    source: source_of(wait, instance(&wait.service_name)),
                    within: wait.within,
                };
                Ok((Duty::Wait(Box::new(wait)), None))
            }
            _ => Err("its node is no task and waits for no event".to_owned()),
        };
        let started = run.started(id);
        if let Err(error) = started {
            tracing::error!(execution = %id, %error, "an execution was started twice");
            return Ok(());
        }
        match duty {
            Ok(duty) => self.add(shared, key, (id, execution), duty),
            Err(reason) => self.fail(key, id, reason),
        }
        Ok(())
    }

    /// Nothing can be computed: everybody finds the same.
    fn fail(&mut self, key: RunKey, id: Cid, reason: String) {
        if let Some(Err(error)) = self.runs.get_mut(&key).map(|run| run.failed(id, &*reason)) {
            tracing::error!(execution = %id, %error, "an execution has ended twice");
        }
        let ended = Ended {
            gate: None,
            installation: key.0,
            event: key.1,
            request: None,
            by: Vec::new(),
            stage: Stage::Failed,
            result: None,
            reason: Some(reason),
            time: clock::milliseconds(),
        };
        self.ended.push((id, ended));
    }

    fn add(
        &mut self,
        shared: &Processes,
        key: RunKey,
        (id, execution): (Cid, Execution),
        (duty, request): (Duty, Option<Digest>),
    ) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.runs.insert(key);
            return;
        }
        let live = Live {
            installation: key.0,
            event: key.1,
            node: execution.label(),
            task: Some(execution.task.clone()).filter(|task| !task.is_empty()),
            request,
            is_started: false,
            by: Vec::new(),
        };
        shared.live().insert(id, live);
        let seed = digest_of(&id).unwrap_or_default();
        let job = Job {
            execution,
            duty: Arc::new(duty),
            runs: BTreeSet::from([key]),
            requests: request.into_iter().collect(),
            due: Instant::now() + shared.parts.turn * shared.place(seed),
            since: Instant::now(),
            is_busy: false,
            look_again: false,
            has_asked: false,
            was_looked_at: false,
        };
        self.jobs.insert(id, job);
        self.by_request.extend(request.map(|request| (request, id)));
        self.wake(id);
    }
}

/// The same, if a gate settles it.
fn settling(
    task: &Task,
    execution: &Execution,
    settlement: Settlement,
) -> Result<(Duty, Option<Digest>), String> {
    let work = Work::of(task, execution, &rings_compute::profile())?;
    // An input that is no file is the same for everybody.
    settle::gate(&work, Address::default(), Address::default())?;
    let settling = Settling {
        execution: execution.clone(),
        work,
        ring: settlement.ring,
        within: settlement.within,
    };
    Ok((Duty::Settle(Box::new(settling)), None))
}

/// What is to be done for an execution, and the request if the ring is asked.
fn duty(
    shared: &Processes,
    (task, instance): (Task, Option<Digest>),
    execution: &Execution,
    next: u64,
) -> Result<(Duty, Option<Digest>), String> {
    if task.external.is_some() {
        let errand = Errand {
            execution: execution.clone(),
            instance: instance.unwrap_or_default(),
            task,
        };
        return Ok((Duty::Connect(Box::new(errand)), None));
    }
    let work = Work::of(&task, execution, &rings_compute::profile())?;
    let request = work.request(&shared.parts.domain, next)?;
    let digest = request.digest().map_err(|error| error.to_string())?;
    Ok((Duty::Ask(Box::new(work)), Some(digest)))
}
