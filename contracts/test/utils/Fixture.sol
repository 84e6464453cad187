// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Engine} from "../../src/Engine.sol";
import {CompoundAction} from "../../src/interfaces/IAvatars.sol";
import {IEngine} from "../../src/interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "../../src/interfaces/IGate.sol";
import {ForkRule} from "../../src/interfaces/IMembership.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {IScope, Mutability} from "../../src/interfaces/IScope.sol";
import {Digests} from "./Digests.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Signatures as the contracts take them.
struct Signatures {
    bytes32[] r;
    bytes32[] s;
    uint8[] v;
}

/// @notice An engine with a scope and the means to make rings, gates and signatures.
/// @dev Newer than the `Vm` of the library.
interface NewerVm {
    function expectPartialRevert(bytes4 selector) external;
    function cool(address target) external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256 id) external returns (bool);
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
}

abstract contract Fixture is Test {
    address internal constant SENTINEL = address(1);
    uint96 internal constant FAILURE = type(uint96).max;

    /// @dev The order of secp256k1.
    uint256 internal constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    NewerVm internal constant newerVm = NewerVm(VM_ADDRESS);

    Engine internal engine;
    IScope internal scope;
    address internal keeper = makeAddr("keeper");

    mapping(address account => uint256) internal keyOf;

    /// @dev From the artifact, so that not every test contract has the engine's code in its own.
    function newEngine() internal returns (Engine) {
        return Engine(deployCode("Engine.sol:Engine", abi.encode(deployCode("Ring.sol:Ring"))));
    }

    function setUp() public virtual {
        engine = newEngine();
        scope = engine.createScope("Data", "DATA");
    }

    /// @dev An account whose key is known to `sign`.
    function account(uint256 number) internal returns (address result) {
        uint256 key = uint256(keccak256(abi.encode("account", number))) % N;
        result = vm.addr(key);
        keyOf[result] = key;
    }

    /// @dev Accounts 1 to `count`, in no order.
    function accounts(uint256 count) internal returns (address[] memory result) {
        result = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            result[i] = account(i + 1);
        }
    }

    /// @dev A ring whose members are accounts 1 to `members`, and whose keeper waits for nothing.
    function makeRing(uint256 members) internal returns (IRing) {
        return makeRing(members, keeper, 0, ForkRule.Remove);
    }

    function makeRing(uint256 members, address keeper_, uint256 entryDelay, ForkRule forkRule)
        internal
        returns (IRing)
    {
        address[] memory first = accounts(members);
        vm.prank(keeper);
        return engine.createRing(first, keeper_, entryDelay, forkRule);
    }

    /// @dev Expects the error with `selector`, whatever its values are.
    function expectRevertWith(bytes4 selector) internal {
        newerVm.expectPartialRevert(selector);
    }

    function declare(bytes32 cid) internal returns (uint256) {
        bytes32[] memory cids = new bytes32[](1);
        cids[0] = cid;
        return scope.declareData(cids, Mutability.Constant)[0];
    }

    function constantId(bytes32 cid) internal pure returns (uint256) {
        return uint256(cid);
    }

    /// @dev The id of the variable that `owner` declares after `count` others.
    function variableId(address owner, uint256 count) internal pure returns (uint256) {
        return uint160(uint256(keccak256(abi.encode(owner, count))));
    }

    function token(uint256 tokenId) internal pure returns (Input memory) {
        return Input(tokenId, IGate(address(0)), 0);
    }

    function future(IGate gate, uint96 pin) internal pure returns (Input memory) {
        return Input(0, gate, pin);
    }

    /// @dev A spec with one ring, an operation, and room for `futures` more inputs.
    function makeSpec(IRing ring, uint96 outputs, uint256 futures) internal returns (GateSpec memory spec) {
        spec.scope = scope;
        spec.rings = new IRing[](1);
        spec.rings[0] = ring;
        spec.inputs = new Input[](1 + futures);
        spec.inputs[0] = token(declare(keccak256("operation")));
        spec.outputs = outputs;
    }

    function makeGate(IRing ring, uint96 outputs) internal returns (IGate) {
        return engine.createGate(makeSpec(ring, outputs, 0));
    }

    /// @dev A gate that waits for `pin` of `upstream`.
    function makeGateAfter(IRing ring, IGate upstream, uint96 pin) internal returns (IGate) {
        GateSpec memory spec = makeSpec(ring, 1, 1);
        spec.inputs[1] = future(upstream, pin);
        return engine.createGate(spec);
    }

    function pinsFrom(uint96 first, uint256 count) internal pure returns (uint96[] memory pins) {
        pins = new uint96[](count);
        for (uint256 i = 0; i < count; i++) {
            pins[i] = first + uint96(i);
        }
    }

    function onePin(uint96 pin) internal pure returns (uint96[] memory) {
        return pinsFrom(pin, 1);
    }

    function digests(bytes32 seed, uint256 count) internal pure returns (bytes32[] memory cids) {
        cids = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) {
            cids[i] = keccak256(abi.encode(seed, i));
        }
    }

    /// @dev The signatures of the first `count` members of `ring`, in ascending order.
    function sign(IRing ring, bytes32 digest, uint256 count) internal view returns (Signatures memory) {
        address[] memory members = ring.getMembers();
        uint256[] memory keys = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            keys[i] = keyOf[members[i]];
        }
        return signWith(keys, digest);
    }

    function signWith(uint256[] memory keys, bytes32 digest) internal pure returns (Signatures memory sigs) {
        sigs = Signatures(new bytes32[](keys.length), new bytes32[](keys.length), new uint8[](keys.length));
        for (uint256 i = 0; i < keys.length; i++) {
            (sigs.v[i], sigs.r[i], sigs.s[i]) = vm.sign(keys[i], digest);
        }
    }

    function outputsDigest(IRing ring, IGate gate, uint96[] memory pins, bytes32[] memory cids)
        internal
        view
        returns (bytes32)
    {
        return Digests.outputs(ring, block.chainid, address(gate), gate.inputsHash(), ring.epoch(), pins, cids);
    }

    function register(IRing ring, IGate gate, uint96[] memory pins, bytes32[] memory cids, Signatures memory sigs)
        internal
    {
        ring.registerOutputs(gate, pins, cids, sigs.r, sigs.s, sigs.v);
    }

    /// @dev Registers with as many signatures as the ring asks for.
    function resolve(IRing ring, IGate gate, uint96[] memory pins, bytes32[] memory cids) internal {
        register(ring, gate, pins, cids, sign(ring, outputsDigest(ring, gate, pins, cids), ring.quorum()));
    }

    function resolve(IRing ring, IGate gate) internal {
        uint96 outputs = gate.spec().outputs;
        resolve(ring, gate, pinsFrom(0, outputs), digests(bytes32(bytes20(address(gate))), outputs));
    }

    function fail(IRing ring, IGate gate) internal {
        resolve(ring, gate, onePin(FAILURE), digests("failure", 1));
    }

    function registerNode(IRing ring, bytes32 cid, address[] memory members, bytes32[] memory heads) internal {
        bytes32 digest = Digests.ringNode(ring, cid, members, heads);
        Signatures memory sigs = sign(ring, digest, ring.quorum());
        ring.registerRingNode(cid, members, heads, sigs.r, sigs.s, sigs.v);
    }

    /// @dev Changes the list with as many signatures as the ring asks for.
    function change(IRing ring, address[] memory enter, address[] memory exit) internal {
        bytes32 digest = Digests.members(ring, enter, exit, block.timestamp);
        Signatures memory sigs = sign(ring, digest, ring.quorum());
        ring.changeMembers(enter, exit, block.timestamp, sigs.r, sigs.s, sigs.v);
    }

    function noAccounts() internal pure returns (address[] memory) {}

    function only(address who) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = who;
    }

    /// @dev The keeper announces the entry of `who`.
    function announce(IRing ring, address who) internal {
        vm.prank(keeper);
        engine.enter(ring, who);
    }

    /// @dev The keeper puts `who` out.
    function putOut(IRing ring, address who) internal {
        vm.prank(keeper);
        engine.exit(ring, who);
    }

    /// @dev What `avatar` may flush next: a call, or none if `to` is 0.
    function nextAction(IRing ring, address avatar, address to, bytes memory data)
        internal
        view
        returns (CompoundAction memory action)
    {
        action.avatar = avatar;
        action.prevHead = ring.logNodeHeads(avatar);
        action.nonce = ring.nonceOf(avatar);
        action.newHead = keccak256(abi.encode("head", avatar, action.nonce));
        action.deadline = block.timestamp;
        action.to = to;
        action.data = data;
    }

    function signAction(IRing ring, CompoundAction memory action)
        internal
        view
        returns (bytes32 r, bytes32 s, uint8 v)
    {
        (v, r, s) = vm.sign(keyOf[action.avatar], Digests.action(block.chainid, address(ring), action));
    }

    function flush(IRing ring, CompoundAction memory action) internal returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        return ring.flush(action, r, s, v);
    }

    /// @dev The calldata of a flush that its avatar has signed.
    function flushData(IRing ring, CompoundAction memory action) internal view returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = signAction(ring, action);
        return abi.encodeCall(ring.flush, (action, r, s, v));
    }
}
