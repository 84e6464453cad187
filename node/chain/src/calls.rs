//! Calls of the contracts, ready for a [`Submitter`](crate::Submitter).

use crate::{
    abi::{engine, ring, scope},
    convert::{h160, number},
    types::Call,
};
use ethers_core::{
    abi::AbiEncode,
    types::{Bytes, H160, U256},
};
use rings_protocol::{
    crypto::{PublicKey, Signature},
    gate::{GateInput, GateSpec},
    Address, Digest,
};

/// The most gas that a transaction may ask for (EIP-7825).
pub const MAX_GAS: u64 = 16_777_216;

/// Gas of a registration, apart from its signatures, outputs and futures: the transaction itself, the walk over
/// up to 256 members and 512 inputs, cold accounts, and the events of ring and gate.
pub const REGISTER_BASE_GAS: u64 = 450_000;
/// Gas for each signature: calldata at the floor price of EIP-7623 (at most 3,900), `ecrecover` (3,000), and memory.
pub const REGISTER_SIGNATURE_GAS: u64 = 10_000;
/// Gas for each output: a new constant of the scope and the output pin, each in fresh storage of 22,100, the owner's
/// balance, two events, and calldata.
pub const REGISTER_OUTPUT_GAS: u64 = 120_000;
/// Gas for each future of the gate, which is asked whether it is set: a cold account, a clone, a cold word.
pub const REGISTER_FUTURE_GAS: u64 = 8_000;
/// Futures that [`register_outputs`] allows for.
pub const FUTURES_COVERED: usize = 64;

/// Creates a ring; the sender becomes its keeper.
pub fn create_ring(engine: Address, members: &[Address]) -> Call {
    let members = members.iter().copied().map(h160).collect();
    encode(engine, engine::CreateRingCall { members })
}

/// Makes an account a member of a ring; only its keeper can.
pub fn enter(engine: Address, ring: Address, member: Address) -> Call {
    let (ring, member) = (h160(ring), h160(member));
    encode(engine, engine::EnterCall { ring, member })
}

/// Ends a membership; only the ring's keeper can.
pub fn exit(engine: Address, ring: Address, member: Address) -> Call {
    let (ring, member) = (h160(ring), h160(member));
    encode(engine, engine::ExitCall { ring, member })
}

/// Creates a scope of data tokens.
pub fn create_scope(engine: Address, name: &str, symbol: &str) -> Call {
    let (name, symbol) = (name.to_owned(), symbol.to_owned());
    encode(engine, engine::CreateScopeCall { name, symbol })
}

/// Declares data, by the digests of their files, as constants of a scope.
pub fn declare_data(scope: Address, cids: &[Digest]) -> Call {
    let call = scope::DeclareDataCall {
        cids: words(cids),
        mutability: 0,
    };
    encode(scope, call)
}

/// Creates the one gate of this specification, or asks for it once more.
pub fn create_gate(engine: Address, spec: &GateSpec) -> Call {
    let spec = to_spec(spec);
    encode(engine, engine::CreateGateCall { spec })
}

/// Creates gates that wait for one another: an input's gate of `address(i + 1)` is the i-th of `specs`.
pub fn create_circuit(engine: Address, specs: &[GateSpec]) -> Call {
    let specs = specs.iter().map(to_spec).collect();
    encode(engine, engine::CreateCircuitCall { specs })
}

/// Publishes how the sender, a member of the ring, can be reached; `multiaddress` is binary.
pub fn announce(ring: Address, public_key: &PublicKey, multiaddress: &[u8]) -> Call {
    let call = ring::AnnounceCall {
        public_key: Bytes::from(public_key.0),
        multiaddress: Bytes::from(multiaddress.to_vec()),
    };
    encode(ring, call)
}

/// Registers a gate's outputs with the members' signatures, which are in ascending order of their signers.
///
/// The gas limit is a bound by formula ([`register_gas`]): what is not used is not paid, and no time is
/// lost on an estimate. It allows for [`FUTURES_COVERED`] futures; for a gate with more, set `gas` anew.
pub fn register_outputs(
    ring: Address,
    gate: Address,
    pins: &[u128],
    cids: &[Digest],
    signatures: &[Signature],
) -> Call {
    let call = ring::RegisterOutputsCall {
        gate: h160(gate),
        pins: pins.to_vec(),
        cids: words(cids),
        r: signatures.iter().map(|signature| signature.r).collect(),
        s: signatures.iter().map(|signature| signature.s).collect(),
        v: signatures.iter().map(|signature| signature.v).collect(),
    };
    Call {
        gas: Some(register_gas(signatures.len(), pins.len(), FUTURES_COVERED)),
        ..encode(ring, call)
    }
}

/// An upper bound for the gas of a registration, never above [`MAX_GAS`].
pub fn register_gas(signatures: usize, outputs: usize, futures: usize) -> u64 {
    let part = |count: usize, gas: u64| (count as u64).saturating_mul(gas);
    REGISTER_BASE_GAS
        .saturating_add(part(signatures, REGISTER_SIGNATURE_GAS))
        .saturating_add(part(outputs, REGISTER_OUTPUT_GAS))
        .saturating_add(part(futures, REGISTER_FUTURE_GAS))
        .min(MAX_GAS)
}

fn encode(to: Address, call: impl AbiEncode) -> Call {
    Call::contract(to, call.encode())
}

fn words(digests: &[Digest]) -> Vec<[u8; 32]> {
    digests.iter().map(|digest| digest.0).collect()
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
        GateInput::Token(token) => engine::Input {
            token_id: number(*token),
            gate: H160::zero(),
            pin: 0,
        },
        GateInput::Output { gate, pin } => engine::Input {
            token_id: U256::zero(),
            gate: h160(*gate),
            pin: *pin,
        },
    }
}
