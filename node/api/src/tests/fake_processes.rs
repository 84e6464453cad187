//! Processes with fixed answers.

use super::super::{processes::*, ApiError, ProcessKeeper};
use async_trait::async_trait;
use cid::Cid;
use rings_protocol::{cids::data_cid, Address, Digest};

/// The installation that there is.
pub const INSTALLED: Digest = Digest([5; 32]);

/// Processes of which one is there.
pub struct FakeProcesses;

/// The process that there is.
pub fn process(state: ProcessState) -> ProcessView {
    ProcessView {
        installation: INSTALLED,
        process: data_cid(Digest([6; 32])),
        name: Some("charging".into()),
        on: Some("car.charged".into()),
        instances: [("car".to_owned(), Digest([7; 32]))].into(),
        services: [("car".to_owned(), data_cid(Digest([8; 32])))].into(),
        since: 12,
        by: Address([1; 20]),
        state,
        changes: 0,
        runs: 1,
        open: 1,
    }
}

fn execution(execution: Cid) -> ExecutionView {
    ExecutionView {
        gate: None,
        execution,
        state: ExecutionState::Succeeded,
        installation: INSTALLED,
        event: data_cid(Digest([9; 32])),
        node: Some("price".into()),
        task: Some("price".into()),
        awaits: None,
        until: None,
        request: Some(Digest([3; 32])),
        by: Vec::new(),
        result: Some(data_cid(Digest([4; 32]))),
        reason: None,
        time: Some(7),
    }
}

fn unknown(installation: Digest) -> ApiError {
    ApiError::InvalidParams {
        reason: format!("there is no process {installation}"),
    }
}

#[async_trait]
impl ProcessKeeper for FakeProcesses {
    async fn create(&self, _: CreateProcessParams) -> Result<ProcessView, ApiError> {
        Ok(process(ProcessState::Active))
    }

    async fn change(
        &self,
        installation: Digest,
        to: ProcessState,
    ) -> Result<ProcessView, ApiError> {
        match installation == INSTALLED {
            true => Ok(process(to)),
            false => Err(unknown(installation)),
        }
    }

    async fn emit(&self, event: EmitParams) -> Result<EmittedView, ApiError> {
        Ok(EmittedView {
            event: data_cid(event.instance),
            starts: vec![INSTALLED],
            awaited: false,
            fresh: event.nonce == 0,
        })
    }

    async fn hook(&self, event: HookedEvent) -> Result<EmittedView, ApiError> {
        match event.event.as_str() {
            "charged" => Ok(EmittedView {
                event: data_cid(rings_protocol::cids::sha256(event.id.as_bytes())),
                starts: vec![INSTALLED],
                awaited: false,
                fresh: true,
            }),
            other => Err(ApiError::InvalidParams {
                reason: format!("no process starts with event {other}"),
            }),
        }
    }

    async fn list(&self, behind: Option<Digest>, limit: usize) -> Result<ProcessesView, ApiError> {
        let processes = match behind {
            None => vec![process(ProcessState::Active); limit.min(1)],
            Some(_) => Vec::new(),
        };
        Ok(ProcessesView {
            processes,
            next: None,
        })
    }

    async fn instances(
        &self,
        behind: Option<Digest>,
        limit: usize,
    ) -> Result<InstancesView, ApiError> {
        let one = |byte: u8| InstanceView {
            instance: Digest([byte; 32]),
            service: Some(data_cid(Digest([8; 32]))),
            processes: vec![INSTALLED],
            values: byte == 1,
        };
        let all = (1..4).map(one);
        let all = all.filter(|one| behind.is_none_or(|behind| one.instance > behind));
        let instances: Vec<_> = all.take(limit).collect();
        let next = instances.last().map(|last| last.instance);
        Ok(InstancesView {
            instances,
            next: next.filter(|last| last.0[0] < 3),
        })
    }

    async fn get(
        &self,
        installation: Digest,
        (before, _): (Option<u64>, usize),
    ) -> Result<ProcessRunsView, ApiError> {
        if installation != INSTALLED {
            return Err(unknown(installation));
        }
        let run = RunView {
            number: 0,
            event: data_cid(Digest([9; 32])),
            by: Some(Address([1; 20])),
            seen_by: Vec::new(),
            orphaned: false,
            state: RunState::Open,
            since: 7,
        };
        Ok(ProcessRunsView {
            process: process(ProcessState::Active),
            runs: vec![run; usize::from(before.is_none())],
            next: None,
        })
    }

    async fn executions(&self, event: Option<Cid>, _: usize) -> Result<ExecutionsView, ApiError> {
        let executions = vec![execution(event.unwrap_or_default())];
        Ok(ExecutionsView { executions })
    }

    async fn execution(&self, of: Cid) -> Result<Option<ExecutionView>, ApiError> {
        Ok((of == data_cid(Digest([2; 32]))).then(|| execution(of)))
    }
}
