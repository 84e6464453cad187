//! What is shown of client rings: which are kept, where their logs end, and pages of those logs.

use super::{keeper::Clients, newcomers::must_rotate, refusal::of_state};
use crate::{dag_json::as_dag_json, state::ClientFork};
use rings_api::{
    client_rings::{ClientForkView, ClientHeadView, ClientRingView, ClientRingsView},
    views::{LogEntry, LogPage},
    ApiError, HexBytes,
};
use rings_protocol::{cids::node_cid, flush::HeldLogs, Address};

/// Client rings in one answer.
const RINGS_SHOWN: usize = 100;
/// Heads that are shown of one ring.
const HEADS_SHOWN: usize = 1024;
/// Most log nodes in one page.
const MAX_PAGE: u32 = 1000;
/// Bytes of nodes after which a page ends.
const PAGE_BYTES: usize = 2 << 20;

impl Clients {
    /// One client ring that is kept, or a page of all behind one.
    pub(super) fn show_rings(
        &self,
        ring: Option<Address>,
        from: Option<Address>,
    ) -> Result<ClientRingsView, ApiError> {
        let (rings, next) = match ring {
            Some(ring) => (vec![ring], None),
            None => {
                let mut rings = self.state.rings(from, RINGS_SHOWN + 1).map_err(of_state)?;
                let has_more = rings.len() > RINGS_SHOWN;
                rings.truncate(RINGS_SHOWN);
                let next = rings.last().copied().filter(|_| has_more);
                (rings, next)
            }
        };
        let mut shown = Vec::with_capacity(rings.len());
        let members = self.parts.ring.snapshot().members;
        for ring in rings {
            let heads = self.state.heads_of(ring, HEADS_SHOWN).map_err(of_state)?;
            let forks = self.state.forks_of(ring).map_err(of_state)?;
            let keeping = self.state.keeping(ring).map_err(of_state)?;
            if heads.is_empty() && keeping.is_none() {
                continue;
            }
            shown.push(ClientRingView {
                ring,
                bytes: self.state.size(ring).map_err(of_state)?,
                rotate: keeping.is_some_and(|keeping| must_rotate(&keeping, &members)),
                heads: heads
                    .into_iter()
                    .map(|head| ClientHeadView {
                        avatar: head.author,
                        seq: head.tip.seq,
                        head: head.tip.digest,
                        since: head.since,
                    })
                    .collect(),
                forks: forks
                    .into_iter()
                    .map(|(avatar, fork)| fork_view(avatar, &fork))
                    .collect::<Result<_, _>>()?,
            });
        }
        Ok(ClientRingsView { rings: shown, next })
    }

    /// A page of an avatar's log, newest first.
    pub(super) async fn show_log(
        &self,
        (ring, avatar): (Address, Address),
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError> {
        let Some(tip) = self.state.held(ring).tip(avatar).map_err(of_state)? else {
            self.keeps_now(ring).await?;
            return Ok(LogPage {
                nodes: Vec::new(),
                next: None,
                held_from: None,
            });
        };
        let newest = from.map_or(tip.seq, |from| from.min(tip.seq));
        let count = u64::from(limit.clamp(1, MAX_PAGE)).min(newest + 1);
        let oldest = newest + 1 - count;
        let digests = self
            .state
            .client_nodes((ring, avatar), oldest, count as usize);
        let (mut room, mut next) = (PAGE_BYTES, oldest.checked_sub(1));
        let mut nodes = Vec::new();
        let named = (oldest..).zip(digests.map_err(of_state)?);
        for (seq, digest) in named.collect::<Vec<_>>().into_iter().rev() {
            if room == 0 {
                next = Some(seq);
                break;
            }
            let unreadable = |error| ApiError::internal("a log node cannot be read", error);
            let data = self.parts.store.get(&node_cid(digest)).await;
            let data = data.map_err(unreadable)?.ok_or_else(|| {
                ApiError::internal("a log node cannot be read", "its block is missing")
            })?;
            room = room.saturating_sub(data.len());
            let bytes = data.to_vec();
            let node = as_dag_json(&bytes);
            let node =
                node.map_err(|error| ApiError::internal("a log node cannot be shown", error))?;
            nodes.push(LogEntry {
                unsealed: None,
                cid: node_cid(digest),
                seq,
                bytes: HexBytes(bytes),
                node,
            });
        }
        Ok(LogPage {
            nodes,
            next,
            held_from: None,
        })
    }
}

fn fork_view(avatar: Address, fork: &ClientFork) -> Result<ClientForkView, ApiError> {
    let claim = fork.claim().map_err(of_state)?;
    Ok(ClientForkView {
        avatar,
        seq: fork.seq,
        proven: fork.is_proven,
        claim: HexBytes(claim.to_bytes()),
    })
}
