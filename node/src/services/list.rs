//! `rings execution list` and `rings execution show`: executions in the members' logs. External tasks, and those that wait for an
//! event, are no requests: of them it shows what a member says.

use super::{
    ring::{asked, first_input, Asked, Ring},
    ring_records::RingRecords,
};
use crate::{
    args::{ExecutionArgs, ExecutionListArgs},
    ballots::Depth,
    exit::{ExitError, ExitStatus},
    out::Out,
    place::Place,
    when::When,
};
use cid::Cid;
use rings_api::processes::{ExecutionState, ListExecutionsParams, MAX_PAGE};
use rings_process::{document::Document, execution::Execution};
use rings_protocol::{cids::data_cid, ringlog::Outcome, Address, Digest};
use serde::Serialize;

/// In a second.
const MILLISECONDS: u64 = 1_000;

/// An execution in a log; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    execution: String,
    /// None of an external task, and of a wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Digest>,
    /// In whose log the request stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<Address>,
    /// The members on whose word it rests, if its task is external.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by: Vec<Address>,
    /// The event for which it waits, or has waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaits: Option<String>,
    /// The gate that settles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Address>,
    /// Seconds since 1970 when its log node was written, as the author says; without a request, when the member knew that it has ended.
    time: Option<u64>,
    node: String,
    task: String,
    event: String,
    process: String,
    state: &'static str,
}

/// `rings execution list`
///
/// # Errors
/// Status 5 when no member answers.
pub async fn list(args: ExecutionListArgs, out: Out) -> Result<(), ExitError> {
    let ring = Ring::of(Place::of(&args.show.place).await?).await?;
    let mut found = asked(&ring, Depth::Until(args.limit as usize)).await?;
    found.sort_by_key(|asked| std::cmp::Reverse(asked.time));
    found.truncate(args.limit as usize);
    let mut lines = Vec::new();
    for asked in &found {
        lines.extend(line(&ring, asked).await?);
    }
    lines.extend(said(&ring, args.limit).await?);
    // What is under way comes first.
    lines.sort_by_key(|line| std::cmp::Reverse(line.time.unwrap_or(u64::MAX)));
    lines.truncate(args.limit as usize);
    if args.show.json {
        return out.json(&lines);
    }
    for line in &lines {
        let time = line
            .time
            .map_or_else(|| "no time".into(), |time| When(time).to_string());
        out.line(format_args!(
            "{}  {time}  {}  {}  {}",
            line.execution,
            line.node,
            line.state,
            how(line)
        ))?;
    }
    if lines.is_empty() {
        out.note("no execution stands in the newest nodes of the members' logs; `rings emit` starts a process");
    }
    Ok(())
}

/// How it came to its state.
fn how(line: &Line) -> String {
    match (line.request, &line.awaits) {
        (Some(request), _) => request.to_string(),
        (None, Some(event)) if line.time.is_none() => format!("waits for {event}"),
        (None, Some(event)) => format!("waited for {event}, as the ring decided"),
        (None, None) if line.gate.is_some() => line
            .gate
            .map_or_else(String::new, |gate| format!("gate {gate}")),
        (None, None) => {
            let by: Vec<_> = line.by.iter().map(ToString::to_string).collect();
            format!("by {}, not validated", by.join(", "))
        }
    }
}

/// The newest executions that are no requests, as a member says.
async fn said(ring: &Ring, limit: u32) -> Result<Vec<Line>, ExitError> {
    let members = ring.place.members().await?;
    let Some(member) = members.first() else {
        return Ok(Vec::new());
    };
    let which = ListExecutionsParams {
        event: None,
        limit: Some(limit.clamp(1, MAX_PAGE)),
    };
    let mut lines = Vec::new();
    for view in member.list_executions(&which).await?.executions {
        let is_said = !view.by.is_empty() || view.awaits.is_some() || view.gate.is_some();
        if view.request.is_some() || !is_said {
            continue;
        }
        let Ok(bytes) = ring.get(&view.execution).await else {
            continue;
        };
        let Ok(execution) = Execution::from_bytes(&bytes) else {
            continue;
        };
        lines.push(Line {
            execution: view.execution.to_string(),
            request: None,
            author: None,
            by: view.by,
            gate: view.gate,
            time: view.time.map(|time| time / MILLISECONDS),
            node: execution.label(),
            awaits: execution.awaits,
            task: execution.task,
            event: execution.event.to_string(),
            process: execution.process.to_string(),
            state: match view.state {
                ExecutionState::Created => "created",
                ExecutionState::Started => "started",
                ExecutionState::Succeeded => "succeeded",
                ExecutionState::Failed => "failed",
                ExecutionState::Expired => "expired",
            },
        });
    }
    Ok(lines)
}

/// The line of a request, if it is an execution.
async fn line(ring: &Ring, asked: &Asked) -> Result<Option<Line>, ExitError> {
    let Some(cid) = first_input(&asked.request).map(data_cid) else {
        return Ok(None);
    };
    // Other requests have an input that is no execution, or that no member has.
    let Ok(bytes) = ring.get(&cid).await else {
        return Ok(None);
    };
    let Ok(execution) = Execution::from_bytes(&bytes) else {
        return Ok(None);
    };
    let state = match ring.outcome(asked.digest).await? {
        None => "started",
        Some(Outcome::Outputs(_)) => "succeeded",
        Some(Outcome::Failure(_)) => "failed",
    };
    Ok(Some(Line {
        execution: cid.to_string(),
        request: Some(asked.digest),
        author: Some(asked.author),
        by: Vec::new(),
        gate: None,
        awaits: None,
        time: asked.time,
        node: execution.label(),
        task: execution.task,
        event: execution.event.to_string(),
        process: execution.process.to_string(),
        state,
    }))
}

/// What `execution show` tells; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    execution: String,
    request: Option<Digest>,
    /// The members on whose word it rests, if its task is external.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_by: Option<Vec<Address>>,
    /// The gate on the chain that has settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Address>,
    result: Option<String>,
    document: serde_json::Value,
    answer: Option<serde_json::Value>,
}

/// `rings execution show`
///
/// # Errors
/// Status 2 when it is no execution, 5 when no member has it.
pub async fn show(args: ExecutionArgs, out: Out) -> Result<(), ExitError> {
    let records = RingRecords::of(Place::of(&args.show.place).await?).await?;
    let id: Cid = match args.id.request() {
        Some(request) => records.execution_of(request).await?,
        None => args
            .id
            .execution()
            .ok_or_else(|| ExitError::usage("name an execution or a request"))?,
    };
    let bytes = records.get(&id).await?;
    Execution::from_bytes(&bytes).map_err(|error| {
        ExitError::new(ExitStatus::Usage, format!("{id} is no execution")).because(error)
    })?;
    let found = records.found(&id).await?;
    let answer = match &found {
        Some(found) => Some(records.get(&found.result).await?),
        None => None,
    };
    let unread =
        |error: serde_json::Error| ExitError::internal("it cannot be written").because(error);
    let shown = Shown {
        execution: id.to_string(),
        request: found.as_ref().and_then(|found| found.request),
        gate: found.as_ref().and_then(|found| found.gate),
        said_by: found
            .as_ref()
            .and_then(|found| Some(found.said.as_ref()?.by.clone())),
        result: found.map(|found| found.result.to_string()),
        document: serde_json::from_slice(&bytes).map_err(unread)?,
        answer: answer.and_then(|answer| serde_json::from_slice(&answer).ok()),
    };
    if args.show.json {
        return out.json(&shown);
    }
    out.line(format_args!("execution  {}", shown.execution))?;
    out.line(format_args!("causes     {}", shown.document))?;
    match (&shown.request, &shown.answer) {
        (Some(request), Some(answer)) => {
            out.line(format_args!("agreed     as request {request}"))?;
            out.line(format_args!("answer     {answer}"))
        }
        (None, Some(answer)) => {
            let by = shown.said_by.iter().flatten();
            let by: Vec<_> = by.map(ToString::to_string).collect();
            match by.is_empty() {
                true if shown.gate.is_some() => out.line(format_args!(
                    "settled    on the chain by gate {}",
                    shown.gate.unwrap_or_default()
                ))?,
                true => out.line("decided    by the ring, of an event and a deadline")?,
                false => out.line(format_args!(
                    "said       by {}, not validated",
                    by.join(", ")
                ))?,
            }
            out.line(format_args!("answer     {answer}"))
        }
        _ => out.line("two thirds of the members have not agreed on an output of it"),
    }
}
