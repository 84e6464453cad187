//! From a computation that is wanted to a vote: its inputs are fetched and checked, then it runs, then the member
//! votes.
//!
//! The state machine asks for a computation ([`Core::compute`]), which goes to the desk (`desk.rs`). `work` begins as
//! many steps as there is room for: preparing (`execute::prepare`, no worker), then running (on a worker). Each step is
//! a task that reports to the inbox. A result goes to the state machine, which drafts a vote. Without a result the
//! member declines, for good and with a reason that is shown, or tries again after a pause.

use super::{
    input::{report, Input, NoResult},
    sample::Reason,
    Core, CoreError, REMEMBERED,
};
use crate::counters::GateOutcome;
use crate::execute::{prepare, Execution, Prepared, TaskContext};
use rings_api::with_causes;
use rings_protocol::{
    cids::data_cid, gate::Computation, journal::Draft, member::Computed, message::Outputs, Address,
    Digest,
};
use std::{future::Future, sync::Arc};

/// Of a hundred gates that got their result before this member computed them, it computes this many all the same. So
/// somebody notices when two thirds register a wrong result together.
const LOOKED_AT_AFTERWARDS: u8 = 5;

/// What is to be computed.
struct Wanted {
    /// How many outputs it has, if that is known before.
    outputs: Option<u128>,
    /// The data on its inputs, the operation first.
    data: Vec<Digest>,
}

impl Core {
    /// Puts a computation on the desk, in the queue of the account that asked for it.
    pub(super) fn compute(&mut self, computation: Computation) -> Result<(), CoreError> {
        let record = self.parts.state.gate(computation.gate)?;
        if let Some(requester) = record.and_then(|record| self.requester(&record)) {
            self.desk.want(requester, computation);
        }
        Ok(())
    }

    /// Begins as much work as there is room for.
    pub(super) fn work(&mut self) -> Result<(), CoreError> {
        for computation in self.desk.ready() {
            if !self.is_wanted(computation)? {
                self.desk.not_wanted(computation);
            }
        }
        while let Some((computation, prepared)) = self.desk.next_to_run() {
            self.begin_runs(computation, prepared);
        }
        while let Some(computation) = self.desk.next_to_prepare() {
            match self.is_wanted(computation)? {
                true => self.begin_preparing(computation)?,
                false => self.desk.not_prepared(computation),
            }
        }
        Ok(())
    }

    /// Whether a computation that has waited is still wanted. A gate that has its result is computed only if it is in
    /// the sample.
    fn is_wanted(&mut self, computation: Computation) -> Result<bool, CoreError> {
        if let Some(is_wanted) = self.is_request_wanted(computation) {
            return Ok(is_wanted);
        }
        let gate = computation.gate;
        if self.parts.member.computation(gate) == Some(computation) {
            return Ok(true);
        }
        let sampler = &self.sampler;
        let is_looked_at = sampler.takes(Reason::Afterwards, gate, LOOKED_AT_AFTERWARDS);
        let agreed = match is_looked_at {
            true => self.agreed(gate)?,
            false => None,
        };
        Ok(agreed.is_some_and(|(agreed, _)| agreed == computation))
    }

    /// Reads and checks operation, program and inputs in a task of its own, which may take as long as fetching takes. No
    /// worker is taken for it.
    fn begin_preparing(&mut self, computation: Computation) -> Result<(), CoreError> {
        let Some(wanted) = self.what_to_compute(computation)? else {
            self.desk.not_prepared(computation);
            return Ok(());
        };
        let context = self.context(computation, wanted.outputs);
        let data: Vec<_> = wanted.data.iter().map(|digest| data_cid(*digest)).collect();
        // The data of the first pin is the operation: it names the program and how to run it.
        let (pools, files) = (Arc::clone(&self.parts.pools), Arc::clone(&self.parts.files));
        let outbox = self.parts.outbox.clone();
        tokio::spawn(async move {
            let result = unbroken(async move {
                let (operation, inputs) = data
                    .split_first()
                    .ok_or_else(|| NoResult::Declined("the gate has no operation".into()))?;
                prepare(&pools, files, *operation, inputs, context)
                    .await
                    .map(Box::new)
                    .map_err(|error| NoResult::of(&error))
            });
            let result = result.await;
            report(
                &outbox,
                Input::Prepared {
                    computation,
                    result,
                },
            )
            .await;
        });
        Ok(())
    }

    /// What is to be computed; nothing where that is not wanted any more.
    fn what_to_compute(&self, computation: Computation) -> Result<Option<Wanted>, CoreError> {
        if let Some(job) = self.ring.jobs.get(computation) {
            return Ok(Some(Wanted {
                outputs: None,
                data: job.data.clone(),
            }));
        }
        let record = self.parts.state.gate(computation.gate)?;
        let resolved = self.parts.state.resolve(computation.gate)?;
        let resolved = resolved.filter(|(now, _)| *now == computation);
        Ok(record.zip(resolved).map(|(record, (_, inputs))| Wanted {
            outputs: Some(record.spec.outputs),
            data: inputs.data,
        }))
    }

    fn context(&self, computation: Computation, outputs: Option<u128>) -> TaskContext {
        let bounds = self.parts.bounds;
        TaskContext {
            computation,
            outputs,
            is_sampled: self.sampler.takes(
                Reason::SecondOpinion,
                computation.gate,
                bounds.second_opinion,
            ),
            bounds,
        }
    }

    /// Operation, program and inputs were read and checked, or could not be. The worker's profile must be the one that
    /// the operation names.
    pub(super) fn on_prepared(
        &mut self,
        computation: Computation,
        result: Result<Box<Prepared>, NoResult>,
    ) {
        let result = result.and_then(|prepared| {
            match self.wrong_profile(computation, prepared.operation_profile()) {
                Some(wrong) => Err(wrong),
                None => Ok(prepared),
            }
        });
        match result {
            Ok(prepared) => self.desk.prepared(computation, prepared),
            Err(none) => {
                self.desk.not_prepared(computation);
                self.without_result(computation, none);
            }
        }
    }

    /// Runs a program in a task of its own, and after it what is ready then. Whatever happens in the task, the core hears of
    /// each run exactly once.
    fn begin_runs(&self, computation: Computation, prepared: Box<Prepared>) {
        let store = Arc::clone(&self.parts.store);
        let outbox = self.parts.outbox.clone();
        let line = self.desk.line();
        tokio::spawn(async move {
            let mut next = Some((computation, prepared));
            while let Some((computation, prepared)) = next {
                // The outputs are named by nothing until the vote is on disk. The lease, which goes to the core with the
                // result, keeps a collection from removing them until then.
                let (outputs, store) = (store.lease(), Arc::clone(&store));
                let run = prepared.run(Some(store));
                let result =
                    unbroken(async move { run.await.map_err(|error| NoResult::of(&error)) });
                let ended = Input::Computed {
                    computation,
                    result: result.await,
                    outputs,
                };
                report(&outbox, ended).await;
                next = line.go_on();
            }
        });
    }

    /// A run has ended. Here gates and requests part: a gate's result goes to the state machine, a request's among the votes
    /// to be written.
    pub(super) fn on_computed(
        &mut self,
        computation: Computation,
        result: Result<Execution, NoResult>,
    ) {
        self.desk.ran(computation);
        if self.ring.jobs.get(computation).is_some() {
            return match result {
                Ok(execution) => self.on_request_computed(computation, execution),
                Err(none) => self.request_without_result(computation, none),
            };
        }
        match result.and_then(|execution| self.computed(computation, execution)) {
            Ok(computed) => {
                let now = self.now();
                let fuel = computed.fuel;
                let effects = self.parts.member.computed(computation, computed, now);
                self.effects.extend(effects);
                let milliseconds = self.since_ready(computation.gate, now);
                tracing::info!(gate = %computation.gate, milliseconds, fuel, "computed");
            }
            Err(none) => self.without_result(computation, none),
        }
    }

    /// Milliseconds since the gate was ready, while this member works on it.
    pub(super) fn since_ready(&self, gate: Address, now: u64) -> Option<u64> {
        let (_, timings) = self.parts.member.phase(gate)?;
        Some(now.saturating_sub(timings.ready?))
    }

    /// What a run gave, as a result to vote for.
    fn computed(
        &mut self,
        computation: Computation,
        execution: Execution,
    ) -> Result<Computed, NoResult> {
        for note in &execution.notes {
            tracing::info!(gate = %computation.gate, note, "a note about the program");
        }
        self.parts.shared.counters.asked(execution.opinions);
        self.remember_notes(computation.gate, execution.notes);
        let outputs = self.parts.faults.distort(execution.outputs);
        let outputs =
            Outputs::new(outputs).map_err(|error| NoResult::Fault(with_causes(&error)))?;
        Ok(Computed {
            outputs,
            fuel: execution.fuel,
            profile: execution.profile,
        })
    }

    /// Keeps the notes of the newest run for a gate; most runs have none.
    fn remember_notes(&mut self, gate: Address, notes: Vec<String>) {
        self.notes.retain(|(noted, _)| *noted != gate);
        if !notes.is_empty() {
            self.notes.push_back((gate, notes));
            self.notes
                .drain(..self.notes.len().saturating_sub(REMEMBERED));
        }
    }

    /// A vote that waits for the disk, or is on it, is not written a second time: while the store was away, the gate may
    /// have been opened and computed again.
    pub(super) fn draft_vote(&mut self, draft: Draft) -> Result<(), CoreError> {
        let same = |vote: &Draft| {
            vote.computation == draft.computation
                && vote.epoch == draft.epoch
                && vote.outputs == draft.outputs
        };
        let votes = self.parts.state.votes_for(draft.computation)?;
        let is_written = votes.iter().any(|(member, vote)| {
            *member == self.me && vote.epoch == draft.epoch && vote.outputs == draft.outputs
        });
        if !is_written && !self.ring.waiting.votes.iter().any(same) {
            self.ring.waiting.votes.push_back(draft);
        }
        Ok(())
    }

    /// There is no result here. What cannot change is declined for good; a fault of this machine is tried again after a
    /// pause.
    fn without_result(&mut self, computation: Computation, none: NoResult) {
        if self.ring.jobs.get(computation).is_some() {
            return self.request_without_result(computation, none);
        }
        let gate = computation.gate;
        let counters = &self.parts.shared.counters;
        match none {
            NoResult::Declined(reason) => {
                counters.gate(GateOutcome::Declined);
                tracing::warn!(%gate, reason, "declined: this member does not vote");
                self.parts.member.declined(computation, reason);
            }
            NoResult::Fault(reason) => {
                counters.gate(GateOutcome::Fault);
                tracing::warn!(%gate, reason, "this machine could not compute the gate; it is tried again");
                let now = self.now();
                self.parts.member.abstained(computation, reason, now);
            }
        }
    }
}

/// The outcome of some work. A panic in it becomes an error, so that its place becomes free again.
async fn unbroken<T: Send + 'static>(
    work: impl Future<Output = Result<T, NoResult>> + Send + 'static,
) -> Result<T, NoResult> {
    let broken = |error| NoResult::Fault(format!("the work ended early: {error}"));
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(broken(error)))
}
