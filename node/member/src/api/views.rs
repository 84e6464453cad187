//! The parts of an answer that need nothing but what they show.

use crate::{ring_status::Snapshot, state::StateError};
use rings_api::{
    views::{GateTimes, OutputView, ResultView, VoteView},
    ApiError, Pin,
};
use rings_protocol::{
    cids::data_cid, circuit::GateResult, member::Timings, message::Vote, Address, Digest,
};
use std::collections::BTreeSet;

pub(super) fn memory(error: StateError) -> ApiError {
    ApiError::internal("the state database cannot be read", error)
}

pub(super) fn results(result: &GateResult) -> Vec<ResultView> {
    let outputs = result.outputs.iter();
    let views = outputs.map(|(pin, digest)| ResultView::new(*pin, *digest));
    views.collect()
}

/// The members without a vote in the current epoch.
pub(super) fn silent(snapshot: &Snapshot, votes: &[(Address, Vote)]) -> Vec<Address> {
    let voted: BTreeSet<_> = votes
        .iter()
        .filter(|(_, vote)| vote.epoch == snapshot.epoch)
        .map(|(member, _)| *member)
        .collect();
    snapshot
        .members
        .iter()
        .filter(|member| !voted.contains(member))
        .copied()
        .collect()
}

pub(super) fn vote_view(member: Address, vote: &Vote, agreed: Option<Digest>) -> VoteView {
    let result = vote.outputs.result();
    VoteView {
        member,
        epoch: vote.epoch,
        result,
        outputs: vote
            .outputs
            .iter()
            .map(|(pin, cid)| OutputView {
                pin: Pin(pin),
                cid: data_cid(cid),
            })
            .collect(),
        agrees: agreed.map(|agreed| agreed == result),
        profile: vote.profile.clone(),
        fuel: vote.fuel,
    }
}

pub(super) fn times(timings: &Timings) -> GateTimes {
    let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
    GateTimes {
        compute: between(timings.ready, timings.computed),
        quorum: between(timings.computed, timings.quorum),
        register: between(timings.quorum, timings.resolved),
    }
}
