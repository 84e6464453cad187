// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RingLogs} from "../src/RingLogs.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IRingLogs} from "../src/interfaces/IRingLogs.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";

contract RingLogsHarness is RingLogs {
    function push(bytes32 cid) external {
        _pushRingNode(cid);
    }
}

contract RingLogsTest is Fixture {
    RingLogsHarness private buffer;
    IRing private ring;
    address[] private nobody;
    bytes32[] private nothing;

    function setUp() public override {
        super.setUp();
        buffer = RingLogsHarness(deployCode("RingLogs.t.sol:RingLogsHarness"));
        ring = makeRing(5);
    }

    function node(uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode("node", number));
    }

    /// @dev The buffer after `count` nodes, against the definition.
    function assertAsDefined(uint256 count) private {
        assertEq(buffer.ringNodeCount(), count);
        assertEq(buffer.ringNodeHead(), count == 0 ? bytes32(0) : node(count - 1));
        for (uint256 number = 0; number < count; number++) {
            bool isRecent = count - number <= 100;
            bool isCheckpoint = number % 100 == 99;
            if (isRecent) assertEq(buffer.ringLogs(number % 100), node(number));
            if (isCheckpoint) assertEq(buffer.archive(number / 100), node(number));
            if (!isRecent && !isCheckpoint) {
                vm.expectRevert(abi.encodeWithSelector(IRingLogs.UnknownRingNode.selector, number));
                buffer.ringNodeAt(number);
                // The checkpoint that commits to it was archived.
                assertNotEq(buffer.archive(number / 100), bytes32(0));
            } else {
                assertEq(buffer.ringNodeAt(number), node(number));
            }
        }
        vm.expectRevert(abi.encodeWithSelector(IRingLogs.UnknownRingNode.selector, count));
        buffer.ringNodeAt(count);
        assertEq(buffer.archive(count / 100), bytes32(0));
    }

    function test_buffer() public {
        uint16[9] memory lengths = [uint16(0), 1, 2, 99, 100, 101, 199, 200, 201];
        uint256 count;
        for (uint256 i = 0; i < lengths.length; i++) {
            for (; count < lengths[i]; count++) {
                buffer.push(node(count));
            }
            assertAsDefined(lengths[i]);
        }
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_buffer(uint16 length) public {
        length = length % 512;
        for (uint256 number = 0; number < length; number++) {
            buffer.push(node(number));
        }
        assertAsDefined(length);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_pages(uint16 length, uint256 start, uint256 count) public {
        length = length % 320;
        for (uint256 number = 0; number < length; number++) {
            buffer.push(node(number));
        }
        uint256 oldest = length > 100 ? length - 100 : 0;
        (start, count) = (start % 350, count % 4 == 0 ? count : count % 110);
        if (start < oldest) vm.expectRevert(abi.encodeWithSelector(IRingLogs.UnknownRingNode.selector, start));
        bytes32[] memory page = buffer.ringNodesFrom(start, count);
        if (start >= oldest) {
            uint256 rest = start < length ? length - start : 0;
            assertEq(page.length, rest < count ? rest : count);
        }
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(page[i], node(start + i));
        }
        page = buffer.checkpointsFrom(start % 4, count);
        uint256 checkpoints = start % 4 < length / 100 ? length / 100 - start % 4 : 0;
        assertEq(page.length, checkpoints < count ? checkpoints : count);
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(page[i], node(100 * (start % 4 + i) + 99));
        }
    }

    function test_push_archives() public {
        for (uint256 number = 0; number < 99; number++) {
            buffer.push(node(number));
        }
        vm.expectEmit(address(buffer));
        emit IRingLogs.RingNodeArchived(99, node(99));
        buffer.push(node(99));
    }

    function test_push_nothing() public {
        vm.expectRevert(IRingLogs.NullHead.selector);
        buffer.push(0);
    }

    function test_constants() public view {
        assertEq(buffer.cidPrefix(), hex"01711220");
        assertEq(buffer.CHECKPOINT_FREQUENCY(), 100);
    }

    // registerRingNode

    function movers(uint256 count) private view returns (address[] memory result) {
        address[] memory members = ring.getMembers();
        result = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = members[i];
        }
    }

    function testFuzz_registerRingNode(bytes32 first, bytes32 second, uint8 count) public {
        vm.assume(first != 0 && second != 0);
        address[] memory who = movers(count % 6);
        registerNode(ring, first, who, digests("first", who.length));
        vm.expectEmit(address(ring));
        emit IRing.RingNodeRegistered(second, first, 1);
        registerNode(ring, second, who, digests("second", who.length));
        assertEq(ring.ringNodeHead(), second);
        assertEq(ring.ringNodeCount(), 2);
        for (uint256 i = 0; i < who.length; i++) {
            assertEq(ring.logNodeHeads(who[i]), digests("second", who.length)[i]);
        }
    }

    function test_registerRingNode_saysWhatMoved() public {
        address[] memory who = movers(1);
        bytes32[] memory heads = digests("head", 1);
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, node(0), who, heads), 4);
        vm.expectEmit(address(ring));
        emit IRingLogs.LogNodeHeadMoved(who[0], heads[0]);
        ring.registerRingNode(node(0), who, heads, sigs.r, sigs.s, sigs.v);
    }

    /// Of two nodes after the same one, one passes.
    function test_registerRingNode_stalePrev() public {
        Signatures memory one = sign(ring, Digests.ringNode(ring, node(1), nobody, nothing), 4);
        Signatures memory two = sign(ring, Digests.ringNode(ring, node(2), nobody, nothing), 4);
        ring.registerRingNode(node(1), nobody, nothing, one.r, one.s, one.v);
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.registerRingNode(node(2), nobody, nothing, two.r, two.s, two.v);
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.registerRingNode(node(1), nobody, nothing, one.r, one.s, one.v);
        assertEq(ring.ringNodeHead(), node(1));
    }

    function testFuzz_registerRingNode_wrongPrevHead(bytes32 wrong) public {
        vm.assume(wrong != 0);
        address[] memory who = movers(1);
        bytes32[] memory prevHeads = new bytes32[](1);
        prevHeads[0] = wrong;
        bytes32[] memory heads = digests("head", 1);
        bytes32 digest = Digests.ringNodeAfter(ring, 0, node(0), who, prevHeads, heads);
        Signatures memory sigs = sign(ring, digest, 4);
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.registerRingNode(node(0), who, heads, sigs.r, sigs.s, sigs.v);
    }

    function test_registerRingNode_belowQuorum() public {
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, node(0), nobody, nothing), 3);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 3, 5));
        ring.registerRingNode(node(0), nobody, nothing, sigs.r, sigs.s, sigs.v);
    }

    /// @dev Signed by enough members, and refused all the same.
    function assertRefused(bytes32 cid, address[] memory who, bytes32[] memory heads, bytes memory reason) private {
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, cid, who, heads), 4);
        vm.expectRevert(reason);
        ring.registerRingNode(cid, who, heads, sigs.r, sigs.s, sigs.v);
    }

    function test_registerRingNode_nullDigests() public {
        bytes memory reason = abi.encodeWithSelector(IRingLogs.NullHead.selector);
        assertRefused(0, nobody, nothing, reason);
        assertRefused(node(0), movers(1), new bytes32[](1), reason);
    }

    function test_registerRingNode_stranger() public {
        address[] memory who = new address[](1);
        who[0] = account(6);
        assertRefused(node(0), who, digests("head", 1), abi.encodeWithSelector(IMembers.NotMember.selector, who[0]));
    }

    function testFuzz_registerRingNode_notAscending(uint256 first, uint256 second) public {
        address[] memory who = movers(5);
        (first, second) = (first % 5, second % 5);
        vm.assume(first < second);
        who[second] = who[first];
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, node(0), who, digests("head", 5)), 4);
        vm.expectRevert(abi.encodeWithSelector(IRing.MembersNotAscending.selector, second, who[second]));
        ring.registerRingNode(node(0), who, digests("head", 5), sigs.r, sigs.s, sigs.v);
    }

    function testFuzz_registerRingNode_lengths(uint8 members, uint8 heads) public {
        vm.assume(members != heads);
        vm.expectRevert(abi.encodeWithSelector(IRing.LengthMismatch.selector, members, heads));
        ring.registerRingNode(node(0), new address[](members), new bytes32[](heads), nothing, nothing, new uint8[](0));
    }
}
