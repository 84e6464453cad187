// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IMembers} from "./IMembers.sol";

/// @notice What a proven fork does to its author.
/// @dev `Remove`: it is removed; for rings of operators. `Freeze`: it stays a member, and its log is frozen; for rings of
/// people, who must not be expelled because of a lost phone.
enum ForkRule {
    Remove,
    Freeze
}

/// @title How the membership of a ring changes
/// @notice A ring is kept or self-kept (`IEngine.keeperOf`, 0 for self-kept).
///
/// *Kept*: the keeper announces entries. An entry counts only by `settle`, which anybody may call, and no sooner than
/// `entryDelay` seconds after it was announced. The keeper puts members out: they cannot vote any more, and the number of
/// signatures needed counts them for another `entryDelay` seconds. So a keeper cannot get a quorum of its own accounts
/// before `entryDelay` seconds have passed, in which everybody can see what it does.
///
/// *Self-kept*: only two thirds of the members can change the list.
///
/// In both, two thirds of the members change the list in any way and at once (`changeMembers`), every member may leave
/// (`leave`), and a member that signs two nodes for one position of its log is removed or frozen (`IRing.proveFork`,
/// `forkRule`).
interface IMembership is IMembers {
    /// @notice Emitted when the keeper announced that `member` shall enter. `settle` makes it a member from second `settlesAt`
    /// on, until `ENTRY_WINDOW` later. If it is announced again, the last announcement counts.
    event EntryAnnounced(address indexed member, uint256 settlesAt);

    /// @notice Emitted when an announced entry was cancelled: by the keeper, by two thirds, or because the keeper renounced.
    event EntryCancelled(address indexed member);

    /// @notice Thrown when no entry of `member` is announced.
    error NoEntry(address member);

    /// @notice Thrown when the entry of `member` is settled before second `settlesAt`.
    error EntryNotDue(address member, uint256 settlesAt);

    /// @notice Thrown when the entry of `member` was not settled by second `lapsedAt`. It can be announced again.
    error EntryLapsed(address member, uint256 lapsedAt);

    /// @notice Thrown when `max` entries are announced already.
    error TooManyEntries(uint256 max);

    /// @notice Thrown when no member would be left. Only the keeper and a proven fork can end the last membership.
    error LastMember();

    /// @notice Thrown when a change names nobody.
    error NothingToChange();

    /// @notice Thrown when the deadline of what was signed has passed. It is in seconds since 1970.
    error DeadlinePassed(uint256 deadline);

    /// @notice How long after it was announced an entry can be settled, and for how long a member that the keeper put out is
    /// counted, in seconds. It is in the code of the ring and never changes.
    function entryDelay() external view returns (uint256);

    /// @notice What a proven fork does to its author. It is in the code of the ring and never changes.
    function forkRule() external view returns (ForkRule);

    /// @notice For how long an entry that is due can be settled, in seconds. So an old announcement that everybody has
    /// forgotten makes nobody a member.
    function ENTRY_WINDOW() external view returns (uint256);

    /// @notice The second from which on the announced entry of `member` can be settled; 0 if none is announced.
    function entryOf(address member) external view returns (uint256 settlesAt);

    /// @notice The accounts whose entries are announced and neither settled nor cancelled, in no particular order; at most
    /// `MAX_MEMBERS`. Entries that have lapsed are included.
    function pendingEntries() external view returns (address[] memory);

    /// @notice Makes `member`, whose announced entry is due, a member; a new epoch begins. Anyone may.
    /// @dev Errors beside those here, if things have changed since the announcement: `MemberIsContract`, `TooManyMembers`.
    ///
    /// Warning: the new epoch voids signatures that are not registered yet, so they must be made again. An account that sees
    /// such a result on its way can settle first to delay it. A keeper prevents that by settling entries as soon as they are
    /// due.
    function settle(address member) external;

    /// @notice Changes the list as two thirds of the members have signed; one new epoch begins. Anyone may send it.
    /// @dev Signed: `Members(bytes32 membersHash,uint256 epoch,address[] enter,address[] exit,uint256 deadline)`, where
    /// `membersHash` and `epoch` are what the contract holds now. The epoch rises with each change, so a signed change can be
    /// made only once. It takes effect at once: the members of `exit` are not counted any more, and those of `enter` are
    /// members without delay. Exits are carried out before entries: an account in both leaves and enters again.
    ///
    /// An account in `exit` may also be one whose entry is announced, which is then cancelled, or one that the keeper put out,
    /// which is then not counted any more. An account in `enter` may be one whose entry is announced.
    ///
    /// Warning: a change has to fit into a transaction. In a ring of 256, that is 85 accounts in and 85 out, or 256
    /// cancelled entries. In a ring of 128, all members can be changed at once.
    /// Warning: two thirds means two thirds of `countedMembers`. So when a keeper puts members out, the others need more
    /// signatures for a while.
    /// @param enter who becomes a member; in any order, each once
    /// @param exit who is removed; in any order, each once
    /// @param deadline the last second, since 1970, in which it counts
    function changeMembers(
        address[] calldata enter,
        address[] calldata exit,
        uint256 deadline,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external;

    /// @notice Ends the membership of the caller, or of the avatar whose account the caller is; so a member can also leave by
    /// a flush. It is not counted any more from then on. The last member cannot leave.
    /// @dev Errors beside those here: `NotMember` when the caller is neither.
    function leave() external;
}
