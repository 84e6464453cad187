// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../src/interfaces/IAccount.sol";
import {CompoundAction, IAvatars} from "../src/interfaces/IAvatars.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {IMembership} from "../src/interfaces/IMembership.sol";
import {IRing, SignedNode} from "../src/interfaces/IRing.sol";
import {IRingLogs} from "../src/interfaces/IRingLogs.sol";
import {Callee} from "./utils/Callee.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";

/// @notice What may be flushed, by whom, and that it counts once. What the call may do is in `Flush.t.sol`.
contract AvatarsTest is Fixture {
    IRing private ring;
    Callee private callee;
    address private avatar;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
        callee = new Callee();
        avatar = account(3);
    }

    function remembering() private view returns (CompoundAction memory) {
        return nextAction(ring, avatar, address(callee), abi.encodeCall(Callee.remember, ()));
    }

    /// @dev Signed by its avatar, and refused.
    function assertRefused(CompoundAction memory action, bytes memory reason) private {
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        assertRefused(action, r, s, v, reason);
    }

    function assertRefused(CompoundAction memory action, bytes32 r, bytes32 s, uint8 v, bytes memory reason) private {
        (bytes32 head, uint256 nonce) = (ring.logNodeHeads(avatar), ring.nonceOf(avatar));
        uint256 calls = callee.calls();
        vm.expectRevert(reason);
        ring.flush(action, r, s, v);
        assertEq(ring.logNodeHeads(avatar), head);
        assertEq(ring.nonceOf(avatar), nonce);
        assertEq(callee.calls(), calls);
    }

    // flush

    function test_flush_selector() public pure {
        string memory tuple = "(address,bytes32,bytes32,uint256,uint256,address,uint256,uint256,bytes)";
        bytes memory signature = bytes(string.concat("flush(", tuple, ",bytes32,bytes32,uint8)"));
        assertEq(IAvatars.flush.selector, bytes4(keccak256(signature)));
    }

    function testFuzz_flush(bytes32 newHead, uint96 value, bytes memory data, address sender) public {
        vm.assume(newHead != 0);
        address its = ring.accountOf(avatar);
        vm.deal(its, value);
        CompoundAction memory action = nextAction(ring, avatar, address(callee), abi.encodeCall(Callee.echo, (data)));
        action.newHead = newHead;
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.expectEmit(address(ring));
        emit IRingLogs.LogNodeHeadMoved(avatar, newHead);
        vm.expectEmit(address(ring));
        emit IAvatars.AccountCreated(avatar, its);
        vm.expectEmit(address(ring));
        emit IAvatars.Flushed(avatar, 0, newHead, its);
        vm.prank(sender);
        bytes memory result = ring.flush(action, r, s, v);
        assertEq(ring.logNodeHeads(avatar), newHead);
        assertEq(ring.nonceOf(avatar), 1);
        bytes memory whole = abi.encode(data);
        if (whole.length <= 4096) assertEq(result, whole);
        else assertEq(result.length, 4096);
    }

    /// The account is there before the first flush in all but its code, and the same in all that come after.
    function testFuzz_flush_fromOneAccount(uint8 which, uint96 value) public {
        avatar = account(1 + which % 5);
        address its = ring.accountOf(avatar);
        assertEq(its.code.length, 0);
        vm.deal(its, 2 * uint256(value));
        for (uint256 i = 1; i <= 2; i++) {
            CompoundAction memory action = remembering();
            action.value = value;
            flush(ring, action);
            assertEq(callee.caller(), its);
            assertEq(callee.paid(), value);
            assertEq(callee.calls(), i);
            assertEq(ring.accountOf(avatar), its);
        }
        assertEq(IAccount(its).ring(), address(ring));
        assertEq(IAccount(its).avatar(), avatar);
        assertEq(its.balance, 0);
        assertEq(address(ring).balance, 0);
    }

    function testFuzz_accountOf(address one, address other) public {
        vm.assume(one != other);
        IRing second = makeRing(5);
        assertNotEq(ring.accountOf(one), ring.accountOf(other));
        assertNotEq(ring.accountOf(one), second.accountOf(one));
    }

    function test_flush_headOnly() public {
        CompoundAction memory action = nextAction(ring, avatar, address(0), "");
        action.gas = 1_000_000;
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.expectEmit(address(ring));
        emit IAvatars.Flushed(avatar, 0, action.newHead, address(0));
        assertEq(ring.flush(action, r, s, v), "");
        assertEq(ring.logNodeHeads(avatar), action.newHead);
        assertEq(ring.accountOf(avatar).code.length, 0);
    }

    function testFuzz_flush_toNobody(uint256 value, bytes memory data) public {
        vm.assume(value != 0 || data.length != 0);
        CompoundAction memory action = nextAction(ring, avatar, address(0), data);
        action.value = value;
        assertRefused(action, abi.encodeWithSelector(IAvatars.CallToNobody.selector));
    }

    /// Ether alone, data alone, both: each is too much for nobody.
    function test_flush_toNobody_each() public {
        bytes memory refused = abi.encodeWithSelector(IAvatars.CallToNobody.selector);
        CompoundAction memory action = nextAction(ring, avatar, address(0), hex"00");
        assertRefused(action, refused);
        action.value = 1;
        assertRefused(action, refused);
        action.data = "";
        assertRefused(action, refused);
        action.value = 0;
        flush(ring, action);
        assertEq(ring.nonceOf(avatar), 1);
    }

    function test_flush_stranger() public {
        address stranger = account(6);
        CompoundAction memory action = nextAction(ring, stranger, address(callee), "");
        assertRefused(action, abi.encodeWithSelector(IMembers.NotMember.selector, stranger));
        action.avatar = address(0);
        assertRefused(action, 0, 0, 0, abi.encodeWithSelector(IMembers.NotMember.selector, address(0)));
        action.avatar = SENTINEL;
        assertRefused(action, 0, 0, 0, abi.encodeWithSelector(IMembers.NotMember.selector, SENTINEL));
    }

    function test_flush_afterLeaving() public {
        CompoundAction memory action = remembering();
        vm.prank(keeper);
        engine.exit(ring, avatar);
        assertRefused(action, abi.encodeWithSelector(IMembers.NotMember.selector, avatar));
    }

    /// Who comes back goes on where it stopped: nothing counts a second time.
    function test_flush_afterComingBack() public {
        CompoundAction memory action = remembering();
        flush(ring, action);
        vm.startPrank(keeper);
        engine.exit(ring, avatar);
        engine.enter(ring, avatar);
        ring.settle(avatar);
        vm.stopPrank();
        assertRefused(action, abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 2));
        flush(ring, remembering());
        assertEq(ring.nonceOf(avatar), 3);
    }

    /// @dev The membership of the avatar ends in way `kind` of those there are.
    function endMembership(uint256 kind) private {
        if (kind == 0) return putOut(ring, avatar);
        if (kind == 1) return change(ring, noAccounts(), only(avatar));
        if (kind == 2) {
            vm.prank(avatar);
            return ring.leave();
        }
        SignedNode[2] memory nodes;
        for (uint256 i = 0; i < 2; i++) {
            nodes[i].content = bytes32(i);
            bytes32 digest = Digests.logNode(block.chainid, address(ring), 0, 0, bytes32(i));
            (nodes[i].v, nodes[i].r, nodes[i].s) = vm.sign(keyOf[avatar], digest);
        }
        ring.proveFork(0, nodes[0], nodes[1]);
    }

    /// What was signed and never sent, with a deadline in ten years, does not run when the avatar enters again, in whatever
    /// way it left.
    function testFuzz_flush_signedBeforeLeaving(uint256 kind) public {
        CompoundAction memory action = remembering();
        action.deadline = block.timestamp + 3650 days;
        endMembership(kind % 4);
        assertFalse(ring.isMember(avatar));
        assertEq(ring.nonceOf(avatar), 1);
        vm.warp(action.deadline);
        announce(ring, avatar);
        ring.settle(avatar);
        assertRefused(action, abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 1));
    }

    /// Nor does it run when the avatar has used its account in the meantime and never been a member.
    function test_flush_signedBeforeRescue() public {
        avatar = account(6);
        CompoundAction memory action = remembering();
        action.deadline = block.timestamp + 3650 days;
        vm.prank(avatar);
        ring.rescue(address(0xdead), 0, "");
        announce(ring, avatar);
        ring.settle(avatar);
        assertRefused(action, abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 1));
    }

    function testFuzz_flush_deadline(uint64 now_, uint64 deadline) public {
        vm.warp(now_);
        CompoundAction memory action = remembering();
        action.deadline = deadline;
        if (now_ > deadline) {
            assertRefused(action, abi.encodeWithSelector(IMembership.DeadlinePassed.selector, deadline));
        } else {
            flush(ring, action);
        }
    }

    function test_flush_noDeadline() public {
        CompoundAction memory action = remembering();
        action.deadline = type(uint256).max;
        flush(ring, action);
    }

    function testFuzz_flush_wrongNonce(uint256 nonce, uint8 before) public {
        before = before % 4;
        for (uint256 i = 0; i < before; i++) {
            flush(ring, remembering());
        }
        vm.assume(nonce != before);
        CompoundAction memory action = remembering();
        action.nonce = nonce;
        assertRefused(action, abi.encodeWithSelector(IAvatars.WrongNonce.selector, nonce, before));
    }

    function testFuzz_flush_staleHead(bytes32 prevHead) public {
        flush(ring, remembering());
        CompoundAction memory action = remembering();
        vm.assume(prevHead != action.prevHead);
        bytes32 head = action.prevHead;
        action.prevHead = prevHead;
        assertRefused(action, abi.encodeWithSelector(IAvatars.StaleHead.selector, prevHead, head));
    }

    /// The ring log may move a head too: of the two, one wins, and the other finds that it moved.
    function test_flush_afterRingNode() public {
        address[] memory who = new address[](1);
        who[0] = avatar;
        CompoundAction memory action = remembering();
        registerNode(ring, "node", who, digests("head", 1));
        bytes32 head = digests("head", 1)[0];
        assertRefused(action, abi.encodeWithSelector(IAvatars.StaleHead.selector, 0, head));
    }

    function test_flush_beforeRingNode() public {
        address[] memory who = new address[](1);
        who[0] = avatar;
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, "node", who, digests("head", 1)), 4);
        flush(ring, remembering());
        expectRevertWith(IMembers.SignerNotMember.selector);
        ring.registerRingNode("node", who, digests("head", 1), sigs.r, sigs.s, sigs.v);
    }

    function test_flush_nullHead() public {
        CompoundAction memory action = remembering();
        action.newHead = 0;
        assertRefused(action, abi.encodeWithSelector(IRingLogs.NullHead.selector));
    }

    // The signature

    function testFuzz_flush_signedByAnother(uint8 which) public {
        address other = account(1 + which % 9);
        vm.assume(other != avatar);
        CompoundAction memory action = remembering();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf[other], Digests.action(block.chainid, address(ring), action));
        assertRefused(action, r, s, v, abi.encodeWithSelector(IAvatars.WrongSigner.selector, avatar, other));
    }

    function testFuzz_flush_garbage(bytes32 r, bytes32 s, uint8 v) public {
        CompoundAction memory action = remembering();
        expectRevertWith(IAvatars.WrongSigner.selector);
        ring.flush(action, r, s, v);
    }

    function testFuzz_flush_twin(bytes32 newHead) public {
        vm.assume(newHead != 0);
        CompoundAction memory action = remembering();
        action.newHead = newHead;
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        bytes memory reason = abi.encodeWithSelector(IAvatars.WrongSigner.selector, avatar, address(0));
        assertRefused(action, r, bytes32(N - uint256(s)), 55 - v, reason);
        ring.flush(action, r, s, v);
    }

    function test_flush_oneVOnly() public {
        CompoundAction memory action = remembering();
        (bytes32 r, bytes32 s, uint8 right) = signAction(ring, action);
        for (uint256 v = 0; v < 256; v++) {
            uint256 fork = newerVm.snapshotState();
            if (v != right) expectRevertWith(IAvatars.WrongSigner.selector);
            ring.flush(action, r, s, uint8(v));
            newerVm.revertToState(fork);
        }
    }

    /// Whatever is changed after signing, the signature is of something else.
    function testFuzz_flush_everyFieldIsSigned(uint8 field, uint256 value) public {
        value = bound(value, 2, type(uint128).max);
        CompoundAction memory action = remembering();
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        field = field % 6;
        if (field == 0) action.newHead = bytes32(value);
        if (field == 1) action.deadline += value;
        if (field == 2) action.to = address(uint160(value));
        if (field == 3) action.value = value;
        if (field == 4) action.gas = value;
        if (field == 5) action.data = abi.encode(value);
        expectRevertWith(IAvatars.WrongSigner.selector);
        ring.flush(action, r, s, v);
    }

    function test_flush_inAnotherName() public {
        CompoundAction memory action = remembering();
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        action.avatar = account(2);
        expectRevertWith(IAvatars.WrongSigner.selector);
        ring.flush(action, r, s, v);
    }

    /// A digest for those who write clients: they can compare theirs.
    function test_flush_digestVector() public pure {
        CompoundAction memory action = CompoundAction({
            avatar: 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F,
            prevHead: bytes32(uint256(1)),
            newHead: bytes32(uint256(2)),
            nonce: 3,
            deadline: 4,
            to: 0x2222222222222222222222222222222222222222,
            value: 5,
            gas: 6,
            data: hex"0708"
        });
        bytes32 digest = Digests.action(31337, 0x1111111111111111111111111111111111111111, action);
        assertEq(digest, 0x022b3447a5c2af0d7d89b5dbb441e0946b76210f054879cac0c743c9e4c1b0b5);
    }

    // Replay

    function test_flush_twice() public {
        CompoundAction memory action = remembering();
        flush(ring, action);
        assertRefused(action, abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 1));
    }

    function test_flush_inAnotherRing() public {
        CompoundAction memory action = remembering();
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        IRing second = makeRing(5);
        expectRevertWith(IAvatars.WrongSigner.selector);
        second.flush(action, r, s, v);
    }

    function testFuzz_flush_onAnotherChain(uint64 chainId) public {
        vm.assume(chainId != block.chainid && chainId != 0);
        CompoundAction memory action = remembering();
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.chainId(chainId);
        expectRevertWith(IAvatars.WrongSigner.selector);
        ring.flush(action, r, s, v);
    }

    /// Of many that were signed in a row, only the next one counts.
    function testFuzz_flush_inOrderOnly(uint256 seed) public {
        CompoundAction[] memory actions = new CompoundAction[](5);
        for (uint256 i = 0; i < 5; i++) {
            actions[i] = remembering();
            actions[i].nonce = i;
            actions[i].newHead = keccak256(abi.encode(i));
            if (i > 0) actions[i].prevHead = actions[i - 1].newHead;
        }
        uint256 done;
        for (uint256 turn = 0; done < 5; turn++) {
            uint256 pick = uint256(keccak256(abi.encode(seed, turn))) % 5;
            if (pick != done) {
                assertRefused(actions[pick], abi.encodeWithSelector(IAvatars.WrongNonce.selector, pick, done));
            } else {
                flush(ring, actions[done++]);
            }
        }
        assertEq(callee.calls(), 5);
    }

    // rescue

    function test_rescue() public {
        address its = ring.accountOf(avatar);
        flush(ring, remembering());
        vm.deal(its, 3 ether);
        vm.prank(keeper);
        engine.exit(ring, avatar);
        vm.expectEmit(address(ring));
        emit IAvatars.Rescued(avatar, its);
        vm.prank(avatar);
        ring.rescue(avatar, 3 ether, "");
        assertEq(avatar.balance, 3 ether);
        assertEq(ring.nonceOf(avatar), 3); // a flush, the exit, this
    }

    /// A keeper that enters an account ahead of its rescue only gets it to flush in place of that: whoever cannot sign is
    /// refused as a member, and whoever becomes a contract after it entered can still rescue.
    function test_rescue_enteredAhead() public {
        address owner = makeAddr("a contract that will be");
        vm.deal(ring.accountOf(owner), 1 ether);
        announce(ring, owner);
        ring.settle(owner);
        vm.etch(owner, hex"00");
        assertTrue(ring.isMember(owner));
        vm.prank(owner);
        ring.rescue(owner, 1 ether, "");
        assertEq(owner.balance, 1 ether);
    }

    /// An account that delegates by EIP-7702 has a key: it is a member like any other.
    function test_rescue_delegated() public {
        vm.etch(avatar, bytes.concat(hex"ef0100", bytes20(address(callee))));
        vm.prank(avatar);
        vm.expectRevert(abi.encodeWithSelector(IAvatars.StillMember.selector, avatar));
        ring.rescue(address(callee), 0, "");
        flush(ring, remembering());
    }

    /// Ether that came for someone who was never a member is not lost either.
    function testFuzz_rescue_neverAMember(address stranger, uint96 value) public {
        vm.assume(!ring.isMember(stranger));
        vm.deal(ring.accountOf(stranger), value);
        vm.prank(stranger);
        bytes memory result = ring.rescue(address(callee), value, abi.encodeCall(Callee.remember, ()));
        assertEq(result, "");
        assertEq(callee.caller(), ring.accountOf(stranger));
        assertEq(callee.paid(), value);
    }

    /// The caller chooses the gas and bears what comes of it: the account asks for no least amount.
    function test_rescue_asksForNoGas() public {
        IAccount its = IAccount(ring.accountOf(address(this)));
        bytes memory data = abi.encodeCall(Callee.remember, ());
        vm.deal(address(its), 5);
        vm.expectCall(address(its), abi.encodeCall(IAccount.execute, (address(callee), 5, 0, data)));
        ring.rescue(address(callee), 5, data);
        assertEq(callee.paid(), 5);
    }

    function test_rescue_reason() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccount.CallFailed.selector, address(callee), abi.encodeWithSelector(Callee.Refused.selector, 7)
            )
        );
        ring.rescue(address(callee), 0, abi.encodeCall(Callee.refuse, (7)));
    }

    function testFuzz_rescue_members(uint8 which) public {
        address member = account(1 + which % 5);
        vm.prank(member);
        vm.expectRevert(abi.encodeWithSelector(IAvatars.StillMember.selector, member));
        ring.rescue(address(callee), 0, "");
    }
}
