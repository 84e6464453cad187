// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The account of an avatar: what calls on its behalf, and what holds what it owns
/// @notice Each ring gives each avatar one account, at an address that commits to both (`IAvatars.accountOf`). Only the ring
/// drives it. It accepts ether, and ERC-721 and ERC-1155 tokens that are sent safely, from anyone; also before it is made.
///
/// It signs nothing (no ERC-1271): what it does is in its avatar's log or, after the avatar has left the ring, in a
/// transaction by the avatar itself. It makes no delegatecall, so its code never changes.
///
/// Warning: an account is a clone, and receiving ether runs its code. A sender that allows 2,300 gas for that (Solidity's
/// `transfer` and `send`) fails, unless it pays in a transaction in which the account or another one has been used before.
interface IAccount {
    /// @notice Thrown when `caller` is not the ring that made the account.
    error NotRing(address caller);

    /// @notice Thrown when the account has less than the `value` that it is to send, in wei.
    error NotEnoughEther(uint256 balance, uint256 value);

    /// @notice Thrown when there is data for `to` but no code at `to`: the call would do nothing and still succeed.
    error NotAContract(address to);

    /// @notice Thrown when so little gas is left that `to` would get only `available` and not the `gas` it must get.
    error NotEnoughGas(uint256 available, uint256 gas);

    /// @notice Thrown when `to` reverted. `reason` is its revert data, at most the first `MAX_RETURN` bytes.
    error CallFailed(address to, bytes reason);

    /// @notice The most bytes of what a callee returns, or gives as a reason, that are passed on; the rest is cut off. So a
    /// callee cannot make its caller pay for megabytes.
    function MAX_RETURN() external view returns (uint256);

    /// @notice The ring that drives the account.
    function ring() external view returns (address);

    /// @notice Whose account it is.
    function avatar() external view returns (address);

    /// @notice Calls `to` with `data` and `value` wei of the account's own, and at least `gas` gas. The ring only.
    /// @dev All remaining gas is passed on, less the 64th that EIP-150 keeps back.
    /// @return result what `to` returned, at most the first `MAX_RETURN` bytes
    function execute(address to, uint256 value, uint256 gas, bytes calldata data) external returns (bytes memory result);
}
