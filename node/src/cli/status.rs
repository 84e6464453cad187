//! `rings status`: all of a ring on this machine at one glance, also when parts of it are down.

use super::{
    anvil,
    args::ShowArgs,
    failure::Failure,
    out::Out,
    process,
    ringdir::{MemberEntry, RingDir, RingFile},
    up::check_chain,
};
use crate::http::{
    api::{Head, MemberView, RingView, Status},
    Client,
};
use futures::future::join_all;
use rings_chain::{watch, Chain, ChainEvent, RingState, Update, WatchConfig};
use rings_protocol::Address;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Time for a member to answer.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// Gates that are shown, the newest.
const GATES_SHOWN: usize = 20;
/// Blocks that are searched for gates.
const BLOCKS_SEARCHED: u64 = 20_000;
/// Pages of events that wait to be read.
const PAGES: usize = 4;
/// Blocks in a page of events.
const PAGE: u64 = 5_000;

/// All of it; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    chain: ChainView,
    engine: Address,
    scope: Address,
    ring: Address,
    epoch: Option<u64>,
    quorum: Option<u64>,
    members: Vec<Member>,
    gates: Vec<Gate>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainView {
    id: u64,
    url: String,
    pid: Option<u32>,
    block: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    address: Address,
    peer_id: String,
    rpc_url: String,
    pid: Option<u32>,
    /// Whether it answers, and follows its chain.
    following: bool,
    peers: Option<u32>,
    block: Option<u64>,
    /// Identity of its WebAssembly engine.
    compute: Option<String>,
    head: Option<Head>,
    /// Milliseconds since 1970 when another member last heard it.
    last_seen: Option<u64>,
    diverged: Vec<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Gate {
    gate: Address,
    state: &'static str,
    block: u64,
}

/// `rings status`
///
/// # Errors
/// When there is no ring in the directory, or its chain is another one.
pub async fn status(args: ShowArgs, out: Out) -> Result<(), Failure> {
    let dir = args.dir.dir();
    let file = dir.read()?;
    let view = View::of(&dir, &file).await?;
    match args.json {
        true => out.json(&view),
        false => out.line(&view),
    }
}

impl View {
    async fn of(dir: &RingDir, file: &RingFile) -> Result<Self, Failure> {
        let clients = dir.clients(file)?;
        let (chain, members) = tokio::join!(chain(dir, file), members(dir, file, &clients));
        let (block, state, gates) = match chain? {
            Some(found) => (Some(found.block), Some(found.state), found.gates),
            None => (None, None, Vec::new()),
        };
        Ok(Self {
            chain: ChainView {
                id: file.chain_id,
                url: file.rpc_url.clone(),
                pid: anvil::running(dir),
                block,
            },
            engine: file.engine,
            scope: file.scope,
            ring: file.ring,
            epoch: state.as_ref().map(|state| state.epoch),
            quorum: state.as_ref().map(|state| state.quorum),
            members,
            gates,
        })
    }
}

/// What the chain says.
struct Found {
    block: u64,
    state: RingState,
    gates: Vec<Gate>,
}

/// `None` when the chain does not run.
async fn chain(dir: &RingDir, file: &RingFile) -> Result<Option<Found>, Failure> {
    if file.own_chain && anvil::running(dir).is_none() {
        return Ok(None);
    }
    let chain = file.chain().await?;
    check_chain(dir, file, &chain).await?;
    let block = chain.block_number().await?;
    Ok(Some(Found {
        block,
        state: chain.ring_state(file.ring).await?,
        gates: gates(chain, file, block).await,
    }))
}

/// The newest gates up to `head`, oldest first.
async fn gates(chain: Chain, file: &RingFile, head: u64) -> Vec<Gate> {
    let config = WatchConfig {
        engine: file.engine,
        ring: file.ring,
        start_block: file.start_block.max(head.saturating_sub(BLOCKS_SEARCHED)),
        confirmations: 0,
        poll: ASK_LIMIT,
        page: PAGE,
    };
    let (pages, mut updates) = mpsc::channel(PAGES);
    let watching = watch(chain, config, Vec::new(), pages, CancellationToken::new());
    let collecting = async {
        let mut found = BTreeMap::new();
        while let Some(Update::Page { events, cursor, .. }) = updates.recv().await {
            for located in events {
                note(&mut found, &located.event, located.block.number);
            }
            if cursor.number >= head {
                break;
            }
        }
        found
    };
    let found = tokio::select! {
        found = collecting => found,
        _ = watching => BTreeMap::new(),
    };
    let mut gates: Vec<_> = found.into_values().collect();
    gates.sort_by_key(|gate: &Gate| gate.block);
    gates.split_off(gates.len().saturating_sub(GATES_SHOWN))
}

fn note(found: &mut BTreeMap<Address, Gate>, event: &ChainEvent, block: u64) {
    let (gate, state) = match event {
        ChainEvent::GateCreated { gate, .. } => (*gate, "open"),
        ChainEvent::GateResolved { gate, .. } => (*gate, "resolved"),
        ChainEvent::GateFailed { gate, .. } => (*gate, "failed"),
        _ => return,
    };
    let known = found.entry(gate).or_insert(Gate { gate, state, block });
    // A gate that failed resolves with it.
    if known.state != "failed" {
        known.state = state;
    }
}

async fn members(dir: &RingDir, file: &RingFile, clients: &[Client]) -> Vec<Member> {
    let asked = clients.iter().map(|client| async {
        let own = tokio::time::timeout(ASK_LIMIT, client.status());
        let all = tokio::time::timeout(ASK_LIMIT, client.ring(file.ring));
        let (own, all) = tokio::join!(own, all);
        (own.ok().and_then(Result::ok), all.ok().and_then(Result::ok))
    });
    let (own, views): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
    let views: Vec<RingView> = views.into_iter().flatten().collect();
    let entries = file.members.iter().zip(own).enumerate();
    entries
        .map(|(index, (entry, own))| member(dir, index, entry, own, &views))
        .collect()
}

/// A member by its own words, and by those of the others where it says nothing.
fn member(
    dir: &RingDir,
    index: usize,
    entry: &MemberEntry,
    own: Option<Status>,
    views: &[RingView],
) -> Member {
    let seen: Vec<&MemberView> = views
        .iter()
        .flat_map(|view| &view.members)
        .filter(|member| member.address == entry.address)
        .collect();
    let of_others = || {
        seen.iter()
            .filter_map(|member| member.head)
            .max_by_key(|head| head.seq)
    };
    let mut diverged: Vec<_> = seen
        .iter()
        .flat_map(|member| &member.diverged)
        .copied()
        .collect();
    diverged.sort_unstable();
    diverged.dedup();
    Member {
        address: entry.address,
        peer_id: entry.peer_id.clone(),
        rpc_url: entry.rpc_url.clone(),
        pid: process::holder(&dir.member(index).lock()),
        following: own.as_ref().is_some_and(|own| own.following),
        peers: own.as_ref().map(|own| own.peers),
        block: own.as_ref().map(|own| own.block),
        compute: own.as_ref().map(|own| own.engine.clone()),
        head: own.as_ref().and_then(|own| own.head).or_else(of_others),
        last_seen: seen.iter().filter_map(|member| member.last_seen).max(),
        diverged,
    }
}

impl Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChainView {
            id,
            url,
            pid,
            block,
        } = &self.chain;
        write!(f, "chain    {id} at {url}")?;
        match (block, pid) {
            (Some(block), Some(pid)) => writeln!(f, ", block {block}, process {pid}")?,
            (Some(block), None) => writeln!(f, ", block {block}")?,
            (None, _) => writeln!(f, ", does not run (`rings up` starts it)")?,
        }
        writeln!(f, "engine   {}\nscope    {}", self.engine, self.scope)?;
        write!(f, "ring     {}", self.ring)?;
        if let (Some(epoch), Some(quorum)) = (self.epoch, self.quorum) {
            write!(
                f,
                ", epoch {epoch}, quorum {quorum} of {}",
                self.members.len()
            )?;
        }
        for (index, member) in self.members.iter().enumerate() {
            write!(f, "\nmember {index} {member}")?;
        }
        self.compute_text(f)?;
        for gate in &self.gates {
            write!(
                f,
                "\ngate     {}  {}, block {}",
                gate.gate, gate.state, gate.block
            )?;
        }
        Ok(())
    }
}

impl View {
    /// The members' WebAssembly engine; or their engines, which may be why results differ.
    fn compute_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut engines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(engine) = &member.compute {
                engines.entry(engine).or_default().push(index);
            }
        }
        let differ = engines.len() > 1;
        for (engine, members) in &engines {
            write!(f, "\ncompute  {engine}")?;
            if differ {
                let members: Vec<_> = members.iter().map(ToString::to_string).collect();
                write!(f, "  of member {}: THE ENGINES DIFFER", members.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.address)?;
        match (self.pid, self.following, self.peers) {
            (None, ..) => f.write_str("DOWN")?,
            (Some(pid), true, Some(peers)) => write!(f, "process {pid}, {peers} peers")?,
            (Some(pid), false, Some(_)) => write!(f, "process {pid}, DOES NOT FOLLOW the chain")?,
            (Some(pid), _, None) => write!(f, "process {pid}, DOES NOT ANSWER")?,
        }
        if let Some(head) = self.head {
            write!(f, ", log node {}", head.seq)?;
        }
        if let Some(seen) = self.last_seen {
            write!(f, ", seen {} s ago", seconds_since(seen))?;
        }
        write!(f, "\n         {}  {}", self.peer_id, self.rpc_url)?;
        for gate in &self.diverged {
            write!(f, "\n         DIVERGED on gate {gate}")?;
        }
        Ok(())
    }
}

fn seconds_since(milliseconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    now.saturating_sub(milliseconds / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::gate::GateSpec;

    #[test]
    fn a_gate_that_failed_stays_failed() {
        let (gate, ring) = (Address([1; 20]), Address([2; 20]));
        let spec = GateSpec {
            scope: ring,
            rings: vec![ring],
            inputs: Vec::new(),
            outputs: 1,
            salt: Default::default(),
        };
        let mut found = BTreeMap::new();
        note(&mut found, &ChainEvent::GateCreated { gate, spec }, 5);
        assert_eq!(found[&gate].state, "open");
        note(&mut found, &ChainEvent::GateFailed { gate, ring }, 7);
        note(&mut found, &ChainEvent::GateResolved { gate, ring }, 7);
        let expected = Gate {
            gate,
            state: "failed",
            block: 5,
        };
        assert_eq!(found[&gate], expected);
    }
}
