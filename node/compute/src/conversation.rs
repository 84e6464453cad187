//! One run on one worker: the parent's side of the conversation.
//!
//! [`Conversation::drive`] sends the task and answers the worker's questions for module, input and state until it
//! reports the end. Two budgets of time run: what the worker takes, and what it waits for this process, so that a slow
//! reader of the output does not count as a slow program. If a stream of the caller fails, the run is abandoned and the
//! worker stays usable; if the worker breaks the protocol, it is not.

use crate::{
    error::ComputeError,
    frame::{decode, encode, ReportedFault, RunReport, Tag},
    module_source::{load, ModuleSource},
    outcome::Outcome,
    streams::Streams,
    task::Task,
    worker_handle::{Broken, Budget, Worker},
};
use std::io;

/// How a run ended after which the worker can be used again: with an outcome, or with an error of the caller.
pub(crate) type Ended = Result<Outcome, ComputeError>;

/// One run on one worker.
pub(crate) struct Conversation<'a, 's> {
    /// The question: [`Tag::Run`] or [`Tag::Second`].
    pub tag: Tag,
    /// Who runs it.
    pub worker: &'a mut Worker,
    /// The time that the worker may still take.
    pub budget: Budget,
    /// The time that the worker may still spend waiting for this process.
    pub waiting: Budget,
    /// What is run.
    pub task: &'a Task,
    /// What it reads and writes.
    pub streams: Streams<'s>,
}

impl Conversation<'_, '_> {
    /// Answers the worker until the run has ended. `missed` is called when the worker has not found the module in the
    /// cache.
    pub(crate) async fn drive(
        &mut self,
        module: &impl ModuleSource,
        missed: impl Fn(),
    ) -> Result<Ended, Broken> {
        // The worker asks and this side answers, one question at a time. So neither side ever waits for the other to
        // read.
        let task = encode(self.task)?;
        self.send(self.tag, &task).await?;
        loop {
            let (tag, payload) = self.worker.receive(&mut self.budget).await?;
            match tag {
                Tag::NeedModule => {
                    missed();
                    match self.waiting.within(load(module)).await {
                        Some(Ok(bytes)) => {
                            // The worker compares the hash.
                            let (budget, waiting) = (&mut self.budget, &mut self.waiting);
                            let sent = self.worker.send_module(budget, waiting, Tag::Module, bytes);
                            sent.await?;
                        }
                        Some(Err(error)) => return self.abandon(error).await,
                        None => return self.abandon(self.late()).await,
                    }
                }
                Tag::NeedInput | Tag::NeedState => {
                    match self.waiting.within(self.streams.read(tag)).await {
                        Some(Ok(Some(bytes))) => self.send(Tag::Input, &bytes).await?,
                        Some(Ok(None)) => self.send(Tag::End, &[]).await?,
                        Some(Err(error)) => {
                            return self.abandon(ComputeError::Input(error)).await;
                        }
                        None => return self.abandon(self.late()).await,
                    }
                }
                Tag::Output | Tag::NextState => {
                    let write = self.streams.write(tag, payload);
                    let written = self.waiting.within(write).await;
                    // The worker is in the middle of a write and cannot be told to stop, so it is given up.
                    written.ok_or_else(|| Broken::Output(io::ErrorKind::TimedOut.into()))??;
                }
                Tag::Done => {
                    let report: RunReport = decode(&payload)?;
                    // A worker that has taken much memory says that it should not be used again.
                    self.worker.retires = report.retire;
                    return Outcome::try_from(report).map(Ok).map_err(Broken::Protocol);
                }
                Tag::Fault => return Ok(Err(self.fault(&payload)?)),
                tag => return Err(Broken::Protocol(format!("{tag:?} during a run"))),
            }
        }
    }

    fn late(&self) -> ComputeError {
        ComputeError::InputTimeout {
            limit: self.waiting.limit(),
        }
    }

    async fn send(&mut self, tag: Tag, payload: &[u8]) -> Result<(), Broken> {
        self.worker.send(&mut self.budget, tag, payload).await
    }

    /// Tells the worker that its question has no answer, so that it is ready for the next run.
    async fn abandon(&mut self, error: ComputeError) -> Result<Ended, Broken> {
        self.send(Tag::Abandon, &[]).await?;
        loop {
            match self.worker.receive(&mut self.budget).await? {
                (Tag::Output | Tag::NextState, _) => {}
                (Tag::Fault, _) => return Ok(Err(error)),
                (tag, _) => return Err(Broken::Protocol(format!("{tag:?} after the end"))),
            }
        }
    }

    /// What a worker reports of its machine, as an error of the run.
    fn fault(&self, payload: &[u8]) -> Result<ComputeError, Broken> {
        Ok(match decode(payload)? {
            ReportedFault::Memory(what) => ComputeError::Memory { what },
            ReportedFault::Compile(what) => ComputeError::Compile { what },
            ReportedFault::ModuleHash => ComputeError::ModuleHash {
                expected: self.task.module,
            },
            ReportedFault::Abandoned => {
                return Err(Broken::Protocol(
                    "it gave the run up without being asked to".into(),
                ));
            }
            ReportedFault::Internal(what) => ComputeError::Protocol { what },
        })
    }
}
