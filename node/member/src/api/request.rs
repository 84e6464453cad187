//! Requests: asking one, how far one is, and the proof that a ring node lists it.
//!
//! [`Api::ask`] reads the operation, makes the request, and hands it to the core; the answer comes when the request is
//! on disk in this member's own log. [`Api::request_view`] joins the state database (the request, the votes, the ring
//! node that lists it) with what the core says. [`Api::proof_view`] makes an [`EntryProof`]: it reads the listing ring
//! node with its pages, and the headers from the anchor back to it. The anchor is the checkpoint that the chain keeps
//! for good, if there is one already, and the listing node itself otherwise.

use super::{views::memory, Api};
use crate::{
    core::{open_ring_node, Asked, Input, NotAsked, RequestProgress},
    ring_status::Snapshot,
    state::RegisteredNode,
};
use rings_api::{
    views::{
        ContractProofView, Head, OutputView, ProofView, RequestInputView, RequestState,
        RequestTimesView, RequestView, RequestVoteView, RequestedView, ResultView, RingNodeView,
    },
    ApiError, HexBytes, Pin, RequestParams,
};
use rings_protocol::{
    cids::{data_cid, digest_of, node_cid, DAG_PB},
    log::path,
    operation::{Operation, MAX_OPERATION_BYTES},
    request::{Request, RequestInput, RequestVote},
    ringlog::{checkpoint, is_checkpoint, Entry, EntryProof, Outcome},
    Address, Digest,
};
use rings_store::{read_small_file, BlockSource, ErrorClass};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::oneshot;

impl Api {
    /// Asks a request: the answer is given when it is on disk.
    pub(super) async fn ask(&self, asked: RequestParams) -> Result<RequestedView, ApiError> {
        self.followed(asked.ring)?;
        let request = self.request_of(&asked).await?;
        let (reply, answer) = oneshot::channel();
        let input = Input::Ask {
            request: Box::new(request),
            until: asked.until,
            reply,
        };
        let ended = || ApiError::internal("the request was not written", "the member is stopping");
        self.outbox.send(input).await.map_err(|_| ended())?;
        match answer.await.map_err(|_| ended())? {
            Ok(Asked {
                request,
                until,
                node,
            }) => Ok(RequestedView {
                request,
                until,
                fresh: node.is_some(),
                node: node.map(|tip| Head {
                    seq: tip.seq,
                    cid: node_cid(tip.digest),
                }),
            }),
            Err(NotAsked::Refused(reason)) => Err(ApiError::Refused { reason }),
            Err(NotAsked::Invalid(reason)) => Err(ApiError::InvalidParams { reason }),
        }
    }

    /// The request that is asked, without its `until`.
    async fn request_of(&self, asked: &RequestParams) -> Result<Request, ApiError> {
        let operation = self.operation(&asked.operation).await?;
        let inputs = asked.inputs.iter().map(input).collect::<Result<_, _>>()?;
        Ok(Request {
            ring: asked.ring,
            chain: self.chain.id(),
            profile: operation.profile,
            operation: data(&asked.operation)?,
            inputs,
            nonce: asked.nonce,
            until: 0,
        })
    }

    /// Reads the operation before it is asked for, because a request whose operation nobody can read would stand in the
    /// log and never have a result.
    async fn operation(&self, cid: &cid::Cid) -> Result<Operation, ApiError> {
        let blocks = Arc::clone(&self.blocks) as Arc<dyn BlockSource>;
        let read = read_small_file(blocks, *cid, MAX_OPERATION_BYTES as u32).await;
        let bytes = read.map_err(|error| match error.class() {
            ErrorClass::Transient => ApiError::internal("the operation cannot be read", error),
            _ => invalid(format!(
                "the operation {cid} is not a small file that a member has; add it first"
            )),
        })?;
        Operation::from_dag_json(&bytes)
            .map_err(|_| invalid(format!("{cid} is not an operation in canonical DAG-JSON")))
    }

    /// A request as this member sees it.
    pub(super) async fn request_view(&self, request: Digest) -> Result<RequestView, ApiError> {
        let snapshot = self.shared.snapshot();
        let progress = self.request_progress(request).await;
        let asked = self.state.asked(request).map_err(memory)?;
        let listed = self.listed(request)?;
        let votes = self.state.request_votes(request).map_err(memory)?;
        let entry = listed.as_ref().map(|(_, entry)| entry);
        let decided = entry.or(progress.agreed.as_ref());
        let node = listed.as_ref().map(|(node, _)| *node);
        let mut view = RequestView {
            request,
            state: state(&progress, asked.as_ref(), node.is_some()),
            reason: progress.refused.clone().or(progress.without.clone()),
            author: None,
            ring: self.ring,
            chain_id: self.chain.id(),
            profile: None,
            operation: None,
            inputs: Vec::new(),
            nonce: None,
            until: None,
            epoch: snapshot.epoch,
            quorum: snapshot.needed,
            result: decided.and_then(results),
            votes: votes
                .iter()
                .map(|(member, vote)| vote_view(*member, vote, decided))
                .collect(),
            silent: silent(&snapshot, &votes),
            ring_node: node.as_ref().map(node_view),
            is_final: node.is_some_and(|node| self.is_node_final(&node, &snapshot)),
            milliseconds: times(&progress),
        };
        view.author = asked.as_ref().map(|(author, _)| *author);
        let asked = match asked {
            Some((_, request)) => Some(request),
            None => self.request_block(request).await,
        };
        if let Some(request) = asked {
            view.operation = Some(data_cid(request.operation));
            view.inputs = request.inputs.iter().map(RequestInputView::from).collect();
            (view.nonce, view.until) = (Some(request.nonce), Some(request.until));
            view.profile = Some(request.profile);
        }
        Ok(view)
    }

    /// A request that this member has forgotten, by the block that it keeps of it.
    async fn request_block(&self, request: Digest) -> Option<Request> {
        let block = self.store.get(&node_cid(request)).await.ok()??;
        Request::from_bytes(&block).ok()
    }

    async fn request_progress(&self, request: Digest) -> RequestProgress {
        let (reply, answer) = oneshot::channel();
        let input = Input::InspectRequest { request, reply };
        match self.outbox.send(input).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => RequestProgress::default(),
        }
    }

    /// The ring node that lists a request, and the entry.
    fn listed(&self, request: Digest) -> Result<Option<(RegisteredNode, Entry)>, ApiError> {
        let Some((number, entry)) = self.state.listed(request).map_err(memory)? else {
            return Ok(None);
        };
        let node = self.state.ring_node(number).map_err(memory)?;
        Ok(node.map(|node| (node, entry)))
    }

    fn is_node_final(&self, node: &RegisteredNode, snapshot: &Snapshot) -> bool {
        node.block.saturating_add(self.confirmations) <= snapshot.head
    }

    /// The proof that a ring node lists a request.
    pub(super) async fn proof_view(&self, request: Digest) -> Result<ProofView, ApiError> {
        let (node, entry) = self
            .listed(request)?
            .ok_or_else(|| invalid(format!("no ring node lists request {request} yet")))?;
        let anchor = self.anchor(node)?;
        let unreadable = |reason: String| ApiError::internal("the proof cannot be made", reason);
        let blocks = Arc::clone(&self.blocks) as Arc<dyn BlockSource>;
        let listing = open_ring_node(&blocks, node.digest)
            .await
            .map_err(unreadable)?;
        let headers = self.headers(anchor.number, node.number).await?;
        let header = |number: u64| headers.get(&number).cloned();
        let proof = EntryProof::make(&self.domain, &listing, &entry, anchor.number, header)
            .map_err(|error| ApiError::internal("the proof cannot be made", error))?;
        Ok(ProofView {
            request,
            ring_node: node_view(&node),
            anchor: node_view(&anchor),
            lasting: is_checkpoint(anchor.number),
            is_final: self.is_node_final(&node, &self.shared.snapshot()),
            contract: ContractProofView {
                header: HexBytes(listing.header_bytes().to_vec()),
                number: node.number,
                entry: HexBytes(entry.to_bytes()),
                path: proof.path.clone(),
            },
            proof: HexBytes(proof.to_bytes()),
        })
    }

    /// The ring node from which a proof begins: one that the chain names for good, if there is one; else the node itself,
    /// which is one of the newest.
    fn anchor(&self, node: RegisteredNode) -> Result<RegisteredNode, ApiError> {
        let lasting = self
            .state
            .ring_node(checkpoint(node.number))
            .map_err(memory)?;
        Ok(lasting.unwrap_or(node))
    }

    /// The headers on the way from one ring node back to another.
    async fn headers(&self, from: u64, to: u64) -> Result<HashMap<u64, Vec<u8>>, ApiError> {
        let mut numbers = Vec::new();
        let mut cids = Vec::new();
        for number in path(from, to) {
            if let Some(node) = self.state.ring_node(number).map_err(memory)? {
                numbers.push(number);
                cids.push(node_cid(node.digest));
            }
        }
        let blocks = self.blocks.blocks(&cids).await;
        let blocks = blocks
            .map_err(|error| ApiError::internal("the headers of ring nodes are missing", error))?;
        let bytes = blocks.iter().map(|block| block.data().to_vec());
        Ok(numbers.into_iter().zip(bytes).collect())
    }
}

fn invalid(reason: String) -> ApiError {
    ApiError::InvalidParams { reason }
}

/// The digest of a file.
fn data(cid: &cid::Cid) -> Result<Digest, ApiError> {
    match digest_of(cid) {
        Ok(digest) if cid.codec() == DAG_PB => Ok(digest),
        _ => Err(invalid(format!(
            "{cid} does not name a file as `ipfs add` makes it (Qm…)"
        ))),
    }
}

fn input(input: &RequestInputView) -> Result<RequestInput, ApiError> {
    match input {
        RequestInputView::Data { cid } => data(cid).map(RequestInput::Data),
        RequestInputView::Output { request, pin } => Ok(RequestInput::Output {
            request: *request,
            pin: *pin,
        }),
    }
}

/// How far a request is. The order counts: what a ring node lists is decided, whatever else is known.
fn state(
    progress: &RequestProgress,
    asked: Option<&(Address, Request)>,
    is_listed: bool,
) -> RequestState {
    if is_listed {
        return RequestState::Listed;
    }
    if progress.refused.is_some() {
        return RequestState::Refused;
    }
    match asked {
        None => RequestState::Unknown,
        Some(_) if progress.has_expired || !progress.is_open => RequestState::Expired,
        Some(_) if progress.agreed.is_some() => RequestState::Agreed,
        Some(_) if progress.is_ready => RequestState::Open,
        Some(_) => RequestState::Waiting,
    }
}

fn node_view(node: &RegisteredNode) -> RingNodeView {
    RingNodeView {
        number: node.number,
        cid: node_cid(node.digest),
        transaction: node.transaction,
        block: node.block,
    }
}

/// What an outcome puts on the output pins.
fn pins(outcome: &Outcome) -> Vec<(u128, Digest)> {
    match outcome.to_outputs() {
        Ok(outputs) => outputs.iter().collect(),
        Err(_) => Vec::new(),
    }
}

fn results(entry: &Entry) -> Option<Vec<ResultView>> {
    match entry {
        Entry::Result { outcome, .. } => {
            let pins = pins(outcome).into_iter();
            Some(
                pins.map(|(pin, digest)| ResultView::new(pin, digest))
                    .collect(),
            )
        }
        Entry::Decision { .. } => None,
    }
}

fn vote_view(member: Address, vote: &RequestVote, decided: Option<&Entry>) -> RequestVoteView {
    let outputs = pins(&vote.outcome).into_iter();
    let agrees = match decided {
        Some(Entry::Result {
            inputs, outcome, ..
        }) => (*inputs == vote.key.inputs).then_some(*outcome == vote.outcome),
        _ => None,
    };
    RequestVoteView {
        member,
        inputs: vote.key.inputs,
        outputs: outputs
            .map(|(pin, digest)| OutputView {
                pin: Pin(pin),
                cid: data_cid(digest),
            })
            .collect(),
        agrees,
        profile: vote.profile.clone(),
        fuel: vote.fuel,
    }
}

fn silent(snapshot: &Snapshot, votes: &[(Address, RequestVote)]) -> Vec<Address> {
    let voted: BTreeSet<_> = votes.iter().map(|(member, _)| *member).collect();
    let silent = snapshot.members.iter();
    silent
        .filter(|member| !voted.contains(member))
        .copied()
        .collect()
}

/// How long each step took, where both of its ends were seen by this process.
fn times(progress: &RequestProgress) -> RequestTimesView {
    let times = &progress.times;
    let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
    RequestTimesView {
        compute: between(times.ready, times.computed),
        quorum: between(times.computed, times.agreed),
        list: between(times.agreed, times.listed),
    }
}
