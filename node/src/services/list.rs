//! `rings execution list` and `rings execution show`: executions in the members' logs.

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
use rings_process::{document::Document, execution::Execution};
use rings_protocol::{cids::data_cid, ringlog::Outcome, Address, Digest};
use serde::Serialize;

/// An execution in a log; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    execution: String,
    request: Digest,
    /// In whose log it stands.
    author: Address,
    /// Seconds since 1970 when its log node was written, as the author says.
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
    if args.show.json {
        return out.json(&lines);
    }
    for line in &lines {
        let time = line
            .time
            .map_or_else(|| "no time".into(), |time| When(time).to_string());
        out.line(format_args!(
            "{}  {time}  {}  {}  {}",
            line.execution, line.node, line.state, line.request
        ))?;
    }
    if lines.is_empty() {
        out.note("no execution stands in the newest nodes of the members' logs; `rings emit` starts a process");
    }
    Ok(())
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
    let each = execution
        .each
        .map(|number| format!("[{number}]"))
        .unwrap_or_default();
    Ok(Some(Line {
        execution: cid.to_string(),
        request: asked.digest,
        author: asked.author,
        time: asked.time,
        node: format!("{}{each}", execution.node),
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
            out.line(format_args!(
                "said       by {}, not validated",
                by.join(", ")
            ))?;
            out.line(format_args!("answer     {answer}"))
        }
        _ => out.line("two thirds of the members have not agreed on an output of it"),
    }
}
