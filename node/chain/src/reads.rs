//! Reads the contracts: gates, scopes and rings.
//!
//! These are methods of [`Chain`]. A gate's specification and what follows from it never change and are cached;
//! everything else is read at the newest block, or at one block for all parts of a [`RingState`], so that they fit
//! together. Where the contract is not there or is another one, the error is [`ChainError::NotAContract`], with the
//! address.

use crate::{
    abi::{engine, gate, ring, scope},
    chain::{At, Chain},
    convert::{address, count, digest, h160, number, word},
    error::ChainError,
    gate_code,
    header::Header,
    specs::to_spec,
    types::{Contact, ForkRule, GateState, Keeping, PendingEntry, RingState},
};
use ethers_core::types::{Bytes, H160, U256};
use futures::{stream, StreamExt, TryStreamExt};
use rings_protocol::{
    crypto::PublicKey,
    gate::{GateInput, GateSpec},
    Address, Digest,
};
use std::sync::Arc;

/// How often a ring is read when the block at which it is read disappears meanwhile.
const RING_READS: u32 = 4;
/// Heads of members that are read at once.
const CONCURRENT_READS: usize = 16;

impl Chain {
    /// What a gate asks, read from its code and checked against its address.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when the engine has made no gate there; others when the chain cannot be asked.
    pub async fn gate_spec(&self, engine: Address, gate: Address) -> Result<GateSpec, ChainError> {
        let not_there = ChainError::NotAContract {
            address: gate,
            what: "gate",
        };
        if !self.has_code(gate).await? {
            return Err(not_there);
        }
        let spec = self.spec_of(engine, gate).await?;
        spec.map(Arc::unwrap_or_clone).ok_or(not_there)
    }

    /// The specification of a gate that is known to exist; `None` when another contract is there. The code is read only
    /// if the specification is not in the cache.
    pub(crate) async fn spec_of(
        &self,
        engine: Address,
        gate: Address,
    ) -> Result<Option<Arc<GateSpec>>, ChainError> {
        if let Some(spec) = self.specs().get(gate) {
            return Ok(Some(spec));
        }
        let code = self.code(gate).await?;
        if code.is_empty() {
            // The gate exists, so a machine of the endpoint is behind.
            return Err(ChainError::malformed("eth_getCode", "there is no code yet"));
        }
        if !gate_code::is_made_by(engine, gate, &code) {
            return Ok(None);
        }
        let spec = gate_code::spec(&code).map(Arc::new);
        if let Some(spec) = &spec {
            self.specs().remember(gate, spec.clone());
        }
        Ok(spec)
    }

    /// The address of the gate with this specification, whether it was made already or not.
    ///
    /// # Errors
    /// When the engine refuses the specification or the chain cannot be asked.
    pub async fn gate_of(&self, engine: Address, spec: &GateSpec) -> Result<Address, ChainError> {
        let spec = to_spec(spec);
        let gate: H160 = self
            .read("engine", engine, engine::GateOfCall { spec })
            .await?;
        Ok(address(gate))
    }

    /// Whether the engine made this gate.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn is_gate(&self, engine: Address, gate: Address) -> Result<bool, ChainError> {
        let call = engine::IsGateCall {
            account: h160(gate),
        };
        self.read("engine", engine, call).await
    }

    /// The state of a gate.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no gate; others when the chain cannot be asked.
    pub async fn gate_state(&self, gate: Address) -> Result<GateState, ChainError> {
        let (ready, resolved, failed) = tokio::try_join!(
            self.read("gate", gate, gate::IsReadyCall),
            self.read("gate", gate, gate::IsResolvedCall),
            self.read("gate", gate, gate::IsFailedCall),
        )?;
        Ok(GateState {
            ready,
            resolved,
            failed,
        })
    }

    /// The token on an output pin, if it is set.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no gate; others when the chain cannot be asked.
    pub async fn output_of(&self, gate: Address, pin: u128) -> Result<Option<Digest>, ChainError> {
        let token: U256 = self.read("gate", gate, gate::OutputOfCall { pin }).await?;
        Ok((!token.is_zero()).then(|| word(token)))
    }

    /// Whether a gate has a result.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no gate; others when the chain cannot be asked.
    pub async fn is_resolved(&self, gate: Address) -> Result<bool, ChainError> {
        self.is_resolved_at(gate, At::Latest).await
    }

    /// Whether a gate has a result, at the head or by a transaction that the endpoint's pool holds. If the endpoint does not
    /// show its pool, only the head counts.
    ///
    /// # Errors
    /// As [`Chain::is_resolved`].
    pub async fn will_be_resolved(&self, gate: Address) -> Result<bool, ChainError> {
        match self.is_resolved_at(gate, At::Pending).await {
            Ok(is_resolved) => Ok(is_resolved),
            Err(_) => self.is_resolved(gate).await,
        }
    }

    /// Whether a gate has a result after a block.
    pub(crate) async fn is_resolved_at(&self, gate: Address, at: At) -> Result<bool, ChainError> {
        self.view("gate", gate, gate::IsResolvedCall, at).await
    }

    /// The hash of what a gate's futures hold, as it is signed; `None` while one is unset.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no gate; others when the chain cannot be asked.
    pub async fn inputs_hash(&self, gate: Address) -> Result<Option<Digest>, ChainError> {
        let hash: Result<[u8; 32], _> = self.read("gate", gate, gate::InputsHashCall).await;
        match hash {
            Ok(hash) => Ok(Some(Digest(hash))),
            Err(ChainError::Reverted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The digests of the data on a gate's input pins, in order; `None` while a future is unset. A constant's token is its
    /// digest, and futures hold constants, so no scope has to be read.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn inputs_of(&self, spec: &GateSpec) -> Result<Option<Vec<Digest>>, ChainError> {
        let mut inputs = Vec::with_capacity(spec.inputs.len());
        for input in &spec.inputs {
            let token = match input {
                GateInput::Constant(token) => Some(*token),
                GateInput::Future { gate, pin } => self.output_of(*gate, *pin).await?,
            };
            match token {
                Some(token) => inputs.push(token),
                None => return Ok(None),
            }
        }
        Ok(Some(inputs))
    }

    /// Whether a scope has this constant.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no scope; others when the chain cannot be asked.
    pub async fn is_declared(&self, scope: Address, cid: Digest) -> Result<bool, ChainError> {
        let token_id = number(cid);
        self.read("scope", scope, scope::ExistsCall { token_id })
            .await
    }

    /// The digest of the data that a token names now: for a constant the token itself.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] for a token that the scope does not have; others when the chain cannot be asked.
    pub async fn read_data(&self, scope: Address, token: Digest) -> Result<Digest, ChainError> {
        let call = scope::ReadDataCall {
            token_id: number(token),
        };
        let cid: [u8; 32] = self.read("scope", scope, call).await?;
        Ok(Digest(cid))
    }

    /// A ring: its members, its rules and its log heads, all read at one block, the newest one.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn ring_state(&self, ring: Address) -> Result<RingState, ChainError> {
        let mut left = RING_READS;
        loop {
            let head = self.latest().await?;
            let state = self.ring_state_at(ring, &head).await;
            left -= 1;
            let may_pass = state.as_ref().is_err_and(ChainError::is_transient);
            // The block may be gone with a reorganisation; the ring can then be read at the next one.
            if !may_pass || left == 0 || !self.is_gone(&head).await {
                return state;
            }
            tracing::debug!(
                block = head.height(),
                "the block at which a ring was read is gone; reading again"
            );
        }
    }

    /// Whether a block is certainly not canonical any more.
    async fn is_gone(&self, header: &Header) -> bool {
        let now = self.header(header.height()).await;
        now.is_ok_and(|now| now.is_none_or(|now| now.hash != header.hash))
    }

    /// The ring's state. All views are read at the same block, named by its hash, so they fit each other even if the
    /// chain goes on or is reorganised meanwhile.
    async fn ring_state_at(&self, ring: Address, head: &Header) -> Result<RingState, ChainError> {
        let at = At::Hash(head.hash);
        let members: Vec<H160> = self.view("ring", ring, ring::GetMembersCall, at).await?;
        let members: Vec<_> = members.into_iter().map(address).collect();
        let (epoch, quorum, counted, engine, ring_node_head): (U256, U256, U256, H160, [u8; 32]) =
            tokio::try_join!(
                self.view("ring", ring, ring::EpochCall, at),
                self.view("ring", ring, ring::QuorumCall, at),
                self.view("ring", ring, ring::CountedMembersCall, at),
                self.view("ring", ring, ring::EngineCall, at),
                self.view("ring", ring, ring::RingNodeHeadCall, at),
            )?;
        let engine = address(engine);
        Ok(RingState {
            block: head.height(),
            hash: digest(head.hash),
            heads: self.log_heads(ring, &members, at).await?,
            members,
            epoch: count(epoch),
            quorum: count(quorum),
            counted: count(counted),
            keeping: self.keeping(engine, ring, at).await?,
            engine,
            ring_node_head: Digest(ring_node_head),
        })
    }

    /// Who can change the membership of a ring, and how fast.
    async fn keeping(&self, engine: Address, ring: Address, at: At) -> Result<Keeping, ChainError> {
        let keeper = engine::KeeperOfCall { ring: h160(ring) };
        let (keeper, entry_delay, fork_rule, pending): (H160, U256, u8, Vec<H160>) = tokio::try_join!(
            self.view("engine", engine, keeper, at),
            self.view("ring", ring, ring::EntryDelayCall, at),
            self.view("ring", ring, ring::ForkRuleCall, at),
            self.view("ring", ring, ring::PendingEntriesCall, at),
        )?;
        let entries = pending.into_iter().map(|member| async move {
            let call = ring::EntryOfCall { member };
            let settles_at: U256 = self.view("ring", ring, call, at).await?;
            Ok::<_, ChainError>(PendingEntry {
                member: address(member),
                settles_at: count(settles_at),
            })
        });
        // Collected first: a lazy stream over borrowed members is not `Send` enough for the compiler.
        let entries: Vec<_> = entries.collect();
        Ok(Keeping {
            keeper: (!keeper.is_zero()).then(|| address(keeper)),
            entry_delay: count(entry_delay),
            fork_rule: fork_rule_of(fork_rule)?,
            pending: stream::iter(entries)
                .buffered(CONCURRENT_READS)
                .try_collect()
                .await?,
        })
    }

    /// The members of a ring, and the heads of their logs, zero where there is none: all at the newest block.
    ///
    /// # Errors
    /// As [`Chain::ring_state`].
    pub async fn heads_of(&self, ring: Address) -> Result<Vec<(Address, Digest)>, ChainError> {
        let head = self.latest().await?;
        let at = At::Hash(head.hash);
        let members: Vec<H160> = self.view("ring", ring, ring::GetMembersCall, at).await?;
        let members: Vec<_> = members.into_iter().map(address).collect();
        let heads = self.log_heads(ring, &members, at).await?;
        Ok(members.into_iter().zip(heads).collect())
    }

    async fn log_heads(
        &self,
        ring: Address,
        members: &[Address],
        at: At,
    ) -> Result<Vec<Digest>, ChainError> {
        let heads = members.iter().map(|member| async move {
            let member = h160(*member);
            let call = ring::LogNodeHeadsCall { member };
            let head: [u8; 32] = self.view("ring", ring, call, at).await?;
            Ok(Digest(head))
        });
        // Collected first: a lazy stream over borrowed members is not `Send` enough for the compiler.
        let heads: Vec<_> = heads.collect();
        stream::iter(heads)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// How a member can be reached, if it has said so.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn contact(
        &self,
        ring: Address,
        member: Address,
    ) -> Result<Option<Contact>, ChainError> {
        let member = h160(member);
        let call = ring::ContactOfCall { member };
        let (key, multiaddress): (Bytes, Bytes) = self.read("ring", ring, call).await?;
        if key.is_empty() {
            return Ok(None);
        }
        let public_key = PublicKey::from_slice(&key)
            .map_err(|error| ChainError::malformed("contactOf", error))?;
        Ok(Some(Contact {
            public_key,
            multiaddress: multiaddress.to_vec(),
        }))
    }

    /// Whether an account is a member of a ring now.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn is_member(&self, ring: Address, account: Address) -> Result<bool, ChainError> {
        let account = h160(account);
        self.read("ring", ring, ring::IsMemberCall { account })
            .await
    }

    /// The account that keeps a ring; `None` when it is self-kept.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no engine; others when the chain cannot be asked.
    pub async fn keeper(
        &self,
        engine: Address,
        ring: Address,
    ) -> Result<Option<Address>, ChainError> {
        let ring = h160(ring);
        let keeper: H160 = self
            .read("engine", engine, engine::KeeperOfCall { ring })
            .await?;
        Ok((!keeper.is_zero()).then(|| address(keeper)))
    }

    /// How many ring nodes a ring has.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn ring_node_count(&self, ring: Address) -> Result<u64, ChainError> {
        let written: U256 = self.read("ring", ring, ring::RingNodeCountCall).await?;
        Ok(count(written))
    }

    /// The digest of the newest ring node; zero when there is none.
    ///
    /// # Errors
    /// As [`Chain::ring_node_count`].
    pub async fn ring_node_head(&self, ring: Address) -> Result<Digest, ChainError> {
        let head: [u8; 32] = self.read("ring", ring, ring::RingNodeHeadCall).await?;
        Ok(Digest(head))
    }

    /// The digest of ring node `number`, while the contract names it: the newest hundred, and each hundredth for good.
    ///
    /// # Errors
    /// As [`Chain::ring_node_count`].
    pub async fn ring_node_at(
        &self,
        ring: Address,
        number: u64,
    ) -> Result<Option<Digest>, ChainError> {
        let call = ring::RingNodeAtCall {
            number: number.into(),
        };
        let node: Result<[u8; 32], _> = self.read("ring", ring, call).await;
        match node {
            Ok(node) => Ok(Some(Digest(node))),
            Err(ChainError::Reverted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the contract has as the head of a member's log; zero when there is none.
    ///
    /// # Errors
    /// As [`Chain::ring_node_count`].
    pub async fn log_head(&self, ring: Address, member: Address) -> Result<Digest, ChainError> {
        let member = h160(member);
        let call = ring::LogNodeHeadsCall { member };
        let head: [u8; 32] = self.read("ring", ring, call).await?;
        Ok(Digest(head))
    }

    /// Whether a member's log is frozen because of a fork.
    ///
    /// # Errors
    /// As [`Chain::ring_node_count`].
    pub async fn is_frozen(&self, ring: Address, member: Address) -> Result<bool, ChainError> {
        let member = h160(member);
        self.read("ring", ring, ring::IsFrozenCall { avatar: member })
            .await
    }

    /// Whether the contract accepts that ring node `number`, whose header is `header`, lists `entry`.
    ///
    /// # Errors
    /// As [`Chain::ring_node_count`].
    pub async fn prove_result(
        &self,
        ring: Address,
        header: &[u8],
        number: u64,
        entry: &[u8],
        path: &[Digest],
    ) -> Result<bool, ChainError> {
        let call = ring::ProveResultCall {
            header: Bytes::from(header.to_vec()),
            number: number.into(),
            entry: Bytes::from(entry.to_vec()),
            path: path.iter().map(|sister| sister.0).collect(),
        };
        self.read("ring", ring, call).await
    }

    async fn read<C, R>(
        &self,
        what: &'static str,
        contract: Address,
        call: C,
    ) -> Result<R, ChainError>
    where
        C: ethers_core::abi::AbiEncode,
        R: ethers_core::abi::AbiDecode,
    {
        self.view(what, contract, call, At::Latest).await
    }
}

fn fork_rule_of(number: u8) -> Result<ForkRule, ChainError> {
    match number {
        0 => Ok(ForkRule::Remove),
        1 => Ok(ForkRule::Freeze),
        _ => Err(ChainError::malformed("forkRule", "no such rule")),
    }
}
