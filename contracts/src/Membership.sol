// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Members} from "./Members.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {CountedExits} from "./libraries/CountedExits.sol";
import {MemberSet} from "./libraries/MemberSet.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";

/// @title How the membership of a ring changes
/// @dev Properties, at any time between two transactions:
/// 1. `_entries` are the accounts whose `_entryOf` has a place, each once: account `_entries[i]` has place `i + 1`.
/// 2. An account with an entry is not a member.
/// 3. An entry is due `entryDelay` seconds after it was announced, or later.
/// 4. A member who is put out by the keeper is counted until `entryDelay` seconds later, or until two thirds say otherwise.
abstract contract Membership is IMembership, Members, EIP712 {
    using CountedExits for uint256[];
    using MemberSet for bytes;

    /// @dev An announced entry: since when it may be settled, and where in `_entries` its account is, counted from 1.
    struct Entry {
        uint40 settlesAt;
        uint16 place;
    }

    bytes32 private constant MEMBERS_TYPEHASH =
        keccak256("Members(bytes32 membersHash,uint256 epoch,address[] enter,address[] exit,uint256 deadline)");

    /// @inheritdoc IMembership
    uint256 public constant ENTRY_WINDOW = 30 days;

    address[] private _entries;
    mapping(address member => Entry) private _entryOf;

    /// @inheritdoc IMembership
    function entryDelay() public view virtual returns (uint256);

    /// @inheritdoc IMembership
    function entryOf(address member) public view returns (uint256 settlesAt) {
        return _entryOf[member].settlesAt;
    }

    /// @inheritdoc IMembership
    function pendingEntries() external view returns (address[] memory) {
        return _entries;
    }

    /// @inheritdoc IMembership
    function settle(address member) external {
        uint256 settlesAt = entryOf(member);
        require(settlesAt != 0, NoEntry(member));
        require(block.timestamp >= settlesAt, EntryNotDue(member, settlesAt));
        require(block.timestamp <= settlesAt + ENTRY_WINDOW, EntryLapsed(member, settlesAt + ENTRY_WINDOW));
        _dropEntry(member);
        _enter(member);
    }

    /// @inheritdoc IMembership
    function changeMembers(
        address[] calldata enter,
        address[] calldata exit,
        uint256 deadline,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external {
        require(block.timestamp <= deadline, DeadlinePassed(deadline));
        require(enter.length + exit.length != 0, NothingToChange());
        // slither-disable-next-line unused-return // the members are read again, with the exits
        _requireQuorum(_changeDigest(enter, exit, deadline), r, s, v);
        _change(enter, exit);
    }

    /// @dev Announces the entry of `member`, or announces it again, so that its delay begins again.
    function _announceEntry(address member) internal {
        _requireNewMember(member);
        Entry storage entry = _entryOf[member];
        if (entry.place == 0) {
            require(_entries.length < MAX_MEMBERS, TooManyEntries(MAX_MEMBERS));
            _entries.push(member);
            entry.place = uint16(_entries.length);
        }
        uint256 settlesAt = block.timestamp + entryDelay();
        entry.settlesAt = uint40(settlesAt);
        emit EntryAnnounced(member, settlesAt);
    }

    /// @dev Cancels the entry of `member`; false if there is none.
    function _cancelEntry(address member) internal returns (bool isCancelled) {
        isCancelled = _dropEntry(member);
        if (isCancelled) emit EntryCancelled(member);
    }

    function _cancelEntries() internal {
        while (_entries.length != 0) {
            _cancelEntry(_entries[_entries.length - 1]);
        }
    }

    /// @dev The keeper's exit: of a member, whose vote ends now and who is counted until the delay has passed, or of an entry.
    function _putOut(address member) internal {
        if (_cancelEntry(member)) return;
        _exit(member, block.timestamp + entryDelay());
    }

    /// @dev Forgets the entry of `member`; false if there is none. The last of the list takes its place.
    function _dropEntry(address member) private returns (bool) {
        uint256 place = _entryOf[member].place;
        // A place, which no time enters into.
        // slither-disable-next-line incorrect-equality
        if (place == 0) return false;
        address last = _entries[_entries.length - 1];
        _entries[place - 1] = last;
        _entryOf[last].place = uint16(place);
        _entries.pop();
        delete _entryOf[member];
        return true;
    }

    /// @dev Exits come first, so that a full ring can replace members, and so that a member can leave and enter again in one
    /// step.
    function _change(address[] calldata enter, address[] calldata exit) private {
        Roster memory roster = _readRoster();
        _beginEpoch();
        for (uint256 i = 0; i < exit.length; i++) {
            if (isMember(exit[i])) _remove(roster, exit[i]);
            else _forget(roster, exit[i]);
        }
        for (uint256 i = 0; i < enter.length; i++) {
            _dropEntry(enter[i]);
            _insert(roster, enter[i]);
        }
        require(roster.set.size() != 0, LastMember());
        _writeRoster(roster);
    }

    /// @dev For an account that is not a member: cancels its entry, or ends the counting of its exit. It must have one of
    /// the two.
    function _forget(Roster memory roster, address account) private {
        uint256 exits = roster.exits.length;
        roster.exits.keep(block.timestamp, account);
        require(_cancelEntry(account) || roster.exits.length < exits, NotMember(account));
    }

    function _changeDigest(address[] calldata enter, address[] calldata exit, uint256 deadline)
        private
        view
        returns (bytes32)
    {
        bytes32 enterHash = keccak256(abi.encodePacked(enter));
        bytes32 exitHash = keccak256(abi.encodePacked(exit));
        return
            _hashTypedData(
                keccak256(abi.encode(MEMBERS_TYPEHASH, membersHash(), epoch(), enterHash, exitHash, deadline))
            );
    }
}
