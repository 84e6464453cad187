// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice A meta-transaction together with the new head of its author's log, signed once.
/// @param avatar who acts: a member of the ring
/// @param prevHead the head of its log as the ring has it
/// @param newHead the head that its log moves on to; not 0
/// @param nonce `nonceOf(avatar)`
/// @param deadline the last second, since 1970, in which it counts
/// @param to what the avatar's account calls; 0 for nothing, so that only the head moves
/// @param value what it pays, in wei, from its own balance
/// @param gas the least that `to` must get
/// @param data what it calls `to` with
struct CompoundAction {
    address avatar;
    bytes32 prevHead;
    bytes32 newHead;
    uint256 nonce;
    uint256 deadline;
    address to;
    uint256 value;
    uint256 gas;
    bytes data;
}

/// @title What a ring's members do in their own name
/// @notice An avatar signs and needs no ether: the account that sends what it signed pays for the transaction. Calls come
/// from the avatar's own account, never from the ring, which gates and scopes trust.
interface IAvatars {
    /// @notice Emitted when compound action `nonce` of `avatar` was carried out; its call follows.
    /// @param account who calls, or 0 if only the head moved
    event Flushed(address indexed avatar, uint256 indexed nonce, bytes32 newHead, address account);

    /// @notice Emitted when `avatar`, who was not a member, used its account; its call follows.
    event Rescued(address indexed avatar, address account);

    /// @notice Emitted when the account of `avatar` was made, before it is used for the first time.
    event AccountCreated(address indexed avatar, address account);

    /// @notice Thrown when the nonce of a compound action is not `next`. So an action cannot be carried out twice.
    error WrongNonce(uint256 nonce, uint256 next);

    /// @notice Thrown when the head of the avatar's log is `head` and not where its compound action begins.
    error StaleHead(bytes32 prevHead, bytes32 head);

    /// @notice Thrown when the signature of a compound action recovers to `signer` (0: it is invalid) and not to its
    /// avatar.
    error WrongSigner(address avatar, address signer);

    /// @notice Thrown when `to` is 0 although there is ether or data to send.
    error CallToNobody();

    /// @notice Thrown when a member that can flush acts without moving the head of its log.
    error StillMember(address avatar);

    /// @notice Thrown when the log of `avatar` would move although it is frozen because of a proven fork.
    error LogFrozen(address avatar);

    /// @notice The nonce of the next compound action of `avatar`. Never falls. It rises by one with each flush, with each rescue,
    /// and when its membership ends in any way: so what an avatar signed before is void when it enters again.
    function nonceOf(address avatar) external view returns (uint256);

    /// @notice Whether the log of `avatar` is frozen (`ForkRule.Freeze`): it flushes nothing and no ring node moves its head,
    /// until it leaves and enters anew. Its signature still counts.
    function isFrozen(address avatar) external view returns (bool);

    /// @notice The account of `avatar`, made or not: `msg.sender` of what it flushes.
    function accountOf(address avatar) external view returns (address);

    /// @notice Moves the head of the avatar's log and makes its call, all of it or nothing. Anyone may send it.
    /// @dev Signed: `CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,`
    /// `uint256 value,uint256 gas,bytes data)`, one signature with `s` in the lower half and `v` 27 or 28. Nonce and head are
    /// written before the call, so the callee may re-enter: it sees the new values. If it reverts, everything does
    /// (`IAccount.CallFailed`, `NotEnoughGas`, `NotEnoughEther`, `NotAContract`): so with any gas limit that the sender
    /// chooses, it is impossible that the head moves and the call does not get its gas.
    ///
    /// Warning: anybody may send what is signed until its deadline, or until the head moves in another way; also after a
    /// replica declined it.
    /// Warning: the callee sees the account, not the avatar, as its caller.
    /// @return result what the callee returned, at most the first `IAccount.MAX_RETURN` bytes
    function flush(CompoundAction calldata action, bytes32 r, bytes32 s, uint8 v) external returns (bytes memory result);

    /// @notice Makes a call from the account of the caller, who cannot flush. So an avatar that has left, or was put out, can
    /// use what its account holds. The caller pays for the transaction; no log moves, and the nonce rises.
    /// @dev An avatar cannot flush if it is not a member, if its log is frozen, or if it has code other than a delegation by
    /// EIP-7702 and therefore cannot sign. So nobody can take an account away from its owner by making the owner a member.
    ///
    /// Warning: while it can flush, an avatar reaches its account by `flush` only.
    /// @return result what the callee returned, at most the first `IAccount.MAX_RETURN` bytes
    function rescue(address to, uint256 value, bytes calldata data) external returns (bytes memory result);
}
