//! Tasks that a gate settles: on the chain, where other contracts read the result, or by another ring.
//!
//! Everything about the gate follows from the execution: its inputs are those of the request that would be asked otherwise, its
//! scope is the first one of the engine, its salt is zero. The engine makes one gate of each specification, at an address that
//! commits to it. So whichever members open it, and how often, an execution has one gate, and a gate has one result.
//!
//! With `within`, a gate that has no result in time is given up. Whether it came in time is decided by the ring, as it is for a node
//! that waits for an event ([`wait`]): the choice is the digest of the output, that of the failure record, or that of
//! [`expired`](wait::expired).

use crate::{
    wait,
    work::{execution_before, Work},
};
use cid::Cid;
use rings_protocol::{
    assembly::Choice,
    cids::digest_of,
    gate::{GateInput, GateSpec},
    Address, Digest,
};

/// The gate of an execution.
///
/// # Errors
/// When an input is no file, in words: the same for everybody, so the execution has failed.
pub fn gate(work: &Work, scope: Address, ring: Address) -> Result<GateSpec, String> {
    let constant = |cid: &Cid| {
        let digest = digest_of(cid);
        let digest =
            digest.map_err(|_| format!("{cid} does not name a file as `ipfs add` makes it"))?;
        Ok(GateInput::Constant(digest))
    };
    Ok(GateSpec {
        scope,
        rings: vec![ring],
        inputs: work
            .inputs
            .iter()
            .map(constant)
            .collect::<Result<_, String>>()?,
        outputs: 1,
        salt: Digest::ZERO,
    })
}

/// The execution of which a gate is, if it has the form of such a gate.
pub fn execution_of(spec: &GateSpec) -> Option<Cid> {
    let of = |input: &GateInput| match input {
        GateInput::Constant(digest) => Some(*digest),
        GateInput::Future { .. } => None,
    };
    let [_, execution, line_end, ..] = spec.inputs.as_slice() else {
        return None;
    };
    execution_before(of(execution)?, of(line_end)?)
}

/// What a member chooses that finds this output, or failure record, on the gate of an execution that may expire.
pub fn choice(execution: &Cid, token: Digest) -> Choice {
    Choice {
        slot: wait::slot(execution),
        choice: token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::cid_of;
    use rings_protocol::operation::{Mode, Operation};

    fn operation() -> Operation {
        Operation {
            args: Vec::new(),
            fuel: 1,
            memory: 1,
            mode: Mode::Cat,
            output: None,
            profile: "p".into(),
            program: cid_of(b"program"),
            stack: None,
            state: false,
            time: 0,
        }
    }

    #[test]
    fn a_gate_follows_from_the_inputs_and_the_ring_alone() {
        let work = Work {
            operation: operation(),
            documents: Vec::new(),
            inputs: vec![cid_of(b"operation"), cid_of(b"execution"), cid_of(b"\n")],
        };
        let (scope, ring) = (Address([1; 20]), Address([2; 20]));
        let spec = gate(&work, scope, ring).unwrap();
        assert_eq!(spec, gate(&work, scope, ring).unwrap());
        let execution = digest_of(&cid_of(b"execution")).unwrap();
        assert_eq!(spec.inputs[1], GateInput::Constant(execution));
        assert_eq!((spec.outputs, spec.salt), (1, Digest::ZERO));
        assert_eq!(execution_of(&spec), Some(cid_of(b"execution")));
        let other = GateSpec {
            inputs: spec.inputs[..2].to_vec(),
            ..spec.clone()
        };
        assert_eq!(execution_of(&other), None);
        assert_ne!(spec, gate(&work, scope, scope).unwrap());
    }
}
