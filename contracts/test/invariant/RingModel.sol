// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IGate} from "../../src/interfaces/IGate.sol";
import {ForkRule} from "../../src/interfaces/IMembership.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {Mutability} from "../../src/interfaces/IScope.sol";
import {Fixture} from "../utils/Fixture.sol";
import {PlainSignatures} from "../utils/PlainSignatures.sol";

/// @notice What one ring must be after all that was done to it, told by the simplest means.
abstract contract RingModel is Fixture {
    uint256 internal constant ACCOUNTS = 12;

    /// @dev Seconds; the actions let a few pass.
    uint256 public constant DELAY = 8;

    IRing public ring;
    ForkRule internal immutable FORK_RULE;

    /// @notice A ring that others register with.
    IRing public replica;

    address[] internal people;
    address[] internal members;
    uint256 public epoch;

    /// @notice Since when the announced entry of somebody can be settled; 0 for none.
    mapping(address who => uint256) public dueAt;

    /// @notice Until when somebody is counted whom the keeper put out.
    mapping(address who => uint256) public countedUntil;

    mapping(address who => bool) public isFrozen;
    mapping(address who => mapping(uint64 seq => bool)) internal isProven;

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

    constructor(ForkRule forkRule) {
        Fixture.setUp();
        FORK_RULE = forkRule;
        people = accounts(ACCOUNTS);
        ring = makeRing(5, keeper, DELAY, forkRule);
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

    /// @notice Of how many two thirds are needed.
    function counted() public view returns (uint256 number) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            if (isIn(people[i]) || countedUntil[people[i]] > block.timestamp) number++;
        }
    }

    /// @dev Somebody who is in, whoever it is.
    function someMember(uint256 seed) internal returns (address) {
        needMembers(1);
        return members[seed % members.length];
    }

    /// @dev Somebody whose log is not frozen. If it is, two thirds let it leave and enter anew.
    function someWriter(uint256 seed) internal returns (address who) {
        who = someMember(seed);
        if (!isFrozen[who]) return who;
        change(ring, only(who), only(who));
        removed(who);
        members.push(who);
    }

    /// @dev Lets people enter until there are `number`, and waits until they are enough to sign, so that no action is without
    /// anything to do.
    function needMembers(uint256 number) internal {
        for (uint256 i = 0; members.length < number; i++) {
            if (!isIn(people[i])) letIn(people[i]);
        }
        if (3 * members.length < 2 * counted()) vm.warp(block.timestamp + DELAY);
    }

    function letIn(address who) private {
        if (dueAt[who] == 0) announced(who);
        if (dueAt[who] > block.timestamp) vm.warp(dueAt[who]);
        ring.settle(who);
        entered(who);
        epoch++;
    }

    function announced(address who) internal {
        announce(ring, who);
        dueAt[who] = block.timestamp + DELAY;
    }

    /// @dev What the model is to know of somebody who is in; the epoch apart.
    function entered(address who) internal {
        members.push(who);
        (dueAt[who], countedUntil[who]) = (0, 0);
    }

    /// @dev What the model is to know of somebody who is out, in a new epoch.
    function removed(address who) internal {
        dropped(who);
        epoch++;
    }

    /// @dev The same, the epoch apart.
    function dropped(address who) internal {
        for (uint256 i = 0; i < members.length; i++) {
            if (members[i] != who) continue;
            members[i] = members[members.length - 1];
            members.pop();
            nextNonceOf[who]++;
            isFrozen[who] = false;
            return;
        }
    }

    /// @notice All that nobody may change alone: who is in, whose the ring is, gates, what others own, the log, and the
    /// heads and nonces of all but `avatar` and `other`.
    function stateWithout(address avatar, address other) public view returns (bytes32 state) {
        state = keccak256(abi.encode(ring.getMembers(), ring.epoch(), ring.ringNodeCount(), ring.ringNodeHead()));
        state = keccak256(abi.encode(state, ring.countedMembers(), ring.pendingEntries()));
        state = keccak256(abi.encode(state, engine.keeperOf(ring), engine.pendingKeeperOf(ring), address(ring).balance));
        state = keccak256(abi.encode(state, scope.readData(variable), ring.clientCount()));
        for (uint256 i = 0; i < people.length; i++) {
            if (people[i] == avatar || people[i] == other) continue;
            state = keccak256(abi.encode(state, ring.logNodeHeads(people[i]), ring.nonceOf(people[i])));
            state = keccak256(abi.encode(state, ring.entryOf(people[i]), ring.isFrozen(people[i])));
        }
        for (uint256 i = 0; i < gates.length; i++) {
            state =
                keccak256(abi.encode(state, gates[i].outputOf(0), gates[i].outputOf(FAILURE), gates[i].isResolved()));
        }
    }
}
