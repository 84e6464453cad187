//! `rings verify GATE`: repeats a result from chain and blocks alone.
//!
//! No member is trusted: blocks are hashed, log nodes and the signatures on the result are checked, and the outputs of
//! the program are computed here, in a worker.
//!
//! A [`Question`] is what the chain says of the gate: specification, resolved inputs, result. [`Question::repeat`]
//! computes it by the same code that a member uses (`rings_member::execute`), storing nothing. The report compares
//! three things for each member: what is on chain, what was computed here, and what the member's log says that it voted
//! for.

use super::accuse::{self, Registered};
use crate::{
    args::VerifyArgs,
    ballots::{search, Depth},
    exit::{ExitError, ExitStatus},
    gate_text,
    known::{known, Known},
    log::views,
    out::Out,
    place::Place,
    process::Pauses,
    ringdir::RingFile,
    terms::KeepingView,
    whole_file, worker_pool,
};
use cid::Cid;
use futures::future::join_all;
use rings_api::{views::OutputView, Client, GatewaySource};
use rings_chain::{Chain, ChainError};
use rings_compute::Pools;
use rings_member::execute::{execute, Bounds, Execution, TaskContext};
use rings_protocol::{
    cids::data_cid,
    eip712::Domain,
    gate::{Computation, GateSpec},
    log::LogNode,
    message::{Outputs, Vote},
    Address, Digest,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long reading is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pins and the digests of their data, in order of pins.
pub(super) type OnPins = BTreeMap<u128, Digest>;

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GateReport {
    gate: Address,
    ring: Address,
    /// Who can change the membership of that ring. The result is worth as much as the membership.
    keeping: KeepingView,
    #[serde(serialize_with = "text")]
    operation: Cid,
    right: bool,
    registered: Vec<OutputView>,
    computed: Vec<OutputView>,
    fuel: u64,
    /// Engine and configuration that computed it.
    profile: String,
    /// Empty where the endpoint does not keep old transactions.
    signers: Vec<Address>,
    members: Vec<MemberReport>,
}

/// What a member voted, compared with what the program gives.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberReport {
    address: Address,
    /// `null` when no vote was found.
    right: Option<bool>,
    voted: Vec<OutputView>,
}

/// `rings verify GATE`
///
/// # Errors
/// Status 1 when the result on chain is wrong, 5 when it cannot be repeated.
pub async fn verify(gate: Address, args: &VerifyArgs, out: Out) -> Result<(), ExitError> {
    if let Some(path) = &args.accuse {
        whole_file::check(path, accuse::WHAT)?;
    }
    let place = Place::of(&args.show.place).await?;
    let chain = &place.chain().await?;
    let found = patiently(|| Question::of(chain, &place.file, gate)).await?;
    let members = place.members().await?;
    let step = out.step("running the program again");
    let pools = worker_pool::open().await?;
    // The workers are ended in any case, before the failure of a run is told.
    let execution = found.repeat(&members, &pools).await;
    pools.shutdown().await;
    let execution = execution?;
    drop(step);
    execution.notes.iter().for_each(|note| out.note(note));
    let step = out.step("reading the members' logs");
    let (report, votes) = patiently(|| found.report(chain, &members, &execution)).await?;
    drop(step);
    match args.show.json {
        true => out.json(&report)?,
        false => report.tell(out)?,
    }
    if !report.right {
        return Err(ExitError::new(
            ExitStatus::Internal,
            format!(
                "the result of gate {gate} on chain is wrong; its signers are the members named above"
            ),
        ));
    }
    match &args.accuse {
        None => Ok(()),
        Some(path) => {
            let registered = Registered::of(chain, gate, &found.spec).await?;
            let accusation = registered.accuse(&votes, args.accused)?;
            accuse::write(path, &accusation, out)
        }
    }
}

/// Reads again what could not be read: a reorganisation may take a block away between two answers of the chain.
async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T, ExitError>
where
    F: Future<Output = Result<T, ExitError>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        match read().await {
            Err(failure)
                if failure.status() == ExitStatus::Unavailable && Instant::now() < deadline =>
            {
                pauses.next().await;
            }
            answer => return answer,
        }
    }
}

/// What the chain says about the gate.
pub(super) struct Question {
    pub(super) gate: Address,
    pub(super) spec: GateSpec,
    /// The gate, with what its futures hold.
    computation: Computation,
    known: Known,
    operation: Cid,
    pub(super) inputs: Vec<Cid>,
}

impl Question {
    pub(super) async fn of(
        chain: &Chain,
        file: &RingFile,
        gate: Address,
    ) -> Result<Self, ExitError> {
        let spec = match chain.gate_spec(file.engine, gate).await {
            Err(ChainError::NotAContract { .. }) => {
                let what = format!("there is no gate {gate} of this engine; see `rings gate list`");
                return Err(ExitError::usage(what));
            }
            spec => spec?,
        };
        let unresolved = || {
            ExitError::usage(format!(
                "gate {gate} has no result yet; see `rings gate show {gate}`"
            ))
        };
        let known = known(chain, &spec, gate).await?.ok_or_else(unresolved)?;
        let inputs = chain.inputs_hash(gate).await?.ok_or_else(unresolved)?;
        let data = chain.inputs_of(&spec).await?.ok_or_else(unresolved)?;
        let mut data = data.into_iter().map(data_cid);
        let operation = data
            .next()
            .ok_or_else(|| ExitError::unavailable(format!("gate {gate} has no operation")))?;
        Ok(Self {
            gate,
            computation: Computation { gate, inputs },
            known,
            operation,
            inputs: data.collect(),
            spec,
        })
    }

    /// Computes the outputs here, storing nothing.
    pub(super) async fn repeat(
        &self,
        members: &[&Client],
        pools: &Pools,
    ) -> Result<Execution, ExitError> {
        let source = Arc::new(GatewaySource::of(members)?);
        let context = TaskContext {
            computation: self.computation,
            outputs: Some(self.spec.outputs),
            is_sampled: false,
            bounds: Bounds::NONE,
        };
        let execution = execute(pools, source, None, self.operation, &self.inputs, context).await;
        execution.map_err(|error| {
            ExitError::unavailable(format!("gate {} cannot be repeated here", self.gate))
                .because(error)
        })
    }

    async fn report(
        &self,
        chain: &Chain,
        members: &[&Client],
        execution: &Execution,
    ) -> Result<(GateReport, Vec<Vote>), ExitError> {
        let computed: OnPins = execution.outputs.iter().copied().collect();
        let registered = self.registered();
        let ring = self.known.ring.or_else(|| self.spec.rings.first().copied());
        let ring = ring
            .ok_or_else(|| ExitError::unavailable(format!("gate {} names no ring", self.gate)))?;
        let domain = Domain::new(chain.id(), ring);
        let state = chain.ring_state(ring).await?;
        let accounts = &state.members;
        let votes = accounts.iter().map(|account| {
            search(members, &domain, *account, Depth::All, |node| {
                self.votes_in(node)
            })
        });
        let votes = join_all(votes).await;
        let is_right = |vote: &Vote| on_pins(&vote.outputs) == computed;
        let members = accounts.iter().zip(&votes).map(|(address, votes)| {
            // Of a member that voted twice, the wrong vote is shown.
            let wrong = votes.iter().find(|vote| !is_right(vote));
            let shown = wrong.or(votes.first());
            MemberReport {
                address: *address,
                right: shown.map(is_right),
                voted: shown.map(|vote| views(&vote.outputs)).unwrap_or_default(),
            }
        });
        let report = GateReport {
            gate: self.gate,
            ring,
            keeping: KeepingView::of(&state),
            operation: self.operation,
            right: computed == registered,
            registered: pin_views(&registered),
            computed: pin_views(&computed),
            fuel: execution.fuel,
            profile: execution.profile.clone(),
            signers: self.known.signers.clone(),
            members: members.collect(),
        };
        Ok((report, votes.into_iter().flatten().collect()))
    }

    /// The outputs on chain.
    pub(super) fn registered(&self) -> OnPins {
        self.known.outputs.iter().copied().collect()
    }

    fn votes_in(&self, node: &LogNode) -> Vec<Vote> {
        let votes = node.content().body.iter();
        let votes = votes.filter_map(|message| Vote::from_message(message).ok().flatten());
        votes
            .filter(|vote| vote.computation() == self.computation)
            .collect()
    }
}

fn on_pins(outputs: &Outputs) -> OnPins {
    outputs.iter().collect()
}

/// Outputs as they are shown.
fn pin_views(outputs: &OnPins) -> Vec<OutputView> {
    let views = outputs.iter().map(|(pin, digest)| OutputView {
        pin: (*pin).into(),
        cid: data_cid(*digest),
    });
    views.collect()
}

fn text<S: serde::Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

impl GateReport {
    fn tell(&self, out: Out) -> Result<(), ExitError> {
        let outputs = |outputs: &[OutputView]| gate_text::outputs(outputs);
        out.line(format_args!("gate      {}", self.gate))?;
        out.line(format_args!("operation {}", self.operation))?;
        out.line(format_args!("on chain  {}", outputs(&self.registered)))?;
        out.line(format_args!("computed  {}", outputs(&self.computed)))?;
        out.line(match self.right {
            true => "right     what is on chain is what the program gives",
            false => "WRONG     what is on chain is not what the program gives",
        })?;
        out.line(format_args!("ring      {}  {}", self.ring, self.keeping))?;
        if self.signers.is_empty() {
            out.line("signers   not known: the chain's endpoint does not keep the transaction")?;
        }
        for member in &self.members {
            let signed = match self.signers.contains(&member.address) {
                true => ", signed what is on chain",
                false => "",
            };
            let vote = match member.right {
                Some(true) => "voted right".to_owned(),
                Some(false) => format!("DIVERGED: voted for {}", outputs(&member.voted)),
                None => "no vote found".to_owned(),
            };
            out.line(format_args!("member    {}  {vote}{signed}", member.address))?;
        }
        Ok(())
    }
}
