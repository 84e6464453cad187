//! A ring as the commands for processes see it: documents from its members' stores, and what two thirds have agreed on. What a
//! member says is checked against hashes, signatures and the chain.

use crate::{
    ballots::{search, Depth},
    exit::ExitError,
    place::Place,
    proven, voters,
};
use cid::Cid;
use rings_api::{Client, GatewaySource};
use rings_chain::{Chain, ContractLog, GateOutcome, RingState};
use rings_process::{bounds::MAX_DOCUMENT_BYTES, result_origin::registered_topic};
use rings_protocol::{
    cids::node_cid,
    eip712::Domain,
    gate::{inputs_hash, GateSpec},
    log::LogNode,
    request::{Request, RequestInput, RequestKey},
    ringlog::{Entry, Header, Outcome, RingNode},
    Address, Digest,
};
use rings_store::{read_small_file, BlockSource};
use std::{collections::BTreeMap, sync::Arc};

/// Blocks whose logs are read at once, from the newest back.
const LOG_BLOCKS: u64 = 2_000;

/// A ring, its chain and its members.
pub struct Ring {
    /// Where it is.
    pub place: Place,
    /// What votes are signed for.
    pub domain: Domain,
    /// Its members and its quorum, as the chain says.
    pub state: RingState,
    chain: Chain,
}

impl Ring {
    /// Reads the ring from the chain.
    ///
    /// # Errors
    /// Status 5 when the chain does not answer.
    pub async fn of(place: Place) -> Result<Self, ExitError> {
        let chain = place.chain().await?;
        let state = chain.ring_state(place.file.ring).await?;
        Ok(Self {
            domain: Domain::new(place.file.chain_id, place.file.ring),
            state,
            chain,
            place,
        })
    }

    /// A small file of the ring's store, of which every block is hashed.
    ///
    /// # Errors
    /// Status 5 when no member has it.
    pub async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ExitError> {
        let members = self.place.members().await?;
        let source = Arc::new(GatewaySource::of(&members)?);
        read_small_file(source, *cid, MAX_DOCUMENT_BYTES as u32)
            .await
            .map_err(|error| {
                ExitError::unavailable(format!("{cid} cannot be read from the members' stores"))
                    .because(error)
            })
    }

    /// What two thirds of the members have agreed that a request gives: as a ring node lists it, or as they have signed it in
    /// their logs.
    ///
    /// # Errors
    /// Status 5 when no member answers.
    pub async fn outcome(&self, request: Digest) -> Result<Option<Outcome>, ExitError> {
        match self.agreed(request).await? {
            Some(outcome) => Ok(Some(outcome)),
            None => Ok(self.listed(request).await),
        }
    }

    /// The log of a contract at a place of a transaction; nothing if the chain has none there.
    ///
    /// # Errors
    /// Status 5 when the chain does not answer.
    pub async fn log_of(
        &self,
        transaction: Digest,
        index: u64,
    ) -> Result<Option<ContractLog>, ExitError> {
        Ok(self.chain.log_of(transaction, index).await?)
    }

    /// A log node of a ring, whose signature was checked.
    ///
    /// # Errors
    /// Status 1 when it is none of that ring, 5 when no member has it.
    pub async fn log_node(&self, ring: Address, node: &Cid) -> Result<LogNode, ExitError> {
        let block = self.block(node).await?;
        LogNode::open(&block, &Domain::new(self.domain.chain_id, ring)).map_err(|error| {
            ExitError::internal(format!("{node} is no log node of ring {ring}")).because(error)
        })
    }

    /// A ring node of any ring of the chain, if the chain names it.
    ///
    /// # Errors
    /// Status 1 when it is none, 5 when no member has it, or the chain does not answer.
    pub async fn ring_node(
        &self,
        ring: Address,
        digest: Digest,
    ) -> Result<Option<RingNode>, ExitError> {
        let wrong = |error| {
            ExitError::internal(format!("{} is no ring node", node_cid(digest))).because(error)
        };
        let bytes = self.block(&node_cid(digest)).await?;
        let header = Header::from_bytes(&bytes).map_err(|error| {
            ExitError::internal(format!("{} is no ring node", node_cid(digest))).because(error)
        })?;
        let mut pages = BTreeMap::new();
        for page in header.entry_pages.iter().chain(&header.head_pages) {
            pages.insert(*page, self.block(&node_cid(*page)).await?);
        }
        let node = RingNode::open(&bytes, |page| pages.get(&page).cloned()).map_err(wrong)?;
        let is_named = self.names(ring, node.number(), digest).await?;
        Ok(is_named.then_some(node))
    }

    /// Whether the chain names a ring node of a ring.
    async fn names(&self, ring: Address, number: u64, digest: Digest) -> Result<bool, ExitError> {
        if let Some(named) = self.chain.ring_node_at(ring, number).await? {
            return Ok(named == digest);
        }
        // It keeps the newest ones and each hundredth; of the others it has the logs.
        let head = self.chain.block_number().await?;
        let wanted = [(ring, registered_topic())];
        let mut to = head;
        loop {
            let from = to.saturating_sub(LOG_BLOCKS - 1);
            let mut next = from;
            while next <= to {
                let (last, logs) = self.chain.contract_logs(&wanted, next, to).await?;
                if logs.iter().any(|log| log.topics.get(1) == Some(&digest)) {
                    return Ok(true);
                }
                next = last + 1;
            }
            let Some(before) = from.checked_sub(1) else {
                return Ok(false);
            };
            to = before;
        }
    }

    /// The bytes of a block that a member has; they are hashed.
    async fn block(&self, cid: &Cid) -> Result<Vec<u8>, ExitError> {
        let members = self.place.members().await?;
        let source = GatewaySource::of(&members)?;
        let blocks = source.blocks(&[*cid]).await;
        let blocks = blocks.map_err(|error| {
            ExitError::unavailable(format!("{cid} cannot be read from the members' stores"))
                .because(error)
        })?;
        let block = blocks.first();
        Ok(block.map(|block| block.data().to_vec()).unwrap_or_default())
    }

    /// What a gate asks, and what it has given.
    ///
    /// # Errors
    /// Status 5 when the chain does not answer.
    pub async fn gate(&self, gate: Address) -> Result<(GateSpec, Option<GateOutcome>), ExitError> {
        let spec = self.chain.gate_spec(self.place.file.engine, gate).await?;
        let head = self.chain.block_number().await?;
        Ok((spec, self.chain.gate_outcome(gate, head).await?))
    }

    /// By a proof that the chain confirms.
    async fn listed(&self, request: Digest) -> Option<Outcome> {
        let members = self.place.members().await.ok()?;
        let proven = proven::fetch(&self.chain, self.place.file.ring, &members, request)
            .await
            .ok()?;
        match proven.proof.entry {
            Entry::Result { outcome, .. } => Some(outcome),
            Entry::Decision { .. } => None,
        }
    }

    /// What the ring decided for a slot, and the number of the ring node that lists it; nothing where no member has a proof that
    /// the chain confirms.
    ///
    /// # Errors
    /// Status 5 when no member answers.
    pub async fn decided(&self, slot: Digest) -> Result<Option<(Digest, u64)>, ExitError> {
        let members = self.place.members().await?;
        let proven = proven::fetch(&self.chain, self.place.file.ring, &members, slot).await;
        Ok(proven.ok().and_then(|proven| match proven.proof.entry {
            Entry::Decision { choice, .. } => Some((choice, proven.ring_node.number)),
            Entry::Result { .. } => None,
        }))
    }

    /// By the newest votes in the members' logs.
    ///
    /// # Errors
    /// Status 5 when no member answers.
    pub async fn agreed(&self, request: Digest) -> Result<Option<Outcome>, ExitError> {
        let members = self.place.members().await?;
        let key = RequestKey {
            request,
            inputs: inputs_hash(&[]),
        };
        let votes = voters::votes(
            &members,
            &self.domain,
            &self.state.members,
            key,
            Depth::Until(1),
        )
        .await;
        let mut counted: BTreeMap<Outcome, u64> = BTreeMap::new();
        // A log is read from its newest node back, and the first vote of each member counts.
        for vote in votes.iter().filter_map(|votes| votes.last()) {
            *counted.entry(vote.vote.outcome.clone()).or_default() += 1;
        }
        let agreed = counted
            .into_iter()
            .find(|(_, count)| *count >= self.state.quorum);
        Ok(agreed.map(|(outcome, _)| outcome))
    }
}

/// The result of an execution.
#[derive(Debug, Clone)]
pub struct Found {
    /// The request with which the ring agreed on it; none on one machine alone, of an external task, of a wait, and where a gate settled it.
    pub request: Option<Digest>,
    /// The gate that has settled it.
    pub gate: Option<Address>,
    /// Of an external task on a ring: on whose word it rests. Of a wait, on nobody's: which ring node decided it.
    pub said: Option<Said>,
    /// What the program wrote.
    pub result: Cid,
}

/// What the ring decided, and on whose word the result of an external task rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// These members; none of a wait.
    pub by: Vec<Address>,
    /// The ring node that decided it.
    pub ring_node: u64,
}

/// A request in a member's log.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its digest.
    pub digest: Digest,
    /// What it asks.
    pub request: Request,
    /// In whose log it stands.
    pub author: Address,
    /// Seconds since 1970 when its log node was written, as the author says.
    pub time: Option<u64>,
}

/// The first input of a request, if it is data: of an execution, its document.
pub fn first_input(request: &Request) -> Option<Digest> {
    match request.inputs.first() {
        Some(RequestInput::Data(digest)) => Some(*digest),
        _ => None,
    }
}

/// The requests in the logs of all members.
///
/// # Errors
/// Status 5 when no member answers.
pub async fn asked(ring: &Ring, depth: Depth) -> Result<Vec<Asked>, ExitError> {
    let members: Vec<&Client> = ring.place.members().await?;
    let mut found = Vec::new();
    for author in &ring.state.members {
        let in_node = |node: &LogNode| requests_in(node, *author);
        found.extend(search(&members, &ring.domain, *author, depth, in_node).await);
    }
    Ok(found)
}

fn requests_in(node: &LogNode, author: Address) -> Vec<Asked> {
    let requests = node.content().body.iter();
    let requests = requests.filter_map(|message| Request::from_message(message).ok().flatten());
    let asked = requests.filter_map(|request| {
        Some(Asked {
            digest: request.digest().ok()?,
            request,
            author,
            time: node.content().time,
        })
    });
    asked.collect()
}
