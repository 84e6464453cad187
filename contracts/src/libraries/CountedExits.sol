// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibBytes} from "solady/src/utils/LibBytes.sol";

/// @title Members whom a keeper put out and whom the number of signatures needed still counts
/// @notice One word each: the address in the upper 20 bytes, the second until which it is counted in the lower 12. They stand
/// behind the members in the ring's snapshot, so that a tally reads them with the members.
library CountedExits {
    /// @notice The word for `member`, counted as long as the time is before `until`.
    function pack(address member, uint256 until) internal pure returns (uint256) {
        return (uint256(uint160(member)) << 96) | until;
    }

    /// @notice The words in `data` from byte `start` on.
    function parse(bytes memory data, uint256 start) internal pure returns (uint256[] memory exits) {
        exits = new uint256[]((data.length - start) / 32);
        for (uint256 i = 0; i < exits.length; i++) {
            exits[i] = uint256(LibBytes.load(data, start + 32 * i));
        }
    }

    /// @notice How many of `exits` are counted at `time`.
    function countAt(uint256[] memory exits, uint256 time) internal pure returns (uint256 count) {
        for (uint256 i = 0; i < exits.length; i++) {
            if (_until(exits[i]) > time) count++;
        }
    }

    /// @notice Keeps those of `exits` that are counted at `time`, without `member` if it is among them, in the same memory: a
    /// change of the list may ask for it hundreds of times.
    function keep(uint256[] memory exits, uint256 time, address member) internal pure {
        uint256 count;
        for (uint256 i = 0; i < exits.length; i++) {
            if (_until(exits[i]) > time && _member(exits[i]) != member) exits[count++] = exits[i];
        }
        // Shorter than it was made, which leaves unused memory behind it and nothing else; none stays none.
        assembly ("memory-safe") {
            mstore(exits, count)
        }
    }

    /// @notice `exits`, and `exit` after them.
    function append(uint256[] memory exits, uint256 exit) internal pure returns (uint256[] memory more) {
        more = new uint256[](exits.length + 1);
        for (uint256 i = 0; i < exits.length; i++) {
            more[i] = exits[i];
        }
        more[exits.length] = exit;
    }

    function _until(uint256 exit) private pure returns (uint256) {
        return uint96(exit);
    }

    function _member(uint256 exit) private pure returns (address) {
        return address(uint160(exit >> 96));
    }
}
