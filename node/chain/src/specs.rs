//! Specifications of gates: between the project's form and that of the contracts, and a cache of those that were read.
//! A gate's address commits to its specification, so what is cached never becomes wrong.

use crate::{
    abi::engine,
    convert::{h160, number},
};
use ethers_core::types::{H160, U256};
use rings_protocol::{
    gate::{GateInput, GateSpec},
    Address,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Specifications that are remembered.
const CACHED_SPECS: usize = 16_384;

/// The specifications of the gates that were read last. A gate's address commits to its specification, so the cache
/// never becomes wrong.
#[derive(Debug, Default)]
pub(crate) struct SpecCache(Mutex<Specs>);

/// Specifications by gate, and the order in which they came: the oldest goes when there are too many.
#[derive(Debug, Default)]
struct Specs {
    by_gate: HashMap<Address, Arc<GateSpec>>,
    order: VecDeque<Address>,
}

impl SpecCache {
    pub(crate) fn get(&self, gate: Address) -> Option<Arc<GateSpec>> {
        let specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        specs.by_gate.get(&gate).cloned()
    }

    /// Keeps a specification, and forgets the oldest when there are too many.
    pub(crate) fn remember(&self, gate: Address, spec: Arc<GateSpec>) {
        let mut specs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if specs.by_gate.insert(gate, spec).is_none() {
            specs.order.push_back(gate);
        }
        if specs.order.len() > CACHED_SPECS {
            if let Some(oldest) = specs.order.pop_front() {
                specs.by_gate.remove(&oldest);
            }
        }
    }
}

/// A specification as the contract reads it.
pub(crate) fn to_spec(spec: &GateSpec) -> engine::GateSpec {
    engine::GateSpec {
        scope: h160(spec.scope),
        rings: spec.rings.iter().copied().map(h160).collect(),
        inputs: spec.inputs.iter().map(to_input).collect(),
        outputs: spec.outputs,
        salt: spec.salt.0,
    }
}

fn to_input(input: &GateInput) -> engine::Input {
    match input {
        GateInput::Constant(token) => engine::Input {
            token_id: number(*token),
            gate: H160::zero(),
            pin: 0,
        },
        GateInput::Future { gate, pin } => engine::Input {
            token_id: U256::zero(),
            gate: h160(*gate),
            pin: *pin,
        },
    }
}
