//! The logs of client rings are followed: what another member holds and this one does not is fetched from it.
//!
//! Each member that connects is asked where the logs of client rings end with it, and from then on now and then. So a member
//! that was down catches up, and so does one that did not get what was offered to it. Rings that are not registered any more
//! are forgotten (`forget.rs`).

use super::{
    keeper::Clients,
    others,
    refusal::{of_plan, of_state},
};
use crate::state::StateError;
use rings_api::{with_causes, ApiError};
use rings_network::PeerId;
use rings_protocol::{
    flush::{continuation, HeldLogs, MAX_OFFERED_NODES},
    log::LogNode,
    wire::{ClientHead, MAX_HEADS},
    Address,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked for members that have connected.
const LOOK: Duration = Duration::from_secs(1);
/// How often a member is asked where the logs end with it.
const ROUND: Duration = Duration::from_secs(20);
/// When it is asked again, if something could not be taken in.
const AGAIN: Duration = Duration::from_secs(3);

/// Follows the logs until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used.
pub async fn follow(clients: Arc<Clients>, stop: CancellationToken) -> Result<(), StateError> {
    let mut due: BTreeMap<PeerId, Instant> = BTreeMap::new();
    let mut tidied = Instant::now();
    while !stop.is_cancelled() {
        let others = clients.others();
        due.retain(|peer, _| others.iter().any(|(_, other)| other == peer));
        for (member, peer) in others {
            let is_due = due.get(&peer).is_none_or(|due| *due <= Instant::now());
            if !is_due {
                continue;
            }
            let pause = match clients.catch_up(peer, None).await {
                Ok(()) => ROUND,
                Err(error) => {
                    let cause = with_causes(&error);
                    tracing::debug!(%member, cause, "some logs of client rings cannot be fetched from a member now");
                    AGAIN
                }
            };
            due.insert(peer, Instant::now() + pause);
        }
        let tidy = tokio::select! {
            () = stop.cancelled() => break,
            () = clients.ended.notified() => true,
            () = tokio::time::sleep(LOOK) => tidied.elapsed() >= ROUND,
        };
        if tidy {
            clients.tidy().await;
            clients.share_with_newcomers().await;
            tidied = Instant::now();
        }
    }
    Ok(())
}

impl Clients {
    /// Fetches from a member what it holds of one ring, or of all, and is missing here.
    ///
    /// # Errors
    /// The first [`ApiError`]; all other logs are fetched all the same.
    pub(super) async fn catch_up(
        &self,
        peer: PeerId,
        only: Option<Address>,
    ) -> Result<(), ApiError> {
        let mut behind = (only.unwrap_or_default(), Address::default());
        let mut failed = None;
        loop {
            let heads = others::heads(&self.parts.network, peer, behind).await;
            let heads = heads.map_err(|error| ApiError::internal("heads were not given", error))?;
            let count = heads.len();
            for head in heads {
                let place = (head.0, head.1);
                if place <= behind || only.is_some_and(|only| only != head.0) {
                    return failed.map_or(Ok(()), Err);
                }
                behind = place;
                if let Err(error) = self.follow_log(peer, head).await {
                    failed = failed.or(Some(error));
                }
            }
            if count < MAX_HEADS {
                return failed.map_or(Ok(()), Err);
            }
        }
    }

    /// Fetches one log up to the head that a member has.
    async fn follow_log(&self, peer: PeerId, head: ClientHead) -> Result<(), ApiError> {
        let (ring, author, seq, digest) = head;
        let held = self.state.held(ring);
        let known = held.digest_at(author, seq).map_err(of_state)?;
        match known {
            Some(known) if known == digest => return Ok(()),
            Some(_) => return self.compare(peer, (ring, author), seq).await,
            None => {}
        }
        match self.keeps_now(ring).await {
            Ok(()) => {}
            // Of no concern to this ring.
            Err(ApiError::NotFollowed { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        if !self.is_author(ring, author).await? {
            return Ok(());
        }
        loop {
            let tip = held.tip(author).map_err(of_state)?;
            if tip.is_some_and(|tip| tip.seq >= seq) {
                return Ok(());
            }
            let from = tip.map_or(0, |tip| tip.seq + 1);
            let nodes = others::nodes(&self.parts.network, peer, (ring, author), from).await;
            let nodes = nodes.map_err(|error| ApiError::internal("nodes were not given", error))?;
            for nodes in nodes.chunks(MAX_OFFERED_NODES) {
                let opener = self.opener(ring)?;
                let opened = tokio::task::block_in_place(|| {
                    let nodes = nodes.iter().map(|node| opener.open(node));
                    nodes.collect::<Result<Vec<_>, _>>()
                })?;
                if let Err(error) = self.continue_log((ring, author), opened).await {
                    // It may not link because the histories differ before.
                    if let Some(tip) = tip {
                        self.compare(peer, (ring, author), tip.seq).await?;
                    }
                    // Of two histories each stays where it was taken in, so there is no use in asking soon again.
                    let fork = self.state.fork_of((ring, author)).map_err(of_state)?;
                    return fork.map_or(Err(error), |_| Ok(()));
                }
            }
            if held.tip(author).map_err(of_state)? == tip {
                return Err(ApiError::internal(
                    "a member does not give the nodes that it says it has",
                    format!("{author} in ring {ring} from node {from} on"),
                ));
            }
        }
    }

    /// Takes in nodes that come next in an avatar's log.
    pub(super) async fn continue_log(
        &self,
        (ring, author): (Address, Address),
        nodes: Vec<LogNode>,
    ) -> Result<(), ApiError> {
        let _turn = self.locks.wait((ring, author)).await;
        let held = self.state.held(ring);
        let offered = nodes.clone();
        let plan = tokio::task::block_in_place(|| continuation(&held, author, nodes));
        self.note_fork(ring, plan.as_ref().err(), &offered).await;
        let plan = plan.map_err(of_plan)?;
        self.has_space(ring, &plan)?;
        self.store_blocks(&plan).await?;
        self.index(ring, &plan, None)
    }
}
