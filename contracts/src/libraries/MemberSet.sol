// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LibBytes} from "solady/src/utils/LibBytes.sol";

/// @title A set of addresses: 20 bytes each, ascending, one after the other
/// @notice The form in which a ring keeps its members in contract code.
library MemberSet {
    uint256 internal constant WIDTH = 20;

    /// @notice How many addresses there are in `set`.
    function size(bytes memory set) internal pure returns (uint256) {
        return set.length / WIDTH;
    }

    /// @notice Address `index` of `set`.
    /// @dev Not checked: `index` is less than `size(set)`. Callers compare before they ask.
    function get(bytes memory set, uint256 index) internal pure returns (address member) {
        assembly ("memory-safe") {
            member := shr(96, mload(add(add(set, 32), mul(index, WIDTH))))
        }
    }

    /// @notice The set of `members`, which are in ascending order.
    function from(address[] memory members) internal pure returns (bytes memory set) {
        set = new bytes(members.length * WIDTH);
        for (uint256 i = 0; i < members.length; i++) {
            _put(set, i, members[i]);
        }
    }

    /// @notice `count` addresses of `set` from address `start` on, as an array.
    /// @dev Not checked: that there are so many.
    function toArray(bytes memory set, uint256 start, uint256 count) internal pure returns (address[] memory members) {
        members = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            members[i] = get(set, start + i);
        }
    }

    /// @notice The index of the first address that is not less than `member`, found by halving.
    function lowerBound(bytes memory set, address member) internal pure returns (uint256 low) {
        uint256 high = size(set);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (get(set, middle) < member) low = middle + 1;
            else high = middle;
        }
    }

    /// @notice Whether address `index` of `set` exists and is `member`.
    function isAt(bytes memory set, uint256 index, address member) internal pure returns (bool) {
        return index < size(set) && get(set, index) == member;
    }

    /// @notice Whether `member` is in `set`.
    function contains(bytes memory set, address member) internal pure returns (bool) {
        return isAt(set, lowerBound(set, member), member);
    }

    /// @notice `set` with `member` before address `index`.
    function insert(bytes memory set, uint256 index, address member) internal pure returns (bytes memory) {
        uint256 cut = index * WIDTH;
        return abi.encodePacked(LibBytes.slice(set, 0, cut), member, LibBytes.slice(set, cut));
    }

    /// @notice `set` without address `index`.
    function remove(bytes memory set, uint256 index) internal pure returns (bytes memory) {
        uint256 cut = index * WIDTH;
        return abi.encodePacked(LibBytes.slice(set, 0, cut), LibBytes.slice(set, cut + WIDTH));
    }

    /// @dev The last 12 bytes of the word fall on the next address, which is written after this one, or behind the set,
    /// where `new` has rounded the memory up to whole words: so they are put back.
    function _put(bytes memory set, uint256 index, address member) private pure {
        assembly ("memory-safe") {
            let place := add(add(set, 32), mul(index, WIDTH))
            mstore(place, or(shl(96, member), shr(160, shl(160, mload(place)))))
        }
    }
}
