// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IGate} from "../../src/interfaces/IGate.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {Mutability} from "../../src/interfaces/IScope.sol";
import {Fixture} from "../utils/Fixture.sol";
import {PlainSignatures} from "../utils/PlainSignatures.sol";

/// @notice What one ring must be after all that was done to it, told by the simplest means.
abstract contract RingModel is Fixture {
    uint256 internal constant ACCOUNTS = 12;

    IRing public ring;

    /// @notice A ring that others register with.
    IRing public replica;

    address[] internal people;
    address[] internal members;
    uint256 public epoch;

    IGate[] internal gates;
    mapping(IGate gate => bytes32) public resultOf;

    bytes32[] internal nodes;
    mapping(address member => bytes32) public headOf;
    mapping(address member => uint256) public nextNonceOf;

    /// @notice Data of somebody who is no member.
    uint256 public variable;

    /// @notice Ether that the ring could not refuse.
    uint256 public forcedEther;
    bool public isRegistered;

    /// @notice How often what was signed earlier, or by anybody, was taken, and how often refused.
    mapping(bytes32 action => uint256) public taken;
    mapping(bytes32 action => uint256) public refused;

    constructor() {
        Fixture.setUp();
        people = accounts(ACCOUNTS);
        ring = makeRing(5);
        replica = makeRing(3);
        members = accounts(5);
        epoch = 1;
        vm.prank(keeper);
        variable = scope.declareData(digests("variable", 1), Mutability.Variable)[0];
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

    function isIn(address who) internal view returns (bool) {
        return PlainSignatures.isAmong(members, who);
    }

    function count(bytes32 action, bool success) internal {
        if (success) taken[action]++;
        else refused[action]++;
    }

    /// @dev Somebody who is in, whoever it is.
    function someMember(uint256 seed) internal returns (address) {
        needMembers(1);
        return members[seed % members.length];
    }

    /// @dev Lets people enter until there are `count`, so that no action is without anything to do.
    function needMembers(uint256 count) internal {
        for (uint256 i = 0; members.length < count; i++) {
            if (!isIn(people[i])) enter(people[i]);
        }
    }

    function enter(address who) internal {
        vm.prank(keeper);
        engine.enter(ring, who);
        members.push(who);
        epoch++;
    }

    /// @dev What the model is to know of somebody who is out.
    function removed(address who) internal {
        for (uint256 i = 0; i < members.length; i++) {
            if (members[i] != who) continue;
            members[i] = members[members.length - 1];
            members.pop();
            epoch++;
            return;
        }
    }

    /// @notice All that nobody may change alone: who is in, whose the ring is, gates, what others own, the log, and the
    /// heads and nonces of all but `avatar` and `other`.
    function stateWithout(address avatar, address other) public view returns (bytes32 state) {
        state = keccak256(abi.encode(ring.getMembers(), ring.epoch(), ring.ringNodeCount(), ring.ringNodeHead()));
        state = keccak256(abi.encode(state, engine.keeperOf(ring), engine.pendingKeeperOf(ring), address(ring).balance));
        state = keccak256(abi.encode(state, scope.readData(variable), ring.clientCount()));
        for (uint256 i = 0; i < people.length; i++) {
            if (people[i] == avatar || people[i] == other) continue;
            state = keccak256(abi.encode(state, ring.logNodeHeads(people[i]), ring.nonceOf(people[i])));
        }
        for (uint256 i = 0; i < gates.length; i++) {
            state =
                keccak256(abi.encode(state, gates[i].outputOf(0), gates[i].outputOf(FAILURE), gates[i].isResolved()));
        }
    }
}
