// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IGate} from "../interfaces/IGate.sol";
import {EfficientHashLib} from "solady/src/utils/EfficientHashLib.sol";

/// @title A set of gates in memory, in the order in which they were added
/// @notice Adding a gate takes the same time however many there are: their places are found by a hash table.
/// @dev The table is never more than half full, and its size is a power of two. Who makes a gate can choose its address to
/// some extent, by the salt; the block's random number is hashed with it, so that nobody can choose gates that meet in one
/// place of the table.
library GateSet {
    /// @param items the gates, and room for more
    /// @param count how many there are
    /// @param table places in `items`, counted from 1; 0 where nothing is
    struct Set {
        IGate[] items;
        uint256 count;
        uint256[] table;
    }

    uint256 private constant FIRST_SIZE = 16;

    /// @notice The set of `gate` alone.
    function from(IGate gate) internal view returns (Set memory set) {
        set = Set(new IGate[](FIRST_SIZE / 2), 0, new uint256[](FIRST_SIZE));
        add(set, gate);
    }

    /// @notice Adds each of `gates` to `set` unless it is there.
    function addAll(Set memory set, IGate[] memory gates) internal view {
        for (uint256 i = 0; i < gates.length; i++) {
            add(set, gates[i]);
        }
    }

    /// @notice Adds `gate` to `set` unless it is there.
    function add(Set memory set, IGate gate) internal view {
        uint256 slot = _slotOf(set, gate);
        if (set.table[slot] != 0) return;
        if (set.count == set.items.length) {
            _grow(set);
            slot = _slotOf(set, gate);
        }
        set.items[set.count++] = gate;
        set.table[slot] = set.count;
    }

    /// @notice The first `count` of `gates`, of which there are at least so many, in the same memory.
    function truncate(IGate[] memory gates, uint256 count) internal pure returns (IGate[] memory) {
        assembly ("memory-safe") {
            mstore(gates, count)
        }
        return gates;
    }

    /// @dev Doubles the room.
    function _grow(Set memory set) private view {
        IGate[] memory items = new IGate[](2 * set.items.length);
        set.table = new uint256[](2 * set.table.length);
        for (uint256 i = 0; i < set.count; i++) {
            items[i] = set.items[i];
        }
        set.items = items;
        for (uint256 i = 0; i < set.count; i++) {
            set.table[_slotOf(set, items[i])] = i + 1;
        }
    }

    /// @dev Where in the table `gate` is, or the free slot where it belongs: the first from its hash on.
    function _slotOf(Set memory set, IGate gate) private view returns (uint256 slot) {
        uint256 last = set.table.length - 1;
        slot = uint256(EfficientHashLib.hash(uint256(uint160(address(gate))), block.prevrandao)) & last;
        while (set.table[slot] != 0 && address(set.items[set.table[slot] - 1]) != address(gate)) {
            slot = (slot + 1) & last;
        }
    }
}
