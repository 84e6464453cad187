//! What a message in a log says, in a line for people.

use crate::gate_text::outputs;
use rings_api::{views::OutputView, Pin};
use rings_protocol::{
    assembly::{Choice, Endorsement, Proposal},
    cids::{data_cid, node_cid},
    log::LogNode,
    message::{Message, MessageError, Outputs, Vote},
    request::{Request, RequestVote},
    ringlog::Outcome,
};

/// One line for each message of a node.
pub fn happenings(node: &LogNode) -> Vec<String> {
    node.content().body.iter().map(happening).collect()
}

fn happening(message: &Message) -> String {
    let told = [vote, request, request_vote, proposal, endorsement, choice]
        .iter()
        .find_map(|tell| tell(message).transpose());
    match told {
        Some(Ok(line)) => line,
        Some(Err(error)) => format!("MALFORMED {}: {error}", message.kind),
        None => other(message),
    }
}

/// What only its application, or who has the read key, understands.
fn other(message: &Message) -> String {
    format!(
        "{} {} ({}), {} bytes",
        message.domain,
        message.kind,
        message.status,
        message.payload.len()
    )
}

type Told = Result<Option<String>, Box<dyn std::error::Error>>;

fn vote(message: &Message) -> Told {
    let vote = Vote::from_message(message)?;
    Ok(vote.map(|vote| {
        format!(
            "voted on gate {}  {}  fuel {}, epoch {}",
            vote.gate,
            outputs(&views(&vote.outputs)),
            vote.fuel,
            vote.epoch
        )
    }))
}

fn request(message: &Message) -> Told {
    let Some(request) = Request::from_message(message)? else {
        return Ok(None);
    };
    Ok(Some(format!(
        "asked for request {}  operation {}, {}, until ring node {}",
        request.digest()?,
        data_cid(request.operation),
        crate::out::count(request.inputs.len(), "input"),
        request.until
    )))
}

fn request_vote(message: &Message) -> Told {
    let Some(vote) = RequestVote::from_message(message)? else {
        return Ok(None);
    };
    Ok(Some(format!(
        "voted on request {}  {}  fuel {}",
        vote.key.request,
        outputs(&outcome_views(&vote.outcome)?),
        vote.fuel
    )))
}

fn proposal(message: &Message) -> Told {
    let Some(proposal) = Proposal::from_message(message)? else {
        return Ok(None);
    };
    let (number, node) = (proposal.header()?.number, node_cid(proposal.node()));
    Ok(Some(format!("proposed ring node {number}  {node}")))
}

fn endorsement(message: &Message) -> Told {
    let endorsement = Endorsement::from_message(message)?;
    Ok(endorsement.map(|given| format!("endorsed ring node {}", node_cid(given.node))))
}

fn choice(message: &Message) -> Told {
    let choice = Choice::from_message(message)?;
    Ok(choice.map(|choice| format!("would choose {} for slot {}", choice.choice, choice.slot)))
}

/// Outputs as JSON and texts show them.
pub fn views(outputs: &Outputs) -> Vec<OutputView> {
    let views = outputs.iter().map(|(pin, digest)| OutputView {
        pin: Pin(pin),
        cid: data_cid(digest),
    });
    views.collect()
}

/// What a request gave, as JSON and texts show it.
///
/// # Errors
/// [`MessageError`] when there is no output, or too many.
pub fn outcome_views(outcome: &Outcome) -> Result<Vec<OutputView>, MessageError> {
    outcome.to_outputs().map(|outputs| views(&outputs))
}
