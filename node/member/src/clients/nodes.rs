//! Log nodes of client rings: opened with the keys that are held, placed, and stored.
//!
//! An [`Opener`] has the replica keys of one client ring. With them a sealed node can be checked and placed in its log,
//! but its contents stay closed: this member has no read key. [`Clients::plan`] asks the chain who is a member and lets
//! the rules of `rings_protocol::flush` say which nodes are new. [`Clients::has_space`] bounds how much of a ring is
//! kept. Blocks are stored before the index names them.

use super::{
    keeper::Clients,
    opener::Opener,
    refusal::{of_chain, of_plan, of_state},
};
use crate::{
    clock,
    state::{Flush, Keeping, StateError},
};
use bytes::Bytes;
use rings_api::{ApiError, HexBytes};
use rings_protocol::{
    flush::{plan, Plan, PlanError, Refused, MAX_OFFERED_NODES},
    log::LogNode,
    Address, Digest,
};
use rings_store::{Block, StoreError};
use std::{collections::BTreeSet, sync::Arc};

impl Clients {
    /// Reads log nodes of a ring. Those that are sealed are opened with the ring's replica keys.
    pub(super) fn open(&self, ring: Address, nodes: &[HexBytes]) -> Result<Vec<LogNode>, ApiError> {
        if nodes.len() > MAX_OFFERED_NODES {
            return Err(ApiError::InvalidParams {
                reason: format!(
                    "{} log nodes at once; at most {MAX_OFFERED_NODES} are accepted: send the older ones first",
                    nodes.len()
                ),
            });
        }
        tokio::task::block_in_place(|| {
            let opener = self.opener(ring)?;
            let nodes = nodes.iter().map(|node| opener.open(&node.0));
            nodes.collect()
        })
    }

    /// What opens the nodes of a ring. Unwrapping its keys costs a multiplication on the curve for each, so the openers of rings that
    /// were asked about last are kept.
    pub(super) fn opener(&self, ring: Address) -> Result<Arc<Opener>, ApiError> {
        let keeping = self.state.keeping(ring).map_err(of_state)?;
        let Keeping {
            keys: wrapped,
            since,
            ..
        } = keeping.unwrap_or_default();
        if let Some(opener) = self.openers.of(ring, &wrapped) {
            return Ok(opener);
        }
        let opener = Arc::new(Opener::new(
            self.domain(ring),
            &self.parts.key,
            (wrapped, since),
        )?);
        self.openers.keep(Arc::clone(&opener));
        Ok(opener)
    }

    /// Finds which nodes are new. Nodes of others than `avatar` must be by members of the ring.
    pub(super) async fn plan(
        &self,
        ring: Address,
        avatar: Address,
        nodes: Vec<LogNode>,
    ) -> Result<Plan, ApiError> {
        let mut authors: BTreeSet<_> = nodes.iter().map(LogNode::author).collect();
        authors.remove(&avatar);
        let mut members = BTreeSet::new();
        for author in authors {
            let is_member = self.parts.chain.is_member(ring, author).await;
            if is_member.map_err(of_chain)? {
                members.insert(author);
            }
        }
        let held = self.state.held(ring);
        let is_member = |author| members.contains(&author);
        let offered = nodes.clone();
        let planned = tokio::task::block_in_place(|| plan(&held, avatar, is_member, nodes));
        self.note_fork(ring, planned.as_ref().err(), &offered).await;
        planned.map_err(of_plan)
    }

    /// Keeps the evidence, if nodes were refused because their author has forked its log.
    pub(super) async fn note_fork(
        &self,
        ring: Address,
        refused: Option<&PlanError<StateError>>,
        offered: &[LogNode],
    ) {
        let Some(PlanError::Refused(Refused::Taken { author, seq, held })) = refused else {
            return;
        };
        let is_other = |node: &&LogNode| {
            node.author() == *author && node.seq() == *seq && node.digest() != *held
        };
        if let Some(other) = offered.iter().find(is_other) {
            self.convict(ring, *held, other).await;
        }
    }

    /// Whether there is space for new nodes of a ring.
    pub(super) fn has_space(&self, ring: Address, plan: &Plan) -> Result<(), ApiError> {
        let held = self.state.size(ring).map_err(of_state)?;
        let added: usize = plan.nodes().iter().map(|node| node.bytes().len()).sum();
        match held.saturating_add(added as u64) <= self.space {
            true => Ok(()),
            false => Err(ApiError::InvalidParams {
                reason: format!(
                    "this member keeps at most {} bytes of log nodes of a ring, and has {held}; ask its operator for more",
                    self.space
                ),
            }),
        }
    }

    /// Puts the blocks of new nodes into the store.
    pub(super) async fn store_blocks(&self, plan: &Plan) -> Result<(), ApiError> {
        let block = |node: &LogNode| Block::new(node.cid(), Bytes::copy_from_slice(node.bytes()));
        let blocks: Result<Vec<_>, StoreError> = plan.nodes().iter().map(block).collect();
        let failed = |error| ApiError::internal("log nodes cannot be stored now", error);
        let blocks = blocks.map_err(failed)?;
        match blocks.is_empty() {
            true => Ok(()),
            false => self.parts.store.put(blocks).await.map_err(failed),
        }
    }

    /// Writes the index of nodes whose blocks are stored, and the action that came with them.
    pub(super) fn index(
        &self,
        ring: Address,
        plan: &Plan,
        flush: Option<(Digest, &Flush)>,
    ) -> Result<(), ApiError> {
        let now = clock::milliseconds();
        let take = || self.state.take(ring, plan.nodes(), flush, now);
        tokio::task::block_in_place(take).map_err(of_state)?;
        self.tell_heads(ring, plan.nodes(), now);
        if let Some((msg_hash, flush)) = flush {
            self.tell_message((ring, flush.avatar), msg_hash, &flush.status);
        }
        Ok(())
    }
}

/// An avatar that sends nodes must send at least one of its own.
pub(super) fn check_authors(avatar: Address, nodes: &[LogNode]) -> Result<(), ApiError> {
    let is_own = nodes.is_empty() || nodes.iter().any(|node| node.author() == avatar);
    match is_own {
        true => Ok(()),
        false => Err(ApiError::WrongSignature {
            reason: format!("none of the log nodes is signed by {avatar}"),
        }),
    }
}
