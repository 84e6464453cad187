//! What a gate has given by a block.

use crate::{
    abi::gate,
    chain::{At, Chain},
    convert::word,
    error::ChainError,
};
use ethers_core::types::U256;
use rings_protocol::{gate::FAILURE_PIN, Address, Digest};

/// The one output of a gate, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateOutcome {
    /// The token on its first output pin, or that of the failure record.
    pub token: Digest,
    /// Whether its program failed.
    pub failed: bool,
}

impl Chain {
    /// What a gate with one output has given by a block; nothing as long as it has no result, or was not made.
    ///
    /// # Errors
    /// When the chain cannot be asked about this block.
    pub async fn gate_outcome(
        &self,
        gate: Address,
        block: u64,
    ) -> Result<Option<GateOutcome>, ChainError> {
        let at = At::Block(block);
        match self.is_resolved_at(gate, at).await {
            Err(ChainError::NotAContract { .. }) | Ok(false) => return Ok(None),
            Err(error) => return Err(error),
            Ok(true) => {}
        }
        for (pin, failed) in [(0, false), (FAILURE_PIN, true)] {
            let token: U256 = self
                .view("gate", gate, gate::OutputOfCall { pin }, at)
                .await?;
            if !token.is_zero() {
                let token = word(token);
                return Ok(Some(GateOutcome { token, failed }));
            }
        }
        Ok(None)
    }
}
