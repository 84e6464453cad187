// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Account} from "./Account.sol";
import {Membership} from "./Membership.sol";
import {RingLogs} from "./RingLogs.sol";
import {IAccount} from "./interfaces/IAccount.sol";
import {CompoundAction, IAvatars} from "./interfaces/IAvatars.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title Actions of a ring's members in their own name
/// @dev RingLogs before Members: their variables share a slot.
abstract contract Avatars is IAvatars, RingLogs, Membership {
    /// @dev Kept for every account that was ever a member.
    struct Avatar {
        uint248 nonce;
        bool isFrozen;
    }

    bytes32 private constant COMPOUND_ACTION_TYPEHASH = keccak256(
        "CompoundAction(address avatar,bytes32 prevHead,bytes32 newHead,uint256 nonce,uint256 deadline,address to,uint256 value,uint256 gas,bytes data)"
    );

    /// @dev An account's arguments are its ring and its avatar, so CREATE2 needs no other salt.
    bytes32 private constant NO_SALT = 0;

    /// @dev The size of an account's code, which ends in its ring and its avatar, and where the avatar is behind the clone's.
    uint256 private constant ACCOUNT_SIZE = 45 + 40;
    uint256 private constant ACCOUNT_AVATAR = 20;

    /// @dev The contract of which the accounts of all rings are clones.
    address private immutable ACCOUNT;

    mapping(address avatar => Avatar) private _avatars;

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

        _avatars[action.avatar].nonce++;
        _moveHead(action.avatar, action.newHead);
        IAccount account = IAccount(action.to == address(0) ? address(0) : _makeAccount(action.avatar));
        emit Flushed(action.avatar, action.nonce, action.newHead, address(account));

        if (address(account) == address(0)) return result;
        return account.execute(action.to, action.value, action.gas, action.data);
    }

    /// @inheritdoc IAvatars
    function rescue(address to, uint256 value, bytes calldata data) external returns (bytes memory result) {
        require(!_canFlush(msg.sender), StillMember(msg.sender));
        _avatars[msg.sender].nonce++;
        IAccount account = IAccount(_makeAccount(msg.sender));
        emit Rescued(msg.sender, address(account));
        return account.execute(to, value, 0, data);
    }

    /// @inheritdoc IMembership
    /// @dev An account speaks for its avatar, also when somebody made the account itself a member before it had code.
    function leave() external {
        address member = _avatarOf(msg.sender);
        _requireMember(member);
        require(memberCount() > 1, LastMember());
        _exit(member, 0);
    }

    /// @inheritdoc IAvatars
    function nonceOf(address avatar) public view returns (uint256) {
        return _avatars[avatar].nonce;
    }

    /// @inheritdoc IAvatars
    function isFrozen(address avatar) public view returns (bool) {
        return _avatars[avatar].isFrozen;
    }

    /// @inheritdoc IAvatars
    function accountOf(address avatar) public view returns (address) {
        return LibClone.predictDeterministicAddress(ACCOUNT, _accountCode(avatar), NO_SALT, address(this));
    }

    /// @dev Checks everything about `action` except its signature. Its avatar is not 0, which a bad signature would recover
    /// to.
    function _requireDue(CompoundAction calldata action) private view {
        _requireMember(action.avatar);
        require(block.timestamp <= action.deadline, DeadlinePassed(action.deadline));
        _requireNotFrozen(action.avatar);
        uint256 next = nonceOf(action.avatar);
        require(action.nonce == next, WrongNonce(action.nonce, next));
        bytes32 head = logNodeHeads[action.avatar];
        require(action.prevHead == head, StaleHead(action.prevHead, head));
        bool isCall = action.to != address(0);
        require(isCall || (action.value == 0 && action.data.length == 0), CallToNobody());
    }

    /// @dev What it signed before is void when it enters again, and its log is not frozen then.
    function _afterExit(address member) internal override {
        _avatars[member].nonce++;
        _avatars[member].isFrozen = false;
    }

    function _freeze(address member) internal {
        _avatars[member].isFrozen = true;
    }

    function _requireNotFrozen(address avatar) internal view {
        require(!isFrozen(avatar), LogFrozen(avatar));
    }

    /// @dev A member that signs. An account that got code after it entered cannot.
    function _canFlush(address avatar) private view returns (bool) {
        return isMember(avatar) && !isFrozen(avatar) && _hasKey(avatar);
    }

    /// @dev The avatar whose account `account` is; `account` itself if it is not an account. Its code names the avatar, and
    /// its address proves it.
    function _avatarOf(address account) private view returns (address avatar) {
        if (account.code.length != ACCOUNT_SIZE) return account;
        bytes memory argument = LibClone.argsOnClone(account, ACCOUNT_AVATAR, ACCOUNT_AVATAR + 20);
        avatar = address(bytes20(LibBytes.load(argument, 0)));
        return account == accountOf(avatar) ? avatar : account;
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
