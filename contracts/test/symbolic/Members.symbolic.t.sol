// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembers} from "../../src/interfaces/IMembers.sol";
import {MembersHarness} from "../utils/MembersHarness.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What holds for every value, not for those that a fuzzer tries: `anvil-scripts/prove symbolic`.
/// @dev A step is checked from every list of up to three members. What a step does depends only on the neighbours of
/// the member it names, and those three can be: both neighbours and one that must not change.
contract MembersSymbolicTest is Test {
    uint256 private constant MAX_MEMBERS = 256;

    /// @dev How far `_memberCount` is from the lowest bit of its slot, which is the first: `_epoch` comes before.
    uint256 private constant COUNT_OFFSET = 40;

    MembersHarness private members;

    function setUp() public {
        members = new MembersHarness();
    }

    function setMemberCount(uint256 count) private {
        vm.store(address(members), 0, bytes32(count << COUNT_OFFSET));
        assertEq(members.memberCount(), count);
    }

    /// @dev A call of `requireQuorum` with `signatures` of each of r, s and v: all three are one and the same array, which
    /// has room for the most.
    function quorumCall(uint256 signatures) private pure returns (bytes memory) {
        bytes memory head = abi.encodeWithSelector(MembersHarness.requireQuorum.selector, bytes32(0), 128, 128, 128);
        return bytes.concat(head, bytes32(signatures), new bytes(32 * MAX_MEMBERS));
    }

    function errorOf(bytes memory data) private returns (bytes4) {
        (bool success, bytes memory result) = address(members).call(data);
        assertFalse(success); // nobody is in the snapshot here
        return bytes4(result);
    }

    /// For every number of members and of signatures: the tally asks for two thirds, and never passes without members.
    function check_quorum_isTwoThirds(uint256 count, uint256 signatures) public {
        vm.assume(count <= MAX_MEMBERS && signatures <= MAX_MEMBERS);
        setMemberCount(count);
        bool isRefused = errorOf(quorumCall(signatures)) == IMembers.QuorumNotReached.selector;
        assertEq(isRefused, count == 0 || 3 * signatures < 2 * count);
    }

    /// `quorum` is the least number that the tally accepts.
    function check_quorum_isTheLeast(uint256 count) public {
        vm.assume(count <= MAX_MEMBERS);
        setMemberCount(count);
        uint256 quorum = members.quorum();
        assertGt(quorum, 0);
        assertGe(3 * quorum, 2 * count);
        if (count != 0) assertLt(3 * (quorum - 1), 2 * count);
    }

    /// With `f = (n - 1) / 3` faulty members, two quorums share an honest one, and the honest ones are a quorum.
    function check_quorum_intersects(uint256 count) public {
        vm.assume(count != 0 && count <= MAX_MEMBERS);
        setMemberCount(count);
        uint256 quorum = members.quorum();
        uint256 faulty = (count - 1) / 3;
        assertGt(2 * quorum, count + faulty);
        assertLe(quorum, count - faulty);
    }

    /// @dev A list of `count` members, any there may be.
    function makeList(uint256 count, address[3] memory who) private {
        address[] memory list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = who[i];
            vm.assume(uint160(who[i]) > 1 && who[i].code.length == 0);
            vm.assume(i == 0 || who[i - 1] < who[i]); // each list once
        }
        members.initialize(list);
    }

    function checkNobody() private view {
        assertFalse(members.isMember(address(0)));
        assertFalse(members.isMember(address(1)));
        assertFalse(members.isMember(address(members)));
    }

    /// @dev Entering changes the named account alone, and only if it may.
    function checkEnter(uint256 count, address[3] memory who, address member, address other) private {
        makeList(count, who);
        vm.assume(other != member);
        bool mayBe = uint160(member) > 1 && member.code.length == 0; // the list itself is a contract too
        (bool was, bool otherWas, uint256 epoch) = (members.isMember(member), members.isMember(other), members.epoch());
        (bool success,) = address(members).call(abi.encodeCall(MembersHarness.enter, (member)));
        assertEq(success, !was && mayBe);
        assertEq(members.isMember(member), success || was);
        assertEq(members.isMember(other), otherWas);
        assertEq(members.epoch(), success ? epoch + 1 : epoch);
        assertEq(members.memberCount(), success ? count + 1 : count);
        members.assertSound();
        checkNobody();
    }

    /// @dev Leaving changes the named account alone, and only if it is a member.
    function checkExit(uint256 count, address[3] memory who, address member, address other) private {
        makeList(count, who);
        vm.assume(other != member);
        (bool was, bool otherWas, uint256 epoch) = (members.isMember(member), members.isMember(other), members.epoch());
        (bool success,) = address(members).call(abi.encodeCall(MembersHarness.exit, (member)));
        assertEq(success, was);
        assertFalse(members.isMember(member));
        assertEq(members.isMember(other), otherWas);
        assertEq(members.epoch(), success ? epoch + 1 : epoch);
        assertEq(members.memberCount(), success ? count - 1 : count);
        members.assertSound();
        checkNobody();
    }

    function check_enter_0(address member, address other) public {
        address[3] memory none;
        checkEnter(0, none, member, other);
    }

    function check_enter_1(address[3] memory who, address member, address other) public {
        checkEnter(1, who, member, other);
    }

    function check_enter_2(address[3] memory who, address member, address other) public {
        checkEnter(2, who, member, other);
    }

    function check_enter_3(address[3] memory who, address member, address other) public {
        checkEnter(3, who, member, other);
    }

    function check_exit_1(address[3] memory who, address member, address other) public {
        checkExit(1, who, member, other);
    }

    function check_exit_2(address[3] memory who, address member, address other) public {
        checkExit(2, who, member, other);
    }

    /// @dev Of three members each leaves once; that a stranger cannot leave does not depend on their number.
    function check_exit_3_first(address[3] memory who, address other) public {
        checkExit(3, who, who[0], other);
    }

    function check_exit_3_middle(address[3] memory who, address other) public {
        checkExit(3, who, who[1], other);
    }

    function check_exit_3_last(address[3] memory who, address other) public {
        checkExit(3, who, who[2], other);
    }

    /// Who is put out is counted exactly as long as the time is before `until`, and then once: also if it enters again.
    function check_exit_counted(address[3] memory who, bool first, uint64 until, uint64 later) public {
        makeList(2, who);
        address member = first ? who[0] : who[1];
        vm.assume(later >= block.timestamp);
        members.exitCounted(member, until);
        assertEq(members.memberCount(), 1);
        bool isKept = until > block.timestamp;
        vm.warp(later);
        assertEq(members.countedMembers(), isKept && until > later ? 2 : 1);
        members.enter(member);
        assertEq(members.countedMembers(), 2);
        members.assertSound();
    }

    /// An exit that is counted is counted on through the entry and the exit of another, and never twice.
    function check_exit_countedThroughChanges(address[3] memory who, uint64 until) public {
        makeList(2, who);
        vm.assume(uint160(who[2]) > 1 && who[2].code.length == 0 && who[2] != who[0] && who[2] != who[1]);
        members.exitCounted(who[0], until);
        uint256 extra = until > block.timestamp ? 1 : 0;
        members.enter(who[2]);
        assertEq(members.countedMembers(), 2 + extra);
        members.exit(who[1]);
        assertEq(members.countedMembers(), 1 + extra);
        members.assertSound();
    }

    /// A list is made of what may be members, each once, or not at all.
    function check_initialize(address a, address b, address other) public {
        address[] memory list = new address[](2);
        (list[0], list[1]) = (a, b);
        bool areContracts = a.code.length != 0 || b.code.length != 0;
        (bool success,) = address(members).call(abi.encodeCall(MembersHarness.initialize, (list)));
        bool areValid = uint160(a) > 1 && uint160(b) > 1 && !areContracts;
        assertEq(success, areValid && a != b);
        assertEq(members.isMember(other), success && (other == a || other == b));
        if (success) members.assertSound();
        checkNobody();
    }
}
