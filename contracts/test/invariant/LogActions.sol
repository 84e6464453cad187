// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CompoundAction} from "../../src/interfaces/IAvatars.sol";
import {ForkRule} from "../../src/interfaces/IMembership.sol";
import {IRing, SignedNode} from "../../src/interfaces/IRing.sol";
import {Digests} from "../utils/Digests.sol";
import {Signatures} from "../utils/Fixture.sol";
import {OutputActions} from "./OutputActions.sol";

/// @notice Remembers who came with which nonce. Nobody comes twice with one.
contract Guestbook {
    mapping(address account => mapping(uint256 nonce => bool)) public hasCome;

    function come(uint256 nonce) external payable {
        require(!hasCome[msg.sender][nonce], "a nonce came twice");
        hasCome[msg.sender][nonce] = true;
    }
}

/// @notice What moves the heads: ring nodes, flushes; and what a fork does.
abstract contract LogActions is OutputActions {
    uint256 private constant MAX_NODES = 300;
    uint256 private constant MAX_KEPT = 20;

    /// @dev A ring node that was signed and not sent, and what was there then.
    struct KeptNode {
        bytes32 cid;
        address[] who;
        bytes32[] heads;
        bytes32[] prevHeads;
        uint256 count;
        uint256 epoch;
        Signatures sigs;
    }

    KeptNode[] private keptNodes;
    CompoundAction[] private keptActions;
    bytes[] private keptCalls;
    Guestbook internal guestbook = new Guestbook();

    /// @dev The first few members, and heads for them that were never there.
    function movedHeads(uint256 seed) private view returns (address[] memory who, bytes32[] memory heads) {
        address[] memory sorted = ring.getMembers();
        who = new address[](seed % (sorted.length + 1));
        uint256 writers;
        for (uint256 i = 0; i < who.length; i++) {
            if (!isFrozen[sorted[i]]) who[writers++] = sorted[i];
        }
        assembly {
            mstore(who, writers)
        }
        heads = new bytes32[](writers);
        for (uint256 i = 0; i < writers; i++) {
            heads[i] = keccak256(abi.encode(seed, nodes.length, i));
        }
    }

    function registered(bytes32 cid, address[] memory who, bytes32[] memory heads) private {
        nodes.push(cid);
        for (uint256 i = 0; i < who.length; i++) {
            headOf[who[i]] = heads[i];
        }
    }

    function registerRingNode(uint256 seed) external {
        needMembers(1);
        (address[] memory who, bytes32[] memory heads) = movedHeads(seed);
        bytes32 cid = keccak256(abi.encode(seed, nodes.length));
        registerNode(ring, cid, who, heads);
        registered(cid, who, heads);
    }

    /// @dev Many at once, so that the buffer goes round.
    function registerManyRingNodes(uint256 seed) external {
        needMembers(1);
        uint256 number = nodes.length < MAX_NODES ? 25 : 1;
        for (uint256 i = 0; i < number; i++) {
            bytes32 cid = keccak256(abi.encode(seed, nodes.length));
            registerNode(ring, cid, new address[](0), new bytes32[](0));
            nodes.push(cid);
        }
    }

    function keepRingNode(uint256 seed) public {
        needMembers(1);
        if (keptNodes.length < MAX_KEPT) keptNodes.push();
        KeptNode storage entry = keptNodes[seed % keptNodes.length];
        (entry.who, entry.heads) = movedHeads(seed);
        entry.cid = keccak256(abi.encode(seed, nodes.length));
        (entry.count, entry.epoch) = (nodes.length, epoch);
        entry.prevHeads = headsOf(entry.who);
        bytes32 digest = Digests.ringNode(ring, entry.cid, entry.who, entry.heads);
        Signatures memory sigs = sign(ring, digest, ring.quorum());
        (entry.sigs.r, entry.sigs.s, entry.sigs.v) = (sigs.r, sigs.s, sigs.v);
    }

    function headsOf(address[] memory who) private view returns (bytes32[] memory heads) {
        heads = new bytes32[](who.length);
        for (uint256 i = 0; i < who.length; i++) {
            heads[i] = headOf[who[i]];
        }
    }

    /// @dev It counts if it is still the next, and every head that it moves is where it was.
    function sendKeptRingNode(uint256 seed) external {
        if (keptNodes.length == 0) keepRingNode(seed);
        KeptNode memory entry = keptNodes[seed % keptNodes.length];
        bool isNext = entry.count == nodes.length && entry.epoch == epoch;
        bool isGood = isNext && keccak256(abi.encode(headsOf(entry.who))) == keccak256(abi.encode(entry.prevHeads));
        isGood = isGood && !isAnyFrozen(entry.who) && 3 * entry.sigs.r.length >= 2 * counted();
        Signatures memory sigs = entry.sigs;
        bytes memory data =
            abi.encodeCall(IRing.registerRingNode, (entry.cid, entry.who, entry.heads, sigs.r, sigs.s, sigs.v));
        (bool success,) = address(ring).call(data);
        require(success == isGood, "a kept ring node");
        count("kept ring nodes", success);
        if (success) registered(entry.cid, entry.who, entry.heads);
    }

    function isAnyFrozen(address[] memory who) private view returns (bool) {
        for (uint256 i = 0; i < who.length; i++) {
            if (isFrozen[who[i]]) return true;
        }
        return false;
    }

    function flushed(CompoundAction memory action) internal {
        headOf[action.avatar] = action.newHead;
        nextNonceOf[action.avatar] = action.nonce + 1;
    }

    /// @dev What a member may do: write to the guest book, with some ether of its account or without.
    function usefulAction(uint256 seed) private returns (CompoundAction memory action) {
        address avatar = someWriter(seed);
        action = nextAction(ring, avatar, seed % 4 == 0 ? address(0) : address(guestbook), "");
        if (action.to != address(0)) action.data = abi.encodeCall(Guestbook.come, (action.nonce));
        action.newHead = keccak256(abi.encode(seed, action.prevHead));
        if (action.to != address(0) && seed % 3 == 0) {
            vm.deal(ring.accountOf(avatar), 1 ether);
            action.value = 1 ether;
        }
    }

    function flushUseful(uint256 seed) external {
        CompoundAction memory action = usefulAction(seed);
        bytes32 state = stateWithout(action.avatar, action.avatar);
        flush(ring, action);
        require(state == stateWithout(action.avatar, action.avatar), "a flush changed more than its avatar's");
        flushed(action);
    }

    /// @dev Signed now, sent later or twice.
    function keepFlush(uint256 seed) public {
        CompoundAction memory action = usefulAction(seed);
        if (keptActions.length < MAX_KEPT) {
            keptActions.push();
            keptCalls.push();
        }
        uint256 place = seed % keptActions.length;
        (keptActions[place], keptCalls[place]) = (action, flushData(ring, action));
    }

    /// @dev It counts if its avatar is in and not frozen, and its nonce and its head are the next ones.
    function sendKeptFlush(uint256 seed) external {
        if (keptActions.length == 0) keepFlush(seed);
        CompoundAction memory action = keptActions[seed % keptActions.length];
        address avatar = action.avatar;
        vm.deal(ring.accountOf(avatar), action.value);
        bool isNext = action.nonce == nextNonceOf[avatar] && action.prevHead == headOf[avatar];
        bool isGood = isIn(avatar) && !isFrozen[avatar] && isNext && block.timestamp <= action.deadline;
        (bool success,) = address(ring).call(keptCalls[seed % keptActions.length]);
        require(success == isGood, "a kept flush");
        count("kept flushes", success);
        if (success) flushed(action);
    }

    /// @dev Through the account of a member, another ring is asked to keep this one's logs, or to keep them no longer.
    function registerOrUnregister(uint256 seed) external {
        address avatar = someWriter(seed);
        bytes memory data = isRegistered
            ? abi.encodeCall(IRing.unregisterRing, (ring, avatar))
            : abi.encodeCall(IRing.registerRing, (ring, avatar));
        CompoundAction memory action = nextAction(ring, avatar, address(replica), data);
        flush(ring, action);
        flushed(action);
        isRegistered = !isRegistered;
    }

    /// @dev A proof counts once; it removes, or freezes.
    function proveFork(uint256 seed) external {
        address author = someMember(seed);
        uint64 seq = uint64(seed % 5);
        (SignedNode memory one, SignedNode memory other) =
            (signedNode(author, seq, "one"), signedNode(author, seq, "other"));
        (bool success,) = address(ring).call(abi.encodeCall(IRing.proveFork, (seq, one, other)));
        require(success != isProven[author][seq], "a fork is proven once");
        count("forks", success);
        if (!success) return;
        isProven[author][seq] = true;
        if (FORK_RULE == ForkRule.Freeze) isFrozen[author] = true;
        else removed(author);
    }

    function signedNode(address author, uint256 seed, bytes32 content) private view returns (SignedNode memory node) {
        (node.prev, node.content) = (bytes32(seed), content);
        bytes32 digest = Digests.logNode(block.chainid, address(ring), uint64(seed), node.prev, content);
        (node.v, node.r, node.s) = vm.sign(keyOf[author], digest);
    }

    /// @dev Later, so that what was kept may be too late.
    function wait(uint256 seed) external {
        vm.warp(block.timestamp + seed % 3);
    }
}
