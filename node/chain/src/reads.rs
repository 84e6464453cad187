//! What the contracts say.

use crate::{
    abi::{engine, gate, ring, scope},
    calls::to_spec,
    chain::{At, Chain},
    convert::{address, count, h160, number, word},
    error::ChainError,
    types::{Contact, GateState, RingState},
};
use ethers_core::types::{Bytes, H160, U256};
use futures::{stream, StreamExt, TryStreamExt};
use rings_protocol::{
    crypto::PublicKey,
    gate::{GateInput, GateSpec},
    Address, Digest,
};

/// Heads of members that are read at once.
const CONCURRENT_READS: usize = 16;

impl Chain {
    /// What a gate asks.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no gate; others when the chain cannot be asked.
    pub async fn gate_spec(&self, gate: Address) -> Result<GateSpec, ChainError> {
        let spec: gate::SpecReturn = self.read("gate", gate, gate::SpecCall).await?;
        Ok(from_spec(spec.0))
    }

    /// The address of the one gate of this specification, made or not.
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

    /// Where a gate stands.
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

    /// The digest of the data that a token names now.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] for a token that the scope does not have; others when the chain cannot be asked.
    pub async fn read_data(&self, scope: Address, token: Digest) -> Result<Digest, ChainError> {
        self.data(scope, token, At::Latest).await
    }

    /// The digest of the data that a token named after a block: what counts for a variable.
    ///
    /// # Errors
    /// As [`Chain::read_data`]; an endpoint may not keep the state of an old block.
    pub async fn read_data_at(
        &self,
        scope: Address,
        token: Digest,
        block: u64,
    ) -> Result<Digest, ChainError> {
        self.data(scope, token, At::Block(block)).await
    }

    async fn data(&self, scope: Address, token: Digest, at: At) -> Result<Digest, ChainError> {
        let call = scope::ReadDataCall {
            token_id: number(token),
        };
        let cid: [u8; 32] = self.view("scope", scope, call, at).await?;
        Ok(Digest(cid))
    }

    /// A ring: its members and what they agreed on, all as of one block.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn ring_state(&self, ring: Address) -> Result<RingState, ChainError> {
        let block = self.block_number().await?;
        let at = At::Block(block);
        let (members, epoch, quorum, engine, ring_node_head): (
            Vec<H160>,
            U256,
            U256,
            H160,
            [u8; 32],
        ) = tokio::try_join!(
            self.view("ring", ring, ring::GetMembersCall, at),
            self.view("ring", ring, ring::EpochCall, at),
            self.view("ring", ring, ring::QuorumCall, at),
            self.view("ring", ring, ring::EngineCall, at),
            self.view("ring", ring, ring::RingNodeHeadCall, at),
        )?;
        let members: Vec<_> = members.into_iter().map(address).collect();
        let heads = self.log_heads(ring, &members, at).await?;
        Ok(RingState {
            block,
            members,
            epoch: count(epoch),
            quorum: count(quorum),
            engine: address(engine),
            heads,
            ring_node_head: Digest(ring_node_head),
        })
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

    /// The account that may change a ring's membership.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no engine; others when the chain cannot be asked.
    pub async fn keeper(&self, engine: Address, ring: Address) -> Result<Address, ChainError> {
        let ring = h160(ring);
        let keeper: H160 = self
            .read("engine", engine, engine::KeeperOfCall { ring })
            .await?;
        Ok(address(keeper))
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

/// A specification as a contract returns it.
pub(crate) fn from_spec(spec: engine::GateSpec) -> GateSpec {
    let inputs = spec
        .inputs
        .into_iter()
        .map(|input| from_input(input.token_id, input.gate, input.pin));
    GateSpec {
        scope: address(spec.scope),
        rings: spec.rings.into_iter().map(address).collect(),
        inputs: inputs.collect(),
        outputs: spec.outputs,
        salt: Digest(spec.salt),
    }
}

/// An input is a token, or, where the token is zero, another gate's output.
fn from_input(token: U256, gate: H160, pin: u128) -> GateInput {
    if token.is_zero() {
        GateInput::Output {
            gate: address(gate),
            pin,
        }
    } else {
        GateInput::Token(word(token))
    }
}
