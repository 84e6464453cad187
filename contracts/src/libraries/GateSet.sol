// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IGate} from "../interfaces/IGate.sol";

/// @title A set of gates in memory, in the order in which they were added
library GateSet {
    /// @param items the gates, and room for more
    /// @param count how many there are
    struct Set {
        IGate[] items;
        uint256 count;
    }

    /// @notice A set without gates.
    function empty() internal pure returns (Set memory) {
        return Set(new IGate[](0), 0);
    }

    /// @notice Adds `gate` to `set` unless it is there.
    function add(Set memory set, IGate gate) internal pure {
        for (uint256 i = 0; i < set.count; i++) {
            if (address(set.items[i]) == address(gate)) return;
        }
        if (set.count == set.items.length) _grow(set);
        set.items[set.count++] = gate;
    }

    function _grow(Set memory set) private pure {
        IGate[] memory items = new IGate[](2 * set.items.length + 8);
        for (uint256 i = 0; i < set.count; i++) {
            items[i] = set.items[i];
        }
        set.items = items;
    }
}
