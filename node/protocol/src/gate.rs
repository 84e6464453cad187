//! What a gate asks for, as its address commits to it, and what one computation of it is.
//!
//! A [`GateSpec`] never changes. Its inputs are constants, whose token id is the digest of their data, and futures,
//! which are outputs of other gates. With the outputs of those gates known, [`GateSpec::resolve`] gives the
//! [`ResolvedInputs`]: the data on each pin, and the hash that stands in what is signed. Gate and hash together are a
//! [`Computation`]: it has exactly one right result, on every branch of the chain.

use crate::{cids::keccak256, Address, Digest};
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
    /// Makes a new gate out of the same inputs and operation, for someone who wants the work done again.
    pub salt: Digest,
}

/// What one input pin carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum GateInput {
    /// A constant of the scope. Its token id is the digest of its data.
    Constant(Digest),
    /// A future: the output pin of another gate.
    Future {
        /// The gate that will set it.
        gate: Address,
        /// Which of its output pins.
        pin: u128,
    },
}

/// A gate together with what its futures hold. A member signs only one result for it, ever.
///
/// After a reorganisation a future may hold something else. Then it is another computation of the same gate, with
/// another result, and the votes for the two never count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computation {
    /// The gate.
    pub gate: Address,
    /// Hash of what its futures hold: see [`inputs_hash`].
    pub inputs: Digest,
}

/// The inputs of a gate whose futures are all set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedInputs {
    /// [`inputs_hash`] of what the futures hold.
    pub hash: Digest,
    /// Digest of the data on each input pin, in order; the first is the operation.
    pub data: Vec<Digest>,
}

/// `keccak256(abi.encodePacked(uint256[] tokens))`, as `IGate.inputsHash()` returns it.
///
/// `tokens` are those that the futures of a gate hold, in the order of the input pins; constants are left out, because
/// the gate's address commits to those. For a gate without futures it is the hash of the empty string.
pub fn inputs_hash(tokens: &[Digest]) -> Digest {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.0).collect();
    keccak256(&bytes)
}

impl GateSpec {
    /// The gates that must have resolved before this one is ready, without repetition.
    pub fn upstream(&self) -> Vec<Address> {
        let mut gates: Vec<_> = self
            .inputs
            .iter()
            .filter_map(|input| match input {
                GateInput::Future { gate, .. } => Some(*gate),
                GateInput::Constant(_) => None,
            })
            .collect();
        gates.sort_unstable();
        gates.dedup();
        gates
    }

    /// The data on all input pins, or `None` while a future is unset. `output` says what a pin of another gate holds.
    pub fn resolve(
        &self,
        mut output: impl FnMut(Address, u128) -> Option<Digest>,
    ) -> Option<ResolvedInputs> {
        let mut tokens = Vec::new();
        let mut data = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            data.push(match input {
                GateInput::Constant(token) => *token,
                GateInput::Future { gate, pin } => {
                    let token = output(*gate, *pin)?;
                    tokens.push(token);
                    token
                }
            });
        }
        Some(ResolvedInputs {
            hash: inputs_hash(&tokens),
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(inputs: Vec<GateInput>) -> GateSpec {
        GateSpec {
            scope: Address([1; 20]),
            rings: vec![Address([2; 20])],
            inputs,
            outputs: 1,
            salt: Digest::ZERO,
        }
    }

    #[test]
    fn without_futures_the_hash_is_that_of_nothing() {
        let resolved = spec(vec![GateInput::Constant(Digest([7; 32]))])
            .resolve(|_, _| None)
            .unwrap();
        assert_eq!(
            resolved.hash.to_string(),
            "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(resolved.data, [Digest([7; 32])]);
    }

    proptest! {
        /// Only futures are in the hash, in the order of the pins, and none may be missing.
        #[test]
        fn the_hash_covers_the_futures_in_pin_order(pins in proptest::collection::vec((any::<bool>(), any::<[u8; 32]>()), 1..12)) {
            let gate = |n: usize| Address([n as u8; 20]);
            let inputs = pins.iter().enumerate().map(|(n, (future, token))| match future {
                true => GateInput::Future { gate: gate(n), pin: n as u128 },
                false => GateInput::Constant(Digest(*token)),
            });
            let spec = spec(inputs.collect());
            let at = |of: Address, pin: u128| (of == gate(pin as usize)).then(|| Digest(pins[pin as usize].1));
            let resolved = spec.resolve(at).unwrap();
            let futures: Vec<u8> = pins.iter().filter(|(future, _)| *future).flat_map(|(_, token)| *token).collect();
            prop_assert_eq!(resolved.hash, keccak256(&futures));
            prop_assert_eq!(resolved.data, pins.iter().map(|(_, token)| Digest(*token)).collect::<Vec<_>>());
            for (missing, (future, _)) in pins.iter().enumerate() {
                let without = spec.resolve(|of, pin| at(of, pin).filter(|_| pin as usize != missing));
                prop_assert_eq!(without.is_none(), *future);
            }
        }
    }
}
