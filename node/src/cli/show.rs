//! `rings ring show`, `rings gate show` and `rings log show`: one thing, as a member that answers shows it.

use super::{
    args::{GateArgs, LogArgs, ShowArgs},
    failure::Failure,
    files::members,
    out::Out,
};
use crate::http::api::{
    GateState, GateView, InputView, LogEntry, MemberView, OutputView, RingView, VoteView,
};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Write},
};

/// `rings ring show`
///
/// # Errors
/// When no member answers.
pub async fn ring(args: ShowArgs, out: Out) -> Result<(), Failure> {
    let dir = args.dir.dir();
    let file = dir.read()?;
    let clients = dir.clients(&file)?;
    let view = members(&dir, &clients).await?[0].ring(file.ring).await?;
    match args.json {
        true => out.json(&view),
        false => out.line(RingText(&view)),
    }
}

/// `rings gate show`
///
/// # Errors
/// When no member answers.
pub async fn gate(args: GateArgs, out: Out) -> Result<(), Failure> {
    let dir = args.show.dir.dir();
    let clients = dir.clients(&dir.read()?)?;
    let view = members(&dir, &clients).await?[0].gate(args.gate).await?;
    match args.show.json {
        true => out.json(&view),
        false => out.line(GateText(&view)),
    }
}

/// `rings log show`
///
/// # Errors
/// When no member answers, or the account is not a member.
pub async fn log(args: LogArgs, out: Out) -> Result<(), Failure> {
    let dir = args.show.dir.dir();
    let file = dir.read()?;
    let clients = dir.clients(&file)?;
    let client = members(&dir, &clients).await?[0];
    let page = client
        .log(file.ring, args.member, args.from, args.limit)
        .await?;
    if args.show.json {
        return out.json(&page);
    }
    for entry in &page.nodes {
        out.line(EntryText(entry))?;
    }
    if let Some(next) = page.next {
        out.note(format_args!("older nodes: --from {next}"));
    }
    Ok(())
}

/// A ring for people.
struct RingText<'a>(&'a RingView);

impl Display for RingText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.0;
        writeln!(f, "ring    {}", ring.ring)?;
        writeln!(f, "engine  {}", ring.engine)?;
        writeln!(f, "keeper  {}", ring.keeper)?;
        writeln!(f, "epoch   {}", ring.epoch)?;
        writeln!(f, "quorum  {} of {}", ring.quorum, ring.members.len())?;
        write!(f, "members")?;
        ring.members
            .iter()
            .try_for_each(|member| member_text(f, member))
    }
}

fn member_text(f: &mut fmt::Formatter<'_>, member: &MemberView) -> fmt::Result {
    let connected = if member.connected {
        "connected"
    } else {
        "not connected"
    };
    write!(f, "\n  {}  {connected}", member.address)?;
    if let Some(head) = &member.head {
        write!(f, ", log node {} ({})", head.seq, head.cid)?;
    }
    write!(f, "\n    {}", or_none(member.peer_id.as_deref()))?;
    write!(f, "  {}", or_none(member.multiaddress.as_deref()))?;
    for gate in &member.diverged {
        write!(
            f,
            "\n    DIVERGED on gate {gate}: it voted against what was registered"
        )?;
    }
    Ok(())
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

/// A gate for people.
struct GateText<'a>(&'a GateView);

impl Display for GateText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gate = self.0;
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
        engines_text(f, &gate.votes)?;
        for member in &gate.silent {
            write!(f, "\nsilent   {member}")?;
        }
        if let (Some(transaction), Some(block)) = (gate.transaction, gate.block) {
            write!(f, "\non chain {transaction} in block {block}")?;
        }
        let times = gate.milliseconds;
        let times = [
            ("compute", times.compute),
            ("quorum", times.quorum),
            ("register", times.register),
        ];
        let known = times
            .iter()
            .filter_map(|(name, time)| Some(format!("{name} {} ms", (*time)?)));
        let known: Vec<_> = known.collect();
        match known.is_empty() {
            true => Ok(()),
            false => write!(f, "\ntook     {}", known.join(", ")),
        }
    }
}

fn vote_text(f: &mut fmt::Formatter<'_>, vote: &VoteView) -> fmt::Result {
    let agrees = match vote.agrees {
        Some(true) => "agrees",
        Some(false) => "DIVERGED",
        None => "voted",
    };
    write!(
        f,
        "\nvote     {}  {agrees}  {}  fuel {}",
        vote.member,
        outputs(&vote.outputs),
        vote.fuel
    )
}

/// The engine that the voters ran; where they ran different ones, who ran which, and whether that may explain a
/// difference between results.
fn engines_text(f: &mut fmt::Formatter<'_>, votes: &[VoteView]) -> fmt::Result {
    let mut engines: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    for vote in votes {
        let results = engines.entry(&vote.engine).or_default();
        results.insert(vote.result);
    }
    if let (1, Some(engine)) = (engines.len(), engines.keys().next()) {
        return write!(f, "\ncompute  {engine}");
    }
    for vote in votes {
        write!(f, "\ncompute  {}  {}", vote.member, vote.engine)?;
    }
    let results: BTreeSet<_> = engines.values().flatten().collect();
    if engines.len() > 1 && results.len() > 1 && engines.values().all(|of_one| of_one.len() == 1) {
        write!(
            f,
            "\nbecause  members of one engine agree and those of another differ: the engines explain it"
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

/// A log node for people: one line, then its content.
struct EntryText<'a>(&'a LogEntry);

impl Display for EntryText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogEntry { cid, seq, node, .. } = self.0;
        write!(f, "{seq}  {cid}\n    {node}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        api::{GateTimes, ResultView},
        Pin, Uint96,
    };
    use rings_protocol::{cids::data_cid, Address};

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
            engine: "e".into(),
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
            milliseconds: GateTimes::default(),
        };
        let text = GateText(&view).to_string();
        let diverged = format!("{}  DIVERGED", Address([2; 20]));
        for part in [
            "state    resolved",
            "(operation)",
            diverged.as_str(),
            "in block 12",
            "silent",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
