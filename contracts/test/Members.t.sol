// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";
import {MembersHarness} from "./utils/MembersHarness.sol";
import {PlainSignatures} from "./utils/PlainSignatures.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

contract MembersTest is Fixture {
    MembersHarness private list;

    /// @dev From the artifact, so that this contract does not have its code in its own.
    function newList() private returns (MembersHarness) {
        return MembersHarness(deployCode("MembersHarness.sol:MembersHarness"));
    }

    function setUp() public override {
        list = newList();
    }

    function listOf(uint256 members) private returns (MembersHarness made) {
        made = newList();
        made.initialize(accounts(members));
    }

    function accept(MembersHarness members, bytes32 digest, Signatures memory sigs) private view {
        members.requireQuorum(digest, sigs.r, sigs.s, sigs.v);
    }

    function signFirst(MembersHarness members, bytes32 digest, uint256 count) private view returns (Signatures memory) {
        return sign(IRing(address(members)), digest, count);
    }

    function sorted(address[] memory members) private pure returns (address[] memory) {
        LibSort.sort(members);
        return members;
    }

    // The list

    function test_initialize_makesTheFirstEpoch() public {
        address[] memory first = accounts(5);
        list.initialize(first);
        assertEq(list.getMembers(), sorted(first));
        assertEq(list.memberCount(), 5);
        assertEq(list.epoch(), 1);
        list.assertSound();
    }

    function test_initialize_emitsEveryMember() public {
        address[] memory first = sorted(accounts(3));
        for (uint256 i = 0; i < 3; i++) {
            vm.expectEmit(address(list));
            emit IMembers.MemberEntered(first[i], 1);
        }
        list.initialize(first);
    }

    function test_initialize_withNobody() public {
        list.initialize(new address[](0));
        assertEq(list.epoch(), 0);
        assertEq(list.memberCount(), 0);
        assertEq(list.getMembers().length, 0);
        list.assertSound();
    }

    function test_initialize_onceOnly() public {
        list.initialize(accounts(2));
        vm.expectRevert(IMembers.AlreadyInitialized.selector);
        list.initialize(accounts(2));
        MembersHarness empty = newList();
        empty.initialize(new address[](0));
        vm.expectRevert(IMembers.AlreadyInitialized.selector);
        empty.initialize(accounts(2));
    }

    function testFuzz_initialize_refusesTheSameTwice(uint256 first, uint256 second) public {
        address[] memory members = accounts(6);
        (first, second) = (first % 6, second % 6);
        vm.assume(first != second);
        members[first] = members[second];
        vm.expectRevert(abi.encodeWithSelector(IMembers.AlreadyMember.selector, members[second]));
        list.initialize(members);
    }

    function testFuzz_initialize_refusesWhoCannotBe(uint256 which, uint256 kind) public {
        address[] memory members = accounts(4);
        address wrong = [address(0), SENTINEL, address(list)][kind % 3];
        members[which % 4] = wrong;
        vm.expectRevert(abi.encodeWithSelector(IMembers.InvalidMember.selector, wrong));
        list.initialize(members);
    }

    function test_initialize_atMost256() public {
        list.initialize(accounts(256));
        list.assertSound();
        MembersHarness other = newList();
        address[] memory tooMany = accounts(257);
        vm.expectRevert(abi.encodeWithSelector(IMembers.TooManyMembers.selector, 257, 256));
        other.initialize(tooMany);
    }

    function testFuzz_enter(uint8 members, uint256 number) public {
        MembersHarness ring = listOf(members % 12);
        address member = account(100 + number % 1000);
        uint256 epoch = ring.epoch();
        vm.expectEmit(address(ring));
        emit IMembers.MemberEntered(member, epoch + 1);
        ring.enter(member);
        assertTrue(ring.isMember(member));
        assertEq(ring.epoch(), epoch + 1);
        assertEq(ring.memberCount(), members % 12 + 1);
        ring.assertSound();
    }

    function test_enter_refuses() public {
        list.initialize(accounts(3));
        address[3] memory wrong = [address(0), SENTINEL, address(list)];
        for (uint256 i = 0; i < 3; i++) {
            vm.expectRevert(abi.encodeWithSelector(IMembers.InvalidMember.selector, wrong[i]));
            list.enter(wrong[i]);
        }
        address member = account(2);
        vm.expectRevert(abi.encodeWithSelector(IMembers.AlreadyMember.selector, member));
        list.enter(member);
    }

    function test_enter_atMost256() public {
        list.initialize(accounts(256));
        address member = account(257);
        vm.expectRevert(abi.encodeWithSelector(IMembers.TooManyMembers.selector, 257, 256));
        list.enter(member);
    }

    function testFuzz_exit(uint256 members, uint256 which) public {
        members = bound(members, 1, 12);
        MembersHarness ring = listOf(members);
        address member = account(1 + which % members);
        vm.expectEmit(address(ring));
        emit IMembers.MemberExited(member, 2);
        ring.exit(member);
        assertFalse(ring.isMember(member));
        assertEq(ring.epoch(), 2);
        assertEq(ring.memberCount(), members - 1);
        ring.assertSound();
    }

    function testFuzz_exit_refusesWhoIsNot(address stranger) public {
        list.initialize(accounts(3));
        vm.assume(!list.isMember(stranger));
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, stranger));
        list.exit(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, SENTINEL));
        list.exit(SENTINEL);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, address(0)));
        list.exit(address(0));
    }

    function test_lastMemberLeavesAndAnotherEnters() public {
        list.initialize(accounts(1));
        list.exit(account(1));
        assertEq(list.memberCount(), 0);
        list.assertSound();
        list.enter(account(1));
        assertEq(list.epoch(), 3);
        list.assertSound();
    }

    /// Any sequence of entering and leaving, against an array.
    function testFuzz_list_asAnArray(uint8[24] memory steps) public {
        list.initialize(accounts(3));
        address[] memory model = accounts(3);
        for (uint256 i = 0; i < steps.length; i++) {
            address who = account(1 + steps[i] % 8);
            if (PlainSignatures.isAmong(model, who)) {
                list.exit(who);
                model = without(model, who);
            } else {
                list.enter(who);
                model = with(model, who);
            }
            assertEq(list.epoch(), i + 2);
            assertEq(list.getMembers(), sorted(model));
            list.assertSound();
        }
    }

    function with(address[] memory model, address who) private pure returns (address[] memory more) {
        more = new address[](model.length + 1);
        for (uint256 i = 0; i < model.length; i++) {
            more[i] = model[i];
        }
        more[model.length] = who;
    }

    function without(address[] memory model, address who) private pure returns (address[] memory fewer) {
        fewer = new address[](model.length - 1);
        uint256 count;
        for (uint256 i = 0; i < model.length; i++) {
            if (model[i] != who) fewer[count++] = model[i];
        }
    }

    function test_isMember_neverZeroOrSentinel() public {
        assertFalse(list.isMember(address(0)) || list.isMember(SENTINEL));
        list.initialize(accounts(3));
        assertFalse(list.isMember(address(0)) || list.isMember(SENTINEL));
    }

    // The quorum

    function test_quorum_table() public {
        uint8[11] memory members = [1, 2, 3, 4, 5, 6, 7, 10, 16, 31, 100];
        uint8[11] memory needed = [1, 2, 2, 3, 4, 4, 5, 7, 11, 21, 67];
        bytes32 digest = keccak256("digest");
        for (uint256 i = 0; i < members.length; i++) {
            MembersHarness ring = listOf(members[i]);
            assertEq(ring.quorum(), needed[i]);
            accept(ring, digest, signFirst(ring, digest, needed[i]));
            Signatures memory few = signFirst(ring, digest, needed[i] - 1);
            vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, needed[i] - 1, members[i]));
            accept(ring, digest, few);
        }
    }

    /// Every size there is.
    function test_quorum_isTheLeastTwoThirds() public {
        list.initialize(new address[](0));
        for (uint256 members = 1; members <= 256; members++) {
            list.enter(address(uint160(uint256(keccak256(abi.encode(members))))));
            uint256 needed = list.quorum();
            assertGe(3 * needed, 2 * members);
            assertLt(3 * (needed - 1), 2 * members);
        }
        list.assertSound();
    }

    function test_emptyRing_acceptsNothing() public {
        list.initialize(new address[](0));
        assertEq(list.quorum(), 1);
        bytes32 digest = keccak256("digest");
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 0));
        accept(list, digest, Signatures(new bytes32[](0), new bytes32[](0), new uint8[](0)));
        uint256[] memory keys = new uint256[](1);
        keys[0] = keyOf[account(1)];
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 1, 0));
        accept(list, digest, signWith(keys, digest));
    }

    function testFuzz_requireQuorum_lengths(uint8 r, uint8 s, uint8 v) public {
        list.initialize(accounts(1));
        vm.assume(r != s || s != v);
        vm.expectRevert(abi.encodeWithSelector(IMembers.SignatureLengthMismatch.selector, r, s, v));
        list.requireQuorum(0, new bytes32[](r), new bytes32[](s), new uint8[](v));
    }

    function testFuzz_requireQuorum_moreThanNeeded(uint256 members, uint256 count) public {
        members = bound(members, 1, 12);
        MembersHarness ring = listOf(members);
        count = bound(count, ring.quorum(), members);
        bytes32 digest = keccak256(abi.encode(members, count));
        accept(ring, digest, signFirst(ring, digest, count));
    }

    function testFuzz_requireQuorum_notAscending(uint256 first, uint256 second) public {
        MembersHarness ring = listOf(7);
        bytes32 digest = keccak256("digest");
        Signatures memory sigs = signFirst(ring, digest, 7);
        (first, second) = (first % 7, second % 7);
        vm.assume(first < second);
        (sigs.r[first], sigs.r[second]) = (sigs.r[second], sigs.r[first]);
        (sigs.s[first], sigs.s[second]) = (sigs.s[second], sigs.s[first]);
        (sigs.v[first], sigs.v[second]) = (sigs.v[second], sigs.v[first]);
        address next = ring.getMembers()[first == second - 1 ? first : first + 1];
        vm.expectRevert(abi.encodeWithSelector(IMembers.SignersNotAscending.selector, first + 1, next));
        accept(ring, digest, sigs);
    }

    function testFuzz_requireQuorum_duplicate(uint256 which) public {
        MembersHarness ring = listOf(7);
        bytes32 digest = keccak256("digest");
        Signatures memory sigs = signFirst(ring, digest, 5);
        which = 1 + which % 4;
        sigs.r[which] = sigs.r[which - 1];
        sigs.s[which] = sigs.s[which - 1];
        sigs.v[which] = sigs.v[which - 1];
        address twice = ring.getMembers()[which - 1];
        vm.expectRevert(abi.encodeWithSelector(IMembers.SignersNotAscending.selector, which, twice));
        accept(ring, digest, sigs);
    }

    function testFuzz_requireQuorum_stranger(uint256 number) public {
        MembersHarness ring = listOf(1);
        address stranger = account(2 + number % 1000);
        uint256[] memory keys = new uint256[](1);
        keys[0] = keyOf[stranger];
        bytes32 digest = keccak256("digest");
        vm.expectRevert(abi.encodeWithSelector(IMembers.SignerNotMember.selector, 0, stranger));
        accept(ring, digest, signWith(keys, digest));
    }

    function testFuzz_requireQuorum_invalid(uint256 which) public {
        MembersHarness ring = listOf(5);
        bytes32 digest = keccak256("digest");
        Signatures memory sigs = signFirst(ring, digest, 4);
        which = which % 4;
        sigs.v[which] -= 27;
        vm.expectRevert(abi.encodeWithSelector(IMembers.InvalidSignature.selector, which));
        accept(ring, digest, sigs);
    }
}
