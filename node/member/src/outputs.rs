//! The result of a gate as the chain has it, in the form that votes have.

use rings_protocol::{circuit::GateResult, message::Outputs};

/// A result in the form that votes have; `None` if its pins are not valid.
pub(super) fn outputs_of(result: &GateResult) -> Option<Outputs> {
    Outputs::new(result.outputs.iter().map(|(pin, cid)| (*pin, *cid))).ok()
}
