//! What `rings verify` found about a request, as JSON and as text.
//!
//! [`RequestReport`] is an interface. `null` stands for what was not computed again or not asked, and is never shown as
//! if it were right.

use crate::{
    exit::ExitError, gate_text, log::views, out::Out, proven::RingNode, terms::KeepingView,
};
use cid::Cid;
use rings_api::views::OutputView;
use rings_member::execute::Execution;
use rings_protocol::{
    message::{MessageError, Outputs},
    Address, Digest,
};
use serde::{Serialize, Serializer};

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestReport {
    /// The request; of a gate, its address behind zero bytes.
    pub request: Digest,
    /// The gate whose result is listed; `null` for a request.
    pub gate: Option<Address>,
    /// The hash of what its inputs resolved to.
    pub inputs: Digest,
    /// The ring.
    pub ring: Address,
    /// Chain id.
    pub chain_id: u64,
    /// Who can change the membership of that ring. The result is worth as much as the membership.
    pub keeping: KeepingView,
    /// What two thirds have agreed on, as the ring node lists it.
    pub listed: Vec<OutputView>,
    /// The ring node that lists it.
    pub ring_node: RingNode,
    /// The epoch of the members who endorsed that ring node.
    pub epoch: u64,
    /// The ring node that the chain names, from which the proof leads back.
    pub anchor: RingNode,
    /// Whether the chain names that one for good.
    pub lasting: bool,
    /// Whether it is what the program gives; `null` when it was not computed again.
    pub right: Option<bool>,
    /// What the program gave here; `null` when it was not computed again.
    pub computed: Option<Computed>,
    /// Empty when no member was asked for the logs.
    pub members: Vec<MemberReport>,
}

/// What the program gave here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Computed {
    /// What to run.
    #[serde(serialize_with = "cid_text")]
    pub operation: Cid,
    /// The other inputs, those that are outputs of others too.
    #[serde(serialize_with = "cid_texts")]
    pub inputs: Vec<Cid>,
    /// What it gave.
    pub outputs: Vec<OutputView>,
    /// Fuel that it used.
    pub fuel: u64,
    /// Engine and configuration that computed it.
    pub profile: String,
}

/// What a member has voted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// The member.
    pub address: Address,
    /// Whether it voted for what was computed, or else for what is listed; `null` when no vote was found.
    pub right: Option<bool>,
    /// What it voted for.
    pub voted: Vec<OutputView>,
}

impl Computed {
    /// From the run.
    ///
    /// # Errors
    /// Never for what a run gives: it has at least one output, and not too many.
    pub fn of(operation: Cid, inputs: Vec<Cid>, execution: &Execution) -> Result<Self, ExitError> {
        let outputs = Outputs::new(execution.outputs.iter().copied()).map_err(unread)?;
        Ok(Self {
            operation,
            inputs,
            outputs: views(&outputs),
            fuel: execution.fuel,
            profile: execution.profile.clone(),
        })
    }
}

/// The failure for a result that is out of bounds.
pub fn unread(error: MessageError) -> ExitError {
    ExitError::internal("a result cannot be read").because(error)
}

impl RequestReport {
    /// Writes it for people.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn tell(&self, out: Out) -> Result<(), ExitError> {
        let outputs = |outputs: &[OutputView]| gate_text::outputs(outputs);
        match self.gate {
            Some(gate) => out.line(format_args!("gate      {gate}"))?,
            None => out.line(format_args!("request   {}", self.request))?,
        }
        if let Some(computed) = &self.computed {
            out.line(format_args!("operation {}", computed.operation))?;
        }
        out.line(format_args!("listed    {}", outputs(&self.listed)))?;
        out.line(format_args!(
            "by        ring node {}  {}, epoch {}",
            self.ring_node.number, self.ring_node.cid, self.epoch
        ))?;
        out.line(format_args!(
            "proven    two thirds have agreed: the chain names ring node {} {}",
            self.anchor.number,
            match self.lasting {
                true => "for good",
                false => "until a hundred more are there",
            }
        ))?;
        match (&self.computed, self.gate) {
            (Some(computed), _) => {
                out.line(format_args!("computed  {}", outputs(&computed.outputs)))?;
            }
            (None, Some(gate)) => {
                out.line(format_args!(
                    "computed  not here: `rings verify {gate}` does"
                ))?;
            }
            (None, None) => out.line(
                "computed  not again: that needs the blocks; name a member with --member URL",
            )?,
        }
        match self.right {
            Some(true) => out.line("right     what is listed is what the program gives")?,
            Some(false) => out.line("WRONG     what is listed is not what the program gives")?,
            None => {}
        }
        out.line(format_args!("ring      {}  {}", self.ring, self.keeping))?;
        for member in &self.members {
            let vote = match member.right {
                Some(true) => "voted right".to_owned(),
                Some(false) => format!("DIVERGED: voted for {}", outputs(&member.voted)),
                None => "no vote found".to_owned(),
            };
            out.line(format_args!("member    {}  {vote}", member.address))?;
        }
        Ok(())
    }
}

fn cid_text<S: Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

fn cid_texts<S: Serializer>(cids: &[Cid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cids.iter().map(ToString::to_string))
}
