//! One gate as this member sees it: its votes, and how far it is.
//!
//! [`Api::gate_view`] joins three sources: the record in the state database (what the chain has said), the votes that
//! are on disk, and the core, which is asked through its inbox for the phase of the work and its times. A state is
//! shown with a reason in words wherever the state alone does not explain what happens: who has not asked, what is
//! declined, who cannot pay. If the core is stopping, the answer is made without it.

use super::{
    views::{memory, results, silent, times, vote_view},
    Api,
};
use crate::{
    core::{Input, Progress},
    outputs::outputs_of,
    ring_status::Snapshot,
};
use rings_api::{
    views::{GateState, GateView, InputView},
    ApiError, Uint96,
};
use rings_protocol::{
    circuit::{GateRecord, GateResult},
    gate::Computation,
    member::Phase,
    message::Vote,
    Address,
};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

impl Api {
    /// A gate as this member sees it.
    pub(super) async fn gate_view(&self, gate: Address) -> Result<GateView, ApiError> {
        let snapshot = self.shared.snapshot();
        let progress = self.progress(gate).await;
        let record = self.state.gate(gate).map_err(memory)?;
        let resolved = self.state.resolve(gate).map_err(memory)?;
        let computation = resolved.map(|(computation, _)| computation);
        let votes = self.votes(gate, computation, snapshot.epoch)?;
        let result = record.as_ref().and_then(|record| record.result.as_ref());
        let agreed = result.and_then(outputs_of).map(|outputs| outputs.result());
        let mut view = GateView {
            gate,
            state: GateState::Unknown,
            reason: None,
            scope: None,
            rings: Vec::new(),
            inputs: Vec::new(),
            outputs: Uint96(0),
            epoch: snapshot.epoch,
            quorum: snapshot.needed,
            result: result.map(results),
            votes: votes
                .iter()
                .map(|(member, vote)| vote_view(*member, vote, agreed))
                .collect(),
            silent: silent(&snapshot, &votes),
            transaction: self.state.transaction(gate).map_err(memory)?,
            block: result.map(|result| result.block),
            is_final: result.is_some_and(|result| self.is_final(result, &snapshot)),
            milliseconds: times(&progress.timings),
            notes: progress.notes.clone(),
        };
        if let Some(record) = record {
            (view.state, view.reason) = self.standing(&record, &progress, &snapshot);
            view.scope = Some(record.spec.scope);
            view.outputs = Uint96(record.spec.outputs);
            view.inputs = record.spec.inputs.iter().map(InputView::from).collect();
            view.rings = record.spec.rings;
        }
        Ok(view)
    }

    async fn progress(&self, gate: Address) -> Progress {
        let (reply, answer) = oneshot::channel();
        match self.outbox.send(Input::Inspect { gate, reply }).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Progress::default(),
        }
    }

    /// Whether enough blocks are on top of a result to call it final.
    fn is_final(&self, result: &GateResult, snapshot: &Snapshot) -> bool {
        result.block.saturating_add(self.confirmations) <= snapshot.head
    }

    /// The vote of each member that counts now, or its newest one.
    fn votes(
        &self,
        gate: Address,
        now: Option<Computation>,
        epoch: u64,
    ) -> Result<Vec<(Address, Vote)>, ApiError> {
        let mut newest: BTreeMap<Address, Vote> = BTreeMap::new();
        let rank = |vote: &Vote| {
            let is_now = Some(vote.computation()) == now;
            (is_now, vote.epoch == epoch, vote.epoch)
        };
        for (member, vote) in self.state.votes(gate).map_err(memory)? {
            match newest.get(&member) {
                Some(held) if rank(held) >= rank(&vote) => {}
                _ => drop(newest.insert(member, vote)),
            }
        }
        Ok(newest.into_iter().collect())
    }

    /// How far the gate is, and the reason where the state alone does not explain it.
    fn standing(
        &self,
        record: &GateRecord,
        progress: &Progress,
        snapshot: &Snapshot,
    ) -> (GateState, Option<String>) {
        if let Some(decided) = decided(record) {
            return decided;
        }
        if !record.is_open_for(self.ring) {
            let reason =
                "its primary ring works on it; this one may when the floodgate is open".to_owned();
            return (GateState::Waiting, Some(reason));
        }
        let accepted = |requester: &Address| {
            self.shared.accepts(*requester) || snapshot.members.binary_search(requester).is_ok()
        };
        if !record.requesters.keys().any(accepted) {
            let reason = "no account whose gates this member computes has asked for it; see [ring] requesters".to_owned();
            return (GateState::Declined, Some(reason));
        }
        match under_way(progress) {
            (state, None) => (state, self.unsubmitted(progress, snapshot)),
            explained => explained,
        }
    }

    /// Why enough members have voted and the result is not on chain, as far as it depends on who can pay.
    fn unsubmitted(&self, progress: &Progress, snapshot: &Snapshot) -> Option<String> {
        progress.timings.quorum?;
        let poor = snapshot
            .members
            .iter()
            .filter(|member| snapshot.is_poor(**member));
        let poor = poor.count();
        match (poor == snapshot.members.len(), snapshot.is_poor(self.me)) {
            (true, _) => Some("enough members have signed the result, and no member can pay for the transaction that registers it: send ether to one of them".into()),
            (false, true) => Some("enough members have signed the result; this member cannot pay for the transaction that registers it, so another one sends it".into()),
            (false, false) => Some("enough members have signed the result, and it is about to be registered".into()),
        }
    }
}

/// How far a gate is of which the chain alone says enough.
fn decided(record: &GateRecord) -> Option<(GateState, Option<String>)> {
    let result = record.result.as_ref();
    if result.is_some_and(GateResult::failed) {
        let reason = "the ring agreed that the program failed; its record is on the failure pin";
        return Some((GateState::Failed, Some(reason.into())));
    }
    if record.doomed.is_some() {
        let reason = "a gate that it waits for has failed";
        return Some((GateState::Failed, Some(reason.into())));
    }
    if result.is_some() {
        return Some((GateState::Resolved, None));
    }
    record.ready.is_none().then_some((GateState::Waiting, None))
}

/// How far this member is with a gate on which it works.
fn under_way(progress: &Progress) -> (GateState, Option<String>) {
    match &progress.phase {
        Some(Phase::Declined { reason }) => (GateState::Declined, Some(reason.clone())),
        // While it is tried again, what was wrong before is still worth telling.
        Some(Phase::Computing | Phase::Abstaining { .. }) => {
            let reason = progress.without.as_ref();
            let reason = reason.map(|why| format!("this member cannot compute it now: {why}"));
            (GateState::Ready, reason)
        }
        Some(Phase::Refused) => {
            let reason = "this member signed another result before and will not contradict it";
            (GateState::Ready, Some(reason.into()))
        }
        _ => (GateState::Ready, None),
    }
}
