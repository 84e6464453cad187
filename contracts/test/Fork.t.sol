// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IGate} from "../src/interfaces/IGate.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing, SignedNode} from "../src/interfaces/IRing.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";

contract ForkTest is Fixture {
    IRing private ring;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
    }

    function signNode(address author, uint64 seq, bytes32 prev, bytes32 content)
        private
        view
        returns (SignedNode memory node)
    {
        bytes32 digest = Digests.logNode(block.chainid, address(ring), seq, prev, content);
        (node.prev, node.content) = (prev, content);
        (node.v, node.r, node.s) = vm.sign(keyOf[author], digest);
    }

    function assertRefused(uint64 seq, SignedNode memory one, SignedNode memory other, bytes memory reason) private {
        vm.expectRevert(reason);
        ring.proveFork(seq, one, other);
        assertEq(ring.memberCount(), 5);
    }

    /// Two predecessors, two contents, or both.
    function testFuzz_proveFork(uint64 seq, bytes32[4] memory words, uint8 which, address sender) public {
        vm.assume(words[0] != words[1] || words[2] != words[3]);
        address author = account(1 + which % 5);
        SignedNode memory one = signNode(author, seq, words[0], words[2]);
        SignedNode memory other = signNode(author, seq, words[1], words[3]);
        vm.expectEmit(address(ring));
        emit IMembers.MemberExited(author, 2);
        vm.expectEmit(address(ring));
        emit IRing.ForkProven(author, seq, one, other);
        vm.prank(sender);
        ring.proveFork(seq, one, other);
        assertFalse(ring.isMember(author));
        assertEq(ring.memberCount(), 4);
        assertEq(ring.epoch(), 2);
    }

    function testFuzz_proveFork_sameNode(uint64 seq, bytes32 prev, bytes32 content) public {
        SignedNode memory node = signNode(account(1), seq, prev, content);
        assertRefused(seq, node, node, abi.encodeWithSelector(IRing.SameNode.selector, seq));
        // A second signature of it is no other node.
        SignedNode memory again = signNode(account(1), seq, prev, content);
        (again.r, again.s) = (keccak256("r"), keccak256("s"));
        assertRefused(seq, node, again, abi.encodeWithSelector(IRing.SameNode.selector, seq));
    }

    /// Nodes of two positions in a log are not a fork: the number that was signed is the one that counts.
    function testFuzz_proveFork_twoPositions(uint64 seq, uint64 otherSeq) public {
        vm.assume(seq != otherSeq);
        SignedNode memory one = signNode(account(1), seq, 0, "one");
        SignedNode memory other = signNode(account(1), otherSeq, 0, "other");
        vm.expectRevert();
        ring.proveFork(seq, one, other);
        vm.expectRevert();
        ring.proveFork(otherSeq, one, other);
        assertTrue(ring.isMember(account(1)));
    }

    function testFuzz_proveFork_twoAuthors(uint8 which, uint8 otherWhich) public {
        (address author, address otherAuthor) = (account(1 + which % 5), account(1 + otherWhich % 9));
        vm.assume(author != otherAuthor);
        bytes memory reason = abi.encodeWithSelector(IRing.DifferentAuthors.selector, author, otherAuthor);
        assertRefused(1, signNode(author, 1, 0, "one"), signNode(otherAuthor, 1, 0, "other"), reason);
    }

    function test_proveFork_stranger() public {
        address stranger = account(6);
        bytes memory reason = abi.encodeWithSelector(IMembers.NotMember.selector, stranger);
        assertRefused(1, signNode(stranger, 1, 0, "one"), signNode(stranger, 1, 0, "other"), reason);
    }

    function testFuzz_proveFork_garbage(SignedNode memory one, SignedNode memory other, uint64 seq) public {
        vm.expectRevert();
        ring.proveFork(seq, one, other);
    }

    function test_proveFork_noSignature() public {
        (SignedNode memory one, SignedNode memory other) =
            (SignedNode("a", "b", 0, 0, 0), SignedNode("a", "c", 0, 0, 0));
        assertRefused(1, one, other, abi.encodeWithSelector(IMembers.InvalidSignature.selector, 0));
        one = signNode(account(1), 1, "a", "b");
        assertRefused(1, one, other, abi.encodeWithSelector(IRing.DifferentAuthors.selector, account(1), address(0)));
    }

    function test_proveFork_twin() public {
        SignedNode memory one = signNode(account(1), 1, 0, "one");
        SignedNode memory other = signNode(account(1), 1, 0, "other");
        (one.s, one.v) = (bytes32(N - uint256(one.s)), 55 - one.v);
        assertRefused(1, one, other, abi.encodeWithSelector(IMembers.InvalidSignature.selector, 0));
    }

    /// What was signed for another ring, or on another chain, is no evidence here.
    function testFuzz_proveFork_otherDomains(uint64 chainId) public {
        vm.assume(chainId != block.chainid && chainId != 0);
        SignedNode memory one = signNode(account(1), 1, 0, "one");
        SignedNode memory other = signNode(account(1), 1, 0, "other");
        IRing second = makeRing(5);
        vm.expectRevert();
        second.proveFork(1, one, other);
        vm.chainId(chainId);
        vm.expectRevert();
        ring.proveFork(1, one, other);
    }

    /// Signatures that were given with the one who is out are void: a new epoch has begun.
    function test_proveFork_voidsSignatures() public {
        IGate gate = makeGate(ring, 1);
        bytes32[] memory cids = digests("result", 1);
        Signatures memory sigs = sign(ring, outputsDigest(ring, gate, onePin(0), cids), 4);
        ring.proveFork(1, signNode(account(1), 1, 0, "one"), signNode(account(1), 1, 0, "other"));
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, onePin(0), cids, sigs);
        resolve(ring, gate, onePin(0), cids);
    }

    /// It may come back if the keeper lets it in, and be put out again: evidence does not age.
    function test_proveFork_again() public {
        address author = account(1);
        SignedNode memory one = signNode(author, 1, 0, "one");
        SignedNode memory other = signNode(author, 1, 0, "other");
        ring.proveFork(1, one, other);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, author));
        ring.proveFork(1, one, other);
        vm.prank(keeper);
        engine.enter(ring, author);
        ring.proveFork(1, other, one);
        assertFalse(ring.isMember(author));
        assertEq(ring.epoch(), 4);
    }

    /// With the last member goes the quorum: the ring accepts nothing until another enters.
    function test_proveFork_last() public {
        ring = makeRing(1);
        ring.proveFork(0, signNode(account(1), 0, 0, "one"), signNode(account(1), 0, 0, "other"));
        assertEq(ring.getMembers().length, 0);
        IGate gate = makeGate(ring, 1);
        bytes memory reason = abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 0);
        Signatures memory none = sign(ring, 0, 0);
        vm.expectRevert(reason);
        register(ring, gate, onePin(0), digests("x", 1), none);
        vm.expectRevert(reason);
        ring.registerRingNode("node", new address[](0), new bytes32[](0), none.r, none.s, none.v);
        vm.prank(keeper);
        engine.enter(ring, account(2));
        resolve(ring, gate);
    }

    /// What it owns remains its own.
    function test_proveFork_rescue() public {
        address author = account(1);
        vm.deal(ring.accountOf(author), 1 ether);
        ring.proveFork(0, signNode(author, 0, 0, "one"), signNode(author, 0, 0, "other"));
        vm.prank(author);
        ring.rescue(author, 1 ether, "");
        assertEq(author.balance, 1 ether);
    }

    /// Signed by the Rust side, which tests these very bytes in `node/protocol/src/eip712.rs`: chain 31337, ring 0x11…11, node 7
    /// after 0x22…22, with contents 0x33…33 and 0x44…44, by the key 0x46…46.
    function test_proveFork_vector() public {
        vm.chainId(31337);
        address author = 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F;
        vm.etch(address(0x1111111111111111111111111111111111111111), address(ring).code);
        ring = IRing(0x1111111111111111111111111111111111111111);
        address[] memory members = new address[](1);
        members[0] = author;
        vm.prank(address(engine));
        ring.initialize(members);
        SignedNode memory one = SignedNode({
            prev: bytes32(uint256(type(uint256).max / 255 * 0x22)),
            content: bytes32(uint256(type(uint256).max / 255 * 0x33)),
            r: 0x7280a901044d9559dd07f6b7111529f7b3229bb948c282d8710751b11724f0f5,
            s: 0x5ad2a4c50ea6a38f732751abb24780dd4fafa1e7e2b9422533c7754e80dfd717,
            v: 28
        });
        SignedNode memory other = SignedNode({
            prev: one.prev,
            content: bytes32(uint256(type(uint256).max / 255 * 0x44)),
            r: 0xdd6dc64cb60564107dcca7532ed42ec26cdbb4ba55c6ef2a678c0f2575608a80,
            s: 0x0217d9221880df5c1995b1299dd2d938a8137df7160188e4d28fb51f8ef7cbec,
            v: 27
        });
        ring.proveFork(7, one, other);
        assertFalse(ring.isMember(author));
    }
}
