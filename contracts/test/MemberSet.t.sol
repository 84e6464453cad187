// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MemberSet} from "../src/libraries/MemberSet.sol";
import {Test} from "forge-std/Test.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

contract MemberSetTest is Test {
    using MemberSet for bytes;

    function ascending(address[] memory members) private pure returns (address[] memory) {
        LibSort.sort(members);
        LibSort.uniquifySorted(members);
        return members;
    }

    function packed(address[] memory members) private pure returns (bytes memory set) {
        for (uint256 i = 0; i < members.length; i++) {
            set = abi.encodePacked(set, members[i]);
        }
    }

    /// `from` writes whole words: what comes behind the set in memory must stay.
    function testFuzz_from(address[] memory members) public pure {
        bytes memory set = MemberSet.from(members);
        bytes memory behind = hex"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        assertEq(set, packed(members));
        assertEq(set.toArray(0, set.size()), members);
        assertEq(set.size(), members.length);
        assertEq(behind.length, 32);
    }

    function testFuzz_lowerBound(address[] memory members, address wanted) public pure {
        members = ascending(members);
        uint256 smaller;
        while (smaller < members.length && members[smaller] < wanted) smaller++;
        assertEq(MemberSet.from(members).lowerBound(wanted), smaller);
    }

    function testFuzz_contains(address[] memory members, address wanted, uint256 which) public pure {
        members = ascending(members);
        bytes memory set = MemberSet.from(members);
        if (members.length > 0) assertTrue(set.contains(members[which % members.length]));
        bool isThere;
        for (uint256 i = 0; i < members.length; i++) {
            isThere = isThere || members[i] == wanted;
        }
        assertEq(set.contains(wanted), isThere);
    }

    function testFuzz_insertThenRemove(address[] memory members, address member) public pure {
        members = ascending(members);
        bytes memory set = MemberSet.from(members);
        vm.assume(!set.contains(member));
        uint256 index = set.lowerBound(member);
        bytes memory larger = set.insert(index, member);
        assertEq(larger.size(), members.length + 1);
        assertTrue(larger.isAt(index, member));
        assertTrue(LibSort.isSortedAndUniquified(larger.toArray(0, larger.size())));
        assertEq(larger.remove(index), set);
    }

    function test_isAt_beyondTheEnd() public pure {
        bytes memory set = MemberSet.from(new address[](1));
        assertTrue(set.isAt(0, address(0)));
        assertFalse(set.isAt(1, address(0)));
    }

    /// @dev Eight addresses are five whole words, and the word that the last of them is written with reaches beyond.
    function test_from_leavesTheMemoryBehindAlone() public pure {
        address[] memory members = new address[](8);
        for (uint256 i = 0; i < 8; i++) {
            members[i] = address(uint160(i + 1));
        }
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let i := 0 } lt(i, 0x200) { i := add(i, 0x20) } { mstore(add(free, i), not(0)) }
        }
        bytes memory set = MemberSet.from(members);
        uint256 behind;
        assembly ("memory-safe") {
            behind := mload(add(add(set, 0x20), 160))
        }
        assertEq(behind, type(uint256).max);
        assertEq(set.get(7), address(8));
    }
}
