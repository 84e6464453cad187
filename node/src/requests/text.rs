//! A request as text for people. What disagrees is written in capitals.

use crate::gate_text::{agreement, outputs, took};
use rings_api::views::{RequestInputView, RequestState, RequestView, RequestVoteView};
use std::fmt::{self, Display};

/// A request, as text for people.
pub struct RequestText<'a>(pub &'a RequestView);

impl Display for RequestText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.0;
        write!(
            f,
            "request   {}\nstate     {}",
            view.request,
            state(view.state)
        )?;
        if let Some(reason) = &view.reason {
            write!(f, ": {reason}")?;
        }
        if let Some(author) = view.author {
            write!(f, "\nauthor    {author}")?;
        }
        if let Some(operation) = &view.operation {
            write!(f, "\noperation {operation}")?;
        }
        for (index, input) in view.inputs.iter().enumerate() {
            match input {
                RequestInputView::Data { cid } => write!(f, "\ninput     {index}: {cid}")?,
                RequestInputView::Output { request, pin } => {
                    write!(f, "\ninput     {index}: output {pin} of request {request}")?;
                }
            }
        }
        if let Some(until) = view.until {
            write!(f, "\nuntil     ring node {until}")?;
        }
        write!(f, "\nquorum    {} in epoch {}", view.quorum, view.epoch)?;
        for result in view.result.iter().flatten() {
            write!(f, "\noutput    {}: {}", result.pin, result.cid)?;
        }
        view.votes.iter().try_for_each(|vote| vote_text(f, vote))?;
        for member in &view.silent {
            write!(f, "\nsilent    {member}")?;
        }
        if let Some(node) = &view.ring_node {
            write!(f, "\nlisted by ring node {}  {}", node.number, node.cid)?;
            let finality = if view.is_final { ", final" } else { "" };
            write!(
                f,
                "\non chain  {} in block {}{finality}",
                node.transaction, node.block
            )?;
        }
        let times = view.milliseconds;
        let times = [
            ("compute", times.compute),
            ("quorum", times.quorum),
            ("list", times.list),
        ];
        took(&times).map_or(Ok(()), |took| write!(f, "\ntook      {took}"))
    }
}

fn vote_text(f: &mut fmt::Formatter<'_>, vote: &RequestVoteView) -> fmt::Result {
    let agrees = agreement(vote.agrees);
    let outputs = outputs(&vote.outputs);
    write!(
        f,
        "\nvote      {}  {agrees}  {outputs}  fuel {}",
        vote.member, vote.fuel
    )
}

/// The state in a word, and what it means.
pub fn state(state: RequestState) -> &'static str {
    match state {
        RequestState::Unknown => "unknown",
        RequestState::Waiting => "waiting for results that it takes as inputs",
        RequestState::Open => "open",
        RequestState::Agreed => "agreed: two thirds have voted; no ring node lists it yet",
        RequestState::Listed => "listed",
        RequestState::Expired => "expired: no ring node has listed it in time",
        RequestState::Refused => "refused",
    }
}
