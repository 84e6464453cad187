// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IGate} from "../../src/interfaces/IGate.sol";
import {ForkRule} from "../../src/interfaces/IMembership.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {IScope} from "../../src/interfaces/IScope.sol";
import {Digests} from "../utils/Digests.sol";
import {PlainSignatures} from "../utils/PlainSignatures.sol";
import {RingHandler} from "./RingHandler.sol";
import {Test} from "forge-std/Test.sol";
import {console2} from "forge-std/console2.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

/// @notice What holds whatever is done, in whatever order.
abstract contract RingInvariants is Test {
    RingHandler private handler;
    IRing private ring;

    function forkRule() internal pure virtual returns (ForkRule);

    function setUp() public {
        handler = new RingHandler(forkRule());
        ring = handler.ring();
        targetSelector(FuzzSelector(address(handler), handler.selectors()));
        targetContract(address(handler));
    }

    /// One invariant for all, so that all are checked along each sequence of actions.
    function invariant_ring() public view {
        checkMembers();
        checkCounted();
        checkEntries();
        checkOutputs();
        checkRingLog();
        checkHeads();
        checkClients();
        checkEther();
    }

    /// Membership is what the keeper and two thirds made it: list, snapshot, count and epoch say the same.
    function checkMembers() private view {
        address[] memory expected = handler.modelMembers();
        LibSort.sort(expected);
        assertEq(ring.getMembers(), expected);
        assertEq(ring.membersHash(), Digests.hash(expected));
        assertEq(ring.memberCount(), expected.length);
        assertEq(ring.epoch(), handler.epoch());
        address[] memory people = handler.everyone();
        for (uint256 i = 0; i < people.length; i++) {
            assertEq(ring.isMember(people[i]), PlainSignatures.isAmong(expected, people[i]));
        }
        assertFalse(ring.isMember(address(0)) || ring.isMember(address(1)));
    }

    /// The number needed counts the members, and those whom the keeper put out less than the delay ago, each once.
    function checkCounted() private view {
        uint256 counted = handler.counted();
        assertEq(ring.countedMembers(), counted);
        assertEq(ring.quorum(), counted == 0 ? 1 : (2 * counted + 2) / 3);
        assertLe(counted, ring.MAX_MEMBERS());
    }

    /// Announced are those whom the keeper announced and who are neither in nor cancelled.
    function checkEntries() private view {
        address[] memory people = handler.everyone();
        address[] memory pending = ring.pendingEntries();
        uint256 number;
        for (uint256 i = 0; i < people.length; i++) {
            uint256 dueAt = handler.dueAt(people[i]);
            assertEq(ring.entryOf(people[i]), dueAt);
            assertEq(PlainSignatures.isAmong(pending, people[i]), dueAt != 0);
            if (dueAt == 0) continue;
            number++;
            assertFalse(ring.isMember(people[i]));
        }
        assertEq(pending.length, number);
    }

    /// A pin has what two thirds of the members put there first, for ever, and nothing else.
    function checkOutputs() private view {
        IGate[] memory gates = handler.modelGates();
        for (uint256 i = 0; i < gates.length; i++) {
            bytes32 result = handler.resultOf(gates[i]);
            bool hasFailed = gates[i].outputOf(gates[i].FAILURE()) != 0;
            uint256 tokenId = gates[i].outputOf(hasFailed ? gates[i].FAILURE() : 0);
            assertEq(tokenId, uint256(result));
            assertEq(gates[i].isResolved(), tokenId != 0);
            if (tokenId != 0) assertEq(gates[i].scope().readData(tokenId), result);
            if (hasFailed) assertEq(gates[i].outputOf(0), 0);
            if (hasFailed) assertTrue(gates[i].isFailed());
            assertFalse(gates[i].isReady() && gates[i].isFailed() && !hasFailed);
        }
    }

    /// The buffer and its archive are the whole ring log as far as they should be.
    function checkRingLog() private view {
        bytes32[] memory nodes = handler.modelNodes();
        assertEq(ring.ringNodeCount(), nodes.length);
        assertEq(ring.ringNodeHead(), nodes.length == 0 ? bytes32(0) : nodes[nodes.length - 1]);
        for (uint256 i = 0; i < nodes.length; i++) {
            if (nodes.length - i <= 100 || i % 100 == 99) assertEq(ring.ringNodeAt(i), nodes[i]);
        }
    }

    /// Heads and nonces are where the last ring node or flush put them.
    function checkHeads() private view {
        address[] memory people = handler.everyone();
        for (uint256 i = 0; i < people.length; i++) {
            assertEq(ring.logNodeHeads(people[i]), handler.headOf(people[i]));
            assertEq(ring.nonceOf(people[i]), handler.nextNonceOf(people[i]));
            assertEq(ring.isFrozen(people[i]), handler.isFrozen(people[i]));
        }
    }

    function checkClients() private view {
        IRing replica = handler.replica();
        assertEq(replica.isClient(ring), handler.isRegistered());
        assertEq(replica.clientCount(), handler.isRegistered() ? 1 : 0);
        assertEq(ring.clientCount(), 0);
    }

    /// The ring has what was forced on it, and nothing else.
    function checkEther() private view {
        assertEq(address(ring).balance, handler.forcedEther());
    }

    /// What a run has tried, beside forge's table of calls and reverts; with `-vv`.
    function afterInvariant() public view {
        bytes32[8] memory kinds = [
            bytes32("kept signatures"),
            "anybody's signatures",
            "kept ring nodes",
            "kept flushes",
            "entries settled",
            "changes by two thirds",
            "kept changes",
            "forks"
        ];
        for (uint256 i = 0; i < kinds.length; i++) {
            console2.log(string(abi.encodePacked(kinds[i])), handler.taken(kinds[i]), handler.refused(kinds[i]));
        }
        console2.log("attempts from outside and from inside", handler.refusals(), handler.attacker().tries());
    }
}

contract RingInvariantTest is RingInvariants {
    function forkRule() internal pure override returns (ForkRule) {
        return ForkRule.Remove;
    }
}

contract FreezingRingInvariantTest is RingInvariants {
    function forkRule() internal pure override returns (ForkRule) {
        return ForkRule.Freeze;
    }
}
