//! Calls of the contracts, ready for a [`Submitter`](crate::Submitter).
//!
//! Each function gives a [`Call`]: the contract's address and the encoded arguments. Nothing is sent here. Most calls
//! leave the gas limit to an estimate. [`register_outputs`] sets it by a formula ([`register_gas`]), so that a
//! registration leaves without asking the chain first; the constants of the formula are measured by the contracts' gas
//! tests.

use crate::{
    abi::{engine, gate, ring, scope},
    convert::h160,
    specs::to_spec,
    types::{Call, ForkRule, RingTerms},
};
use ethers_core::{
    abi::AbiEncode,
    types::{Bytes, H160},
};
use rings_protocol::{
    assembly::NodeRegistration,
    crypto::{PublicKey, Signature},
    gate::GateSpec,
    log::{ForkClaim, SignedNode},
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

/// Creates a ring. Without a keeper it is self-kept from the start.
pub fn create_ring(engine: Address, members: &[Address], terms: &RingTerms) -> Call {
    let call = engine::CreateRingCall {
        members: h160s(members),
        keeper: h160(terms.keeper.unwrap_or(Address::ZERO)),
        entry_delay: terms.entry_delay.into(),
        fork_rule: match terms.fork_rule {
            ForkRule::Remove => 0,
            ForkRule::Freeze => 1,
        },
    };
    encode(engine, call)
}

/// Announces that an account shall become a member of a ring; only its keeper can. The account becomes a member by
/// [`settle`], which succeeds once the ring's entry delay is over.
pub fn enter(engine: Address, ring: Address, member: Address) -> Call {
    let (ring, member) = (h160(ring), h160(member));
    encode(engine, engine::EnterCall { ring, member })
}

/// Makes an account a member when its announced entry is due; anybody can.
pub fn settle(ring: Address, member: Address) -> Call {
    let member = h160(member);
    encode(ring, ring::SettleCall { member })
}

/// Ends a membership; only the ring's keeper can. The quorum counts the member until the entry delay is over.
pub fn exit(engine: Address, ring: Address, member: Address) -> Call {
    let (ring, member) = (h160(ring), h160(member));
    encode(engine, engine::ExitCall { ring, member })
}

/// Ends the sender's membership.
pub fn leave(ring: Address) -> Call {
    encode(ring, ring::LeaveCall)
}

/// Changes the membership as two thirds of the members have signed. The signatures are in ascending order of their
/// signers. `deadline` is a Unix time, in seconds.
pub fn change_members(
    ring: Address,
    enter: &[Address],
    exit: &[Address],
    deadline: u64,
    signatures: &[Signature],
) -> Call {
    let call = ring::ChangeMembersCall {
        enter: h160s(enter),
        exit: h160s(exit),
        deadline: deadline.into(),
        r: signatures.iter().map(|signature| signature.r).collect(),
        s: signatures.iter().map(|signature| signature.s).collect(),
        v: signatures.iter().map(|signature| signature.v).collect(),
    };
    encode(ring, call)
}

/// Offers the keeping of a ring to an account, which takes it with [`accept_keeper`].
pub fn transfer_keeper(engine: Address, ring: Address, new_keeper: Address) -> Call {
    let (ring, new_keeper) = (h160(ring), h160(new_keeper));
    encode(engine, engine::TransferKeeperCall { ring, new_keeper })
}

/// Takes the keeping of a ring that was offered to the sender.
pub fn accept_keeper(engine: Address, ring: Address) -> Call {
    encode(engine, engine::AcceptKeeperCall { ring: h160(ring) })
}

/// Makes a ring self-kept for good; only its keeper can.
pub fn renounce_keeper(engine: Address, ring: Address) -> Call {
    encode(engine, engine::RenounceKeeperCall { ring: h160(ring) })
}

/// Challenges the primary ring of a ready gate for being silent.
pub fn challenge_primary_ring(gate: Address) -> Call {
    encode(gate, gate::ChallengePrimaryRingCall)
}

/// Lets the fall-back rings of a gate register its outputs, once the time after the challenge is over.
pub fn open_floodgate(gate: Address) -> Call {
    encode(gate, gate::OpenFloodgateCall)
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
/// The gas limit comes from a formula ([`register_gas`]). Unused gas is not paid, and no time is lost on an estimate.
/// It allows for [`FUTURES_COVERED`] futures; for a gate with more, set `gas` anew.
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

/// Registers a ring node with the members' endorsements, which are in ascending order of their signers.
///
/// The gas is estimated. So a registration that comes too late, because another one was faster or a head has moved, is
/// found before anything is paid.
pub fn register_ring_node(ring: Address, registration: &NodeRegistration) -> Call {
    let signatures = registration.signatures.iter();
    let (mut r, mut s, mut v) = (Vec::new(), Vec::new(), Vec::new());
    for (_, signature) in signatures {
        r.push(signature.r);
        s.push(signature.s);
        v.push(signature.v);
    }
    let moves = &registration.moves;
    let call = ring::RegisterRingNodeCall {
        cid: registration.node.0,
        members: moves.iter().map(|(member, _, _)| h160(*member)).collect(),
        heads: moves.iter().map(|(_, _, head)| head.0).collect(),
        r,
        s,
        v,
    };
    encode(ring, call)
}

/// Proves that a member signed two nodes for one position; anybody can. The gas is estimated, so that nothing is paid for
/// a fork that is proven already.
pub fn prove_fork(ring: Address, claim: &ForkClaim) -> Call {
    let signed = |node: &SignedNode| ring::SignedNode {
        prev: node.prev.0,
        content: node.content.0,
        r: node.signature.r,
        s: node.signature.s,
        v: node.signature.v,
    };
    let [one, other] = &claim.signed;
    let call = ring::ProveForkCall {
        seq: claim.seq,
        one: signed(one),
        other: signed(other),
    };
    encode(ring, call)
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

pub(crate) fn encode(to: Address, call: impl AbiEncode) -> Call {
    Call::contract(to, call.encode())
}

fn h160s(addresses: &[Address]) -> Vec<H160> {
    addresses.iter().copied().map(h160).collect()
}

fn words(digests: &[Digest]) -> Vec<[u8; 32]> {
    digests.iter().map(|digest| digest.0).collect()
}
