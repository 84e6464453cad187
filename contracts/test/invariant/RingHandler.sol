// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ForkRule} from "../../src/interfaces/IMembership.sol";
import {AttackActions} from "./AttackActions.sol";
import {LogActions} from "./LogActions.sol";
import {MembershipActions} from "./MembershipActions.sol";
import {OutputActions} from "./OutputActions.sol";
import {RingModel} from "./RingModel.sol";

/// @notice Does with one ring what its keeper, its members, strangers and hostile contracts may try, and keeps a model of what
/// must be.
/// @dev Each action finds something to do and knows whether it must succeed; so no action reverts, except over a fault.
contract RingHandler is AttackActions {
    constructor(ForkRule forkRule) RingModel(forkRule) {}

    function selectors() external pure returns (bytes4[] memory all) {
        all = new bytes4[](26);
        all[0] = MembershipActions.keep.selector;
        all[1] = OutputActions.createGate.selector;
        all[2] = OutputActions.registerOutputs.selector;
        all[3] = OutputActions.keepSignatures.selector;
        all[4] = OutputActions.sendKeptSignatures.selector;
        all[5] = OutputActions.registerWithAnybody.selector;
        all[6] = LogActions.registerRingNode.selector;
        all[7] = LogActions.registerManyRingNodes.selector;
        all[8] = LogActions.keepRingNode.selector;
        all[9] = LogActions.sendKeptRingNode.selector;
        all[10] = LogActions.flushUseful.selector;
        all[11] = LogActions.keepFlush.selector;
        all[12] = LogActions.sendKeptFlush.selector;
        all[13] = LogActions.registerOrUnregister.selector;
        all[14] = LogActions.proveFork.selector;
        all[15] = AttackActions.intrude.selector;
        all[16] = AttackActions.flushForbidden.selector;
        all[17] = AttackActions.flushToAttacker.selector;
        all[18] = AttackActions.registerWithAttacker.selector;
        all[19] = AttackActions.forceEther.selector;
        all[20] = LogActions.wait.selector;
        all[21] = MembershipActions.settle.selector;
        all[22] = MembershipActions.leave.selector;
        all[23] = MembershipActions.changeMembers.selector;
        all[24] = MembershipActions.keepChange.selector;
        all[25] = MembershipActions.sendKeptChange.selector;
    }
}
