//! Work on gates: taking it up, computing, submitting, and what the result says of each vote.

use super::{logs::report, tokens::Tokens, Core, CoreError, Input, REMEMBERED};
use crate::{
    execute::{execute, Bounds, ExecuteError, Execution, TaskContext},
    node::state::State,
};
use cid::Cid;
use rings_chain::{calls, Chain, Submitted};
use rings_protocol::{
    cids::{data_cid, keccak256},
    circuit::GateRecord,
    gate::GateInput,
    member::{Computed, Registration},
    message::Outputs,
    Address, Digest,
};
use std::{error::Error, sync::Arc};

impl Core {
    /// Takes up what was open when this member stopped.
    pub(super) fn resume(&mut self) -> Result<(), CoreError> {
        for gate in self.parts.state.open_gates()? {
            self.open_gate(gate)?;
        }
        Ok(())
    }

    /// Takes up a gate that is ready, if it is this ring's and somebody asked for it whose work is accepted.
    pub(super) fn open_gate(&mut self, gate: Address) -> Result<(), CoreError> {
        let Some(record) = self.parts.state.gate(gate)?.filter(GateRecord::is_open) else {
            return Ok(());
        };
        if record.spec.rings.first() != Some(&self.parts.domain.ring) {
            return Ok(());
        }
        if !record
            .requesters
            .keys()
            .any(|requester| self.accepts(*requester))
        {
            tracing::info!(%gate, "declined: nobody asked for it whose work this member accepts");
            return Ok(());
        }
        let votes = self.parts.state.votes(gate)?;
        let own = votes
            .iter()
            .find(|(member, _)| *member == self.me)
            .map(|(_, vote)| vote.clone());
        let now = self.now();
        let effects = match own {
            Some(vote) => {
                let computed = Computed {
                    outputs: vote.outputs,
                    fuel: vote.fuel,
                    engine: vote.engine,
                };
                self.parts.member.restore(gate, computed, vote.epoch, now)
            }
            None => self.parts.member.ready(gate, now),
        };
        self.effects.extend(effects);
        for (member, vote) in votes {
            let effects = self.parts.member.vote(member, vote, now);
            self.effects.extend(effects);
        }
        Ok(())
    }

    /// Whether this member computes what an account asks for.
    pub(super) fn accepts(&self, requester: Address) -> bool {
        self.parts.member.is_member(requester) || self.parts.requesters.contains(&requester)
    }

    /// The chain holds a result: votes are compared with it.
    pub(super) fn close_gate(&mut self, gate: Address) -> Result<(), CoreError> {
        self.attempts.remove(&gate);
        if let Some((_, mut timings)) = self.parts.member.phase(gate) {
            timings.resolved = Some(self.now());
            self.finished.push_back((gate, timings));
            self.finished
                .drain(..self.finished.len().saturating_sub(REMEMBERED));
        }
        match self
            .parts
            .state
            .registered(gate)?
            .and_then(|registered| registered.outputs())
        {
            Some(outputs) => {
                self.parts.shared.resolved();
                let effects = self.parts.member.resolved(gate, &outputs);
                self.effects.extend(effects);
            }
            None => self.parts.member.forget(gate),
        }
        Ok(())
    }

    pub(super) fn compute(&mut self, gate: Address) {
        let job = Job {
            gate,
            ring: self.parts.domain.ring,
            member: self.me,
            chain: self.parts.chain.clone(),
            state: Arc::clone(&self.parts.state),
            tokens: self.tokens.clone(),
        };
        let (workers, pool) = (Arc::clone(&self.workers), Arc::clone(&self.parts.pool));
        let (blocks, store) = (
            Arc::clone(&self.parts.blocks),
            Arc::clone(&self.parts.store),
        );
        let (outbox, bounds) = (self.parts.outbox.clone(), self.parts.bounds);
        tokio::spawn(async move {
            let result = async {
                let _permit = workers
                    .acquire()
                    .await
                    .map_err(|_| NoResult::Fault("the member is stopping".into()))?;
                let resolved = job.resolve(bounds).await;
                let (context, operation, inputs) = resolved.map_err(NoResult::Fault)?;
                execute(&pool, blocks, Some(store), operation, &inputs, context)
                    .await
                    .map_err(|error| NoResult::of(&error))
            };
            let result = result.await;
            report(&outbox, Input::Computed { gate, result }).await;
        });
    }

    pub(super) fn on_computed(&mut self, gate: Address, result: Result<Execution, NoResult>) {
        let now = self.now();
        let outputs = result.and_then(|execution| {
            let outputs = self.parts.faults.distort(execution.outputs);
            let outputs =
                Outputs::new(outputs).map_err(|error| NoResult::Fault(chain_of(&error)))?;
            Ok(Computed {
                outputs,
                fuel: execution.fuel,
                engine: rings_compute::engine_id(),
            })
        });
        match outputs {
            Ok(computed) => {
                let effects = self.parts.member.computed(gate, computed, now);
                self.effects.extend(effects);
            }
            Err(NoResult::Declined(reason)) => {
                tracing::warn!(%gate, reason, "declined: this member gives no vote");
                self.parts.member.declined(gate, reason);
            }
            Err(NoResult::Fault(reason)) => {
                tracing::warn!(%gate, reason, "this machine could not compute the gate; it is tried again");
                self.parts.member.abstained(gate, reason, now);
            }
        }
    }

    pub(super) fn submit(&mut self, registration: Registration) {
        let gate = registration.gate;
        let attempt = self.attempts.entry(gate).or_default();
        *attempt += 1;
        let purpose = purpose(gate, registration.epoch, *attempt, &registration.outputs);
        let signatures: Vec<_> = registration
            .votes
            .iter()
            .map(|(_, vote)| vote.signature)
            .collect();
        let (pins, cids) = (registration.outputs.pins(), registration.outputs.cids());
        let call = calls::register_outputs(self.parts.domain.ring, gate, &pins, &cids, &signatures);
        let (submitter, chain, outbox) = (
            Arc::clone(&self.parts.submitter),
            self.parts.chain.clone(),
            self.parts.outbox.clone(),
        );
        tokio::spawn(async move {
            let mut submitted = submitter.submit(purpose, call.clone()).await;
            if let Ok(Submitted::Reverted { .. }) = submitted {
                // Somebody else was faster: that is success.
                let resolved = chain
                    .gate_state(gate)
                    .await
                    .is_ok_and(|state| state.resolved);
                match resolved {
                    true => {
                        return report(
                            &outbox,
                            Input::Submitted {
                                gate,
                                failure: None,
                            },
                        )
                        .await
                    }
                    false => submitted = submitter.submit_bounded(purpose, call).await,
                }
            }
            let failure = match submitted {
                Ok(Submitted::Mined { .. }) => None,
                Ok(Submitted::Reverted { reason, .. }) => Some(reason),
                Err(error) => Some(chain_of(&error)),
            };
            report(&outbox, Input::Submitted { gate, failure }).await;
        });
    }

    pub(super) fn on_submitted(&mut self, gate: Address, failure: Option<String>) {
        let Some(reason) = failure else { return };
        tracing::warn!(%gate, reason, "the registration failed; it is tried again after the others' turns");
        self.parts.member.submission_failed(gate, self.now());
    }
}

/// Names one attempt at one registration: the submitter's journal gives the same answer for the same purpose.
fn purpose(gate: Address, epoch: u64, attempt: u64, outputs: &Outputs) -> Digest {
    let parts = [
        b"register".as_slice(),
        &gate.0,
        &epoch.to_be_bytes(),
        &attempt.to_be_bytes(),
        &outputs.result().0,
    ];
    keccak256(&parts.concat())
}

/// An error and its causes in one line.
pub(crate) fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Why a computation gave nothing to vote on.
#[derive(Debug)]
pub enum NoResult {
    /// This machine could not do it; another try may help.
    Fault(String),
    /// This member will not do it, or does not trust what came of it.
    Declined(String),
}

impl NoResult {
    fn of(error: &ExecuteError) -> Self {
        match error.is_declined() {
            true => Self::Declined(chain_of(error)),
            false => Self::Fault(chain_of(error)),
        }
    }
}

/// What a computation needs to know before it can begin.
struct Job {
    gate: Address,
    ring: Address,
    member: Address,
    chain: Chain,
    state: Arc<State>,
    tokens: Tokens,
}

impl Job {
    async fn resolve(&self, bounds: Bounds) -> Result<(TaskContext, Cid, Vec<Cid>), String> {
        let record = self
            .state
            .gate(self.gate)
            .map_err(|error| chain_of(&error))?;
        let record = record.ok_or("the gate is gone after a reorganisation of the chain")?;
        let ready = record
            .ready
            .ok_or("the gate is not ready after a reorganisation of the chain")?;
        let data = record
            .spec
            .inputs
            .iter()
            .map(|input| self.data(&record, input, ready.block));
        let mut cids = futures::future::try_join_all(data).await?.into_iter();
        let operation = cids.next().ok_or("the gate has no operation")?;
        let context = TaskContext {
            chain_id: self.chain.id(),
            ring: self.ring,
            gate: self.gate,
            ready_timestamp: ready.time,
            outputs: record.spec.outputs,
            member: self.member,
            bounds,
        };
        Ok((context, operation, cids.collect()))
    }

    /// The data on an input pin, as it stood in the block that made the gate ready.
    async fn data(
        &self,
        record: &GateRecord,
        input: &GateInput,
        block: u64,
    ) -> Result<Cid, String> {
        let token = match input {
            GateInput::Token(token) => *token,
            GateInput::Output { gate, pin } => self.output(*gate, *pin)?,
        };
        if let Some(digest) = self.tokens.data(token) {
            return Ok(data_cid(digest));
        }
        // A constant is the same in every block, and not every endpoint keeps the state of old ones.
        let scope = record.spec.scope;
        let digest = match token.is_variable() {
            true => self.chain.read_data_at(scope, token, block).await,
            false => self.chain.read_data(scope, token).await,
        };
        digest.map(data_cid).map_err(|error| chain_of(&error))
    }

    fn output(&self, gate: Address, pin: u128) -> Result<Digest, String> {
        let upstream = self.state.gate(gate).map_err(|error| chain_of(&error))?;
        let set = upstream.and_then(|record| record.outputs.get(&pin).copied());
        set.map(|set| set.token).ok_or_else(|| {
            format!("pin {pin} of gate {gate} is not set after a reorganisation of the chain")
        })
    }
}
