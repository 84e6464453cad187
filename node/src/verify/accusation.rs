//! `rings verify ACCUSATION`: what such a file proves by itself, and what the chain says to it if it is asked.
//!
//! The file proves offline that the accused signed another result than the accounts in it. Two things it cannot know:
//! that those accounts were two thirds of the ring's members in that epoch, and, for a request, that the ring node is
//! on chain. They are shown as what the chain must confirm, and asked when a ring is named. Status 1 means that it
//! proves nothing.

use crate::{
    args::VerifyArgs,
    exit::{ExitError, ExitStatus},
    gate_text,
    log::{outcome_views, views},
    out::Out,
    place::Place,
};
use rings_api::views::OutputView;
use rings_chain::Chain;
use rings_protocol::{
    accusation::{About, Accusation, GateAccusation, RequestAccusation, Verdict},
    eip712::{members_hash, Domain},
    log::LogNode,
    message::MessageError,
    request::RequestVote,
    ringlog::Entry,
    Address, Digest,
};
use serde::Serialize;

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccusationReport {
    accused: Address,
    chain_id: u64,
    ring: Address,
    /// The gate; `null` for a request.
    gate: Option<Address>,
    /// The request; `null` for a gate.
    request: Option<Digest>,
    /// The hash of what its inputs resolved to.
    inputs: Digest,
    /// What the accused voted for.
    voted: Vec<OutputView>,
    /// What two thirds registered.
    registered: Vec<OutputView>,
    /// What the chain must confirm.
    must: Must,
    /// Whether it does; `null` when it was not asked.
    on_chain: Option<bool>,
    /// Whether the accused is a member now; `null` when the chain was not asked.
    is_member: Option<bool>,
}

/// What a file cannot know by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Must {
    /// For a gate: that the accounts whose signatures count were the members of the epoch.
    Members {
        epoch: u64,
        count: usize,
        /// `membersHash()` of the ring in that epoch.
        hash: Digest,
    },
    /// For a request: that a ring node is on chain.
    RingNode { number: u64, digest: Digest },
}

/// `rings verify ACCUSATION`
///
/// # Errors
/// Status 1 when it proves nothing, or the chain says otherwise.
pub async fn verify(accusation: &Accusation, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    let verdict = accusation
        .verify()
        .map_err(|error| ExitError::internal("the accusation proves nothing").because(error))?;
    let mut report = AccusationReport::of(accusation, &verdict)?;
    if args.show.place.is_named() {
        let place = Place::of(&args.show.place).await?;
        if (place.file.ring, place.file.chain_id) != (report.ring, report.chain_id) {
            return Err(ExitError::usage(format!(
                "the accusation is about ring {} on chain {}, not about {} on chain {}; name that ring",
                report.ring, report.chain_id, place.file.ring, place.file.chain_id
            )));
        }
        let chain = place.chain().await?;
        report.on_chain = Some(is_on_chain(&chain, accusation, &verdict).await?);
        report.is_member = Some(chain.is_member(report.ring, report.accused).await?);
    }
    match args.show.json {
        true => out.json(&report)?,
        false => report.tell(out)?,
    }
    match report.on_chain {
        Some(false) => Err(ExitError::new(
            ExitStatus::Internal,
            "the chain does not confirm the accusation: what it calls registered is not what this ring registered",
        )),
        _ => Ok(()),
    }
}

/// Whether the chain has what the accusation calls registered.
async fn is_on_chain(
    chain: &Chain,
    accusation: &Accusation,
    verdict: &Verdict,
) -> Result<bool, ExitError> {
    match (accusation, verdict.anchor) {
        (Accusation::Gate(of), _) => gate_is_on_chain(chain, of).await,
        (Accusation::Request(_), None) => Ok(false),
        (Accusation::Request(of), Some((number, digest))) => {
            let named = chain.ring_node_at(of.proof.ring, number).await?;
            Ok(named == Some(digest))
        }
    }
}

/// Whether the chain has what an accusation about a gate calls registered. The contract took the result from two thirds of
/// the members of its time, so a result that it has needs no other proof; the members are compared too where the endpoint
/// still knows them.
async fn gate_is_on_chain(chain: &Chain, of: &GateAccusation) -> Result<bool, ExitError> {
    let gate = of.registered.gate;
    let Some(result) = chain.registration(&[of.ring], gate).await? else {
        return Ok(false);
    };
    let outputs = result.pins.iter().copied().zip(result.cids.iter().copied());
    if !of.registered.outputs.iter().eq(outputs) || of.registered.epoch != result.epoch {
        return Ok(false);
    }
    match chain.members_at(of.ring, result.block.number).await {
        Ok((epoch, members)) if epoch == result.epoch => {
            Ok(members_hash(&members) == members_hash(&of.members))
        }
        Err(error) if error.is_transient() => Err(error.into()),
        _ => Ok(true),
    }
}

impl AccusationReport {
    fn of(accusation: &Accusation, verdict: &Verdict) -> Result<Self, ExitError> {
        let unread = |error: MessageError| {
            ExitError::internal("the accusation proves nothing").because(error)
        };
        let (chain_id, ring, voted, registered, must) = match accusation {
            Accusation::Gate(of) => (
                of.chain,
                of.ring,
                views(&of.vote.outputs),
                views(&of.registered.outputs),
                members(of),
            ),
            Accusation::Request(of) => {
                let (number, digest) = verdict.anchor.unwrap_or_default();
                let (voted, registered) = of_request(of).map_err(unread)?;
                let must = Must::RingNode { number, digest };
                (of.proof.chain, of.proof.ring, voted, registered, must)
            }
        };
        let (gate, request, inputs) = match verdict.about {
            About::Gate(computation) => (Some(computation.gate), None, computation.inputs),
            About::Request(key) => (None, Some(key.request), key.inputs),
        };
        Ok(Self {
            accused: verdict.accused,
            chain_id,
            ring,
            gate,
            request,
            inputs,
            voted,
            registered,
            must,
            on_chain: None,
            is_member: None,
        })
    }

    fn tell(&self, out: Out) -> Result<(), ExitError> {
        let member = match self.is_member {
            Some(true) => ", a member now",
            Some(false) => ", no member now",
            None => "",
        };
        out.line(format_args!("accused    {}{member}", self.accused))?;
        match (self.gate, self.request) {
            (Some(gate), _) => out.line(format_args!("gate       {gate}"))?,
            (_, Some(request)) => out.line(format_args!("request    {request}"))?,
            _ => {}
        }
        let outputs = |outputs: &[OutputView]| gate_text::outputs(outputs);
        out.line(format_args!("voted for  {}", outputs(&self.voted)))?;
        out.line(format_args!("registered {}", outputs(&self.registered)))?;
        out.line(format_args!(
            "ring       {} on chain {}",
            self.ring, self.chain_id
        ))?;
        match &self.must {
            Must::Members { epoch, count, hash } => out.line(format_args!(
                "signed by  two thirds of {count} members; membersHash() in epoch {epoch} must be {hash}"
            ))?,
            Must::RingNode { number, digest } => out.line(format_args!(
                "listed     below ring node {number}; ringNodeAt({number}) must be {digest}"
            ))?,
        }
        let again = match self.gate {
            Some(gate) => gate.to_string(),
            None => self
                .request
                .map(|request| request.to_string())
                .unwrap_or_default(),
        };
        out.line(match self.on_chain {
            Some(true) => {
                format!("chain      confirms it; `rings verify {again}` computes the result again")
            }
            Some(false) => "chain      DOES NOT CONFIRM IT".to_owned(),
            None => format!(
                "chain      not asked; to ask it, give --rpc URL --ring {}",
                self.ring
            ),
        })
    }
}

fn members(of: &GateAccusation) -> Must {
    Must::Members {
        epoch: of.registered.epoch,
        count: of.members.len(),
        hash: members_hash(&of.members),
    }
}

/// What the accused voted for, and what is listed.
fn of_request(of: &RequestAccusation) -> Result<(Vec<OutputView>, Vec<OutputView>), MessageError> {
    let Entry::Result {
        request,
        inputs,
        outcome,
    } = &of.proof.entry
    else {
        return Err(MessageError::Outputs);
    };
    let domain = Domain::new(of.proof.chain, of.proof.ring);
    let node = LogNode::open(&of.node, &domain);
    let votes = node.iter().flat_map(|node| &node.content().body);
    let votes = votes.filter_map(|message| RequestVote::from_message(message).ok().flatten());
    let mut against = votes.filter(|vote| {
        (vote.key.request, vote.key.inputs) == (*request, *inputs) && vote.outcome != *outcome
    });
    let voted = against.next().ok_or(MessageError::Outputs)?;
    Ok((outcome_views(&voted.outcome)?, outcome_views(outcome)?))
}
