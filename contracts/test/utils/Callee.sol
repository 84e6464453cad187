// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What an avatar's account may call: something that remembers how it was called, and that can be nasty.
contract Callee {
    error Refused(uint256 number);

    address public caller;
    uint256 public paid;
    uint256 public gasThere;
    uint256 public calls;

    receive() external payable {
        remember();
    }

    function remember() public payable {
        (caller, paid) = (msg.sender, msg.value);
        calls++;
    }

    /// @notice Notes the gas it was given, with the price of coming here: at least what a caller promised.
    function noteGas() external {
        gasThere = gasleft();
    }

    /// @notice Does less, and does not fail, when there is little gas. Who chooses the gas would choose what is done.
    function remembersIfItCan(uint256 needed) external {
        if (gasleft() >= needed) calls++;
    }

    function echo(bytes calldata data) external pure returns (bytes memory) {
        return data;
    }

    function refuse(uint256 number) external pure {
        revert Refused(number);
    }

    function refuseWith(bytes calldata reason) external pure {
        bytes memory copy = reason;
        assembly {
            revert(add(copy, 32), mload(copy))
        }
    }

    function returnMuch(uint256 size, bool fails) external pure {
        assembly {
            if fails { revert(0, size) }
            return(0, size)
        }
    }

    function burnAllGas() external pure {
        while (true) {}
    }

    function destroy(address payable heir) external {
        selfdestruct(heir);
    }

    /// @notice Calls on, as whoever re-enters does; fails if that fails.
    function relay(address to, bytes calldata data) external {
        (bool success, bytes memory reason) = to.call(data);
        if (success) return;
        assembly {
            revert(add(reason, 32), mload(reason))
        }
    }

    /// @notice Calls on; says nothing if that fails.
    function tryRelay(address to, bytes calldata data) external returns (bool success) {
        (success,) = to.call(data);
    }
}
