// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A part of a list, for lists that are too long to be read at once
library Page {
    /// @notice How many of at most `count` entries from place `start` on there are in a list of `length`.
    function size(uint256 start, uint256 count, uint256 length) internal pure returns (uint256) {
        if (start >= length) return 0;
        uint256 rest = length - start;
        return count < rest ? count : rest;
    }
}
