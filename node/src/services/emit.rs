//! `rings emit`: an event by hand, and all that follows from it on the ring.
//!
//! This command drives the processes: it resolves what is to be done, brings each execution to the ring as a request, and goes
//! on with what two thirds have agreed on. Given the same event again, it finds the same executions and the results that are
//! there, so a command that was interrupted is run again.

use super::{
    deploy::keep,
    dev_input::{data, take_files},
    instances::{self, Created},
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
use rings_process::{
    document::Document,
    event::{Event, Source, VERSION},
    execution::Execution,
    plan::{Plan, StepKind},
    process::Process,
    run::Run,
    service::{Service, Task},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Executions that are brought to the ring at once.
const MAX_AT_ONCE: usize = 32;

/// `rings emit`
///
/// # Errors
/// Status 2 when the event is wrong, 3 when a node failed, 4 when two thirds did not agree in time.
pub async fn emit(args: EmitArgs, out: Out) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    tokio::select! {
        done = all(&args, out) => done,
        () = signals.next() => Err(ExitError::internal("interrupted; emit the same event again, and it goes on")),
    }
}

async fn all(args: &EmitArgs, out: Out) -> Result<(), ExitError> {
    let deadline = Instant::now() + args.timeout;
    let dir = args.dir.dir();
    let instance = instances::get(&dir, args.instance)?;
    let mut fields = data(&args.data).map_err(ExitError::usage)?;
    let created = instances::created(&dir)?;
    let ring = Ring::of(Place::of_dir(dir)?).await?;
    let desk = RingDesk::new(&ring, deadline, out).await?;
    let plans = plans(&ring, &created, args, instance.service).await?;
    let Some(first) = plans.first() else {
        return Err(ExitError::usage(format!(
            "no process starts with event {} of instance {}; `rings process create` makes one",
            args.event, args.instance
        )));
    };
    for file in take_files(first, &mut fields).await?.values() {
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
        service: Some(instance.service),
        source: Source::Hand { nonce },
        version: VERSION,
    };
    // Each is checked before the first begins.
    let mut runs = Vec::with_capacity(plans.len());
    for plan in plans {
        let run = Run::new(plan, &event);
        runs.push(
            run.map_err(|error| ExitError::usage("the event starts nothing").because(error))?,
        );
    }
    keep(&desk, &event).await?;
    out.line(format_args!(
        "event {}  {}",
        event.event,
        event
            .cid()
            .map_err(|error| ExitError::usage(error.to_string()))?
    ))?;
    let mut is_good = true;
    for mut run in runs {
        is_good &= drive(&desk, &mut run, out).await?;
    }
    match is_good {
        true => Ok(()),
        false => Err(ExitError::said(ExitStatus::Failed)),
    }
}

/// The processes that the event starts, from the ring's store.
async fn plans(
    ring: &Ring,
    created: &[Created],
    args: &EmitArgs,
    service: Cid,
) -> Result<Vec<Arc<Plan>>, ExitError> {
    let mut plans = Vec::new();
    for created in created {
        if !created
            .instances
            .values()
            .any(|instance| *instance == args.instance)
        {
            continue;
        }
        let cid = created.process.parse::<Cid>().map_err(|error| {
            ExitError::usage(format!(
                "{} is no process; create it again",
                created.process
            ))
            .because(error)
        })?;
        let plan = plan(ring, cid).await?;
        let started_by = plan
            .process()
            .on
            .event
            .as_deref()
            .and_then(|event| event.split_once('.'));
        let is_of_instance =
            started_by.is_some_and(|(name, _)| created.instances.get(name) == Some(&args.instance));
        if is_of_instance && plan.event() == Some((service, args.event.as_str())) {
            plans.push(plan);
        }
    }
    Ok(plans)
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

type Ended = (Cid, Result<Came, NoResult>);

/// Goes through a process to its end. Whether all went well.
async fn drive(desk: &RingDesk<'_>, run: &mut Run, out: Out) -> Result<bool, ExitError> {
    let mut teller = Teller::default();
    let mut asked: FuturesUnordered<LocalBoxFuture<'_, Ended>> = FuturesUnordered::new();
    loop {
        let room = MAX_AT_ONCE.saturating_sub(asked.len());
        let created: Vec<(Cid, Execution)> = run
            .created()
            .take(room)
            .map(|(id, execution)| (id, execution.clone()))
            .collect();
        for (id, execution) in created {
            let task = match run.plan().step(&execution.node).map(|step| &step.kind) {
                Some(StepKind::Task(task)) => task.task.clone(),
                _ => continue,
            };
            run.started(id).map_err(|error| {
                ExitError::internal("an execution was started twice").because(error)
            })?;
            asked.push(one(desk, id, task, execution).boxed_local());
        }
        teller.tell(run, out)?;
        let Some((id, came)) = asked.next().await else {
            break;
        };
        let told = match came {
            Ok(Ok(bytes)) => run.answered(id, &bytes),
            Ok(Err(reason)) => run.failed(id, reason),
            Err(NoResult::Failed(error)) => return Err(error),
            Err(NoResult::TooLate { request }) => return Err(too_late(id, request)),
        };
        told.map_err(|error| ExitError::internal("an execution has ended twice").because(error))?;
    }
    teller.end(run, out)?;
    Ok(run.is_good())
}

fn too_late(id: Cid, request: Option<rings_protocol::Digest>) -> ExitError {
    let request = request.map_or_else(String::new, |request| format!(", request {request}"));
    ExitError::new(
        ExitStatus::NoQuorum,
        format!("two thirds of the members have not agreed on execution {id}{request}, in time; it stays: emit the same event again, and it goes on"),
    )
}

async fn one(desk: &RingDesk<'_>, id: Cid, task: Task, execution: Execution) -> Ended {
    (id, desk.run(&task, &execution).await)
}
