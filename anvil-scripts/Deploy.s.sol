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
/// them, and so are those of the scope and of a ring of the same keeper and members.
contract Deploy is Script {
    function run() external returns (Engine engine, IScope scope, IRing ring) {
        address[] memory members = vm.envAddress("MEMBERS", ",");
        bytes32 salt = vm.envOr("SALT", bytes32(0));

        vm.startBroadcast();
        engine = salt == 0 ? new Engine() : new Engine{salt: salt}();
        scope = engine.createScope("Rings", "RINGS");
        ring = engine.createRing(members);
        vm.stopBroadcast();

        console2.log("engine", address(engine));
        console2.log("scope ", address(scope));
        console2.log("ring  ", address(ring));
    }
}
