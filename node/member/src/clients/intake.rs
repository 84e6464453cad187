//! Taking in what avatars send, in the order of the checks: is the ring kept here, is the signature the avatar's, is
//! the avatar a member, do the log nodes link to what is held, does the contract accept the call, is there gas for it.
//!
//! Nothing is written before the last check, and nothing is answered before all is on disk: first the blocks of the log
//! nodes, then `received` in the own log, then the index ([`Clients::index`]). A crash in between leaves blocks without
//! an index, or a message in the own log, which `hear.rs` reads again. For one avatar only one request is handled at a
//! time (`locks.rs`). The same action again gives the same record, whichever member is asked.

use super::{
    hold::Sender,
    keeper::Clients,
    refusal::{of_action, of_chain, of_plan, of_purse, of_state, view},
    spread::NodeOffer,
};
use crate::state::Flush;
use rings_api::{
    client_rings::{
        AppendParams, FlushParams, HeldBy, HeldStatus, HeldView, MessageView, MAX_APPEND_WAIT,
    },
    ApiError, HexBytes,
};
use rings_chain::{AvatarState, Call};
use rings_protocol::{
    flush::{FlushMessage, FlushStatus, HeldLogs, Plan, Signed},
    Address,
};
use std::time::Duration;

/// Most gas that the transaction of an action may need.
const MAX_RELAY_GAS: u64 = 8_000_000;

/// Whether the nodes must lead to the action's new head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ancestry {
    /// All of them, from the head on chain, must be held or sent along.
    Whole,
    /// They may follow later: the ring has only just been handed over.
    Later,
}

impl Clients {
    /// `FlushToRing`
    pub(super) async fn take_flush(&self, request: FlushParams) -> Result<MessageView, ApiError> {
        let FlushParams {
            avatar,
            ring,
            mtx,
            mtx_sig,
            log_nodes,
        } = request;
        self.keeps(ring).await?;
        let signed = Signed::read(&self.domain(ring), avatar, &mtx.0, &mtx_sig.0);
        let signed = signed.map_err(|error| of_action(&error))?;
        self.take_action(ring, &signed, &log_nodes, Ancestry::Whole)
            .await
    }

    /// Takes an action in. The same action again gives the same record.
    pub(super) async fn take_action(
        &self,
        ring: Address,
        signed: &Signed,
        nodes: &[HexBytes],
        ancestry: Ancestry,
    ) -> Result<MessageView, ApiError> {
        let (avatar, msg_hash) = (signed.action().avatar, signed.msg_hash());
        let _turn = self.locks.wait((ring, avatar)).await;
        if let Some(flush) = self.state.flush(msg_hash).map_err(of_state)? {
            // RecentFacts from another member's log, perhaps without all nodes.
            let is_open = flush.status == FlushStatus::Received;
            if is_open && !nodes.is_empty() {
                let plan = self.plan(ring, avatar, self.open(ring, nodes)?).await?;
                self.has_space(ring, &plan)?;
                self.store_blocks(&plan).await?;
                self.index(ring, &plan, None)?;
            }
            return Ok(view(msg_hash, &flush.status));
        }
        self.has_room()?;
        let on_chain = self.member(ring, avatar).await?;
        let plan = self.plan(ring, avatar, self.open(ring, nodes)?).await?;
        self.check_heads(ring, signed, &plan, (on_chain, ancestry))?;
        self.check_seal((ring, avatar), &plan).await?;
        self.has_space(ring, &plan)?;
        self.afford(ring, signed, on_chain.block.timestamp).await?;
        let taken = self.write_action(ring, signed, &plan, on_chain).await;
        if taken.is_err() {
            self.purse.release(msg_hash);
        }
        taken?;
        self.begin(msg_hash).await;
        Ok(view(msg_hash, &FlushStatus::Received))
    }

    /// The avatar as the chain has it, if it is a member.
    pub(super) async fn member(
        &self,
        ring: Address,
        avatar: Address,
    ) -> Result<AvatarState, ApiError> {
        let on_chain = self.parts.chain.avatar(ring, avatar).await;
        let on_chain = on_chain.map_err(of_chain)?;
        let member = avatar;
        match on_chain.is_member {
            true => Ok(on_chain),
            false => Err(ApiError::NotAMember { ring, member }),
        }
    }

    fn check_heads(
        &self,
        ring: Address,
        signed: &Signed,
        plan: &Plan,
        (on_chain, ancestry): (AvatarState, Ancestry),
    ) -> Result<(), ApiError> {
        let (head, action) = (on_chain.head, signed.action());
        if ancestry == Ancestry::Later {
            return match action.prev_head == head {
                true => Ok(()),
                false => Err(ApiError::StaleHead { head }),
            };
        }
        let held = self.state.held(ring);
        plan.reaches(&held, head, action).map_err(of_plan)
    }

    /// Simulates the transaction, and reserves its gas.
    async fn afford(&self, ring: Address, signed: &Signed, now: u64) -> Result<(), ApiError> {
        let call = Call::contract(ring, signed.calldata());
        let gas = self.parts.chain.simulate(self.me, &call).await;
        let gas = gas.map_err(of_chain)?;
        if gas > MAX_RELAY_GAS {
            let reason = format!(
                "the transaction needs {gas} gas; this member pays for at most {MAX_RELAY_GAS}"
            );
            return Err(ApiError::InvalidParams { reason });
        }
        let place = (ring, signed.action().avatar);
        let reserved = self.purse.reserve(signed.msg_hash(), place, gas, now);
        reserved.map_err(|error| of_purse(&error))
    }

    /// Blocks first, then the own log, then the index: what the answer rests on is on disk when this returns.
    async fn write_action(
        &self,
        ring: Address,
        signed: &Signed,
        plan: &Plan,
        on_chain: AvatarState,
    ) -> Result<(), ApiError> {
        self.store_blocks(plan).await?;
        let (mtx, signature) = (signed.action().to_abi(), *signed.signature());
        let place = (ring, signed.action().avatar);
        let since = on_chain.block.number;
        let flush = Flush::received(place, &mtx, signature, since, true);
        let message = FlushMessage::Received {
            ring,
            mtx,
            signature,
        };
        self.say(message.to_message()).await?;
        self.index(ring, plan, Some((signed.msg_hash(), &flush)))
    }

    /// `AppendToRing`
    pub(super) async fn take_append(&self, request: AppendParams) -> Result<HeldView, ApiError> {
        let (ring, avatar) = (request.ring, request.avatar);
        check_waiting(&request)?;
        self.keeps_now(ring).await?;
        if let Some(key) = &request.replica_key {
            self.take_new_key((ring, avatar), &key.0, &request.log_nodes)
                .await?;
        }
        let plan = self
            .take_nodes((ring, avatar), &request.log_nodes, Sender::Avatar)
            .await?;
        let tip = self.state.held(ring).tip(avatar).map_err(of_state)?;
        let tip = tip.ok_or_else(|| ApiError::InvalidParams {
            reason: "logNodes names no node, and none of this avatar is held here".into(),
        })?;
        let head = tip.digest;
        let mut held = vec![HeldBy {
            replica: self.me,
            signature: HexBytes(self.word((ring, avatar), head)?),
        }];
        let offer = NodeOffer::new((ring, avatar), head, plan.nodes());
        let others = (request.replicas.unwrap_or(1) as usize).saturating_sub(held.len());
        let wait = Duration::from_millis(request.wait.unwrap_or(0));
        held.extend(self.spread(offer, (others, wait)).await);
        Ok(HeldView {
            status: HeldStatus::Held,
            head,
            held,
        })
    }
}

fn check_waiting(request: &AppendParams) -> Result<(), ApiError> {
    match request.wait {
        Some(wait) if wait > MAX_APPEND_WAIT => Err(ApiError::InvalidParams {
            reason: format!("wait is {wait}; give at most {MAX_APPEND_WAIT} milliseconds"),
        }),
        _ => Ok(()),
    }
}
