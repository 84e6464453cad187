//! `rings process dev`: a process on this machine alone, under the rules and limits of a ring.
//!
//! Events come from files or from standard input. Executions run in the workers that a member has, several at once; what they
//! give goes into the run, of which further ones follow. When a file changes, the definition is read again; it is for new
//! events. Documents and results are kept for `rings trace`.

use super::{
    dev_external::{connectors, values},
    dev_input::{take_files, Line},
    dev_waits::{named, Waits},
    lines::Teller,
    load::{self, LoadedProcess},
    local::{Came, Files, LocalDesk},
    records::Records,
};
use crate::{
    args::DevArgs,
    exit::{Context, ExitError, ExitStatus},
    input::read_text,
    out::Out,
    signals::Signals,
};
use cid::Cid;
use futures::{future::LocalBoxFuture, stream::FuturesUnordered, FutureExt, StreamExt};
use rings_process::{
    data::Fields,
    document::Document,
    event::Event,
    execution::Execution,
    plan::{Plan, StepKind},
    run::Run,
    service::Task,
    wait::expired,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines, Stdin},
    time::MissedTickBehavior,
};

/// Processes that run at once; further events wait.
const MAX_RUNS: usize = 64;
/// Events that wait at most; standard input is not read further meanwhile.
const MAX_WAITING: usize = 1_024;
/// Events that are known to have been there; an older one would start a process again.
const MAX_SEEN: usize = 100_000;
/// Executions that are given to the workers at once.
const MAX_AT_ONCE: usize = 64;
/// How often the files are looked at for changes.
const LOOK: Duration = Duration::from_millis(300);

/// An execution that has ended: its run, its id, and what came of it.
type Ended = (u64, Cid, Result<Came, ExitError>);

/// `rings process dev`
///
/// # Errors
/// Status 2 when the process is wrong, 3 when a node failed and all events came from files.
pub async fn dev(args: DevArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::process(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let records = Records::new(&args.records);
    records.create()?;
    let values = values(&args, &loaded.plan)?;
    let desk = LocalDesk::with_connectors(connectors(&args)?).await?;
    let done = {
        let mut dev = Dev::new(&args, (loaded, values), &records, &desk, out)?;
        let mut signals = Signals::new()?;
        tokio::select! {
            done = dev.all() => done,
            () = signals.next() => Ok(()),
        }
    };
    desk.close().await;
    done
}

struct Dev<'d> {
    args: &'d DevArgs,
    out: Out,
    records: &'d Records,
    desk: &'d LocalDesk,
    plan: Arc<Plan>,
    values: BTreeMap<String, Fields>,
    files: Files,
    stamps: Vec<Stamp>,
    /// The time of the last block that was told.
    time: Option<u64>,
    waits: Waits,
    waiting: VecDeque<Event>,
    seen: BTreeSet<Cid>,
    runs: BTreeMap<u64, (Run, Teller)>,
    next_run: u64,
    computing: FuturesUnordered<LocalBoxFuture<'d, Ended>>,
    has_failed: bool,
}

/// A file, and when it was changed.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

fn stamp(path: PathBuf) -> Stamp {
    let kind = fs::metadata(&path).ok();
    let stamp = kind.and_then(|kind| Some((kind.modified().ok()?, kind.len())));
    (path, stamp)
}

impl<'d> Dev<'d> {
    fn new(
        args: &'d DevArgs,
        (loaded, values): (LoadedProcess, BTreeMap<String, Fields>),
        records: &'d Records,
        desk: &'d LocalDesk,
        out: Out,
    ) -> Result<Self, ExitError> {
        let mut dev = Self {
            args,
            out,
            records,
            desk,
            plan: Arc::clone(&loaded.plan),
            values,
            files: Files::new(),
            stamps: Vec::new(),
            time: None,
            waits: Waits::default(),
            waiting: VecDeque::new(),
            seen: BTreeSet::new(),
            runs: BTreeMap::new(),
            next_run: 0,
            computing: FuturesUnordered::new(),
            has_failed: false,
        };
        dev.take(loaded)?;
        Ok(dev)
    }

    /// Takes a definition for new events.
    fn take(&mut self, loaded: LoadedProcess) -> Result<(), ExitError> {
        self.stamps = loaded.files.into_iter().map(stamp).collect();
        let programs = loaded.programs.into_iter();
        self.files
            .extend(programs.map(|(cid, content)| (cid, Arc::new(content))));
        self.plan = loaded.plan;
        let unkept =
            |error: rings_process::document::DocumentError| ExitError::usage(error.to_string());
        self.records
            .keep(&self.plan.process().to_bytes().map_err(unkept)?)?;
        for service in self.plan.services().values() {
            self.records.keep(&service.to_bytes().map_err(unkept)?)?;
        }
        self.out.note(format_args!(
            "process {} is {}",
            self.plan.process().process,
            self.plan.cid()
        ));
        Ok(())
    }

    async fn all(&mut self) -> Result<(), ExitError> {
        for path in &self.args.events {
            let text = read_text(path)?;
            for (number, line) in (1..).zip(text.lines()) {
                let told = self.line(line).await?;
                told.map_err(|what| {
                    ExitError::usage(format!("{}:{number}: {what}", path.display()))
                })?;
                self.work_off().await?;
            }
        }
        if self.args.events.is_empty() {
            self.by_hand().await?;
        }
        while !self.is_idle() {
            self.begin_waiting()?;
            self.one_ended().await?;
        }
        for number in self.waits.runs() {
            if let Some((run, _)) = self.runs.get(&number) {
                self.out.note(format_args!(
                    "the process of event {} still waits for an event",
                    run.event()
                ));
            }
        }
        match self.has_failed && !self.args.events.is_empty() {
            true => Err(ExitError::said(ExitStatus::Failed)),
            false => Ok(()),
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.computing.is_empty()
    }

    /// Goes on until there is room for another event.
    async fn work_off(&mut self) -> Result<(), ExitError> {
        self.begin_waiting()?;
        while self.waiting.len() >= MAX_WAITING {
            self.one_ended().await?;
            self.begin_waiting()?;
        }
        Ok(())
    }

    /// Lines of standard input, until it ends.
    async fn by_hand(&mut self) -> Result<(), ExitError> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.out.note(format_args!(
            "events: the data of each as JSON on one line, with the fields {}",
            self.plan.event_data().names()
        ));
        loop {
            self.begin_waiting()?;
            let has_room = self.waiting.len() < MAX_WAITING;
            tokio::select! {
                line = next_line(&mut lines), if has_room => match line? {
                    None => return Ok(()),
                    Some(line) => {
                        // What was changed before the line came is for its event.
                        self.look().await?;
                        if let Err(what) = self.line(&line).await? {
                            self.out.warn(what);
                        }
                    }
                },
                Some(ended) = self.computing.next() => self.ended(ended)?,
                _ = looks.tick() => {
                    self.look().await?;
                    if self.time.is_none() {
                        let over = self.waits.over_by_clock();
                        self.expire(over)?;
                    }
                }
            }
        }
    }

    /// Reads the definition again if a file has changed.
    async fn look(&mut self) -> Result<(), ExitError> {
        let now: Vec<Stamp> = self
            .stamps
            .iter()
            .map(|(path, _)| stamp(path.clone()))
            .collect();
        if now == self.stamps {
            return Ok(());
        }
        self.stamps = now;
        match load::process(&self.args.file).await {
            Ok(loaded) => {
                self.out
                    .note("a file has changed; the definition is read again");
                self.take(loaded)
            }
            Err(wrong) => {
                let failure = wrong.tell(self.out);
                self.out.failure(&failure);
                self.out.warn("the definition of before stays in use");
                Ok(())
            }
        }
    }

    /// Takes a line; the inner error says what is wrong with it.
    async fn line(&mut self, text: &str) -> Result<Result<(), String>, ExitError> {
        match Line::read(text) {
            Err(what) => return Ok(Err(what)),
            Ok(Line::Nothing) => {}
            Ok(Line::Time(time)) => {
                // What was told before has happened before: nothing depends on how long a program takes.
                while !self.is_idle() {
                    self.begin_waiting()?;
                    self.one_ended().await?;
                }
                return self.block(time);
            }
            Ok(Line::Event {
                name,
                mut data,
                again,
            }) => {
                let plan = Arc::clone(&self.plan);
                let (make, shape) = match named(&plan, name.as_deref()) {
                    Ok(found) => found,
                    Err(what) => return Ok(Err(what)),
                };
                match take_files(shape, &mut data).await {
                    Ok(files) => self.files.extend(files),
                    Err(failure) => return Ok(Err(failure.to_string())),
                }
                return self.event(|nonce| make(data.clone(), nonce), again);
            }
        }
        Ok(Ok(()))
    }

    fn event(
        &mut self,
        make: impl Fn(u64) -> Result<Event, String>,
        again: bool,
    ) -> Result<Result<(), String>, ExitError> {
        let mut nonce = 0;
        loop {
            let event = match make(nonce) {
                Ok(event) => event,
                Err(what) => return Ok(Err(what)),
            };
            let cid = match event.cid() {
                Ok(cid) => cid,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if self.add(&event, cid) {
                self.came(&event)?;
                return Ok(Ok(()));
            }
            if !again {
                return Ok(Err(format!(
                    "event {cid} was here before; write again in front of it for another one"
                )));
            }
            nonce += 1;
        }
    }

    /// The executions that wait for an event get it.
    fn came(&mut self, event: &Event) -> Result<(), ExitError> {
        let is_awaited = self
            .plan
            .waits()
            .any(|(_, wait)| Some(wait.service) == event.service && wait.event == event.event);
        if !is_awaited {
            return Ok(());
        }
        let bytes = event
            .to_bytes()
            .map_err(|error| ExitError::usage(error.to_string()))?;
        for (number, id) in self.waits.came(self.next_run, &bytes, &self.runs) {
            self.ended((number, id, Ok(Ok(bytes.clone()))))?;
        }
        Ok(())
    }

    /// The time of executions that wait is over.
    fn expire(&mut self, over: Vec<(u64, Cid)>) -> Result<(), ExitError> {
        for (number, id) in over {
            self.ended((number, id, Ok(Ok(expired()))))?;
        }
        Ok(())
    }

    /// Whether an event is new. It waits then.
    fn add(&mut self, event: &Event, cid: Cid) -> bool {
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        let is_new = self.seen.insert(cid);
        let starts = match self.plan.event() {
            Some((service, name)) => event.service == Some(service) && event.event == name,
            None => event.process.is_some(),
        };
        if is_new && starts {
            self.waiting.push_back(event.clone());
        }
        is_new
    }

    /// The time of a block.
    fn block(&mut self, time: u64) -> Result<Result<(), String>, ExitError> {
        let plan = Arc::clone(&self.plan);
        let before = self.time.replace(time);
        let over = self.waits.over(time);
        self.expire(over)?;
        let Some(schedule) = plan.schedule() else {
            return Ok(match has_deadlines(&plan) {
                true => Ok(()),
                false => Err("this process has no schedule, and waits for nothing; write the data of an event as JSON".into()),
            });
        };
        let due = match before {
            Some(before) => schedule.due(before, time),
            None => schedule.due(time.saturating_sub(1), time),
        };
        if due.left_out > 0 {
            self.out.warn(format_args!(
                "{} scheduled times were left out, as they are too old",
                due.left_out
            ));
        }
        for time in due.times {
            let event = Event::scheduled(plan.cid(), time);
            let cid = event
                .cid()
                .map_err(|error| ExitError::usage(error.to_string()))?;
            self.add(&event, cid);
        }
        Ok(Ok(()))
    }

    /// Starts processes for the events that wait, as far as there is room.
    fn begin_waiting(&mut self) -> Result<(), ExitError> {
        while self.runs.len().saturating_sub(self.waits.len()) < MAX_RUNS {
            let Some(event) = self.waiting.pop_front() else {
                break;
            };
            self.begin(&event)?;
        }
        self.compute()
    }

    fn begin(&mut self, event: &Event) -> Result<(), ExitError> {
        let run = match Run::new(Arc::clone(&self.plan), event) {
            Ok(run) => run,
            Err(error) => {
                self.has_failed = true;
                let failure = ExitError::usage("the event starts nothing").because(error);
                self.out.failure(&failure);
                return Ok(());
            }
        };
        let bytes = event
            .to_bytes()
            .map_err(|error| ExitError::usage(error.to_string()))?;
        self.records.keep(&bytes)?;
        self.out
            .line(format_args!("event {}  {}", event.event, run.event()))?;
        let number = self.next_run;
        self.next_run += 1;
        self.runs.insert(number, (run, Teller::default()));
        self.told(number)
    }

    /// Tells what is new in a run, and forgets it when it is over.
    fn told(&mut self, number: u64) -> Result<(), ExitError> {
        let Some((run, teller)) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        teller.tell(run, self.out)?;
        if run.is_over() {
            teller.end(run, self.out)?;
            self.has_failed |= !run.is_good();
            self.runs.remove(&number);
        }
        Ok(())
    }

    /// Gives executions to the workers, as far as there is room; the runs have their turns.
    fn compute(&mut self) -> Result<(), ExitError> {
        let mut found = Vec::new();
        let room = MAX_AT_ONCE.saturating_sub(self.computing.len());
        let share = room.div_ceil(self.runs.len().max(1)).max(1);
        for (number, (run, _)) in &self.runs {
            let created = run.created().take(share);
            found.extend(created.map(|(id, execution)| (*number, id, execution.clone())));
        }
        found.truncate(room);
        for (number, id, execution) in found {
            let Some((run, _)) = self.runs.get_mut(&number) else {
                continue;
            };
            let (task, service) = match run.plan().step(&execution.node).map(|step| &step.kind) {
                Some(StepKind::Task(task)) => {
                    let ring = task.settlement.and_then(|settlement| settlement.ring);
                    let is_down = ring.is_some_and(|ring| self.args.down.contains(&ring));
                    if let Some(within) = task.within().filter(|_| is_down) {
                        self.begin_wait((number, id), within)?;
                        continue;
                    }
                    (task.task.clone(), &task.service_name)
                }
                Some(StepKind::Wait(wait)) => {
                    let within = wait.within;
                    self.begin_wait((number, id), within)?;
                    continue;
                }
                _ => continue,
            };
            let values = self.values.get(service).cloned().unwrap_or_default();
            if run.started(id).is_ok() {
                let job = compute(
                    self.desk,
                    (number, id),
                    (task, execution),
                    (self.files.clone(), values),
                );
                self.computing.push(job.boxed_local());
            }
        }
        Ok(())
    }

    fn begin_wait(&mut self, (number, id): (u64, Cid), within: u64) -> Result<(), ExitError> {
        let Some((run, _)) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        if run.started(id).is_err() {
            return Ok(());
        }
        match self.waits.begin((number, id), (within, self.time), run) {
            Some(event) => self.ended((number, id, Ok(Ok(event)))),
            None => Ok(()),
        }
    }

    async fn one_ended(&mut self) -> Result<(), ExitError> {
        match self.computing.next().await {
            Some(ended) => self.ended(ended),
            None => Ok(()),
        }
    }

    fn ended(&mut self, (number, id, came): Ended) -> Result<(), ExitError> {
        let came = came?;
        let Some((run, _)) = self.runs.get_mut(&number) else {
            return Ok(());
        };
        if let Some(job) = run.job(&id) {
            let bytes = job
                .execution
                .to_bytes()
                .map_err(|error| ExitError::usage(error.to_string()))?;
            self.records.keep(&bytes)?;
        }
        let kept = match &came {
            Ok(bytes) => {
                self.records.keep_result(&id, bytes)?;
                run.answered(id, bytes)
            }
            Err(reason) => run.failed(id, reason.as_str()),
        };
        kept.map_err(|error| ExitError::internal("an execution has ended twice").because(error))?;
        self.told(number)?;
        self.begin_waiting()
    }
}

/// Whether a node of it may expire.
fn has_deadlines(plan: &Plan) -> bool {
    let mut steps = plan.order();
    steps.any(|(_, step)| match &step.kind {
        StepKind::Wait(_) => true,
        StepKind::Task(task) => task.within().is_some(),
        StepKind::Filter(_) | StepKind::Map { .. } => false,
    })
}

async fn compute(
    desk: &LocalDesk,
    (number, id): (u64, Cid),
    (task, execution): (Task, Execution),
    (files, values): (Files, Fields),
) -> Ended {
    (
        number,
        id,
        desk.run(&task, &execution, &files, &values).await,
    )
}

async fn next_line(lines: &mut Lines<BufReader<Stdin>>) -> Result<Option<String>, ExitError> {
    let what = "cannot read standard input; write text in UTF-8";
    lines.next_line().await.context(ExitStatus::Usage, what)
}
