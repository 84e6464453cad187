// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IScope} from "../../src/interfaces/IScope.sol";

/// @notice A gate, a scope and whatever else is called, all of it hostile: it does what it was armed with, wherever it is
/// entered, and remembers whether any of its calls succeeded.
contract Attacker {
    enum Mode {
        Quiet,
        Revert,
        BurnAllGas,
        ReturnAMegabyte,
        RevertWithAMegabyte,
        Destroy
    }

    struct Attempt {
        address to;
        bytes data;
    }

    /// @notice How many of the attempts got through. None may.
    uint256 public successes;

    /// @notice How many attempts were made.
    uint256 public tries;

    Mode private mode;
    bool private isItsOwnScope;
    IScope private immutable SCOPE;
    Attempt[] private attempts;

    constructor(IScope scope_) {
        SCOPE = scope_;
    }

    function arm(Mode mode_, bool isItsOwnScope_, Attempt[] calldata attempts_) external {
        (mode, isItsOwnScope) = (mode_, isItsOwnScope_);
        delete attempts;
        for (uint256 i = 0; i < attempts_.length; i++) {
            attempts.push(attempts_[i]);
        }
    }

    /// @notice As a gate: the real scope, or this one.
    function scope() external view returns (IScope) {
        return isItsOwnScope ? IScope(address(this)) : SCOPE;
    }

    /// @notice As a gate without futures.
    function inputsHash() external pure returns (bytes32) {
        return keccak256("");
    }

    /// @notice As a gate's `output`, a scope's `declareData`, and anything else.
    fallback(bytes calldata) external payable returns (bytes memory) {
        for (uint256 i = 0; i < attempts.length; i++) {
            tries++;
            (bool success,) = attempts[i].to.call(attempts[i].data);
            if (success) successes++;
        }
        misbehave();
        return abi.encode(uint256(32), uint256(1), uint256(2)); // one token, for who takes it for a scope
    }

    receive() external payable {}

    function misbehave() private {
        if (mode == Mode.Revert) revert("no");
        if (mode == Mode.BurnAllGas) while (true) {}
        if (mode == Mode.Destroy) selfdestruct(payable(address(this)));
        uint256 size = 1 << 20;
        bool fails = mode == Mode.RevertWithAMegabyte;
        if (!fails && mode != Mode.ReturnAMegabyte) return;
        assembly {
            if fails { revert(0, size) }
            return(0, size)
        }
    }
}

/// @notice Gives a contract ether that it cannot refuse.
contract ForcedEther {
    constructor(address payable to) payable {
        selfdestruct(to);
    }
}
