//! One execution that is under way: looking what the ring agreed on, and asking it when it is this member's turn. Those of
//! external tasks are looked at in `errand.rs`.
//!
//! A look is a task of its own, so that one that waits for blocks of others delays none. It looks at the results on disk, then
//! at all requests that are known for the execution, and asks at last, if it may. Before the request the own log says that the
//! execution has started, with the request's digest: a member that comes later finds the result by it.

use super::{
    error::ProcessError,
    keeper::{Answer, Processes},
    look::{Duty, Look, Seen},
};
use crate::state::{Ended, RunKey};
use bytes::Bytes;
use cid::Cid;
use rings_api::with_causes;
use rings_process::{
    words::{Progress, Stage, Word, VERSION},
    work::Work,
};
use rings_protocol::{cids::data_cid, Digest};
use std::sync::Arc;

impl Processes {
    /// Looks, and asks if it may.
    ///
    /// # Errors
    /// [`ProcessError`]: it is looked again later.
    pub(super) async fn look(self: &Arc<Self>, look: &Look) -> Result<Seen, ProcessError> {
        if let Some(ended) = self.state.ended(&look.execution)? {
            return self.kept(ended).await;
        }
        let work = match &*look.duty {
            Duty::Ask(work) => work,
            Duty::Connect(errand) => return self.look_external(look, errand).await,
            Duty::Wait(wait) => return self.look_wait(look, wait).await,
            Duty::Settle(settling) => return self.look_gate(look, settling).await,
        };
        let mut requests = look.requests.clone();
        requests.extend(self.state.requests(&look.execution)?);
        for request in requests {
            let Some(outcome) = self.outcome(request).await? else {
                continue;
            };
            let (answer, result) = self.answer(&outcome).await?;
            return Ok(Seen::Ended {
                request: Some(request),
                answer,
                result,
                by: Vec::new(),
                is_kept: false,
            });
        }
        match look.may_ask {
            // What is asked does not wait for the disk.
            true => tokio::join!(self.ask_job(look, work), self.hold_first(look, work)).0,
            false => {
                self.hold_first(look, work).await;
                Ok(Seen::Open { asked: None })
            }
        }
    }

    /// All members compute it, from the same documents: each makes them itself, and fetches none.
    async fn hold_first(&self, look: &Look, work: &Work) {
        if !look.is_first {
            return;
        }
        if let Err(error) = self.hold(&work.documents).await {
            let cause = with_causes(&error);
            tracing::debug!(execution = %look.execution, cause, "the documents of an execution cannot be kept now");
        }
    }

    /// What is on disk of an execution that has ended.
    pub(super) async fn kept(&self, ended: Ended) -> Result<Seen, ProcessError> {
        let answer = match ended.result {
            Some(result) => Answer::Output(self.file(&result).await?),
            None => Answer::Failed(ended.reason.unwrap_or_default()),
        };
        Ok(Seen::Ended {
            request: ended.request,
            answer,
            result: ended.result,
            by: ended.by,
            is_kept: true,
        })
    }

    async fn ask_job(&self, look: &Look, work: &Work) -> Result<Seen, ProcessError> {
        let next = self.parts.logs.ring_node_count()?;
        let request = work.request(&self.parts.domain, next);
        // An input that names no file is found when the job is made.
        let request = request.map_err(ProcessError::Node)?;
        let digest = request
            .digest()
            .map_err(|error| ProcessError::Node(error.to_string()))?;
        let is_new = !look.has_asked && self.parts.logs.asked(digest)?.is_none();
        let started = is_new
            .then(|| Word::Progress(progress(look.execution, look.run, digest, Stage::Started)));
        // The request goes to the log behind it.
        match self.ask(request, started).await? {
            None => Ok(Seen::Open {
                asked: Some(digest),
            }),
            Some(reason) => {
                tracing::warn!(execution = %look.execution, reason, "an execution cannot be asked now; trying again");
                Ok(Seen::Open { asked: None })
            }
        }
    }
}

/// The word about an execution.
pub(super) fn progress(
    execution: Cid,
    (installation, event): RunKey,
    request: Digest,
    state: Stage,
) -> Progress {
    Progress {
        event: data_cid(event),
        execution,
        installation,
        request,
        state,
        version: VERSION,
    }
}

/// The bytes of an answer, if it is an output.
pub(super) fn output(answer: &Answer) -> Result<&Bytes, &str> {
    match answer {
        Answer::Output(bytes) => Ok(bytes),
        Answer::Failed(reason) => Err(reason),
    }
}
