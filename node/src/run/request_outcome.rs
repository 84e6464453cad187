//! What `rings run --no-gate` tells in the end: as `outcome.rs` does for gates.
//!
//! The receipt has the request and the ring node in the place of the gate and its transaction. If no result came, the
//! reason is put together from what each member says: declined, expired, no quorum, or agreed and not listed yet.

use super::{
    declined,
    receipt::{milliseconds, InRingNode, Receipt, Registered, Votes},
    request::{declined, on_pins, Came, Views},
    session::Session,
};
use crate::{
    args::values,
    exit::{ExitError, ExitStatus},
    gate_text::outputs,
    out::count,
    votes::answering,
    whole_file::WholeFile,
};
use cid::Cid;
use rings_api::views::{RequestState, RequestVoteView};
use rings_protocol::{ringlog::Outcome, Address, Digest};
use std::collections::{BTreeMap, BTreeSet};

/// What messages call the file of `--proof`.
pub(super) const PROOF: &str = "the proof";

impl Session<'_> {
    /// The result: its bytes, or why the program failed.
    pub(super) async fn show_came(mut self, came: Came) -> Result<(), ExitError> {
        let clients = self.clients.clone();
        let members = answering(&clients).await;
        let source = self.source(&members.unwrap_or_else(|| clients.iter().collect()))?;
        let mut receipt = self.receipt(self.registered(&came));
        receipt.epoch = came
            .proven
            .as_ref()
            .map_or(receipt.epoch, |proven| proven.listing.epoch);
        receipt.signers = came.signers.clone();
        let failure = match &came.outcome {
            Outcome::Failure(record) => Some(self.failed(*record, &source, &mut receipt).await?),
            Outcome::Outputs(_) => {
                let outputs = on_pins(&came.outcome)?;
                self.outputs(&outputs, &source, &mut receipt).await?;
                None
            }
        };
        if let (Some(path), Some(proven)) = (&self.args.proof, &came.proven) {
            WholeFile::put(path, PROOF, &proven.proof.to_bytes(), self.out)?;
        }
        if came.proven.is_none() {
            self.out.note(format_args!(
                "two thirds have voted; final with a ring node: see `rings request show {}`",
                came.request
            ));
        }
        self.of_members(&came.views, &mut receipt);
        self.times.total = milliseconds(self.began);
        self.write_receipt(receipt)?;
        failure.map_or(Ok(()), Err)
    }

    fn registered(&self, came: &Came) -> Registered {
        let ring_node: Option<Cid> = came.proven.as_ref().map(|proven| proven.ring_node.cid);
        let listed = came
            .views
            .iter()
            .find_map(|(_, view)| view.ring_node.as_ref());
        Registered::Request(InRingNode {
            request: came.request,
            ring_node,
            ring_node_transaction: listed.map(|node| node.transaction),
            is_final: ring_node.is_some(),
        })
    }

    /// What the members have measured, and the fuel that the voters for this result tell.
    fn of_members(&mut self, views: &Views, receipt: &mut Receipt) {
        let times = views.iter().map(|(_, view)| view.milliseconds);
        let measured = times.max_by_key(|times| {
            let known = [times.compute, times.quorum, times.list];
            known.iter().flatten().count()
        });
        if let Some(times) = measured {
            self.times.compute = times.compute;
            self.times.quorum = times.quorum;
            self.times.register = times.list;
        }
        let votes = views.iter().flat_map(|(_, view)| &view.votes);
        let mut agree = votes.filter(|vote| receipt.signers.contains(&vote.member));
        receipt.fuel = agree.next().map(|vote| vote.fuel);
    }

    /// Tells who voted for what, who has declined, and who is silent.
    pub(super) async fn did_not_come(
        mut self,
        request: Digest,
        views: Views,
    ) -> Result<(), ExitError> {
        let votes = all_votes(&views);
        let declined = declined(&views);
        let knows = |member: &Address| {
            votes.contains_key(member) || declined.iter().any(|one| one.member == *member)
        };
        let members = self.ring.members.iter().copied();
        let silent: Vec<Address> = members.filter(|member| !knows(member)).collect();
        self.tell_votes(&votes, &silent);
        for one in &declined {
            self.out
                .warn(format_args!("declined by {}: {}", one.member, one.reason));
        }
        let what = self.why_not(request, &views, votes.len(), &declined);
        let mut receipt = self.receipt(Registered::Request(InRingNode {
            request,
            ring_node: None,
            ring_node_transaction: None,
            is_final: false,
        }));
        receipt.votes = Some(Votes::Request(votes.into_values().collect()));
        receipt.silent = Some(silent);
        receipt.declined = Some(declined);
        self.times.total = milliseconds(self.began);
        self.write_receipt(receipt)?;
        Err(ExitError::new(ExitStatus::NoQuorum, what))
    }

    /// Who voted for what, by result, and who has not voted.
    fn tell_votes(&self, votes: &BTreeMap<Address, RequestVoteView>, silent: &[Address]) {
        let results: BTreeSet<String> = votes.values().map(|vote| outputs(&vote.outputs)).collect();
        for result in results {
            self.out.warn(format_args!("voted for {result}:"));
            let of_result = votes
                .values()
                .filter(|vote| outputs(&vote.outputs) == result);
            of_result.for_each(|vote| self.out.warn(format_args!("  {}", vote.member)));
        }
        if !silent.is_empty() {
            self.out.warn("silent:");
            silent
                .iter()
                .for_each(|member| self.out.warn(format_args!("  {member}")));
        }
    }

    fn why_not(
        &self,
        request: Digest,
        views: &Views,
        voted: usize,
        declined: &[declined::Declined],
    ) -> String {
        let is = |state| views.iter().any(|(_, view)| view.state == state);
        let (time, quorum) = (values::shown(self.args.timeout), self.ring.quorum);
        let members = count(self.ring.members.len(), "member");
        if is(RequestState::Agreed) || is(RequestState::Listed) {
            return format!(
                "two thirds have voted on request {request}, and no ring node on chain lists it within {time}; the same run goes on waiting"
            );
        }
        if is(RequestState::Expired) {
            return format!(
                "request {request} has expired: no ring node up to its last one has listed it; run the same with --again"
            );
        }
        match declined::reasons(declined).first() {
            // The advice of this line, not that of the reason, comes behind its last semicolon.
            Some((_, reason)) => format!(
                "no quorum can come for request {request}: {} of {members} have declined it, and {quorum} must agree: {}; see `rings request show`",
                declined.len(),
                reason.replace("; ", ", ")
            ),
            None => format!(
                "no quorum within {time} for request {request}: {voted} of {members} have voted and {quorum} must agree; the request stays, and resolves when members return"
            ),
        }
    }
}

/// One vote of each member that any of them knows of.
fn all_votes(views: &Views) -> BTreeMap<Address, RequestVoteView> {
    let votes = views.iter().flat_map(|(_, view)| &view.votes);
    votes.map(|vote| (vote.member, vote.clone())).collect()
}
