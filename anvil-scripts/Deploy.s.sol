// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Engine} from "../contracts/src/Engine.sol";
import {Registry} from "../contracts/src/Registry.sol";
import {Ring} from "../contracts/src/Ring.sol";
import {ForkRule} from "../contracts/src/interfaces/IMembership.sol";
import {IRing} from "../contracts/src/interfaces/IRing.sol";
import {IScope} from "../contracts/src/interfaces/IScope.sol";
import {Script} from "forge-std/Script.sol";
import {console2} from "forge-std/console2.sol";

/// @notice Deploys an engine, a scope and a ring, as `rings deploy` does: first the contract whose clones the rings are, then
/// the engine, so that each transaction fits into a block of 10,000,000 gas. The chain must know the Cancun upgrade.
///
/// ```
/// MEMBERS=0x…,0x… forge script anvil-scripts/Deploy.s.sol --rpc-url http://127.0.0.1:8545 --account NAME --broadcast
/// ```
///
/// `KEEPER` is the ring's keeper, 0 for a self-kept ring; left out, it is the account that sends. `ENTRY_DELAY` is the ring's
/// entry delay in seconds; left out, it is a day. A proven fork removes its author.
///
/// With `SALT` (32 bytes, hex) both contracts are made with CREATE2, by the deployer that most chains have at
/// 0x4e59b44847b379578588920cA78FbF26c0B4956C: the engine's address is then the same on all of them, commits to the code of
/// both, and so do those of the first scope and the first ring of the same account, names, members, keeper and delay. An
/// engine that is there already is used, for nobody has any power over it.
///
/// The registry of services and processes is made where it is missing, on chains that have that deployer: it is the same one for
/// all rings of a chain.
contract Deploy is Script {
    error NoDeterministicDeployer(address deployer, uint256 chainId);
    error NotDeployed(address expected);

    /// @dev The salt with which every chain has its registry: `REGISTRY_SALT` in node/chain/src/registry.rs.
    bytes32 private constant REGISTRY_SALT = 0;

    function run() external returns (Engine engine, IScope scope, IRing ring, Registry registry) {
        address[] memory members = vm.envAddress("MEMBERS", ",");
        address keeper = vm.envOr("KEEPER", msg.sender);
        uint256 entryDelay = vm.envOr("ENTRY_DELAY", uint256(1 days));
        bytes32 salt = vm.envOr("SALT", bytes32(0));

        vm.startBroadcast();
        engine = salt == 0 ? new Engine(new Ring()) : deterministicEngine(salt);
        scope = engine.createScope("Rings data", "RINGS");
        ring = engine.createRing(members, keeper, entryDelay, ForkRule.Remove);
        if (CREATE2_FACTORY.code.length != 0) {
            registry = Registry(deterministic(REGISTRY_SALT, type(Registry).creationCode));
        }
        vm.stopBroadcast();

        console2.log("engine", address(engine));
        console2.log("scope ", address(scope));
        console2.log("ring  ", address(ring));
        if (address(registry) != address(0)) console2.log("registry", address(registry));
    }

    /// @dev The engine at the address that `salt` gives it, made if it is not there.
    function deterministicEngine(bytes32 salt) private returns (Engine) {
        require(CREATE2_FACTORY.code.length != 0, NoDeterministicDeployer(CREATE2_FACTORY, block.chainid));
        address implementation = deterministic(salt, type(Ring).creationCode);
        return Engine(deterministic(salt, bytes.concat(type(Engine).creationCode, abi.encode(implementation))));
    }

    /// @dev What `code` creates at the address that `salt` gives it, made if it is not there.
    function deterministic(bytes32 salt, bytes memory code) private returns (address made) {
        made = vm.computeCreate2Address(salt, keccak256(code), CREATE2_FACTORY);
        if (made.code.length != 0) return made;
        (bool success,) = CREATE2_FACTORY.call(bytes.concat(salt, code));
        require(success && made.code.length != 0, NotDeployed(made));
    }
}
