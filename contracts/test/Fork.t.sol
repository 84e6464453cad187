// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CompoundAction, IAvatars} from "../src/interfaces/IAvatars.sol";
import {IGate} from "../src/interfaces/IGate.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {ForkRule} from "../src/interfaces/IMembership.sol";
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

    function enterAgain(address author) private {
        announce(ring, author);
        ring.settle(author);
    }

    function proveFork(address author, uint64 seq) private {
        ring.proveFork(seq, signNode(author, seq, 0, "one"), signNode(author, seq, 0, "other"));
    }

    /// It may come back if the keeper lets it in, and is not put out with the same proof again, nor with another of the same
    /// place; with a fork at another place it is.
    function testFuzz_proveFork_again(uint64 seq, uint64 other) public {
        vm.assume(seq != other);
        address author = account(1);
        proveFork(author, seq);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, author));
        ring.proveFork(seq, signNode(author, seq, 0, "one"), signNode(author, seq, 0, "other"));
        enterAgain(author);
        SignedNode memory third = signNode(author, seq, 0, "third");
        vm.expectRevert(abi.encodeWithSelector(IRing.AlreadyProven.selector, author, seq));
        ring.proveFork(seq, third, signNode(author, seq, 0, "one"));
        assertTrue(ring.isMember(author));
        proveFork(author, other);
        assertFalse(ring.isMember(author));
        assertEq(ring.epoch(), 4);
    }

    /// What one author has done is not proven of another.
    function testFuzz_proveFork_twoAuthors(uint64 seq) public {
        proveFork(account(1), seq);
        proveFork(account(2), seq);
        assertEq(ring.memberCount(), 3);
    }

    /// Who is removed for a fork is counted no longer at once, in a kept ring too.
    function test_proveFork_lowersTheNumberNeeded() public {
        ring = makeRing(4, keeper, 1 days, ForkRule.Remove);
        assertEq(ring.quorum(), 3);
        proveFork(account(1), 1);
        assertEq(ring.countedMembers(), 3);
        assertEq(ring.quorum(), 2);
    }

    // A ring that freezes

    function freezing() private returns (address author) {
        ring = makeRing(5, keeper, 0, ForkRule.Freeze);
        author = account(1);
        proveFork(author, 7);
    }

    /// It stays, in the same epoch, and its signature counts.
    function test_freeze() public {
        ring = makeRing(5, keeper, 0, ForkRule.Freeze);
        address author = account(1);
        assertFalse(ring.isFrozen(author));
        SignedNode memory one = signNode(author, 7, 0, "one");
        SignedNode memory other = signNode(author, 7, 0, "other");
        vm.expectEmit(address(ring));
        emit IRing.ForkProven(author, 7, one, other);
        ring.proveFork(7, one, other);
        assertTrue(ring.isFrozen(author));
        assertTrue(ring.isMember(author));
        assertFalse(ring.isFrozen(account(2)));
        assertEq(ring.epoch(), 1);
        IGate gate = makeGate(ring, 1);
        bytes32[] memory cids = digests("result", 1);
        register(ring, gate, onePin(0), cids, sign(ring, outputsDigest(ring, gate, onePin(0), cids), 5));
    }

    function test_freeze_noFlush() public {
        address author = freezing();
        CompoundAction memory action = nextAction(ring, author, address(0), "");
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.expectRevert(abi.encodeWithSelector(IAvatars.LogFrozen.selector, author));
        ring.flush(action, r, s, v);
        flush(ring, nextAction(ring, account(2), address(0), ""));
    }

    /// No ring node moves its head; left out, the others' move.
    function test_freeze_noHead() public {
        address author = freezing();
        bytes32 digest = Digests.ringNode(ring, "node", only(author), digests("head", 1));
        Signatures memory sigs = sign(ring, digest, 4);
        vm.expectRevert(abi.encodeWithSelector(IAvatars.LogFrozen.selector, author));
        ring.registerRingNode("node", only(author), digests("head", 1), sigs.r, sigs.s, sigs.v);
        registerNode(ring, "node", only(account(2)), digests("head", 1));
        assertEq(ring.logNodeHeads(author), 0);
    }

    /// Until it leaves and enters anew; the old proof does not freeze it again, and what it signed before counts no longer.
    function test_freeze_ends() public {
        address author = freezing();
        CompoundAction memory action = nextAction(ring, author, address(0), "");
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.prank(author);
        ring.leave();
        assertFalse(ring.isFrozen(author));
        enterAgain(author);
        assertFalse(ring.isFrozen(author));
        SignedNode memory one = signNode(author, 7, 0, "one");
        SignedNode memory other = signNode(author, 7, 0, "other");
        vm.expectRevert(abi.encodeWithSelector(IRing.AlreadyProven.selector, author, 7));
        ring.proveFork(7, one, other);
        vm.expectRevert(abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 1));
        ring.flush(action, r, s, v);
        flush(ring, nextAction(ring, author, address(0), ""));
    }

    /// Two thirds let it leave and enter anew in one step.
    function test_freeze_endsByTwoThirds() public {
        address author = freezing();
        change(ring, only(author), only(author));
        assertTrue(ring.isMember(author));
        assertFalse(ring.isFrozen(author));
        assertEq(ring.epoch(), 2);
    }

    /// What a frozen member owns is within its reach: it cannot flush, so it rescues.
    function test_freeze_rescue() public {
        address author = freezing();
        vm.deal(ring.accountOf(author), 1 ether);
        vm.prank(author);
        ring.rescue(author, 1 ether, "");
        assertEq(author.balance, 1 ether);
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
        ring.settle(account(2));
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
