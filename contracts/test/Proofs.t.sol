// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";

/// @notice Results that a ring node's header proves.
contract ProofsTest is Fixture {
    IRing private ring;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
    }

    // The trees and the header, written a second time, from their description

    function leafOf(bytes memory entry) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), entry));
    }

    function parentOf(bytes32 one, bytes32 other) private pure returns (bytes32) {
        return one < other
            ? keccak256(abi.encodePacked(uint8(1), one, other))
            : keccak256(abi.encodePacked(uint8(1), other, one));
    }

    /// @dev The level above: pairs from the left, and who is left over as it is.
    function levelAbove(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < above.length; i++) {
            bool isPair = 2 * i + 1 < level.length;
            above[i] = isPair ? parentOf(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }

    /// @dev The root above `level`, and the path up from place `index` of it.
    function rootAndPath(bytes32[] memory level, uint256 index)
        private
        pure
        returns (bytes32 root, bytes32[] memory path)
    {
        path = new bytes32[](0);
        while (level.length > 1) {
            uint256 sister = index ^ 1;
            if (sister < level.length) path = with(path, level[sister]);
            (level, index) = (levelAbove(level), index / 2);
        }
        return (level[0], path);
    }

    function with(bytes32[] memory path, bytes32 last) private pure returns (bytes32[] memory more) {
        more = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; i++) {
            more[i] = path[i];
        }
        more[path.length] = last;
    }

    function entryOf(uint256 number) private pure returns (bytes memory) {
        return abi.encodePacked("entry", number);
    }

    function tree(uint256 size, uint256 index) private pure returns (bytes32, bytes32[] memory) {
        bytes32[] memory leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; i++) {
            leaves[i] = leafOf(entryOf(i));
        }
        return rootAndPath(leaves, index);
    }

    function link(bytes32 digest) private pure returns (bytes memory) {
        return abi.encodePacked(hex"d82a58250001711220", digest);
    }

    /// @dev A header as the members write it, whose entries and heads are in `pages` pages.
    function headerOf(bytes32 root, bytes32 headsRoot, bytes32 membersHash, uint256 pages)
        private
        pure
        returns (bytes memory header)
    {
        header = abi.encodePacked(hex"8a01", hex"5820", root, hex"5820", headsRoot, hex"5820", membersHash);
        header = abi.encodePacked(header, hex"1864", hex"03", link("prev"), link("skip"), uint8(0x80 + pages));
        for (uint256 i = 0; i < pages; i++) {
            header = abi.encodePacked(header, link(bytes32(i)));
        }
        return abi.encodePacked(header, uint8(0x80));
    }

    function headerOf(bytes32 root) private view returns (bytes memory) {
        return headerOf(root, "heads", ring.membersHash(), 2);
    }

    function push(bytes memory header) private {
        registerNode(ring, sha256(header), new address[](0), new bytes32[](0));
    }

    function pushMany(uint256 count) private {
        for (uint256 i = 0; i < count; i++) {
            push(abi.encode(i));
        }
    }

    /// Each entry of a tree of any size is proven, and nothing else is.
    /// forge-config: default.fuzz.runs = 200
    function testFuzz_proveResult(uint256 size, uint256 index, uint256 other) public {
        size = bound(size, 1, 70);
        index = index % size;
        (bytes32 root, bytes32[] memory path) = tree(size, index);
        bytes memory header = headerOf(root);
        push(header);
        assertTrue(ring.proveResult(header, 0, entryOf(index), path));
        other = other % 100;
        if (other != index) assertFalse(ring.proveResult(header, 0, entryOf(other), path));
        if (path.length == 0) return;
        path[other % path.length] = bytes32(other);
        assertFalse(ring.proveResult(header, 0, entryOf(index), path));
    }

    /// Thousands of results in one transaction: the twelfth of four thousand.
    function test_proveResult_thousands() public {
        (bytes32 root, bytes32[] memory path) = tree(4000, 12);
        push(headerOf(root));
        assertEq(path.length, 12);
        assertTrue(ring.proveResult(headerOf(root), 0, entryOf(12), path));
    }

    /// An inner node is no entry, and an entry no inner node: they are hashed apart.
    function test_proveResult_secondPreimage() public {
        bytes32[] memory none = new bytes32[](0);
        (bytes32 left, bytes32 right) = (leafOf(entryOf(0)), leafOf(entryOf(1)));
        bytes32 root = parentOf(left, right);
        push(headerOf(root));
        bytes memory inner = left < right ? abi.encodePacked(left, right) : abi.encodePacked(right, left);
        assertFalse(ring.proveResult(headerOf(root), 0, inner, none));
        assertFalse(ring.proveResult(headerOf(root), 0, abi.encodePacked(uint8(1), inner), none));
        assertFalse(ring.proveResult(headerOf(root), 0, abi.encodePacked(root), none));
    }

    /// The heads are in another tree, and prove no result.
    function test_proveResult_headIsNoEntry() public {
        bytes32[] memory none = new bytes32[](0);
        bytes memory header = headerOf(0, leafOf("head"), ring.membersHash(), 0);
        push(header);
        assertFalse(ring.proveResult(header, 0, "head", none));
        assertFalse(ring.proveResult(header, 0, "", none)); // nor does no tree
    }

    /// Only the ring node that was registered under this number, to the byte.
    function testFuzz_proveResult_otherHeader(uint256 place, uint8 change, uint256 number) public {
        bytes32[] memory none = new bytes32[](0);
        bytes memory header = headerOf(leafOf("entry"));
        push(header);
        push(abi.encodePacked("another"));
        assertTrue(ring.proveResult(header, 0, "entry", none));
        if (number != 0) assertFalse(ring.proveResult(header, number, "entry", none));
        header[place % header.length] ^= bytes1(change == 0 ? 1 : change);
        assertFalse(ring.proveResult(header, 0, "entry", none));
    }

    /// What has not the form of a header proves nothing, though it was registered.
    function test_proveResult_form() public {
        bytes32 root = leafOf("entry");
        bytes[6] memory headers;
        for (uint256 i = 0; i < 5; i++) {
            headers[i] = headerOf(root);
        }
        headers[0][0] = 0x8b;
        headers[1][1] = 0x02;
        headers[2][3] = 0x21;
        headers[3][36] = 0x59;
        headers[4][71] = 0x1f;
        headers[5] = abi.encodePacked(hex"8a015820", root, hex"5820", root, hex"5820", bytes31(root)); // a byte too short
        for (uint256 i = 0; i < 6; i++) {
            push(headers[i]);
            assertFalse(ring.proveResult(headers[i], i, "entry", new bytes32[](0)));
        }
    }

    /// 1,024 bytes and no more.
    function test_proveResult_size() public {
        bytes memory header = headerOf(leafOf("entry"), "heads", "members", 19);
        assertLe(header.length, 1024); // as many pages as fit
        bytes memory full = abi.encodePacked(header, new bytes(1024 - header.length));
        bytes memory larger = abi.encodePacked(full, uint8(0));
        push(full);
        push(larger);
        assertTrue(ring.proveResult(full, 0, "entry", new bytes32[](0)));
        assertFalse(ring.proveResult(larger, 1, "entry", new bytes32[](0)));
    }

    /// From the buffer for a hundred ring nodes, from the archive for ever if it is a checkpoint.
    function test_proveResult_bufferAndArchive() public {
        bytes32[] memory none = new bytes32[](0);
        bytes memory header = headerOf(leafOf("entry"));
        pushMany(98);
        push(header); // 98
        push(header); // 99, a checkpoint
        pushMany(98);
        assertTrue(ring.proveResult(header, 98, "entry", none));
        pushMany(1);
        assertFalse(ring.proveResult(header, 98, "entry", none));
        pushMany(60);
        assertTrue(ring.proveResult(header, 99, "entry", none));
        assertFalse(ring.proveResult(header, 259, "entry", none)); // not written yet
    }

    /// The very bytes, for who writes headers elsewhere: the first header of a ring, with one entry, whose bytes are "entry",
    /// and no head. Leaf and digest were computed with other tools.
    function test_proveResult_vector() public {
        bytes memory header = bytes.concat(
            hex"8a01",
            hex"58206777368f8eda18f876480ec68b0438926573669c5f2bffd70608a17374ef71c0", // the root is the leaf
            hex"58200000000000000000000000000000000000000000000000000000000000000000", // no head
            hex"58200000000000000000000000000000000000000000000000000000000000000002", // membersHash
            hex"01", // epoch
            hex"00", // number
            hex"f6f6", // neither prev nor skip
            hex"81d82a582500017112203333333333333333333333333333333333333333333333333333333333333333", // entryPages
            hex"80" // headPages
        );
        assertEq(sha256(header), 0x97bf58df48bf354b4f96117c67a788a9d97afcee39d03a145da0b880b72fd831);
        push(header);
        assertTrue(ring.proveResult(header, 0, "entry", new bytes32[](0)));
    }

    // A member that moves its head stops nobody

    /// It voids the signatures that were collected, which the contract finds at the first of them; left out, it can stop
    /// nothing any more.
    function test_registerRingNode_headMovedMeanwhile() public {
        address[] memory members = ring.getMembers();
        bytes32[] memory heads = digests("heads", 5);
        bytes32 digest = Digests.ringNode(ring, "node", members, heads);
        Signatures memory sigs = sign(ring, digest, 4);
        address mover = members[2];
        flush(ring, nextAction(ring, mover, address(0), ""));
        uint256 gas = gasleft();
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.registerRingNode("node", members, heads, sigs.r, sigs.s, sigs.v);
        assertLt(gas - gasleft(), 60_000);

        (address[] memory others, bytes32[] memory theirs) = (new address[](4), new bytes32[](4));
        for (uint256 i = 0; i < 4; i++) {
            (others[i], theirs[i]) = (members[i < 2 ? i : i + 1], heads[i]);
        }
        digest = Digests.ringNode(ring, "node", others, theirs);
        sigs = sign(ring, digest, 4);
        flush(ring, nextAction(ring, mover, address(0), ""));
        ring.registerRingNode("node", others, theirs, sigs.r, sigs.s, sigs.v);
        assertEq(ring.ringNodeHead(), "node");
    }
}
