// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CountedExits} from "../src/libraries/CountedExits.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The exits behind the members in a snapshot, beside plain arrays.
contract CountedExitsTest is Test {
    using CountedExits for uint256[];

    /// @dev Whose exit it is, and until when it is counted.
    struct Exit {
        address member;
        uint96 until;
    }

    /// @dev The first few of `all`.
    function someOf(Exit[8] memory all, uint8 count) private pure returns (Exit[] memory exits) {
        exits = new Exit[](count % 9);
        for (uint256 i = 0; i < exits.length; i++) {
            exits[i] = all[i];
        }
    }

    function wordOf(Exit memory exit) private pure returns (uint256) {
        return uint256(bytes32(abi.encodePacked(exit.member, exit.until)));
    }

    function listOf(Exit[] memory exits) private pure returns (uint256[] memory list) {
        for (uint256 i = 0; i < exits.length; i++) {
            list = list.append(CountedExits.pack(exits[i].member, exits[i].until));
        }
    }

    function isKept(Exit memory exit, uint256 time, address member) private pure returns (bool) {
        return exit.until > time && exit.member != member;
    }

    function testFuzz_append(Exit[8] memory all, uint8 size) public pure {
        Exit[] memory exits = someOf(all, size);
        uint256[] memory list = listOf(exits);
        assertEq(list.length, exits.length);
        for (uint256 i = 0; i < exits.length; i++) {
            assertEq(list[i], wordOf(exits[i]));
        }
    }

    /// Read back from where they stand, whatever stands before them.
    function testFuzz_parse(bytes memory before, Exit[8] memory all, uint8 size) public pure {
        Exit[] memory exits = someOf(all, size);
        uint256[] memory list = CountedExits.parse(abi.encodePacked(before, listOf(exits)), before.length);
        assertEq(list, listOf(exits));
    }

    /// As many as there can be, and no more is read than there is.
    function test_parse_most() public pure {
        uint256[] memory words = new uint256[](256);
        for (uint256 i = 0; i < words.length; i++) {
            words[i] = uint256(keccak256(abi.encode(i)));
        }
        bytes memory data = abi.encodePacked(words);
        // Compared as bytes by their hash: a failure that shows both arrays would fill a screen.
        assertEq(keccak256(abi.encodePacked(CountedExits.parse(data, 0))), keccak256(data));
        assertEq(keccak256(abi.encodePacked(CountedExits.parse(bytes.concat("a", data), 1))), keccak256(data));
    }

    function testFuzz_countAt(Exit[8] memory all, uint8 size, uint96 time, uint256 which) public pure {
        Exit[] memory exits = someOf(all, size);
        if (exits.length != 0 && which % 2 == 0) time = exits[which % exits.length].until; // to the second
        uint256 count;
        for (uint256 i = 0; i < exits.length; i++) {
            if (exits[i].until > time) count++;
        }
        assertEq(listOf(exits).countAt(time), count);
    }

    /// In the same order, in the same memory, and nothing else is changed there.
    function testFuzz_keep(Exit[8] memory all, uint8 size, uint96 time, address member, uint256 which) public pure {
        Exit[] memory exits = someOf(all, size);
        if (exits.length != 0) {
            if (which % 2 == 0) time = exits[which % exits.length].until;
            if (which % 3 == 0) member = exits[(which >> 8) % exits.length].member;
        }
        uint256[] memory list = listOf(exits);
        uint256[] memory behind = new uint256[](2);
        (behind[0], behind[1]) = (which, ~which);
        list.keep(time, member);
        uint256 kept;
        for (uint256 i = 0; i < exits.length; i++) {
            if (isKept(exits[i], time, member)) assertEq(list[kept++], wordOf(exits[i]));
        }
        assertEq(list.length, kept);
        assertEq(behind.length, 2);
        assertEq(behind[0], which);
        assertEq(behind[1], ~which);
        assertEq(new uint256[](1)[0], 0); // what is made next is empty
    }

    /// None stays none: the word of memory that stands for every empty array is 0 as before.
    function testFuzz_keep_none(uint256 time, address member) public pure {
        uint256[] memory none;
        none.keep(time, member);
        bytes memory empty;
        assertEq(none.length, 0);
        assertEq(empty.length, 0);
    }
}
