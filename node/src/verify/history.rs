//! `rings verify --history`: repeats a service from its first state.
//!
//! Each gate takes its state from the gate before. Here the first state is taken from the chain, and every further
//! state from the gate that was computed before it, as a new member does that has only the chain and the blocks. The
//! first gate whose result on chain is another one is named, and everything after it rests on a wrong state.

use super::gate::{OnPins, Question};
use crate::{
    args::VerifyArgs,
    exit::{ExitError, ExitStatus},
    out::{count, Out},
    place::Place,
    ringdir::RingFile,
    run::STATE_PIN,
    worker_pool,
};
use cid::Cid;
use rings_api::Client;
use rings_chain::Chain;
use rings_compute::Pools;
use rings_protocol::{cids::data_cid, gate::GateInput, Address};
use serde::Serialize;

/// `rings verify --history`
///
/// # Errors
/// Status 1 when a result on chain is wrong, 5 when it cannot be repeated.
pub async fn verify(gate: Address, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let chain = place.chain().await?;
    let last = Question::of(&chain, &place.file, gate).await?;
    let history = History::of(&chain, &place.file, last).await?;
    let members = place.members().await?;
    let json = args.show.json;
    history.verify(&members, json, out).await
}

/// A gate and all gates before it from which its state comes, the first one first.
struct History {
    questions: Vec<Question>,
}

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryReport {
    gate: Address,
    first: Address,
    gates: usize,
    right: bool,
    /// The first gate with another result than the program's.
    wrong: Option<Address>,
    /// The state behind the last gate that was computed.
    state: Option<String>,
    fuel: u64,
}

impl History {
    /// Goes back from `last` to the gate that took its state from no other.
    async fn of(chain: &Chain, file: &RingFile, last: Question) -> Result<Self, ExitError> {
        let mut before = state_from(&last);
        let mut questions = vec![last];
        // This ends, because a gate can only name gates that existed before it.
        while let Some(gate) = before {
            let question = Question::of(chain, file, gate).await?;
            before = state_from(&question);
            questions.push(question);
        }
        questions.reverse();
        Ok(Self { questions })
    }

    /// Computes all of them, and prints the outcome.
    async fn verify(mut self, members: &[&Client], json: bool, out: Out) -> Result<(), ExitError> {
        let step = out.step(format_args!(
            "running {} again",
            count(self.questions.len(), "gate")
        ));
        let pools = worker_pool::open().await?;
        let report = self.repeat(members, &pools).await;
        pools.shutdown().await;
        drop(step);
        let report = report?;
        match json {
            true => out.json(&report)?,
            false => report.tell(out)?,
        }
        match report.wrong {
            None => Ok(()),
            Some(gate) => Err(ExitError::new(
                ExitStatus::Internal,
                format!(
                    "the result of gate {gate} on chain is wrong; `rings verify {gate}` names its signers"
                ),
            )),
        }
    }

    async fn repeat(
        &mut self,
        members: &[&Client],
        pools: &Pools,
    ) -> Result<HistoryReport, ExitError> {
        let gate = |question: Option<&Question>| question.map(|q| q.gate).unwrap_or_default();
        let mut report = HistoryReport {
            gate: gate(self.questions.last()),
            first: gate(self.questions.first()),
            gates: self.questions.len(),
            right: true,
            wrong: None,
            state: None,
            fuel: 0,
        };
        let mut state: Option<Cid> = None;
        for question in &mut self.questions {
            // From the second gate on, the state is the one that was computed here, not the one on chain.
            if let (Some(computed), Some(input)) = (state, question.inputs.first_mut()) {
                *input = computed;
            }
            let execution = question.repeat(members, pools).await?;
            report.fuel = report.fuel.saturating_add(execution.fuel);
            let computed: OnPins = execution.outputs.into_iter().collect();
            state = computed.get(&STATE_PIN).map(|digest| data_cid(*digest));
            report.state = state.map(|cid| cid.to_string());
            if computed != question.registered() {
                (report.right, report.wrong) = (false, Some(question.gate));
                break;
            }
        }
        Ok(report)
    }
}

/// The gate that the state comes from.
fn state_from(question: &Question) -> Option<Address> {
    match question.spec.inputs.get(1) {
        Some(GateInput::Future { gate, pin }) if *pin == STATE_PIN => Some(*gate),
        _ => None,
    }
}

impl HistoryReport {
    fn tell(&self, out: Out) -> Result<(), ExitError> {
        out.line(format_args!("gates     {} from {}", self.gates, self.first))?;
        out.line(format_args!("to        {}", self.gate))?;
        if let Some(state) = &self.state {
            out.line(format_args!("state     {state}"))?;
        }
        out.line(format_args!("fuel      {}", self.fuel))?;
        match self.wrong {
            None => out.line("right     each is what its program gives, from the first state on"),
            Some(gate) => out.line(format_args!("WRONG     from {gate} on")),
        }
    }
}
