//! Documents and results of executions, from a ring: what two thirds agreed on, and of external tasks what the ring decided, and
//! on whose word.
//!
//! Nothing of a decision rests on what a member says now: it is an entry of a ring node that the chain confirms, the choice is
//! the hash of a verdict, and each member that the verdict names has signed what it said, in its log.

use super::{
    gate_records,
    ring::{asked, first_input, Found, Ring, Said},
    said::Spoken,
};
use crate::{
    asked::request_of,
    ballots::Depth,
    exit::{ExitError, ExitStatus},
    place::Place,
};
use cid::Cid;
use rings_chain::ContractLog;
use rings_process::{
    attempt::{slot, Verdict},
    document::{cid_of, Document},
    execution::{Answer, Execution},
    external::together,
    missing,
    runners::Runners,
    service::{Service, Task},
    wait,
};
use rings_protocol::{
    cids::{data_cid, digest_of},
    log::LogNode,
    ringlog::RingNode,
    Address, Digest,
};
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

/// Documents and results of executions, from a ring.
pub struct RingRecords {
    ring: Ring,
    asked: OnceCell<BTreeMap<Digest, Vec<Digest>>>,
    spoken: OnceCell<Spoken>,
}

impl RingRecords {
    /// Those of this ring.
    ///
    /// # Errors
    /// As [`Ring::of`].
    pub async fn of(place: Place) -> Result<Self, ExitError> {
        Ok(Self {
            ring: Ring::of(place).await?,
            asked: OnceCell::new(),
            spoken: OnceCell::new(),
        })
    }

    /// As [`Ring::log_of`].
    ///
    /// # Errors
    /// Status 5 when the chain does not answer.
    pub async fn log_of(
        &self,
        transaction: Digest,
        index: u64,
    ) -> Result<Option<ContractLog>, ExitError> {
        self.ring.log_of(transaction, index).await
    }

    /// The address of the ring.
    pub fn ring(&self) -> Address {
        self.ring.domain.ring
    }

    /// As [`Ring::log_node`].
    ///
    /// # Errors
    /// Status 1 when it is none, 5 when no member has it.
    pub async fn log_node(&self, ring: Address, node: &Cid) -> Result<LogNode, ExitError> {
        self.ring.log_node(ring, node).await
    }

    /// As [`Ring::ring_node`].
    ///
    /// # Errors
    /// Status 1 when it is none, 5 when no member has it.
    pub async fn ring_node(
        &self,
        ring: Address,
        digest: Digest,
    ) -> Result<Option<RingNode>, ExitError> {
        self.ring.ring_node(ring, digest).await
    }

    /// A document.
    ///
    /// # Errors
    /// As [`Ring::get`].
    pub async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ExitError> {
        self.ring.get(cid).await
    }

    /// What an execution gave, and by which request; nothing if two thirds have not agreed on an output.
    ///
    /// # Errors
    /// As [`Ring::get`].
    pub async fn found(&self, execution: &Cid) -> Result<Option<Found>, ExitError> {
        let Ok(digest) = digest_of(execution) else {
            return Ok(None);
        };
        let asked = self.asked.get_or_try_init(|| self.all_asked()).await?;
        for request in asked.get(&digest).into_iter().flatten() {
            let outcome = self.ring.outcome(*request).await?;
            if let Some(result) = outcome.and_then(|outcome| outcome.output(0)) {
                return Ok(Some(Found {
                    request: Some(*request),
                    gate: None,
                    said: None,
                    result: data_cid(result),
                }));
            }
        }
        if let Some(settled) = gate_records::settled(&self.ring, execution).await? {
            return Ok(Some(settled));
        }
        let waited = waited(&self.ring, execution).await?;
        let said = match waited {
            None => said(&self.ring, &self.spoken, execution).await?,
            waited => waited,
        };
        Ok(said.map(|(result, said)| Found {
            request: None,
            gate: None,
            said: Some(said),
            result,
        }))
    }

    /// The requests in the members' logs, by their first input.
    async fn all_asked(&self) -> Result<BTreeMap<Digest, Vec<Digest>>, ExitError> {
        let mut by_input: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for asked in asked(&self.ring, Depth::All).await? {
            if let Some(input) = first_input(&asked.request) {
                by_input.entry(input).or_default().push(asked.digest);
            }
        }
        Ok(by_input)
    }

    /// The execution that a request is.
    ///
    /// # Errors
    /// Status 2 when it is none, 5 when no member has it.
    pub async fn execution_of(&self, request: Digest) -> Result<Cid, ExitError> {
        let members = self.ring.place.members().await?;
        let asked = request_of(&members, request).await?;
        first_input(&asked).map(data_cid).ok_or_else(|| {
            ExitError::new(ExitStatus::Usage, format!("request {request} is no execution of a process; see `rings request show {request}`"))
        })
    }
}

/// What the ring decided that an external execution gave; nothing if it is none, or gave nothing.
///
/// # Errors
/// Status 1 when the decision rests on what a member has not said, 5 when no member answers.
pub async fn said(
    ring: &Ring,
    spoken: &OnceCell<Spoken>,
    id: &Cid,
) -> Result<Option<(Cid, Said)>, ExitError> {
    let Some(task) = external_task(ring, id).await? else {
        return Ok(None);
    };
    let Some((choice, ring_node)) = ring.decided(slot(id)).await? else {
        return Ok(None);
    };
    if ring.decided(missing::slot(slot(id))).await?.is_some() {
        return Ok(None);
    }
    let spoken = spoken.get_or_try_init(|| Spoken::of(ring)).await?;
    let verdict = spoken.verdict(&choice).ok_or_else(|| {
        ExitError::unavailable(format!(
            "no log has what ring node {ring_node} decided about execution {id}"
        ))
    })?;
    for (member, result) in verdict.by.iter().zip(&verdict.results) {
        if verdict.execution != *id || !spoken.is_said(member, id, result) {
            return Err(ExitError::internal(format!(
                    "ring node {ring_node} decided about execution {id} on the word of {member}, which has not said that"
                )));
        }
    }
    let result = match (task.runners(), verdict.results.as_slice()) {
        (_, []) => return Ok(None),
        (Runners::One, [only]) => *only,
        _ => of_all(ring, &task, verdict).await?,
    };
    let said = Said {
        by: verdict.by.clone(),
        ring_node,
    };
    Ok(Some((result, said)))
}

/// What the ring decided that an execution gets which waits for an event: that event, or that none came in time. Nothing if it does
/// not wait, or that is not decided.
///
/// # Errors
/// Status 5 when no member answers.
pub async fn waited(ring: &Ring, id: &Cid) -> Result<Option<(Cid, Said)>, ExitError> {
    let execution = Execution::from_bytes(&ring.get(id).await?);
    if !execution.is_ok_and(|execution| execution.awaits.is_some()) {
        return Ok(None);
    }
    let given_up = ring.decided(missing::slot(wait::slot(id))).await?;
    let given_up = given_up.map(|(_, ring_node)| (missing::given_up(), ring_node));
    let decided = match given_up {
        None => ring.decided(wait::slot(id)).await?,
        given_up => given_up,
    };
    Ok(decided.map(|(choice, ring_node)| {
        let by = Vec::new();
        (data_cid(choice), Said { by, ring_node })
    }))
}

async fn external_task(ring: &Ring, id: &Cid) -> Result<Option<Task>, ExitError> {
    let wrong = |what: &str| ExitError::new(ExitStatus::Usage, format!("{id} is {what}"));
    let execution = Execution::from_bytes(&ring.get(id).await?);
    let execution = execution.map_err(|error| wrong("no execution").because(error))?;
    let service = Service::from_bytes(&ring.get(&execution.service).await?);
    let service = service.map_err(|error| wrong("of no service").because(error))?;
    let task = service.tasks.get(&execution.task).cloned();
    Ok(task.filter(|task| task.external.is_some()))
}

/// What all that were heard have said, as one result.
async fn of_all(ring: &Ring, task: &Task, verdict: &Verdict) -> Result<Cid, ExitError> {
    let mut seen = BTreeMap::new();
    for (member, result) in verdict.by.iter().zip(&verdict.results) {
        let answer = Answer::from_bytes(&ring.get(result).await?);
        let answer = answer.map_err(|error| {
            ExitError::internal(format!("what {member} has said is no answer")).because(error)
        })?;
        seen.insert(*member, answer);
    }
    let all = together(task, &seen);
    let all =
        all.map_err(|error| ExitError::internal("the answers are too long").because(error))?;
    Ok(cid_of(&all))
}
