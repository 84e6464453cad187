//! What is shown of processes, runs and executions.

use super::{error::ProcessError, keeper::Processes, live::Live};
use crate::state::{Ended, Installed, RunEnd, RunRecord, Waiting, NEVER};
use cid::Cid;
use rings_api::{
    processes::{
        ExecutionState, ExecutionView, ExecutionsView, ProcessRunsView, ProcessState, ProcessView,
        ProcessesView, RunState, RunView,
    },
    ApiError,
};
use rings_process::{
    document::Document,
    execution::Execution,
    process::Trigger,
    words::{Activity, Stage},
};
use rings_protocol::{
    cids::{data_cid, digest_of},
    Digest,
};
use std::time::Duration;

/// Time to read a definition that is shown.
const READ_LIMIT: Duration = Duration::from_millis(250);

impl Processes {
    /// A process.
    pub(super) async fn view(
        &self,
        id: Digest,
        installed: &Installed,
    ) -> Result<ProcessView, ApiError> {
        let installation = &installed.installation;
        // Where its definition cannot be had at once, the rest is shown all the same.
        let read = tokio::time::timeout(READ_LIMIT, self.plan(installation.process)).await;
        let plan = read.ok().and_then(Result::ok);
        let definition = plan.as_ref().map(|plan| plan.process());
        let (runs, open) = self.state.run_counts(id).map_err(ProcessError::State)?;
        Ok(ProcessView {
            installation: id,
            process: installation.process,
            name: definition.map(|definition| definition.process.clone()),
            on: definition.map(|definition| starts_with(&definition.on)),
            instances: installation.instances.clone(),
            services: definition.map_or_else(Default::default, |found| found.services.clone()),
            since: installation.since,
            by: installed.by,
            state: match installed.activity {
                Activity::Active => ProcessState::Active,
                Activity::Paused => ProcessState::Paused,
                Activity::Cancelled => ProcessState::Cancelled,
            },
            changes: installed.changes,
            runs,
            open,
        })
    }

    /// A page of all processes.
    pub(super) async fn show_list(
        &self,
        behind: Option<Digest>,
        limit: usize,
    ) -> Result<ProcessesView, ApiError> {
        let page = self.state.all_installed(behind, limit + 1);
        let mut page = page.map_err(ProcessError::State)?;
        let has_more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().map(|(id, _)| *id).filter(|_| has_more);
        let mut processes = Vec::with_capacity(page.len());
        for (id, installed) in &page {
            processes.push(self.view(*id, installed).await?);
        }
        Ok(ProcessesView { processes, next })
    }

    /// A process, and a page of its runs.
    pub(super) async fn show_runs(
        &self,
        (id, installed): (Digest, &Installed),
        (before, limit): (Option<u64>, usize),
    ) -> Result<ProcessRunsView, ApiError> {
        let runs = self.state.newest_runs(id, before, limit);
        let runs = runs.map_err(ProcessError::State)?;
        let last = runs.last().map(|(number, ..)| *number);
        let runs: Vec<_> = runs
            .into_iter()
            .map(|(number, event, record)| run_view(number, event, &record))
            .collect();
        Ok(ProcessRunsView {
            process: self.view(id, installed).await?,
            next: last.filter(|number| *number > 0 && runs.len() == limit),
            runs,
        })
    }

    /// Executions that are under way, then those that have ended.
    pub(super) async fn show_executions(
        &self,
        event: Option<Cid>,
        limit: usize,
    ) -> Result<ExecutionsView, ApiError> {
        let event = event.map(|event| {
            digest_of(&event).map_err(|_| ApiError::InvalidParams {
                reason: format!("{event} is no event"),
            })
        });
        let event = event.transpose()?;
        let is_wanted = |live: &Live| event.is_none_or(|event| event == live.event);
        let mut executions: Vec<_> = self
            .live()
            .iter()
            .filter(|(_, live)| is_wanted(live))
            .take(limit)
            .map(|(id, live)| self.live_view(*id, live))
            .collect();
        let rest = limit.saturating_sub(executions.len());
        let waiting = self.state.all_waiting(event, rest);
        let waiting = waiting.map_err(ProcessError::State)?;
        let waiting = waiting
            .into_iter()
            .map(|(name, waiting)| waiting_view(name, waiting));
        executions.extend(waiting);
        let rest = limit.saturating_sub(executions.len());
        let ended = self.state.newest_ended(event, rest);
        let mut ended = ended.map_err(ProcessError::State)?;
        // Those of one event come in the order of their names.
        ended.sort_by_key(|(_, ended)| std::cmp::Reverse(ended.time));
        for (id, ended) in ended {
            executions.push(self.ended_view(id, ended).await);
        }
        Ok(ExecutionsView { executions })
    }

    /// An execution; nothing if this member does not know of it.
    pub(super) async fn show_execution(&self, id: Cid) -> Result<Option<ExecutionView>, ApiError> {
        if let Some(ended) = self.state.ended(&id).map_err(ProcessError::State)? {
            return Ok(Some(self.ended_view(id, ended).await));
        }
        let name = digest_of(&id).unwrap_or_default();
        if let Some(waiting) = self.state.waiting(name).map_err(ProcessError::State)? {
            return Ok(Some(waiting_view(name, waiting)));
        }
        Ok(self.live().get(&id).map(|live| self.live_view(id, live)))
    }

    fn live_view(&self, execution: Cid, live: &Live) -> ExecutionView {
        // Where the disk cannot be read now, it is shown as what this member knows by itself.
        let asked = |request| matches!(self.parts.logs.asked(request), Ok(Some(_)));
        ExecutionView {
            execution,
            state: match live.is_started || live.request.is_some_and(asked) {
                true => ExecutionState::Started,
                false => ExecutionState::Created,
            },
            installation: live.installation,
            event: data_cid(live.event),
            node: Some(live.node.clone()),
            task: live.task.clone(),
            awaits: None,
            until: None,
            request: live.request,
            gate: None,
            by: live.by.clone(),
            result: None,
            reason: None,
            time: None,
        }
    }

    async fn ended_view(&self, execution: Cid, ended: Ended) -> ExecutionView {
        // Where its document is gone, the rest is shown all the same.
        let document = self.file(&execution).await.ok();
        let document = document.and_then(|bytes| Execution::from_bytes(&bytes).ok());
        ExecutionView {
            execution,
            state: match ended.stage {
                Stage::Started => ExecutionState::Started,
                Stage::Succeeded => ExecutionState::Succeeded,
                Stage::Failed => ExecutionState::Failed,
                Stage::Expired => ExecutionState::Expired,
            },
            installation: ended.installation,
            event: data_cid(ended.event),
            node: document.as_ref().map(Execution::label),
            task: document.as_ref().and_then(task_of),
            awaits: document.and_then(|document| document.awaits),
            until: None,
            request: ended.request,
            gate: ended.gate,
            by: ended.by,
            result: ended.result,
            reason: ended.reason,
            time: Some(ended.time),
        }
    }
}

/// The task of an execution, unless it waits for an event.
fn task_of(execution: &Execution) -> Option<String> {
    Some(execution.task.clone()).filter(|task| !task.is_empty())
}

/// An execution that waits for an event, or for a gate.
fn waiting_view(name: Digest, waiting: Waiting) -> ExecutionView {
    ExecutionView {
        execution: data_cid(name),
        state: ExecutionState::Started,
        installation: waiting.installation,
        event: data_cid(waiting.event),
        node: Some(waiting.execution.label()),
        task: task_of(&waiting.execution),
        awaits: waiting.execution.awaits,
        until: Some(waiting.until).filter(|until| *until != NEVER),
        request: None,
        gate: waiting.gate,
        by: Vec::new(),
        result: None,
        reason: None,
        time: None,
    }
}

fn run_view(number: u64, event: Digest, record: &RunRecord) -> RunView {
    RunView {
        number,
        event: data_cid(event),
        by: record.by,
        seen_by: record.seen_by.iter().copied().collect(),
        state: match record.end {
            Some(RunEnd::Done) => RunState::Done,
            Some(RunEnd::Failed) => RunState::Failed,
            None if record.may_begin() => RunState::Open,
            None => RunState::Waiting,
        },
        orphaned: record.orphaned,
        since: record.since,
    }
}

/// What starts a process, in words.
fn starts_with(trigger: &Trigger) -> String {
    match (&trigger.event, &trigger.every, &trigger.cron) {
        (Some(event), ..) => event.clone(),
        (_, Some(seconds), _) => format!("every {seconds} seconds"),
        (_, _, Some(pattern)) => format!("cron {pattern}"),
        _ => String::new(),
    }
}
