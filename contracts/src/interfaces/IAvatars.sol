// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

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
/// @notice An avatar signs and needs no ether: whoever brings what it signed pays for the transaction. Calls come from the
/// avatar's own account, never from the ring, which gates and scopes trust.
interface IAvatars {
    /// @notice Emitted when compound action `nonce` of `avatar` was carried out; its call follows.
    /// @param account who calls, or 0 if only the head moved
    event Flushed(address indexed avatar, uint256 indexed nonce, bytes32 newHead, address account);

    /// @notice Emitted when `avatar`, who was not a member, used its account; its call follows.
    event Rescued(address indexed avatar, address account);

    /// @notice Emitted when the account of `avatar` was made, before it is used for the first time.
    event AccountCreated(address indexed avatar, address account);

    /// @notice Thrown when a compound action comes after its deadline, in seconds since 1970.
    error DeadlinePassed(uint256 deadline);

    /// @notice Thrown when the nonce of a compound action is not `next`. One that was carried out before ends here.
    error WrongNonce(uint256 nonce, uint256 next);

    /// @notice Thrown when the head of the avatar's log is `head` and not where its compound action begins.
    error StaleHead(bytes32 prevHead, bytes32 head);

    /// @notice Thrown when the signature of a compound action recovers to `signer` (0: it is none) and not to its avatar.
    error WrongSigner(address avatar, address signer);

    /// @notice Thrown when there is ether or data for nobody: `to` is 0.
    error CallToNobody();

    /// @notice Thrown when a member acts without moving the head of its log.
    error StillMember(address avatar);

    /// @notice The nonce of the next compound action of `avatar`. Never falls, whatever becomes of its membership.
    function nonceOf(address avatar) external view returns (uint256);

    /// @notice The account of `avatar`, made or not: `msg.sender` of what it flushes.
    function accountOf(address avatar) external view returns (address);

    /// @notice Moves the head of the avatar's log and makes its call, all of it or nothing. Anyone may send it.
    /// @dev Signed: `CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,`
    /// `uint256 value,uint256 gas,bytes data)`, one signature with `s` in the lower half and `v` 27 or 28. Nonce and head are
    /// written before the call, so the callee may re-enter: it finds them as they will be. If it reverts, everything does
    /// (`IAccount.CallFailed`, `NotEnoughGas`, `NotEnoughEther`, `NotAContract`): whatever gas limit the sender chooses, there
    /// is no outcome in which the head has moved and the call did not get its gas.
    ///
    /// Warning: what is signed may be sent by anybody until its deadline or until the head moves in another way, also after
    /// one replica declined it.
    /// Warning: the callee sees the account, not the avatar, as its caller.
    /// @return result what the callee returned, at most the first `IAccount.MAX_RETURN` bytes
    function flush(CompoundAction calldata action, bytes32 r, bytes32 s, uint8 v) external returns (bytes memory result);

    /// @notice Makes a call from the account of the caller, who is not a member: so that who has left, or was put out, gets
    /// at what its account holds. The caller pays for the transaction; no log moves.
    /// @dev Warning: while it is a member an avatar reaches its account by `flush` only, and a contract that was made a member
    /// cannot sign: until it has left, its account is out of reach.
    /// @return result what the callee returned, at most the first `IAccount.MAX_RETURN` bytes
    function rescue(address to, uint256 value, bytes calldata data) external returns (bytes memory result);
}
