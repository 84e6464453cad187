//! Rust bindings of the contracts.
//!
//! `json/` holds, for each contract, its ABI with all its custom errors and the bytecode that creates it. The modules
//! here are bindings made from these files, so they need neither the Solidity sources nor a compiler. With the feature
//! `generate` there is also `generator`, which makes the files from `contracts/`, and the binary `generate-abi`, which
//! writes them or, with `--check`, compares.
//!
//! ```
//! use rings_abi::{engine::ENGINE_BYTECODE, ring::RING_ABI};
//!
//! assert!(!ENGINE_BYTECODE.is_empty());
//! assert!(RING_ABI.function("registerOutputs").is_ok());
//! ```

#[cfg(feature = "generate")]
pub mod generator;

pub use bindings::{account, engine, gate, registry, ring, scope};

// What the generated items mean is written in the Solidity interfaces.
#[allow(missing_docs)]
mod bindings {
    use ethers_contract::abigen;

    // `abigen!` reads the files without telling the compiler, which would not compile again when they change.
    const _: [&[u8]; 6] = [
        include_bytes!("../json/Account.json"),
        include_bytes!("../json/Engine.json"),
        include_bytes!("../json/Gate.json"),
        include_bytes!("../json/Registry.json"),
        include_bytes!("../json/Ring.json"),
        include_bytes!("../json/Scope.json"),
    ];

    abigen!(
        Account, "json/Account.json";
        Engine, "json/Engine.json";
        Gate, "json/Gate.json";
        Registry, "json/Registry.json";
        Ring, "json/Ring.json";
        Scope, "json/Scope.json"
    );
}

#[cfg(test)]
mod tests {
    use super::{account, engine, gate, registry, ring, scope};
    use ethers_core::abi::Abi;

    /// EIP-3860: the most bytes that a transaction may create a contract with.
    const MAX_INITCODE: usize = 49_152;

    fn selector(abi: &Abi, name: &str) -> [u8; 4] {
        abi.function(name).unwrap().short_signature()
    }

    #[test]
    fn the_selector_of_register_outputs_is_the_published_one() {
        let signature = "registerOutputs(address,uint96[],bytes32[],bytes32[],bytes32[],uint8[])";
        let expected = ethers_core::utils::id(signature);
        assert_eq!(selector(&ring::RING_ABI, "registerOutputs"), expected);
    }

    #[test]
    fn each_contract_can_be_created_in_one_transaction() {
        assert!((1..=MAX_INITCODE).contains(&ring::RING_BYTECODE.len()));
        assert!((1..=MAX_INITCODE).contains(&engine::ENGINE_BYTECODE.len()));
        assert!((1..=MAX_INITCODE).contains(&registry::REGISTRY_BYTECODE.len()));
    }

    /// What `callee` reverts with comes through `caller`, which calls it.
    fn assert_errors_come_through(caller: &Abi, callee: &Abi) {
        for error in callee.errors() {
            let known = caller
                .errors()
                .any(|other| other.signature() == error.signature());
            assert!(known, "{error:?}");
        }
    }

    #[test]
    fn every_contract_brings_the_errors_of_those_that_it_calls() {
        for callee in [&account::ACCOUNT_ABI, &gate::GATE_ABI, &scope::SCOPE_ABI] {
            assert_errors_come_through(&ring::RING_ABI, callee);
        }
        assert_errors_come_through(&engine::ENGINE_ABI, &scope::SCOPE_ABI);
        // A ring's ABI also has errors of the gates that it calls. The engine calls no function of a ring that does so.
        for error in [
            "AlreadyMember",
            "InvalidMember",
            "MemberIsContract",
            "NotMember",
            "TooManyMembers",
        ] {
            assert!(engine::ENGINE_ABI.errors.contains_key(error), "{error}");
        }
        assert!(gate::GATE_ABI.errors.contains_key("NotAGate"));
    }

    #[test]
    fn every_contract_brings_its_errors() {
        let abis: [&Abi; 6] = [
            &account::ACCOUNT_ABI,
            &engine::ENGINE_ABI,
            &gate::GATE_ABI,
            &registry::REGISTRY_ABI,
            &ring::RING_ABI,
            &scope::SCOPE_ABI,
        ];
        for (abi, error) in abis.into_iter().zip([
            "CallFailed",
            "NotKeeper",
            "AlreadyResolved",
            "NotRegistered",
            "QuorumNotReached",
            "DigestTooSmall",
        ]) {
            assert!(abi.errors.contains_key(error), "{error}");
        }
    }
}
