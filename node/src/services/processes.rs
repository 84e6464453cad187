//! `rings process list|show|pause|resume|cancel` and `rings service list`: the processes that a ring runs, as a member shows them.

use super::instances;
use crate::{
    args::{
        ChangeProcessArgs, HookArgs, InstallationId, ProcessListArgs, ProcessShowArgs,
        ServiceListArgs,
    },
    exit::{ExitError, ExitStatus},
    out::{count, Out},
    place::Place,
    process::Pauses,
    when::When,
};
use rings_api::{
    processes::{
        GetProcessParams, ListExecutionsParams, ListProcessesParams, ProcessState, ProcessView,
        RunState, MAX_PAGE,
    },
    Client, ClientError,
};
use rings_protocol::Digest;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Longest pause between two looks at whether a change was decided.
const LONGEST_LOOK: Duration = Duration::from_millis(250);
/// Milliseconds in a second.
const SECOND: u64 = 1_000;

/// A member that answers.
async fn member(place: &Place) -> Result<&Client, ExitError> {
    let members = place.members().await?;
    members
        .first()
        .copied()
        .ok_or_else(|| ExitError::unavailable("no member answers; see `rings status`"))
}

/// All processes of the ring.
async fn all(member: &Client) -> Result<Vec<ProcessView>, ExitError> {
    let mut found = Vec::new();
    let mut which = ListProcessesParams::default();
    loop {
        let page = member.list_processes(&which).await?;
        found.extend(page.processes);
        match page.next {
            Some(next) => which.from = Some(next),
            None => return Ok(found),
        }
    }
}

fn state(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Active => "active",
        ProcessState::Paused => "paused",
        ProcessState::Cancelled => "cancelled",
    }
}

fn run_state(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waiting",
        RunState::Open => "open",
        RunState::Done => "done",
        RunState::Failed => "failed",
    }
}

/// `rings process list`
///
/// # Errors
/// Status 5 when no member answers.
pub async fn list(args: ProcessListArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let processes = all(member(&place).await?).await?;
    if args.show.json {
        return out.json(&processes);
    }
    for process in &processes {
        out.line(line(process))?;
    }
    if processes.is_empty() {
        out.note("the ring runs no process; `rings process create` makes one");
    }
    Ok(())
}

fn line(process: &ProcessView) -> String {
    let name = process.name.as_deref().unwrap_or("(not read yet)");
    let on = process.on.as_deref().unwrap_or_default();
    let runs = usize::try_from(process.runs).unwrap_or(usize::MAX);
    format!(
        "{}  {}  {name}  on {on}  {}, {} open  {}",
        process.installation,
        state(process.state),
        count(runs, "run"),
        process.open,
        process.process
    )
}

/// The process that is meant.
async fn find(member: &Client, id: &InstallationId) -> Result<ProcessView, ExitError> {
    let is_meant = |process: &ProcessView| match id {
        InstallationId::Installation(installation) => process.installation == *installation,
        InstallationId::Process(cid) => process.process == *cid,
        InstallationId::Name(name) => process.name.as_ref() == Some(name),
    };
    let mut found: Vec<_> = all(member).await?.into_iter().filter(is_meant).collect();
    match (found.len(), found.pop()) {
        (1, Some(process)) => Ok(process),
        (0, _) | (_, None) => Err(ExitError::usage(format!(
            "the ring runs no process {id}; see `rings process list`"
        ))),
        (several, _) => Err(ExitError::usage(format!(
            "the ring runs {id} {several} times; name one of them by its installation (0x…), see `rings process list`"
        ))),
    }
}

/// `rings process show`
///
/// # Errors
/// Status 2 when there is no such process, 5 when no member answers.
pub async fn show(args: ProcessShowArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let member = member(&place).await?;
    let process = find(member, &args.process).await?;
    let which = GetProcessParams {
        installation: process.installation,
        before: None,
        limit: Some(args.limit),
    };
    let shown = member.get_process(&which).await?;
    if args.show.json {
        return out.json(&shown);
    }
    out.line(line(&shown.process))?;
    for (name, instance) in &shown.process.instances {
        out.line(format_args!("  {name} is instance {instance}"))?;
    }
    for run in &shown.runs {
        let time = When(run.since / SECOND);
        let number = run.number;
        out.line(format_args!(
            "  run {number}  {time}  {}  event {}",
            run_state(run.state),
            run.event
        ))?;
        let of_event = ListExecutionsParams {
            event: Some(run.event),
            limit: Some(MAX_PAGE),
        };
        let mut executions = member.list_executions(&of_event).await?.executions;
        if run.orphaned {
            out.line("    orphaned: a reorganisation has taken its event from the chain; what was computed stays, and what external tasks did (not validated, below) is not undone")?;
        }
        // The event may have started other processes too.
        executions.retain(|execution| execution.installation == shown.process.installation);
        for execution in executions {
            let node = execution.node.unwrap_or_default();
            let state = serde_json::to_value(execution.state).unwrap_or_default();
            let state = state.as_str().unwrap_or_default();
            // Of an external task it says on whose word the result rests.
            let by = execution.by.iter().map(ToString::to_string);
            let by = by.collect::<Vec<_>>().join(", ");
            let by = match by.is_empty() {
                true => by,
                false => format!("  by {by}, not validated"),
            };
            out.line(format_args!(
                "    {node}  {state}  {}{by}",
                execution.execution
            ))?;
        }
    }
    Ok(())
}

/// `rings process pause`, `resume` and `cancel`
///
/// # Errors
/// Status 2 when there is no such process, or it cannot become this; 4 when the ring has not decided it in time.
pub async fn change(args: ChangeProcessArgs, to: ProcessState, out: Out) -> Result<(), ExitError> {
    let deadline = Instant::now() + args.timeout;
    let place = Place::of_dir(args.dir.dir())?;
    let member = member(&place).await?;
    let before = find(member, &args.process).await?;
    let id = before.installation;
    let asked = match to {
        ProcessState::Active => member.resume_process(id).await,
        ProcessState::Paused => member.pause_process(id).await,
        ProcessState::Cancelled => member.cancel_process(id).await,
    };
    asked.map_err(refused)?;
    let mut pauses = Pauses::new(LONGEST_LOOK);
    loop {
        let now = find(member, &InstallationId::Installation(id)).await?;
        if now.changes > before.changes {
            return match now.state == to {
                true => out.line(state(to)),
                false => Err(ExitError::new(
                    ExitStatus::Usage,
                    format!(
                        "the ring has decided otherwise: the process is {}",
                        state(now.state)
                    ),
                )),
            };
        }
        if Instant::now() >= deadline {
            return Err(ExitError::new(
                ExitStatus::NoQuorum,
                "the ring has not decided it in time, for which two thirds of the members and a transaction are needed; it does so when it can: see `rings process list`",
            ));
        }
        pauses.next().await;
    }
}

/// What the member refuses is a matter of how it was asked.
fn refused(error: ClientError) -> ExitError {
    match error {
        ClientError::Rpc { ref data, code, .. } if code == i64::from(rings_api::code::REFUSED) => {
            ExitError::usage(data.clone())
        }
        error => error.into(),
    }
}

/// `rings service hook`
///
/// # Errors
/// Status 2 when the directory has no token.
pub fn hook(args: &HookArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let place = Place::of_dir(dir.clone())?;
    for member in &place.file.members {
        let token = dir.member_token(member)?.ok_or_else(|| {
            ExitError::usage(format!(
                "{} has no token of member {}; ask whoever runs it for the secret",
                dir.root().display(),
                member.address
            ))
        })?;
        let (url, secret) = (
            member.rpc_url.trim_end_matches('/'),
            token.hook_secret(args.instance),
        );
        let instance = args.instance;
        out.line(format_args!("{url}/events/{instance}  {}", secret.expose()))?;
    }
    Ok(())
}

/// An instance, as it is listed; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceLine {
    instance: Digest,
    service: Option<String>,
    /// Whether its configuration is in the directory.
    here: bool,
    /// The processes that use it.
    processes: BTreeSet<String>,
}

/// `rings service list`
///
/// # Errors
/// Status 5 when no member answers.
pub async fn services(args: ServiceListArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let mut found: BTreeMap<Digest, InstanceLine> = BTreeMap::new();
    let line = |instance| InstanceLine {
        instance,
        service: None,
        here: false,
        processes: BTreeSet::new(),
    };
    for (hash, instance) in instances::all(&dir)? {
        let entry = found.entry(hash).or_insert_with(|| line(hash));
        entry.service = Some(instance.service.to_string());
        entry.here = true;
    }
    let place = Place::of_dir(dir)?;
    for process in all(member(&place).await?).await? {
        for (name, instance) in &process.instances {
            let entry = found.entry(*instance).or_insert_with(|| line(*instance));
            if let Some(service) = process.services.get(name) {
                entry.service.get_or_insert_with(|| service.to_string());
            }
            let named = process.name.clone();
            entry
                .processes
                .insert(named.unwrap_or_else(|| process.process.to_string()));
        }
    }
    let lines: Vec<_> = found.into_values().collect();
    if args.json {
        return out.json(&lines);
    }
    for line in &lines {
        let service = line.service.as_deref().unwrap_or("(not read yet)");
        let processes: Vec<_> = line.processes.iter().map(String::as_str).collect();
        let used = match processes.is_empty() {
            true => "no process".to_owned(),
            false => processes.join(", "),
        };
        out.line(format_args!("{}  {service}  {used}", line.instance))?;
    }
    if lines.is_empty() {
        out.note("there is no instance; `rings service deploy` makes one");
    }
    Ok(())
}
