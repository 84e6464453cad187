//! The task that goes on with all runs that are open.
//!
//! A step reads what is new in the logs, takes up runs as far as there is room, and starts looks at executions. What comes of a
//! look makes further executions. What has ended is on disk before it is told. A failure of the disk, the store or the chain
//! is told, and the step is done again after a turn.

use super::{
    error::ProcessError,
    gates,
    hear::Places,
    job::progress,
    keeper::Processes,
    look::{Duty, Look, Seen},
    runs::Runs,
    taken_up::TakenUp,
    waits::Decisions,
    written::{Cause, Told, Written},
};
use crate::{
    clock,
    state::{Ended, Found, Opening, ReadTo, RunKey, StateError},
};
use cid::Cid;
use rings_api::{
    notices::{Notice, ProcessChange, ProcessNotice},
    with_causes,
};
use rings_process::{
    document::Document,
    event::Event,
    plan::Plan,
    run::Run,
    words::{Activity, Stage, Word},
};
use rings_protocol::{
    assembly::Choice,
    cids::{data_cid, digest_of},
    Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};
use tokio::{
    sync::broadcast::{error::RecvError, Receiver},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Runs in memory at once.
const MAX_RUNS: usize = 512;
/// Runs of one installation in memory at once.
const MAX_RUNS_EACH: usize = 64;
/// Looks at executions under way at once.
const MAX_LOOKS: usize = 64;
/// Agreed requests that are taken at once.
const MAX_AGREED: usize = 256;

/// Goes on with all runs until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used and waiting does not help.
pub async fn drive(
    shared: Arc<Processes>,
    mut agreed: Receiver<Digest>,
    stop: CancellationToken,
) -> Result<(), StateError> {
    // Ends with this function, however that ends.
    let watched = stop.child_token();
    let _stops = watched.clone().drop_guard();
    let watcher = tokio::spawn(gates::watch(Arc::clone(&shared), watched.clone()));
    let mut driver = Driver::new(shared);
    while !stop.is_cancelled() {
        match driver.step().await {
            Ok(()) => driver.paused = None,
            Err(ProcessError::State(error)) if !error.is_transient() => return Err(error),
            Err(ProcessError::Stopping) => break,
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(cause, "processes cannot be gone on with now; trying again");
                driver.paused = Some(Instant::now() + driver.shared.parts.turn);
            }
        }
        let wake = driver.wake();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(wake.into()), if driver.paused.is_some() => {}
            () = driver.shared.parts.words.notified() => {}
            request = agreed.recv() => match request {
                // The core has ended, and with it the member.
                Err(RecvError::Closed) => break,
                request => driver.on_agreed(request.ok(), &mut agreed),
            },
            Some(done) = driver.tasks.join_next() => match done {
                Ok(done) => driver.on_done(done),
                Err(error) => tracing::warn!(%error, "a look at an execution was cut short"),
            },
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
    driver.shared.stop_errands();
    watched.cancel();
    if let Err(error) = watcher.await {
        tracing::warn!(%error, "looking after gates was cut short");
    }
    Ok(())
}

/// How a task of the driver has ended.
enum Done {
    Looked(Look, Result<Seen, ProcessError>),
    Planned(Cid, Result<(), ProcessError>),
}

struct Driver {
    shared: Arc<Processes>,
    places: Places,
    runs: Runs,
    tasks: JoinSet<Done>,
    looks: usize,
    /// Processes whose definitions are being read, or could not be read until then.
    planning: BTreeMap<Cid, Option<Instant>>,
    /// What came of looks, to be taken in by the next step.
    seen: Vec<(Look, Result<Seen, ProcessError>)>,
    /// Events of runs that were taken up, and documents of executions that this member has asked: to be kept in the own store.
    documents: Vec<Vec<u8>>,
    /// When it is looked around without a reason.
    around: Instant,
    /// What was found when open runs were looked for; nothing if that is to be done again.
    taken_up: Option<TakenUp>,
    /// How often runs had come to be open when the events were looked at for which executions may wait.
    matched: Option<u64>,
    /// Until when nothing is tried, because a step has failed.
    paused: Option<Instant>,
    /// How far decisions about executions that wait were read.
    decisions: Decisions,
}

impl Driver {
    fn new(shared: Arc<Processes>) -> Self {
        Self {
            shared,
            places: Places::new(),
            runs: Runs::default(),
            tasks: JoinSet::new(),
            looks: 0,
            planning: BTreeMap::new(),
            seen: Vec::new(),
            documents: Vec::new(),
            around: Instant::now(),
            taken_up: None,
            matched: None,
            paused: None,
            decisions: Decisions::default(),
        }
    }

    fn wake(&self) -> Instant {
        let due = self.runs.next_due();
        let wake = due.map_or(self.around, |due| due.min(self.around));
        self.paused.unwrap_or(wake)
    }

    fn on_agreed(&mut self, request: Option<Digest>, agreed: &mut Receiver<Digest>) {
        match request {
            Some(request) => self.runs.agreed(&request),
            // Some were missed.
            None => self.runs.wake_all(),
        }
        for _ in 0..MAX_AGREED {
            match agreed.try_recv() {
                Ok(request) => self.runs.agreed(&request),
                Err(_) => break,
            }
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Looked(look, seen) => {
                self.looks -= 1;
                self.seen.push((look, seen));
            }
            Done::Planned(process, Ok(())) => {
                self.planning.remove(&process);
                self.taken_up = None;
            }
            Done::Planned(process, Err(error)) => {
                let cause = with_causes(&error);
                tracing::warn!(%process, cause, "a process cannot be read now; trying again");
                let again = Instant::now() + self.shared.parts.turn;
                self.planning.insert(process, Some(again));
            }
        }
    }

    async fn step(&mut self) -> Result<(), ProcessError> {
        while let Some(Ok(done)) = self.tasks.try_join_next() {
            self.on_done(done);
        }
        let now = Instant::now();
        if now >= self.around {
            self.around = now + self.shared.parts.turn;
            self.taken_up = None;
        }
        let shared = Arc::clone(&self.shared);
        let news = shared.hear(&mut self.places).await?;
        self.choose(news.choices).await?;
        news.attempts.into_iter().for_each(|id| self.runs.heard(id));
        self.decide()?;
        self.take_seen().await?;
        self.decide_waits().await?;
        self.park()?;
        self.take_up()?;
        self.runs.fill(&shared)?;
        self.runs.wake_due(now);
        // Not `now`: the turn of what was made meanwhile may have come, and a look that may not ask would be in vain.
        self.look(Instant::now());
        if !self.documents.is_empty() {
            // All at once, and the looks do not wait for it.
            shared.keep(&self.documents).await?;
            self.documents.clear();
        }
        Ok(())
    }

    /// Says which events executions wait for, and takes in what the ring has decided about that.
    async fn decide_waits(&mut self) -> Result<(), ProcessError> {
        let shared = Arc::clone(&self.shared);
        let opened = shared.state.opened();
        if self.matched != Some(opened) && shared.match_events().await? {
            self.matched = Some(opened);
        }
        shared.choose_expired(&mut self.decisions).await?;
        for decided in shared.decide_waits(&mut self.decisions).await? {
            let ended = vec![(decided.execution, decided.ended.clone())];
            shared.tell_ended(&ended);
            self.runs.decided(&shared, decided)?;
        }
        Ok(())
    }

    /// Runs that do nothing but wait need no room in memory.
    fn park(&mut self) -> Result<(), ProcessError> {
        let idle = self.runs.take_idle();
        if !idle.is_empty() {
            tokio::task::block_in_place(|| self.shared.state.park(&idle))?;
        }
        Ok(())
    }

    /// Says what this member would choose.
    async fn choose(&mut self, choices: Vec<Choice>) -> Result<(), ProcessError> {
        if choices.is_empty() {
            return Ok(());
        }
        self.shared.choose(&choices).await?;
        tokio::task::block_in_place(|| self.shared.state.chosen(&choices))?;
        Ok(())
    }

    /// Takes in the changes that the ring has decided.
    fn decide(&mut self) -> Result<(), ProcessError> {
        let decided = self.shared.decide()?;
        if !decided.is_empty() {
            let changed = decided.iter().map(|(installation, _)| *installation);
            self.shared.changed().extend(changed);
            self.shared.taken.send_modify(|taken| *taken += 1);
        }
        for (installation, activity) in decided {
            if activity != Activity::Active {
                self.runs.forget(&self.shared, installation);
            }
        }
        Ok(())
    }

    /// Takes in what came of looks, writes what has ended, and tells of what this member had asked.
    async fn take_seen(&mut self) -> Result<(), ProcessError> {
        let mut told = Vec::new();
        for (look, seen) in std::mem::take(&mut self.seen) {
            let id = look.execution;
            match seen {
                Ok(Seen::Ended {
                    request,
                    answer,
                    result,
                    by,
                    is_kept,
                }) => {
                    let what = (request, &answer, result);
                    told.extend(self.runs.end(&self.shared, id, what, (by, is_kept))?);
                }
                Ok(Seen::Waits) => {
                    let runs = self.runs.waits(&self.shared, id);
                    let add = || self.shared.state.add_waiters(&id, &runs);
                    let is_waiting = tokio::task::block_in_place(add)?;
                    let name = digest_of(&id).unwrap_or_default();
                    self.decisions.waits(name);
                    if !is_waiting {
                        // It has ended meanwhile: the runs are gone through again.
                        let shared = Arc::clone(&self.shared);
                        runs.into_iter()
                            .for_each(|key| self.runs.drop_run(&mut shared.live(), key));
                        self.taken_up = None;
                    }
                }
                Ok(Seen::Open { asked }) => {
                    if let (Some(_), false, Duty::Ask(work)) = (asked, look.has_asked, &*look.duty)
                    {
                        // Whoever traces the result finds them here, also when others have collected theirs.
                        self.documents.extend(work.documents.iter().cloned());
                    }
                    self.runs.still_open(&self.shared, id, asked, look.may_ask);
                }
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::warn!(execution = %id, cause, "an execution cannot be gone on with now; trying again");
                    self.runs.still_open(&self.shared, id, None, true);
                }
            }
        }
        // What follows is asked while what has ended is written: it rests on what two thirds agreed, and not on this disk.
        self.look(Instant::now());
        let written = self.runs.take_written();
        if let Err(error) = self.shared.write(&written).await {
            self.runs.put_back(written);
            return Err(error);
        }
        self.tell(told).await
    }

    async fn tell(&self, told: Vec<Told>) -> Result<(), ProcessError> {
        if told.is_empty() {
            return Ok(());
        }
        let words = told.into_iter().map(|told| {
            Word::Progress(progress(told.execution, told.run, told.request, told.stage))
        });
        // Nothing waits for it.
        drop(self.shared.tell(&words.collect::<Vec<_>>()).await?);
        Ok(())
    }

    /// Takes up runs that are open, as far as there is room.
    fn take_up(&mut self) -> Result<(), ProcessError> {
        let room = MAX_RUNS.saturating_sub(self.runs.len());
        // What comes to be open while the disk is read is looked for again.
        let opened = self.shared.state.opened();
        let is_known = |taken: &TakenUp| !taken.is_old(opened, self.runs.len());
        if room == 0 || self.taken_up.as_ref().is_some_and(is_known) {
            return Ok(());
        }
        let known = |key: &RunKey| self.runs.has(key);
        let (openings, is_all) = self.shared.state.openings(known, (room, MAX_RUNS_EACH))?;
        let mut wanted = BTreeSet::new();
        for Opening { key, event } in openings {
            let Some(installed) = self.shared.state.installed(key.0)? else {
                continue;
            };
            let process = installed.installation.process;
            let instances = installed.installation.instances;
            match self.shared.plans.known(&process) {
                Some(plan) => self.begin(key, &event, (plan, instances))?,
                None => drop(wanted.insert(process)),
            }
        }
        wanted
            .into_iter()
            .for_each(|process| self.want_plan(process));
        let full = (!is_all).then(|| self.runs.len());
        self.taken_up = Some(TakenUp { opened, full });
        Ok(())
    }

    fn begin(
        &mut self,
        key: RunKey,
        bytes: &[u8],
        (plan, instances): (Arc<Plan>, BTreeMap<String, Digest>),
    ) -> Result<(), ProcessError> {
        let event = Event::from_bytes(bytes)?;
        if let Err(error) = plan.check_told(&event) {
            self.runs.refuse(key, &error);
            return Ok(());
        }
        let known = self.shared.state.run(key)?.unwrap_or_default();
        if plan.needs_quorum() && !event.source.is_found() && !self.shared.is_seen_enough(key)? {
            tokio::task::block_in_place(|| self.shared.state.postpone(&[(key, known)]))?;
            return Ok(());
        }
        // Whoever traces a result finds it with any member.
        self.documents.push(bytes.to_vec());
        let cause = Cause {
            depth: event.source.depth(),
            instances,
        };
        match Run::new(plan, &event) {
            Ok(run) => {
                self.shared.tell_change(key, ProcessChange::Began, None);
                self.runs.open(&self.shared, key, (run, cause))?;
            }
            Err(error) => self.runs.refuse(key, &error),
        }
        Ok(())
    }

    fn want_plan(&mut self, process: Cid) {
        let now = Instant::now();
        match self.planning.get(&process) {
            Some(None) => return,
            Some(Some(again)) if *again > now => return,
            _ => {}
        }
        self.planning.insert(process, None);
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let read = shared.plan(process).await.map(drop);
            Done::Planned(process, read)
        });
    }

    fn look(&mut self, now: Instant) {
        while self.looks < MAX_LOOKS {
            let Some(look) = self.runs.next_look(now) else {
                break;
            };
            self.looks += 1;
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn(async move {
                let seen = shared.look(&look).await;
                Done::Looked(look, seen)
            });
        }
    }
}

impl Processes {
    /// Writes what has ended. What follows from it in other processes is on disk first, because an execution that has ended is
    /// not looked at again.
    async fn write(&self, written: &Written) -> Result<(), ProcessError> {
        let mut found = Vec::new();
        for event in &written.emitted {
            let starts = self.started_by_task(event).await?;
            let bytes = event.to_bytes()?;
            found.extend(starts.into_iter().map(|installation| Found {
                installation,
                event: bytes.clone(),
                place: None,
            }));
        }
        tokio::task::block_in_place(|| {
            if !found.is_empty() {
                let read = ReadTo::default();
                self.state.found(&found, &read, clock::milliseconds())?;
            }
            self.state.end(&written.ended, &written.finished)
        })?;
        if !found.is_empty() {
            // They are to be written into a log.
            self.taken.send_modify(|taken| *taken += 1);
        }
        self.tell_written(written);
        Ok(())
    }

    /// Tells those who subscribe what has ended. It is on disk.
    fn tell_written(&self, written: &Written) {
        self.tell_ended(&written.ended);
        for (key, _) in &written.finished {
            self.tell_change(*key, ProcessChange::Over, None);
        }
    }

    fn tell_ended(&self, all: &[(Cid, Ended)]) {
        for (execution, ended) in all {
            let change = match ended.stage {
                Stage::Succeeded => ProcessChange::Succeeded,
                Stage::Expired => ProcessChange::Expired,
                Stage::Started | Stage::Failed => ProcessChange::Failed,
            };
            self.tell_change((ended.installation, ended.event), change, Some(*execution));
        }
    }

    fn tell_change(
        &self,
        (installation, event): RunKey,
        change: ProcessChange,
        execution: Option<Cid>,
    ) {
        self.parts.news.tell(Notice::Processes(ProcessNotice {
            installation,
            event: data_cid(event),
            change,
            execution,
        }));
    }
}
