//! `rings verify REQUEST` and `rings verify PROOF`: that two thirds agreed on a result, by the chain alone, and whether
//! it is what the program gives.
//!
//! The first part needs no member: a proof is compared with the chain (`proven.rs`). The second needs the blocks, which
//! members give, and is left out if nobody has them; the report then says that it was not computed again. With the
//! logs, it also says who voted for what, and can write an accusation.

use super::{
    accuse,
    request_report::{unread, Computed, MemberReport, RequestReport},
};
use crate::{
    args::{Subject, VerifyArgs},
    asked::{request_of, tokens_of},
    ballots::Depth,
    exit::{ExitError, ExitStatus},
    log::outcome_views,
    out::Out,
    place::Place,
    proven::{self, Answer, Proven},
    terms::KeepingView,
    voters::{self, SignedVote},
    whole_file, worker_pool,
};
use cid::Cid;
use rings_api::{Client, GatewaySource};
use rings_chain::RingState;
use rings_member::execute::{execute, Bounds, TaskContext};
use rings_protocol::{
    accusation::{Accusation, RequestAccusation},
    cids::data_cid,
    eip712::Domain,
    request::RequestKey,
    ringlog::{gate_of_subject, Entry, EntryProof, Outcome},
    Address, Digest,
};
use std::sync::Arc;

/// A result that a ring node lists.
struct Listed {
    proven: Proven,
    key: RequestKey,
    outcome: Outcome,
}

/// `rings verify REQUEST`
///
/// # Errors
/// Status 1 when the listed result is wrong, 2 when no ring node lists it, 5 when it cannot be repeated.
pub async fn verify(request: Digest, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    check(args)?;
    let place = Place::of(&args.show.place).await?;
    let members = place.members().await?;
    let chain = place.chain().await?;
    let proven = proven::fetch(&chain, place.file.ring, &members, request).await?;
    let listed = Listed::of(proven)?;
    listed.verify(&place, Some(&members), args, out).await
}

/// `rings verify PROOF`
///
/// # Errors
/// Status 1 when it proves nothing or the listed result is wrong, 5 when the chain cannot be asked.
pub async fn verify_proof(proof: EntryProof, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    check(args)?;
    let place = of_proof(&proof, args).await?;
    // The chain alone says whether two thirds have agreed. Who has the blocks is asked only to compute it again.
    let members = match place.knows_members() {
        true => place.members().await.ok(),
        false => None,
    };
    let (chain, ring) = (place.chain().await?, place.file.ring);
    let answer = proven::ask(&chain, ring, proof.clone()).await?;
    let proven = match (answer, &members, proof.entry) {
        (Answer::Forgotten { anchor }, Some(members), Entry::Result { request, .. }) => {
            out.note(format_args!(
                "the chain does not name ring node {anchor} any more; asking the members for the proof from a later one"
            ));
            proven::fetch(&chain, ring, members, request).await?
        }
        (answer, ..) => answer.confirmed()?,
    };
    let listed = Listed::of(proven)?;
    listed.verify(&place, members.as_deref(), args, out).await
}

/// The ring that the options name, or else that of `./.rings`.
async fn of_proof(proof: &EntryProof, args: &VerifyArgs) -> Result<Place, ExitError> {
    let place = Place::of(&args.show.place).await;
    place.map_err(|failure| match args.show.place.is_named() {
        true => failure,
        false => ExitError::usage(format!(
            "a proof is compared with the chain; name it with --rpc URL --ring {} (chain {})",
            proof.ring, proof.chain
        )),
    })
}

fn check(args: &VerifyArgs) -> Result<(), ExitError> {
    let path = args.accuse.as_deref();
    path.map_or(Ok(()), |path| whole_file::check(path, accuse::WHAT))
}

impl Listed {
    /// # Errors
    /// Status 2 for a proof of something else than a result.
    fn of(proven: Proven) -> Result<Self, ExitError> {
        match &proven.proof.entry {
            Entry::Result {
                request,
                inputs,
                outcome,
            } => Ok(Self {
                key: RequestKey {
                    request: *request,
                    inputs: *inputs,
                },
                outcome: outcome.clone(),
                proven,
            }),
            Entry::Decision { slot, choice } => Err(ExitError::usage(format!(
                "this proves a decision and no result: ring node {} lists the choice {choice} for slot {slot}",
                proven.ring_node.number
            ))),
        }
    }

    /// The gate, if it is the result of one.
    fn gate(&self) -> Option<Address> {
        gate_of_subject(self.key.request)
    }

    /// Computes it again if the blocks are to be had, reads the logs, and tells. Of a gate, `rings verify GATE` does.
    async fn verify(
        self,
        place: &Place,
        members: Option<&[&Client]>,
        args: &VerifyArgs,
        out: Out,
    ) -> Result<(), ExitError> {
        let computed = match (members, self.gate()) {
            (Some(members), None) => Some(self.repeat(members, out).await),
            _ => None,
        };
        let computed = match (computed, &args.subject) {
            // Of a file, the chain has proven what it says; the blocks may be gone.
            (Some(Err(failure)), Subject::File(_)) => {
                out.failure(&failure);
                None
            }
            (computed, _) => computed.transpose()?,
        };
        let state = place.chain().await?.ring_state(place.file.ring).await?;
        let votes = match (members, self.gate()) {
            (Some(members), None) => self.votes(place, members, &state, out).await,
            _ => Vec::new(),
        };
        let report = self.report(&state, &votes, computed)?;
        match args.show.json {
            true => out.json(&report)?,
            false => report.tell(out)?,
        }
        if report.right == Some(false) {
            return Err(ExitError::new(
                ExitStatus::Internal,
                format!(
                    "the result of request {} that ring node {} lists is wrong; two thirds of the members have endorsed it",
                    self.key.request, self.proven.ring_node.number
                ),
            ));
        }
        match (&args.accuse, members) {
            (None, _) => Ok(()),
            (Some(_), _) if report.gate.is_some() => Err(ExitError::usage(
                "this is the result of a gate; name the gate with --accuse",
            )),
            (Some(_), None) => Err(ExitError::usage(
                "no member is known whose logs could show another vote; name one with --member URL",
            )),
            (Some(path), Some(members)) => {
                let request = request_of(members, self.key.request).await?;
                let tokens = tokens_of(members, &request, self.key.inputs).await?;
                let accusation = self.accuse(&state, &votes, tokens, args.accused)?;
                accuse::write(path, &accusation, out)
            }
        }
    }

    /// What each member has voted, in the order of the members.
    async fn votes(
        &self,
        place: &Place,
        members: &[&Client],
        state: &RingState,
        out: Out,
    ) -> Vec<Vec<SignedVote>> {
        let _step = out.step("reading the members' logs");
        let domain = Domain::new(place.file.chain_id, place.file.ring);
        voters::votes(members, &domain, &state.members, self.key, Depth::All).await
    }

    /// Runs the program again, storing nothing.
    async fn repeat(&self, members: &[&Client], out: Out) -> Result<Computed, ExitError> {
        let step = out.step("running the program again");
        let request = request_of(members, self.key.request).await?;
        let mut tokens = tokens_of(members, &request, self.key.inputs)
            .await?
            .into_iter();
        let data = request.resolve(|_, _| tokens.next());
        let data = data
            .ok_or_else(|| ExitError::unavailable("the inputs of the request cannot be found"))?;
        let mut data = data.data.into_iter().map(data_cid);
        let operation = data.next().unwrap_or_else(|| data_cid(request.operation));
        let inputs: Vec<Cid> = data.collect();
        let pools = worker_pool::open().await?;
        let source = Arc::new(GatewaySource::of(members)?);
        let context = TaskContext {
            computation: self.key.computation(),
            outputs: None,
            is_sampled: false,
            bounds: Bounds::NONE,
        };
        let execution = execute(&pools, source, None, operation, &inputs, context).await;
        pools.shutdown().await;
        drop(step);
        let execution = execution.map_err(|error| {
            ExitError::unavailable(format!(
                "request {} cannot be computed again here",
                self.key.request
            ))
            .because(error)
        })?;
        execution.notes.iter().for_each(|note| out.note(note));
        Computed::of(operation, inputs, &execution)
    }

    fn report(
        &self,
        state: &RingState,
        votes: &[Vec<SignedVote>],
        computed: Option<Computed>,
    ) -> Result<RequestReport, ExitError> {
        let listed = outcome_views(&self.outcome).map_err(unread)?;
        let truth = computed
            .as_ref()
            .map_or(&listed, |computed| &computed.outputs);
        let mut members = Vec::with_capacity(votes.len());
        for (address, votes) in state.members.iter().zip(votes) {
            let voted = votes
                .iter()
                .map(|signed| outcome_views(&signed.vote.outcome));
            let voted = voted.collect::<Result<Vec<_>, _>>().map_err(unread)?;
            // Of a member that voted twice, the wrong vote is shown.
            let shown = voted.iter().find(|voted| *voted != truth).or(voted.first());
            members.push(MemberReport {
                address: *address,
                right: shown.map(|voted| voted == truth),
                voted: shown.cloned().unwrap_or_default(),
            });
        }
        Ok(RequestReport {
            request: self.key.request,
            gate: self.gate(),
            inputs: self.key.inputs,
            ring: self.proven.proof.ring,
            chain_id: self.proven.proof.chain,
            keeping: KeepingView::of(state),
            ring_node: self.proven.ring_node,
            epoch: self.proven.listing.epoch,
            anchor: self.proven.anchor,
            lasting: self.proven.is_lasting(),
            right: computed.as_ref().map(|computed| computed.outputs == listed),
            listed,
            computed,
            members,
        })
    }

    /// The file that accuses `accused`, or the first member that voted otherwise.
    fn accuse(
        &self,
        state: &RingState,
        votes: &[Vec<SignedVote>],
        tokens: Vec<Digest>,
        accused: Option<Address>,
    ) -> Result<Accusation, ExitError> {
        let of_members = state.members.iter().zip(votes);
        let mut wanted = of_members.filter(|(member, _)| accused.is_none_or(|one| one == **member));
        let against = |votes: &Vec<SignedVote>| {
            let mut votes = votes.iter();
            votes
                .find(|signed| signed.vote.outcome != self.outcome)
                .cloned()
        };
        let signed = wanted
            .find_map(|(_, votes)| against(votes))
            .ok_or_else(|| {
                ExitError::usage(format!(
                    "{} did not vote against the result of request {}; no accusation is written",
                    accused.map_or("any member".into(), |accused| accused.to_string()),
                    self.key.request
                ))
            })?;
        Ok(Accusation::Request(Box::new(RequestAccusation {
            tokens,
            node: signed.node,
            proof: self.proven.proof.clone(),
        })))
    }
}
