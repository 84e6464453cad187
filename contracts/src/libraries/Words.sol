// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

/// @title Arrays of smaller numbers as arrays of words, which is how they are encoded
library Words {
    /// @notice The same array, whose elements are not looked at when it is copied, hashed or passed on, and are compared as
    /// whole words when they are read.
    /// @dev Warning: an element may then be wider than its type. Whoever decides by it compares the whole word.
    ///
    /// The assembly saves a loop wherever the array goes: 450 gas for each element in `Ring.registerOutputs` (with the log that
    /// it makes possible), 141 in `Gate.output`. Its twin is an array of the wider type that the caller encodes.
    function from(uint96[] calldata values) internal pure returns (uint256[] calldata words) {
        assembly ("memory-safe") {
            words.offset := values.offset
            words.length := values.length
        }
    }
}
