// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IAvatars} from "./IAvatars.sol";
import {IEngine} from "./IEngine.sol";
import {IGate} from "./IGate.sol";
import {IMembers} from "./IMembers.sol";
import {IRingLogs} from "./IRingLogs.sol";

/// @notice A log node as its author signed it; its number is given beside it.
/// @param prev the digest of the node before, 0 for the first
/// @param content the digest of what it says
struct SignedNode {
    bytes32 prev;
    bytes32 content;
    bytes32 r;
    bytes32 s;
    uint8 v;
}

/// @title A ring: members who run the same computations, and whose two thirds decide
/// @notice Accepts what at least two thirds of the members have signed. Signatures are over EIP-712 structs in the domain
/// `{name: "Ring", version: "1", chainId, verifyingContract: this ring}` and given as three arrays, sorted by the signers'
/// addresses. Whoever sends them gains nothing and decides nothing.
/// @dev Warning: a ring trusts two thirds of its members entirely. They can register any output on any gate that it works for.
interface IRing is IAvatars, IRingLogs, IMembers {
    /// @notice Emitted when `member` said by which key and where it can be reached.
    /// @param publicKey the secp256k1 key of `member`, x‖y
    /// @param multiaddress a binary multiaddr, may be empty
    event MemberAnnounced(address indexed member, bytes publicKey, bytes multiaddress);

    /// @notice Emitted when the members of `epoch` put results on `gate`: `cids[i]` on `pins[i]`.
    event OutputsRegistered(address indexed gate, uint256 indexed epoch, uint96[] pins, bytes32[] cids);

    /// @notice Emitted when the members of `epoch` made `cid` the head of the ring log, after `prev`.
    event RingNodeRegistered(bytes32 indexed cid, bytes32 prev, uint256 indexed epoch);

    /// @notice Emitted when `member` was removed for having signed two different nodes as number `seq` of its log: with both
    /// and their signatures, so that the event is the proof.
    event ForkProven(address indexed member, uint64 indexed seq, SignedNode one, SignedNode other);

    /// @notice Emitted when `avatar`, a member of `client`, registered it here.
    event RingRegistered(address indexed client, address indexed avatar);

    /// @notice Emitted when `avatar`, a member of `client`, ended its registration here.
    event RingUnregistered(address indexed client, address indexed avatar);

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

    /// @notice Thrown when two signatures are of one and the same node `seq`: its author only signed it twice.
    error SameNode(uint64 seq);

    /// @notice Thrown when two nodes that shall prove a fork have not the same author (0: the signature is none).
    error DifferentAuthors(address one, address other);

    /// @notice Thrown when `client` is not a ring of this ring's engine: what it says about its members proves nothing.
    error NotARing(IRing client);

    /// @notice Thrown when `avatar` is not a member of `client`.
    error NotMemberOf(IRing client, address avatar);

    /// @notice Thrown when `caller` is not the account that `client` gives `avatar`.
    error NotAccountOf(IRing client, address avatar, address caller);

    /// @notice Thrown when `client` is registered already.
    error AlreadyRegistered(IRing client);

    /// @notice Thrown when `client` is not registered.
    error NotRegistered(IRing client);

    /// @notice Thrown when a registration comes with ether, of which the ring holds none.
    error PaymentNotAccepted(uint256 value);

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

    /// @notice Removes the member who signed both `one` and `other` as number `seq` of its log; a new epoch begins. Anyone may.
    /// @dev Signed: `LogNode(uint64 seq,bytes32 prev,bytes32 content)`, each by the author. The last member can be removed like
    /// any other; the ring then accepts nothing until another enters. Errors beside those here: `InvalidSignature(0)` when
    /// `one` has no signer, `NotMember` when their author is not a member.
    ///
    /// Warning: evidence does not age. Whoever signed twice is removed again each time it enters with the same key; and a
    /// member that lost its log and began it anew under the same key has signed twice.
    function proveFork(uint64 seq, SignedNode calldata one, SignedNode calldata other) external;

    /// @notice Registers `client`, a ring whose logs this one shall keep. By the account of its member `avatar` only, so by a
    /// compound action that is flushed to `client`.
    /// @dev Warning: to be registered is a wish of the client's, and free. Whether the members of this ring follow it is their
    /// decision, and they need the client's replica key for it.
    ///
    /// Payable, for replicas may one day be paid by it; until then the value must be 0.
    function registerRing(IRing client, address avatar) external payable;

    /// @notice Ends the registration of `client`. By the account of `avatar` only, who may be any of its members: the one who
    /// registered it may have left.
    function unregisterRing(IRing client, address avatar) external;

    /// @notice Whether `client` is registered.
    function isClient(IRing client) external view returns (bool);

    /// @notice How many rings are registered.
    function clientCount() external view returns (uint256);

    /// @notice At most `count` registered rings from place `start` on; fewer, or none, where they end.
    /// @dev Warning: who ends its registration is replaced by the last. Who reads several pages reads them in one block.
    function clientsFrom(uint256 start, uint256 count) external view returns (IRing[] memory);

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
