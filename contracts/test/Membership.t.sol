// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CompoundAction} from "../src/interfaces/IAvatars.sol";
import {IGate} from "../src/interfaces/IGate.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {ForkRule, IMembership} from "../src/interfaces/IMembership.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";
import {PlainSignatures} from "./utils/PlainSignatures.sol";
import {Vm} from "forge-std/Vm.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

/// @notice How the membership of kept and of self-kept rings changes, and how it does not.
contract MembershipTest is Fixture {
    uint256 private constant DELAY = 3 days;

    IRing private ring;
    address private late;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5, keeper, DELAY, ForkRule.Remove);
        late = account(6);
    }

    /// @dev Puppets of the keeper's: accounts 101 and on.
    function puppets(uint256 count) private returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = account(101 + i);
        }
    }

    function keysOf(address[] memory who) private view returns (uint256[] memory keys) {
        LibSort.sort(who);
        keys = new uint256[](who.length);
        for (uint256 i = 0; i < who.length; i++) {
            keys[i] = keyOf[who[i]];
        }
    }

    /// @dev What `who` sign, however many they are, as a result of a new gate.
    function forge(address[] memory who) private returns (IGate gate, bytes32[] memory cids, Signatures memory sigs) {
        gate = makeGate(ring, 1);
        cids = digests("forged", 1);
        sigs = signWith(keysOf(who), outputsDigest(ring, gate, onePin(0), cids));
    }

    function settleRefused(address member, bytes memory reason) private {
        vm.expectRevert(reason);
        ring.settle(member);
    }

    function enterLate() private {
        announce(ring, late);
        vm.warp(block.timestamp + DELAY);
        ring.settle(late);
    }

    // A keeper makes no quorum of its own before the delay has passed

    /// The forgery in one transaction: ten puppets in, register, puppets out. None of them gets in.
    function testFuzz_forgery_puppets(uint256 wait) public {
        address[] memory mine = puppets(10);
        uint256 start = block.timestamp;
        for (uint256 i = 0; i < mine.length; i++) {
            announce(ring, mine[i]);
        }
        vm.warp(start + bound(wait, 0, DELAY - 1));
        for (uint256 i = 0; i < mine.length; i++) {
            settleRefused(mine[i], abi.encodeWithSelector(IMembership.EntryNotDue.selector, mine[i], start + DELAY));
            assertFalse(ring.isMember(mine[i]));
        }
        (IGate gate, bytes32[] memory cids, Signatures memory sigs) = forge(mine);
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, onePin(0), cids, sigs);
        assertEq(ring.epoch(), 1);
    }

    /// The forgery with one member: the keeper puts the others out. They are still counted, to the second.
    function testFuzz_forgery_byPuttingTheOthersOut(uint256 wait) public {
        address[] memory members = ring.getMembers();
        for (uint256 i = 1; i < 5; i++) {
            putOut(ring, members[i]);
        }
        uint256 start = block.timestamp;
        (IGate gate, bytes32[] memory cids, Signatures memory sigs) = forge(only(members[0]));
        vm.warp(start + bound(wait, 0, DELAY - 1));
        assertEq(ring.memberCount(), 1);
        assertEq(ring.countedMembers(), 5);
        assertEq(ring.quorum(), 4);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 1, 5));
        register(ring, gate, onePin(0), cids, sigs);
        vm.warp(start + DELAY);
        assertEq(ring.countedMembers(), 1);
        register(ring, gate, onePin(0), cids, sigs);
    }

    /// Nor for a change of the list, nor for a ring node.
    function test_forgery_ofOtherThings() public {
        address[] memory members = ring.getMembers();
        for (uint256 i = 1; i < 5; i++) {
            putOut(ring, members[i]);
        }
        uint256[] memory keys = keysOf(only(members[0]));
        bytes memory reason = abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 1, 5);
        Signatures memory sigs = signWith(keys, Digests.members(ring, puppets(3), noAccounts(), block.timestamp));
        vm.expectRevert(reason);
        ring.changeMembers(puppets(3), noAccounts(), block.timestamp, sigs.r, sigs.s, sigs.v);
        sigs = signWith(keys, Digests.ringNode(ring, "node", noAccounts(), new bytes32[](0)));
        vm.expectRevert(reason);
        ring.registerRingNode("node", noAccounts(), new bytes32[](0), sigs.r, sigs.s, sigs.v);
    }

    /// Whatever a keeper does with the help of `colluders` of `members`, fewer than two thirds: within the delay they never
    /// are as many as are needed.
    /// forge-config: default.fuzz.runs = 200
    function testFuzz_forgery_anything(uint256 members, uint256 colluders, uint256 seed) public {
        members = bound(members, 1, 12);
        colluders = bound(colluders, 0, (2 * members - 1) / 3);
        ring = makeRing(members, keeper, DELAY, ForkRule.Remove);
        uint256 left = colluders;
        for (uint256 i = 0; i < 20; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            address who = account(1 + seed % members);
            bool isColluder = seed % members < colluders;
            if (seed >> 8 & 3 == 0) {
                announce(ring, account(200 + i));
            } else if (ring.isMember(who) && isColluder && ring.memberCount() > 1) {
                vm.prank(who);
                ring.leave();
                left--;
            } else if (ring.isMember(who) && !isColluder) {
                putOut(ring, who);
            }
            vm.warp(block.timestamp + (seed >> 16) % (DELAY / 20));
            assertLt(left, ring.quorum());
        }
    }

    /// Puppets that were announced long ago and forgotten do not get in on the day: an entry lapses.
    function test_forgery_announcedLongAgo() public {
        announce(ring, late);
        uint256 due = block.timestamp + DELAY;
        vm.warp(due + ring.ENTRY_WINDOW());
        uint256 inTime = newerVm.snapshotState();
        ring.settle(late);
        newerVm.revertToState(inTime);
        vm.warp(block.timestamp + 1);
        settleRefused(late, abi.encodeWithSelector(IMembership.EntryLapsed.selector, late, due + ring.ENTRY_WINDOW()));
        enterLate();
        assertTrue(ring.isMember(late));
    }

    // Entries

    function test_enter_changesNothing() public {
        vm.expectEmit(address(ring));
        emit IMembership.EntryAnnounced(late, block.timestamp + DELAY);
        announce(ring, late);
        assertEq(ring.entryOf(late), block.timestamp + DELAY);
        assertEq(ring.pendingEntries(), only(late));
        assertFalse(ring.isMember(late));
        assertEq(ring.epoch(), 1);
        assertEq(ring.memberCount(), 5);
        assertEq(ring.quorum(), 4);
    }

    function testFuzz_settle_byAnyone(address sender) public {
        announce(ring, late);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(ring));
        emit IMembers.MemberEntered(late, 2);
        vm.prank(sender);
        ring.settle(late);
        assertTrue(ring.isMember(late));
        assertEq(ring.epoch(), 2);
        assertEq(ring.entryOf(late), 0);
        assertEq(ring.pendingEntries().length, 0);
        settleRefused(late, abi.encodeWithSelector(IMembership.NoEntry.selector, late));
    }

    function testFuzz_settle_notAnnounced(address who) public {
        settleRefused(who, abi.encodeWithSelector(IMembership.NoEntry.selector, who));
    }

    /// Whatever is announced again waits again.
    function test_enter_again() public {
        announce(ring, late);
        vm.warp(block.timestamp + DELAY - 1);
        announce(ring, late);
        assertEq(ring.pendingEntries(), only(late));
        vm.warp(block.timestamp + 1);
        settleRefused(late, abi.encodeWithSelector(IMembership.EntryNotDue.selector, late, block.timestamp + DELAY - 1));
    }

    function test_enter_refuses() public {
        address[5] memory wrong = [address(0), SENTINEL, address(ring), account(1), address(this)];
        bytes4[5] memory reasons = [
            IMembers.InvalidMember.selector,
            IMembers.InvalidMember.selector,
            IMembers.InvalidMember.selector,
            IMembers.AlreadyMember.selector,
            IMembers.MemberIsContract.selector
        ];
        for (uint256 i = 0; i < wrong.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(reasons[i], wrong[i]));
            announce(ring, wrong[i]);
        }
    }

    function test_exit_cancelsAnEntry() public {
        announce(ring, late);
        vm.expectEmit(address(ring));
        emit IMembership.EntryCancelled(late);
        putOut(ring, late);
        assertEq(ring.pendingEntries().length, 0);
        assertEq(ring.epoch(), 1);
        vm.warp(block.timestamp + DELAY);
        settleRefused(late, abi.encodeWithSelector(IMembership.NoEntry.selector, late));
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, late));
        putOut(ring, late);
    }

    /// @dev Who follows the events would take an entry for cancelled that there never was.
    function test_exit_ofAMemberCancelsNoEntry() public {
        vm.recordLogs();
        putOut(ring, account(1));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertGt(logs.length, 0);
        for (uint256 i = 0; i < logs.length; i++) {
            assertNotEq(logs[i].topics[0], IMembership.EntryCancelled.selector);
        }
    }

    function test_enter_atMost256Entries() public {
        for (uint256 i = 0; i < 256; i++) {
            announce(ring, address(uint160(1000 + i)));
        }
        vm.expectRevert(abi.encodeWithSelector(IMembership.TooManyEntries.selector, 256));
        announce(ring, late);
        announce(ring, address(uint160(1000))); // one that is there is announced again
        putOut(ring, address(uint160(1007)));
        announce(ring, late);
    }

    /// A ring that is full when the entry is due.
    function test_settle_full() public {
        ring = makeRing(256, keeper, DELAY, ForkRule.Remove);
        late = account(257);
        announce(ring, late);
        vm.warp(block.timestamp + DELAY);
        settleRefused(late, abi.encodeWithSelector(IMembers.TooManyMembers.selector, 257, 256));
        putOut(ring, account(1)); // who is counted for another while
        settleRefused(late, abi.encodeWithSelector(IMembers.TooManyMembers.selector, 257, 256));
        vm.warp(block.timestamp + DELAY);
        ring.settle(late);
    }

    /// Any sequence of announcing, cancelling and settling, against an array.
    function testFuzz_entries_asAnArray(uint8[24] memory steps) public {
        address[] memory model = noAccounts();
        for (uint256 i = 0; i < steps.length; i++) {
            address who = account(10 + steps[i] % 6);
            bool isPending = PlainSignatures.isAmong(model, who);
            if (ring.isMember(who)) {
                putOut(ring, who);
            } else if (!isPending) {
                announce(ring, who);
                model = with(model, who);
            } else {
                vm.warp(ring.entryOf(who));
                if (steps[i] % 2 == 0) ring.settle(who);
                else putOut(ring, who);
                model = without(model, who);
            }
            address[] memory pending = ring.pendingEntries();
            LibSort.sort(pending);
            LibSort.sort(model);
            assertEq(pending, model);
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

    // Contracts are refused as members

    function test_contract_becomesOneMeanwhile() public {
        announce(ring, late);
        vm.warp(block.timestamp + DELAY);
        vm.etch(late, hex"00");
        settleRefused(late, abi.encodeWithSelector(IMembers.MemberIsContract.selector, late));
    }

    function test_contract_inAnyWay() public {
        vm.etch(late, hex"00");
        bytes memory reason = abi.encodeWithSelector(IMembers.MemberIsContract.selector, late);
        vm.expectRevert(reason);
        engine.createRing(only(late), keeper, DELAY, ForkRule.Remove);
        bytes32 digest = Digests.members(ring, only(late), noAccounts(), block.timestamp);
        Signatures memory sigs = sign(ring, digest, 4);
        vm.expectRevert(reason);
        ring.changeMembers(only(late), noAccounts(), block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    /// A delegation by EIP-7702 is no contract, and code that is as long as one, or of any other length, is.
    function testFuzz_contract_delegation(address target, uint8 size) public {
        vm.etch(late, bytes.concat(hex"ef0100", bytes20(target)));
        announce(ring, late);
        bytes[3] memory others = [new bytes(23), new bytes(24), new bytes(1 + uint256(size))];
        for (uint256 i = 0; i < others.length; i++) {
            vm.etch(late, others[i]);
            vm.expectRevert(abi.encodeWithSelector(IMembers.MemberIsContract.selector, late));
            announce(ring, late);
        }
    }

    // Exits

    /// The vote ends at once.
    function test_exit_endsTheVote() public {
        address[] memory members = ring.getMembers();
        putOut(ring, members[0]);
        assertFalse(ring.isMember(members[0]));
        assertEq(ring.epoch(), 2);
        assertEq(ring.quorum(), 4);
        (IGate gate, bytes32[] memory cids, Signatures memory sigs) = forge(members);
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, onePin(0), cids, sigs);
        resolve(ring, gate, onePin(0), cids); // the four who are left
    }

    /// Each is counted by itself until its own delay has passed.
    function test_exit_eachByItself() public {
        ring = makeRing(9, keeper, DELAY, ForkRule.Remove);
        for (uint256 i = 1; i <= 3; i++) {
            putOut(ring, account(i));
            vm.warp(block.timestamp + 1 hours);
        }
        uint256 first = block.timestamp - 3 hours + DELAY;
        for (uint256 i = 0; i < 3; i++) {
            vm.warp(first + i * 1 hours - 1);
            assertEq(ring.countedMembers(), 9 - i);
            vm.warp(first + i * 1 hours);
            assertEq(ring.countedMembers(), 8 - i);
        }
        assertEq(ring.quorum(), 4);
    }

    /// Who was put out, and is let in again by the keeper, is counted once, in each moment.
    function test_exit_andEnterAgain() public {
        address who = account(1);
        putOut(ring, who);
        announce(ring, who);
        assertEq(ring.countedMembers(), 5);
        vm.warp(block.timestamp + DELAY);
        assertEq(ring.countedMembers(), 4);
        ring.settle(who);
        assertEq(ring.countedMembers(), 5);
        putOut(ring, who);
        assertEq(ring.countedMembers(), 5);
    }

    /// With everybody put out, nobody can sign, and the number needed is that of before, until the delay has passed.
    function test_exit_everybody() public {
        for (uint256 i = 1; i <= 5; i++) {
            putOut(ring, account(i));
        }
        assertEq(ring.memberCount(), 0);
        assertEq(ring.countedMembers(), 5);
        (IGate gate, bytes32[] memory cids, Signatures memory sigs) = forge(noAccounts());
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 5));
        register(ring, gate, onePin(0), cids, sigs);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 0));
        register(ring, gate, onePin(0), cids, sigs);
        assertEq(ring.quorum(), 1);
        enterLate();
        assertEq(ring.getMembers(), only(late));
    }

    /// In a ring without delay, for tests, everything counts at once.
    function test_noDelay() public {
        ring = makeRing(5);
        announce(ring, late);
        ring.settle(late);
        assertEq(ring.quorum(), 4);
        putOut(ring, late);
        putOut(ring, account(1));
        assertEq(ring.countedMembers(), 4);
        assertEq(ring.quorum(), 3);
    }

    /// Any exits and entries, at any time: counted are the members and those put out less than the delay ago.
    function testFuzz_counted_asAnArray(uint16[24] memory steps) public {
        uint256[] memory until = new uint256[](8);
        for (uint256 i = 0; i < steps.length; i++) {
            uint256 which = steps[i] % 8;
            address who = account(1 + which);
            if (ring.isMember(who)) {
                putOut(ring, who);
                until[which] = block.timestamp + DELAY;
            } else if (ring.entryOf(who) == 0) {
                announce(ring, who);
            } else if (ring.entryOf(who) <= block.timestamp) {
                ring.settle(who);
            }
            vm.warp(block.timestamp + steps[i] % 1 days);
            uint256 counted = ring.memberCount();
            for (uint256 j = 0; j < 8; j++) {
                if (until[j] > block.timestamp && !ring.isMember(account(1 + j))) counted++;
            }
            assertEq(ring.countedMembers(), counted);
        }
    }

    // changeMembers

    function assertChangeRefused(address[] memory enter, address[] memory exit, bytes memory reason) private {
        Signatures memory sigs = sign(ring, Digests.members(ring, enter, exit, block.timestamp), ring.quorum());
        vm.expectRevert(reason);
        ring.changeMembers(enter, exit, block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    function pair(address one, address other) private pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (one, other);
    }

    function test_membersHash() public view {
        assertEq(ring.membersHash(), Digests.hash(ring.getMembers()));
    }

    function testFuzz_changeMembers_byAnyone(address sender) public {
        address[] memory enter = pair(late, account(7));
        Signatures memory sigs = sign(ring, Digests.members(ring, enter, only(account(1)), block.timestamp), 4);
        vm.expectEmit(address(ring));
        emit IMembers.MemberExited(account(1), 2);
        vm.expectEmit(address(ring));
        emit IMembers.MemberEntered(late, 2);
        vm.expectEmit(address(ring));
        emit IMembers.MemberEntered(account(7), 2);
        vm.prank(sender);
        ring.changeMembers(enter, only(account(1)), block.timestamp, sigs.r, sigs.s, sigs.v);
        assertEq(ring.memberCount(), 6);
        assertEq(ring.epoch(), 2);
        assertEq(ring.countedMembers(), 6);
        assertEq(ring.membersHash(), Digests.hash(ring.getMembers()));
    }

    /// Once: the epoch has moved on. Also where the change only cancels an entry that is then announced again.
    function test_changeMembers_once() public {
        announce(ring, late);
        Signatures memory sigs = sign(ring, Digests.members(ring, noAccounts(), only(late), block.timestamp), 4);
        vm.expectEmit(address(ring));
        emit IMembership.EntryCancelled(late);
        ring.changeMembers(noAccounts(), only(late), block.timestamp, sigs.r, sigs.s, sigs.v);
        assertEq(ring.entryOf(late), 0);
        assertEq(ring.epoch(), 2);
        announce(ring, late);
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.changeMembers(noAccounts(), only(late), block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    /// What the members signed in the same epoch of another branch, where the list was another one, does not count.
    function test_changeMembers_sameEpochOtherMembers() public {
        uint256 branch = newerVm.snapshotState();
        change(ring, only(late), noAccounts());
        Signatures memory sigs = sign(ring, Digests.members(ring, noAccounts(), only(account(1)), block.timestamp), 5);
        assertEq(ring.getMembers().length, 6);
        newerVm.revertToState(branch);
        change(ring, only(account(7)), noAccounts());
        assertEq(ring.epoch(), 2);
        vm.expectRevert();
        ring.changeMembers(noAccounts(), only(account(1)), block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    function testFuzz_changeMembers_deadline(uint64 now_, uint64 deadline) public {
        vm.warp(now_);
        Signatures memory sigs = sign(ring, Digests.members(ring, only(late), noAccounts(), deadline), 4);
        bytes memory reason = abi.encodeWithSelector(IMembership.DeadlinePassed.selector, deadline);
        if (now_ > deadline) vm.expectRevert(reason);
        ring.changeMembers(only(late), noAccounts(), deadline, sigs.r, sigs.s, sigs.v);
        assertEq(ring.isMember(late), now_ <= deadline);
    }

    /// Each part of it is signed.
    function testFuzz_changeMembers_otherThanSigned(uint256 kind) public {
        Signatures memory sigs = sign(ring, Digests.members(ring, only(late), only(account(1)), block.timestamp), 4);
        address[] memory enter = kind % 3 == 0 ? only(account(7)) : only(late);
        address[] memory exit = kind % 3 == 1 ? only(account(2)) : only(account(1));
        uint256 deadline = kind % 3 == 2 ? block.timestamp + 1 : block.timestamp;
        vm.expectRevert();
        ring.changeMembers(enter, exit, deadline, sigs.r, sigs.s, sigs.v);
    }

    function test_changeMembers_refuses() public {
        assertChangeRefused(noAccounts(), noAccounts(), abi.encodeWithSelector(IMembership.NothingToChange.selector));
        assertChangeRefused(noAccounts(), only(late), abi.encodeWithSelector(IMembers.NotMember.selector, late));
        assertChangeRefused(
            only(account(1)), noAccounts(), abi.encodeWithSelector(IMembers.AlreadyMember.selector, account(1))
        );
        assertChangeRefused(
            pair(late, late), noAccounts(), abi.encodeWithSelector(IMembers.AlreadyMember.selector, late)
        );
        address[] memory twice = pair(account(1), account(1));
        assertChangeRefused(noAccounts(), twice, abi.encodeWithSelector(IMembers.NotMember.selector, account(1)));
        assertChangeRefused(noAccounts(), accounts(5), abi.encodeWithSelector(IMembership.LastMember.selector));
        assertEq(ring.epoch(), 1);
    }

    /// All of them can be replaced at once.
    function test_changeMembers_everybody() public {
        change(ring, puppets(256), accounts(5));
        assertEq(ring.memberCount(), 256);
        assertChangeRefused(
            only(late), noAccounts(), abi.encodeWithSelector(IMembers.TooManyMembers.selector, 257, 256)
        );
    }

    function test_changeMembers_belowTwoThirds() public {
        Signatures memory sigs = sign(ring, Digests.members(ring, only(late), noAccounts(), block.timestamp), 3);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 3, 5));
        ring.changeMembers(only(late), noAccounts(), block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    /// An entry that is announced need not wait if two thirds want it.
    function test_changeMembers_announcedEntry() public {
        announce(ring, late);
        change(ring, only(late), noAccounts());
        assertTrue(ring.isMember(late));
        assertEq(ring.entryOf(late), 0);
        assertEq(ring.pendingEntries().length, 0);
    }

    /// Two thirds take back whom the keeper put out, who is then counted once; or say that it is counted no longer.
    function test_changeMembers_putOutByTheKeeper() public {
        putOut(ring, account(1));
        change(ring, only(account(1)), noAccounts());
        assertEq(ring.countedMembers(), 5);
        assertEq(ring.memberCount(), 5);
        putOut(ring, account(2));
        change(ring, noAccounts(), only(account(2)));
        assertEq(ring.countedMembers(), 4);
        assertEq(ring.quorum(), 3);
        assertChangeRefused(
            noAccounts(), only(account(2)), abi.encodeWithSelector(IMembers.NotMember.selector, account(2))
        );
    }

    /// Once the delay has passed there is nothing left to be forgotten.
    function test_changeMembers_exitNoLongerCounted() public {
        putOut(ring, account(2));
        vm.warp(block.timestamp + DELAY);
        assertChangeRefused(
            noAccounts(), only(account(2)), abi.encodeWithSelector(IMembers.NotMember.selector, account(2))
        );
    }

    // Leaving

    /// It is counted no longer at once.
    function test_leave() public {
        vm.expectEmit(address(ring));
        emit IMembers.MemberExited(account(1), 2);
        vm.prank(account(1));
        ring.leave();
        assertFalse(ring.isMember(account(1)));
        assertEq(ring.countedMembers(), 4);
        assertEq(ring.quorum(), 3);
    }

    function test_leave_byFlush() public {
        address avatar = account(2);
        flush(ring, nextAction(ring, avatar, address(ring), abi.encodeCall(IMembership.leave, ())));
        assertFalse(ring.isMember(avatar));
        assertEq(ring.nonceOf(avatar), 2); // the flush, and the end of the membership
        bytes memory leaving = abi.encodeCall(IMembership.leave, ());
        vm.prank(avatar);
        expectRevertWith(bytes4(keccak256("CallFailed(address,bytes)")));
        ring.rescue(address(ring), 0, leaving);
    }

    /// A keeper that makes a member of the account of an avatar, before the account has code, does not keep the avatar in.
    function test_leave_accountThatIsAMember() public {
        address avatar = account(2);
        address reserved = ring.accountOf(avatar);
        announce(ring, reserved);
        vm.warp(block.timestamp + DELAY);
        ring.settle(reserved);
        flush(ring, nextAction(ring, avatar, address(ring), abi.encodeCall(IMembership.leave, ())));
        assertFalse(ring.isMember(avatar));
        assertTrue(ring.isMember(reserved));
        putOut(ring, reserved); // as anybody
        assertEq(ring.memberCount(), 4);
    }

    function test_leave_last() public {
        ring = makeRing(1, keeper, DELAY, ForkRule.Remove);
        vm.prank(account(1));
        vm.expectRevert(IMembership.LastMember.selector);
        ring.leave();
    }

    function testFuzz_leave_stranger(address stranger) public {
        vm.assume(!ring.isMember(stranger));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, stranger));
        ring.leave();
    }

    /// The account that an avatar has in another ring, and a contract that only looks like an account of this one.
    function test_leave_otherAccounts() public {
        address avatar = account(2);
        IRing second = makeRing(5);
        CompoundAction memory action = nextAction(second, avatar, address(ring), abi.encodeCall(IMembership.leave, ()));
        (bytes32 r, bytes32 s, uint8 v) = signAction(second, action);
        expectRevertWith(bytes4(keccak256("CallFailed(address,bytes)")));
        second.flush(action, r, s, v);
        flush(ring, nextAction(ring, avatar, makeAddr("nobody"), ""));
        address imitation = makeAddr("imitation");
        vm.etch(imitation, ring.accountOf(avatar).code);
        vm.prank(imitation);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, imitation));
        ring.leave();
        assertTrue(ring.isMember(avatar));
    }

    // A self-kept ring

    /// Nobody enters or puts out but two thirds.
    function testFuzz_selfKept(address anybody) public {
        vm.assume(anybody != address(0)); // which nobody can send from
        ring = makeRing(5, address(0), DELAY, ForkRule.Remove);
        assertEq(engine.keeperOf(ring), address(0));
        assertTrue(engine.isRing(address(ring)));
        vm.startPrank(anybody);
        vm.expectRevert();
        engine.enter(ring, late);
        vm.expectRevert();
        engine.exit(ring, account(1));
        vm.expectRevert();
        engine.transferKeeper(ring, anybody);
        vm.expectRevert();
        engine.acceptKeeper(ring);
        vm.expectRevert();
        engine.renounceKeeper(ring);
        vm.expectRevert();
        engine.forceRenounceKeeper(ring);
        vm.expectRevert();
        ring.cancelEntries();
        vm.stopPrank();
        change(ring, only(late), only(account(1)));
        assertTrue(ring.isMember(late));
        assertEq(ring.countedMembers(), 5);
        vm.prank(late);
        ring.leave();
        assertEq(ring.quorum(), 3);
    }
}
