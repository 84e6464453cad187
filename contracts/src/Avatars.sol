// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Account} from "./Account.sol";
import {Members} from "./Members.sol";
import {RingLogs} from "./RingLogs.sol";
import {IAccount} from "./interfaces/IAccount.sol";
import {CompoundAction, IAvatars} from "./interfaces/IAvatars.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title What a ring's members do in their own name
/// @dev RingLogs before Members: their variables share a slot.
abstract contract Avatars is IAvatars, RingLogs, Members, EIP712 {
    bytes32 private constant COMPOUND_ACTION_TYPEHASH = keccak256(
        "CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,uint256 value,uint256 gas,bytes data)"
    );

    /// @dev An account's arguments are its ring and its avatar, so CREATE2 needs no other salt.
    bytes32 private constant NO_SALT = 0;

    /// @dev What the accounts of all rings are clones of.
    address private immutable ACCOUNT;

    /// @inheritdoc IAvatars
    mapping(address avatar => uint256) public nonceOf;

    constructor() {
        ACCOUNT = address(new Account());
    }

    /// @inheritdoc IAvatars
    function flush(CompoundAction calldata action, bytes32 r, bytes32 s, uint8 v)
        external
        returns (bytes memory result)
    {
        _requireDue(action);
        address signer = Signatures.signerOf(_actionDigest(action), r, s, v);
        require(signer == action.avatar, WrongSigner(action.avatar, signer));

        nonceOf[action.avatar] = action.nonce + 1;
        _moveHead(action.avatar, action.newHead);
        IAccount account = IAccount(action.to == address(0) ? address(0) : _makeAccount(action.avatar));
        emit Flushed(action.avatar, action.nonce, action.newHead, address(account));

        if (address(account) == address(0)) return result;
        return account.execute(action.to, action.value, action.gas, action.data);
    }

    /// @inheritdoc IAvatars
    function rescue(address to, uint256 value, bytes calldata data) external returns (bytes memory result) {
        require(!isMember(msg.sender), StillMember(msg.sender));
        IAccount account = IAccount(_makeAccount(msg.sender));
        emit Rescued(msg.sender, address(account));
        return account.execute(to, value, 0, data);
    }

    /// @inheritdoc IAvatars
    function accountOf(address avatar) external view returns (address) {
        return LibClone.predictDeterministicAddress(ACCOUNT, _accountCode(avatar), NO_SALT, address(this));
    }

    /// @dev Everything about `action` but its signature. Its avatar is no zero, which a bad signature would recover to.
    function _requireDue(CompoundAction calldata action) private view {
        _requireMember(action.avatar);
        require(block.timestamp <= action.deadline, DeadlinePassed(action.deadline));
        uint256 next = nonceOf[action.avatar];
        require(action.nonce == next, WrongNonce(action.nonce, next));
        bytes32 head = logNodeHeads[action.avatar];
        require(action.prevHead == head, StaleHead(action.prevHead, head));
        bool isCall = action.to != address(0);
        require(isCall || (action.value == 0 && action.data.length == 0), CallToNobody());
    }

    function _makeAccount(address avatar) private returns (address account) {
        bool exists;
        (exists, account) = LibClone.createDeterministicClone(ACCOUNT, _accountCode(avatar), NO_SALT);
        if (!exists) emit AccountCreated(avatar, account);
    }

    function _accountCode(address avatar) private view returns (bytes memory) {
        return abi.encodePacked(address(this), avatar);
    }

    function _actionDigest(CompoundAction calldata action) private view returns (bytes32) {
        bytes memory position = abi.encode(
            COMPOUND_ACTION_TYPEHASH, action.avatar, action.prevHead, action.newHead, action.nonce, action.deadline
        );
        bytes memory call = abi.encode(action.to, action.value, action.gas, keccak256(action.data));
        return _hashTypedData(keccak256(bytes.concat(position, call)));
    }
}
