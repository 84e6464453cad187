//! `rings verify`: a result repeated from chain and blocks alone.
//!
//! Nothing that a member says is believed: blocks are hashed, log nodes and the signatures on the result are
//! checked, and what the program gives is computed here, in a worker.

use super::{
    args::{GateArgs, VerifyArgs},
    failure::{Failure, Status},
    files::members,
    out::Out,
    ringdir::{RingDir, RingFile},
    up::check_chain,
    worker_pool,
};
use crate::{
    execute::{execute, Bounds, Execution, TaskContext},
    http::{api::OutputView, Client, GatewaySource, Pin},
};
use cid::Cid;
use futures::future::join_all;
use rings_chain::{Chain, ChainError, GateHistory, Registration};
use rings_compute::Pool;
use rings_protocol::{
    cids::data_cid, eip712::Domain, gate::GateInput, log::LogNode, message::Vote, Address, Digest,
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Log nodes asked for at once.
const PAGE: u32 = 200;
/// Most pages of one log that are searched.
const MAX_PAGES: usize = 5_000;

/// Pins and the digests of their data, in order of pins.
pub(super) type Outputs = BTreeMap<u128, Digest>;

/// What was found; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    gate: Address,
    ring: Address,
    #[serde(serialize_with = "text")]
    operation: Cid,
    right: bool,
    registered: Vec<OutputView>,
    computed: Vec<OutputView>,
    fuel: u64,
    signers: Vec<Address>,
    members: Vec<MemberReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberReport {
    address: Address,
    /// `null` when no vote was found.
    right: Option<bool>,
    voted: Vec<OutputView>,
}

/// `rings verify`
///
/// # Errors
/// Status 1 when the result on chain is wrong, 5 when it cannot be repeated.
pub async fn verify(args: VerifyArgs, out: Out) -> Result<(), Failure> {
    let args = args.gate;
    let ground = Ground::of(&args).await?;
    let (chain, members) = (&ground.chain, ground.members().await?);
    let found = Question::of(chain, &ground.file, args.gate).await?;
    let step = out.step("running the program again");
    let pool = worker_pool::open()?;
    let execution = found.repeat(chain, &members, &pool).await;
    pool.shutdown().await;
    let execution = execution?;
    drop(step);
    let step = out.step("reading the members' logs");
    let report = found.report(chain, &members, &execution).await?;
    drop(step);
    match args.show.json {
        true => out.json(&report)?,
        false => report.tell(out)?,
    }
    match report.right {
        true => Ok(()),
        false => Err(Failure::new(
            Status::Internal,
            format!(
                "the result of gate {} on chain is wrong; its signers are the members named above",
                args.gate
            ),
        )),
    }
}

/// What a result is repeated from.
pub(super) struct Ground {
    pub(super) file: RingFile,
    pub(super) chain: Chain,
    dir: RingDir,
    clients: Vec<Client>,
}

impl Ground {
    pub(super) async fn of(args: &GateArgs) -> Result<Self, Failure> {
        let dir = args.show.dir.dir();
        let file = dir.read()?;
        let chain = file.chain().await?;
        check_chain(&dir, &file, &chain).await?;
        let clients = dir.clients(&file)?;
        Ok(Self {
            file,
            chain,
            dir,
            clients,
        })
    }

    /// Members that answer.
    pub(super) async fn members(&self) -> Result<Vec<&Client>, Failure> {
        members(&self.dir, &self.clients).await
    }
}

/// What the chain says about the gate.
pub(super) struct Question {
    pub(super) gate: Address,
    pub(super) history: GateHistory,
    registration: Registration,
    ring: Address,
    ready: u64,
    operation: Cid,
    pub(super) inputs: Vec<Cid>,
}

impl Question {
    pub(super) async fn of(chain: &Chain, file: &RingFile, gate: Address) -> Result<Self, Failure> {
        let history = match chain.gate_history(file.engine, gate).await {
            Err(ChainError::NotAContract { .. }) => {
                let what = format!("there is no gate {gate} of this engine; see `rings status`");
                return Err(Failure::usage(what));
            }
            history => history?,
        };
        let unresolved = || {
            Failure::usage(format!(
                "gate {gate} has no result yet; see `rings gate show {gate}`"
            ))
        };
        let ready = history.ready.ok_or_else(unresolved)?;
        let (ring, registration) = registration(chain, &history, gate)
            .await?
            .ok_or_else(unresolved)?;
        let mut data = Vec::with_capacity(history.spec.inputs.len());
        for input in &history.spec.inputs {
            data.push(data_cid(
                digest(chain, &history, *input, ready.number).await?,
            ));
        }
        let (operation, inputs) = data
            .split_first()
            .ok_or_else(|| Failure::unavailable(format!("gate {gate} has no operation")))?;
        Ok(Self {
            gate,
            ring,
            registration,
            ready: ready.timestamp,
            operation: *operation,
            inputs: inputs.to_vec(),
            history,
        })
    }

    /// Computes the outputs here, storing nothing.
    pub(super) async fn repeat(
        &self,
        chain: &Chain,
        members: &[&Client],
        pool: &Pool,
    ) -> Result<Execution, Failure> {
        let urls: Vec<_> = members.iter().map(|member| member.url()).collect();
        let source = Arc::new(GatewaySource::new(&urls)?);
        let context = TaskContext {
            chain_id: chain.id(),
            ring: self.ring,
            gate: self.gate,
            ready_timestamp: self.ready,
            outputs: self.history.spec.outputs,
            member: Address::default(),
            bounds: Bounds::NONE,
        };
        let execution = execute(pool, source, None, self.operation, &self.inputs, context).await;
        execution.map_err(|error| {
            Failure::unavailable(format!("gate {} cannot be repeated here", self.gate))
                .because(error)
        })
    }

    async fn report(
        &self,
        chain: &Chain,
        members: &[&Client],
        execution: &Execution,
    ) -> Result<Report, Failure> {
        let computed: Outputs = execution.outputs.iter().copied().collect();
        let registered = self.registered();
        let domain = Domain::new(chain.id(), self.ring);
        let accounts = chain.ring_state(self.ring).await?.members;
        let votes = accounts
            .iter()
            .map(|account| self.votes(members, &domain, *account));
        let votes = join_all(votes).await;
        let members = accounts.iter().zip(votes).map(|(address, votes)| {
            // A member that voted twice is known by its wrong vote.
            let shown = votes
                .iter()
                .find(|vote| **vote != computed)
                .or(votes.first());
            MemberReport {
                address: *address,
                right: shown.map(|vote| *vote == computed),
                voted: shown.map(views).unwrap_or_default(),
            }
        });
        Ok(Report {
            gate: self.gate,
            ring: self.ring,
            operation: self.operation,
            right: computed == registered,
            registered: views(&registered),
            computed: views(&computed),
            fuel: execution.fuel,
            signers: self.registration.signers.clone(),
            members: members.collect(),
        })
    }

    /// What is on chain.
    pub(super) fn registered(&self) -> Outputs {
        let Registration { pins, cids, .. } = &self.registration;
        pins.iter().copied().zip(cids.iter().copied()).collect()
    }

    /// What `account` voted for in its log, as far as anybody has it.
    async fn votes(&self, members: &[&Client], domain: &Domain, account: Address) -> Vec<Outputs> {
        for member in members {
            let votes = self.votes_at(member, domain, account).await;
            if !votes.is_empty() {
                return votes;
            }
        }
        Vec::new()
    }

    /// The same, from one member's copy of the log. Nodes that do not check are passed over.
    async fn votes_at(&self, member: &Client, domain: &Domain, account: Address) -> Vec<Outputs> {
        let (mut from, mut found) = (None, Vec::new());
        for _ in 0..MAX_PAGES {
            let Ok(page) = member.log(self.ring, account, from, PAGE).await else {
                break;
            };
            for entry in &page.nodes {
                let node = LogNode::open(&entry.bytes.0, domain).ok();
                let node = node.filter(|node| node.author() == account);
                found.extend(node.iter().flat_map(|node| self.votes_in(node)));
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        found
    }

    fn votes_in(&self, node: &LogNode) -> Vec<Outputs> {
        let votes = node.content().body.iter();
        let votes = votes.filter_map(|message| Vote::from_message(message).ok().flatten());
        let votes = votes.filter(|vote| vote.gate == self.gate);
        votes.map(|vote| vote.outputs.iter().collect()).collect()
    }
}

/// The ring that registered the result, and how.
async fn registration(
    chain: &Chain,
    history: &GateHistory,
    gate: Address,
) -> Result<Option<(Address, Registration)>, Failure> {
    for ring in &history.spec.rings {
        if let Some(registration) = chain.registration(*ring, gate).await? {
            return Ok(Some((*ring, registration)));
        }
    }
    Ok(None)
}

/// The data on an input pin. A variable counts as it stood in the block that made the gate ready.
async fn digest(
    chain: &Chain,
    history: &GateHistory,
    input: GateInput,
    ready: u64,
) -> Result<Digest, Failure> {
    let scope = history.spec.scope;
    match input {
        GateInput::Token(token) if token.is_variable() => {
            Ok(chain.read_data_at(scope, token, ready).await?)
        }
        GateInput::Token(token) => Ok(chain.read_data(scope, token).await?),
        GateInput::Output { gate, pin } => {
            let token = chain.output_of(gate, pin).await?.ok_or_else(|| {
                Failure::unavailable(format!("output {pin} of gate {gate} is not set"))
            })?;
            let scope = chain.gate_spec(gate).await?.scope;
            Ok(chain.read_data(scope, token).await?)
        }
    }
}

fn views(outputs: &Outputs) -> Vec<OutputView> {
    let views = outputs.iter().map(|(pin, digest)| OutputView {
        pin: Pin(*pin),
        cid: data_cid(*digest),
    });
    views.collect()
}

fn text<S: serde::Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

impl Report {
    fn tell(&self, out: Out) -> Result<(), Failure> {
        let outputs = |outputs: &[OutputView]| super::show::outputs(outputs);
        out.line(format_args!("gate      {}", self.gate))?;
        out.line(format_args!("operation {}", self.operation))?;
        out.line(format_args!("on chain  {}", outputs(&self.registered)))?;
        out.line(format_args!("computed  {}", outputs(&self.computed)))?;
        out.line(match self.right {
            true => "right     what is on chain is what the program gives",
            false => "WRONG     what is on chain is not what the program gives",
        })?;
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
