//! `rings ring show` and `rings gate show`: one thing, as the first member that answers sees it, or as the chain alone
//! tells.
//!
//! Each asks members over JSON-RPC and prints the view that comes back, as JSON or as text for people (`gate_text.rs`).
//! What disagrees is written in capitals: a member that voted for another result, or that forked its log. Who can
//! change the membership is read from the chain.
//!
//! Without a directory and without `--member` there is nobody to ask, so the same view is made from the chain alone,
//! and what only members know is missing.

use super::{
    args::{GateArgs, ShowArgs},
    ether::is_little,
    exit::ExitError,
    gate_text::GateText,
    known::known,
    out::Out,
    place::Place,
    status::has_quorum,
    terms::KeepingView,
};
use rings_api::{
    views::{
        ForkView, GateState, GateTimes, GateView, InputView, MemberView, ResultView, RingView,
    },
    Uint96,
};
use rings_chain::{Chain, ChainError, RingState};
use rings_network::address_texts;
use rings_protocol::{gate::GateSpec, Address};
use serde::Serialize;
use std::fmt::{self, Display};

/// `rings ring show`
///
/// # Errors
/// When no member answers, or the chain cannot be asked.
pub async fn ring(args: ShowArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.place).await?;
    let file = &place.file;
    let seen = match place.dir.is_some() || place.knows_members() {
        true => Some(place.members().await?[0].ring(file.ring).await?),
        false => None,
    };
    let chain = place.chain().await?;
    let state = chain.ring_state(file.ring).await?;
    let view = RingAndKeeping {
        keeping: KeepingView::of(&state),
        is_seen: seen.is_some(),
        ring: match seen {
            Some(ring) => ring,
            None => on_chain(&chain, file.ring, &state).await?,
        },
    };
    match args.json {
        true => out.json(&view),
        false => out.line(&view),
    }
}

/// A ring as the chain alone tells of it.
async fn on_chain(chain: &Chain, ring: Address, state: &RingState) -> Result<RingView, ExitError> {
    let mut members = Vec::with_capacity(state.members.len());
    for address in &state.members {
        let contact = chain.contact(ring, *address).await?;
        let bytes = contact.map(|contact| contact.multiaddress);
        let multiaddresses = address_texts(&bytes.unwrap_or_default());
        members.push(MemberView {
            address: *address,
            peer_id: None,
            multiaddress: multiaddresses.first().cloned(),
            multiaddresses,
            program: None,
            connected: false,
            last_seen: None,
            head: None,
            diverged: Vec::new(),
            forked: false,
            stalled: 0,
            held_back: None,
        });
    }
    Ok(RingView {
        ring,
        engine: state.engine,
        keeper: state.keeping.keeper,
        epoch: state.epoch,
        quorum: state.quorum,
        ring_node_head: state.ring_node_head,
        forks: Vec::new(),
        members,
    })
}

/// `rings gate show`
///
/// # Errors
/// Status 2 when there is no such gate, 5 when no member answers.
pub async fn gate(args: GateArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.show.place).await?;
    let (view, is_seen) = match place.dir.is_some() || place.knows_members() {
        true => (place.members().await?[0].gate(args.gate).await?, true),
        false => (gate_on_chain(&place, args.gate).await?, false),
    };
    if view.state == GateState::Unknown {
        // Whether there is such a gate at all.
        gate_spec(&place, &place.chain().await?, args.gate).await?;
    }
    let waits_for = match has_quorum(&view) {
        true => Some(short_of_ether(&place, &view).await),
        false => None,
    };
    match args.show.json {
        true => out.json(&view),
        false => out.line(GateText {
            gate: &view,
            is_seen,
            waits_for,
        }),
    }
}

/// What a gate asks.
async fn gate_spec(place: &Place, chain: &Chain, gate: Address) -> Result<GateSpec, ExitError> {
    match chain.gate_spec(place.file.engine, gate).await {
        Err(ChainError::NotAContract { .. }) => Err(ExitError::usage(format!(
            "there is no gate {gate} of engine {}; see `rings gate list`",
            place.file.engine
        ))),
        spec => Ok(spec?),
    }
}

/// A gate as the chain alone tells of it: without votes.
async fn gate_on_chain(place: &Place, gate: Address) -> Result<GateView, ExitError> {
    let chain = place.chain().await?;
    let spec = gate_spec(place, &chain, gate).await?;
    let state = chain.gate_state(gate).await?;
    let known = known(&chain, &spec, gate).await?;
    let ring = chain.ring_state(place.file.ring).await?;
    let results = known.as_ref().map(|known| known.outputs.iter());
    Ok(GateView {
        gate,
        state: match (state.failed, state.resolved, state.ready) {
            (true, ..) => GateState::Failed,
            (_, true, _) => GateState::Resolved,
            (_, _, true) => GateState::Ready,
            _ => GateState::Waiting,
        },
        reason: None,
        scope: Some(spec.scope),
        inputs: spec.inputs.iter().map(InputView::from).collect(),
        outputs: Uint96(spec.outputs),
        rings: spec.rings,
        epoch: ring.epoch,
        quorum: ring.quorum,
        result: results.map(|outputs| {
            outputs
                .map(|(pin, digest)| ResultView::new(*pin, *digest))
                .collect()
        }),
        votes: Vec::new(),
        silent: Vec::new(),
        transaction: known.as_ref().and_then(|known| known.transaction),
        block: known.as_ref().and_then(|known| known.block),
        is_final: false,
        milliseconds: GateTimes::default(),
        notes: Vec::new(),
    })
}

/// The members that cannot pay for a transaction now, of those that could register the result.
async fn short_of_ether(place: &Place, view: &GateView) -> Vec<Address> {
    let Ok(chain) = place.chain().await else {
        return Vec::new();
    };
    let voters = view.votes.iter().map(|vote| vote.member);
    let mut short = Vec::new();
    for member in voters.chain(view.silent.iter().copied()) {
        if chain.balance(member).await.is_ok_and(is_little) {
            short.push(member);
        }
    }
    short
}

/// A ring as a member sees it, and who can change its membership as the chain says it; also the JSON.
#[derive(Serialize)]
struct RingAndKeeping {
    #[serde(flatten)]
    ring: RingView,
    keeping: KeepingView,
    /// Whether a member has told of the others; otherwise all is from the chain.
    #[serde(skip)]
    is_seen: bool,
}

impl Display for RingAndKeeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = &self.ring;
        writeln!(f, "ring    {}", ring.ring)?;
        writeln!(f, "engine  {}", ring.engine)?;
        writeln!(f, "change  {}", self.keeping)?;
        writeln!(f, "epoch   {}", ring.epoch)?;
        // Who was put out is counted until the entry delay is over, so these are not always the members.
        let (quorum, counted) = (self.keeping.quorum, self.keeping.counted);
        writeln!(f, "quorum  {quorum} of {counted}")?;
        write!(f, "members")?;
        ring.members
            .iter()
            .try_for_each(|member| member_text(f, member, self.is_seen))?;
        ring.forks
            .iter()
            .try_for_each(|fork| write!(f, "\n{}", fork_text(fork)))
    }
}

fn member_text(f: &mut fmt::Formatter<'_>, member: &MemberView, is_seen: bool) -> fmt::Result {
    write!(f, "\n  {}", member.address)?;
    if !is_seen {
        return write!(f, "  {}", addresses(member));
    }
    f.write_str(match member.connected {
        true => "  connected",
        false => "  not connected",
    })?;
    if let Some(head) = &member.head {
        write!(f, ", log node {} ({})", head.seq, head.cid)?;
    }
    write!(f, "\n    {}", or_none(member.peer_id.as_deref()))?;
    write!(f, "  {}", addresses(member))?;
    for gate in &member.diverged {
        write!(
            f,
            "\n    DIVERGED on gate {gate}: it voted against what was registered"
        )?;
    }
    if member.forked {
        f.write_str("\n    FORKED: it signed two nodes for one position of its log")?;
    }
    Ok(())
}

fn addresses(member: &MemberView) -> String {
    match member.multiaddresses.is_empty() {
        true => or_none(member.multiaddress.as_deref()).to_owned(),
        false => member.multiaddresses.join(", "),
    }
}

/// What became of a fork.
fn fork_text(fork: &ForkView) -> String {
    let ForkView { member, seq, .. } = fork;
    let became = match fork.proven {
        true => "proven on chain",
        false => "not proven on chain yet",
    };
    format!("FORK    {member} signed two nodes for position {seq} of its log: {became}")
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}
