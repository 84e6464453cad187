// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {GateSpec, IGate} from "../../src/interfaces/IGate.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {Fixture, Signatures} from "../utils/Fixture.sol";
import {PlainSignatures} from "../utils/PlainSignatures.sol";

/// @notice Does with one ring what its keeper, its members and strangers may try, and keeps a model of what must be.
/// @dev Each action chooses what can succeed, and the hostile ones expect to fail: no action here reverts itself.
contract RingHandler is Fixture {
    uint256 private constant ACCOUNTS = 12;
    uint256 private constant MAX_GATES = 40;

    /// @dev Signatures that were never sent, and what they were for.
    struct Kept {
        IGate gate;
        bytes32[] cids;
        Signatures sigs;
        uint256 epoch;
    }

    IRing public ring;
    address[] private people;

    // The model.
    address[] private members;
    uint256 public epoch;
    IGate[] private gates;
    mapping(IGate gate => bytes32) public resultOf;
    bytes32[] private nodes;
    mapping(address member => bytes32) public headOf;
    Kept[] private kept;

    mapping(bytes32 action => uint256) public calls;
    mapping(bytes32 action => uint256) public idle;

    modifier counted(bytes32 action) {
        calls[action]++;
        _;
    }

    constructor() {
        Fixture.setUp();
        people = accounts(ACCOUNTS);
        ring = makeRing(5);
        members = accounts(5);
        epoch = 1;
    }

    function modelMembers() external view returns (address[] memory) {
        return members;
    }

    function modelGates() external view returns (IGate[] memory) {
        return gates;
    }

    function modelNodes() external view returns (bytes32[] memory) {
        return nodes;
    }

    function everyone() external view returns (address[] memory) {
        return people;
    }

    function enterOrExit(uint256 seed) external counted("enterOrExit") {
        address who = people[seed % ACCOUNTS];
        bool isIn = PlainSignatures.isAmong(members, who);
        vm.prank(keeper);
        if (isIn) engine.exit(ring, who);
        else engine.enter(ring, who);
        if (isIn) remove(who);
        else members.push(who);
        epoch++;
    }

    function remove(address who) private {
        for (uint256 i = 0; i < members.length; i++) {
            if (members[i] != who) continue;
            members[i] = members[members.length - 1];
            members.pop();
            return;
        }
    }

    function createGate(uint256 seed) external counted("createGate") {
        if (gates.length >= MAX_GATES) return skip_("createGate");
        bool isFree = gates.length == 0 || seed % 3 == 0;
        GateSpec memory spec = makeSpec(ring, 1, isFree ? 0 : 1);
        spec.salt = bytes32(seed);
        if (!isFree) spec.inputs[1] = future(gates[seed % gates.length], 0);
        IGate gate = engine.createGate(spec);
        for (uint256 i = 0; i < gates.length; i++) {
            if (address(gates[i]) == address(gate)) return;
        }
        gates.push(gate);
    }

    /// @dev A gate that is ready and not resolved: one of those that there are, else a new one.
    function openGate(uint256 seed) private returns (IGate gate) {
        for (uint256 i = 0; i < gates.length; i++) {
            gate = gates[addmod(seed, i, gates.length)];
            if (gate.isReady() && !gate.isResolved()) return gate;
        }
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.salt = bytes32(gates.length);
        gate = engine.createGate(spec);
        gates.push(gate);
    }

    function registerOutputs(uint256 seed, bool failed) external counted("registerOutputs") {
        if (members.length == 0) return skip_("registerOutputs");
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        resolve(ring, gate, onePin(failed ? FAILURE : 0), cids);
        resultOf[gate] = cids[0];
    }

    /// @dev Members sign, and the signatures stay in somebody's hands.
    function keepSignatures(uint256 seed) external counted("keepSignatures") {
        if (members.length == 0 || kept.length > 30) return skip_("keepSignatures");
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        bytes32 digest = outputsDigest(ring, gate, onePin(0), cids);
        Kept storage entry = kept.push();
        Signatures memory sigs = sign(ring, digest, ring.quorum());
        (entry.gate, entry.cids, entry.epoch) = (gate, cids, epoch);
        (entry.sigs.r, entry.sigs.s, entry.sigs.v) = (sigs.r, sigs.s, sigs.v);
    }

    /// @dev They count if nothing has changed since, and only then.
    function sendKeptSignatures(uint256 seed) external counted("sendKeptSignatures") {
        if (kept.length == 0) return skip_("sendKeptSignatures");
        Kept memory entry = kept[seed % kept.length];
        bool isGood = entry.epoch == epoch && !entry.gate.isResolved();
        bool success = tryRegister(entry.gate, entry.cids, entry.sigs);
        require(success == isGood, "kept signatures");
        if (success) resultOf[entry.gate] = entry.cids[0];
    }

    /// @dev Fewer than the quorum, or the quorum with somebody twice, or with a stranger.
    function registerWithTooFew(uint256 seed) external counted("registerWithTooFew") {
        if (members.length < 2) return skip_("registerWithTooFew");
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        bytes32 digest = outputsDigest(ring, gate, onePin(0), cids);
        uint256 needed = ring.quorum();
        Signatures memory sigs = sign(ring, digest, seed % 3 == 0 ? needed - 1 : needed);
        if (seed % 3 == 1) (sigs.r[1], sigs.s[1], sigs.v[1]) = (sigs.r[0], sigs.s[0], sigs.v[0]);
        if (seed % 3 == 2) (sigs.v[0], sigs.r[0], sigs.s[0]) = vm.sign(keyOf[account(ACCOUNTS + 1)], digest);
        require(!tryRegister(gate, cids, sigs), "too few");
    }

    function tryRegister(IGate gate, bytes32[] memory cids, Signatures memory sigs) private returns (bool success) {
        bytes memory data = abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), cids, sigs.r, sigs.s, sigs.v));
        (success,) = address(ring).call(data);
    }

    function registerRingNode(uint256 seed) external counted("registerRingNode") {
        if (members.length == 0) return skip_("registerRingNode");
        address[] memory sorted = ring.getMembers();
        address[] memory who = new address[](seed % (sorted.length + 1));
        bytes32[] memory heads = new bytes32[](who.length);
        for (uint256 i = 0; i < who.length; i++) {
            (who[i], heads[i]) = (sorted[i], keccak256(abi.encode(seed, nodes.length, i)));
            headOf[who[i]] = heads[i];
        }
        bytes32 cid = keccak256(abi.encode(seed, nodes.length));
        registerNode(ring, cid, who, heads);
        nodes.push(cid);
    }

    /// @dev Many at once, so that the buffer goes round.
    function registerManyRingNodes(uint256 seed) external counted("registerManyRingNodes") {
        if (members.length == 0 || nodes.length > 300) return skip_("registerManyRingNodes");
        for (uint256 i = 0; i < 25; i++) {
            bytes32 cid = keccak256(abi.encode(seed, nodes.length));
            registerNode(ring, cid, new address[](0), new bytes32[](0));
            nodes.push(cid);
        }
    }

    /// @dev A stranger goes to every door.
    function intrude(uint256 seed) external counted("intrude") {
        address stranger = people[seed % ACCOUNTS];
        bytes[4] memory attempts = [
            abi.encodeCall(IRing.enter, (stranger)),
            abi.encodeCall(IRing.exit, (people[(seed >> 8) % ACCOUNTS])),
            abi.encodeCall(IRing.initialize, (people)),
            abi.encodeCall(
                IRing.registerRingNode,
                (bytes32(seed), new address[](0), new bytes32[](0), new bytes32[](0), new bytes32[](0), new uint8[](0))
            )
        ];
        for (uint256 i = 0; i < attempts.length; i++) {
            vm.prank(stranger);
            (bool success,) = address(ring).call(attempts[i]);
            require(!success, "a way in");
        }
        if (gates.length == 0) return;
        vm.prank(stranger);
        (bool set,) =
            address(gates[seed % gates.length]).call(abi.encodeCall(IGate.output, (onePin(0), new uint256[](1))));
        require(!set, "a stranger's output");
    }

    function skip_(bytes32 action) private {
        idle[action]++;
    }
}
