// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEngine} from "../../src/interfaces/IEngine.sol";
import {IRing} from "../../src/interfaces/IRing.sol";
import {IScope} from "../../src/interfaces/IScope.sol";

/// @notice What a ring may meet behind an address that members were made to sign for.
contract HostileGate {
    enum Attack {
        None,
        Revert,
        BurnAllGas,
        ReturnAMegabyte,
        NoScope,
        EnterAsEngine,
        ExitAsEngine,
        RingNode,
        RegisterAgain
    }

    IEngine private engine;
    IRing private ring;
    IScope private realScope;
    Attack private attack;

    constructor(IEngine engine_, IRing ring_, IScope scope_, Attack attack_) {
        (engine, ring, realScope, attack) = (engine_, ring_, scope_, attack_);
    }

    /// @notice Whether the ring can finish what it was doing.
    function isQuiet() external view returns (bool) {
        return attack == Attack.None || attack >= Attack.EnterAsEngine;
    }

    function scope() external view returns (IScope) {
        return attack == Attack.NoScope ? IScope(address(0xdead)) : realScope;
    }

    function inputsHash() external pure returns (bytes32) {
        return keccak256("");
    }

    function output(uint96[] calldata pins, uint256[] calldata) external {
        if (attack == Attack.Revert) revert("no");
        if (attack == Attack.BurnAllGas) burn();
        if (attack == Attack.ReturnAMegabyte) returnMuch();
        reenter(pins);
    }

    function burn() private pure {
        while (true) {}
    }

    function returnMuch() private pure {
        assembly {
            revert(0, 1048576)
        }
    }

    function reenter(uint96[] calldata pins) private {
        bytes32[] memory none = new bytes32[](0);
        bytes32[] memory cids = new bytes32[](pins.length);
        uint8[] memory v = new uint8[](0);
        bytes memory data;
        if (attack == Attack.EnterAsEngine) data = abi.encodeCall(IRing.enter, (address(this)));
        if (attack == Attack.ExitAsEngine) data = abi.encodeCall(IRing.exit, (ring.getMembers()[0]));
        if (attack == Attack.RingNode) {
            data = abi.encodeCall(IRing.registerRingNode, (bytes32("node"), new address[](0), none, none, none, v));
        }
        if (attack == Attack.RegisterAgain) {
            bytes4 selector = IRing.registerOutputs.selector;
            data = abi.encodeWithSelector(selector, address(this), pins, cids, none, none, v);
        }
        if (data.length == 0) return;
        (bool success,) = address(ring).call(data);
        require(!success, "a way in");
    }
}
