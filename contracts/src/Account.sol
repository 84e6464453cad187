// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccount} from "./interfaces/IAccount.sol";
import {Receiver} from "solady/src/accounts/Receiver.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {LibCall} from "solady/src/utils/LibCall.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title The account of an avatar
/// @notice The accounts are clones of one contract. Behind a clone's code are its ring and its avatar, 20 bytes each.
contract Account is IAccount, Receiver {
    /// @inheritdoc IAccount
    uint256 public constant MAX_RETURN = 4096;

    /// @dev The most gas that the CALL itself takes, and 500 for the steps from the look at the gas to there: EIP-2929's price
    /// of an account not seen before, and once more that of the account to which an EIP-7702 callee delegates.
    uint256 private constant CALL_COST = 2 * 2_600 + 500;

    /// @dev What a call with ether takes besides: EIP-150's surcharge and the price of an account that comes into being.
    uint256 private constant VALUE_COST = 9_000 + 25_000;

    bytes4 private constant ERC165 = 0x01ffc9a7;
    bytes4 private constant ERC1155_RECEIVER = 0x4e2312e0;

    uint256 private constant WIDTH = 20;

    /// @inheritdoc IAccount
    function execute(address to, uint256 value, uint256 gas, bytes calldata data)
        external
        returns (bytes memory result)
    {
        require(msg.sender == ring(), NotRing(msg.sender));
        require(address(this).balance >= value, NotEnoughEther(address(this).balance, value));
        require(data.length == 0 || to.code.length != 0, NotAContract(to));
        bool success;
        bytes memory copy = data; // before the look at the gas, for it costs some
        uint256 available = _available(value == 0 ? CALL_COST : CALL_COST + VALUE_COST);
        require(available >= gas, NotEnoughGas(available, gas));
        // That an answer was longer than MAX_RETURN is of no consequence.
        // slither-disable-next-line unused-return
        (success,, result) = LibCall.tryCall(to, value, gasleft(), uint16(MAX_RETURN), copy);
        require(success, CallFailed(to, result));
    }

    /// @inheritdoc IAccount
    function ring() public view returns (address) {
        return _argument(0);
    }

    /// @inheritdoc IAccount
    function avatar() external view returns (address) {
        return _argument(WIDTH);
    }

    /// @notice ERC-165. ERC-1155 asks its receivers for it.
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == ERC165 || interfaceId == ERC1155_RECEIVER;
    }

    /// @dev How much gas a call that itself takes `cost` would pass on: EIP-150 keeps the 64th part back.
    function _available(uint256 cost) private view returns (uint256) {
        uint256 left = gasleft();
        if (left < cost) return 0;
        return (left - cost) - (left - cost) / 64;
    }

    function _argument(uint256 start) private view returns (address) {
        return address(bytes20(LibBytes.load(LibClone.argsOnClone(address(this), start, start + WIDTH), 0)));
    }
}
