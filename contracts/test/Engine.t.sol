// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Engine} from "../src/Engine.sol";
import {IEngine} from "../src/interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "../src/interfaces/IGate.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope, Mutability} from "../src/interfaces/IScope.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Vm} from "forge-std/Vm.sol";

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

    // Rings

    function test_createRing() public {
        vm.expectEmit(false, true, false, false, address(engine));
        emit IEngine.RingCreated(address(0), address(this));
        IRing made = engine.createRing(accounts(3));
        assertEq(engine.keeperOf(made), address(this));
        assertTrue(engine.isRing(address(made)));
        assertEq(address(made.engine()), address(engine));
        assertEq(made.memberCount(), 3);
        assertEq(made.epoch(), 1);
    }

    function test_createRing_equalRings() public {
        IRing first = engine.createRing(accounts(3));
        IRing second = engine.createRing(accounts(3));
        assertNotEq(address(first), address(second));
    }

    /// What others do, and what else the keeper makes, does not move a ring's address.
    function testFuzz_createRing_addressCommits(uint8 others) public {
        address[] memory members = accounts(3);
        uint256 fork = newerVm.snapshotState();
        address expected = address(engine.createRing(members));
        newerVm.revertToState(fork);
        for (uint256 i = 0; i < others % 4; i++) {
            engine.createRing(accounts(2));
            makeRing(3);
            engine.createScope("Data", "DATA");
        }
        assertEq(address(engine.createRing(members)), expected);
    }

    function testFuzz_createRing_addressDependsOnTheKeeper(address other) public {
        vm.assume(other != address(this));
        address[] memory members = accounts(3);
        address mine = address(engine.createRing(members));
        vm.prank(other);
        assertNotEq(address(engine.createRing(members)), mine);
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
    }

    function test_membership() public {
        address member = account(6);
        vm.startPrank(keeper);
        engine.enter(ring, member);
        assertTrue(ring.isMember(member));
        engine.exit(ring, member);
        assertFalse(ring.isMember(member));
        assertEq(ring.epoch(), 3);
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
        emit IEngine.GateRequested(address(expected), address(this));
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
        assertEq(entries[0].topics[2], bytes32(uint256(uint160(requester))));
    }

    /// Whoever makes it, whenever: one spec, one gate; another spec, another.
    function testFuzz_gateOf_commits(bytes32 salt, uint96 outputs, address maker) public {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = token(declare(keccak256("data")));
        IGate original = engine.gateOf(spec);
        vm.prank(maker);
        assertEq(address(engine.createGate(spec)), address(original));
        outputs = uint96(bound(outputs, 2, FAILURE - 1));
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
        spec.rings = new IRing[](16);
        for (uint256 i = 0; i < 16; i++) {
            spec.rings[i] = ring;
        }
        assertEq(engine.createGate(spec).spec().rings.length, 16);
        spec.rings[15] = IRing(makeAddr("no ring"));
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownRing.selector, spec.rings[15]));
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
        spec.rings = new IRing[](16);
        for (uint256 i = 0; i < 16; i++) {
            spec.rings[i] = ring;
        }
        for (uint256 i = 1; i < 512; i++) {
            spec.inputs[i] = token(declare(keccak256(abi.encode(i))));
        }
        uint256 before = gasleft();
        IGate gate = engine.createGate(spec);
        assertLt(before - gasleft(), 16_777_216 / 2);
        assertEq(keccak256(abi.encode(gate.spec())), keccak256(abi.encode(spec)));
    }

    function test_createGate_outputs() public {
        GateSpec memory spec = makeSpec(ring, 0, 0);
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongOutputCount.selector, 0));
        spec.outputs = FAILURE;
        assertMalformed(spec, abi.encodeWithSelector(IEngine.WrongOutputCount.selector, FAILURE));
        spec.outputs = FAILURE - 1;
        engine.createGate(spec);
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

    function test_createGate_variables() public {
        bytes32[] memory cids = digests("data", 1);
        uint256 tokenId = scope.declareData(cids, Mutability.Variable)[0];
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = token(tokenId);
        IGate gate = engine.createGate(spec);
        scope.deleteData(tokenId);
        assertEq(address(engine.createGate(spec)), address(gate));
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
        GateSpec memory spec = makeSpec(other.createRing(accounts(1)), 1, 0);
        assertGateRefused(spec, abi.encodeWithSelector(IEngine.UnknownRing.selector, spec.rings[0]));
    }

    function testFuzz_createGate_futurePin(uint96 outputs, uint96 pin) public {
        outputs = uint96(bound(outputs, 1, FAILURE - 1));
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
        emit IEngine.GateRequested(address(gates[1]), address(this));
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

    function test_createCircuit_empty() public {
        assertEq(engine.createCircuit(new GateSpec[](0)).length, 0);
    }
}
