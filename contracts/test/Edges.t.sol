// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../src/interfaces/IAccount.sol";
import {CompoundAction} from "../src/interfaces/IAvatars.sol";
import {IAvatars} from "../src/interfaces/IAvatars.sol";
import {IEngine} from "../src/interfaces/IEngine.sol";
import {GateSpec, IGate} from "../src/interfaces/IGate.sol";
import {ForkRule} from "../src/interfaces/IMembership.sol";
import {IRing, SignedNode} from "../src/interfaces/IRing.sol";
import {IScope, Mutability} from "../src/interfaces/IScope.sol";
import {MemberSet} from "../src/libraries/MemberSet.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Notes the gas that it has at its first step.
contract GasNoter {
    uint256 public gasThere;

    fallback() external payable {
        gasThere = gasleft();
    }
}

/// @notice Bounds and firsts: what `anvil-scripts/prove mutation` changed and no other test noticed.
/// forge-config: default.isolate = true
contract EdgesTest is Fixture {
    /// @dev For the first step there, 100; and for a mutation run, whose code is not optimised.
    uint256 private constant SLACK = 600;

    /// @dev So much that its 64th and its 65th part differ by more than that.
    uint256 private constant MUCH = 10_000_000;

    IRing private ring;
    address private avatar;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
        avatar = account(2);
    }

    // The engine: what holds for an input holds for the first too

    function firstInput(IGate gate, uint96 pin) private returns (GateSpec memory spec) {
        spec = makeSpec(ring, 1, 0);
        spec.inputs[0] = future(gate, pin);
    }

    function test_createCircuit_theFirstInputIsJoined() public {
        GateSpec[] memory specs = new GateSpec[](2);
        (specs[0], specs[1]) = (makeSpec(ring, 1, 0), firstInput(IGate(address(1)), 0));
        IGate[] memory gates = engine.createCircuit(specs);
        assertEq(address(gates[1].spec().inputs[0].gate), address(gates[0]));
    }

    function test_createGate_theFirstInputIsKnown() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.inputs[0] = token(constantId(keccak256("unknown")));
        vm.expectRevert(abi.encodeWithSelector(IEngine.UnknownInput.selector, 0, constantId(keccak256("unknown"))));
        engine.createGate(spec);
        spec = firstInput(makeGate(ring, 1), 1);
        vm.expectRevert(abi.encodeWithSelector(IEngine.UnknownFuturePin.selector, 0, 1, 1));
        engine.createGate(spec);
    }

    function test_createGate_theFirstInputIsWellFormed() public {
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.inputs[0] = token(0);
        vm.expectRevert(abi.encodeWithSelector(IEngine.MalformedInput.selector, 0));
        engine.createGate(spec);
    }

    /// The same names from another maker, at the same point of the chain, give another address.
    function testFuzz_createScope_addressDependsOnTheMaker(address maker) public {
        vm.assume(maker != address(this));
        uint256 before = newerVm.snapshotState();
        address ours = address(engine.createScope("Data", "DATA"));
        newerVm.revertToState(before);
        vm.prank(maker);
        assertTrue(address(engine.createScope("Data", "DATA")) != ours);
    }

    function testFuzz_createRing_addressDependsOnTheMaker(address maker) public {
        vm.assume(maker != address(this));
        address[] memory members = accounts(3);
        uint256 before = newerVm.snapshotState();
        address ours = address(engine.createRing(members, address(this), 0, ForkRule.Remove));
        newerVm.revertToState(before);
        vm.prank(maker);
        assertTrue(address(engine.createRing(members, address(this), 0, ForkRule.Remove)) != ours);
    }

    // Answers: no more than there is, and from the first on

    function test_declareData_answersWithItsArray() public {
        for (uint256 count = 0; count < 4; count++) {
            bytes memory data = abi.encodeCall(IScope.declareData, (digests("data", count), Mutability.Constant));
            (bool success, bytes memory answer) = address(scope).call(data);
            assertTrue(success);
            assertEq(answer, abi.encode(abi.decode(answer, (uint256[]))));
        }
    }

    function test_ringNodesFrom_theFirst() public {
        registerNode(ring, "node", new address[](0), new bytes32[](0));
        assertEq(ring.ringNodesFrom(0, 10)[0], "node");
    }

    /// What lies behind a set in memory is not in it.
    function testFuzz_memberSet_isAtEndsWithTheSet(address last, address behind) public pure {
        address[] memory two = new address[](2);
        (two[0], two[1]) = (last, behind);
        bytes memory set = MemberSet.from(two);
        assembly {
            mstore(set, 20)
        }
        assertTrue(MemberSet.isAt(set, 0, last));
        assertFalse(MemberSet.isAt(set, 1, behind));
    }

    // Forks

    function signedNode(address author, bytes32 prev) private view returns (SignedNode memory node) {
        (node.prev, node.content) = (prev, "content");
        bytes32 digest = Digests.logNode(block.chainid, address(ring), 7, prev, node.content);
        (node.v, node.r, node.s) = vm.sign(keyOf[author], digest);
    }

    /// The same content after two different nodes is a fork too.
    function test_proveFork_twoPredecessors() public {
        ring.proveFork(7, signedNode(avatar, "one"), signedNode(avatar, "other"));
        assertFalse(ring.isMember(avatar));
    }

    // Gates

    function test_floodgate_opensAfterAnHour() public {
        IGate gate = makeGate(ring, 1);
        assertEq(gate.CHALLENGE_TIMEOUT(), 3600);
    }

    function test_output_nothing() public {
        IGate gate = makeGate(ring, 1);
        vm.prank(address(ring));
        vm.expectRevert(abi.encodeWithSelector(IGate.LengthMismatch.selector, 0, 0));
        gate.output(new uint96[](0), new uint256[](0));
    }

    // Accounts: the gas that an avatar asked for is there, even at an address that nobody has touched, and not much more
    // is demanded

    /// @dev What arrives of `gas` when a flush is given the least with which it does not revert.
    function gasThereAtLeast(uint256 value, uint256 gas) private returns (uint256) {
        GasNoter noter = new GasNoter();
        flush(ring, nextAction(ring, avatar, address(noter), "")); // makes the account
        vm.deal(ring.accountOf(avatar), 1 ether);
        CompoundAction memory action = nextAction(ring, avatar, address(noter), "");
        (action.value, action.gas) = (value, gas);
        bytes memory data = flushData(ring, action);
        (uint256 low, uint256 high) = (gas, gas + 1_000_000);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            uint256 before = newerVm.snapshotState();
            newerVm.cool(address(noter));
            (bool success,) = address(ring).call{gas: middle}(data);
            newerVm.revertToState(before);
            if (success) high = middle;
            else low = middle;
        }
        newerVm.cool(address(noter));
        (bool done,) = address(ring).call{gas: high}(data);
        assertTrue(done);
        return noter.gasThere();
    }

    function test_flush_gasArrives() public {
        uint256 there = gasThereAtLeast(0, MUCH);
        assertGe(there + SLACK, MUCH);
        assertLe(there, MUCH + 3_600); // of these 2,600 for a delegation that there is not
    }

    function test_flush_gasArrivesWithEther() public {
        uint256 there = gasThereAtLeast(1, MUCH);
        assertGe(there + SLACK, MUCH);
        assertLe(there, MUCH + 30_000); // of these 25,000 for an account that need not be made here, and 2,300 from EIP-150
    }

    /// With so little gas that not even the call could be paid, that is said.
    function test_execute_noGasAtAll() public {
        GasNoter noter = new GasNoter();
        flush(ring, nextAction(ring, avatar, address(noter), ""));
        IAccount its = IAccount(ring.accountOf(avatar));
        uint256 told;
        for (uint256 gas = 500; gas < 12_000; gas += 20) {
            vm.prank(address(ring));
            (bool success, bytes memory reason) =
                address(its).call{gas: gas}(abi.encodeCall(IAccount.execute, (address(noter), 0, 1_000_000, "")));
            assertFalse(success);
            if (reason.length == 0) continue;
            assertEq(bytes4(reason), IAccount.NotEnoughGas.selector);
            told++;
        }
        assertGt(told, 100);
    }

    /// An account is made once, and that is said once.
    function test_flush_accountIsMadeOnce() public {
        flush(ring, nextAction(ring, avatar, address(new GasNoter()), ""));
        vm.recordLogs();
        flush(ring, nextAction(ring, avatar, address(new GasNoter()), ""));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            assertTrue(logs[i].topics[0] != IAvatars.AccountCreated.selector);
        }
    }
}
