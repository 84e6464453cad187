// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "../src/interfaces/IAccount.sol";
import {CompoundAction, IAvatars} from "../src/interfaces/IAvatars.sol";
import {IEngine} from "../src/interfaces/IEngine.sol";
import {GateSpec, IGate} from "../src/interfaces/IGate.sol";
import {IMembers} from "../src/interfaces/IMembers.sol";
import {IRing} from "../src/interfaces/IRing.sol";
import {IScope, Mutability} from "../src/interfaces/IScope.sol";
import {Callee} from "./utils/Callee.sol";
import {Digests} from "./utils/Digests.sol";
import {Fixture, Signatures} from "./utils/Fixture.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";

/// @notice What the call of a compound action can do, and what it cannot.
contract FlushTest is Fixture {
    IRing private ring;
    Callee private callee;
    address private avatar;

    function setUp() public override {
        super.setUp();
        ring = makeRing(5);
        callee = new Callee();
        avatar = account(3);
    }

    function calling(address to, bytes memory data) private view returns (CompoundAction memory) {
        return nextAction(ring, avatar, to, data);
    }

    function calling(bytes memory data) private view returns (CompoundAction memory) {
        return calling(address(callee), data);
    }

    /// @dev Refused, and nothing of it remains.
    function assertRefused(CompoundAction memory action, bytes memory reason) private {
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        vm.expectRevert(reason);
        ring.flush(action, r, s, v);
        assertEq(ring.nonceOf(action.avatar), action.nonce);
        assertEq(ring.logNodeHeads(action.avatar), action.prevHead);
    }

    function failed(address to, bytes memory reason) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccount.CallFailed.selector, to, reason);
    }

    // One avatar has no more power than its account has: none

    function stateOfAll(IGate gate, uint256 variable) private view returns (bytes32) {
        bytes32 members = keccak256(abi.encode(ring.getMembers(), ring.epoch(), ring.ringNodeHead()));
        bytes32 keepers = keccak256(abi.encode(engine.keeperOf(ring), engine.pendingKeeperOf(ring)));
        bytes32 gates = keccak256(abi.encode(gate.outputOf(0), gate.isResolved(), gate.outputOf(FAILURE)));
        return keccak256(
            abi.encode(members, keepers, gates, scope.readData(variable), ERC721(address(scope)).ownerOf(variable))
        );
    }

    /// @dev A variable and a constant that belong to the ring, and one gate that it works for.
    function test_flush_borrowsNoAuthority() public {
        IGate gate = makeGate(ring, 1);
        uint256 variable = declareVariable(address(ring));
        uint256 constantToken = declare("constant");
        bytes32 before = stateOfAll(gate, variable);
        (address[] memory to, bytes[] memory data) = attempts(gate, variable, constantToken);
        for (uint256 i = 0; i < to.length; i++) {
            (bool success, bytes memory reason) = to[i].call(data[i]);
            assertFalse(success, "anyone can do it: the attempt proves nothing");
            vm.prank(ring.accountOf(avatar));
            (success, reason) = to[i].call(data[i]);
            assertFalse(success);
            assertRefused(calling(to[i], data[i]), failed(to[i], reason));
            assertEq(stateOfAll(gate, variable), before);
        }
    }

    function declareVariable(address owner) private returns (uint256) {
        vm.prank(owner);
        return scope.declareData(digests("variable", 1), Mutability.Variable)[0];
    }

    function attempts(IGate gate, uint256 variable, uint256 constantToken)
        private
        returns (address[] memory to, bytes[] memory data)
    {
        (to, data) = (new address[](12), new bytes[](12));
        uint256[] memory tokens = new uint256[](1);
        tokens[0] = constantToken;
        (bytes32[] memory none, uint8[] memory v) = (new bytes32[](0), new uint8[](0));
        for (uint256 i = 0; i < 12; i++) {
            to[i] = i < 2 ? address(gate) : i < 5 ? address(scope) : i < 8 ? address(engine) : address(ring);
        }
        data[0] = abi.encodeCall(IGate.output, (onePin(0), tokens));
        data[1] = abi.encodeCall(IGate.output, (onePin(FAILURE), tokens));
        data[2] = abi.encodeCall(IScope.deleteData, (variable));
        data[3] = abi.encodeCall(IScope.writeData, (variable, "other"));
        data[4] = abi.encodeWithSignature("transferFrom(address,address,uint256)", ring, avatar, variable);
        data[5] = abi.encodeCall(IEngine.exit, (ring, account(1)));
        data[6] = abi.encodeCall(IEngine.enter, (ring, account(9)));
        data[7] = abi.encodeCall(IEngine.transferKeeper, (ring, avatar));
        data[8] = abi.encodeCall(IRing.exit, (account(1)));
        data[9] = abi.encodeCall(IRing.enter, (account(9)));
        data[10] = abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), digests("x", 1), none, none, v));
        data[11] = abi.encodeCall(IRing.registerRingNode, ("node", new address[](0), none, none, none, v));
    }

    /// What the account itself owns is the avatar's to use.
    function test_flush_ownVariable() public {
        address its = ring.accountOf(avatar);
        flush(ring, calling(address(scope), abi.encodeCall(IScope.declareData, (digests("a", 1), Mutability.Variable))));
        uint256 variable = variableId(its, 0);
        flush(ring, calling(address(scope), abi.encodeCall(IScope.writeData, (variable, keccak256("value")))));
        assertEq(scope.readData(variable), keccak256("value"));
        flush(ring, calling(address(scope), abi.encodeCall(IScope.deleteData, (variable))));
        assertFalse(scope.exists(variable));
        assertGt(its.code.length, 0);
    }

    /// An account can be the keeper of rings, and acts as one.
    function test_flush_asKeeper() public {
        address its = ring.accountOf(avatar);
        vm.prank(keeper);
        engine.transferKeeper(ring, its);
        flush(ring, calling(address(engine), abi.encodeCall(IEngine.acceptKeeper, (ring))));
        flush(ring, calling(address(engine), abi.encodeCall(IEngine.exit, (ring, avatar))));
        assertFalse(ring.isMember(avatar));
    }

    // Failing callees

    function testFuzz_flush_calleeRefuses(uint256 number) public {
        bytes memory reason = abi.encodeWithSelector(Callee.Refused.selector, number);
        assertRefused(calling(abi.encodeCall(Callee.refuse, (number))), failed(address(callee), reason));
    }

    function testFuzz_flush_calleeGivesAnyReason(bytes memory reason) public {
        vm.assume(reason.length <= 4096);
        assertRefused(calling(abi.encodeCall(Callee.refuseWith, (reason))), failed(address(callee), reason));
    }

    /// A callee that reverts with one of the ring's own errors does not pass for the ring.
    function test_flush_calleeFakesAnError() public {
        bytes memory fake = abi.encodeWithSelector(IAvatars.StaleHead.selector, bytes32("a"), bytes32("b"));
        assertRefused(calling(abi.encodeCall(Callee.refuseWith, (fake))), failed(address(callee), fake));
    }

    function test_flush_calleeBurnsAllGas() public {
        CompoundAction memory action = calling(abi.encodeCall(Callee.burnAllGas, ()));
        (bool success,) = address(ring).call{gas: 3_000_000}(flushData(ring, action));
        assertFalse(success);
        assertEq(ring.nonceOf(avatar), 0);
    }

    /// A megabyte costs the callee 2.2 million gas to make, and the rest of the way next to nothing.
    function test_flush_calleeReturnsAMegabyte() public {
        uint256 size = 1 << 20;
        CompoundAction memory action = calling(abi.encodeCall(Callee.returnMuch, (size, false)));
        bytes memory data = flushData(ring, action);
        uint256 gasBefore = gasleft();
        (bool success, bytes memory result) = address(ring).call(data);
        assertTrue(success);
        assertEq(abi.decode(result, (bytes)).length, 4096);
        assertLt(gasBefore - gasleft(), 2_195_456 + 200_000);
    }

    function test_flush_calleeRevertsWithAMegabyte() public {
        CompoundAction memory action = calling(abi.encodeCall(Callee.returnMuch, (1 << 20, true)));
        bytes memory data = flushData(ring, action);
        uint256 gasBefore = gasleft();
        (bool success, bytes memory reason) = address(ring).call(data);
        assertLt(gasBefore - gasleft(), 2_195_456 + 200_000);
        assertFalse(success);
        assertEq(bytes4(reason), IAccount.CallFailed.selector);
        assertEq(reason.length, failed(address(callee), new bytes(4096)).length);
    }

    function testFuzz_flush_resultIsCut(uint256 size) public {
        size = bound(size, 0, 10_000);
        bytes memory result = flush(ring, calling(abi.encodeCall(Callee.returnMuch, (size, false))));
        assertEq(result.length, size < 4096 ? size : 4096);
    }

    /// The ring cannot keep ether from being put on it; what an avatar has is not touched by it.
    function test_flush_calleeDestroysItself() public {
        vm.deal(address(callee), 1 ether);
        address its = ring.accountOf(avatar);
        vm.deal(its, 1 ether);
        flush(ring, calling(abi.encodeCall(Callee.destroy, (payable(its)))));
        assertEq(its.balance, 2 ether);
        assertGt(its.code.length, 0);
        assertEq(ring.nonceOf(avatar), 1);
    }

    function testFuzz_flush_noCodeThere(address nobody, bytes memory data) public {
        vm.assume(data.length != 0 && nobody.code.length == 0 && nobody != address(0));
        vm.assume(nobody != ring.accountOf(avatar) && nobody != VM_ADDRESS);
        assertRefused(calling(nobody, data), abi.encodeWithSelector(IAccount.NotAContract.selector, nobody));
    }

    /// Nor with ether, which alone may be paid to anyone.
    function testFuzz_flush_noCodeThere_withEther(address nobody, uint96 value) public {
        vm.assume(value != 0 && nobody.code.length == 0 && uint160(nobody) > 0x1000);
        vm.assume(nobody != ring.accountOf(avatar) && nobody != VM_ADDRESS);
        vm.deal(ring.accountOf(avatar), value);
        CompoundAction memory action = calling(nobody, hex"00");
        action.value = value;
        assertRefused(action, abi.encodeWithSelector(IAccount.NotAContract.selector, nobody));
        action.data = "";
        uint256 before = nobody.balance;
        flush(ring, action);
        assertEq(nobody.balance, before + value);
    }

    // Ether

    function testFuzz_flush_notEnoughEther(uint256 value, uint96 balance) public {
        vm.assume(value > balance);
        vm.deal(ring.accountOf(avatar), balance);
        CompoundAction memory action = calling(abi.encodeCall(Callee.remember, ()));
        action.value = value;
        assertRefused(action, abi.encodeWithSelector(IAccount.NotEnoughEther.selector, balance, value));
    }

    /// Ether that is on the ring by force is nobody's to spend.
    function test_flush_notFromTheRing() public {
        vm.deal(address(ring), 1 ether);
        CompoundAction memory action = calling("");
        action.value = 1;
        assertRefused(action, abi.encodeWithSelector(IAccount.NotEnoughEther.selector, 0, 1));
        assertEq(address(ring).balance, 1 ether);
    }

    function test_flush_paysAnyone() public {
        address somebody = makeAddr("somebody");
        vm.deal(ring.accountOf(avatar), 2 ether);
        CompoundAction memory action = calling(somebody, "");
        action.value = 2 ether;
        flush(ring, action);
        assertEq(somebody.balance, 2 ether);
    }

    function test_flush_bringsNoEther() public {
        bytes memory data = flushData(ring, calling(""));
        vm.deal(address(this), 1 ether);
        (bool success,) = address(ring).call{value: 1}(data);
        assertFalse(success);
    }

    // Gas

    /// @dev Flushes with `limit` gas, looks at what has come of it, and takes it back.
    function outcome(bytes memory data, uint256 limit) private returns (bool done) {
        uint256 fork = newerVm.snapshotState();
        uint256 nonce = ring.nonceOf(avatar);
        newerVm.cool(address(callee));
        (done,) = address(ring).call{gas: limit}(data);
        assertEq(ring.nonceOf(avatar), done ? nonce + 1 : nonce);
        assertEq(ring.logNodeHeads(avatar) != 0, done);
        assertEq(callee.calls(), done ? 1 : 0, "done, and the call was starved");
        newerVm.revertToState(fork);
    }

    /// There is a least gas limit with which all is done. Below it nothing is; and from there on, all is.
    /// forge-config: default.fuzz.runs = 8
    function testFuzz_flush_noGasLimitStarvesTheCall(uint256 needed, bool isMade) public {
        needed = bound(needed, 30_000, 3_000_000);
        if (isMade) makeAccount();
        CompoundAction memory action = calling(abi.encodeCall(Callee.remembersIfItCan, (needed - 300)));
        action.gas = needed;
        bytes memory data = flushData(ring, action);
        (uint256 low, uint256 high) = (21_000, 10_000_000);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (outcome(data, middle)) high = middle;
            else low = middle;
        }
        for (uint256 limit = high - 100; limit < high + 100; limit++) {
            assertEq(outcome(data, limit), limit >= high);
        }
    }

    /// @dev The avatar leaves, uses its account, and comes back.
    function makeAccount() private {
        vm.prank(keeper);
        engine.exit(ring, avatar);
        vm.prank(avatar);
        ring.rescue(address(0xdead), 0, "");
        vm.prank(keeper);
        engine.enter(ring, avatar);
        ring.settle(avatar);
    }

    /// With the least limit that does not fail, a callee still gets what was promised, with ether or without. It is one that
    /// this transaction has not seen before, to which a call is dearest.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_flush_calleeGetsItsGas(uint256 needed, bool pays) public {
        needed = bound(needed, 30_000, 2_000_000);
        vm.deal(ring.accountOf(avatar), 1);
        GasReceiver receiver = new GasReceiver();
        CompoundAction memory action = calling(pays ? bytes("") : abi.encodeCall(Callee.noteGas, ()));
        if (pays) (action.to, action.value) = (address(receiver), 1);
        action.gas = needed;
        bytes memory data = flushData(ring, action);
        (uint256 low, uint256 high) = (21_000, 10_000_000);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (gasThereWith(data, action.to, middle) > 0) high = middle;
            else low = middle;
        }
        // Up to its first look at the gas the callee has used some.
        assertGe(gasThereWith(data, action.to, high) + 300, needed);
    }

    /// @dev What a callee that notes its gas has got of `limit`; 0 if the flush failed.
    function gasThereWith(bytes memory data, address to, uint256 limit) private returns (uint256 gasThere) {
        uint256 fork = newerVm.snapshotState();
        newerVm.cool(to);
        (bool success,) = address(ring).call{gas: limit}(data);
        if (success) gasThere = GasReceiver(payable(to)).gasThere();
        newerVm.revertToState(fork);
    }

    function testFuzz_flush_moreGasThanThereIs(uint256 needed) public {
        needed = bound(needed, 1 << 40, type(uint256).max);
        CompoundAction memory action = calling(abi.encodeCall(Callee.remember, ()));
        action.gas = needed;
        (bool success, bytes memory reason) = address(ring).call{gas: 5_000_000}(flushData(ring, action));
        assertFalse(success);
        assertEq(bytes4(reason), IAccount.NotEnoughGas.selector);
    }

    // Coming back in

    function relaying(address to, bytes memory data) private view returns (CompoundAction memory) {
        return calling(abi.encodeCall(Callee.relay, (to, data)));
    }

    function test_flush_reenter_same() public {
        CompoundAction memory action = calling("");
        bytes memory first = flushData(ring, action);
        action = relaying(address(ring), first);
        assertRefused(action, failed(address(callee), abi.encodeWithSelector(IAvatars.WrongNonce.selector, 0, 1)));
        // The same action within itself cannot be signed, for it would contain itself; but its callee may know it.
        Replayer replayer = new Replayer(ring);
        action = calling(address(replayer), abi.encodeCall(Replayer.replay, ()));
        bytes memory data = flushData(ring, action);
        replayer.know(data);
        (bool success,) = address(ring).call(data);
        assertTrue(success);
        assertEq(replayer.attempts(), 1);
        assertEq(bytes4(replayer.reason()), IAvatars.WrongNonce.selector);
        assertEq(ring.nonceOf(avatar), 1);
    }

    function test_flush_reenter_next() public {
        CompoundAction memory outer = calling("");
        CompoundAction memory inner = calling(abi.encodeCall(Callee.remember, ()));
        (inner.nonce, inner.prevHead, inner.newHead) = (1, outer.newHead, "next");
        outer.data = abi.encodeCall(Callee.relay, (address(ring), flushData(ring, inner)));
        flush(ring, outer);
        assertEq(ring.nonceOf(avatar), 2);
        assertEq(ring.logNodeHeads(avatar), "next");
        assertEq(callee.calls(), 1);
    }

    function test_flush_reenter_another() public {
        address other = account(4);
        CompoundAction memory inner = nextAction(ring, other, address(callee), abi.encodeCall(Callee.remember, ()));
        flush(ring, relaying(address(ring), flushData(ring, inner)));
        assertEq(callee.caller(), ring.accountOf(other));
        assertEq(ring.nonceOf(other), 1);
        assertEq(ring.nonceOf(avatar), 1);
    }

    function test_flush_reenter_registerOutputs() public {
        IGate gate = makeGate(ring, 1);
        bytes32[] memory cids = digests("result", 1);
        Signatures memory sigs = sign(ring, outputsDigest(ring, gate, onePin(0), cids), 4);
        bytes memory data = abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), cids, sigs.r, sigs.s, sigs.v));
        flush(ring, relaying(address(ring), data));
        assertTrue(gate.isResolved());
    }

    /// A ring node that moves the same head finds it where the flush has put it already.
    function test_flush_reenter_registerRingNode() public {
        address[] memory who = new address[](1);
        who[0] = avatar;
        bytes32[] memory heads = digests("head", 1);
        Signatures memory sigs = sign(ring, Digests.ringNode(ring, "node", who, heads), 4);
        bytes memory data = abi.encodeCall(IRing.registerRingNode, ("node", who, heads, sigs.r, sigs.s, sigs.v));
        CompoundAction memory action = calling(abi.encodeCall(Callee.tryRelay, (address(ring), data)));
        assertFalse(abi.decode(flush(ring, action), (bool)));
        assertEq(ring.logNodeHeads(avatar), action.newHead);
        assertEq(ring.ringNodeHead(), 0);
    }

    /// Who is put out during its own call is out afterwards, and its log stands where it put it.
    function test_flush_reenter_exit() public {
        vm.prank(keeper);
        engine.transferKeeper(ring, address(callee));
        callee.relay(address(engine), abi.encodeCall(IEngine.acceptKeeper, (ring)));
        CompoundAction memory action = relaying(address(engine), abi.encodeCall(IEngine.exit, (ring, avatar)));
        flush(ring, action);
        assertFalse(ring.isMember(avatar));
        assertEq(ring.logNodeHeads(avatar), action.newHead);
        assertEq(ring.nonceOf(avatar), 2);
    }

    function test_flush_reenter_rescue() public {
        bytes memory data = abi.encodeCall(IAvatars.rescue, (address(this), 1, ""));
        vm.deal(ring.accountOf(avatar), 1);
        // The callee gets at an account: its own, which is empty.
        bytes memory reason = abi.encodeWithSelector(IAccount.NotEnoughEther.selector, 0, 1);
        assertRefused(relaying(address(ring), data), failed(address(callee), reason));
    }
}

/// @notice Tries to have a compound action carried out again from within its own call.
contract Replayer {
    IRing private ring;
    bytes private action;
    uint256 public attempts;
    bytes public reason;

    constructor(IRing ring_) {
        ring = ring_;
    }

    function know(bytes calldata action_) external {
        action = action_;
    }

    function replay() external {
        attempts++;
        bool success;
        (success, reason) = address(ring).call(action);
        require(!success, "twice");
    }
}

/// @notice Notes the gas it got with a payment.
contract GasReceiver {
    uint256 public gasThere;

    receive() external payable {
        gasThere = gasleft();
    }
}
