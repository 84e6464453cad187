// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GateSpec, IGate} from "../../src/interfaces/IGate.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {Signatures} from "../utils/Fixture.sol";
import {MembershipActions} from "./MembershipActions.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";

/// @notice What is asked, and what two thirds answer.
abstract contract OutputActions is MembershipActions {
    uint256 private constant MAX_GATES = 40;
    uint256 private constant MAX_KEPT = 20;

    /// @dev Signatures that were never sent, and what they were for.
    struct Kept {
        IGate gate;
        bytes32[] cids;
        Signatures sigs;
        uint256 epoch;
    }

    Kept[] private kept;

    /// @dev When there are many, one that is there is asked for again.
    function createGate(uint256 seed) external {
        bool isFree = gates.length == 0 || seed % 3 == 0;
        GateSpec memory spec = makeSpec(ring, 1, isFree ? 0 : 1);
        spec.salt = bytes32(seed);
        if (!isFree) spec.inputs[1] = future(gates[seed % gates.length], 0);
        if (gates.length >= MAX_GATES) spec = gates[seed % gates.length].spec();
        note(engine.createGate(spec));
    }

    function note(IGate gate) private {
        for (uint256 i = 0; i < gates.length; i++) {
            if (address(gates[i]) == address(gate)) return;
        }
        gates.push(gate);
    }

    /// @dev A gate that is ready and not resolved: one of those that there are, else a new one.
    function openGate(uint256 seed) internal returns (IGate gate) {
        for (uint256 i = 0; i < gates.length; i++) {
            gate = gates[addmod(seed, i, gates.length)];
            if (gate.isReady() && !gate.isResolved()) return gate;
        }
        GateSpec memory spec = makeSpec(ring, 1, 0);
        spec.salt = keccak256(abi.encode(seed, gates.length));
        gate = engine.createGate(spec);
        gates.push(gate);
    }

    function registerOutputs(uint256 seed, bool failed) external {
        needMembers(1);
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        bytes32 digest = outputsDigest(ring, gate, onePin(failed ? FAILURE : 0), cids);
        Signatures memory sigs = sign(ring, digest, ring.quorum());
        register(ring, gate, onePin(failed ? FAILURE : 0), cids, sigs);
        accepted(gate, cids[0], digest, sigs);
    }

    /// @dev What was accepted was signed by members, each once, two thirds of them, of now; and the gate had nothing.
    function accepted(IGate gate, bytes32 cid, bytes32 digest, Signatures memory sigs) private {
        address previous;
        for (uint256 i = 0; i < sigs.r.length; i++) {
            address signer = ecrecover(digest, sigs.v[i], sigs.r[i], sigs.s[i]);
            require(signer > previous && isIn(signer), "signed by no member, or twice by one");
            previous = signer;
        }
        require(members.length != 0 && 3 * sigs.r.length >= 2 * counted(), "fewer than two thirds");
        require(resultOf[gate] == 0, "a pin was written twice");
        resultOf[gate] = cid;
    }

    function tryRegister(IGate gate, bytes32[] memory cids, Signatures memory sigs) private returns (bool success) {
        bytes memory data = abi.encodeCall(IRing.registerOutputs, (gate, onePin(0), cids, sigs.r, sigs.s, sigs.v));
        (success,) = address(ring).call(data);
    }

    /// @dev Members sign, and the signatures stay in somebody's hands.
    function keepSignatures(uint256 seed) public {
        needMembers(1);
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        Signatures memory sigs = sign(ring, outputsDigest(ring, gate, onePin(0), cids), ring.quorum());
        Kept storage entry = kept.length < MAX_KEPT ? kept.push() : kept[seed % kept.length];
        (entry.gate, entry.cids, entry.epoch) = (gate, cids, epoch);
        (entry.sigs.r, entry.sigs.s, entry.sigs.v) = (sigs.r, sigs.s, sigs.v);
    }

    /// @dev They count if nothing has changed since, and only then.
    function sendKeptSignatures(uint256 seed) external {
        if (kept.length == 0) keepSignatures(seed);
        Kept memory entry = kept[seed % kept.length];
        bool isEnough = 3 * entry.sigs.r.length >= 2 * counted();
        bool isGood = entry.epoch == epoch && !entry.gate.isResolved() && isEnough;
        bytes32 digest = outputsDigest(ring, entry.gate, onePin(0), entry.cids);
        bool success = tryRegister(entry.gate, entry.cids, entry.sigs);
        require(success == isGood, "kept signatures");
        count("kept signatures", success);
        if (success) accepted(entry.gate, entry.cids[0], digest, entry.sigs);
    }

    /// @dev Any of the people sign, one of them perhaps twice. It counts if the rule says so, and only then.
    function registerWithAnybody(uint256 seed, uint256 mask, bool twice) external {
        IGate gate = openGate(seed);
        bytes32[] memory cids = digests(bytes32(seed), 1);
        bytes32 digest = outputsDigest(ring, gate, onePin(0), cids);
        (Signatures memory sigs, bool areMembers) = signedBy(mask, twice, digest);
        uint256 signers = sigs.r.length;
        bool isGood = areMembers && !(twice && signers > 1) && members.length != 0 && 3 * signers >= 2 * counted();
        require(tryRegister(gate, cids, sigs) == isGood, "anybody's signatures");
        count("anybody's signatures", isGood);
        if (isGood) accepted(gate, cids[0], digest, sigs);
    }

    function signedBy(uint256 mask, bool twice, bytes32 digest) private view returns (Signatures memory, bool) {
        address[] memory who = new address[](ACCOUNTS);
        uint256 signers;
        bool areMembers = true;
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            // Most of the members, and at times a stranger: else nearly nothing would count.
            bool signs = isIn(people[i]) ? (mask >> (3 * i)) & 7 != 0 : (mask >> (3 * i)) & 31 == 1;
            if (!signs) continue;
            areMembers = areMembers && isIn(people[i]);
            who[signers++] = people[i];
        }
        assembly {
            mstore(who, signers)
        }
        LibSort.sort(who);
        if (twice && signers > 1) who[1] = who[0];
        uint256[] memory keys = new uint256[](signers);
        for (uint256 i = 0; i < signers; i++) {
            keys[i] = keyOf[who[i]];
        }
        return (signWith(keys, digest), areMembers);
    }
}
