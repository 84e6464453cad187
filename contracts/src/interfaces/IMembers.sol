// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Who is in a ring, and what they agreed on
/// @notice A list of at most `MAX_MEMBERS` accounts, the epoch of that list, and the rule by which their signatures count.
interface IMembers {
    /// @notice Emitted when `member` entered; `epoch` is the one that begins with it.
    event MemberEntered(address indexed member, uint256 epoch);

    /// @notice Emitted when `member` left; `epoch` is the one that begins with it. Signatures of earlier epochs are void.
    event MemberExited(address indexed member, uint256 epoch);

    /// @notice Thrown when the list is given its first members a second time.
    error AlreadyInitialized();

    /// @notice Thrown when an account that can never be a member is named: zero, the sentinel, or the contract itself.
    error InvalidMember(address account);

    /// @notice Thrown when an account that has code, other than a delegation by EIP-7702, would become a member: it could not
    /// sign.
    error MemberIsContract(address account);

    /// @notice Thrown when `member` enters a second time.
    error AlreadyMember(address member);

    /// @notice Thrown when `account` must be a member and is not.
    error NotMember(address account);

    /// @notice Thrown when more than `max` would be counted: members, and those whom the keeper put out less than the delay ago.
    error TooManyMembers(uint256 members, uint256 max);

    /// @notice Thrown when the three parts of the signatures differ in number.
    error SignatureLengthMismatch(uint256 r, uint256 s, uint256 v);

    /// @notice Thrown when fewer than two thirds of those `counted` signed, or when nobody is counted.
    error QuorumNotReached(uint256 signatures, uint256 counted);

    /// @notice Thrown when signature `index` is not in the one form that is accepted: `s` in the lower half, `v` 27 or 28,
    /// and it recovers to an account.
    error InvalidSignature(uint256 index);

    /// @notice Thrown when the signer of signature `index` does not come after the one before it. Also thrown for a
    /// repeated signer.
    error SignersNotAscending(uint256 index, address signer);

    /// @notice Thrown when signature `index` recovers to an account that is not a member. So does every signature that was
    /// made in another epoch, for another ring, chain or content.
    error SignerNotMember(uint256 index, address signer);

    /// @notice The most members a ring may have.
    function MAX_MEMBERS() external view returns (uint256);

    /// @notice Whether `account` is a member now. Never true of `address(0)` and of the sentinel `address(1)`.
    function isMember(address account) external view returns (bool);

    /// @notice All members, in ascending order.
    function getMembers() external view returns (address[] memory);

    /// @notice At most `count` members from place `start` of `getMembers` on; fewer, or none, where they end.
    /// @dev Read several pages in one epoch.
    function membersFrom(uint256 start, uint256 count) external view returns (address[] memory);

    /// @notice How many members there are.
    function memberCount() external view returns (uint256);

    /// @notice How often the membership has changed; it only rises. The members a ring is made with make the first epoch, 1.
    function epoch() external view returns (uint256);

    /// @notice keccak256 of the members' addresses in ascending order, each in 32 bytes.
    function membersHash() external view returns (bytes32);

    /// @notice The number of accounts of which two thirds must sign: the members, and those whom the keeper put out less than
    /// the entry delay ago. The latter cannot sign any more, but are counted.
    function countedMembers() external view returns (uint256);

    /// @notice How many members must sign: two thirds of those counted, rounded up.
    /// @dev It is 1 when nobody is counted. Then nobody can sign, so an empty ring accepts nothing.
    ///
    /// Warning: it can be more than there are members, when the keeper has put many out; and it falls by itself, without an
    /// event, when the delay of somebody who was put out has passed.
    function quorum() external view returns (uint256);
}
