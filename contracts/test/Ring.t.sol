// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IGate} from "../src/interfaces/IGate.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope} from "../src/interfaces/IScope.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";
import {HostileGate} from "./utils/HostileGate.sol";
import {Vm} from "forge-std/Vm.sol";

contract RingTest is Fixture {
    /// @dev What the futures of a gate that has none brought.
    bytes32 private constant NOTHING = keccak256("");

    IRing private ring;
    IGate private gate;
    uint96[] private pins;
    bytes32[] private cids;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
        gate = makeGate(ring, 1);
        pins = onePin(0);
        cids = digests("result", 1);
    }

    function signed(uint256 count) private view returns (Signatures memory) {
        return sign(ring, outputsDigest(ring, gate, pins, cids), count);
    }

    function assertNothingRegistered() private view {
        assertEq(gate.outputOf(0), 0);
        assertFalse(scope.exists(constantId(cids[0])));
    }

    /// @dev Signatures over `digest`, which is not that of this ring, gate, epoch, pins and cids, count for nothing.
    function assertRefused(bytes32 digest) private {
        assertNotEq(digest, outputsDigest(ring, gate, pins, cids));
        Signatures memory sigs = sign(ring, digest, 4);
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, pins, cids, sigs);
        assertNothingRegistered();
    }

    // Ownership

    function testFuzz_onlyTheEngine(address caller) public {
        vm.assume(caller != address(engine));
        bytes memory notEngine = abi.encodeWithSelector(IRing.NotEngine.selector, caller);
        address member = account(9);
        vm.startPrank(caller);
        vm.expectRevert(notEngine);
        ring.enter(member);
        vm.expectRevert(notEngine);
        ring.exit(member);
        vm.expectRevert(notEngine);
        ring.initialize(new address[](0));
        vm.expectRevert(notEngine);
        ring.cancelEntries();
    }

    function test_initialize_onceOnly() public {
        address[] memory members = accounts(2);
        vm.prank(address(engine));
        vm.expectRevert(IMembers.AlreadyInitialized.selector);
        ring.initialize(members);
    }

    function test_implementation_acceptsNothing() public {
        (IRing implementation,,) = engine.implementations();
        assertEq(implementation.memberCount(), 0);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 0));
        register(implementation, gate, pins, cids, Signatures(new bytes32[](0), new bytes32[](0), new uint8[](0)));
    }

    function test_etherIsRefused() public {
        vm.deal(address(this), 1 ether);
        (bool success,) = address(ring).call{value: 1 ether}("");
        assertFalse(success);
    }

    // The domain

    function test_eip712Domain() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier, bytes32 salt,) =
            ring.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Ring");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(ring));
        assertEq(salt, 0);
    }

    // registerOutputs

    function test_registerOutputs_selector() public pure {
        string memory signature = "registerOutputs(address,uint96[],bytes32[],bytes32[],bytes32[],uint8[])";
        assertEq(IRing.registerOutputs.selector, bytes4(keccak256(bytes(signature))));
    }

    function testFuzz_registerOutputs(bytes32 cid, uint8 members, uint8 extra, address sender) public {
        uint256 size = 1 + members % 9;
        vm.assume(uint256(cid) > type(uint160).max);
        ring = makeRing(size);
        gate = makeGate(ring, 1);
        cids[0] = cid;
        uint256 count = ring.quorum() + extra % (size - ring.quorum() + 1);
        Signatures memory sigs = signed(count);

        vm.expectEmit(address(ring));
        emit IRing.OutputsRegistered(address(gate), 1, pins, cids);
        vm.prank(sender);
        register(ring, gate, pins, cids, sigs);

        assertEq(gate.outputOf(0), constantId(cid));
        assertEq(scope.readData(constantId(cid)), cid);
        assertTrue(gate.isResolved());
    }

    function testFuzz_registerOutputs_several(uint8 count) public {
        uint96 outputs = 1 + count % 20;
        gate = makeGate(ring, outputs);
        pins = pinsFrom(0, outputs);
        cids = digests("several", outputs);
        Signatures memory sigs = signed(4);
        vm.expectEmit(address(ring));
        emit IRing.OutputsRegistered(address(gate), 1, pins, cids);
        register(ring, gate, pins, cids, sigs);
        for (uint96 i = 0; i < outputs; i++) {
            assertEq(scope.readData(gate.outputOf(i)), cids[i]);
        }
    }

    /// A pin that does not fit into `uint96` is refused, though the members signed it: its lower bits are not taken for it.
    function testFuzz_registerOutputs_widePin(uint256 above) public {
        above = bound(above, 1, type(uint160).max);
        gate = makeGate(ring, 2);
        uint256[] memory wide = new uint256[](2);
        wide[1] = above << 96 | 1;
        cids = digests("result", 2);
        bytes32 typeHash = keccak256("Outputs(address gate,bytes32 inputs,uint256 epoch,uint96[] pins,bytes32[] cids)");
        bytes32 pinsHash = keccak256(abi.encodePacked(wide));
        bytes32 cidsHash = keccak256(abi.encodePacked(cids));
        bytes32 structHash = keccak256(abi.encode(typeHash, gate, NOTHING, 1, pinsHash, cidsHash));
        Signatures memory sigs = sign(ring, Digests.typed(block.chainid, address(ring), structHash), 4);
        bytes4 selector = IRing.registerOutputs.selector;
        (bool success, bytes memory reason) =
            address(ring).call(abi.encodeWithSelector(selector, gate, wide, cids, sigs.r, sigs.s, sigs.v));
        assertFalse(success);
        assertEq(reason.length, 0); // what Solidity says of calldata that are not of their type
        assertNothingRegistered();
    }

    function test_registerOutputs_belowQuorum() public {
        Signatures memory sigs = signed(3);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 3, 5));
        register(ring, gate, pins, cids, sigs);
        assertNothingRegistered();
    }

    function testFuzz_registerOutputs_lengths(uint8 pinCount, uint8 cidCount) public {
        vm.assume(pinCount != cidCount);
        Signatures memory sigs = signed(4);
        vm.expectRevert(abi.encodeWithSelector(IRing.LengthMismatch.selector, pinCount, cidCount));
        register(ring, gate, new uint96[](pinCount), new bytes32[](cidCount), sigs);
    }

    function test_registerOutputs_nothing() public {
        Signatures memory sigs = signed(4);
        vm.expectRevert(IRing.NoOutputs.selector);
        register(ring, gate, new uint96[](0), new bytes32[](0), sigs);
    }

    function test_registerOutputs_second() public {
        Signatures memory sigs = signed(4);
        register(ring, gate, pins, cids, sigs);
        vm.expectRevert(IGate.AlreadyResolved.selector);
        register(ring, gate, pins, cids, sigs);
        cids = digests("another", 1);
        sigs = signed(4);
        vm.expectRevert(IGate.AlreadyResolved.selector);
        register(ring, gate, pins, cids, sigs);
    }

    function testFuzz_registerOutputs_otherChain(uint64 chainId) public {
        vm.assume(chainId != block.chainid && chainId != 0);
        assertRefused(Digests.outputs(ring, chainId, address(gate), NOTHING, 1, pins, cids));
        Signatures memory sigs = signed(4);
        vm.chainId(chainId);
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, pins, cids, sigs);
    }

    function testFuzz_registerOutputs_otherRing(address other) public {
        vm.assume(other != address(ring));
        assertRefused(Digests.outputs(IRing(other), block.chainid, address(gate), NOTHING, 1, pins, cids));
    }

    /// Two rings of the same members: what is signed for one is nothing to the other.
    function test_registerOutputs_twinRing() public {
        IRing twin = makeRing(5);
        assertNotEq(address(twin), address(ring));
        assertRefused(Digests.outputs(twin, block.chainid, address(gate), NOTHING, 1, pins, cids));
    }

    function testFuzz_registerOutputs_otherGate(address other) public {
        vm.assume(other != address(gate));
        assertRefused(Digests.outputs(ring, block.chainid, other, NOTHING, 1, pins, cids));
    }

    function testFuzz_registerOutputs_otherEpoch(uint256 epoch) public {
        vm.assume(epoch != 1);
        assertRefused(Digests.outputs(ring, block.chainid, address(gate), NOTHING, epoch, pins, cids));
    }

    function testFuzz_registerOutputs_otherInputs(bytes32 inputs) public {
        vm.assume(inputs != NOTHING);
        assertRefused(Digests.outputs(ring, block.chainid, address(gate), inputs, 1, pins, cids));
    }

    /// A gate of another ring brings something else on another branch of the chain. What the members signed on the first is
    /// void there, and the right result is registered.
    function testFuzz_registerOutputs_otherBranch(bytes32 first, bytes32 second) public {
        vm.assume(uint256(first) > type(uint160).max && uint256(second) > type(uint160).max && first != second);
        IRing other = makeRing(3);
        IGate upstream = makeGate(other, 1);
        gate = makeGateAfter(ring, upstream, 0);
        uint256 fork = newerVm.snapshotState();
        cids[0] = first;
        resolve(other, upstream, onePin(0), cids);
        cids[0] = keccak256(abi.encode(first));
        Signatures memory sigs = signed(4);
        newerVm.revertToState(fork);

        cids[0] = second;
        resolve(other, upstream, onePin(0), cids);
        cids[0] = keccak256(abi.encode(first));
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, pins, cids, sigs);
        cids[0] = keccak256(abi.encode(second));
        resolve(ring, gate, pins, cids);
        assertEq(gate.outputOf(0), uint256(cids[0]));
    }

    function test_registerOutputs_notReady() public {
        gate = makeGateAfter(ring, gate, 0);
        Signatures memory sigs =
            sign(ring, Digests.outputs(ring, block.chainid, address(gate), NOTHING, 1, pins, cids), 4);
        vm.expectRevert(IGate.NotReady.selector);
        register(ring, gate, pins, cids, sigs);
    }

    // What gates report

    /// A member follows these events of its ring: nobody but a gate can make the ring emit them.
    function testFuzz_report_gatesOnly(address caller) public {
        vm.assume(!engine.isGate(caller));
        address[4] memory callers = [caller, keeper, address(engine), account(1)];
        for (uint256 i = 0; i < callers.length; i++) {
            vm.startPrank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IRing.NotAGate.selector, callers[i]));
            ring.reportChallenge(caller);
            vm.expectRevert(abi.encodeWithSelector(IRing.NotAGate.selector, callers[i]));
            ring.reportFloodgate();
            vm.stopPrank();
        }
    }

    function testFuzz_report(address challenger) public {
        vm.startPrank(address(gate));
        vm.expectEmit(address(ring));
        emit IRing.PrimaryRingChallenged(address(gate), challenger);
        ring.reportChallenge(challenger);
        vm.expectEmit(address(ring));
        emit IRing.FloodgateOpened(address(gate));
        ring.reportFloodgate();
    }

    function testFuzz_registerOutputs_otherContent(uint96[2] memory otherPins, bytes32[2] memory otherCids) public {
        bytes32 mine = Digests.outputs(ring, block.chainid, address(gate), NOTHING, 1, pins, cids);
        vm.assume(otherPins[0] != pins[0] || otherCids[0] != cids[0]);
        uint96[] memory morePins = new uint96[](1);
        bytes32[] memory moreCids = new bytes32[](1);
        (morePins[0], moreCids[0]) = (otherPins[0], otherCids[0]);
        assertNotEq(Digests.outputs(ring, block.chainid, address(gate), NOTHING, 1, morePins, moreCids), mine);
        assertRefused(Digests.outputs(ring, block.chainid, address(gate), NOTHING, 1, morePins, moreCids));
    }

    /// What fewer members than two thirds signed does not become enough when others leave.
    function test_registerOutputs_quorumLoweredByExits() public {
        ring = makeRing(7);
        gate = makeGate(ring, 1);
        address[] memory members = ring.getMembers();
        Signatures memory sigs = signed(4);
        for (uint256 i = 4; i < 7; i++) {
            vm.prank(keeper);
            engine.exit(ring, members[i]);
        }
        assertLe(ring.quorum(), 4);
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, pins, cids, sigs);
        resolve(ring, gate, pins, cids);
    }

    function test_registerOutputs_removedMember() public {
        address[] memory members = ring.getMembers();
        vm.prank(keeper);
        engine.exit(ring, members[0]);
        uint256[] memory keys = new uint256[](4);
        for (uint256 i = 0; i < 4; i++) {
            keys[i] = keyOf[members[i]];
        }
        Signatures memory sigs = signWith(keys, outputsDigest(ring, gate, pins, cids));
        vm.expectRevert(abi.encodeWithSelector(IMembers.SignerNotMember.selector, 0, members[0]));
        register(ring, gate, pins, cids, sigs);
    }

    /// What the members signed before someone left and came back is void too: the epoch has moved on.
    function test_registerOutputs_sameMembersLaterEpoch() public {
        Signatures memory sigs = signed(4);
        address member = ring.getMembers()[2];
        vm.startPrank(keeper);
        engine.exit(ring, member);
        engine.enter(ring, member);
        ring.settle(member);
        vm.stopPrank();
        expectRevertWith(IMembers.SignerNotMember.selector);
        register(ring, gate, pins, cids, sigs);
    }

    function test_registerOutputs_emptyRing() public {
        ring = makeRing(0);
        gate = makeGate(ring, 1);
        Signatures memory sigs = signed(0);
        vm.expectRevert(abi.encodeWithSelector(IMembers.QuorumNotReached.selector, 0, 0));
        register(ring, gate, pins, cids, sigs);
    }

    function test_registerOutputs_gateOfAnotherRing() public {
        gate = makeGate(makeRing(3), 1);
        Signatures memory sigs = signed(4);
        vm.expectRevert(abi.encodeWithSelector(IGate.NotWorkingRing.selector, address(ring)));
        register(ring, gate, pins, cids, sigs);
        assertNothingRegistered();
    }

    function test_registerOutputs_nullDigest() public {
        cids[0] = 0;
        Signatures memory sigs = signed(4);
        vm.expectRevert(IScope.NullDigest.selector);
        register(ring, gate, pins, cids, sigs);
    }

    function test_registerOutputs_gateWithoutCode() public {
        gate = IGate(makeAddr("nobody"));
        bytes32 digest = Digests.outputs(ring, block.chainid, address(gate), NOTHING, 1, pins, cids);
        Signatures memory sigs = sign(ring, digest, 4);
        vm.expectRevert();
        register(ring, gate, pins, cids, sigs);
    }

    /// Whatever a stranger declares before, the neighbours of the result and the result itself, the result is registered.
    function testFuzz_registerOutputs_strangerDeclaresFirst(bytes32 cid, uint8 bit) public {
        bytes32 near = cid ^ bytes32(uint256(1) << bit);
        vm.assume(uint256(cid) > type(uint160).max && uint256(near) > type(uint160).max);
        cids[0] = cid;
        Signatures memory sigs = signed(4);
        vm.startPrank(makeAddr("stranger"));
        declare(near);
        declare(cid);
        vm.stopPrank();
        register(ring, gate, pins, cids, sigs);
        assertEq(gate.outputOf(0), uint256(cid));
        assertEq(scope.readData(uint256(cid)), cid);
    }

    function test_registerOutputs_hostileGate() public {
        for (uint256 i = 0; i < uint256(type(HostileGate.Attack).max) + 1; i++) {
            HostileGate hostile = new HostileGate(engine, ring, scope, HostileGate.Attack(i));
            gate = IGate(address(hostile));
            cids = digests(bytes32(i), 1);
            bytes32 before = stateOf(ring);
            Signatures memory sigs = signed(4);
            (bool success,) = address(ring).call{gas: 5_000_000}(
                abi.encodeCall(IRing.registerOutputs, (gate, pins, cids, sigs.r, sigs.s, sigs.v))
            );
            assertEq(success, hostile.isQuiet());
            assertEq(stateOf(ring), before);
        }
    }

    function stateOf(IRing which) private view returns (bytes32) {
        bytes32 members = keccak256(abi.encode(which.getMembers()));
        return keccak256(abi.encode(members, which.epoch(), which.ringNodeHead(), which.ringNodeCount()));
    }

    // Pages

    function testFuzz_membersFrom(uint8 size, uint256 start, uint256 count) public {
        ring = makeRing(size % 12);
        address[] memory all = ring.getMembers();
        (start, count) = (start % 5 == 0 ? start : start % 14, count % 5 == 0 ? count : count % 14);
        address[] memory page = ring.membersFrom(start, count);
        uint256 rest = start < all.length ? all.length - start : 0;
        assertEq(page.length, rest < count ? rest : count);
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(page[i], all[start + i]);
        }
    }

    // announce

    function keyParts(address who) private returns (bytes memory) {
        Vm.Wallet memory wallet = vm.createWallet(keyOf[who]);
        return abi.encode(wallet.publicKeyX, wallet.publicKeyY);
    }

    function testFuzz_announce(uint256 which, bytes memory multiaddress) public {
        vm.assume(multiaddress.length <= 256);
        address member = account(1 + which % 5);
        bytes memory publicKey = keyParts(member);
        vm.expectEmit(address(ring));
        emit IRing.MemberAnnounced(member, publicKey, multiaddress);
        vm.prank(member);
        ring.announce(publicKey, multiaddress);
        (bytes memory storedKey, bytes memory storedAddress) = ring.contactOf(member);
        assertEq(storedKey, publicKey);
        assertEq(storedAddress, multiaddress);
    }

    function test_announce_again() public {
        address member = account(1);
        bytes memory publicKey = keyParts(member);
        vm.startPrank(member);
        ring.announce(publicKey, new bytes(256));
        ring.announce(publicKey, "");
        (, bytes memory stored) = ring.contactOf(member);
        assertEq(stored, "");
    }

    function test_announce_wrongKey() public {
        address member = account(1);
        bytes memory other = keyParts(account(2));
        bytes memory withPrefix = bytes.concat(hex"04", keyParts(member));
        bytes[3] memory wrong = [other, withPrefix, bytes("")];
        vm.startPrank(member);
        for (uint256 i = 0; i < 3; i++) {
            vm.expectRevert(abi.encodeWithSelector(IRing.WrongPublicKey.selector, member));
            ring.announce(wrong[i], "");
        }
    }

    function testFuzz_announce_tooLong(uint256 length) public {
        length = bound(length, 257, 2000);
        bytes memory publicKey = keyParts(account(1));
        vm.prank(account(1));
        vm.expectRevert(abi.encodeWithSelector(IRing.MultiaddressTooLong.selector, length, 256));
        ring.announce(publicKey, new bytes(length));
    }

    function test_announce_membersOnly() public {
        address stranger = account(6);
        bytes memory publicKey = keyParts(stranger);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, stranger));
        ring.announce(publicKey, "");
    }

    function test_contactOf_nobody() public {
        address member = account(1);
        assertEmpty(member);
        bytes memory publicKey = keyParts(member);
        vm.prank(member);
        ring.announce(publicKey, "address");
        vm.prank(keeper);
        engine.exit(ring, member);
        assertEmpty(member);
    }

    function assertEmpty(address member) private view {
        (bytes memory publicKey, bytes memory multiaddress) = ring.contactOf(member);
        assertEq(publicKey.length + multiaddress.length, 0);
    }
}
