//! The members of a ring that run its processes: told of events, and asked what became of executions.
//!
//! What a member says of an execution only tells where to look: what it gave is read out of the members' signed votes, or out
//! of a ring node that the chain confirms.

use super::{
    gate_records,
    local::Came,
    ring::Ring,
    ring_records::{said, waited},
};
use crate::{exit::ExitError, out::Out, process::Pauses, run::content::Content};
use cid::Cid;
use rings_api::{
    processes::{ExecutionState, ExecutionView},
    Client,
};
use rings_process::work::why;
use rings_protocol::{cids::data_cid, operation::FailureRecord, ringlog::Outcome, Digest};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Longest pause between two looks at an execution.
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// Time for a member to answer.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Tells a ring of events, and waits for what it agrees on.
pub struct RingDesk<'r> {
    ring: &'r Ring,
    /// The member that is asked now, in the order of the ring's file.
    current: AtomicUsize,
    deadline: Instant,
    out: Out,
}

/// Why an execution has no result.
pub enum NoResult {
    /// The time is over, and two thirds have not agreed.
    TooLate {
        /// The request, if it was asked.
        request: Option<Digest>,
    },
    /// Something of this machine, or the ring refuses.
    Failed(ExitError),
}

impl From<ExitError> for NoResult {
    fn from(error: ExitError) -> Self {
        Self::Failed(error)
    }
}

impl<'r> RingDesk<'r> {
    /// A desk that asks the first member that answers, in the order of the ring's file.
    ///
    /// # Errors
    /// Status 5 when none answers.
    pub async fn new(ring: &'r Ring, deadline: Instant, out: Out) -> Result<Self, ExitError> {
        for (index, member) in ring.place.clients.iter().enumerate() {
            let status = tokio::time::timeout(ASK_LIMIT, member.status()).await;
            if matches!(status, Ok(Ok(_))) {
                return Ok(Self {
                    ring,
                    current: AtomicUsize::new(index),
                    deadline,
                    out,
                });
            }
        }
        // It says in words what is missing.
        ring.place.members().await?;
        Err(ExitError::unavailable(
            "no member answers; see `rings status`",
        ))
    }

    /// The member that is asked now.
    ///
    /// # Errors
    /// When the ring's file names none.
    pub fn member(&self) -> Result<&'r Client, ExitError> {
        let current = self.current.load(Ordering::Relaxed);
        let members = &self.ring.place.clients;
        let member = members.get(current % members.len().max(1));
        member.ok_or_else(|| ExitError::usage("the ring's directory names no member"))
    }

    /// Puts a file into the member's store, for good.
    ///
    /// # Errors
    /// When the member does not take it.
    pub async fn keep(&self, content: &Content) -> Result<(), ExitError> {
        content.add_to(self.member()?, None, self.out).await
    }

    /// Waits until an execution has ended. A member that does not answer any more is left for the next one.
    ///
    /// # Errors
    /// [`NoResult`].
    pub async fn wait(&self, execution: Cid) -> Result<Came, NoResult> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        let mut request = None;
        loop {
            match self.member()?.get_execution(execution).await {
                Ok(Some(view)) => {
                    request = view.request.or(request);
                    if let Some(came) = self.ended(&view).await? {
                        return Ok(came);
                    }
                }
                Ok(None) => {}
                Err(_) => drop(self.current.fetch_add(1, Ordering::Relaxed)),
            }
            if Instant::now() >= self.deadline {
                return Err(NoResult::TooLate { request });
            }
            pauses.next().await;
        }
    }

    /// What an execution gave, if it has ended by now.
    ///
    /// # Errors
    /// [`NoResult`].
    pub async fn now(&self, execution: Cid) -> Result<Option<Came>, NoResult> {
        match self.member()?.get_execution(execution).await {
            Ok(Some(view)) => self.ended(&view).await,
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// What an execution gave, once it has ended.
    async fn ended(&self, view: &ExecutionView) -> Result<Option<Came>, NoResult> {
        let has_ended = matches!(
            view.state,
            ExecutionState::Succeeded | ExecutionState::Failed | ExecutionState::Expired
        );
        if view.awaits.is_some() && has_ended && view.reason.is_none() {
            let waited = waited(self.ring, &view.execution).await?;
            return match waited {
                Some((result, _)) => Ok(Some(Ok(self.ring.get(&result).await?))),
                None => Ok(None),
            };
        }
        if view.gate.is_some() && has_ended && view.reason.is_none() {
            let settled = gate_records::settled(self.ring, &view.execution).await?;
            return match settled {
                Some(found) => Ok(Some(Ok(self.ring.get(&found.result).await?))),
                None => Ok(None),
            };
        }
        let Some(request) = view.request.filter(|_| has_ended) else {
            if view.state == ExecutionState::Succeeded {
                // Its task is external.
                let said = said(self.ring, &OnceCell::new(), &view.execution).await?;
                return match said {
                    Some((result, _)) => Ok(Some(Ok(self.ring.get(&result).await?))),
                    None => Ok(None),
                };
            }
            // It failed before it could be asked, or the ring decided so of an external task.
            let reason = view.reason.clone().filter(|_| has_ended);
            return Ok(reason.map(Err));
        };
        match self.ring.outcome(request).await? {
            Some(outcome) => Ok(Some(self.came(outcome).await?)),
            None => Ok(None),
        }
    }

    async fn came(&self, outcome: Outcome) -> Result<Came, ExitError> {
        match outcome {
            Outcome::Outputs(outputs) => match outputs.first() {
                Some(output) => Ok(Ok(self.ring.get(&data_cid(*output)).await?)),
                None => Ok(Err("the ring agreed on no output".into())),
            },
            Outcome::Failure(record) => {
                let bytes = self.ring.get(&data_cid(record)).await?;
                let record = FailureRecord::from_dag_json(&bytes);
                let record = record.map_err(|error| {
                    ExitError::unavailable("the failure record cannot be read").because(error)
                })?;
                Ok(Err(why(&record)))
            }
        }
    }
}
