//! How the task of a gate follows from the chain: the same for every member, and for whoever verifies later.

use rings_compute::{Limits, Task};
use rings_protocol::{cids::sha256, operation::Operation, Address, Digest};

/// Name under which a program sees itself (`argv[0]`).
pub const PROGRAM_NAME: &str = "program.wasm";
/// Separates this use of the hash from all others.
const SEED_DOMAIN: &[u8] = b"rings seed v1";

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
            // The operation has no limit of its own for it: each byte costs fuel, which has one.
            output: operation.fuel,
        },
        time: ready_timestamp,
        seed: seed(chain_id, ring, gate).0,
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
