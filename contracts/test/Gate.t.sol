// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GateSpec, IGate, Input} from "../src/interfaces/IGate.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Vm} from "forge-std/Vm.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

contract GateTest is Fixture {
    IRing private ring;
    IRing private fallbackRing;
    IGate private gate;

    function setUp() public override {
        super.setUp();
        ring = makeRing(1);
        fallbackRing = makeRing(2);
        gate = makeGate(ring, 3);
        vm.label(address(ring), "ring");
        vm.label(address(fallbackRing), "fallbackRing");
    }

    /// @dev Any constant.
    function someToken() private pure returns (uint256[] memory) {
        return oneToken(constantId(keccak256("token")));
    }

    function makeGateWithFallback(uint96 outputs, IGate upstream) private returns (IGate) {
        GateSpec memory spec = makeSpec(ring, outputs, address(upstream) == address(0) ? 0 : 1);
        spec.rings = new IRing[](2);
        (spec.rings[0], spec.rings[1]) = (ring, fallbackRing);
        if (address(upstream) != address(0)) spec.inputs[1] = future(upstream, 0);
        return engine.createGate(spec);
    }

    /// @dev As a ring of the engine does, without its members.
    function output(IRing from, IGate to, uint96[] memory pins, uint256[] memory tokenIds) private {
        vm.prank(address(from));
        to.output(pins, tokenIds);
    }

    function tokens(bytes32 seed, uint256 count) private pure returns (uint256[] memory ids) {
        ids = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            ids[i] = constantId(digests(seed, count)[i]);
        }
    }

    /// @dev How often `gate` has said that it is resolved since `vm.recordLogs`.
    function resolutions() private returns (uint256 count) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            bool isResolution = logs[i].topics[0] == IGate.GateResolved.selector;
            if (isResolution && logs[i].emitter == address(gate)) count++;
        }
    }

    function oneToken(uint256 tokenId) private pure returns (uint256[] memory ids) {
        ids = new uint256[](1);
        ids[0] = tokenId;
    }

    // What it was made from

    function testFuzz_spec(uint8 rings, uint8 inputs, uint96 outputs, bytes32 salt, uint256 seed) public {
        GateSpec memory spec = makeSpec(ring, uint96(bound(outputs, 1, engine.MAX_OUTPUTS())), inputs % 6);
        spec.salt = salt;
        spec.rings = new IRing[](1 + rings % 4);
        for (uint256 i = 0; i < spec.rings.length; i++) {
            spec.rings[i] = i == seed % 4 ? fallbackRing : makeRing(1);
        }
        for (uint256 i = 1; i < spec.inputs.length; i++) {
            bool isToken = (seed >> (8 + i)) % 2 == 0;
            spec.inputs[i] = isToken ? token(declare(keccak256(abi.encode(seed, i)))) : future(gate, uint96(i % 3));
        }
        gate = engine.createGate(spec);
        assertEq(keccak256(abi.encode(gate.spec())), keccak256(abi.encode(spec)));
        assertEq(LibClone.argsOnClone(address(gate)), layOut(spec));
        assertEq(address(gate.scope()), address(scope));
        assertEq(address(gate.engine()), address(engine));
    }

    /// @dev Byte for byte the table of `GateCode`, for whoever reads a gate's code elsewhere or computes its address.
    function layOut(GateSpec memory spec) private pure returns (bytes memory code) {
        code = abi.encodePacked(spec.scope, spec.outputs, spec.salt, uint8(spec.rings.length));
        for (uint256 i = 0; i < spec.rings.length; i++) {
            code = abi.encodePacked(code, spec.rings[i]);
        }
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            Input memory input = spec.inputs[i];
            if (input.tokenId != 0) code = abi.encodePacked(code, uint8(0), input.tokenId);
            else code = abi.encodePacked(code, uint8(1), input.gate, input.pin);
        }
    }

    // Outputs

    function testFuzz_output_allAtOnce(uint8 count, bytes32 seed) public {
        uint96 outputs = 1 + count % 16;
        gate = makeGate(ring, outputs);
        uint256[] memory ids = tokens(seed, outputs);
        vm.expectEmit(address(gate));
        emit IGate.GateResolved(address(ring));
        vm.recordLogs();
        output(ring, gate, pinsFrom(0, outputs), ids);
        assertEq(resolutions(), 1);
        assertTrue(gate.isResolved());
        assertFalse(gate.isFailed());
        for (uint96 i = 0; i < outputs; i++) {
            assertEq(gate.outputOf(i), ids[i]);
        }
        assertEq(gate.outputOf(outputs), 0);
    }

    /// A part of the outputs is refused, whichever it is: so no gate can hold outputs of several rings.
    function testFuzz_output_allOrNothing(uint8 count, uint8 given) public {
        uint96 outputs = 1 + count % 16;
        gate = makeGate(ring, outputs);
        given = uint8(bound(given, 1, 20));
        vm.assume(given != outputs);
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAllOutputs.selector, given, outputs));
        output(ring, gate, pinsFrom(0, given), tokens("part", given));
        assertFalse(gate.isResolved());
        assertEq(gate.outputOf(0), 0);
    }

    /// After the floodgate the rings come in any order, each with parts of what it would answer; the gate has all from one.
    function testFuzz_output_ofOneRing(uint256 order, bool isPrimaryFirst) public {
        gate = makeGateWithFallback(3, IGate(address(0)));
        open(gate);
        (IRing first, IRing second) = isPrimaryFirst ? (ring, fallbackRing) : (fallbackRing, ring);
        for (uint256 i = 0; i < 4; i++) {
            IRing turn = (order >> i) % 2 == 0 ? first : second;
            vm.expectRevert(abi.encodeWithSelector(IGate.NotAllOutputs.selector, 1, 3));
            output(turn, gate, onePin(uint96(i % 3)), someToken());
        }
        uint256[] memory mine = tokens(bytes32(bytes20(address(first))), 3);
        output(first, gate, pinsFrom(0, 3), mine);
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(second, gate, pinsFrom(0, 3), tokens("second", 3));
        for (uint96 i = 0; i < 3; i++) {
            assertEq(gate.outputOf(i), mine[i]);
        }
    }

    function testFuzz_output_workingRingOnly(address caller) public {
        vm.assume(caller != address(ring));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IGate.NotWorkingRing.selector, caller));
        gate.output(onePin(0), someToken());
    }

    function testFuzz_output_lengths(uint8 pins, uint8 ids) public {
        vm.assume(pins != ids || pins == 0);
        vm.prank(address(ring));
        vm.expectRevert(abi.encodeWithSelector(IGate.LengthMismatch.selector, pins, ids));
        gate.output(new uint96[](pins), new uint256[](ids));
    }

    /// Pin `i` is in place `i`, so each is there once and none is unknown.
    function testFuzz_output_pinsInOrder(uint8 place, uint96 pin) public {
        place = place % 3;
        vm.assume(pin != place && !(place == 0 && pin == FAILURE));
        uint96[] memory pins = pinsFrom(0, 3);
        pins[place] = pin;
        vm.expectRevert(abi.encodeWithSelector(IGate.UnexpectedPin.selector, place, pin));
        output(ring, gate, pins, tokens("result", 3));
        assertFalse(gate.isResolved());
    }

    function testFuzz_output_once(bytes32 first, bytes32 second) public {
        output(ring, gate, pinsFrom(0, 3), tokens(first, 3));
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(ring, gate, pinsFrom(0, 3), tokens(second, 3));
        for (uint96 i = 0; i < 3; i++) {
            assertEq(gate.outputOf(i), tokens(first, 3)[i]);
        }
    }

    function testFuzz_output_constantsOnly(uint160 tokenId, uint8 place) public {
        uint256[] memory ids = tokens("result", 3);
        ids[place % 3] = tokenId;
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAConstant.selector, tokenId));
        output(ring, gate, pinsFrom(0, 3), ids);
        ids[place % 3] = 0;
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAConstant.selector, 0));
        output(ring, gate, pinsFrom(0, 3), ids);
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAConstant.selector, tokenId));
        output(ring, gate, onePin(FAILURE), oneToken(tokenId));
        assertFalse(gate.isResolved());
    }

    // Failure

    function test_fail() public {
        uint256 id = constantId(keccak256("failure"));
        vm.expectEmit(address(gate));
        emit IGate.GateFailed(address(ring), id);
        vm.expectEmit(address(gate));
        emit IGate.GateResolved(address(ring));
        output(ring, gate, onePin(FAILURE), oneToken(id));
        assertTrue(gate.isResolved() && gate.isFailed());
        assertEq(gate.outputOf(FAILURE), id);
        assertEq(gate.outputOf(0), 0);
    }

    function test_fail_thenNothing() public {
        output(ring, gate, onePin(FAILURE), someToken());
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(ring, gate, pinsFrom(0, 3), tokens("result", 3));
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(ring, gate, onePin(FAILURE), someToken());
    }

    /// However many outputs the gate has.
    function test_fail_notAfterOutputs() public {
        for (uint96 outputs = 1; outputs <= 4; outputs++) {
            gate = makeGate(ring, outputs);
            output(ring, gate, pinsFrom(0, outputs), tokens("result", outputs));
            vm.expectRevert(IGate.AlreadyResolved.selector);
            output(ring, gate, onePin(FAILURE), someToken());
            assertEq(gate.outputOf(FAILURE), 0);
            assertFalse(gate.isFailed());
        }
    }

    function test_fail_notWithOutputs() public {
        gate = makeGate(ring, 2);
        uint96[] memory pins = new uint96[](2);
        (pins[0], pins[1]) = (FAILURE, 0);
        vm.expectRevert(IGate.FailureIsNotAnOutput.selector);
        output(ring, gate, pins, tokens("result", 2));
        (pins[0], pins[1]) = (0, FAILURE);
        vm.expectRevert(abi.encodeWithSelector(IGate.UnexpectedPin.selector, 1, FAILURE));
        output(ring, gate, pins, tokens("result", 2));
    }

    function test_fail_throughTheRing() public {
        fail(ring, gate);
        assertTrue(gate.isFailed());
        assertEq(scope.readData(gate.outputOf(FAILURE)), digests("failure", 1)[0]);
    }

    // Futures

    function test_future_waits() public {
        IGate later = makeGateAfter(ring, gate, 1);
        assertTrue(gate.isReady());
        assertFalse(later.isReady());
        vm.expectRevert(IGate.NotReady.selector);
        output(ring, later, onePin(0), someToken());
        vm.expectRevert(IGate.NotReady.selector);
        output(ring, later, onePin(FAILURE), someToken());
        output(ring, gate, pinsFrom(0, 3), tokens("result", 3));
        assertTrue(later.isReady());
        output(ring, later, onePin(0), someToken());
        assertTrue(later.isResolved());
    }

    /// The tokens that the futures hold, in the order of the pins, and nothing of the constants between them.
    function testFuzz_inputsHash(uint8 kinds, bytes32 seed) public {
        GateSpec memory spec = makeSpec(ring, 1, 8);
        bytes memory expected;
        for (uint256 i = 0; i < 8; i++) {
            bytes32 salt = keccak256(abi.encode(seed, i));
            if ((kinds >> i) % 2 == 0) {
                spec.inputs[1 + i] = token(declare(salt));
                continue;
            }
            GateSpec memory upstream = makeSpec(ring, 2, 0);
            upstream.salt = salt;
            spec.inputs[1 + i] = future(engine.createGate(upstream), uint96(i % 2));
        }
        gate = engine.createGate(spec);
        for (uint256 i = 0; i < 8; i++) {
            IGate upstream = spec.inputs[1 + i].gate;
            if (address(upstream) == address(0)) continue;
            vm.expectRevert(IGate.NotReady.selector);
            gate.inputsHash();
            assertFalse(gate.isReady());
            uint256[] memory ids = tokens(keccak256(abi.encode(seed, i)), 2);
            output(ring, upstream, pinsFrom(0, 2), ids);
            expected = bytes.concat(expected, bytes32(ids[i % 2]));
        }
        assertTrue(gate.isReady());
        assertEq(gate.inputsHash(), keccak256(expected));
    }

    function test_inputsHash_withoutFutures() public view {
        assertEq(gate.inputsHash(), 0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470);
    }

    /// One gate for each future that is not set, in the order of the pins.
    function testFuzz_awaited(uint8 unset) public {
        GateSpec memory spec = makeSpec(ring, 1, 5);
        spec.inputs[3] = token(declare(keccak256("data")));
        IGate[] memory expected = new IGate[](4);
        uint256 count;
        for (uint256 i = 1; i < 6; i++) {
            if (i == 3) continue;
            GateSpec memory upstream = makeSpec(ring, 1, 0);
            upstream.salt = bytes32(i);
            spec.inputs[i] = future(engine.createGate(upstream), 0);
            if ((unset >> i) % 2 == 0) output(ring, spec.inputs[i].gate, onePin(0), someToken());
            else expected[count++] = spec.inputs[i].gate;
        }
        IGate[] memory awaited = engine.createGate(spec).awaited();
        assertEq(awaited.length, count);
        for (uint256 i = 0; i < count; i++) {
            assertEq(address(awaited[i]), address(expected[i]));
        }
    }

    function test_future_failsThroughAChain() public {
        IGate[] memory chain = new IGate[](5);
        chain[0] = makeGate(ring, 1);
        for (uint256 i = 1; i < 5; i++) {
            chain[i] = makeGateAfter(ring, chain[i - 1], 0);
            assertFalse(chain[i].isFailed());
        }
        output(ring, chain[0], onePin(0), someToken());
        output(ring, chain[1], onePin(FAILURE), someToken());
        assertFalse(chain[0].isFailed());
        for (uint256 i = 1; i < 5; i++) {
            assertTrue(chain[i].isFailed());
            assertEq(chain[i].isResolved(), i == 1);
            assertFalse(i > 1 && chain[i].isReady());
        }
    }

    /// Forty layers of two gates, each of which waits for both of the layer before: 2^40 ways, 80 gates.
    function test_future_failsThroughADiamond() public {
        IGate left = makeGate(ring, 1);
        IGate first = left;
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.salt = "right";
        IGate right = engine.createGate(spec);
        for (uint256 i = 0; i < 40; i++) {
            spec = makeSpec(ring, 1, 2);
            (spec.inputs[1], spec.inputs[2]) = (future(left, 0), future(right, 0));
            left = engine.createGate(spec);
            spec.salt = "right";
            right = engine.createGate(spec);
        }
        assertFalse(right.isFailed());
        output(ring, first, onePin(FAILURE), someToken());
        uint256 before = gasleft();
        assertTrue(right.isFailed());
        assertLt(before - gasleft(), 10_000_000);
    }

    function testFuzz_future_failureOfOneAmongMany(uint8 failed) public {
        failed = failed % 12;
        GateSpec memory spec = makeSpec(ring, 1, 12);
        IGate[] memory upstream = new IGate[](12);
        for (uint256 i = 0; i < 12; i++) {
            GateSpec memory each = makeSpec(ring, 1, 0);
            each.salt = bytes32(i);
            upstream[i] = engine.createGate(each);
            spec.inputs[1 + i] = future(upstream[i], 0);
        }
        gate = engine.createGate(spec);
        for (uint256 i = 0; i < 12; i++) {
            assertFalse(gate.isFailed());
            if (i != failed) output(ring, upstream[i], onePin(0), someToken());
        }
        output(ring, upstream[failed], onePin(FAILURE), someToken());
        assertTrue(gate.isFailed());
        assertFalse(gate.isReady());
    }

    // The floodgate

    function open(IGate which) private {
        which.challengePrimaryRing();
        skip(which.CHALLENGE_TIMEOUT());
        which.openFloodgate();
    }

    function testFuzz_floodgate(address challenger) public {
        vm.assume(challenger != address(ring) && challenger != address(fallbackRing));
        gate = makeGateWithFallback(1, IGate(address(0)));
        assertFalse(gate.isWorkingRing(address(fallbackRing)));
        vm.expectEmit(address(ring));
        emit IRing.PrimaryRingChallenged(address(gate), challenger);
        vm.expectEmit(address(fallbackRing));
        emit IRing.PrimaryRingChallenged(address(gate), challenger);
        vm.prank(challenger);
        gate.challengePrimaryRing();
        assertEq(gate.challengedAt(), block.timestamp);
        skip(gate.CHALLENGE_TIMEOUT());
        vm.expectEmit(address(ring));
        emit IRing.FloodgateOpened(address(gate));
        vm.expectEmit(address(fallbackRing));
        emit IRing.FloodgateOpened(address(gate));
        gate.openFloodgate();
        assertTrue(gate.isFloodgateOpen());
        assertTrue(gate.isWorkingRing(address(ring)) && gate.isWorkingRing(address(fallbackRing)));
        assertFalse(gate.isWorkingRing(challenger));
        resolve(fallbackRing, gate);
        assertTrue(gate.isResolved());
    }

    function test_floodgate_primaryRingIsNotShutOut() public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        open(gate);
        resolve(ring, gate);
        assertTrue(gate.isResolved());
    }

    function test_floodgate_primaryRingAnswersInTime() public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        gate.challengePrimaryRing();
        resolve(ring, gate);
        skip(gate.CHALLENGE_TIMEOUT());
        vm.expectRevert(IGate.AlreadyResolved.selector);
        gate.openFloodgate();
    }

    function testFuzz_floodgate_notBefore(uint256 wait) public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IGate.FloodgateClosed.selector, 0));
        gate.openFloodgate();
        gate.challengePrimaryRing();
        uint256 opensAt = block.timestamp + gate.CHALLENGE_TIMEOUT();
        skip(bound(wait, 0, gate.CHALLENGE_TIMEOUT() - 1));
        vm.expectRevert(abi.encodeWithSelector(IGate.FloodgateClosed.selector, opensAt));
        gate.openFloodgate();
    }

    function test_floodgate_once() public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        gate.challengePrimaryRing();
        vm.expectRevert(abi.encodeWithSelector(IGate.AlreadyChallenged.selector, block.timestamp));
        gate.challengePrimaryRing();
        skip(gate.CHALLENGE_TIMEOUT());
        gate.openFloodgate();
        vm.expectRevert(IGate.FloodgateAlreadyOpen.selector);
        gate.openFloodgate();
    }

    function test_challenge_noFallback() public {
        vm.expectRevert(IGate.NoFallbackRings.selector);
        gate.challengePrimaryRing();
    }

    function test_challenge_notReady() public {
        IGate later = makeGateWithFallback(1, gate);
        vm.expectRevert(IGate.NotReady.selector);
        later.challengePrimaryRing();
    }

    function test_challenge_resolved() public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        resolve(ring, gate);
        vm.expectRevert(IGate.AlreadyResolved.selector);
        gate.challengePrimaryRing();
        IGate failed = makeGateWithFallback(2, IGate(address(0)));
        fail(ring, failed);
        vm.expectRevert(IGate.AlreadyResolved.selector);
        failed.challengePrimaryRing();
    }

    /// Gates emit what people may want to see, and nothing that a member would have to follow.
    function test_challenge_gateIsSilent() public {
        gate = makeGateWithFallback(1, IGate(address(0)));
        vm.recordLogs();
        open(gate);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 4);
        for (uint256 i = 0; i < logs.length; i++) {
            assertEq(logs[i].emitter, address(i % 2 == 0 ? ring : fallbackRing));
        }
    }
}
