//! Work on gates: starting it when the chain asks for it, and comparing votes with the result on chain.
//!
//! `open_gate` starts a gate: it must be ready, this ring must be allowed to work on it, and somebody whose gates are
//! computed must have asked for it. All votes that are on disk for the computation are handed to the state machine with
//! it. `close_gate` ends the work when the result is on chain, and names members that voted for another one; `count`
//! does the same for votes that come later.

use super::{Core, CoreError, REMEMBERED};
use crate::{counters::GateOutcome, outputs::outputs_of};
use rings_protocol::{
    circuit::GateRecord,
    gate::{Computation, FAILURE_PIN},
    member::{Computed, Effect},
    message::{Outputs, Vote},
    Address,
};
use std::time::Duration;

impl Core {
    /// Starts work on all gates that are open at the chain head: after a start, and after catching up.
    pub(super) fn resume(&mut self) -> Result<(), CoreError> {
        for gate in self.parts.state.open_gates()? {
            self.open_gate(gate)?;
        }
        Ok(())
    }

    /// Starts again with all open gates, from what is on disk: votes may have been written that were not counted.
    pub(super) fn recount(&mut self) -> Result<(), CoreError> {
        let open: Vec<_> = self.parts.member.open().collect();
        for gate in open {
            self.parts.member.forget(gate);
        }
        self.begin_ring_log()?;
        match self.was_behind {
            true => Ok(()),
            false => self.resume(),
        }
    }

    /// Starts work on a gate that is ready, if this ring may work on it and an account asked for it whose gates this
    /// member computes.
    pub(super) fn open_gate(&mut self, gate: Address) -> Result<(), CoreError> {
        let ring = self.parts.domain.ring;
        let record = self.parts.state.gate(gate)?;
        let is_member = self.parts.member.is_member(self.me);
        let Some(record) = record.filter(|record| is_member && record.is_open_for(ring)) else {
            return Ok(());
        };
        if self.requester(&record).is_none() {
            self.parts.shared.counters.gate(GateOutcome::Declined);
            tracing::info!(%gate, "declined: no account whose gates this member computes has asked for it");
            return Ok(());
        }
        let Some((computation, _)) = self.parts.state.resolve(gate)? else {
            return Ok(());
        };
        let votes = self.parts.state.votes_for(computation)?;
        // If this member has voted on it before, its vote is used and the program does not run again.
        let own = own_vote(self.me, self.parts.member.epoch(), &votes);
        let now = self.now();
        let member = &mut self.parts.member;
        let effects = match own {
            Some(vote) => {
                let epoch = vote.epoch;
                member.restore(computation, Computed::of(vote), epoch, votes, now)
            }
            None => member.ready(computation, votes, now),
        };
        self.effects.extend(effects);
        Ok(())
    }

    /// The first account that asked for the gate and whose gates this member computes.
    pub(super) fn requester(&self, record: &GateRecord) -> Option<Address> {
        let accepted = record
            .requesters
            .iter()
            .filter(|(requester, _)| self.accepts(**requester));
        let first = accepted.min_by_key(|(_, block)| **block);
        first.map(|(requester, _)| *requester)
    }

    /// Whether this member computes what an account asks for.
    pub(super) fn accepts(&self, requester: Address) -> bool {
        self.parts.member.is_member(requester) || self.parts.shared.accepts(requester)
    }

    /// Closes a gate whose result is on chain, and compares the votes with it.
    pub(super) fn close_gate(&mut self, gate: Address) -> Result<(), CoreError> {
        let milliseconds = self.since_ready(gate, self.now());
        self.remember_timings(gate);
        match self.agreed(gate)? {
            Some((computation, outputs)) => {
                self.attempts.remove(&computation);
                self.count_ended(&outputs, milliseconds);
                let votes = self.parts.state.votes_for(computation)?;
                tracing::info!(%gate, milliseconds, result = %outputs.result(), votes = votes.len(), "resolved");
                let effects = self.parts.member.resolved(computation, &outputs, &votes);
                self.effects.extend(effects);
            }
            None => self.parts.member.forget(gate),
        }
        Ok(())
    }

    fn count_ended(&self, outputs: &Outputs, milliseconds: Option<u64>) {
        let counters = &self.parts.shared.counters;
        counters.gate(match outputs.pins().contains(&FAILURE_PIN) {
            true => GateOutcome::Failed,
            false => GateOutcome::Resolved,
        });
        // Unknown where this member did not work on the gate: it was away then.
        if let Some(milliseconds) = milliseconds {
            counters.took(Duration::from_millis(milliseconds));
        }
    }

    fn remember_timings(&mut self, gate: Address) {
        if let Some((_, mut timings)) = self.parts.member.phase(gate) {
            timings.resolved = Some(self.now());
            self.finished.push_back((gate, timings));
            self.finished
                .drain(..self.finished.len().saturating_sub(REMEMBERED));
        }
    }

    /// What this ring registered for a gate. A result of another ring says nothing about this ring's members, so it is
    /// left out.
    pub(super) fn agreed(
        &self,
        gate: Address,
    ) -> Result<Option<(Computation, Outputs)>, CoreError> {
        let record = self.parts.state.gate(gate)?;
        record.map_or(Ok(None), |record| self.agreed_in(gate, record))
    }

    /// As [`Core::agreed`], from a record that was read already.
    fn agreed_in(
        &self,
        gate: Address,
        record: GateRecord,
    ) -> Result<Option<(Computation, Outputs)>, CoreError> {
        let Some(result) = record
            .result
            .filter(|result| result.ring == self.parts.domain.ring)
        else {
            return Ok(None);
        };
        let resolved = self.parts.state.resolve(gate)?;
        let outputs = outputs_of(&result);
        Ok(resolved
            .zip(outputs)
            .map(|((computation, _), outputs)| (computation, outputs)))
    }

    /// Votes on gates that are open count; those that come after the result are compared with it. A gate that this member
    /// has never heard of stands in a block that its provider may have kept back.
    pub(super) fn count(&mut self, member: Address, votes: Vec<Vote>) -> Result<(), CoreError> {
        for vote in votes {
            let computation = vote.computation();
            self.tell_vote(vote.gate, member);
            if self.parts.member.computation(vote.gate) == Some(computation) {
                let effects = self.parts.member.vote(member, vote, self.now());
                self.effects.extend(effects);
                continue;
            }
            let Some(record) = self.parts.state.gate(vote.gate)? else {
                self.parts.chain.hint();
                continue;
            };
            let agreed = self.agreed_in(vote.gate, record)?;
            if agreed.is_some_and(|(agreed, outputs)| vote.contradicts(agreed, &outputs)) {
                self.effects.push_back(Effect::Diverged {
                    computation,
                    member,
                });
            }
        }
        Ok(())
    }
}

/// The own vote of this epoch, or the newest of another one.
fn own_vote(me: Address, epoch: u64, votes: &[(Address, Vote)]) -> Option<Vote> {
    let own = votes.iter().filter(|(member, _)| *member == me);
    let own = own.max_by_key(|(_, vote)| (vote.epoch == epoch, vote.epoch));
    own.map(|(_, vote)| vote.clone())
}
