//! `rings verify --history`: a service repeated from its first state.
//!
//! Each gate takes its state from the one before. Here the first state is taken from the chain, and every other from the
//! gate that was computed before, as a new member would who has nothing but the record.

use super::{
    args::VerifyArgs,
    failure::{Failure, Status},
    out::Out,
    ringdir::RingFile,
    run::STATE_PIN,
    verify::{Ground, Outputs, Question},
    worker_pool,
};
use crate::http::Client;
use cid::Cid;
use rings_chain::Chain;
use rings_compute::Pool;
use rings_protocol::{cids::data_cid, gate::GateInput, Address};
use serde::Serialize;

/// `rings verify --history`
///
/// # Errors
/// Status 1 when a result on chain is wrong, 5 when it cannot be repeated.
pub async fn verify(args: VerifyArgs, out: Out) -> Result<(), Failure> {
    let args = args.gate;
    let ground = Ground::of(&args).await?;
    let members = ground.members().await?;
    let last = Question::of(&ground.chain, &ground.file, args.gate).await?;
    let history = History::of(&ground.chain, &ground.file, last).await?;
    let json = args.show.json;
    history.verify(&ground.chain, &members, json, out).await
}

/// A gate with all that its state goes back to, the first of them first.
struct History {
    questions: Vec<Question>,
}

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
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
    async fn of(chain: &Chain, file: &RingFile, last: Question) -> Result<Self, Failure> {
        let mut before = state_from(&last);
        let mut questions = vec![last];
        // It ends: a gate can only name gates that were there before it.
        while let Some(gate) = before {
            let question = Question::of(chain, file, gate).await?;
            before = state_from(&question);
            questions.push(question);
        }
        questions.reverse();
        Ok(Self { questions })
    }

    /// Computes all of them, and tells what came of it.
    async fn verify(
        mut self,
        chain: &Chain,
        members: &[&Client],
        json: bool,
        out: Out,
    ) -> Result<(), Failure> {
        let step = out.step(format_args!("running {} gates again", self.questions.len()));
        let pool = worker_pool::open()?;
        let report = self.repeat(chain, members, &pool).await;
        pool.shutdown().await;
        drop(step);
        let report = report?;
        match json {
            true => out.json(&report)?,
            false => report.tell(out)?,
        }
        match report.wrong {
            None => Ok(()),
            Some(gate) => Err(Failure::new(
                Status::Internal,
                format!(
                    "the result of gate {gate} on chain is wrong; `rings verify {gate}` names its signers"
                ),
            )),
        }
    }

    async fn repeat(
        &mut self,
        chain: &Chain,
        members: &[&Client],
        pool: &Pool,
    ) -> Result<Report, Failure> {
        let gate = |question: Option<&Question>| question.map(|q| q.gate).unwrap_or_default();
        let mut report = Report {
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
            if let (Some(computed), Some(input)) = (state, question.inputs.first_mut()) {
                *input = computed;
            }
            let execution = question.repeat(chain, members, pool).await?;
            report.fuel = report.fuel.saturating_add(execution.fuel);
            let computed: Outputs = execution.outputs.into_iter().collect();
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
    match question.history.spec.inputs.get(1) {
        Some(GateInput::Output { gate, pin }) if *pin == STATE_PIN => Some(*gate),
        _ => None,
    }
}

impl Report {
    fn tell(&self, out: Out) -> Result<(), Failure> {
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
