//! What a gate asks for, as its address commits to it.

use crate::{Address, Digest};
use serde::{Deserialize, Serialize};

/// Output pin that carries the failure record of a program that failed: `type(uint96).max`.
pub const FAILURE_PIN: u128 = (1 << 96) - 1;

/// The specification of a gate: `GateSpec` of the engine's ABI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// The scope whose tokens the pins carry.
    pub scope: Address,
    /// Assigned rings: the primary first, then fall-backs.
    pub rings: Vec<Address>,
    /// Input pins in order; pin 0 is the operation.
    pub inputs: Vec<GateInput>,
    /// How many output pins the gate has (`uint96`).
    pub outputs: u128,
    /// Tells apart equal questions that are to be answered again.
    pub salt: Digest,
}

/// What one input pin carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum GateInput {
    /// A token of the scope.
    Token(Digest),
    /// A future: the output pin of another gate.
    Output {
        /// The gate that will set it.
        gate: Address,
        /// Which of its output pins.
        pin: u128,
    },
}

impl GateSpec {
    /// The gates that must have resolved before this one is ready, without repetition.
    pub fn upstream(&self) -> Vec<Address> {
        let mut gates: Vec<_> = self
            .inputs
            .iter()
            .filter_map(|input| match input {
                GateInput::Output { gate, .. } => Some(*gate),
                GateInput::Token(_) => None,
            })
            .collect();
        gates.sort_unstable();
        gates.dedup();
        gates
    }
}
