//! `rings emit`: tells a ring of an event, and shows what follows.
//!
//! A member takes the event down in its log; from then on the members go on by themselves, whether this command runs or not.
//! It follows the same process with the results that two thirds have agreed on, and shows them as they come.

use super::{
    dev_input::{data, take_files},
    lines::Teller,
    local::Came,
    ring::Ring,
    ring_desk::{NoResult, RingDesk},
};
use crate::{
    args::EmitArgs,
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
    signals::Signals,
};
use cid::Cid;
use futures::{future::LocalBoxFuture, stream::FuturesUnordered, FutureExt, StreamExt};
use rand::RngCore;
use rings_api::processes::{EmitParams, ListProcessesParams, ProcessState, ProcessView};
use rings_process::{
    data::Data,
    document::Document,
    event::{Event, Source, VERSION},
    event_origin::NotTold,
    execution::Execution,
    plan::{Plan, StepKind},
    process::Process,
    run::Run,
    service::Service,
    shape::Record,
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Executions that are waited for at once.
const MAX_AT_ONCE: usize = 32;

/// `rings emit`
///
/// # Errors
/// Status 2 when the event is wrong, 3 when a node failed, 4 when two thirds did not agree in time.
pub async fn emit(args: EmitArgs, out: Out) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    tokio::select! {
        done = all(&args, out) => done,
        () = signals.next() => Err(ExitError::internal("interrupted; if the event was told, the ring goes on: see `rings execution list`")),
    }
}

async fn all(args: &EmitArgs, out: Out) -> Result<(), ExitError> {
    let deadline = Instant::now() + args.timeout;
    let mut fields = data(&args.data).map_err(ExitError::usage)?;
    let ring = Ring::of(Place::of_dir(args.dir.dir())?).await?;
    let desk = RingDesk::new(&ring, deadline, out).await?;
    let plans = plans((&ring, &desk), args, out).await?;
    let Some((service, shape)) = kind(&plans, &args.event) else {
        if let Some(due) = plans.due {
            return Err(ExitError::usage(due.to_string()));
        }
        return Err(ExitError::usage(format!(
            "no process starts with event {} of instance {}, or waits for it; look for both in `rings process list` and `rings service list`, or make one with `rings process create`",
            args.event, args.instance
        )));
    };
    for file in take_files(shape, &mut fields).await?.values() {
        desk.keep(file).await?;
    }
    let nonce = match args.again {
        true => u64::from(rand::rngs::OsRng.next_u32()),
        false => 0,
    };
    let event = Event {
        data: fields,
        event: args.event.clone(),
        instance: Some(args.instance),
        process: None,
        service: Some(service),
        source: Source::Hand { nonce },
        version: VERSION,
    };
    // Each is checked before the event is told.
    let mut runs = Vec::with_capacity(plans.starts.len());
    for plan in plans.starts {
        let run = Run::new(plan, &event);
        runs.push(
            run.map_err(|error| ExitError::usage("the event starts nothing").because(error))?,
        );
    }
    let told = EmitParams {
        instance: args.instance,
        event: event.event.clone(),
        data: Data::Map(event.data).to_json(),
        nonce,
    };
    let emitted = desk.member()?.emit(&told).await?;
    out.line(format_args!("event {}  {}", told.event, emitted.event))?;
    if emitted.awaited {
        out.note("processes may wait for it; `rings process show` shows how they go on");
    }
    if args.no_wait {
        return Ok(());
    }
    let mut is_good = true;
    for mut run in runs {
        is_good &= follow(&desk, &mut run, out).await?;
    }
    match is_good {
        true => Ok(()),
        false => Err(ExitError::said(ExitStatus::Failed)),
    }
}

/// The processes that the event is for.
#[derive(Default)]
struct Plans {
    /// It starts them.
    starts: Vec<Arc<Plan>>,
    /// They may wait for it.
    awaiting: Vec<Arc<Plan>>,
    /// Why nobody tells it, if it is the event of a schedule.
    due: Option<NotTold>,
}

/// The service of the event, and the shape of its data.
fn kind<'p>(plans: &'p Plans, event: &str) -> Option<(Cid, &'p Record)> {
    let started = plans.starts.first();
    if let Some((plan, (service, _))) = started.and_then(|plan| Some((plan, plan.event()?))) {
        return Some((service, plan.event_data()));
    }
    let plan = plans.awaiting.first()?;
    let (_, wait) = plan.waits().find(|(_, wait)| wait.event == event)?;
    let service = plan.services().get(&wait.service_name)?;
    Some((wait.service, &service.events.get(event)?.data))
}

/// The processes that the event is for, from the ring's store.
async fn plans(
    (ring, desk): (&Ring, &RingDesk<'_>),
    args: &EmitArgs,
    out: Out,
) -> Result<Plans, ExitError> {
    let mut found = Plans::default();
    let mut which = ListProcessesParams::default();
    loop {
        let page = desk.member()?.list_processes(&which).await?;
        for process in page.processes {
            if !concerns(&process, args) {
                continue;
            }
            let plan = match plan(ring, process.process).await {
                Ok(plan) => plan,
                Err(error) => {
                    // It does not keep the event from the others. The member says what it has started.
                    out.note(format_args!(
                        "process {} is not followed: {error}",
                        process.process
                    ));
                    continue;
                }
            };
            let is_its = |service: &str| process.instances.get(service) == Some(&args.instance);
            for (service, event) in plan.events() {
                if event == args.event && is_its(service) {
                    let may = plan.may_be_told(service, event);
                    may.map_err(|not_told| ExitError::usage(not_told.to_string()))?;
                }
            }
            found.due = found.due.or(plan.may_be_due(&args.event).err());
            let may_wait = plan
                .waits()
                .any(|(_, wait)| wait.event == args.event && is_its(&wait.service_name));
            if may_wait {
                found.awaiting.push(Arc::clone(&plan));
            }
            let is_its = plan.event_service().is_some_and(is_its);
            let event = plan.event().map(|(_, event)| event);
            if is_its && event == Some(args.event.as_str()) {
                found.starts.push(plan);
            }
        }
        match page.next {
            Some(next) => which.from = Some(next),
            None => return Ok(found),
        }
    }
}

/// Whether a process may be started by the event: it is not cancelled, and it is for the instance.
fn concerns(process: &ProcessView, args: &EmitArgs) -> bool {
    let mut instances = process.instances.values();
    process.state != ProcessState::Cancelled && instances.any(|instance| *instance == args.instance)
}

async fn plan(ring: &Ring, cid: Cid) -> Result<Arc<Plan>, ExitError> {
    let process: Process = document(ring, &cid).await?;
    let mut services = BTreeMap::new();
    for (name, service) in &process.services {
        services.insert(name.clone(), document::<Service>(ring, service).await?);
    }
    let plan = Plan::new(process, services).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        ExitError::usage(format!("process {cid} cannot be run: {first}"))
    })?;
    Ok(Arc::new(plan))
}

async fn document<D: Document>(ring: &Ring, cid: &Cid) -> Result<D, ExitError> {
    let bytes = ring.get(cid).await?;
    D::from_bytes(&bytes)
        .map_err(|error| ExitError::usage(format!("{cid} is not {}", D::WHAT)).because(error))
}

type Ended = (Cid, Option<Result<Came, NoResult>>);

/// What an execution gives. One that waits for an event is not waited for: then it is nothing.
async fn result(desk: &RingDesk<'_>, id: Cid, waits: bool) -> Option<Result<Came, NoResult>> {
    match waits {
        false => Some(desk.wait(id).await),
        true => desk.now(id).await.transpose(),
    }
}

/// Whether an execution waits for an event, or for another ring.
fn may_take_long(run: &Run, execution: &Execution) -> bool {
    match run.plan().step(&execution.node).map(|step| &step.kind) {
        Some(StepKind::Task(task)) => task.within().is_some(),
        _ => execution.awaits.is_some(),
    }
}

/// Follows a process to its end. Whether all went well.
async fn follow(desk: &RingDesk<'_>, run: &mut Run, out: Out) -> Result<bool, ExitError> {
    let mut teller = Teller::default();
    let mut waiting: FuturesUnordered<LocalBoxFuture<'_, Ended>> = FuturesUnordered::new();
    loop {
        let room = MAX_AT_ONCE.saturating_sub(waiting.len());
        let created: Vec<(Cid, bool)> = run
            .created()
            .take(room)
            .map(|(id, execution)| (id, may_take_long(run, execution)))
            .collect();
        let is_done = created.is_empty() && waiting.is_empty();
        for (id, waits) in created {
            run.started(id).map_err(|error| {
                ExitError::internal("an execution was started twice").because(error)
            })?;
            waiting.push(async move { (id, result(desk, id, waits).await) }.boxed_local());
        }
        teller.tell(run, out)?;
        if is_done {
            break;
        }
        let Some((id, came)) = waiting.next().await else {
            continue;
        };
        let Some(came) = came else {
            // Its event, or the result of another ring, may come in a year.
            continue;
        };
        let told = match came {
            Ok(Ok(bytes)) => run.answered(id, &bytes),
            Ok(Err(reason)) => run.failed(id, reason),
            Err(NoResult::Failed(error)) => return Err(error),
            Err(NoResult::TooLate { request }) => return Err(too_late(id, request)),
        };
        told.map_err(|error| ExitError::internal("an execution has ended twice").because(error))?;
    }
    if !run.is_over() {
        out.note("the process waits for an event, or for another ring; the ring goes on when it comes, or when its time is over");
        return Ok(true);
    }
    teller.end(run, out)?;
    Ok(run.is_good())
}

fn too_late(id: Cid, request: Option<rings_protocol::Digest>) -> ExitError {
    let request = request.map_or_else(String::new, |request| format!(", request {request}"));
    ExitError::new(
        ExitStatus::NoQuorum,
        format!("two thirds of the members have not agreed on execution {id}{request}, in time; the ring goes on when it can: see `rings execution show {id}`"),
    )
}
