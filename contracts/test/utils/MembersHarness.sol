// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Members} from "../../src/Members.sol";

/// @notice A list of members that anyone may change, and that says whether it is sound.
contract MembersHarness is Members {
    /// @dev The slot of `_next`: the first is the one that three variables share.
    uint256 private constant NEXT_SLOT = 1;

    function initialize(address[] calldata members) external {
        _initialize(members);
    }

    function enter(address member) external {
        _enter(member);
    }

    function exit(address member) external {
        _exit(member, 0);
    }

    function exitCounted(address member, uint256 until) external {
        _exit(member, until);
    }

    function _afterExit(address member) internal override {}

    function requireQuorum(bytes32 digest, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        external
        view
    {
        _requireQuorum(digest, r, s, v);
    }

    /// @notice Passes if the properties above `Members` hold.
    function assertSound() external view {
        address[] memory members = this.getMembers();
        require(members.length == this.memberCount(), "count is not the size of the snapshot");
        address place = SENTINEL_MEMBERS;
        for (uint256 i = 0; i < members.length; i++) {
            require(i == 0 || members[i - 1] < members[i], "not ascending");
            require(isMember(members[i]), "in the snapshot and no member");
            place = next(place);
            require(place == members[i], "the walk is not the snapshot");
        }
        require(next(place) == SENTINEL_MEMBERS, "the walk does not return");
    }

    function next(address account) private view returns (address result) {
        bytes32 slot = keccak256(abi.encode(account, NEXT_SLOT));
        assembly {
            result := sload(slot)
        }
    }
}
