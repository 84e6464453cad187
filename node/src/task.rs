//! How the task of a gate follows from the chain: the same for every member, and for whoever verifies later.

use rings_compute::{Limits, Task};
use rings_protocol::{
    cids::sha256,
    operation::{Operation, DEFAULT_OUTPUT, DEFAULT_STACK},
    Address, Digest,
};

/// Name under which a program sees itself (`argv[0]`).
pub const PROGRAM_NAME: &str = "program.wasm";
/// Separate these uses of the hash from all others.
const SEED_DOMAIN: &[u8] = b"rings seed v1";
const STATE_SEED_DOMAIN: &[u8] = b"rings state seed v1";

/// One run of `operation` for `gate`: its random bytes are seeded by chain, ring and gate, and its clock stands at
/// `ready_timestamp`, the time (Unix seconds) of the block that made the gate ready.
pub fn task(
    chain_id: u64,
    ring: Address,
    gate: Address,
    operation: &Operation,
    module_digest: Digest,
    ready_timestamp: u64,
) -> Task {
    Task {
        module: module_digest,
        program: PROGRAM_NAME.into(),
        args: operation.args.clone(),
        limits: Limits {
            fuel: operation.fuel,
            memory: operation.memory,
            output: operation.output.unwrap_or(DEFAULT_OUTPUT),
            stack: operation.stack.unwrap_or(DEFAULT_STACK),
        },
        time: ready_timestamp,
        seed: seed(chain_id, ring, gate).0,
        state: false,
    }
}

/// The same run with a state: its time is always 0, and its random bytes are seeded by the digests of the state and of the
/// inputs, so that what follows from them does not depend on when and where it is computed.
pub fn with_state(task: Task, pins: &[Digest]) -> Task {
    let pins: Vec<u8> = pins.iter().flat_map(|pin| pin.0).collect();
    Task {
        time: 0,
        seed: sha256(&[STATE_SEED_DOMAIN, &pins].concat()).0,
        state: true,
        ..task
    }
}

/// sha2-256 of domain ‖ chain id (8 bytes, big-endian) ‖ ring ‖ gate.
fn seed(chain_id: u64, ring: Address, gate: Address) -> Digest {
    let parts = [
        SEED_DOMAIN,
        &chain_id.to_be_bytes(),
        ring.as_ref(),
        gate.as_ref(),
    ];
    sha256(&parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{cids::data_cid, operation::Mode};

    #[test]
    fn with_a_state_only_the_inputs_count() {
        let operation = Operation {
            args: vec![],
            fuel: 7,
            memory: 1,
            mode: Mode::Cat,
            output: None,
            program: data_cid(Digest([9; 32])),
            stack: None,
            state: true,
        };
        let at = |gate: u8, time| {
            let (ring, gate) = (Address([1; 20]), Address([gate; 20]));
            task(1, ring, gate, &operation, Digest([9; 32]), time)
        };
        let pins = [Digest([1; 32]), Digest([2; 32])];
        let one = with_state(at(2, 10), &pins);
        assert_eq!(one, with_state(at(3, 20), &pins));
        assert_eq!((one.time, one.state), (0, true));
        let limits = (one.limits.output, one.limits.stack);
        assert_eq!(limits, (DEFAULT_OUTPUT, DEFAULT_STACK));
        let known = "0xb36829f2e85e7b8480326517120e1a157732ee444eb5a968adf06cdc2015206c";
        assert_eq!(Digest(one.seed).to_string(), known);
        assert_ne!(one.seed, with_state(at(2, 10), &pins[..1]).seed);
        assert_ne!(one.seed, at(2, 10).seed);
    }

    #[test]
    fn the_seed_depends_on_chain_ring_and_gate_and_stays_what_it_is() {
        let (ring, gate) = (Address([1; 20]), Address([2; 20]));
        let known = "0xff5c97c049ebcdd958db37788acc6cc73bda56192dc05428392ec0e56aa4ff3e";
        assert_eq!(seed(31337, ring, gate).to_string(), known);
        let others = [
            seed(1, ring, gate),
            seed(31337, gate, gate),
            seed(31337, ring, ring),
            seed(31337, gate, ring),
        ];
        for other in others {
            assert_ne!(other, seed(31337, ring, gate));
        }
    }
}
