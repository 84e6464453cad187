// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IGate} from "../src/interfaces/IGate.sol";
import {GateSet} from "../src/libraries/GateSet.sol";
import {Test} from "forge-std/Test.sol";

contract GateSetTest is Test {
    using GateSet for GateSet.Set;

    function gateAt(uint256 place) private pure returns (IGate) {
        return IGate(address(uint160(place)));
    }

    function setOf(uint256 count) private view returns (GateSet.Set memory set) {
        set = GateSet.from(gateAt(1));
        for (uint256 i = 1; i < count; i++) {
            set.add(gateAt(1 + i));
        }
    }

    function test_from() public view {
        GateSet.Set memory set = GateSet.from(gateAt(7));
        assertEq(set.count, 1);
        assertEq(address(set.items[0]), address(gateAt(7)));
    }

    /// Each stays where it was added, however often the set has to make room.
    function testFuzz_add_keepsTheOrder(uint256 count, uint256 random) public {
        vm.prevrandao(bytes32(random));
        count = bound(count, 1, 200);
        GateSet.Set memory set = GateSet.from(gateAt(1));
        for (uint256 i = 1; i < count; i++) {
            set.add(gateAt(1 + i));
            assertEq(set.count, 1 + i);
        }
        for (uint256 i = 0; i < count; i++) {
            assertEq(address(set.items[i]), address(gateAt(1 + i)));
        }
    }

    /// The first as well as the last.
    function testFuzz_addAll_eachOnce(uint256 count, uint256 random) public {
        vm.prevrandao(bytes32(random));
        count = bound(count, 1, 200);
        GateSet.Set memory set = setOf(count);
        IGate[] memory again = new IGate[](count + 1);
        for (uint256 i = 0; i <= count; i++) {
            again[i] = gateAt(1 + i);
        }
        set.addAll(again);
        assertEq(set.count, count + 1);
        set.addAll(again);
        assertEq(set.count, count + 1);
    }

    /// Twice as many gates take about twice the time.
    function test_add_isLinear() public view {
        uint256 before = gasleft();
        setOf(1000);
        uint256 some = before - gasleft();
        before = gasleft();
        setOf(2000);
        assertLt(before - gasleft(), 3 * some);
    }

    function testFuzz_truncate(uint8 length, uint8 count) public pure {
        count = uint8(bound(count, 0, length));
        IGate[] memory gates = new IGate[](length);
        for (uint256 i = 0; i < length; i++) {
            gates[i] = gateAt(i);
        }
        IGate[] memory first = GateSet.truncate(gates, count);
        assertEq(first.length, count);
        for (uint256 i = 0; i < count; i++) {
            assertEq(address(first[i]), address(gateAt(i)));
        }
    }
}
