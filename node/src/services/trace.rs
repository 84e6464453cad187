//! `rings trace`: from a result back to its event, with every hash checked.
//!
//! An execution names its event, its process and its parents by hashes. All of these are fetched, and the process is gone
//! through again from the event with the parents' results ([`Run::follow`]). If the execution comes out of that byte for
//! byte, then its inputs are what event, process and results make of them, whoever has computed it. An event that every member
//! can find itself is looked up where it comes from (`trace_sources`).

use super::{
    records::Records,
    ring::{Found, Said},
    ring_records::RingRecords,
    trace_sources,
};
use crate::{
    args::TraceArgs,
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
};
use cid::Cid;
use rings_process::{
    document::Document,
    event::{Event, Source as Cause},
    execution::Execution,
    plan::{Plan, StepKind},
    process::Process,
    run::Run,
    service::Service,
    trace::{self, Link},
};
use rings_protocol::Address;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Executions that are gone through at most.
const MAX_EXECUTIONS: usize = 10_000;

/// Where documents and results are read.
enum Source {
    Dev(Records),
    Ring(Box<RingRecords>),
}

impl Source {
    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ExitError> {
        match self {
            Self::Dev(records) => records.get(cid),
            Self::Ring(ring) => ring.get(cid).await,
        }
    }

    async fn document<D: Document>(&self, cid: &Cid) -> Result<D, ExitError> {
        let bytes = self.get(cid).await?;
        D::from_bytes(&bytes).map_err(|error| {
            ExitError::new(ExitStatus::Usage, format!("{cid} is not {}", D::WHAT)).because(error)
        })
    }

    async fn found(&self, execution: &Cid) -> Result<Option<Found>, ExitError> {
        match self {
            Self::Dev(records) => Ok(records.result(execution)?.map(|result| Found {
                request: None,
                gate: None,
                said: None,
                result,
            })),
            Self::Ring(ring) => ring.found(execution).await,
        }
    }
}

/// A step of a trace; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    depth: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The event for which it has waited, instead of running a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaits: Option<String>,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// The gate on the chain that has settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Address>,
    /// The ring that has computed it, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ring: Option<Address>,
    /// The connector, if the task is external: its result is not validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<String>,
    /// On whose word that result rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_by: Option<Vec<Address>>,
    /// The ring node that decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ring_node: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    again: bool,
}

// serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// `rings trace`
///
/// # Errors
/// Status 1 when the result does not follow from its event, 2 when something is not here.
pub async fn trace(args: TraceArgs, out: Out) -> Result<(), ExitError> {
    let records = Records::new(&args.records);
    let source = match args.id.execution() {
        Some(id) if !args.place.is_named() && records.has(&id) => Source::Dev(records),
        _ => Source::Ring(Box::new(
            RingRecords::of(Place::of(&args.place).await?).await?,
        )),
    };
    let id = match (&source, args.id.request()) {
        (Source::Ring(ring), Some(request)) => ring.execution_of(request).await?,
        _ => args
            .id
            .execution()
            .ok_or_else(|| ExitError::usage("name an execution or a request"))?,
    };
    let traced = Traced::read(&source, id).await?;
    if let Source::Ring(ring) = &source {
        traced.check_sources(ring).await?;
    }
    let run = traced.follow()?;
    let lines = trace::of(&run, id).ok_or_else(|| {
        ExitError::internal(format!(
            "execution {id} does not follow: from event {}, with the results of its parents, process {} has other executions",
            traced.target.event, traced.target.process
        ))
    })?;
    let steps: Vec<Step> = lines.iter().map(|line| traced.step(&run, line)).collect();
    if args.json {
        return out.json(&steps);
    }
    for step in &steps {
        out.line(traced.line(step))?;
    }
    out.note(format_args!(
        "right: every hash fits, and each step follows from the ones below it; process {} ({})",
        traced.plan.process().process,
        traced.plan.cid()
    ));
    Ok(())
}

/// All that a trace needs, hashed.
struct Traced {
    target: Execution,
    event: Event,
    plan: Arc<Plan>,
    answers: BTreeMap<Cid, Vec<u8>>,
    requests: BTreeMap<Cid, String>,
    gates: BTreeMap<Cid, Address>,
    said: BTreeMap<Cid, Said>,
    /// Events for which executions have waited.
    awaited: BTreeMap<Cid, Event>,
}

impl Traced {
    async fn read(source: &Source, id: Cid) -> Result<Self, ExitError> {
        let target: Execution = source.document(&id).await?;
        let event: Event = source.document(&target.event).await?;
        let process: Process = source.document(&target.process).await?;
        let mut services = BTreeMap::new();
        for (name, cid) in &process.services {
            services.insert(name.clone(), source.document::<Service>(cid).await?);
        }
        let plan = Plan::new(process, services).map_err(|faults| {
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            ExitError::internal(format!(
                "process {} cannot be one of this version: {first}",
                target.process
            ))
        })?;
        let mut traced = Self {
            event,
            plan: Arc::new(plan),
            answers: BTreeMap::new(),
            requests: BTreeMap::new(),
            gates: BTreeMap::new(),
            said: BTreeMap::new(),
            awaited: BTreeMap::new(),
            target,
        };
        traced.read_answers(source, id).await?;
        Ok(traced)
    }

    /// The results of all executions behind this one, as it names them, and its own.
    async fn read_answers(&mut self, source: &Source, id: Cid) -> Result<(), ExitError> {
        if let Some(found) = source.found(&id).await? {
            let bytes = source.get(&found.result).await?;
            self.answered(id, &self.target.clone(), (found.result, bytes));
            self.agreed(id, found);
        }
        let mut seen = BTreeSet::from([id]);
        let mut open = self.target.parents.clone();
        while let Some(parent) = open.pop() {
            if !seen.insert(parent.execution) {
                continue;
            }
            if seen.len() > MAX_EXECUTIONS {
                return Err(ExitError::usage(format!("more than {MAX_EXECUTIONS} executions are behind this one; trace one of its parents")));
            }
            let execution: Execution = source.document(&parent.execution).await?;
            let bytes = source.get(&parent.result).await?;
            self.answered(parent.execution, &execution, (parent.result, bytes));
            if let Source::Ring(ring) = source {
                let found = ring.found(&parent.execution).await?;
                if let Some(found) = found.filter(|found| found.result == parent.result) {
                    self.agreed(parent.execution, found);
                }
            }
            open.extend(execution.parents);
        }
        Ok(())
    }

    /// Notes what an execution gave.
    fn answered(&mut self, id: Cid, execution: &Execution, (result, bytes): (Cid, Vec<u8>)) {
        if execution.awaits.is_some() {
            let event = Event::from_bytes(&bytes).ok();
            self.awaited.extend(event.map(|event| (result, event)));
        }
        self.answers.insert(id, bytes);
    }

    /// Notes by what a result counts.
    fn agreed(&mut self, id: Cid, found: Found) {
        let request = found.request.map(|request| (id, request.to_string()));
        self.requests.extend(request);
        self.gates.extend(found.gate.map(|gate| (id, gate)));
        self.said.extend(found.said.map(|said| (id, said)));
    }

    /// What the sources of the events name is there, and says the same.
    async fn check_sources(&self, ring: &RingRecords) -> Result<(), ExitError> {
        let started = self.plan.event_service().zip(self.plan.event());
        let reader =
            started.and_then(|(service, (_, event))| self.plan.event_reader_of(service, event));
        trace_sources::check(ring, (&self.target.event, &self.event), reader).await?;
        for (id, event) in &self.awaited {
            let mut waits = self.plan.waits();
            let wait = waits
                .find(|(_, wait)| Some(wait.service) == event.service && wait.event == event.event);
            let reader = wait
                .and_then(|(_, wait)| self.plan.event_reader_of(&wait.service_name, &wait.event));
            trace_sources::check(ring, (id, event), reader).await?;
        }
        Ok(())
    }

    fn follow(&self) -> Result<Run, ExitError> {
        let run = Run::follow(Arc::clone(&self.plan), &self.event, |id| {
            self.answers.get(id).cloned()
        });
        run.map_err(|error| {
            ExitError::internal(format!(
                "the event {} does not start process {}",
                self.target.event, self.target.process
            ))
            .because(error)
        })
    }

    fn step(&self, run: &Run, line: &trace::Line) -> Step {
        let mut step = Step {
            depth: line.depth,
            execution: None,
            node: None,
            task: None,
            awaits: None,
            state: String::new(),
            result: None,
            request: None,
            gate: None,
            ring: None,
            connector: None,
            said_by: None,
            ring_node: None,
            event: None,
            again: false,
        };
        match &line.link {
            Link::Event(cid) => {
                step.event = Some(cid.to_string());
                step.state = format!("event {} {}", self.event.event, cause(&self.event.source));
            }
            Link::Awaited(cid) => {
                step.event = Some(cid.to_string());
                if let Some(event) = self.awaited.get(cid) {
                    step.state = format!("event {} {}", event.event, cause(&event.source));
                }
            }
            Link::Execution { id, again } => {
                step.execution = Some(id.to_string());
                step.again = *again;
                step.request = self.requests.get(id).cloned();
                step.gate = self.gates.get(id).copied();
                if let Some(said) = self.said.get(id) {
                    step.said_by = Some(said.by.clone());
                    step.ring_node = Some(said.ring_node);
                }
                if let Some(job) = run.job(id) {
                    let kind = run.plan().step(&job.execution.node).map(|step| &step.kind);
                    if let Some(StepKind::Task(task)) = kind {
                        step.connector = task.task.external.clone();
                        step.ring = task.settlement.and_then(|settlement| settlement.ring);
                    }
                    let each = job
                        .execution
                        .each
                        .map(|number| format!("[{number}]"))
                        .unwrap_or_default();
                    step.node = Some(format!("{}{each}", job.execution.node));
                    step.task = Some(job.execution.task.clone()).filter(|task| !task.is_empty());
                    step.awaits = job.execution.awaits.clone();
                    step.state = job.state.to_string();
                    step.result = job.result.map(|result| result.to_string());
                }
            }
        }
        step
    }

    fn line(&self, step: &Step) -> String {
        let indent = "   ".repeat(step.depth);
        if let Some(event) = &step.event {
            return format!("{indent}{}  {event}", step.state);
        }
        let node = step.node.as_deref().unwrap_or_default();
        let execution = step.execution.as_deref().unwrap_or_default();
        if step.again {
            return format!("{indent}{node}  {execution} (above)");
        }
        let by = match (&step.request, &step.connector) {
            (Some(request), _) => format!("  agreed as request {request}"),
            (None, _) if step.gate.is_some() => settled(step),
            (None, Some(connector)) => format!("  by connector {connector}: {}", said(step)),
            (None, None) => step
                .ring_node
                .map(|ring_node| format!("  as ring node {ring_node} decided"))
                .unwrap_or_default(),
        };
        format!("{indent}{node}  {}  {execution}{by}", step.state)
    }
}

/// The gate that has settled a step.
fn settled(step: &Step) -> String {
    let gate = step
        .gate
        .map(|gate| format!("  on the chain by gate {gate}"));
    let ring = step.ring.map(|ring| format!(" of ring {ring}"));
    let decided = step.ring_node;
    let decided = decided.map(|node| format!(", in time as ring node {node} decided"));
    [gate, ring, decided].into_iter().flatten().collect()
}

/// On whose word the result of an external task rests.
fn said(step: &Step) -> String {
    match (&step.said_by, step.ring_node) {
        (Some(by), Some(ring_node)) => {
            let by: Vec<_> = by.iter().map(ToString::to_string).collect();
            format!(
                "the word of {}, as ring node {ring_node} decided",
                by.join(", ")
            )
        }
        _ => "the word of whoever ran it".into(),
    }
}

fn cause(source: &Cause) -> String {
    match source {
        Cause::Hand { .. } => "by hand".into(),
        Cause::Task { execution, .. } => format!("by execution {execution}"),
        Cause::Webhook { id } => format!("by webhook, {id}"),
        Cause::Schedule { time } => format!("by schedule, {time}"),
        Cause::Chain {
            chain,
            transaction,
            index,
            ..
        } => {
            format!("on chain {chain}, transaction {transaction}, log {index}")
        }
        Cause::Message {
            ring,
            log,
            position,
            ..
        } => format!("in ring {ring}, log {log}, node {position}"),
        Cause::Result { ring, node, .. } => format!("of ring {ring}, ring node {node}"),
    }
}
