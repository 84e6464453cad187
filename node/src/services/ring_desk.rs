//! Executions on a ring: each is a request, brought to one member, on which two thirds agree.

use super::{
    local::{why, Came},
    operation::{file_of, head, operation},
    ring::Ring,
};
use crate::{exit::ExitError, out::Out, process::Pauses, run::content::Content};
use cid::Cid;
use rings_api::{
    views::{RequestInputView, RequestState},
    Client, RequestParams,
};
use rings_process::{execution::Execution, service::Task};
use rings_protocol::{cids::data_cid, operation::FailureRecord, ringlog::Outcome, Digest};
use std::time::{Duration, Instant};

/// Longest pause between two looks at a request.
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// Time for a member to answer.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Brings executions to a ring, and waits for what it agrees on.
pub struct RingDesk<'r> {
    ring: &'r Ring,
    member: &'r Client,
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
    /// A desk that asks the first member that answers, in the order of the ring's file, so that the same execution is the same
    /// request.
    ///
    /// # Errors
    /// Status 5 when none answers.
    pub async fn new(ring: &'r Ring, deadline: Instant, out: Out) -> Result<Self, ExitError> {
        for member in &ring.place.clients {
            if matches!(
                tokio::time::timeout(ASK_LIMIT, member.status()).await,
                Ok(Ok(_))
            ) {
                return Ok(Self {
                    ring,
                    member,
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

    /// Puts a file into the member's store, for good.
    ///
    /// # Errors
    /// When the member does not take it.
    pub async fn keep(&self, content: &Content) -> Result<(), ExitError> {
        content.add_to(self.member, None, self.out).await
    }

    /// Has the ring run an execution.
    ///
    /// # Errors
    /// [`NoResult`].
    pub async fn run(&self, task: &Task, execution: &Execution) -> Result<Came, NoResult> {
        let Some(operation) = operation(task) else {
            let connector = task.external.as_deref().unwrap_or_default();
            return Ok(Err(format!(
                "its task is external (connector {connector}), which is not built yet"
            )));
        };
        let file = match file_of(task, execution) {
            Ok(file) => file,
            Err(what) => return Ok(Err(what)),
        };
        let bytes = operation
            .to_dag_json()
            .map_err(|error| ExitError::usage(error.to_string()))?;
        let operation = Content::memory("the operation", bytes).await?;
        self.keep(&operation).await?;
        let mut inputs = Vec::new();
        for content in head(execution).await? {
            self.keep(&content).await?;
            inputs.push(content.cid());
        }
        inputs.extend(file);
        let request = self.ask(operation.cid(), &inputs).await?;
        self.wait(request).await
    }

    async fn ask(&self, operation: Cid, inputs: &[Cid]) -> Result<Digest, ExitError> {
        let inputs = inputs
            .iter()
            .map(|cid| RequestInputView::Data { cid: *cid });
        let params = RequestParams {
            ring: self.ring.place.file.ring,
            operation,
            inputs: inputs.collect(),
            nonce: 0,
            until: None,
        };
        Ok(self.member.request(&params).await?.request)
    }

    /// Waits until two thirds have voted alike, by their signed logs. What the member says only tells when to look.
    async fn wait(&self, request: Digest) -> Result<Came, NoResult> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        loop {
            let view = self
                .member
                .get_request(request)
                .await
                .map_err(ExitError::from)?;
            if matches!(view.state, RequestState::Agreed | RequestState::Listed) {
                if let Some(outcome) = self.ring.outcome(request).await? {
                    return Ok(self.came(outcome).await?);
                }
            }
            if Instant::now() >= self.deadline {
                return Err(NoResult::TooLate {
                    request: Some(request),
                });
            }
            pauses.next().await;
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
                Ok(Err(why(
                    record.reason,
                    record.code,
                    record.trap,
                    &record.stderr,
                )))
            }
        }
    }
}
