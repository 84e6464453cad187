// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Engine} from "../src/Engine.sol";
import {IGate} from "../src/interfaces/IGate.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope} from "../src/interfaces/IScope.sol";
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
        assertSameBytecode("Account");
        assertSameBytecode("Engine");
        assertSameBytecode("Gate");
        assertSameBytecode("Ring");
        assertSameBytecode("Scope");
    }

    /// EIP-3860 allows 49,152 bytes of code that creates, EIP-170 24,576 of code that stays: there is room to spare.
    function test_sizes() public {
        assertLt(type(Engine).creationCode.length, 44_000);
        Engine engine = new Engine();
        (IRing ring, IScope scope, IGate gate) = engine.implementations();
        assertLt(address(engine).code.length, 12_000);
        assertLt(address(ring).code.length, 20_000);
        assertLt(address(scope).code.length, 12_000);
        assertLt(address(gate).code.length, 12_000);
    }
}
