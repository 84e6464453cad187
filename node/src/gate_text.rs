//! `rings gate show` as text for people. What disagrees is written in capitals.
//!
//! A [`GateText`] shows one gate: its state with the reason, inputs and outputs, who voted for what, how long each step
//! took. If voters ran different profiles, it says so, since that may explain different results. The JSON of the same
//! command is the view itself (`show.rs`).

use rings_api::views::{GateState, GateView, InputView, OutputView, VoteView};
use rings_protocol::{Address, Digest};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Write},
};

/// A gate, as text for people.
pub struct GateText<'a> {
    /// As it is seen.
    pub gate: &'a GateView,
    /// Whether a member has told of it; otherwise all is from the chain.
    pub is_seen: bool,
    /// With a quorum and no result on chain: who is short of ether.
    pub waits_for: Option<Vec<Address>>,
}

impl Display for GateText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gate = self.gate;
        writeln!(f, "gate     {}", gate.gate)?;
        write!(f, "state    {}", state(gate.state))?;
        if let Some(reason) = &gate.reason {
            write!(f, ": {reason}")?;
        }
        for (pin, input) in gate.inputs.iter().enumerate() {
            let note = if pin == 0 { " (operation)" } else { "" };
            match input {
                InputView::Data { cid } => write!(f, "\ninput    {pin}: {cid}{note}")?,
                InputView::Output { gate, pin: output } => {
                    write!(f, "\ninput    {pin}: output {output} of gate {gate}")?;
                }
            }
        }
        write!(f, "\nquorum   {} in epoch {}", gate.quorum, gate.epoch)?;
        for result in gate.result.iter().flatten() {
            write!(f, "\noutput   {}: {}", result.pin, result.cid)?;
        }
        gate.votes.iter().try_for_each(|vote| vote_text(f, vote))?;
        profiles_text(f, &gate.votes)?;
        if !self.is_seen {
            f.write_str("\nvotes    known to members only; name one with --member URL")?;
        }
        if let Some(short) = &self.waits_for {
            f.write_str("\nwaits    QUORUM REACHED, and the result is not on chain")?;
            for member in short {
                write!(
                    f,
                    "\n         {member} is short of ether for the transaction"
                )?;
            }
        }
        for member in &gate.silent {
            write!(f, "\nsilent   {member}")?;
        }
        if let (Some(transaction), Some(block)) = (gate.transaction, gate.block) {
            let finality = if gate.is_final { ", final" } else { "" };
            write!(f, "\non chain {transaction} in block {block}{finality}")?;
        }
        let times = gate.milliseconds;
        let times = [
            ("compute", times.compute),
            ("quorum", times.quorum),
            ("register", times.register),
        ];
        took(&times).map_or(Ok(()), |took| write!(f, "\ntook     {took}"))
    }
}

/// How long each step took, of those that were taken; nothing if none was.
pub fn took(times: &[(&str, Option<u64>)]) -> Option<String> {
    let known = times
        .iter()
        .filter_map(|(name, time)| Some(format!("{name} {} ms", (*time)?)));
    let known: Vec<_> = known.collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Whether a vote is for the result, in a word.
pub fn agreement(agrees: Option<bool>) -> &'static str {
    match agrees {
        Some(true) => "agrees",
        Some(false) => "DIVERGED",
        None => "voted",
    }
}

fn vote_text(f: &mut fmt::Formatter<'_>, vote: &VoteView) -> fmt::Result {
    let agrees = agreement(vote.agrees);
    write!(
        f,
        "\nvote     {}  {agrees}  {}  fuel {}",
        vote.member,
        outputs(&vote.outputs),
        vote.fuel
    )
}

/// The profile that the voters ran. If they ran different ones: who ran which, and whether that may explain
/// different results.
fn profiles_text(f: &mut fmt::Formatter<'_>, votes: &[VoteView]) -> fmt::Result {
    let mut profiles: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    for vote in votes {
        let results = profiles.entry(&vote.profile).or_default();
        results.insert(vote.result);
    }
    if let (1, Some(profile)) = (profiles.len(), profiles.keys().next()) {
        return write!(f, "\ncompute  {profile}");
    }
    for vote in votes {
        write!(f, "\ncompute  {}  {}", vote.member, vote.profile)?;
    }
    let results: BTreeSet<_> = profiles.values().flatten().collect();
    if profiles.len() > 1 && results.len() > 1 && profiles.values().all(|of_one| of_one.len() == 1)
    {
        write!(
            f,
            "\nbecause  members of one profile agree and those of another differ: the profiles explain it"
        )?;
    }
    Ok(())
}

/// Outputs on one line.
pub fn outputs(outputs: &[OutputView]) -> String {
    let mut text = String::new();
    for (index, output) in outputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing into a string does not fail.
        write!(text, "{comma}{}: {}", output.pin, output.cid).unwrap_or_default();
    }
    text
}

/// The word for a state.
pub fn state(state: GateState) -> &'static str {
    match state {
        GateState::Unknown => "unknown",
        GateState::Waiting => "waiting",
        GateState::Ready => "ready",
        GateState::Declined => "declined",
        GateState::Resolved => "resolved",
        GateState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_api::{
        views::{GateTimes, ResultView},
        Pin, Uint96,
    };
    use rings_protocol::cids::data_cid;

    #[test]
    fn who_diverged_is_plain_to_see() {
        let vote = |member: u8, agrees| VoteView {
            member: Address([member; 20]),
            epoch: 1,
            result: Digest([member; 32]),
            outputs: vec![OutputView {
                pin: Pin(0),
                cid: data_cid(Digest([member; 32])),
            }],
            agrees: Some(agrees),
            profile: "e".into(),
            fuel: 7,
        };
        let view = GateView {
            gate: Address([9; 20]),
            state: GateState::Resolved,
            reason: None,
            scope: None,
            rings: Vec::new(),
            inputs: vec![InputView::Data {
                cid: data_cid(Digest([3; 32])),
            }],
            outputs: Uint96(1),
            epoch: 1,
            quorum: 4,
            result: Some(vec![ResultView {
                pin: Pin(0),
                token_id: Digest([1; 32]),
                cid: data_cid(Digest([1; 32])),
            }]),
            votes: vec![vote(1, true), vote(2, false)],
            silent: vec![Address([4; 20])],
            transaction: Some(Digest([5; 32])),
            block: Some(12),
            is_final: true,
            milliseconds: GateTimes::default(),
            notes: Vec::new(),
        };
        let text = GateText {
            gate: &view,
            is_seen: true,
            waits_for: Some(vec![Address([2; 20])]),
        }
        .to_string();
        let diverged = format!("{}  DIVERGED", Address([2; 20]));
        for part in [
            "state    resolved",
            "(operation)",
            diverged.as_str(),
            "in block 12, final",
            "silent",
            "QUORUM REACHED",
            "is short of ether",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
