//! Executions whose tasks a gate settles: beginning to wait for the gate, and what its result gives.
//!
//! Which gate it is follows from the execution (`rings_process::settle`), so all members look at the same one, and its result is a
//! fact of the chain. `gates.rs` opens it, and finds the result. Where the execution may expire, the ring decides between
//! the result and the deadline, as for one that waits for an event (`waits.rs`).

use super::{
    error::ProcessError,
    keeper::{Answer, Processes},
    look::{Look, Seen, Settling},
};
use crate::state::{Begun, Waiting, NEVER};
use cid::Cid;
use rings_process::{
    document::cid_of, execution::Execution, plan::StepKind, run::answer, settle, wait::expired,
    words::Stage,
};
use rings_protocol::{
    cids::{data_cid, digest_of},
    gate::GateSpec,
    ringlog::Outcome,
    Address, Digest,
};
impl Processes {
    /// Begins to wait for a gate.
    ///
    /// # Errors
    /// [`ProcessError`]: it is looked again later.
    pub(super) async fn look_gate(
        &self,
        look: &Look,
        settling: &Settling,
    ) -> Result<Seen, ProcessError> {
        let spec = self.gate_of(settling).await?;
        let gate = self.parts.chain.gate_of(self.parts.engine, &spec).await?;
        let until = match settling.within {
            None => NEVER,
            Some(within) => {
                let head = self.parts.chain.block(self.parts.ring.head()).await?;
                head.timestamp.saturating_add(within)
            }
        };
        let waiting = Waiting {
            installation: look.run.0,
            event: look.run.1,
            execution: settling.execution.clone(),
            source: Digest::ZERO,
            gate: Some(gate),
            until,
            behind: None,
            since: crate::clock::milliseconds(),
        };
        // Whoever computes it fetches them from any member, also when who opened the gate is gone.
        self.keep(&settling.work.documents).await?;
        let begin = || self.state.begin_wait(&look.execution, &waiting);
        match tokio::task::block_in_place(begin)? {
            Begun::Ended => match self.state.ended(&look.execution)? {
                Some(ended) => self.kept(ended).await,
                None => Ok(Seen::Open { asked: None }),
            },
            Begun::Full => {
                tracing::warn!(execution = %look.execution, "too many executions wait; this one is tried again");
                Ok(Seen::Open { asked: None })
            }
            Begun::Waits(_) => {
                self.gates.notify_one();
                Ok(Seen::Waits)
            }
        }
    }

    /// The gate of an execution.
    async fn gate_of(&self, settling: &Settling) -> Result<GateSpec, ProcessError> {
        let scope = self.scope().await?;
        let ring = settling.ring.unwrap_or(self.parts.domain.ring);
        // What has no gate was found when the job was made.
        settle::gate(&settling.work, scope, ring).map_err(ProcessError::Node)
    }

    /// The scope of the gates of executions: the first one of the engine, so that all members mean the same gates.
    pub(super) async fn scope(&self) -> Result<Address, ProcessError> {
        let (engine, ring) = (self.parts.engine, self.parts.domain.ring);
        let read = || async {
            let (_, scope) = self.parts.chain.ring_origin(engine, ring).await?;
            scope.ok_or_else(|| {
                ProcessError::Node(format!("engine {engine} has made no scope that the chain tells of, and a gate needs one; use an endpoint that keeps old events"))
            })
        };
        self.first_scope.get_or_try_init(read).await.copied()
    }

    /// Reads what a gate has given.
    ///
    /// # Errors
    /// [`ProcessError::Store`] when its blocks cannot be had now.
    pub(super) async fn given(
        &self,
        token: Digest,
        has_failed: bool,
    ) -> Result<Answer, ProcessError> {
        let outcome = match has_failed {
            true => Outcome::Failure(token),
            false => Outcome::Outputs(vec![token]),
        };
        let (answer, _) = self.answer(&outcome).await?;
        // Whoever traces a result finds it with any member.
        self.pin(&[data_cid(token)]).await?;
        Ok(answer)
    }

    /// Whether what a program has written is one of the statuses of the task.
    pub(super) async fn stage_of(
        &self,
        execution: &Execution,
        bytes: &[u8],
    ) -> Result<Stage, ProcessError> {
        let plan = self.plan(execution.process).await?;
        let is_answer = match plan.step(&execution.node).map(|step| &step.kind) {
            Some(StepKind::Task(task)) => answer(task, bytes).is_ok(),
            _ => false,
        };
        Ok(match is_answer {
            true => Stage::Succeeded,
            false => Stage::Failed,
        })
    }

    /// What the gate of an execution gives, if this is what counts; nothing as long as it is not known here.
    pub(super) fn of_gate(&self, id: &Cid, choice: Digest) -> Option<(Stage, Answer)> {
        let name = digest_of(id).unwrap_or_default();
        if data_cid(choice) == cid_of(&expired()) {
            return Some((Stage::Expired, Answer::Output(expired().into())));
        }
        let (token, answer) = self.settled().result(&name)?;
        Some(match (token == choice, answer) {
            (true, answer @ Answer::Output(_)) => (Stage::Succeeded, answer),
            (true, answer @ Answer::Failed(_)) => (Stage::Failed, answer),
            (false, _) => {
                let reason = "the ring decided for something else than its gate has given";
                (Stage::Failed, Answer::Failed(reason.into()))
            }
        })
    }
}
