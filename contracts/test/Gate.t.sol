// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

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
        GateSpec memory spec = makeSpec(ring, uint96(bound(outputs, 1, FAILURE - 1)), inputs % 6);
        spec.salt = salt;
        spec.rings = new IRing[](1 + rings % 4);
        for (uint256 i = 0; i < spec.rings.length; i++) {
            spec.rings[i] = (seed >> i) % 2 == 0 ? ring : fallbackRing;
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

    /// In any number of parts, in any order. With the last the gate is resolved and says so, and with none before.
    function testFuzz_output_inParts(uint256 order, uint256 cuts) public {
        uint96 outputs = 6;
        gate = makeGate(ring, outputs);
        uint96[] memory pins = pinsFrom(0, outputs);
        for (uint256 i = outputs - 1; i > 0; i--) {
            uint256 j = (order >> (8 * i)) % (i + 1);
            (pins[i], pins[j]) = (pins[j], pins[i]);
        }
        uint256 from;
        for (uint256 to = 1; to <= outputs; to++) {
            if (to < outputs && (cuts >> to) % 2 == 0) continue;
            uint96[] memory part = new uint96[](to - from);
            for (uint256 i = from; i < to; i++) {
                part[i - from] = pins[i];
            }
            assertFalse(gate.isResolved());
            if (to == outputs) {
                vm.expectEmit(address(gate));
                emit IGate.GateResolved(address(ring));
            }
            vm.recordLogs();
            output(ring, gate, part, tokens(bytes32(to), part.length));
            assertEq(resolutions(), to == outputs ? 1 : 0);
            from = to;
        }
        assertTrue(gate.isResolved());
    }

    function test_output_emits() public {
        uint256 id = constantId(keccak256("result"));
        vm.expectEmit(address(gate));
        emit IGate.OutputSet(2, id);
        output(ring, gate, onePin(2), oneToken(id));
    }

    function testFuzz_output_workingRingOnly(address caller) public {
        vm.assume(caller != address(ring));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IGate.NotWorkingRing.selector, caller));
        gate.output(onePin(0), oneToken(2));
    }

    function testFuzz_output_lengths(uint8 pins, uint8 ids) public {
        vm.assume(pins != ids || pins == 0);
        vm.prank(address(ring));
        vm.expectRevert(abi.encodeWithSelector(IGate.LengthMismatch.selector, pins, ids));
        gate.output(new uint96[](pins), new uint256[](ids));
    }

    function testFuzz_output_unknownPin(uint96 pin) public {
        pin = uint96(bound(pin, 3, FAILURE - 1));
        vm.prank(address(ring));
        vm.expectRevert(abi.encodeWithSelector(IGate.UnknownPin.selector, pin, 3));
        gate.output(onePin(pin), oneToken(2));
    }

    function testFuzz_output_writtenOnce(uint8 pin, uint256 first, uint256 second) public {
        (first, second) = (2 + first / 2 * 2 % 1000, 2 + second / 2 * 2 % 1000);
        pin = pin % 3;
        output(ring, gate, onePin(pin), oneToken(first));
        vm.expectRevert(abi.encodeWithSelector(IGate.PinAlreadySet.selector, pin));
        output(ring, gate, onePin(pin), oneToken(second));
        assertEq(gate.outputOf(pin), first);
    }

    function test_output_samePinTwice() public {
        vm.expectRevert(abi.encodeWithSelector(IGate.PinAlreadySet.selector, 0));
        output(ring, gate, new uint96[](3), tokens("result", 3));
    }

    function testFuzz_output_constantsOnly(uint256 tokenId) public {
        tokenId = tokenId == 2 ? 0 : tokenId | 1;
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAConstant.selector, tokenId));
        output(ring, gate, onePin(0), oneToken(tokenId));
        vm.expectRevert(abi.encodeWithSelector(IGate.NotAConstant.selector, 0));
        output(ring, gate, onePin(0), oneToken(0));
    }

    function test_output_afterTheLast() public {
        output(ring, gate, pinsFrom(0, 3), tokens("result", 3));
        vm.expectRevert(abi.encodeWithSelector(IGate.PinAlreadySet.selector, 1));
        output(ring, gate, onePin(1), oneToken(2));
    }

    // Failure

    function test_fail() public {
        uint256 id = constantId(keccak256("failure"));
        vm.expectEmit(address(gate));
        emit IGate.OutputSet(FAILURE, id);
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
        output(ring, gate, onePin(FAILURE), oneToken(2));
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(ring, gate, onePin(0), oneToken(2));
        vm.expectRevert(IGate.AlreadyResolved.selector);
        output(ring, gate, onePin(FAILURE), oneToken(2));
    }

    function testFuzz_fail_notAfterAnOutput(uint8 pin) public {
        output(ring, gate, onePin(pin % 3), oneToken(2));
        vm.expectRevert(IGate.FailureIsNotAnOutput.selector);
        output(ring, gate, onePin(FAILURE), oneToken(2));
    }

    /// However many outputs the gate has: one is enough.
    function test_fail_notAfterAllOutputs() public {
        for (uint96 outputs = 1; outputs <= 4; outputs++) {
            gate = makeGate(ring, outputs);
            output(ring, gate, pinsFrom(0, outputs), tokens("result", outputs));
            assertFailureRefused();
        }
    }

    function test_fail_notAfterAnyPart() public {
        for (uint96 outputs = 1; outputs <= 4; outputs++) {
            gate = makeGate(ring, outputs);
            for (uint96 pin = outputs; pin > 0; pin--) {
                output(ring, gate, onePin(pin - 1), oneToken(2));
                assertFailureRefused();
            }
            assertTrue(gate.isResolved());
        }
    }

    function assertFailureRefused() private {
        vm.expectRevert(IGate.FailureIsNotAnOutput.selector);
        output(ring, gate, onePin(FAILURE), oneToken(2));
        assertEq(gate.outputOf(FAILURE), 0);
        assertFalse(gate.isFailed());
    }

    function test_fail_notWithOutputs() public {
        uint96[] memory pins = new uint96[](2);
        (pins[0], pins[1]) = (FAILURE, 0);
        vm.expectRevert(IGate.FailureIsNotAnOutput.selector);
        output(ring, gate, pins, tokens("result", 2));
        (pins[0], pins[1]) = (0, FAILURE);
        vm.expectRevert(abi.encodeWithSelector(IGate.UnknownPin.selector, FAILURE, 3));
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
        output(ring, later, onePin(0), oneToken(2));
        vm.expectRevert(IGate.NotReady.selector);
        output(ring, later, onePin(FAILURE), oneToken(2));
        output(ring, gate, onePin(0), oneToken(2));
        assertFalse(later.isReady());
        output(ring, gate, onePin(1), oneToken(2));
        assertTrue(later.isReady());
        output(ring, later, onePin(0), oneToken(2));
        assertTrue(later.isResolved());
    }

    function test_future_failsThroughAChain() public {
        IGate[] memory chain = new IGate[](5);
        chain[0] = makeGate(ring, 1);
        for (uint256 i = 1; i < 5; i++) {
            chain[i] = makeGateAfter(ring, chain[i - 1], 0);
            assertFalse(chain[i].isFailed());
        }
        output(ring, chain[0], onePin(0), oneToken(2));
        output(ring, chain[1], onePin(FAILURE), oneToken(2));
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
        output(ring, first, onePin(FAILURE), oneToken(2));
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
            if (i != failed) output(ring, upstream[i], onePin(0), oneToken(2));
        }
        output(ring, upstream[failed], onePin(FAILURE), oneToken(2));
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
        gate = makeGateWithFallback(1, IGate(address(0)));
        assertFalse(gate.isWorkingRing(address(fallbackRing)));
        vm.expectEmit(address(gate));
        emit IGate.PrimaryRingChallenged(challenger);
        vm.prank(challenger);
        gate.challengePrimaryRing();
        assertEq(gate.challengedAt(), block.timestamp);
        skip(gate.CHALLENGE_TIMEOUT());
        vm.expectEmit(address(gate));
        emit IGate.FloodgateOpened();
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

    function test_challenge_keepsOutputsThatAreThere() public {
        gate = makeGateWithFallback(2, IGate(address(0)));
        output(ring, gate, onePin(1), oneToken(6));
        open(gate);
        vm.expectRevert(abi.encodeWithSelector(IGate.PinAlreadySet.selector, 1));
        output(fallbackRing, gate, onePin(1), oneToken(8));
        output(fallbackRing, gate, onePin(0), oneToken(8));
        assertEq(gate.outputOf(1), 6);
        assertTrue(gate.isResolved());
    }
}
