//! The contracts' bindings, and their errors.

use ethers_core::abi::ethabi::AbiError;
pub(crate) use rings_abi::{account, engine, gate, ring, scope};

/// Every custom error of the contracts.
pub(crate) fn errors() -> impl Iterator<Item = &'static AbiError> {
    let abis = [
        &*engine::ENGINE_ABI,
        &*ring::RING_ABI,
        &*scope::SCOPE_ABI,
        &*gate::GATE_ABI,
        &*account::ACCOUNT_ABI,
    ];
    abis.into_iter()
        .flat_map(|abi| abi.errors.values().flatten())
}

/// The code that creates an engine.
pub(crate) fn creation_code() -> Vec<u8> {
    engine::ENGINE_BYTECODE.to_vec()
}
