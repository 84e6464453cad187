// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Engine} from "../contracts/src/Engine.sol";
import {IRing} from "../contracts/src/interfaces/IRing.sol";
import {IScope} from "../contracts/src/interfaces/IScope.sol";
import {Script} from "forge-std/Script.sol";
import {console2} from "forge-std/console2.sol";

/// @notice Deploys an engine, a scope and a ring, as `rings deploy` does.
///
/// ```
/// MEMBERS=0x…,0x… forge script anvil-scripts/Deploy.s.sol --rpc-url http://127.0.0.1:8545 --account NAME --broadcast
/// ```
///
/// The account that sends becomes the keeper of the ring. With `SALT` (32 bytes, hex) the engine is made with CREATE2, by
/// the deployer that most chains have at 0x4e59b44847b379578588920cA78FbF26c0B4956C: its address is then the same on all of
/// them, and so are those of the first scope and the first ring of the same account, names and members. An engine that is
/// there already is used, for nobody has any power over it.
contract Deploy is Script {
    error NoDeterministicDeployer(address deployer, uint256 chainId);

    function run() external returns (Engine engine, IScope scope, IRing ring) {
        address[] memory members = vm.envAddress("MEMBERS", ",");
        bytes32 salt = vm.envOr("SALT", bytes32(0));

        vm.startBroadcast();
        engine = salt == 0 ? new Engine() : deterministic(salt);
        scope = engine.createScope("Rings data", "RINGS");
        ring = engine.createRing(members);
        vm.stopBroadcast();

        console2.log("engine", address(engine));
        console2.log("scope ", address(scope));
        console2.log("ring  ", address(ring));
    }

    /// @dev The engine at the address that `salt` gives it, made if it is not there.
    function deterministic(bytes32 salt) private returns (Engine) {
        require(CREATE2_FACTORY.code.length != 0, NoDeterministicDeployer(CREATE2_FACTORY, block.chainid));
        bytes32 code = keccak256(type(Engine).creationCode);
        address expected = vm.computeCreate2Address(salt, code, CREATE2_FACTORY);
        return expected.code.length != 0 ? Engine(expected) : new Engine{salt: salt}();
    }
}
