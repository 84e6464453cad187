// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IGate} from "../src/interfaces/IGate.sol";
import {GateSet} from "../src/libraries/GateSet.sol";
import {Test} from "forge-std/Test.sol";

contract GateSetTest is Test {
    using GateSet for GateSet.Set;

    function gateAt(uint256 place) private pure returns (IGate) {
        return IGate(address(uint160(place)));
    }

    function test_empty() public pure {
        assertEq(GateSet.empty().count, 0);
    }

    /// Each stays where it was added, however often the set has to make room.
    function testFuzz_add_keepsTheOrder(uint8 count) public pure {
        count = count % 64;
        GateSet.Set memory set = GateSet.empty();
        for (uint256 i = 0; i < count; i++) {
            set.add(gateAt(1 + i));
            assertEq(set.count, 1 + i);
        }
        for (uint256 i = 0; i < count; i++) {
            assertEq(address(set.items[i]), address(gateAt(1 + i)));
        }
    }

    /// The first as well as the last.
    function testFuzz_add_eachOnce(uint8 count) public pure {
        count = count % 64;
        GateSet.Set memory set = GateSet.empty();
        for (uint256 turn = 0; turn < 2; turn++) {
            for (uint256 i = 0; i < count; i++) {
                set.add(gateAt(1 + i));
            }
            assertEq(set.count, count);
        }
    }
}
