//! The run of a process: from one event, which executions are to be done now, and what follows from their results.
//!
//! A [`Run`] is made from a [`Plan`] and an [`Event`]. Its caller takes what is in [`Run::created`], runs it, and says what
//! came of it ([`Run::answered`], [`Run::failed`], [`Run::expired`]). Nothing here depends on the order in which results come:
//! whoever has the same event and the same results has the same executions, byte for byte. [`Run::follow`] rests on that: it
//! goes the whole way again from the event, with results that are already there.

use crate::{
    bounds::{MAX_EACH, MAX_EMITTED},
    data::{Data, Fields},
    document::{cid_of, Document, DocumentError},
    event::{Event, Source},
    execution::{Answer, Execution, Parent, State, VERSION},
    plan::{Plan, Step, StepKind, TaskStep, WaitStep, CAME, EXPIRED},
    reference::{EVENT, ITEM},
    shape::Misfit,
    template::Template,
    wait,
    words::{event_bytes, WordError},
};
use cid::Cid;
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Why something cannot be done with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The event is not the one that starts the process.
    #[error("the event {event} does not start this process; it starts with {expected}")]
    OtherEvent {
        /// What came.
        event: String,
        /// What starts it.
        expected: String,
    },
    /// The data of the event do not fit their shape.
    #[error("the data of the event do not fit")]
    Data(#[from] Misfit),
    /// A document is too long.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Tasks have emitted too many events in a row.
    #[error("event {event} of execution {execution} is left out: tasks have emitted {MAX_EMITTED} events in a row, which is the most; does a process start itself?")]
    Depth {
        /// The event.
        event: String,
        /// The execution that emits it.
        execution: Cid,
    },
    /// A task has emitted what members cannot write into their logs.
    #[error("event {event} of execution {execution} is left out")]
    Emitted {
        /// The event.
        event: String,
        /// The execution that emits it.
        execution: String,
        /// Why.
        #[source]
        source: Box<WordError>,
    },
    /// There is no such execution.
    #[error("there is no execution {0} in this run")]
    Unknown(Cid),
    /// An execution cannot become this.
    #[error("execution {execution} is {from}, and cannot become {to}")]
    State {
        /// The execution.
        execution: String,
        /// Its state.
        from: &'static str,
        /// What it should become.
        to: &'static str,
    },
}

/// How far a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It waits for others.
    Waiting,
    /// Its executions run.
    Running,
    /// It ended with this status.
    Ended(String),
    /// It has no result, for this reason.
    Failed(String),
    /// It does not happen, for this reason.
    Skipped(String),
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Running => f.write_str("running"),
            Self::Ended(status) => f.write_str(status),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

/// An execution in a run.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is.
    pub execution: Execution,
    /// How far it is.
    pub state: State,
    /// What it gave: the CID of its program's output.
    pub result: Option<Cid>,
    /// The outputs of its status.
    pub outputs: Fields,
}

/// A process that one event has started.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    event: Cid,
    instance: Option<Digest>,
    known: Fields,
    nodes: BTreeMap<String, NodeState>,
    executions: BTreeMap<String, Vec<Cid>>,
    jobs: BTreeMap<Cid, Job>,
}

impl Run {
    /// Starts a process with an event.
    ///
    /// # Errors
    /// When the event is another one, or its data do not fit.
    pub fn new(plan: Arc<Plan>, event: &Event) -> Result<Self, RunError> {
        check_kind(&plan, event)?;
        plan.event_checker().check(&event.data)?;
        let nodes = plan
            .order()
            .map(|(name, _)| (name.to_owned(), NodeState::Waiting));
        let mut run = Self {
            event: event.cid()?,
            instance: event.instance,
            known: Fields::from([(EVENT.to_owned(), Data::Map(event.data.clone()))]),
            nodes: nodes.collect(),
            executions: BTreeMap::new(),
            jobs: BTreeMap::new(),
            plan,
        };
        run.advance();
        Ok(run)
    }

    /// Goes the whole way from the event, with the results that `answer` knows by the ids of their executions.
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn follow(
        plan: Arc<Plan>,
        event: &Event,
        mut answer: impl FnMut(&Cid) -> Option<Vec<u8>>,
    ) -> Result<Self, RunError> {
        let mut run = Self::new(plan, event)?;
        let mut asked = BTreeSet::new();
        loop {
            let new: Vec<Cid> = run
                .created()
                .map(|(id, _)| id)
                .filter(|id| !asked.contains(id))
                .collect();
            if new.is_empty() {
                return Ok(run);
            }
            for id in new {
                asked.insert(id);
                if let Some(bytes) = answer(&id) {
                    run.started(id)?;
                    run.answered(id, &bytes)?;
                }
            }
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The id of the event.
    pub fn event(&self) -> Cid {
        self.event
    }

    /// The executions that are to be started, in the order of their ids.
    pub fn created(&self) -> impl Iterator<Item = (Cid, &Execution)> {
        let jobs = self.jobs.iter();
        let created = jobs.filter(|(_, job)| job.state == State::Created);
        created.map(|(id, job)| (*id, &job.execution))
    }

    /// The executions that have started and not ended.
    pub fn under_way(&self) -> impl Iterator<Item = Cid> + '_ {
        let jobs = self.jobs.iter();
        let started = jobs.filter(|(_, job)| job.state == State::Started);
        started.map(|(id, _)| *id)
    }

    /// An execution.
    pub fn job(&self, id: &Cid) -> Option<&Job> {
        self.jobs.get(id)
    }

    /// The nodes in the order of the plan, with their states and their executions.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeState, &[Cid])> {
        self.plan.order().filter_map(|(name, _)| {
            let ids = self
                .executions
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default();
            Some((name, self.nodes.get(name)?, ids))
        })
    }

    /// The value that later nodes see of a node that has ended.
    pub fn value(&self, node: &str) -> Option<&Data> {
        self.known.get(node)
    }

    /// Whether nothing more can happen.
    pub fn is_over(&self) -> bool {
        let mut nodes = self.nodes.values();
        nodes.all(|state| !matches!(state, NodeState::Waiting | NodeState::Running))
    }

    /// Whether it is over and every node either ended or was skipped.
    pub fn is_good(&self) -> bool {
        self.is_over()
            && !self
                .nodes
                .values()
                .any(|state| matches!(state, NodeState::Failed(_)))
    }

    /// The event that an execution of this run emits, if its task says so for the status with which it has ended: in the
    /// instance of its service. `depth` is that of the event of this run.
    ///
    /// # Errors
    /// [`RunError::Depth`] when too many such events are in a row, and [`RunError::Emitted`] when it is too long: for all members
    /// alike.
    pub fn emitted(
        &self,
        id: &Cid,
        instances: &BTreeMap<String, Digest>,
        depth: u64,
    ) -> Result<Option<Event>, RunError> {
        let found = || {
            let job = self.jobs.get(id)?;
            let (State::Succeeded(status), Some(result)) = (&job.state, job.result) else {
                return None;
            };
            let StepKind::Task(task) = &self.plan.step(&job.execution.node)?.kind else {
                return None;
            };
            let name = task.task.emits.get(status)?;
            let service = self.plan.services().get(&task.service_name)?;
            let wanted = &service.events.get(name)?.data;
            let outputs = job.outputs.iter();
            let data = outputs.filter(|(field, _)| wanted.get(field).is_some());
            Some(Event {
                data: data
                    .map(|(field, value)| (field.clone(), value.clone()))
                    .collect(),
                event: name.clone(),
                instance: Some(*instances.get(&task.service_name)?),
                process: None,
                service: Some(task.service),
                source: Source::Task {
                    depth: depth + 1,
                    execution: *id,
                    result,
                },
                version: crate::event::VERSION,
            })
        };
        let Some(event) = found() else {
            return Ok(None);
        };
        if event.source.depth() > MAX_EMITTED {
            return Err(RunError::Depth {
                event: event.event,
                execution: *id,
            });
        }
        match event_bytes(&event) {
            Ok(_) => Ok(Some(event)),
            Err(error) => Err(RunError::Emitted {
                event: event.event,
                execution: id.to_string(),
                source: Box::new(error),
            }),
        }
    }

    /// Says that an execution runs.
    ///
    /// # Errors
    /// When it is unknown, or was started before.
    pub fn started(&mut self, id: Cid) -> Result<(), RunError> {
        self.become_(id, State::Started).map(|_| ())
    }

    /// Says what the program of an execution has written. What is not one of the task's statuses with its outputs makes the
    /// execution fail: for all members alike, as they agreed on these bytes. Of an execution that waits, it is the event that
    /// has come, or [`wait::expired`].
    ///
    /// # Errors
    /// When it is unknown, or does not run.
    pub fn answered(&mut self, id: Cid, bytes: &[u8]) -> Result<(), RunError> {
        let job = self.jobs.get(&id).ok_or(RunError::Unknown(id))?;
        let read = match self.plan.step(&job.execution.node).map(|step| &step.kind) {
            Some(StepKind::Task(task)) if task.within().is_some() && bytes == wait::expired() => {
                Ok((State::Expired, Fields::new()))
            }
            Some(StepKind::Task(task)) => {
                answer(task, bytes).map(|answer| (State::Succeeded(answer.status), answer.outputs))
            }
            Some(StepKind::Wait(_)) if bytes == wait::expired() => {
                Ok((State::Expired, Fields::new()))
            }
            Some(StepKind::Wait(wait)) => self
                .awaited(wait, &job.execution, bytes)
                .map(|event| (State::Succeeded(CAME.into()), event.data)),
            _ => Err("its node is no task and waits for no event".into()),
        };
        let (state, outputs) = match read {
            Ok(read) => read,
            Err(reason) => (State::Failed(reason), Fields::new()),
        };
        let job = self.become_(id, state)?;
        job.result = Some(cid_of(bytes));
        job.outputs = outputs;
        self.advance();
        Ok(())
    }

    /// The event in these bytes, if it is what an execution waits for.
    fn awaited(
        &self,
        wait: &WaitStep,
        execution: &Execution,
        bytes: &[u8],
    ) -> Result<Event, String> {
        let event = wait.event(&execution.inputs, bytes)?;
        // Of other services, the instance stands in the installation, which whoever decided has looked at.
        match self.plan.event_service() == Some(&wait.service_name)
            && event.instance != self.instance
        {
            true => Err("its event happened in another instance".into()),
            false => Ok(event),
        }
    }

    /// Says that the program of an execution failed.
    ///
    /// # Errors
    /// When it is unknown, or does not run.
    pub fn failed(&mut self, id: Cid, reason: impl Into<String>) -> Result<(), RunError> {
        self.become_(id, State::Failed(reason.into()))?;
        self.advance();
        Ok(())
    }

    /// Says that the time of an execution is over.
    ///
    /// # Errors
    /// When it is unknown, or has ended.
    pub fn expired(&mut self, id: Cid) -> Result<(), RunError> {
        self.become_(id, State::Expired)?;
        self.advance();
        Ok(())
    }

    fn become_(&mut self, id: Cid, next: State) -> Result<&mut Job, RunError> {
        let job = self.jobs.get_mut(&id).ok_or(RunError::Unknown(id))?;
        if !job.state.may_become(&next) {
            return Err(RunError::State {
                execution: id.to_string(),
                from: job.state.name(),
                to: next.name(),
            });
        }
        job.state = next;
        Ok(job)
    }

    /// Lets everything happen that can. Nodes come after all that they wait for, so going through them once is enough.
    fn advance(&mut self) {
        let plan = Arc::clone(&self.plan);
        for (name, step) in plan.order() {
            let state = match self.nodes.get(name) {
                Some(NodeState::Running) => self.gathered(name, step),
                Some(NodeState::Waiting) => match self.readiness(step) {
                    Readiness::Ready => self.begin(name, step),
                    Readiness::Waits => continue,
                    Readiness::Never(reason) => NodeState::Skipped(reason),
                },
                _ => continue,
            };
            self.nodes.insert(name.to_owned(), state);
            if matches!(self.nodes.get(name), Some(NodeState::Running))
                && self.executions.get(name).is_none_or(Vec::is_empty)
            {
                let state = self.gathered(name, step);
                self.nodes.insert(name.to_owned(), state);
            }
        }
    }

    fn readiness(&self, step: &Step) -> Readiness {
        // A node waits for all that are before it, also when one of them has said already that it will not happen: otherwise
        // the reason would depend on which result came first.
        let states = || {
            step.after
                .iter()
                .map(|(earlier, wanted)| (self.nodes.get(earlier), earlier, wanted))
        };
        let is_open = |state: Option<&NodeState>| {
            matches!(state, None | Some(NodeState::Waiting | NodeState::Running))
        };
        if states().any(|(state, ..)| is_open(state)) {
            return Readiness::Waits;
        }
        let never = states().find_map(|(state, earlier, wanted)| match state {
            Some(NodeState::Ended(status)) if status == wanted => None,
            Some(NodeState::Ended(status)) => Some(format!("{earlier} is {status}, not {wanted}")),
            Some(NodeState::Failed(_)) => Some(format!("{earlier} failed")),
            _ => Some(format!("{earlier} was skipped")),
        });
        never.map_or(Readiness::Ready, Readiness::Never)
    }

    fn begin(&mut self, name: &str, step: &Step) -> NodeState {
        use crate::plan::{DONE, NO, VALUE, YES};
        match &step.kind {
            StepKind::Filter(formula) => match formula.evaluate(&self.known) {
                Ok(Data::Bool(true)) => NodeState::Ended(YES.into()),
                Ok(Data::Bool(false)) => NodeState::Ended(NO.into()),
                Ok(other) => NodeState::Failed(format!(
                    "the filter gives {}, and not true or false",
                    other.kind()
                )),
                Err(error) => NodeState::Failed(error.to_string()),
            },
            StepKind::Map { formula, checker } => {
                let value = match formula.evaluate(&self.known) {
                    Ok(value) => value,
                    Err(error) => return NodeState::Failed(error.to_string()),
                };
                let one = Fields::from([(VALUE.to_owned(), value.clone())]);
                match checker.check(&one) {
                    Ok(()) => {
                        self.known.insert(name.to_owned(), value);
                        NodeState::Ended(DONE.into())
                    }
                    Err(misfit) => {
                        NodeState::Failed(format!("the map does not give what it should: {misfit}"))
                    }
                }
            }
            StepKind::Task(task) => match self.create(name, step, task) {
                Ok(()) => NodeState::Running,
                Err(reason) => NodeState::Failed(reason),
            },
            StepKind::Wait(wait) => match self.create_wait(name, step, wait) {
                Ok(()) => NodeState::Running,
                Err(reason) => NodeState::Failed(reason),
            },
        }
    }

    /// Makes the executions of a task.
    fn create(&mut self, name: &str, step: &Step, task: &TaskStep) -> Result<(), String> {
        let items = match &task.each {
            None => vec![None],
            Some(each) => match each.find(&self.known) {
                Some(Data::List(list)) if list.len() <= MAX_EACH => {
                    list.iter().cloned().map(Some).collect()
                }
                Some(Data::List(list)) => {
                    return Err(format!(
                        "{} elements; at most {MAX_EACH} are run",
                        list.len()
                    ))
                }
                _ => return Err(format!("{each} is no list")),
            },
        };
        let parents = self.parents(step);
        let mut jobs = Vec::with_capacity(items.len());
        for (number, item) in (0u64..).zip(items) {
            let each = item.as_ref().map(|_| number);
            let execution = Execution {
                awaits: None,
                each,
                event: self.event,
                inputs: self.inputs(task, item)?,
                node: name.to_owned(),
                parents: parents.clone(),
                process: self.plan.cid(),
                service: task.service,
                task: task.name.clone(),
                version: VERSION,
            };
            let id = execution.cid().map_err(|error| error.to_string())?;
            jobs.push((id, execution));
        }
        self.add(name, jobs);
        Ok(())
    }

    /// Makes the execution of a wait.
    fn create_wait(&mut self, name: &str, step: &Step, wait: &WaitStep) -> Result<(), String> {
        let inputs = resolve(&wait.matches, &self.known)?;
        let execution = Execution {
            awaits: Some(wait.event.clone()),
            each: None,
            event: self.event,
            inputs,
            node: name.to_owned(),
            parents: self.parents(step),
            process: self.plan.cid(),
            service: wait.service,
            task: String::new(),
            version: VERSION,
        };
        let id = execution.cid().map_err(|error| error.to_string())?;
        self.add(name, vec![(id, execution)]);
        Ok(())
    }

    fn add(&mut self, name: &str, jobs: Vec<(Cid, Execution)>) {
        let ids = jobs.iter().map(|(id, _)| *id).collect();
        self.executions.insert(name.to_owned(), ids);
        for (id, execution) in jobs {
            let job = Job {
                execution,
                state: State::Created,
                result: None,
                outputs: Fields::new(),
            };
            self.jobs.insert(id, job);
        }
    }

    fn inputs(&self, task: &TaskStep, item: Option<Data>) -> Result<Fields, String> {
        let mut known = None;
        if let Some(item) = item {
            let mut with = self.known.clone();
            with.insert(ITEM.to_owned(), item);
            known = Some(with);
        }
        let known = known.as_ref().unwrap_or(&self.known);
        let inputs = resolve(&task.inputs, known)?;
        task.checker
            .check(&inputs)
            .map_err(|misfit| format!("input {misfit}"))?;
        Ok(inputs)
    }

    /// The executions behind the links of a node: those of tasks, and through filters and maps the ones before these.
    fn parents(&self, step: &Step) -> Vec<Parent> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = step
            .after
            .iter()
            .map(|(earlier, _)| earlier.as_str())
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            match (self.executions.get(name), self.plan.step(name)) {
                (Some(ids), _) => found.extend(ids.iter().filter_map(|id| {
                    let result = self.jobs.get(id)?.result?;
                    Some(Parent {
                        execution: *id,
                        result,
                    })
                })),
                (None, Some(step)) => {
                    open.extend(step.after.iter().map(|(earlier, _)| earlier.as_str()))
                }
                (None, None) => {}
            }
        }
        found.into_iter().collect()
    }

    /// The state of a wait, from that of its execution.
    fn ended_wait(&mut self, name: &str) -> NodeState {
        let id = self.executions.get(name).and_then(|ids| ids.first());
        let Some(job) = id.and_then(|id| self.jobs.get(id)) else {
            return NodeState::Running;
        };
        match &job.state {
            State::Created | State::Started => NodeState::Running,
            State::Failed(reason) => NodeState::Failed(reason.clone()),
            State::Expired => NodeState::Ended(EXPIRED.into()),
            State::Succeeded(status) => {
                let status = status.clone();
                let value = Data::Map(job.outputs.clone());
                self.known.insert(name.to_owned(), value);
                NodeState::Ended(status)
            }
        }
    }

    /// The state of a node with executions, from theirs.
    fn gathered(&mut self, name: &str, step: &Step) -> NodeState {
        let task = match &step.kind {
            StepKind::Task(task) => task,
            StepKind::Wait(_) => return self.ended_wait(name),
            StepKind::Filter(_) | StepKind::Map { .. } => return NodeState::Running,
        };
        let ids = self.executions.get(name).cloned().unwrap_or_default();
        let jobs: Vec<&Job> = ids.iter().filter_map(|id| self.jobs.get(id)).collect();
        if jobs.iter().any(|job| !job.state.is_end()) {
            return NodeState::Running;
        }
        let mut statuses = BTreeSet::new();
        for job in &jobs {
            match &job.state {
                State::Succeeded(status) => statuses.insert(status.clone()),
                State::Failed(reason) => return NodeState::Failed(reason.clone()),
                State::Expired if task.within().is_some() => statuses.insert(EXPIRED.into()),
                _ => return NodeState::Failed("its time was over".into()),
            };
        }
        if jobs.is_empty() && task.task.statuses.len() == 1 {
            statuses.extend(task.task.statuses.keys().cloned());
        }
        let outputs: Vec<Data> = jobs
            .iter()
            .map(|job| Data::Map(job.outputs.clone()))
            .collect();
        let mut statuses = statuses.into_iter();
        match (statuses.next(), statuses.next()) {
            (Some(status), None) => {
                let value = match (task.each.is_some(), outputs) {
                    (true, outputs) => Data::List(outputs),
                    (false, mut outputs) => outputs.pop().unwrap_or_default(),
                };
                self.known.insert(name.to_owned(), value);
                NodeState::Ended(status)
            }
            (Some(one), Some(other)) => {
                NodeState::Failed(format!("its elements ended differently: {one}, {other}"))
            }
            (None, _) => {
                NodeState::Failed("there are no elements, and it could end in several ways".into())
            }
        }
    }
}

/// Values, with what their references name.
fn resolve(templates: &BTreeMap<String, Template>, known: &Fields) -> Result<Fields, String> {
    let values = templates.iter().map(|(name, template)| {
        let value = template.resolve(known).map_err(|error| error.to_string())?;
        Ok((name.clone(), value))
    });
    values.collect()
}

enum Readiness {
    Ready,
    Waits,
    Never(String),
}

fn check_kind(plan: &Plan, event: &Event) -> Result<(), RunError> {
    let (is_right, expected) = match plan.event() {
        Some((service, name)) => (
            event.service == Some(service) && event.event == name,
            format!("{name} of service {service}"),
        ),
        None => (
            event.process == Some(plan.cid()) && event.event == crate::event::SCHEDULED,
            "its schedule".to_owned(),
        ),
    };
    match is_right {
        true => Ok(()),
        false => Err(RunError::OtherEvent {
            event: event.event.clone(),
            expected,
        }),
    }
}

/// What a program has written, if it is one of the statuses of the task with its outputs.
///
/// # Errors
/// Why it is not, in words: the same for everybody.
pub fn answer(task: &TaskStep, bytes: &[u8]) -> Result<Answer, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| {
        format!("its output is no answer ({error}); a program writes {{\"status\": …, \"outputs\": {{…}}}}")
    })?;
    let checker = task.statuses.get(&answer.status).ok_or_else(|| {
        let known: Vec<_> = task.statuses.keys().map(String::as_str).collect();
        format!(
            "its status {:?} is none of the task's: {}",
            answer.status,
            known.join(", ")
        )
    })?;
    checker
        .check(&answer.outputs)
        .map_err(|misfit| format!("its output {misfit}"))?;
    let is_small = Data::Map(answer.outputs.clone()).is_within_bounds();
    is_small
        .then_some(answer)
        .ok_or_else(|| "its outputs are nested too deep, or too many".into())
}
