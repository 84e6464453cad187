//! `rings status`: the whole of a ring, also when parts of it are down.
//!
//! It joins what `ring.json` says, what the chain says (height, membership, balances, the newest gates), what each
//! member says of itself, and, for a member that does not answer, what the others say of it. Parts that cannot be asked
//! are shown as such; the command fails only when there is no ring. `status_text.rs` writes it for people.
//!
//! All parts are asked at the same time, each with a limit, so one dead member costs seconds and no more. [`View`] is
//! also the JSON, which is an interface.

use super::{
    anvil,
    args::ShowArgs,
    ether::{balances, is_short},
    exit::ExitError,
    gates::{search, Gate, GateState},
    kept::{kept, KeptRing},
    out::Out,
    place::Place,
    process,
    ringdir::{MemberEntry, RingDir, RingFile},
    terms::KeepingView,
};
use futures::future::join_all;
use rings_api::{
    shown_url,
    views::{GateView, Head, MemberView, RingView, Status},
    Client,
};
use rings_chain::{Chain, RingState};
use rings_protocol::Address;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Time for a member to answer.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// How many of the newest gates are shown.
const GATES_SHOWN: usize = 20;
/// How many of the newest open gates are asked about.
const GATES_ASKED: usize = 5;
/// Blocks that are searched for gates.
const BLOCKS_SEARCHED: u64 = 20_000;
/// All of it; also the JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    pub(super) chain: ChainView,
    pub(super) engine: Address,
    pub(super) scope: Address,
    pub(super) ring: Address,
    pub(super) epoch: Option<u64>,
    pub(super) quorum: Option<u64>,
    /// Who can change the membership; `null` when the chain does not run.
    pub(super) keeping: Option<KeepingView>,
    pub(super) members: Vec<Member>,
    /// The client rings whose logs are kept.
    pub(super) client_rings: Vec<KeptRing>,
    /// The newest gates, the oldest of them first.
    pub(super) gates: Vec<Gate>,
    /// Older gates that were found and are not among `gates`.
    pub(super) more_gates: usize,
    /// The first block that was searched for gates; `null` when the chain does not run.
    pub(super) gates_since: Option<u64>,
    /// Gates for which enough members have voted, and whose result is not on chain.
    pub(super) unsubmitted: Vec<Address>,
}

/// The chain, and its process if it is one of this machine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChainView {
    pub(super) id: u64,
    pub(super) url: String,
    pub(super) pid: Option<u32>,
    pub(super) block: Option<u64>,
}

/// A member, as it describes itself or as the others see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) address: Address,
    pub(super) peer_id: String,
    pub(super) rpc_url: String,
    /// Whether it is in the ring now; if not, it is known from `ring.json` only. True when the chain does not run.
    pub(super) is_member: bool,
    pub(super) pid: Option<u32>,
    /// Whether its process belongs to this machine.
    pub(super) local: bool,
    /// Whether it answers, and follows its chain.
    pub(super) following: bool,
    /// What it waits for, where it cannot follow its chain now.
    pub(super) trouble: Option<String>,
    pub(super) peers: Option<u32>,
    pub(super) block: Option<u64>,
    /// The profile that it computes.
    pub(super) compute: Option<String>,
    pub(super) head: Option<Head>,
    /// Milliseconds since 1970 when another member last heard it.
    pub(super) last_seen: Option<u64>,
    pub(super) diverged: Vec<Address>,
    /// Whether somebody has a proof that it signed two nodes for one position of its log.
    pub(super) forked: bool,
    /// How often it did not deliver log nodes, as all others together count.
    pub(super) stalled: u64,
    /// The lowest position from which some member does not hold its log today, because its quota is used up.
    pub(super) held_back: Option<u64>,
    /// Wei of its account, as text, since it may be more than a number of JSON holds; `null` when the chain does not run.
    pub(super) balance: Option<String>,
    /// Whether that will soon not be enough to register results.
    pub(super) low_balance: bool,
    /// How many registrations it can pay for, about, as it says itself.
    pub(super) registrations: Option<u64>,
    /// The program that it is, as it says itself.
    pub(super) program: Option<String>,
    /// Where it can be reached, as it has announced on chain.
    pub(super) announced: Vec<String>,
    /// The other members that are not connected with it, as they say themselves.
    pub(super) unreachable_by: Vec<UnreachableBy>,
    /// What it says itself that somebody should look at.
    pub(super) warnings: Vec<String>,
}

/// A member that is not connected with another one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnreachableBy {
    /// Who says so.
    pub(super) member: Address,
    /// Since when, in milliseconds since 1970.
    pub(super) since: u64,
    /// Why.
    pub(super) reason: String,
}

/// `rings status`
///
/// # Errors
/// When there is no ring, or its chain is another one.
pub async fn status(args: ShowArgs, out: Out) -> Result<(), ExitError> {
    let place = Place::of(&args.place).await?;
    for failure in &place.silent {
        out.warn(failure);
    }
    let view = View::of(&place).await?;
    match args.json {
        true => out.json(&view),
        false => out.line(&view),
    }
}

impl View {
    async fn of(place: &Place) -> Result<Self, ExitError> {
        let (file, pid) = (&place.file, place.dir.as_ref().and_then(anvil::running));
        let clients = file.members.iter().map(|entry| client(place, entry));
        let clients: Vec<_> = clients.collect();
        let on_chain = on_chain(place).await?;
        let entries = entries(file, on_chain.as_ref().map(|(_, state)| state));
        let asked = tokio::join!(
            found(place, on_chain),
            members(place, &entries),
            kept(&clients)
        );
        let (found, mut members, client_rings) = asked;
        let found = found?;
        if let Some(found) = &found {
            for member in &mut members {
                let balance = found.balances.get(&member.address).copied();
                member.balance = balance.map(|wei| wei.to_string());
                member.low_balance = is_short(member.registrations, balance);
            }
        }
        let state = found.as_ref().map(|found| &found.state);
        Ok(Self {
            chain: ChainView {
                id: file.chain_id,
                url: shown_url(&file.rpc_url),
                pid,
                block: found.as_ref().map(|found| found.block),
            },
            engine: file.engine,
            scope: file.scope,
            ring: file.ring,
            epoch: state.map(|state| state.epoch),
            quorum: state.map(|state| state.quorum),
            keeping: state.map(KeepingView::of),
            members,
            client_rings,
            unsubmitted: match &found {
                Some(found) => unsubmitted(place, &found.gates).await,
                None => Vec::new(),
            },
            more_gates: found.as_ref().map_or(0, |found| found.more_gates),
            gates_since: found.as_ref().map(|found| found.since),
            gates: found.map(|found| found.gates).unwrap_or_default(),
        })
    }
}

/// What the chain says.
struct Found {
    block: u64,
    state: RingState,
    balances: BTreeMap<Address, u128>,
    gates: Vec<Gate>,
    more_gates: usize,
    /// The first block that was searched for gates.
    since: u64,
}

/// The ring as the chain has it; `None` when the chain does not run.
async fn on_chain(place: &Place) -> Result<Option<(Chain, RingState)>, ExitError> {
    let file = &place.file;
    let is_down = |dir: &RingDir| file.own_chain && anvil::running(dir).is_none();
    if place.dir.as_ref().is_some_and(is_down) {
        return Ok(None);
    }
    let chain = place.chain().await?;
    let state = chain.ring_state(file.ring).await?;
    Ok(Some((chain, state)))
}

async fn found(
    place: &Place,
    on_chain: Option<(Chain, RingState)>,
) -> Result<Option<Found>, ExitError> {
    let Some((chain, state)) = on_chain else {
        return Ok(None);
    };
    let file = &place.file;
    let block = chain.block_number().await?;
    let since = file.start_block.max(block.saturating_sub(BLOCKS_SEARCHED));
    // A chain whose events cannot be read is shown without gates.
    let mut gates = search(&chain, file, since, block).await.unwrap_or_default();
    let more_gates = gates.len().saturating_sub(GATES_SHOWN);
    Ok(Some(Found {
        block,
        balances: balances(&chain, &state.members).await,
        state,
        gates: gates.split_off(more_gates),
        more_gates,
        since,
    }))
}

/// Of the newest open gates, those for which enough members have voted as one of them says.
async fn unsubmitted(place: &Place, gates: &[Gate]) -> Vec<Address> {
    let open = gates
        .iter()
        .rev()
        .filter(|gate| gate.state == GateState::Open);
    let asked = open.take(GATES_ASKED).map(|gate| async {
        let views = place.clients.iter().map(|client| async {
            let view = tokio::time::timeout(ASK_LIMIT, client.gate(gate.gate)).await;
            view.ok().and_then(Result::ok)
        });
        let views = join_all(views).await.into_iter().flatten();
        let waits = views.into_iter().any(|view| has_quorum(&view));
        waits.then_some(gate.gate)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether enough members have voted for one result that is not on chain.
pub(super) fn has_quorum(view: &GateView) -> bool {
    let mut results = BTreeMap::new();
    for vote in view.votes.iter().filter(|vote| vote.epoch == view.epoch) {
        *results.entry(vote.result).or_insert(0u64) += 1;
    }
    let most = results.into_values().max().unwrap_or_default();
    view.result.is_none() && view.quorum > 0 && most >= view.quorum
}

/// A member, and whether the chain has it in the ring.
struct Listed {
    entry: MemberEntry,
    is_member: bool,
}

/// The members of `ring.json` in their order, which gives them their numbers, and then those that only the chain knows.
fn entries(file: &RingFile, state: Option<&RingState>) -> Vec<Listed> {
    let is_member = |address| state.is_none_or(|state| state.members.contains(address));
    let known = file.members.iter().map(|entry| Listed {
        is_member: is_member(&entry.address),
        entry: entry.clone(),
    });
    let on_chain = state.into_iter().flat_map(|state| &state.members);
    let is_known = |address| file.members.iter().any(|entry| entry.address == address);
    let others = on_chain.filter(|address| !is_known(**address));
    let others = others.map(|address| Listed {
        is_member: true,
        entry: MemberEntry {
            address: *address,
            peer_id: String::new(),
            rpc_url: String::new(),
            pid: None,
        },
    });
    known.chain(others).collect()
}

/// Asks all members at the same time, each for itself and for what it sees of the others. One that does not answer in
/// time is shown as the others see it.
async fn members(place: &Place, entries: &[Listed]) -> Vec<Member> {
    let file = &place.file;
    let asked = entries.iter().map(|listed| async {
        let client = client(place, &listed.entry)?;
        let own = tokio::time::timeout(ASK_LIMIT, client.status());
        let all = tokio::time::timeout(ASK_LIMIT, client.ring(file.ring));
        let (own, all) = tokio::join!(own, all);
        Some((own.ok().and_then(Result::ok), all.ok().and_then(Result::ok)))
    });
    let answers = join_all(asked)
        .await
        .into_iter()
        .map(Option::unwrap_or_default);
    let (own, views): (Vec<_>, Vec<_>) = answers.unzip();
    let views: Vec<RingView> = views.into_iter().flatten().collect();
    let said: Vec<Status> = own.iter().flatten().cloned().collect();
    let numbered = entries.iter().zip(own).enumerate();
    numbered
        .map(|(index, (listed, own))| {
            // Those that only the chain knows have no directory here, whatever is in one of their number.
            let dir = place.dir.as_ref().filter(|_| index < file.members.len());
            Member {
                unreachable_by: unreachable_by(listed.entry.address, &said),
                is_member: listed.is_member,
                ..member(dir, index, &listed.entry, own, &views)
            }
        })
        .collect()
}

/// Who is not connected with a member.
fn unreachable_by(member: Address, said: &[Status]) -> Vec<UnreachableBy> {
    let away = said.iter().flat_map(|by| {
        let own = by.unreachable.iter().filter(|away| away.member == member);
        own.map(|away| UnreachableBy {
            member: by.member,
            since: away.since,
            reason: away.reason.clone(),
        })
    });
    away.collect()
}

/// A client of a member, if its URL is known.
fn client(place: &Place, entry: &MemberEntry) -> Option<Client> {
    let url = shown_url(&entry.rpc_url);
    let mut clients = place.clients.iter();
    let client = clients.find(|client| !entry.rpc_url.is_empty() && client.url() == url);
    client.cloned()
}

/// A member as it describes itself, and where it does not answer, as the others see it.
fn member(
    dir: Option<&RingDir>,
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
    let here = dir.map(|dir| dir.member(index)).filter(|dir| dir.exists());
    Member {
        address: entry.address,
        peer_id: match entry.peer_id.is_empty() {
            true => seen
                .iter()
                .find_map(|member| member.peer_id.clone())
                .unwrap_or_default(),
            false => entry.peer_id.clone(),
        },
        rpc_url: shown_url(&entry.rpc_url),
        is_member: true,
        local: here.is_some(),
        pid: here.and_then(|dir| process::holder(&dir.lock())),
        following: own.as_ref().is_some_and(|own| own.following),
        trouble: own.as_ref().and_then(|own| own.trouble.clone()),
        peers: own.as_ref().map(|own| own.peers),
        block: own.as_ref().map(|own| own.block),
        compute: own.as_ref().map(|own| own.profile.clone()),
        head: own.as_ref().and_then(|own| own.head).or_else(of_others),
        last_seen: seen.iter().filter_map(|member| member.last_seen).max(),
        diverged,
        forked: seen.iter().any(|member| member.forked) || is_proven(entry.address, views),
        stalled: seen.iter().map(|member| member.stalled).sum(),
        held_back: seen.iter().filter_map(|member| member.held_back).min(),
        balance: None,
        low_balance: false,
        registrations: own.as_ref().and_then(|own| own.registrations),
        program: own
            .as_ref()
            .map(|own| format!("rings {}", own.version))
            .or_else(|| seen.iter().find_map(|member| member.program.clone())),
        announced: match seen.first() {
            Some(member) => member.multiaddresses.clone(),
            None => own
                .as_ref()
                .map_or_else(Vec::new, |own| own.announced.clone()),
        },
        unreachable_by: Vec::new(),
        warnings: own.map_or_else(Vec::new, |own| own.warnings),
    }
}

/// Whether a member tells of a fork by an account that may be no member any more.
fn is_proven(account: Address, views: &[RingView]) -> bool {
    let mut forks = views.iter().flat_map(|view| &view.forks);
    forks.any(|fork| fork.member == account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_api::views::{GateState, GateTimes, VoteView};
    use rings_api::Uint96;
    use rings_chain::{ForkRule, Keeping};
    use rings_protocol::Digest;

    fn view(votes: &[(u8, u64)]) -> GateView {
        let votes = (1..).zip(votes).map(|(member, (result, epoch))| VoteView {
            member: Address([member; 20]),
            epoch: *epoch,
            result: Digest([*result; 32]),
            outputs: Vec::new(),
            agrees: None,
            profile: "e".into(),
            fuel: 7,
        });
        GateView {
            gate: Address([9; 20]),
            state: GateState::Ready,
            reason: None,
            scope: None,
            rings: Vec::new(),
            inputs: Vec::new(),
            outputs: Uint96(1),
            epoch: 1,
            quorum: 2,
            result: None,
            votes: votes.collect(),
            silent: Vec::new(),
            transaction: None,
            block: None,
            is_final: false,
            milliseconds: GateTimes::default(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn members_are_those_of_the_chain_and_keep_their_numbers() {
        let entry = |number| MemberEntry {
            address: Address([number; 20]),
            peer_id: "p".into(),
            rpc_url: "http://127.0.0.1:1".into(),
            pid: None,
        };
        let file = RingFile {
            members: (1..=3).map(entry).collect(),
            ..RingFile::empty()
        };
        let told = |state: Option<&RingState>| -> Vec<(u8, bool)> {
            let all = entries(&file, state).into_iter();
            all.map(|listed| (listed.entry.address.0[0], listed.is_member))
                .collect()
        };
        assert_eq!(told(None), [(1, true), (2, true), (3, true)]);
        let mut state = ring_of(&[9, 1, 3]);
        let now = told(Some(&state));
        assert_eq!(now, [(1, true), (2, false), (3, true), (9, true)]);
        state.members.clear();
        assert!(told(Some(&state)).iter().all(|(_, is_member)| !is_member));
    }

    fn ring_of(members: &[u8]) -> RingState {
        RingState {
            block: 1,
            hash: Digest::ZERO,
            members: members.iter().map(|n| Address([*n; 20])).collect(),
            epoch: 1,
            quorum: 2,
            counted: 3,
            keeping: Keeping {
                keeper: None,
                entry_delay: 0,
                fork_rule: ForkRule::Remove,
                pending: Vec::new(),
            },
            engine: Address([8; 20]),
            heads: Vec::new(),
            ring_node_head: Digest::ZERO,
        }
    }

    #[test]
    fn votes_for_one_result_in_one_epoch_make_a_quorum() {
        assert!(!has_quorum(&view(&[])));
        assert!(!has_quorum(&view(&[(1, 1), (2, 1)])));
        assert!(!has_quorum(&view(&[(1, 1), (1, 0)])));
        let mut reached = view(&[(1, 1), (1, 1), (2, 1)]);
        assert!(has_quorum(&reached));
        reached.result = Some(Vec::new());
        assert!(!has_quorum(&reached));
    }
}
