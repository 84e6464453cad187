//! `rings service check`, `rings service show` and `rings process check`.

use super::{
    cases,
    load::{self, in_directory, SERVICE_FILE},
};
use crate::{
    args::{DefinitionArgs, ProcessCheckArgs},
    exit::ExitError,
    out::{count, Out},
};
use rings_process::{document::Document, plan::StepKind};

/// `rings service check`
///
/// # Errors
/// Status 2 when the definition is wrong, 1 when a case gives another answer.
pub async fn service(args: DefinitionArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::service(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let (cid, name) = (loaded.cid, loaded.service.service.clone());
    let (tasks, events) = (loaded.service.tasks.len(), loaded.service.events.len());
    let cases = cases::run(loaded, &in_directory(&args.file, SERVICE_FILE), out).await?;
    out.note(format_args!(
        "{name} is right: {}, {}, {}",
        count(tasks, "task"),
        count(events, "event"),
        count(cases, "case")
    ));
    out.line(cid)
}

/// `rings service show`
///
/// # Errors
/// Status 2 when the definition is wrong.
pub async fn show(args: DefinitionArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::service(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let service = &loaded.service;
    if args.json {
        // The canonical bytes themselves: what the service hash is the CID of.
        let bytes = service
            .to_bytes()
            .map_err(|error| ExitError::usage(error.to_string()))?;
        return out.bytes(&bytes);
    }
    out.line(format_args!("service  {}  {}", service.service, loaded.cid))?;
    if !service.about.is_empty() {
        out.line(format_args!("         {}", service.about))?;
    }
    for (name, event) in &service.events {
        out.line(format_args!("event    {name}  {}", event.data.names()))?;
    }
    for (name, task) in &service.tasks {
        let by = match (&task.program, &task.external) {
            (Some(program), _) => format!("program {program}"),
            (None, connector) => format!("external, {}", connector.as_deref().unwrap_or_default()),
        };
        out.line(format_args!(
            "task     {name}  {}  {by}",
            task.inputs.names()
        ))?;
        for (status, outputs) in &task.statuses {
            out.line(format_args!("         -> {status}  {}", outputs.names()))?;
        }
    }
    Ok(())
}

/// `rings process check`
///
/// # Errors
/// Status 2 when the definition is wrong.
pub async fn process(args: ProcessCheckArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::process(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let plan = &loaded.plan;
    for (name, step) in plan.order() {
        let kind = match &step.kind {
            StepKind::Task(task) => format!("task {}.{}", task.service_name, task.name),
            StepKind::Filter(_) => "filter".into(),
            StepKind::Map { .. } => "map".into(),
            StepKind::Wait(wait) => format!(
                "waits {} seconds for {}.{}",
                wait.within, wait.service_name, wait.event
            ),
        };
        let after: Vec<_> = step
            .after
            .iter()
            .map(|(node, status)| format!("{node}.{status}"))
            .collect();
        let after = match after.is_empty() {
            true => "the event".into(),
            false => after.join(", "),
        };
        out.note(format_args!("{name}  {kind}, after {after}"));
    }
    out.line(plan.cid())
}
