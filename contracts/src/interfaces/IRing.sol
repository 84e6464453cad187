// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IEngine} from "./IEngine.sol";
import {IGate} from "./IGate.sol";
import {IMembers} from "./IMembers.sol";
import {IRingLogs} from "./IRingLogs.sol";

/// @title A ring: members who run the same computations, and whose two thirds decide
/// @notice Accepts what at least two thirds of the members have signed. Signatures are over EIP-712 structs in the domain
/// `{name: "Ring", version: "1", chainId, verifyingContract: this ring}` and given as three arrays, sorted by the signers'
/// addresses. Whoever sends them gains nothing and decides nothing.
/// @dev Warning: a ring trusts two thirds of its members entirely. They can register any output on any gate that it works for.
interface IRing is IMembers, IRingLogs {
    /// @notice Emitted when `member` said by which key and where it can be reached.
    /// @param publicKey the secp256k1 key of `member`, x‖y
    /// @param multiaddress a binary multiaddr, may be empty
    event MemberAnnounced(address indexed member, bytes publicKey, bytes multiaddress);

    /// @notice Emitted when the members of `epoch` put results on `gate`: `cids[i]` on `pins[i]`.
    event OutputsRegistered(address indexed gate, uint256 indexed epoch, uint96[] pins, bytes32[] cids);

    /// @notice Emitted when the members of `epoch` made `cid` the head of the ring log, after `prev`.
    event RingNodeRegistered(bytes32 indexed cid, bytes32 prev, uint256 indexed epoch);

    /// @notice Thrown when `caller` is not the engine, which owns the ring.
    error NotEngine(address caller);

    /// @notice Thrown when two arrays that belong together differ in length.
    error LengthMismatch(uint256 left, uint256 right);

    /// @notice Thrown when there is nothing to register.
    error NoOutputs();

    /// @notice Thrown when the members whose heads move are not in ascending order, each once.
    error MembersNotAscending(uint256 index, address member);

    /// @notice Thrown when the key does not hash to the address of `member`.
    error WrongPublicKey(address member);

    /// @notice Thrown when a multiaddress is longer than `max` bytes.
    error MultiaddressTooLong(uint256 length, uint256 max);

    /// @notice The engine that made the ring and owns it.
    function engine() external view returns (IEngine);

    /// @notice Gives a new ring its first members. The engine only, once, in the transaction that makes the ring.
    function initialize(address[] calldata members) external;

    /// @notice Makes `member` a member; a new epoch begins. The engine only.
    function enter(address member) external;

    /// @notice Ends the membership of `member`; a new epoch begins. The engine only.
    /// @dev Warning: the last member may leave. The ring then accepts nothing until another enters.
    function exit(address member) external;

    /// @notice Publishes the caller's key, hence its libp2p PeerId, and its address. Members only; the last one counts.
    /// @param publicKey 64 bytes, x‖y; its keccak-256 must end in the caller's address
    /// @param multiaddress binary multiaddr of at most 256 bytes, or empty
    function announce(bytes calldata publicKey, bytes calldata multiaddress) external;

    /// @notice What `member` announced last; empty when it did not, or is not a member.
    function contactOf(address member) external view returns (bytes memory publicKey, bytes memory multiaddress);

    /// @notice Declares `cids` as constants in the scope of `gate` and puts them on its output `pins`.
    /// @dev Signed: `Outputs(address gate,uint256 epoch,uint96[] pins,bytes32[] cids)`. Anyone may send it. It is all or
    /// nothing: what the scope or the gate refuses is not registered. The second registration of the same result is refused
    /// by the gate (`PinAlreadySet`), which to the second sender means that the result is there.
    ///
    /// Warning: `gate` is called as it is. Members sign for gates whose code they know.
    function registerOutputs(
        IGate gate,
        uint96[] calldata pins,
        bytes32[] calldata cids,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external;

    /// @notice Makes `cid` the head of the ring log and `heads[i]` the head of the log of `members[i]`.
    /// @dev Signed:
    /// `RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)`, where `prev`
    /// and `prevHeads` are what the contract holds now. If anything moved since the members signed, the signatures do not fit.
    /// @param members whose heads move: in ascending order, members all, may be empty
    function registerRingNode(
        bytes32 cid,
        address[] calldata members,
        bytes32[] calldata heads,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external;

    /// @notice The EIP-712 domain of the signatures, as in ERC-5267.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );
}
