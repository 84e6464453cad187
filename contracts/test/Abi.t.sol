// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Engine} from "../src/Engine.sol";
import {Ring} from "../src/Ring.sol";
import {IGate} from "../src/interfaces/IGate.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope} from "../src/interfaces/IScope.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Newer than the `Vm` of the library.
interface SnapshotVm {
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
}

/// @notice The bytecode that `rings deploy` sends is the bytecode that forge deploys and tests here.
contract AbiTest is Test {
    function assertSameBytecode(string memory name) private view {
        string memory path = string.concat("abi/json/", name, ".json");
        bytes memory committed = vm.parseJsonBytes(vm.readFile(path), ".bytecode");
        bytes memory compiled = vm.getCode(string.concat(name, ".sol:", name));
        assertEq(keccak256(committed), keccak256(compiled), string.concat(path, " is not what forge compiles"));
    }

    function test_bytecode() public view {
        assertSameBytecode("Account");
        assertSameBytecode("Engine");
        assertSameBytecode("Gate");
        assertSameBytecode("Ring");
        assertSameBytecode("Scope");
    }

    /// @dev Compared with `snapshots/Size.json`, in bytes, and with a bound that leaves room to spare.
    function assertSize(string memory name, uint256 size, uint256 bound) private {
        assertLt(size, bound, name);
        SnapshotVm(VM_ADDRESS).snapshotValue("Size", name, size);
    }

    /// EIP-3860 allows 49,152 bytes of code that creates, EIP-170 24,576 of code that stays.
    function test_sizes() public {
        assertSize("what creates the ring", type(Ring).creationCode.length, 30_000);
        assertSize("what creates the engine", type(Engine).creationCode.length, 30_000);
        Engine engine = new Engine(new Ring());
        (IRing ring, IScope scope, IGate gate) = engine.implementations();
        assertSize("Engine", address(engine).code.length, 12_000);
        assertSize("Ring", address(ring).code.length, 24_000);
        assertSize("Scope", address(scope).code.length, 12_000);
        assertSize("Gate", address(gate).code.length, 12_000);
        assertSize("Account", vm.getDeployedCode("Account.sol:Account").length, 4_000);
    }
}
