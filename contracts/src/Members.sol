// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembers} from "./interfaces/IMembers.sol";
import {CountedExits} from "./libraries/CountedExits.sol";
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
/// 4. The snapshot holds exactly the members, in the order of the list, and behind them the counted exits. It is written when
///    the list is, so that a tally reads all of it with one access to a cold account instead of one to a cold slot for each.
/// 5. An operation changes the membership of the accounts it names, of no other, and raises the epoch by one.
/// 6. An account is counted at most once: as a member, or as one whose exit is counted. Members and counted exits together
///    are at most `MAX_MEMBERS`.
abstract contract Members is IMembers {
    using CountedExits for uint256[];
    using MemberSet for bytes;

    /// @dev The snapshot, read: the members, and the exits that are counted now.
    struct Roster {
        bytes set;
        uint256[] exits;
    }

    /// @inheritdoc IMembers
    uint256 public constant MAX_MEMBERS = 256;

    /// @dev The start and end of the list. Nobody has the key of this address.
    address internal constant SENTINEL_MEMBERS = address(1);

    /// @dev What the code of an account begins with, and all its length, that delegates by EIP-7702. No contract can begin so
    /// (EIP-3541).
    bytes3 private constant DELEGATION = 0xef0100;
    uint256 private constant DELEGATION_SIZE = 23;

    /// @dev The next three are one slot, together with the last variable of what is inherited before this contract.
    uint40 private _epoch;
    uint16 private _memberCount;

    /// @dev The contract whose code is the `MemberSet` with the `CountedExits` behind it; zero when there are neither.
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
    function memberCount() public view returns (uint256) {
        return _memberCount;
    }

    /// @inheritdoc IMembers
    function epoch() public view returns (uint256) {
        return _epoch;
    }

    /// @inheritdoc IMembers
    function membersHash() public view returns (bytes32) {
        // Each element is a word of its own, and there is one array only.
        // slither-disable-next-line encode-packed-collision
        return keccak256(abi.encodePacked(_readSnapshot().toArray(0, _memberCount)));
    }

    /// @inheritdoc IMembers
    function countedMembers() public view returns (uint256 counted) {
        (, counted) = _readCounted();
    }

    /// @inheritdoc IMembers
    function quorum() external view returns (uint256) {
        uint256 counted = countedMembers();
        // A number of accounts; that some of them are counted by the time makes it no balance to be tampered with.
        // slither-disable-next-line incorrect-equality
        return counted == 0 ? 1 : (2 * counted + 2) / 3;
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
        _beginEpoch();
        _writeRoster(Roster(MemberSet.from(members), new uint256[](0)));
        for (uint256 i = 0; i < members.length; i++) {
            emit MemberEntered(members[i], _epoch);
        }
    }

    function _enter(address member) internal {
        Roster memory roster = _readRoster();
        _beginEpoch();
        _insert(roster, member);
        _writeRoster(roster);
    }

    /// @dev Ends the membership of `member`, who is still counted as long as the time is before `until`.
    function _exit(address member, uint256 until) internal {
        Roster memory roster = _readRoster();
        _beginEpoch();
        _remove(roster, member);
        if (until > block.timestamp) roster.exits = roster.exits.append(CountedExits.pack(member, until));
        _writeRoster(roster);
    }

    /// @dev Begins the epoch of a change. A number is never used twice: nothing else sets it, and it only rises.
    function _beginEpoch() internal {
        _epoch++;
    }

    /// @dev Makes `member` a member in `roster` and in the list. A member that was put out and enters again is counted
    /// once.
    function _insert(Roster memory roster, address member) internal {
        _requireNewMember(member);
        uint256 index = roster.set.lowerBound(member);
        address previous = _before(roster.set, index);
        _next[member] = _next[previous];
        _next[previous] = member;
        roster.set = roster.set.insert(index, member);
        roster.exits.keep(block.timestamp, member);
        emit MemberEntered(member, _epoch);
    }

    /// @dev Takes `member` out of `roster` and of the list.
    function _remove(Roster memory roster, address member) internal {
        _requireMember(member);
        uint256 index = roster.set.lowerBound(member);
        _next[_before(roster.set, index)] = _next[member];
        delete _next[member];
        roster.set = roster.set.remove(index);
        emit MemberExited(member, _epoch);
        _afterExit(member);
    }

    /// @dev Ends everything else that depends on the membership of `member`.
    function _afterExit(address member) internal virtual;

    /// @dev Passes if signature `i` of `digest` is by a member that comes after the signer of signature `i - 1`, for every
    /// `i`, and if there are signatures of at least two thirds of those who are counted. Returns the members, for callers
    /// that need them.
    function _requireQuorum(bytes32 digest, bytes32[] calldata r, bytes32[] calldata s, uint8[] calldata v)
        internal
        view
        returns (bytes memory set)
    {
        require(r.length == s.length && r.length == v.length, SignatureLengthMismatch(r.length, s.length, v.length));
        uint256 counted;
        (set, counted) = _readCounted();
        require(counted != 0 && 3 * r.length >= 2 * counted, QuorumNotReached(r.length, counted));
        (uint256 good, address signer) = Signatures.countGood(set, digest, r, s, v);
        if (good != r.length) _revertSigner(set, good, signer);
    }

    function _requireMember(address account) internal view {
        require(isMember(account), NotMember(account));
    }

    /// @dev The one check for every new member. The sentinel has a successor too, so it is checked first. A contract cannot
    /// sign, so it could neither vote nor flush.
    function _requireNewMember(address account) internal view {
        bool isValid = account != address(0) && account != SENTINEL_MEMBERS && account != address(this);
        require(isValid, InvalidMember(account));
        require(_next[account] == address(0), AlreadyMember(account));
        require(_hasKey(account), MemberIsContract(account));
    }

    /// @dev Whether somebody may have the key of `account`: it has no code, or a delegation by EIP-7702, which the key can
    /// remove. `account` may still become a contract later.
    function _hasKey(address account) internal view returns (bool) {
        uint256 size = account.code.length;
        return size == 0 || (size == DELEGATION_SIZE && bytes3(account.code) == DELEGATION);
    }

    /// @dev Reverts with the reason why a signature is not good. If the signer is a member, it is not in ascending order.
    function _revertSigner(bytes memory set, uint256 signature, address signer) private pure {
        require(signer != address(0), InvalidSignature(signature));
        require(!set.contains(signer), SignersNotAscending(signature, signer));
        revert SignerNotMember(signature, signer);
    }

    /// @dev What stands before place `index` of `set` in the list.
    function _before(bytes memory set, uint256 index) private pure returns (address) {
        // A place in a list, which no time enters into.
        // slither-disable-next-line incorrect-equality
        return index == 0 ? SENTINEL_MEMBERS : set.get(index - 1);
    }

    /// @dev The members, and of how many two thirds are needed.
    function _readCounted() private view returns (bytes memory set, uint256 counted) {
        (address snapshot, uint256 members) = (_snapshot, _memberCount); // one slot, read once
        if (snapshot == address(0)) return (set, members);
        set = SSTORE2.read(snapshot);
        counted = members;
        uint256 size = MemberSet.WIDTH * members;
        if (set.length != size) counted += _cutExits(set, size).countAt(block.timestamp);
    }

    function _readRoster() internal view returns (Roster memory roster) {
        roster.set = _readSnapshot();
        uint256 size = MemberSet.WIDTH * _memberCount;
        if (roster.set.length != size) roster.exits = _cutExits(roster.set, size);
        roster.exits.keep(block.timestamp, address(0));
    }

    /// @dev Leaves the members, which are the first `size` bytes of `data`, and gives the exits behind them.
    function _cutExits(bytes memory data, uint256 size) private pure returns (uint256[] memory exits) {
        exits = CountedExits.parse(data, size);
        assembly ("memory-safe") {
            mstore(data, size)
        }
    }

    /// @dev The members and, behind them, the counted exits.
    function _readSnapshot() private view returns (bytes memory data) {
        address snapshot = _snapshot;
        if (snapshot != address(0)) data = SSTORE2.read(snapshot);
    }

    /// @dev Makes `roster` the snapshot.
    function _writeRoster(Roster memory roster) internal {
        uint256 members = roster.set.size();
        uint256 counted = members + roster.exits.length;
        require(counted <= MAX_MEMBERS, TooManyMembers(counted, MAX_MEMBERS));
        _memberCount = uint16(members);
        // Exits are whole words behind addresses, whose number is kept beside. None counted is exactly 0.
        // slither-disable-next-line encode-packed-collision,incorrect-equality
        _snapshot = counted == 0 ? address(0) : SSTORE2.write(abi.encodePacked(roster.set, roster.exits));
    }
}
