// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Engine} from "../src/Engine.sol";
import {IEngine} from "../src/interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "../src/interfaces/IGate.sol";
import {ForkRule, IMembership} from "../src/interfaces/IMembership.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope, Mutability} from "../src/interfaces/IScope.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Says what it is told to say of itself.
contract DomainOnly {
    string private name;
    string private version;
    address private verifier;
    uint256 public memberCount;
    uint256 public epoch;

    function set(string calldata name_, string calldata version_, address verifier_, uint256 members, uint256 epoch_)
        external
    {
        (name, version, verifier, memberCount, epoch) = (name_, version_, verifier_, members, epoch_);
    }

    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (hex"0f", name, version, block.chainid, verifier, 0, new uint256[](0));
    }
}

contract EngineTest is Fixture {
    IRing private ring;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
    }

    function assertGateRefused(GateSpec memory spec, bytes memory reason) private {
        vm.expectRevert(reason);
        engine.createGate(spec);
    }

    /// @dev A spec whose form no gate can have: its address is not told either.
    function assertMalformed(GateSpec memory spec, bytes memory reason) private {
        assertGateRefused(spec, reason);
        vm.expectRevert(reason);
        engine.gateOf(spec);
    }

    // Deployment

    /// @dev From the artifact, as in `newEngine`.
    function deploy(address implementation) private returns (Engine) {
        return Engine(deployCode("Engine.sol:Engine", abi.encode(implementation)));
    }

    function assertNoImplementation(address implementation) private {
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotARingImplementation.selector, implementation));
        deploy(implementation);
    }

    /// The rings of an engine are clones of a ring that is nobody's, of the version that the engine goes with.
    function test_deploy_refusesWhatIsNoRing() public {
        assertNoImplementation(address(0));
        assertNoImplementation(makeAddr("nobody"));
        assertNoImplementation(address(ring));
        vm.expectRevert();
        deploy(address(scope));
        DomainOnly other = new DomainOnly();
        other.set("Ring", "2", address(other), 0, 0);
        assertNoImplementation(address(other));
        other.set("Rung", "1", address(other), 0, 0);
        assertNoImplementation(address(other));
        other.set("Ring", "1", address(ring), 0, 0);
        assertNoImplementation(address(other));
        other.set("Ring", "1", address(other), 1, 0);
        assertNoImplementation(address(other));
        other.set("Ring", "1", address(other), 0, 1);
        assertNoImplementation(address(other));
    }

    function test_deploy_implementations() public {
        IRing implementation = IRing(deployCode("Ring.sol:Ring"));
        Engine second = deploy(address(implementation));
        (IRing ring_, IScope scope_, IGate gate_) = second.implementations();
        assertEq(address(ring_), address(implementation));
        assertEq(address(gate_.engine()), address(second));
        assertGt(address(scope_).code.length, 0);
        // Two engines may share it: a ring knows its own engine, and that one's gates.
        Engine third = deploy(address(implementation));
        IRing its = third.createRing(accounts(3), address(this), 0, ForkRule.Remove);
        assertEq(address(its.engine()), address(third));
        assertFalse(second.isRing(address(its)));
        GateSpec memory spec = makeSpec(its, 1, 0);
        spec.scope = second.createScope("Data", "DATA");
        vm.expectRevert(abi.encodeWithSelector(IEngine.UnknownRing.selector, its));
        second.createGate(spec);
    }

    // Rings

    function test_createRing() public {
        vm.expectEmit(false, true, false, false, address(engine));
        emit IEngine.RingCreated(address(0), address(this));
        IRing made = engine.createRing(accounts(3), address(this), 0, ForkRule.Remove);
        assertEq(engine.keeperOf(made), address(this));
        assertTrue(engine.isRing(address(made)));
        assertEq(address(made.engine()), address(engine));
        assertEq(made.memberCount(), 3);
        assertEq(made.epoch(), 1);
    }

    function test_createRing_equalRings() public {
        IRing first = engine.createRing(accounts(3), address(this), 0, ForkRule.Remove);
        IRing second = engine.createRing(accounts(3), address(this), 0, ForkRule.Remove);
        assertNotEq(address(first), address(second));
    }

    function testFuzz_createRing_parameters(uint256 delay, bool freezes, address keeper_) public {
        delay = bound(delay, 0, engine.MAX_ENTRY_DELAY());
        ForkRule rule = freezes ? ForkRule.Freeze : ForkRule.Remove;
        IRing made = engine.createRing(accounts(3), keeper_, delay, rule);
        assertEq(made.entryDelay(), delay);
        assertEq(uint8(made.forkRule()), uint8(rule));
        assertEq(engine.keeperOf(made), keeper_);
        assertTrue(engine.isRing(address(made)));
    }

    function testFuzz_createRing_delayTooLong(uint256 delay) public {
        uint256 max = engine.MAX_ENTRY_DELAY();
        address[] memory members = accounts(3);
        delay = bound(delay, max + 1, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IEngine.DelayTooLong.selector, delay, max));
        engine.createRing(members, keeper, delay, ForkRule.Remove);
    }

    /// Others rely on these numbers, so none changes unnoticed.
    function test_bounds_ofTheInterface() public {
        assertEq(engine.MAX_ENTRY_DELAY(), 3650 days);
        assertEq(engine.MIN_SELF_KEPT(), 4);
        assertEq(engine.MAX_RINGS(), 16);
        assertEq(engine.MAX_INPUTS(), 512);
        assertEq(engine.MAX_OUTPUTS(), 300);
        assertEq(engine.MAX_REGISTRATION(), 1_820);
        assertEq(engine.MAX_VARIABLES(), 64);
        assertEq(engine.MAX_CIRCUIT(), 536);
        IRing made = engine.createRing(accounts(3), keeper, 0, ForkRule.Remove);
        assertEq(made.MAX_MEMBERS(), 256);
        assertEq(made.ENTRY_WINDOW(), 30 days);
    }

    /// A self-kept ring without members could never get any; a keeper can enter some.
    function test_createRing_withoutMembers() public {
        vm.expectRevert(IEngine.NoMembers.selector);
        engine.createRing(noAccounts(), address(0), 0, ForkRule.Remove);
        IRing made = engine.createRing(noAccounts(), keeper, 0, ForkRule.Remove);
        announce(made, account(1));
        made.settle(account(1));
        assertEq(made.getMembers(), only(account(1)));
    }

    /// What others do, and what else the maker makes, does not move a ring's address.
    function testFuzz_createRing_addressCommits(uint8 others) public {
        address[] memory members = accounts(3);
        uint256 fork = newerVm.snapshotState();
        address expected = address(engine.createRing(members, address(this), 0, ForkRule.Remove));
        newerVm.revertToState(fork);
        for (uint256 i = 0; i < others % 4; i++) {
            engine.createRing(accounts(2), address(this), 0, ForkRule.Remove);
            makeRing(3);
            engine.createScope("Data", "DATA");
        }
        assertEq(address(engine.createRing(members, address(this), 0, ForkRule.Remove)), expected);
    }

    function addressOfRing(address maker, address[] memory members, address keeper_, uint256 delay, ForkRule rule)
        private
        returns (address ring_)
    {
        uint256 fork = newerVm.snapshotState();
        vm.prank(maker);
        ring_ = address(engine.createRing(members, keeper_, delay, rule));
        newerVm.revertToState(fork);
    }

    /// Each parameter is in the address, so that after a reorganisation it is the same ring or none.
    function testFuzz_createRing_addressDependsOnEverything(address maker, address keeper_, uint256 delay) public {
        delay = bound(delay, 0, engine.MAX_ENTRY_DELAY());
        vm.assume(maker != address(this) && keeper_ != keeper && delay != 1);
        address[] memory three = accounts(3);
        address[6] memory made = [
            addressOfRing(address(this), three, keeper, 1, ForkRule.Remove),
            addressOfRing(maker, three, keeper, 1, ForkRule.Remove),
            addressOfRing(address(this), accounts(4), keeper, 1, ForkRule.Remove),
            addressOfRing(address(this), three, keeper_, 1, ForkRule.Remove),
            addressOfRing(address(this), three, keeper, delay, ForkRule.Remove),
            addressOfRing(address(this), three, keeper, 1, ForkRule.Freeze)
        ];
        for (uint256 i = 0; i < made.length; i++) {
            for (uint256 j = 0; j < i; j++) {
                assertNotEq(made[i], made[j]);
            }
        }
    }

    function testFuzz_membership_keeperOnly(address stranger) public {
        vm.assume(stranger != keeper);
        address member = account(6);
        bytes memory reason = abi.encodeWithSelector(IEngine.NotKeeper.selector, ring, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(reason);
        engine.enter(ring, member);
        vm.expectRevert(reason);
        engine.exit(ring, member);
        vm.expectRevert(reason);
        engine.transferKeeper(ring, stranger);
        vm.expectRevert(reason);
        engine.renounceKeeper(ring);
        vm.expectRevert(reason);
        engine.forceRenounceKeeper(ring);
    }

    function test_membership() public {
        address member = account(6);
        announce(ring, member);
        ring.settle(member);
        assertTrue(ring.isMember(member));
        putOut(ring, member);
        assertFalse(ring.isMember(member));
        assertEq(ring.epoch(), 3);
    }

    // Renouncing

    function test_renounceKeeper() public {
        address[] memory late = accounts(9);
        for (uint256 i = 5; i < 9; i++) {
            announce(ring, late[i]);
        }
        vm.prank(keeper);
        engine.transferKeeper(ring, account(1));
        vm.expectEmit(address(engine));
        emit IEngine.KeeperRenounced(address(ring), keeper);
        for (uint256 i = 9; i > 5; i--) {
            vm.expectEmit(address(ring));
            emit IMembership.EntryCancelled(late[i - 1]);
        }
        vm.prank(keeper);
        engine.renounceKeeper(ring);
        assertEq(engine.keeperOf(ring), address(0));
        assertTrue(engine.isRing(address(ring)));
        assertEq(ring.pendingEntries().length, 0);
        vm.expectRevert(abi.encodeWithSelector(IMembership.NoEntry.selector, late[5]));
        ring.settle(late[5]);
        // Neither who kept it nor whom it was offered to has any power left.
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotKeeper.selector, ring, keeper));
        putOut(ring, account(1));
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotPendingKeeper.selector, ring, account(1)));
        vm.prank(account(1));
        engine.acceptKeeper(ring);
        change(ring, only(late[5]), noAccounts());
    }

    /// Below four members only by force.
    function test_renounceKeeper_fewMembers() public {
        for (uint256 members = 0; members <= 4; members++) {
            ring = makeRing(members);
            bytes memory reason = abi.encodeWithSelector(IEngine.TooFewMembers.selector, members, 4);
            if (members < 4) vm.expectRevert(reason);
            vm.prank(keeper);
            engine.renounceKeeper(ring);
            if (members == 4) continue;
            vm.prank(keeper);
            engine.forceRenounceKeeper(ring);
            assertEq(engine.keeperOf(ring), address(0));
        }
    }

    /// Whom the keeper put out before it renounced is counted as long as ever.
    function test_renounceKeeper_exitsStayCounted() public {
        ring = makeRing(6, keeper, 1 days, ForkRule.Remove);
        putOut(ring, account(1));
        putOut(ring, account(2));
        vm.prank(keeper);
        engine.renounceKeeper(ring);
        assertEq(ring.countedMembers(), 6);
        vm.warp(block.timestamp + 1 days);
        assertEq(ring.countedMembers(), 4);
    }

    /// Entries stay announced when the keeper changes, and the new one may cancel them.
    function test_transferKeeper_entriesStay() public {
        announce(ring, account(6));
        vm.prank(keeper);
        engine.transferKeeper(ring, account(1));
        vm.startPrank(account(1));
        engine.acceptKeeper(ring);
        assertEq(ring.pendingEntries(), only(account(6)));
        engine.exit(ring, account(6));
        assertEq(ring.pendingEntries().length, 0);
    }

    function testFuzz_transferKeeper(address newKeeper) public {
        vm.assume(newKeeper != keeper && newKeeper != address(0));
        vm.expectEmit(address(engine));
        emit IEngine.KeeperTransferStarted(address(ring), keeper, newKeeper);
        vm.prank(keeper);
        engine.transferKeeper(ring, newKeeper);
        assertEq(engine.keeperOf(ring), keeper);
        assertEq(engine.pendingKeeperOf(ring), newKeeper);
        vm.expectEmit(address(engine));
        emit IEngine.KeeperTransferred(address(ring), keeper, newKeeper);
        vm.prank(newKeeper);
        engine.acceptKeeper(ring);
        assertEq(engine.keeperOf(ring), newKeeper);
        assertEq(engine.pendingKeeperOf(ring), address(0));
        vm.prank(newKeeper);
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotPendingKeeper.selector, ring, newKeeper));
        engine.acceptKeeper(ring);
    }

    function testFuzz_acceptKeeper_onlyWhomItWasOfferedTo(address newKeeper, address stranger) public {
        vm.assume(stranger != newKeeper && stranger != address(0));
        vm.prank(keeper);
        engine.transferKeeper(ring, newKeeper);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotPendingKeeper.selector, ring, stranger));
        engine.acceptKeeper(ring);
    }

    function test_transferKeeper_withdrawn() public {
        address newKeeper = account(7);
        vm.startPrank(keeper);
        engine.transferKeeper(ring, newKeeper);
        engine.transferKeeper(ring, address(0));
        vm.stopPrank();
        vm.prank(newKeeper);
        vm.expectRevert(abi.encodeWithSelector(IEngine.NotPendingKeeper.selector, ring, newKeeper));
        engine.acceptKeeper(ring);
    }

    // Scopes

    function test_createScope() public {
        vm.expectEmit(false, true, false, true, address(engine));
        emit IEngine.ScopeCreated(address(0), address(this), "Words", "WRD");
        IScope made = engine.createScope("Words", "WRD");
        assertTrue(engine.isScope(address(made)));
        assertNotEq(address(made), address(engine.createScope("Words", "WRD")));
    }

    function test_createScope_tooLong() public {
        string memory long = string(new bytes(256));
        bytes memory reason = abi.encodeWithSelector(IEngine.NameTooLong.selector, 256, 255);
        vm.expectRevert(reason);
        engine.createScope(long, "DATA");
        vm.expectRevert(reason);
        engine.createScope("Data", long);
    }

    // Gates

    function test_createGate() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        IGate expected = engine.gateOf(spec);
        assertFalse(engine.isGate(address(expected)));
        vm.expectEmit(address(engine));
        emit IEngine.GateCreated(address(expected), spec);
        vm.expectEmit(address(engine));
        emit IEngine.GateRequested(address(expected), address(ring), address(this));
        assertEq(address(engine.createGate(spec)), address(expected));
        assertTrue(engine.isGate(address(expected)));
    }

    function testFuzz_createGate_again(address requester) public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        IGate gate = engine.createGate(spec);
        vm.recordLogs();
        vm.prank(requester);
        assertEq(address(engine.createGate(spec)), address(gate));
        Vm.Log[] memory entries = vm.getRecordedLogs();
        assertEq(entries.length, 1);
        assertEq(entries[0].topics[0], IEngine.GateRequested.selector);
        assertEq(entries[0].topics[2], bytes32(uint256(uint160(address(ring)))));
        assertEq(entries[0].topics[3], bytes32(uint256(uint160(requester))));
    }

    /// Once for each assigned ring, in their order, whether the gate is new or not.
    function testFuzz_createGate_requestsEachRing(uint8 rings, address requester) public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.rings = makeRings(bound(rings, 1, 16));
        address gate = address(engine.gateOf(spec));
        for (uint256 turn = 0; turn < 2; turn++) {
            for (uint256 i = 0; i < spec.rings.length; i++) {
                vm.expectEmit(address(engine));
                emit IEngine.GateRequested(gate, address(spec.rings[i]), requester);
            }
            vm.recordLogs();
            vm.prank(requester);
            engine.createGate(spec);
            assertEq(vm.getRecordedLogs().length, spec.rings.length + 1 - turn);
        }
    }

    /// Whoever makes it, whenever: one spec, one gate; another spec, another.
    function testFuzz_gateOf_commits(bytes32 salt, uint96 outputs, address maker) public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = token(declare(keccak256("data")));
        IGate original = engine.gateOf(spec);
        vm.prank(maker);
        assertEq(address(engine.createGate(spec)), address(original));
        outputs = uint96(bound(outputs, 2, engine.MAX_OUTPUTS()));
        vm.assume(salt != 0);

        GateSpec[6] memory others;
        for (uint256 i = 0; i < others.length; i++) {
            others[i] = abi.decode(abi.encode(spec), (GateSpec));
        }
        others[0].salt = salt;
        others[1].outputs = outputs;
        others[2].scope = engine.createScope("Other", "OTHER");
        others[3].rings[0] = makeRing(2);
        (others[4].inputs[0], others[4].inputs[1]) = (spec.inputs[1], spec.inputs[0]);
        others[5].inputs[1] = future(original, 0);
        for (uint256 i = 0; i < others.length; i++) {
            assertNotEq(address(engine.gateOf(others[i])), address(original));
        }
    }

    function test_createGate_rings() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.rings = new IRing[](0);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongRingCount.selector, 0, 16));
        spec.rings = new IRing[](17);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongRingCount.selector, 17, 16));
        spec.rings = makeRings(16);
        assertEq(engine.createGate(spec).spec().rings.length, 16);
        spec.rings[15] = IRing(makeAddr("no ring"));
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownRing.selector, spec.rings[15]));
    }

    function makeRings(uint256 count) private returns (IRing[] memory rings) {
        rings = new IRing[](count);
        for (uint256 i = 0; i < count; i++) {
            rings[i] = makeRing(1);
        }
    }

    /// Whichever two of the rings are the same: one request is told once to each ring.
    function testFuzz_createGate_repeatedRing(uint8 count, uint8 first, uint8 again) public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.rings = makeRings(bound(count, 2, 16));
        again = uint8(bound(again, 1, spec.rings.length - 1));
        first = uint8(bound(first, 0, again - 1));
        spec.rings[again] = spec.rings[first];
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.RepeatedRing.selector, again, spec.rings[first]));
        GateSpec[] memory specs = new GateSpec[](1);
        specs[0] = spec;
        vm.expectRevert(abi.encodeWithSelector(IEngine.RepeatedRing.selector, again, spec.rings[first]));
        engine.createCircuit(specs);
    }

    function test_createGate_inputs() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.inputs = new Input[](0);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongInputCount.selector, 0, 512));
        spec.inputs = new Input[](513);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongInputCount.selector, 513, 512));
    }

    /// The largest gate there can be is within what a transaction may use.
    function test_createGate_largest() public {
        GateSpec memory spec = makeSpec(ring, 1, 511);
        spec.rings = makeRings(16);
        for (uint256 i = 1; i < 512; i++) {
            spec.inputs[i] = token(declare(keccak256(abi.encode(i))));
        }
        uint256 before = gasleft();
        IGate gate = engine.createGate(spec);
        assertLt(before - gasleft(), 16_777_216 / 2);
        assertEq(keccak256(abi.encode(gate.spec())), keccak256(abi.encode(spec)));
    }

    function test_createGate_outputs() public {
        uint256 max = engine.MAX_OUTPUTS();
        uint96[4] memory wrong = [0, uint96(max + 1), FAILURE - 1, FAILURE];
        GateSpec memory spec = makeSpec(ring, 0, 0);
        for (uint256 i = 0; i < wrong.length; i++) {
            spec.outputs = wrong[i];
            assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongOutputCount.selector, wrong[i], max));
        }
        spec.outputs = uint96(max);
        engine.createGate(spec);
    }

    /// Futures and outputs together are bounded: what a ring could not register is not made.
    function testFuzz_createGate_tooMuchToRegister(uint256 futures) public {
        futures = bound(futures, 21, engine.MAX_INPUTS() - 1);
        GateSpec memory spec = makeSpec(ring, 1, futures);
        IGate upstream = makeGate(ring, 1);
        for (uint256 i = 1; i <= futures; i++) {
            spec.inputs[i] = future(upstream, 0);
        }
        uint96 most = uint96((1_820 - futures) / 6);
        assertLt(most, engine.MAX_OUTPUTS());
        spec.outputs = most + 1;
        assertMalformed(spec, abi.encodeWithSelector(IEngine.TooMuchToRegister.selector, most + 1, futures));
        spec.outputs = most;
        engine.createGate(spec);
        assertEq(engine.MAX_REGISTRATION(), 1_820);
    }

    function test_createGate_malformedInputs() public {
        IGate gate = makeGate(ring, 1);
        uint256 known = declare(keccak256("data"));
        Input[4] memory wrong = [
            Input(0, IGate(address(0)), 0),
            Input(known, gate, 0),
            Input(known, IGate(address(0)), 1),
            Input(0, IGate(address(0)), 1)
        ];
        for (uint256 i = 0; i < wrong.length; i++) {
            GateSpec memory spec = makeSpec(ring, 1, 1);
            spec.inputs[1] = wrong[i];
            assertMalformed(spec, abi.encodeWithSelector(IEngine.MalformedInput.selector, 1));
        }
    }

    function testFuzz_createGate_unknownToken(uint256 tokenId) public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        vm.assume(tokenId != 0 && !scope.exists(tokenId));
        spec.inputs[1] = token(tokenId);
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownInput.selector, 1, tokenId));
    }

    // Variables as inputs

    function variable(bytes32 cid) private returns (uint256) {
        bytes32[] memory cids = new bytes32[](1);
        cids[0] = cid;
        return scope.declareData(cids, Mutability.Variable)[0];
    }

    /// @dev `spec` with what its variables hold in their place.
    function replaced(GateSpec memory spec) private view returns (GateSpec memory result) {
        result = abi.decode(abi.encode(spec), (GateSpec));
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            uint256 tokenId = spec.inputs[i].tokenId;
            if (scope.isVariable(tokenId)) result.inputs[i].tokenId = uint256(scope.readData(tokenId));
        }
    }

    /// The gate is the one of the constants that the variables hold, and has these as its inputs.
    function testFuzz_createGate_variables(bytes32[4] memory cids, uint8 which) public {
        GateSpec memory spec = makeSpec(ring, 1, 4);
        for (uint256 i = 0; i < 4; i++) {
            vm.assume(uint256(cids[i]) > type(uint160).max);
            bool isVariable = (which >> i) % 2 == 0;
            spec.inputs[1 + i] = token(isVariable ? variable(cids[i]) : declare(cids[i]));
        }
        GateSpec memory constants = replaced(spec);
        IGate expected = engine.gateOf(constants);
        assertEq(address(engine.gateOf(spec)), address(expected));
        vm.expectEmit(address(engine));
        emit IEngine.GateCreated(address(expected), constants);
        assertEq(address(engine.createGate(spec)), address(expected));
        assertEq(keccak256(abi.encode(expected.spec())), keccak256(abi.encode(constants)));
        for (uint256 i = 0; i < 4; i++) {
            assertEq(scope.readData(uint256(cids[i])), cids[i]);
        }
        assertEq(address(engine.createGate(constants)), address(expected));
    }

    /// The operation may be in a variable too.
    function test_createGate_variableOperation() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        GateSpec memory constants = makeSpec(ring, 1, 0);
        spec.inputs[0] = token(variable(keccak256("operation")));
        assertEq(address(engine.createGate(spec)), address(engine.gateOf(constants)));
    }

    /// Its owner deletes a variable, or writes another value, after the gate was made: the gate and its input stay.
    function test_createGate_variableDeletedOrWritten() public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        uint256 tokenId = variable(keccak256("data"));
        spec.inputs[1] = token(tokenId);
        IGate gate = engine.createGate(spec);
        scope.writeData(tokenId, keccak256("other"));
        assertEq(gate.spec().inputs[1].tokenId, uint256(keccak256("data")));
        IGate second = engine.createGate(spec);
        assertNotEq(address(second), address(gate));
        assertEq(second.spec().inputs[1].tokenId, uint256(keccak256("other")));
        scope.deleteData(tokenId);
        assertEq(scope.readData(gate.spec().inputs[1].tokenId), keccak256("data"));
        resolve(ring, gate);
        assertTrue(gate.isResolved());
        assertMalformed(spec, abi.encodeWithSelector(IEngine.UnknownInput.selector, 1, tokenId));
    }

    /// A stranger who asks first does not fix what others, who ask after the variable was written, compute on.
    function test_createGate_variableAskedForEarly() public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        uint256 tokenId = variable(keccak256("early"));
        spec.inputs[1] = token(tokenId);
        vm.prank(makeAddr("stranger"));
        IGate early = engine.createGate(spec);
        scope.writeData(tokenId, keccak256("data"));
        IGate mine = engine.createGate(spec);
        assertNotEq(address(mine), address(early));
        assertEq(mine.spec().inputs[1].tokenId, uint256(keccak256("data")));
    }

    function testFuzz_createGate_unknownVariable(uint160 tokenId) public {
        vm.assume(tokenId != 0);
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = token(tokenId);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.UnknownInput.selector, 1, tokenId));
    }

    function test_createGate_variableOfUnknownScope() public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = token(variable(keccak256("data")));
        spec.scope = IScope(makeAddr("no scope"));
        assertMalformed(spec, abi.encodeWithSelector(IEngine.UnknownScope.selector, spec.scope));
    }

    function specOfVariables(uint256 count, bytes32 salt) private returns (GateSpec memory spec) {
        spec = makeSpec(ring, 1, count);
        spec.salt = salt;
        uint256[] memory ids = scope.declareData(digests(salt, count), Mutability.Variable);
        for (uint256 i = 0; i < count; i++) {
            spec.inputs[1 + i] = token(ids[i]);
        }
    }

    function test_createGate_atMost64Variables() public {
        assertEq(engine.createGate(specOfVariables(64, "most")).spec().inputs.length, 65);
        GateSpec memory spec = specOfVariables(65, "too many");
        assertMalformed(spec, abi.encodeWithSelector(IEngine.TooManyVariables.selector, 64));
    }

    /// The bound is for all gates of a transaction together.
    function test_createCircuit_atMost64Variables() public {
        GateSpec[] memory specs = new GateSpec[](3);
        (specs[0], specs[1], specs[2]) =
        (specOfVariables(30, "first"), specOfVariables(4, "second"), specOfVariables(30, "third"));
        assertEq(engine.createCircuit(specs).length, 3);
        specs[1] = specOfVariables(5, "second");
        vm.expectRevert(abi.encodeWithSelector(IEngine.TooManyVariables.selector, 64));
        engine.createCircuit(specs);
    }

    function test_createGate_unknownScope() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.scope = IScope(makeAddr("no scope"));
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownScope.selector, spec.scope));
        spec.scope = newEngine().createScope("Data", "DATA");
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownScope.selector, spec.scope));
    }

    function test_createGate_ofAnotherEngine() public {
        Engine other = newEngine();
        GateSpec memory spec = makeSpec(other.createRing(accounts(1), address(this), 0, ForkRule.Remove), 1, 0);
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownRing.selector, spec.rings[0]));
    }

    function testFuzz_createGate_futurePin(uint96 outputs, uint96 pin) public {
        outputs = uint96(bound(outputs, 1, engine.MAX_OUTPUTS()));
        pin = pin % 3 == 0 ? pin : uint96(pin % (2 * outputs));
        IGate upstream = makeGate(ring, outputs);
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = future(upstream, pin);
        if (pin >= outputs) {
            assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownFuturePin.selector, 1, pin, outputs));
        } else {
            assertFalse(engine.createGate(spec).isReady());
        }
    }

    function test_createGate_futureOfAnotherScope() public {
        IGate upstream = makeGate(ring, 1);
        IScope first = scope;
        scope = engine.createScope("Other", "OTHER");
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = future(upstream, 0);
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.ForeignScope.selector, 1, first));
    }

    function test_createGate_futureOfNoGate() public {
        (,, IGate implementation) = engine.implementations();
        address[5] memory wrong =
            [makeAddr("nobody"), address(ring), address(scope), address(engine), address(implementation)];
        for (uint256 i = 0; i < wrong.length; i++) {
            assertFalse(engine.isGate(wrong[i]));
            GateSpec memory spec = makeSpec(ring, 1, 1);
            spec.inputs[1] = future(IGate(wrong[i]), 0);
            assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownGate.selector, 1, wrong[i]));
        }
    }

    /// The same code at another address, or at the same engine's other clones, is no gate.
    function testFuzz_isGate_copies(address elsewhere) public {
        IGate gate = makeGate(ring, 1);
        vm.assume(elsewhere.code.length == 0 && uint160(elsewhere) > 0xffff && elsewhere != address(gate));
        vm.etch(elsewhere, address(gate).code);
        assertFalse(engine.isGate(elsewhere));
        assertTrue(engine.isGate(address(gate)));
    }

    // Circuits

    function place(uint256 index, uint96 pin) private pure returns (Input memory) {
        return future(IGate(address(uint160(index + 1))), pin);
    }

    function test_createCircuit() public {
        IGate earlier = makeGate(ring, 1);
        GateSpec[] memory specs = new GateSpec[](3);
        for (uint256 i = 0; i < 3; i++) {
            specs[i] = makeSpec(ring, 2, i);
            specs[i].salt = "circuit";
        }
        specs[1].inputs[1] = place(0, 1);
        (specs[2].inputs[1], specs[2].inputs[2]) = (place(1, 0), future(earlier, 0));
        IGate[] memory gates = engine.createCircuit(specs);
        assertEq(address(gates[1].spec().inputs[1].gate), address(gates[0]));
        assertEq(address(gates[2].spec().inputs[1].gate), address(gates[1]));
        assertEq(address(gates[2].spec().inputs[2].gate), address(earlier));
        assertTrue(gates[0].isReady());
        resolve(ring, gates[0]);
        resolve(ring, gates[1]);
        assertFalse(gates[2].isReady());
        resolve(ring, earlier);
        resolve(ring, gates[2]);
    }

    /// A circuit is the gates one would have made one after the other.
    function test_createCircuit_sameGates() public {
        GateSpec[] memory specs = new GateSpec[](2);
        (specs[0], specs[1]) = (makeSpec(ring, 1, 0), makeSpec(ring, 1, 1));
        specs[1].inputs[1] = place(0, 0);
        IGate[] memory gates = engine.createCircuit(specs);
        specs[1].inputs[1] = future(gates[0], 0);
        assertEq(address(engine.gateOf(specs[0])), address(gates[0]));
        assertEq(address(engine.gateOf(specs[1])), address(gates[1]));
        vm.expectEmit(address(engine));
        emit IEngine.GateRequested(address(gates[1]), address(ring), address(this));
        engine.createCircuit(specs);
    }

    function testFuzz_createCircuit_backwardsOnly(uint8 length, uint8 from, uint8 to) public {
        length = 1 + length % 5;
        (from, to) = (from % length, to % length);
        GateSpec[] memory specs = new GateSpec[](length);
        for (uint256 i = 0; i < length; i++) {
            specs[i] = makeSpec(ring, 1, i == from ? 1 : 0);
            specs[i].salt = bytes32(i);
        }
        specs[from].inputs[1] = place(to, 0);
        if (to >= from) vm.expectRevert(abi.encodeWithSelector(IEngine.CircuitNotOrdered.selector, from, 1));
        engine.createCircuit(specs);
    }

    function test_createCircuit_unknownPin() public {
        GateSpec[] memory specs = new GateSpec[](2);
        (specs[0], specs[1]) = (makeSpec(ring, 2, 0), makeSpec(ring, 1, 1));
        specs[1].inputs[1] = place(0, 2);
        vm.expectRevert(abi.encodeWithSelector(IEngine.UnknownFuturePin.selector, 1, 2, 2));
        engine.createCircuit(specs);
    }

    /// All gates of a circuit together are as large as the largest gate at most: 8 for each gate, 1 for each ring and input.
    function test_createCircuit_size() public {
        assertEq(engine.MAX_CIRCUIT(), 8 + engine.MAX_RINGS() + engine.MAX_INPUTS());
        GateSpec[] memory specs = new GateSpec[](53);
        for (uint256 i = 0; i < specs.length; i++) {
            specs[i] = makeSpec(ring, 1, 0);
            specs[i].salt = bytes32(i);
        }
        specs[0].inputs = new Input[](7);
        for (uint256 i = 0; i < 7; i++) {
            specs[0].inputs[i] = specs[1].inputs[0];
        }
        assertEq(engine.createCircuit(specs).length, 53);
        specs[52].rings = makeRings(2);
        vm.expectRevert(abi.encodeWithSelector(IEngine.CircuitTooLarge.selector, 537, 536));
        engine.createCircuit(specs);
        specs[52].rings = specs[0].rings;
        (specs[0].inputs, specs[52].inputs) = (specs[1].inputs, new Input[](8));
        vm.expectRevert(abi.encodeWithSelector(IEngine.CircuitTooLarge.selector, 537, 536));
        engine.createCircuit(specs);
    }

    function test_createCircuit_empty() public {
        assertEq(engine.createCircuit(new GateSpec[](0)).length, 0);
    }
}
