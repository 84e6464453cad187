//! What is run.
//!
//! A [`Task`] has everything but the streams: the module by its hash, the arguments, the [`Limits`], the time that
//! clocks show, and the seed of the random bytes. Together with the input it determines every bit of the outcome, so
//! nothing of this machine, of a chain or of a ring may ever be added to it. The seeds are made by [`gate_seed`] and
//! [`state_seed`], each with a domain of its own.

use crate::costs::BLOCK_FUEL;
use rings_protocol::{cids::sha256, Address, Digest};
use serde::{Deserialize, Serialize};

/// Separates the seeds of gates from all other uses of the hash.
const GATE_DOMAIN: &[u8] = b"rings seed v2";
/// Separates the seeds of services from all other uses of the hash.
const STATE_DOMAIN: &[u8] = b"rings state seed v1";

/// What one run may use. Part of the operation, so that members agree when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Units of fuel: one for a simple instruction, more for one that takes longer, one for each byte copied, read or
    /// written. A unit takes at most [`crate::UNIT_NANOSECONDS`].
    pub fuel: u64,
    /// Bytes of linear memory. Growing beyond it is answered with -1, even if the machine has more memory.
    pub memory: u64,
    /// Bytes of standard output and of the next state together. A write that would exceed it ends the program with the trap
    /// [`crate::OUTPUT_TRAP`]. Each byte also costs [`crate::BYTE_FUEL`].
    pub output: u64,
    /// Bytes of stack, at most [`crate::MAX_STACK`]. What a frame costs follows from the module, not from the machine:
    /// 256, and 16 for each parameter, local and operand, and 1 for each operator.
    pub stack: u64,
}

/// One run of one program. Together with the input it determines every bit of the [`crate::Outcome`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// sha2-256 of the WASM module's bytes.
    pub module: Digest,
    /// The program's name: `argv[0]`.
    pub program: String,
    /// Arguments after the name.
    pub args: Vec<String>,
    /// What the run may use.
    pub limits: Limits,
    /// What every clock shows, in Unix seconds: the time that the operation sets. 0 when it sets none.
    pub time: u64,
    /// Seed of the random bytes.
    pub seed: [u8; 32],
    /// Whether there is a state: descriptor 3 reads it, and descriptor 4 writes the one that follows it.
    pub state: bool,
    /// How many blocks the inputs consist of, the state included: all nodes of their graphs. Each costs [`BLOCK_FUEL`]
    /// before the first instruction.
    #[serde(default)]
    pub blocks: u64,
}

impl Task {
    /// Fuel for the blocks of the inputs.
    pub(crate) fn block_fuel(&self) -> u64 {
        self.blocks.saturating_mul(BLOCK_FUEL)
    }
}

/// The seed of a gate's random bytes: sha2-256 of a domain, the gate's address, and the hash of the tokens that its
/// futures hold (`IGate.inputsHash()`). So random bytes depend on what is asked, not on a block, a chain or a ring.
pub fn gate_seed(gate: Address, inputs: Digest) -> [u8; 32] {
    sha256(&[GATE_DOMAIN, gate.as_ref(), &inputs.0].concat()).0
}

/// The seed of a step of a service: sha2-256 of a domain, and the digests of the state and of the other inputs, in order.
/// So what follows from them does not depend on the gate in which it is computed.
pub fn state_seed(inputs: &[Digest]) -> [u8; 32] {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| input.0).collect();
    sha256(&[STATE_DOMAIN, &inputs].concat()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gates_seed_depends_on_gate_and_inputs_and_stays_what_it_is() {
        let (gate, inputs) = (Address([2; 20]), Digest([3; 32]));
        let seed = gate_seed(gate, inputs);
        assert_ne!(seed, gate_seed(Address([1; 20]), inputs));
        assert_ne!(seed, gate_seed(gate, Digest([4; 32])));
        let known = "dc5f147fff37314fe2af38e7b1d0ee1ed6609653a95b46c455aef86be3f4a139";
        assert_eq!(hex::encode(seed), known);
    }

    #[test]
    fn a_states_seed_depends_on_the_inputs_alone() {
        let inputs = [Digest([1; 32]), Digest([2; 32])];
        let known = "b36829f2e85e7b8480326517120e1a157732ee444eb5a968adf06cdc2015206c";
        assert_eq!(hex::encode(state_seed(&inputs)), known);
        assert_ne!(state_seed(&inputs), state_seed(&inputs[..1]));
    }
}
