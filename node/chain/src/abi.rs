//! The contracts' bindings, and their errors.

use crate::convert::h160;
use ethers_core::abi::{ethabi::AbiError, AbiEncode};
pub(crate) use rings_abi::{account, engine, gate, registry, ring, scope};
use rings_protocol::Address;

/// Every custom error of the contracts.
pub(crate) fn errors() -> impl Iterator<Item = &'static AbiError> {
    let abis = [
        &*engine::ENGINE_ABI,
        &*ring::RING_ABI,
        &*scope::SCOPE_ABI,
        &*gate::GATE_ABI,
        &*account::ACCOUNT_ABI,
        &*registry::REGISTRY_ABI,
    ];
    abis.into_iter()
        .flat_map(|abi| abi.errors.values().flatten())
}

/// The code that creates the ring contract, of which all rings are clones.
pub(crate) fn ring_creation() -> Vec<u8> {
    ring::RING_BYTECODE.to_vec()
}

/// The code that creates an engine, whose rings are clones of `rings`.
pub(crate) fn engine_creation(rings: Address) -> Vec<u8> {
    let mut code = engine::ENGINE_BYTECODE.to_vec();
    code.extend(h160(rings).encode());
    code
}
