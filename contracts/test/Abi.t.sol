// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Engine} from "../src/Engine.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The bytecode that `rings deploy` sends is the bytecode that forge deploys and tests here.
contract AbiTest is Test {
    function assertSameBytecode(string memory name) private view {
        string memory path = string.concat("abi/json/", name, ".json");
        bytes memory committed = vm.parseJsonBytes(vm.readFile(path), ".bytecode");
        bytes memory compiled = vm.getCode(string.concat(name, ".sol:", name));
        assertEq(keccak256(committed), keccak256(compiled), string.concat(path, " is not what forge compiles"));
    }

    function test_bytecode() public view {
        assertSameBytecode("Engine");
        assertSameBytecode("Gate");
        assertSameBytecode("Ring");
        assertSameBytecode("Scope");
    }

    /// EIP-170 and EIP-3860, with room to spare.
    function test_sizes() public {
        assertLt(type(Engine).creationCode.length, 40_000);
        assertLt(address(new Engine()).code.length, 12_000);
    }
}
