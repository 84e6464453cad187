//! Makes the task of a computation: the same for every member, and for a person who verifies later.
//!
//! A task is what `rings-compute` runs: arguments, limits, clock and the seed of the random bytes. All of it follows
//! from the operation, the gate and its inputs, so the result does too. `execute/` adds the program and the streams.

use rings_compute::{gate_seed, state_seed, Limits, Task};
use rings_protocol::{
    gate::Computation,
    operation::{Operation, DEFAULT_OUTPUT, DEFAULT_STACK},
    Digest,
};

/// Name under which a program sees itself (`argv[0]`).
pub const PROGRAM_NAME: &str = "program.wasm";

/// One run of `operation`: its clock shows the operation's time, and its random bytes are seeded by the gate and what the
/// gate's futures hold. No block, chain or ring is part of it. How many blocks its inputs have is still to be set.
pub fn task(computation: Computation, operation: &Operation, module: Digest) -> Task {
    Task {
        module,
        program: PROGRAM_NAME.into(),
        args: operation.args.clone(),
        limits: Limits {
            fuel: operation.fuel,
            memory: operation.memory,
            output: operation.output.unwrap_or(DEFAULT_OUTPUT),
            stack: operation.stack.unwrap_or(DEFAULT_STACK),
        },
        time: operation.time,
        seed: gate_seed(computation.gate, computation.inputs),
        state: false,
        blocks: 0,
    }
}

/// The same run with a state: its random bytes are seeded by the digests of the state and of the inputs, so that what
/// follows from them does not depend on the gate in which it is computed.
pub fn with_state(task: Task, pins: &[Digest]) -> Task {
    Task {
        seed: state_seed(pins),
        state: true,
        ..task
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{cids::data_cid, operation::Mode, Address};

    fn operation() -> Operation {
        Operation {
            args: vec![],
            fuel: 7,
            memory: 1,
            mode: Mode::Cat,
            output: None,
            profile: "p".into(),
            program: data_cid(Digest([9; 32])),
            stack: None,
            state: true,
            time: 1_700_000_000,
        }
    }

    fn at(gate: u8, inputs: u8) -> Task {
        let computation = Computation {
            gate: Address([gate; 20]),
            inputs: Digest([inputs; 32]),
        };
        task(computation, &operation(), Digest([9; 32]))
    }

    #[test]
    fn gate_and_inputs_decide_and_the_operation_gives_the_time() {
        let one = at(2, 1);
        assert_eq!(one, at(2, 1));
        assert_ne!(one.seed, at(3, 1).seed);
        assert_ne!(one.seed, at(2, 2).seed);
        assert_eq!(one.time, 1_700_000_000);
        let limits = (one.limits.output, one.limits.stack);
        assert_eq!(limits, (DEFAULT_OUTPUT, DEFAULT_STACK));
    }

    #[test]
    fn with_a_state_only_the_inputs_count() {
        let pins = [Digest([1; 32]), Digest([2; 32])];
        let one = with_state(at(2, 1), &pins);
        assert_eq!(one, with_state(at(3, 2), &pins));
        assert!(one.state);
        assert_ne!(one.seed, with_state(at(2, 1), &pins[..1]).seed);
        assert_ne!(one.seed, at(2, 1).seed);
    }
}
