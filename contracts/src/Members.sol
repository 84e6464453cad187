// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IMembers} from "./interfaces/IMembers.sol";
import {MemberSet} from "./libraries/MemberSet.sol";
import {Page} from "./libraries/Page.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {LibSort} from "solady/src/utils/LibSort.sol";
import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

/// @title The members of a ring and the tally of their signatures
/// @dev Properties of the list, at any time after `_initialize` between two transactions:
/// 1. `a` is a member if and only if it is reached from the sentinel by following `_next`, and is not the sentinel.
/// 2. Following `_next` from the sentinel returns to it after `memberCount + 1` steps, and visits ascending addresses.
/// 3. Each member and the sentinel have exactly one predecessor; `_next` of anything else is zero.
/// 4. The snapshot holds exactly the members, in the order of the list. It is written when the list is, so that a tally
///    reads the members of any ring with one access to a cold account instead of one to a cold slot for each.
/// 5. An operation changes the membership of the account it names, no other, and raises the epoch by one.
abstract contract Members is IMembers {
    using MemberSet for bytes;

    /// @inheritdoc IMembers
    uint256 public constant MAX_MEMBERS = 256;

    /// @dev Where the list begins and ends. Nobody has its key.
    address internal constant SENTINEL_MEMBERS = address(1);

    /// @dev The next three are one slot, together with the last variable of what is inherited before this contract.
    uint40 private _epoch;
    uint16 private _memberCount;

    /// @dev The contract whose code is the `MemberSet`; zero when there are no members.
    address private _snapshot;

    mapping(address member => address) private _next;

    /// @inheritdoc IMembers
    function isMember(address account) public view returns (bool) {
        return account != SENTINEL_MEMBERS && _next[account] != address(0);
    }

    /// @inheritdoc IMembers
    function getMembers() external view returns (address[] memory) {
        return _readSnapshot().toArray(0, _memberCount);
    }

    /// @inheritdoc IMembers
    function membersFrom(uint256 start, uint256 count) external view returns (address[] memory) {
        return _readSnapshot().toArray(start, Page.size(start, count, _memberCount));
    }

    /// @inheritdoc IMembers
    function memberCount() external view returns (uint256) {
        return _memberCount;
    }

    /// @inheritdoc IMembers
    function epoch() public view returns (uint256) {
        return _epoch;
    }

    /// @inheritdoc IMembers
    function quorum() external view returns (uint256) {
        return _memberCount == 0 ? 1 : (2 * uint256(_memberCount) + 2) / 3;
    }

    /// @dev Makes the list, with `members` in it, in the first epoch; without any, in epoch 0.
    function _initialize(address[] memory members) internal {
        require(_next[SENTINEL_MEMBERS] == address(0), AlreadyInitialized());
        LibSort.sort(members);
        address previous = SENTINEL_MEMBERS;
        for (uint256 i = 0; i < members.length; i++) {
            _requireNewMember(members[i]);
            _next[previous] = members[i];
            _next[members[i]] = SENTINEL_MEMBERS; // marks it, so that the same account again is refused
            previous = members[i];
        }
        _next[previous] = SENTINEL_MEMBERS;
        if (members.length == 0) return;
        _writeSnapshot(MemberSet.from(members));
        for (uint256 i = 0; i < members.length; i++) {
            emit MemberEntered(members[i], _epoch);
        }
    }

    function _enter(address member) internal {
        _requireNewMember(member);
        bytes memory set = _readSnapshot();
        uint256 index = set.lowerBound(member);
        address previous = _before(set, index);
        _next[member] = _next[previous];
        _next[previous] = member;
        _writeSnapshot(set.insert(index, member));
        emit MemberEntered(member, _epoch);
    }

    function _exit(address member) internal {
        _requireMember(member);
        bytes memory set = _readSnapshot();
        uint256 index = set.lowerBound(member);
        _next[_before(set, index)] = _next[member];
        delete _next[member];
        _writeSnapshot(set.remove(index));
        emit MemberExited(member, _epoch);
    }

    /// @dev Passes if signature `i` of `digest` is by a member that comes after the signer of signature `i - 1`, for every
    /// `i`, and if there are at least two thirds of the members' signatures. Returns the members, for who needs them further.
    function _requireQuorum(bytes32 digest, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        internal
        view
        returns (bytes memory set)
    {
        uint256 members = _memberCount;
        require(r.length == s.length && r.length == v.length, SignatureLengthMismatch(r.length, s.length, v.length));
        require(members != 0 && 3 * r.length >= 2 * members, QuorumNotReached(r.length, members));
        set = _readSnapshot();
        (uint256 good, address signer) = Signatures.countGood(set, digest, r, s, v);
        if (good != r.length) _revertSigner(set, good, signer);
    }

    function _requireMember(address account) internal view {
        require(isMember(account), NotMember(account));
    }

    /// @dev One rule for all that makes members. The sentinel has a successor too, so it is named first.
    function _requireNewMember(address account) private view {
        bool isValid = account != address(0) && account != SENTINEL_MEMBERS && account != address(this);
        require(isValid, InvalidMember(account));
        require(_next[account] == address(0), AlreadyMember(account));
    }

    /// @dev Says what is wrong with the signature that is not good. A member would be, if it came later than those before.
    function _revertSigner(bytes memory set, uint256 signature, address signer) private pure {
        require(signer != address(0), InvalidSignature(signature));
        require(!set.contains(signer), SignersNotAscending(signature, signer));
        revert SignerNotMember(signature, signer);
    }

    /// @dev What stands before place `index` of `set` in the list.
    function _before(bytes memory set, uint256 index) private pure returns (address) {
        return index == 0 ? SENTINEL_MEMBERS : set.get(index - 1);
    }

    function _readSnapshot() private view returns (bytes memory set) {
        address snapshot = _snapshot;
        if (snapshot != address(0)) set = SSTORE2.read(snapshot);
    }

    /// @dev Begins a new epoch, in which the members are `set`.
    function _writeSnapshot(bytes memory set) private {
        uint256 members = set.size();
        require(members <= MAX_MEMBERS, TooManyMembers(members, MAX_MEMBERS));
        _epoch++;
        _memberCount = uint16(members);
        _snapshot = members == 0 ? address(0) : SSTORE2.write(set);
    }
}
