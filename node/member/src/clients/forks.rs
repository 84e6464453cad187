//! Avatars that sign two histories.
//!
//! Where a node comes for a position that is held already, with another content, both are kept as evidence
//! ([`Clients::convict`]). What was held stays held, and grows on, since others may refer to it; on chain the log ends. [`prove`] is a part of the running
//! member: it brings each claim to the client ring's contract, which freezes the log, so that everybody sees it. The members have
//! their turns, as for an action; the purse pays. `rings_getClientRings` shows the claims, which anybody can check.
//!
//! Devices of one avatar may have gone to different members. So where another member's log differs from what is held, its node is asked for ([`Clients::compare`]).

use super::{
    keeper::Clients,
    others,
    refusal::{of_chain, of_state},
};
use crate::{
    clock,
    state::{ClientFork, StateError},
};
use rings_api::{with_causes, ApiError};
use rings_chain::{calls, Call, Submitted};
use rings_network::PeerId;
use rings_protocol::{
    cids::{keccak256, node_cid},
    flush::{relayers, HeldLogs},
    log::{ForkClaim, ForkProof, LogNode},
    Address, Digest,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Claims that are looked at together.
const AT_ONCE: usize = 64;
/// When claims are looked at again without a reason.
const IDLE: Duration = Duration::from_secs(60);

/// An avatar in its ring.
type Place = (Address, Address);

/// Brings claims to the contracts until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used.
pub async fn prove(clients: Arc<Clients>, stop: CancellationToken) -> Result<(), StateError> {
    while !stop.is_cancelled() {
        let mut pause = IDLE;
        for (place, fork) in clients.state.open_forks(AT_ONCE)? {
            match clients.attempt(place, &fork).await {
                Ok(wait) => pause = pause.min(wait),
                Err(error) => {
                    let (avatar, cause) = (place.1, with_causes(&error));
                    tracing::warn!(%avatar, cause, "the proof of a fork cannot be sent now; it is tried again");
                    pause = pause.min(clients.round());
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = clients.forked.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

impl Clients {
    /// How long it takes until all members have had their turns.
    fn round(&self) -> Duration {
        let members = self.parts.ring.snapshot().members.len().max(1);
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        self.parts.turn.saturating_mul(members)
    }

    /// A node came for a position at which the node `held` is held. Keeps both as evidence. The caller refuses the node in any case,
    /// so a failure here is told to the log and not to whoever sent it.
    pub(super) async fn convict(&self, ring: Address, held: Digest, other: &LogNode) {
        let kept = self.keep_evidence(ring, held, other).await;
        kept.unwrap_or_else(|error| {
            let (avatar, cause) = (other.author(), with_causes(&error));
            tracing::warn!(%ring, %avatar, cause, "the evidence of a fork cannot be kept now");
        });
    }

    async fn keep_evidence(
        &self,
        ring: Address,
        held: Digest,
        other: &LogNode,
    ) -> Result<(), ApiError> {
        let place = (ring, other.author());
        if self.state.fork_of(place).map_err(of_state)?.is_some() {
            return Ok(());
        }
        let unreadable = |error| ApiError::internal("a log node cannot be read", error);
        let data = self.parts.store.get(&node_cid(held)).await;
        let Some(data) = data.map_err(unreadable)? else {
            return Ok(());
        };
        let held = self.opener(ring)?.open(&data)?;
        // One content that was signed or sealed twice is not a fork.
        let Ok(proof) = ForkProof::new(held, other.clone()) else {
            return Ok(());
        };
        let claim = ForkClaim::of(&proof, &self.domain(ring));
        // The claim alone convicts; the node itself is kept where there is space for it.
        let bytes = self.state.size(ring).map_err(of_state)?;
        let has_space = bytes.saturating_add(2 * other.bytes().len() as u64) <= self.space;
        let other = if has_space { other.bytes() } else { &[] };
        let fork = ClientFork::new(&claim, other, clock::milliseconds());
        let kept = tokio::task::block_in_place(|| self.state.add_fork(place, &fork));
        if kept.map_err(of_state)? {
            tracing::warn!(%ring, avatar = %place.1, seq = fork.seq, "an avatar signed two histories; both are kept as evidence");
            self.forked.notify_one();
        }
        Ok(())
    }

    /// Whether a member holds the same node at a position that is held here too: if not, the author has forked its log.
    pub(super) async fn compare(
        &self,
        peer: PeerId,
        (ring, author): Place,
        seq: u64,
    ) -> Result<(), ApiError> {
        if self
            .state
            .fork_of((ring, author))
            .map_err(of_state)?
            .is_some()
        {
            return Ok(());
        }
        let held = self.state.held(ring).digest_at(author, seq);
        let Some(held) = held.map_err(of_state)? else {
            return Ok(());
        };
        let nodes = others::nodes(&self.parts.network, peer, (ring, author), seq).await;
        let nodes = nodes.map_err(|error| ApiError::internal("nodes were not given", error))?;
        if let Some(bytes) = nodes.first() {
            let other = self.opener(ring)?.open(bytes)?;
            let is_other = other.author() == author && other.seq() == seq;
            if is_other && other.digest() != held {
                self.convict(ring, held, &other).await;
            }
        }
        Ok(())
    }

    /// Brings a claim to the contract, if it is this member's turn. Returns when to look again.
    async fn attempt(&self, place: Place, fork: &ClientFork) -> Result<Duration, ApiError> {
        let (chain, (ring, avatar)) = (&self.parts.chain, place);
        let head = chain.head().await.map_err(of_chain)?;
        let is_open = chain.may_append(ring, avatar, None).await;
        if !is_open.map_err(of_chain)? {
            return self.is_final(place, head.number).await;
        }
        let claim = fork.claim().map_err(of_state)?;
        let name = keccak256(&claim.to_bytes());
        let due = fork
            .since
            .saturating_add(self.turn_of(name).as_millis() as u64);
        let now = clock::milliseconds();
        if now < due {
            return Ok(Duration::from_millis(due - now));
        }
        self.file(place, &claim, (name, head.timestamp)).await?;
        Ok(Duration::ZERO)
    }

    /// How long the members before this one have for their tries.
    fn turn_of(&self, name: Digest) -> Duration {
        let order = relayers(name, &self.parts.ring.snapshot().members);
        let place = order.iter().position(|member| *member == self.me);
        let place = u32::try_from(place.unwrap_or(order.len())).unwrap_or(u32::MAX);
        self.parts.turn.saturating_mul(place)
    }

    /// The contract shows it. It has ended when enough blocks were made on top.
    async fn is_final(&self, place: Place, head: u64) -> Result<Duration, ApiError> {
        let (ring, avatar) = place;
        let final_block = head.saturating_sub(self.parts.confirmations);
        let was_open = self.parts.chain.may_append(ring, avatar, Some(final_block));
        if !was_open.await.map_err(of_chain)? {
            tokio::task::block_in_place(|| self.state.fork_proven(place)).map_err(of_state)?;
            tracing::info!(%ring, %avatar, "an avatar that forked its log is frozen on chain, or has left its ring");
        }
        Ok(self.parts.turn)
    }

    async fn file(
        &self,
        place: Place,
        claim: &ForkClaim,
        (name, now): (Digest, u64),
    ) -> Result<(), ApiError> {
        let call = calls::prove_fork(place.0, claim);
        let gas = self.parts.chain.simulate(self.me, &call).await;
        let gas = gas.map_err(of_chain)?;
        let reserved = self.purse.reserve(name, place, gas, now);
        reserved.map_err(|error| super::refusal::of_purse(&error))?;
        let sent = self.submit(name, call).await;
        let paid = sent.as_ref().map_or(0, |paid| *paid);
        let spent = self.purse.settle(name, place, paid, now);
        tokio::task::block_in_place(|| self.state.paid(spent)).map_err(of_state)?;
        sent.map(drop)
    }

    /// Sends it; the gas that it took.
    async fn submit(&self, name: Digest, call: Call) -> Result<u64, ApiError> {
        // After a reorganisation, or a restart, the outcome of an earlier attempt says nothing.
        let attempt: u64 = rand::random();
        let purpose = keccak256(&[&name.0[..], &attempt.to_be_bytes()].concat());
        match self.parts.submitter.submit(purpose, call).await {
            Ok(Submitted::Mined { gas_used, .. }) => Ok(gas_used),
            Ok(Submitted::Reverted { reason, .. }) => Err(ApiError::Reverted { reason }),
            Err(error) => Err(of_chain(error)),
        }
    }
}
