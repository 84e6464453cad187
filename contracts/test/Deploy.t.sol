// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Deploy} from "../../anvil-scripts/Deploy.s.sol";
import {Engine} from "../src/Engine.sol";
import {Registry} from "../src/Registry.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope} from "../src/interfaces/IScope.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The script for those who deploy with Foundry.
contract DeployTest is Test {
    Deploy private _script;

    function setUp() public {
        vm.setEnv("MEMBERS", "0x0000000000000000000000000000000000000a11,0x0000000000000000000000000000000000000B0b");
        _script = new Deploy();
    }

    /// @dev Where every chain has its registry, as node/chain/src/registry.rs says.
    function registryAddress() private view returns (address) {
        return vm.computeCreate2Address(0, keccak256(vm.getCode("Registry.sol:Registry")), CREATE2_FACTORY);
    }

    function test_MakesEngineScopeRingAndTheRegistryOfTheChain() public {
        (Engine engine, IScope scope, IRing ring, Registry registry) = _script.run();
        assertTrue(engine.isRing(address(ring)));
        assertTrue(engine.isScope(address(scope)));
        assertEq(address(registry), registryAddress());
        assertEq(registry.entryCount(), 0);
    }

    function test_UsesTheRegistryThatIsThere() public {
        (,,, Registry first) = _script.run();
        (Engine engine,,, Registry second) = _script.run();
        assertEq(address(first), address(second));
        assertTrue(address(engine) != address(0));
    }

    function test_WithoutTheDeployerThereIsNoRegistry() public {
        vm.etch(CREATE2_FACTORY, "");
        (Engine engine,,, Registry registry) = _script.run();
        assertTrue(address(engine) != address(0));
        assertEq(address(registry), address(0));
    }
}
