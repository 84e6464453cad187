//! The member as its HTTP side sees it.

use super::{
    blocks::MemberBlocks,
    core::{Input, Progress},
    metrics,
    shared::{Shared, Snapshot},
    state::{Registered, State},
    Opened,
};
use crate::http::{
    api::{
        ApiError, GateState, GateTimes, GateView, Head, InputView, LogEntry, LogPage, MemberView,
        NodeApi, OutputView, ResultView, RingView, Status, StoreStatus, VoteView,
    },
    HexBytes, Pin, Uint96,
};
use async_trait::async_trait;
use rings_chain::Chain;
use rings_network::Network;
use rings_protocol::{
    cids::{data_cid, node_cid},
    circuit::GateRecord,
    gate::GateInput,
    log::Tip,
    member::{Phase, Timings},
    message::Vote,
    quorum::quorum,
    Address, Digest,
};
use rings_store::{BlockSource, BlockStore, StoreSize};
use std::{collections::BTreeSet, fmt, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Blocks behind the chain's head, besides confirmations, at which a member still counts as following.
const LAG: u64 = 64;
/// Most gates named for one member that voted for another result.
const MAX_DIVERGED: usize = 100;
/// Most log nodes in one page.
const MAX_PAGE: u32 = 1000;

/// What answers are made from.
pub struct Api {
    me: Address,
    ring: Address,
    engine: Address,
    requesters: BTreeSet<Address>,
    chain: Chain,
    state: Arc<State>,
    store: Arc<dyn BlockStore>,
    shared: Arc<Shared>,
    network: Network,
    blocks: Arc<MemberBlocks>,
    outbox: mpsc::Sender<Input>,
}

impl Api {
    pub(super) fn new(
        parts: &Opened,
        network: Network,
        blocks: Arc<MemberBlocks>,
        outbox: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            me: parts.key.address(),
            ring: parts.domain.ring,
            engine: parts.engine,
            requesters: parts.requesters.clone(),
            chain: parts.chain.clone(),
            state: Arc::clone(&parts.state),
            store: Arc::clone(&parts.store),
            shared: Arc::clone(&parts.shared),
            network,
            blocks,
            outbox,
        }
    }

    fn followed(&self, ring: Address) -> Result<(), ApiError> {
        match ring == self.ring {
            true => Ok(()),
            false => Err(ApiError::NotFollowed { ring }),
        }
    }

    fn head(&self, member: Address) -> Result<Option<Head>, ApiError> {
        let tip = self.state.tip(member).map_err(memory)?;
        Ok(tip.map(|Tip { seq, digest }| Head {
            seq,
            cid: node_cid(digest),
        }))
    }

    fn member(&self, member: Address, snapshot: &Snapshot) -> Result<MemberView, ApiError> {
        let contact = snapshot.contacts.get(&member);
        let connected = member == self.me
            || contact.is_some_and(|contact| snapshot.connected.contains(&contact.peer));
        Ok(MemberView {
            address: member,
            peer_id: contact.map(|contact| contact.peer.to_string()),
            multiaddress: contact
                .and_then(|contact| rings_network::address_text(&contact.multiaddress)),
            connected,
            last_seen: snapshot.last_seen.get(&member).copied(),
            head: self.head(member)?,
            diverged: self
                .state
                .divergences(member, MAX_DIVERGED)
                .map_err(memory)?,
        })
    }

    async fn progress(&self, gate: Address) -> Progress {
        let (reply, answer) = oneshot::channel();
        match self.outbox.send(Input::Inspect { gate, reply }).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Progress::default(),
        }
    }

    async fn results(
        &self,
        record: &GateRecord,
        registered: Option<&Registered>,
    ) -> Result<Option<Vec<ResultView>>, ApiError> {
        if record.resolved.is_none() {
            return Ok(None);
        }
        let mut results = Vec::new();
        for (pin, set) in &record.outputs {
            let known = registered.and_then(|registered| registered.outputs.get(pin).copied());
            let digest = match known {
                Some(digest) => digest,
                None => self
                    .chain
                    .read_data(record.spec.scope, set.token)
                    .await
                    .map_err(|error| ApiError::internal("the chain cannot be asked", error))?,
            };
            results.push(ResultView {
                pin: Pin(*pin),
                token_id: set.token,
                cid: data_cid(digest),
            });
        }
        Ok(Some(results))
    }

    async fn inputs(&self, record: &GateRecord) -> Result<Vec<InputView>, ApiError> {
        let mut inputs = Vec::new();
        for input in &record.spec.inputs {
            inputs.push(match input {
                GateInput::Output { gate, pin } => InputView::Output {
                    gate: *gate,
                    pin: Pin(*pin),
                },
                GateInput::Token(token) => {
                    let digest = self.chain.read_data(record.spec.scope, *token).await;
                    InputView::Data {
                        cid: data_cid(digest.map_err(|error| {
                            ApiError::internal("the chain cannot be asked", error)
                        })?),
                    }
                }
            });
        }
        Ok(inputs)
    }

    /// How far the gate is, and why if that is not plain.
    fn standing(
        &self,
        record: &GateRecord,
        progress: &Progress,
        snapshot: &Snapshot,
    ) -> (GateState, Option<String>) {
        if record.failed() {
            return (
                GateState::Failed,
                Some(
                    "the ring agreed that the program failed; its record is on the failure pin"
                        .into(),
                ),
            );
        }
        if record.doomed.is_some() {
            return (
                GateState::Failed,
                Some("a gate that it waits for has failed".into()),
            );
        }
        if record.resolved.is_some() {
            return (GateState::Resolved, None);
        }
        if record.ready.is_none() {
            return (GateState::Waiting, None);
        }
        let accepted = |requester| {
            self.requesters.contains(requester) || snapshot.members.binary_search(requester).is_ok()
        };
        if !record.requesters.keys().any(accepted) {
            return (
                GateState::Declined,
                Some(
                    "nobody asked for it whose work this member accepts; see [ring] requesters"
                        .into(),
                ),
            );
        }
        let reason = match &progress.phase {
            Some(Phase::Declined { reason }) => {
                return (GateState::Declined, Some(reason.clone()));
            }
            Some(Phase::Abstaining { reason, .. }) => {
                Some(format!("this member cannot compute it now: {reason}"))
            }
            Some(Phase::Refused) => {
                Some("this member signed another result before and will not contradict it".into())
            }
            _ => None,
        };
        (GateState::Ready, reason)
    }
}

#[async_trait]
impl NodeApi for Api {
    async fn status(&self) -> Result<Status, ApiError> {
        let snapshot = self.shared.snapshot();
        // A store that is away for a while is no reason to say nothing of the rest.
        let size = self.store.size().await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store cannot be measured"
            );
            StoreSize::default()
        });
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            engine: rings_compute::engine_id(),
            chain_id: self.chain.id(),
            block: snapshot.head,
            following: self.following(),
            member: self.me,
            peer_id: self.network.local_id().to_string(),
            peers: snapshot.connected.len() as u32,
            ring: self.ring,
            epoch: snapshot.epoch,
            head: self.head(self.me)?,
            store: StoreStatus {
                kind: self.store.kind().into(),
                blocks: size.blocks,
                bytes: size.bytes,
            },
        })
    }

    async fn ring(&self, ring: Address) -> Result<RingView, ApiError> {
        self.followed(ring)?;
        let snapshot = self.shared.snapshot();
        let unreachable = |error| ApiError::internal("the chain cannot be asked", error);
        let on_chain = self.chain.ring_state(ring).await.map_err(unreachable)?;
        let members = on_chain
            .members
            .iter()
            .map(|member| self.member(*member, &snapshot))
            .collect::<Result<_, _>>()?;
        Ok(RingView {
            ring,
            engine: on_chain.engine,
            keeper: self
                .chain
                .keeper(self.engine, ring)
                .await
                .map_err(unreachable)?,
            epoch: on_chain.epoch,
            quorum: on_chain.quorum,
            ring_node_head: on_chain.ring_node_head,
            members,
        })
    }

    async fn gate(&self, gate: Address) -> Result<GateView, ApiError> {
        let snapshot = self.shared.snapshot();
        let votes = self.state.votes(gate).map_err(memory)?;
        let progress = self.progress(gate).await;
        let record = self.state.gate(gate).map_err(memory)?;
        let registered = self.state.registered(gate).map_err(memory)?;
        let agreed = registered
            .as_ref()
            .and_then(Registered::outputs)
            .map(|outputs| outputs.result());
        let silent = silent(&snapshot, &votes);
        let mut view = GateView {
            gate,
            state: GateState::Unknown,
            reason: None,
            scope: None,
            rings: Vec::new(),
            inputs: Vec::new(),
            outputs: Uint96(0),
            epoch: snapshot.epoch,
            quorum: quorum(snapshot.members.len()) as u64,
            result: None,
            votes: votes
                .iter()
                .map(|(member, vote)| vote_view(*member, vote, agreed))
                .collect(),
            silent,
            transaction: registered.as_ref().map(|registered| registered.transaction),
            block: registered.as_ref().map(|registered| registered.block),
            milliseconds: times(&progress.timings),
        };
        if let Some(record) = record {
            (view.state, view.reason) = self.standing(&record, &progress, &snapshot);
            view.scope = Some(record.spec.scope);
            view.outputs = Uint96(record.spec.outputs);
            view.inputs = self.inputs(&record).await?;
            view.result = self.results(&record, registered.as_ref()).await?;
            view.rings = record.spec.rings;
        }
        Ok(view)
    }

    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError> {
        self.followed(ring)?;
        let Some(tip) = self.state.tip(member).map_err(memory)? else {
            return match self.shared.snapshot().members.binary_search(&member) {
                Ok(_) => Ok(LogPage {
                    nodes: Vec::new(),
                    next: None,
                }),
                Err(_) => Err(ApiError::NotAMember { ring, member }),
            };
        };
        let newest = from.map_or(tip.seq, |from| from.min(tip.seq));
        let count = u64::from(limit.clamp(1, MAX_PAGE)).min(newest + 1);
        let oldest = newest + 1 - count;
        let digests = self
            .state
            .nodes(member, oldest, count as usize)
            .map_err(memory)?;
        let mut nodes = Vec::with_capacity(digests.len());
        for (seq, digest) in (oldest..)
            .zip(digests)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            nodes.push(self.entry(seq, digest).await?);
        }
        Ok(LogPage {
            nodes,
            next: oldest.checked_sub(1),
        })
    }

    fn source(&self) -> Arc<dyn BlockSource> {
        Arc::clone(&self.blocks) as Arc<dyn BlockSource>
    }

    fn store(&self) -> Arc<dyn BlockStore> {
        Arc::clone(&self.store)
    }

    fn following(&self) -> bool {
        let snapshot = self.shared.snapshot();
        self.chain.is_reachable()
            && snapshot.head > 0
            && snapshot.head - snapshot.block.min(snapshot.head) <= LAG
    }

    fn encode_metrics(&self, out: &mut String) -> fmt::Result {
        metrics::write(&self.shared, &self.network.stats(), out)
    }
}

impl Api {
    async fn entry(&self, seq: u64, digest: Digest) -> Result<LogEntry, ApiError> {
        let cid = node_cid(digest);
        let unreadable = |error| ApiError::internal("a log node cannot be read", error);
        let blocks = self.blocks.blocks(&[cid]).await.map_err(unreadable)?;
        let bytes = blocks
            .first()
            .map(|block| block.data().to_vec())
            .unwrap_or_default();
        let node = as_dag_json(&bytes)
            .map_err(|error| ApiError::internal("a log node cannot be shown", error))?;
        Ok(LogEntry {
            cid,
            seq,
            bytes: HexBytes(bytes),
            node,
        })
    }
}

fn as_dag_json(
    bytes: &[u8],
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    let node: ipld_core::ipld::Ipld = serde_ipld_dagcbor::from_slice(bytes)?;
    let json = serde_ipld_dagjson::to_vec(&node)?;
    Ok(serde_json::from_slice(&json)?)
}

fn memory(error: super::StateError) -> ApiError {
    ApiError::internal("the member's memory cannot be read", error)
}

fn silent(snapshot: &Snapshot, votes: &[(Address, Vote)]) -> Vec<Address> {
    let voted: BTreeSet<_> = votes
        .iter()
        .filter(|(_, vote)| vote.epoch == snapshot.epoch)
        .map(|(member, _)| *member)
        .collect();
    snapshot
        .members
        .iter()
        .filter(|member| !voted.contains(member))
        .copied()
        .collect()
}

fn vote_view(member: Address, vote: &Vote, agreed: Option<Digest>) -> VoteView {
    let result = vote.outputs.result();
    VoteView {
        member,
        epoch: vote.epoch,
        result,
        outputs: vote
            .outputs
            .iter()
            .map(|(pin, cid)| OutputView {
                pin: Pin(pin),
                cid: data_cid(cid),
            })
            .collect(),
        agrees: agreed.map(|agreed| agreed == result),
        engine: vote.engine.clone(),
        fuel: vote.fuel,
    }
}

fn times(timings: &Timings) -> GateTimes {
    let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
    GateTimes {
        compute: between(timings.ready, timings.computed),
        quorum: between(timings.computed, timings.quorum),
        register: between(timings.quorum, timings.resolved),
    }
}
