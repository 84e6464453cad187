// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEngine} from "../src/interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "../src/interfaces/IGate.sol";
import {ForkRule} from "../src/interfaces/IMembership.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {Mutability} from "../src/interfaces/IScope.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @notice The largest there can be of everything, in every shape, beside what a transaction may use (EIP-7825): whole
/// transactions with their calldata, on cold slots.
/// forge-config: default.isolate = true
contract GasLimitsTest is Fixture {
    uint256 private constant MOST = 1 << 24;

    function gasOfLastCall(string memory name) private returns (uint256) {
        return newerVm.snapshotGasLastCall("Limits", name);
    }

    /// Each transaction of a deployment fits into a block of 10 M gas, with a quarter more than it needs.
    function test_deploy_fitsIntoASmallBlock() public {
        uint256 intrinsic = 53_000;
        bytes memory ringCode = vm.getCode("Ring.sol:Ring");
        uint256 before = gasleft();
        IRing implementation = IRing(deployCode("Ring.sol:Ring"));
        uint256 cost = before - gasleft() + intrinsic + 16 * ringCode.length;
        assertLe(cost * 5 / 4, 10_000_000);
        bytes memory engineCode = vm.getCode("Engine.sol:Engine");
        before = gasleft();
        deployCode("Engine.sol:Engine", abi.encode(implementation));
        cost = before - gasleft() + intrinsic + 16 * engineCode.length;
        assertLe(cost * 5 / 4, 10_000_000);
    }

    /// @dev A spec with 16 different rings, of which `primary` is the first.
    function makeLargeSpec(IRing primary, uint96 outputs) private returns (GateSpec memory spec) {
        spec = makeSpec(primary, outputs, engine.MAX_INPUTS() - 1);
        spec.rings = new IRing[](engine.MAX_RINGS());
        spec.rings[0] = primary;
        for (uint256 i = 1; i < spec.rings.length; i++) {
            spec.rings[i] = makeRing(1);
        }
        // The dearest calldata and code: no byte of it is 0.
        spec.salt = keccak256("salt");
    }

    /// @dev Puts a future of a gate of its own on each input of `spec` from `first` on.
    function addFutures(GateSpec memory spec, uint256 first, IRing upstreamRing) private {
        GateSpec memory upstream = makeSpec(upstreamRing, 1, 0);
        for (uint256 i = first; i < spec.inputs.length; i++) {
            upstream.salt = keccak256(abi.encode(i));
            spec.inputs[i] = future(engine.createGate(upstream), 0);
        }
    }

    function addConstants(GateSpec memory spec, uint256 first, uint256 end) private {
        for (uint256 i = first; i < end; i++) {
            spec.inputs[i] = token(declare(keccak256(abi.encode(i))));
        }
    }

    function addVariables(GateSpec memory spec, uint256 first, uint256 count) private {
        uint256[] memory ids = scope.declareData(digests("variable", count), Mutability.Variable);
        for (uint256 i = 0; i < count; i++) {
            spec.inputs[first + i] = token(ids[i]);
        }
    }

    function createLargest(GateSpec memory spec, string memory name) private {
        engine.createGate(spec);
        assertLe(gasOfLastCall(string.concat("createGate: the largest, ", name)), MOST / 2);
        engine.createGate(spec);
        assertLe(gasOfLastCall(string.concat("createGate: the largest again, ", name)), MOST / 2);
    }

    function test_createGate_constants() public {
        GateSpec memory spec = makeLargeSpec(makeRing(1), 1);
        addConstants(spec, 1, spec.inputs.length);
        createLargest(spec, "constants");
    }

    function test_createGate_futures() public {
        IRing ring = makeRing(1);
        GateSpec memory spec = makeLargeSpec(ring, 1);
        addFutures(spec, 1, ring);
        createLargest(spec, "futures");
    }

    /// A reduce over gates that are as large as gates can be.
    function test_createGate_futuresOfLargeGates() public {
        IRing ring = makeRing(1);
        GateSpec memory upstream = makeLargeSpec(ring, 1);
        addConstants(upstream, 1, upstream.inputs.length);
        GateSpec memory spec = makeLargeSpec(ring, 1);
        addConstants(spec, 1, spec.inputs.length);
        for (uint256 i = 1; i <= 128; i++) {
            upstream.salt = keccak256(abi.encode(i));
            spec.inputs[i] = future(engine.createGate(upstream), 0);
        }
        createLargest(spec, "128 futures of the largest");
    }

    function test_createGate_variables() public {
        uint256 variables = engine.MAX_VARIABLES();
        GateSpec memory spec = makeLargeSpec(makeRing(1), 1);
        addVariables(spec, 1, variables);
        addConstants(spec, 1 + variables, spec.inputs.length);
        createLargest(spec, "variables and constants");
    }

    /// @dev `count` specs of one ring and `inputs` inputs, all of them different.
    function makeSpecs(uint256 count, uint256 inputs) private returns (GateSpec[] memory specs) {
        specs = new GateSpec[](count);
        IRing ring = makeRing(1);
        for (uint256 i = 0; i < count; i++) {
            specs[i] = makeSpec(ring, 1, inputs - 1);
            specs[i].salt = keccak256(abi.encode("circuit", i));
        }
    }

    /// @dev The first output of the gate of spec `index` of the circuit.
    function place(uint256 index) private pure returns (Input memory) {
        return future(IGate(address(uint160(index + 1))), 0);
    }

    /// @dev Makes a circuit that is as large as can be, twice, and refuses one that is larger by one input.
    function createLargest(GateSpec[] memory specs, string memory name) private {
        Input[] memory inputs = specs[0].inputs;
        specs[0].inputs = new Input[](inputs.length + engine.MAX_INPUTS());
        expectRevertWith(IEngine.CircuitTooLarge.selector);
        engine.createCircuit(specs);
        specs[0].inputs = inputs;
        engine.createCircuit(specs);
        assertLe(gasOfLastCall(string.concat("createCircuit: the largest, ", name)), MOST / 2);
        engine.createCircuit(specs);
        assertLe(gasOfLastCall(string.concat("createCircuit: the largest again, ", name)), MOST / 2);
    }

    /// 48 gates, of which each waits for the one before.
    function test_createCircuit_chain() public {
        GateSpec[] memory specs = makeSpecs(48, 2);
        specs[0].inputs[1] = specs[0].inputs[0];
        for (uint256 i = 1; i < specs.length; i++) {
            specs[i].inputs[1] = place(i - 1);
        }
        createLargest(specs, "a chain");
    }

    /// 48 gates, of which all but the first wait for the first.
    function test_createCircuit_fanOut() public {
        GateSpec[] memory specs = makeSpecs(48, 2);
        specs[0].inputs[1] = specs[0].inputs[0];
        for (uint256 i = 1; i < specs.length; i++) {
            specs[i].inputs[1] = place(0);
        }
        createLargest(specs, "a fan-out");
    }

    /// One gate that waits for 47 others; the rest of what there is room for are gates that were made before.
    function test_createCircuit_fanIn() public {
        GateSpec[] memory specs = makeSpecs(48, 1);
        GateSpec memory last = specs[47];
        last.inputs = new Input[](engine.MAX_CIRCUIT() - 47 * 10 - 9);
        last.inputs[0] = specs[0].inputs[0];
        addFutures(last, 48, specs[0].rings[0]);
        for (uint256 i = 0; i < 47; i++) {
            last.inputs[1 + i] = place(i);
        }
        createLargest(specs, "a fan-in");
    }

    /// A gate before one that takes its output on all its inputs but the first.
    function test_createCircuit_wideReduce() public {
        GateSpec[] memory specs = makeSpecs(2, 1);
        specs[1].inputs = new Input[](engine.MAX_INPUTS());
        specs[1].inputs[0] = specs[0].inputs[0];
        addFutures(specs[1], 2, specs[0].rings[0]);
        specs[1].inputs[1] = place(0);
        createLargest(specs, "a reduce of all inputs there may be");
    }

    /// The same with the most variables, and constants.
    function test_createCircuit_variables() public {
        uint256 variables = engine.MAX_VARIABLES();
        GateSpec[] memory specs = makeSpecs(2, 1);
        specs[1].inputs = new Input[](engine.MAX_INPUTS());
        specs[1].inputs[0] = specs[0].inputs[0];
        addVariables(specs[1], 1, variables);
        addConstants(specs[1], 1 + variables, specs[1].inputs.length - 1);
        specs[1].inputs[specs[1].inputs.length - 1] = place(0);
        createLargest(specs, "variables and constants");
    }

    /// 21 gates of 16 rings each, of which no two are the same.
    function test_createCircuit_rings() public {
        GateSpec[] memory specs = makeSpecs(21, 1);
        for (uint256 i = 0; i < specs.length; i++) {
            for (uint256 k = 0; k < 16; k++) {
                if (k == 0) specs[i].rings = new IRing[](16);
                specs[i].rings[k] = makeRing(1);
            }
        }
        createLargest(specs, "16 rings each");
    }

    /// The most gates: with one ring and one input each.
    function test_createCircuit_gates() public {
        createLargest(makeSpecs(53, 1), "the most gates");
    }

    /// The largest ring registers `outputs` of a gate with as many futures as it may then have, each of a gate of its own.
    function registerLargest(uint96 outputs, string memory name) private {
        IRing upstreamRing = makeRing(1);
        IRing ring = makeRing(256);
        GateSpec memory spec = makeLargeSpec(ring, outputs);
        uint256 futures = engine.MAX_REGISTRATION() - 6 * outputs;
        if (futures >= spec.inputs.length) futures = spec.inputs.length - 1;
        addConstants(spec, 1, spec.inputs.length - futures);
        addFutures(spec, spec.inputs.length - futures, upstreamRing);
        assertTooLarge(spec, futures);
        for (uint256 i = spec.inputs.length - futures; i < spec.inputs.length; i++) {
            resolve(upstreamRing, spec.inputs[i].gate);
        }
        IGate gate = engine.createGate(spec);
        resolve(ring, gate, pinsFrom(0, outputs), digests("outputs", outputs));
        uint256 gas = gasOfLastCall(string.concat("registerOutputs: 256 members, ", name));
        assertLe(gas, MOST - MOST / 32);
    }

    /// @dev One output more is refused.
    function assertTooLarge(GateSpec memory spec, uint256 futures) private {
        bytes memory reason = abi.encodeWithSelector(IEngine.TooMuchToRegister.selector, spec.outputs + 1, futures);
        if (spec.outputs == engine.MAX_OUTPUTS()) {
            reason = abi.encodeWithSelector(IEngine.WrongOutputCount.selector, spec.outputs + 1, spec.outputs);
        }
        spec.outputs++;
        vm.expectRevert(reason);
        engine.createGate(spec);
        spec.outputs--;
    }

    function test_registerOutputs_mostOutputs() public {
        registerLargest(uint96(engine.MAX_OUTPUTS()), "the most outputs");
    }

    function test_registerOutputs_mostFutures() public {
        uint256 futures = engine.MAX_INPUTS() - 1;
        registerLargest(uint96((engine.MAX_REGISTRATION() - futures) / 6), "the most futures");
    }

    function test_registerOutputs_oneFutureForEachOutput() public {
        registerLargest(uint96(engine.MAX_REGISTRATION() / 7), "a future for each output");
    }

    function accountsFrom(uint256 first, uint256 count) private returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = account(first + i);
        }
    }

    /// Two thirds of the largest ring cancel all that a keeper can announce, though it has put out all the others.
    function test_changeMembers_cancelsAllEntries() public {
        IRing ring = makeRing(256, keeper, 1 days, ForkRule.Remove);
        address[] memory entries = accountsFrom(1001, 256);
        for (uint256 i = 0; i < entries.length; i++) {
            announce(ring, entries[i]);
        }
        for (uint256 i = 0; i < 85; i++) {
            putOut(ring, account(1 + i));
        }
        assertLe(gasOfLastCall("exit: the 85th of 256 members"), MOST / 2);
        change(ring, noAccounts(), entries);
        assertLe(gasOfLastCall("changeMembers: 256 entries cancelled, 171 members, 85 counted exits"), MOST - MOST / 32);
        assertEq(ring.pendingEntries().length, 0);
    }

    /// They replace the other third in one step, whether those are members or were put out.
    function test_changeMembers_replacesAThird() public {
        IRing ring = makeRing(256, keeper, 1 days, ForkRule.Remove);
        change(ring, accountsFrom(1001, 85), accountsFrom(1, 85));
        assertLe(gasOfLastCall("changeMembers: 85 in and 85 out, 256 members"), MOST - MOST / 32);
        for (uint256 i = 0; i < 85; i++) {
            putOut(ring, account(1001 + i));
        }
        change(ring, accountsFrom(1, 85), accountsFrom(1001, 85));
        assertLe(gasOfLastCall("changeMembers: 85 in, 85 counted exits forgotten, 171 members"), MOST - MOST / 32);
        assertEq(ring.countedMembers(), 256);
    }

    /// A ring of 128 replaces all of its members in one step.
    function test_changeMembers_replacesAll() public {
        IRing ring = makeRing(128, keeper, 1 days, ForkRule.Remove);
        change(ring, accountsFrom(1001, 128), accountsFrom(1, 128));
        assertLe(gasOfLastCall("changeMembers: all of 128"), MOST - MOST / 32);
    }

    function test_renounceKeeper_mostEntries() public {
        IRing ring = makeRing(4, keeper, 1 days, ForkRule.Remove);
        for (uint256 i = 0; i < 256; i++) {
            announce(ring, account(1001 + i));
        }
        vm.prank(keeper);
        engine.renounceKeeper(ring);
        assertLe(gasOfLastCall("renounceKeeper: 256 entries"), MOST / 2);
    }

    function test_registerRingNode_largest() public {
        IRing ring = makeRing(256, keeper, 1 days, ForkRule.Freeze);
        registerNode(ring, "node", ring.getMembers(), digests("heads", 256));
        assertLe(gasOfLastCall("registerRingNode: 256 members, 171 signatures, 256 first heads"), MOST - MOST / 32);
    }

    /// @dev The last of a chain of gates of which each waits for the one before, after one that `failed` or not. All have
    /// `inputs` inputs.
    function chain(uint256 length, uint256 inputs, bool failed) private returns (IGate last) {
        IRing ring = makeRing(1);
        GateSpec memory spec = makeSpec(ring, 1, inputs - 1);
        addConstants(spec, 1, inputs);
        spec.salt = keccak256(abi.encode(length));
        last = engine.createGate(spec);
        if (failed) fail(ring, last);
        for (uint256 i = 1; i < length; i++) {
            spec.inputs[1] = future(last, 0);
            last = engine.createGate(spec);
        }
    }

    function costOfIsFailed(IGate gate, bool expected) private view returns (uint256) {
        uint256 before = gasleft();
        bool result = gate.isFailed();
        uint256 cost = before - gasleft();
        assertEq(result, expected);
        return cost;
    }

    /// Each gate more costs the same, whether it is the tenth or the thousandth.
    function test_isFailed_isLinear() public {
        uint256 some = costOfIsFailed(chain(150, 2, true), true);
        uint256 many = costOfIsFailed(chain(1200, 2, true), true);
        assertLe(many, 9 * some);
        assertLe(many, 1200 * 20_000);
        assertLe(costOfIsFailed(chain(1201, 2, false), false), 1200 * 20_000);
    }

    /// Gates whose code is long take more time each, and not more for their number.
    function test_isFailed_isLinearInLargeGates() public {
        uint256 some = costOfIsFailed(chain(20, 256, true), true);
        assertLe(costOfIsFailed(chain(160, 256, true), true), 9 * some);
    }

    /// A gate with all its futures unset, and the same before it.
    function test_isFailed_wide() public {
        IRing ring = makeRing(1);
        GateSpec memory spec = makeLargeSpec(ring, 1);
        addFutures(spec, 1, ring);
        IGate first = engine.createGate(spec);
        assertLe(costOfIsFailed(first, false), 512 * 20_000);
        fail(ring, spec.inputs[511].gate);
        assertLe(costOfIsFailed(first, true), 512 * 20_000);
        // Whether this gate itself is resolved is told without a look at the others.
        uint256 before = gasleft();
        assertFalse(first.isResolved());
        assertLe(before - gasleft(), 30_000);
    }

    function test_challengePrimaryRing_largest() public {
        IRing upstreamRing = makeRing(1);
        GateSpec memory spec = makeLargeSpec(makeRing(1), 1);
        addFutures(spec, 1, upstreamRing);
        for (uint256 i = 1; i < spec.inputs.length; i++) {
            resolve(upstreamRing, spec.inputs[i].gate);
        }
        IGate gate = engine.createGate(spec);
        gate.challengePrimaryRing();
        assertLe(gasOfLastCall("challengePrimaryRing: the most rings and futures"), MOST / 2);
        skip(gate.CHALLENGE_TIMEOUT());
        gate.openFloodgate();
        assertLe(gasOfLastCall("openFloodgate: the most rings and futures"), MOST / 2);
    }
}
