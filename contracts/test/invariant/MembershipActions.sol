// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembership} from "../../src/interfaces/IMembership.sol";
import {Digests} from "../utils/Digests.sol";
import {Signatures} from "../utils/Fixture.sol";
import {RingModel} from "./RingModel.sol";

/// @notice Who comes and who goes: by the keeper, by two thirds, by itself.
abstract contract MembershipActions is RingModel {
    uint256 private constant MAX_KEPT = 10;

    /// @dev A change that was signed and not sent.
    struct KeptChange {
        address[] enter;
        address[] exit;
        uint256 deadline;
        uint256 epoch;
        bool isPossible;
        Signatures sigs;
    }

    KeptChange[] private keptChanges;

    /// @dev The keeper announces who is not in, or cancels that, and puts out who is.
    function keep(uint256 seed) external {
        address who = people[seed % ACCOUNTS];
        if (!isIn(who) && (dueAt[who] == 0 || seed % 3 == 0)) return announced(who);
        bool wasIn = isIn(who);
        putOut(ring, who);
        dueAt[who] = 0;
        if (!wasIn) return;
        countedUntil[who] = block.timestamp + DELAY;
        removed(who);
    }

    /// @dev Anybody settles; it counts if the entry is announced and due, and only then.
    function settle(uint256 seed) external {
        address who = someEntry(seed);
        // Mostly one that is due, or that comes to be due.
        if (seed % 4 != 0 && dueAt[who] > block.timestamp) vm.warp(dueAt[who] - seed % 2);
        bool isDue = dueAt[who] != 0 && block.timestamp >= dueAt[who];
        (bool success,) = address(ring).call(abi.encodeCall(IMembership.settle, (who)));
        require(success == isDue, "settling");
        count("entries settled", success);
        if (!success) return;
        entered(who);
        epoch++;
    }

    /// @dev Somebody whose entry is announced, if there is anybody.
    function someEntry(uint256 seed) private view returns (address who) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            who = people[addmod(seed, i, ACCOUNTS)];
            if (dueAt[who] != 0) return who;
        }
    }

    function leave(uint256 seed) external {
        address who = people[seed % ACCOUNTS];
        bool mayLeave = isIn(who) && members.length > 1;
        vm.prank(who);
        (bool success,) = address(ring).call(abi.encodeCall(IMembership.leave, ()));
        require(success == mayLeave, "leaving");
        if (success) removed(who);
    }

    /// @dev Of the people one or two are named, for entry or for exit: mostly as it fits.
    function someChange(uint256 seed) private view returns (address[] memory enter, address[] memory exit) {
        enter = seed & 1 == 0 ? only(somebody(seed >> 8, false)) : noAccounts();
        exit = seed & 2 == 0 ? only(somebody(seed >> 16, true)) : noAccounts();
    }

    /// @dev Mostly somebody who is in, or who is not.
    function somebody(uint256 seed, bool isInside) private view returns (address who) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            who = people[addmod(seed, i, ACCOUNTS)];
            if (isIn(who) == isInside || seed % 4 == 0) return who;
        }
    }

    /// @dev Whether the contract would do so in the present state of the model.
    function canChange(address[] memory enter, address[] memory exit) private view returns (bool) {
        if (enter.length + exit.length == 0) return false;
        bool empties = exit.length == 1 && members.length == 1 && isIn(exit[0]);
        if (enter.length == 0 && (empties || members.length == 0)) return false;
        if (exit.length == 1) {
            bool isKnown = isIn(exit[0]) || dueAt[exit[0]] != 0 || countedUntil[exit[0]] > block.timestamp;
            if (!isKnown) return false;
        }
        return enter.length == 0 || !isIn(enter[0]) || (exit.length == 1 && exit[0] == enter[0]);
    }

    function changed(address[] memory enter, address[] memory exit) private {
        for (uint256 i = 0; i < exit.length; i++) {
            dropped(exit[i]);
            (dueAt[exit[i]], countedUntil[exit[i]]) = (0, 0);
        }
        for (uint256 i = 0; i < enter.length; i++) {
            entered(enter[i]);
        }
        epoch++;
    }

    /// @dev As many sign as there are, or one less than are needed. It counts if they are two thirds of those counted.
    function changeMembers(uint256 seed, bool tooFew) external {
        needMembers(1);
        (address[] memory enter, address[] memory exit) = someChange(seed);
        uint256 signers = tooFew ? ring.quorum() - 1 : members.length;
        Signatures memory sigs = sign(ring, Digests.members(ring, enter, exit, block.timestamp), signers);
        bool isGood = canChange(enter, exit) && 3 * signers >= 2 * counted();
        bool success = send(enter, exit, block.timestamp, sigs);
        require(success == isGood, "a change");
        count("changes by two thirds", success);
        if (success) changed(enter, exit);
    }

    function send(address[] memory enter, address[] memory exit, uint256 deadline, Signatures memory sigs)
        private
        returns (bool success)
    {
        (success,) = address(ring)
            .call(abi.encodeCall(IMembership.changeMembers, (enter, exit, deadline, sigs.r, sigs.s, sigs.v)));
    }

    function keepChange(uint256 seed) public {
        needMembers(1);
        if (keptChanges.length < MAX_KEPT) keptChanges.push();
        KeptChange storage entry = keptChanges[seed % keptChanges.length];
        (entry.enter, entry.exit) = someChange(seed);
        (entry.deadline, entry.epoch) = (block.timestamp + seed % 10, epoch);
        bytes32 digest = Digests.members(ring, entry.enter, entry.exit, entry.deadline);
        Signatures memory sigs = sign(ring, digest, members.length);
        (entry.sigs.r, entry.sigs.s, entry.sigs.v) = (sigs.r, sigs.s, sigs.v);
    }

    /// @dev It counts in the epoch in which it was signed, until its deadline, and never twice.
    function sendKeptChange(uint256 seed) external {
        if (keptChanges.length == 0) keepChange(seed);
        KeptChange memory entry = keptChanges[seed % keptChanges.length];
        bool isInTime = entry.epoch == epoch && block.timestamp <= entry.deadline;
        bool isGood = isInTime && canChange(entry.enter, entry.exit) && 3 * entry.sigs.r.length >= 2 * counted();
        require(send(entry.enter, entry.exit, entry.deadline, entry.sigs) == isGood, "a kept change");
        count("kept changes", isGood);
        if (isGood) changed(entry.enter, entry.exit);
    }
}
