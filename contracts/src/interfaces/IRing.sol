// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAvatars} from "./IAvatars.sol";
import {IEngine} from "./IEngine.sol";
import {IGate} from "./IGate.sol";
import {IMembership} from "./IMembership.sol";
import {IRingLogs} from "./IRingLogs.sol";

/// @notice A log node as its author signed it, without its number, which is given separately.
/// @param prev the digest of the node before, 0 for the first
/// @param content the digest of its content
struct SignedNode {
    bytes32 prev;
    bytes32 content;
    bytes32 r;
    bytes32 s;
    uint8 v;
}

/// @title A ring: members who run the same computations, of whom two thirds decide
/// @notice Accepts what at least two thirds of the members have signed. Signatures are over EIP-712 structs in the domain
/// `{name: "Ring", version: "1", chainId, verifyingContract: this ring}` and given as three arrays, sorted by the
/// signers' addresses. The sender of a transaction gains nothing and decides nothing. A function that takes signatures
/// reverts with `SignatureLengthMismatch`, `QuorumNotReached`, `InvalidSignature`, `SignersNotAscending` or `SignerNotMember`
/// (`IMembers`) if they are not good.
/// @dev Warning: a ring trusts two thirds of its members entirely. They can register any output on any gate that it works for.
interface IRing is IAvatars, IRingLogs, IMembership {
    /// @notice Emitted when `member` announced its key and its address.
    /// @param publicKey the secp256k1 key of `member`, x‖y
    /// @param multiaddress a binary multiaddr, may be empty
    event MemberAnnounced(address indexed member, bytes publicKey, bytes multiaddress);

    /// @notice Emitted when the members of `epoch` put results on `gate`: `cids[i]` on `pins[i]`. A failure is the same event
    /// with one pin, `type(uint96).max`, and the failure record.
    event OutputsRegistered(address indexed gate, uint256 indexed epoch, uint96[] pins, bytes32[] cids);

    /// @notice Emitted when `challenger` challenged the primary ring of `gate`, by each ring that the gate is assigned to.
    /// `IGate.CHALLENGE_TIMEOUT` runs from here.
    event PrimaryRingChallenged(address indexed gate, address indexed challenger);

    /// @notice Emitted when the fall-back rings of `gate` were let in, by each ring that the gate is assigned to.
    event FloodgateOpened(address indexed gate);

    /// @notice Emitted when the members of `epoch` made `cid` the head of the ring log, after `prev`.
    event RingNodeRegistered(bytes32 indexed cid, bytes32 prev, uint256 indexed epoch);

    /// @notice Emitted when `member` was removed, or its log frozen, as the ring's `forkRule` says, for having signed two
    /// different nodes as number `seq` of its log: with both and their signatures, so that the event is the proof.
    event ForkProven(address indexed member, uint64 indexed seq, SignedNode one, SignedNode other);

    /// @notice Emitted when `avatar`, a member of `client`, registered it here.
    event RingRegistered(address indexed client, address indexed avatar);

    /// @notice Emitted when `avatar`, a member of `client`, ended its registration here.
    event RingUnregistered(address indexed client, address indexed avatar);

    /// @notice Thrown when `caller` is not the engine, which owns the ring.
    error NotEngine(address caller);

    /// @notice Thrown when contract code cannot be written: the members, or a clone. Too little gas was left for it.
    error DeploymentFailed();

    /// @notice Thrown when `caller` is not a gate of the engine.
    error NotAGate(address caller);

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

    /// @notice Thrown when a fork of the log of `author` at number `seq` was proven before.
    error AlreadyProven(address author, uint64 seq);

    /// @notice Thrown when two nodes that should prove a fork have different authors (0: the signature is invalid).
    error DifferentAuthors(address one, address other);

    /// @notice Thrown when `client` is not a ring of this ring's engine: its statements about its members prove nothing.
    error NotARing(IRing client);

    /// @notice Thrown when `avatar` is not a member of `client`.
    error NotMemberOf(IRing client, address avatar);

    /// @notice Thrown when `caller` is not the account that `client` gives `avatar`.
    error NotAccountOf(IRing client, address avatar, address caller);

    /// @notice Thrown when `client` is registered already.
    error AlreadyRegistered(IRing client);

    /// @notice Thrown when `client` is not registered.
    error NotRegistered(IRing client);

    /// @notice Thrown when ether is sent with a registration. A ring never holds ether.
    error PaymentNotAccepted(uint256 value);

    /// @notice The engine that made the ring and owns it.
    function engine() external view returns (IEngine);

    /// @notice Gives a new ring its first members. The engine only, once, in the transaction that makes the ring.
    function initialize(address[] calldata members) external;

    /// @notice Announces that `member` shall enter; `settle` makes it a member when the entry delay has passed. Announced again,
    /// its delay begins again. The engine only, for the keeper.
    function enter(address member) external;

    /// @notice Puts `member` out; a new epoch begins. Its vote ends at once, and `quorum` counts it until the entry delay has
    /// passed. If only the entry of `member` is announced, cancels the entry. The engine only, for the keeper.
    /// @dev Warning: the last member may be put out. The ring then accepts nothing until another enters.
    function exit(address member) external;

    /// @notice Cancels all announced entries. The engine only, when the keeper renounces.
    function cancelEntries() external;

    /// @notice Publishes the caller's key, hence its libp2p PeerId, and its address. Members only; the last one counts.
    /// @param publicKey 64 bytes, x‖y; its keccak-256 must end in the caller's address
    /// @param multiaddress binary multiaddr of at most 256 bytes, or empty
    function announce(bytes calldata publicKey, bytes calldata multiaddress) external;

    /// @notice What `member` announced last; empty when it did not, or is not a member.
    function contactOf(address member) external view returns (bytes memory publicKey, bytes memory multiaddress);

    /// @notice Declares `cids` as constants in the scope of `gate` and resolves the gate with them: `cids[i]` on `pins[i]`.
    /// @dev Signed: `Outputs(address gate,bytes32 inputs,uint256 epoch,uint96[] pins,bytes32[] cids)`, where `inputs` is
    /// `gate.inputsHash()` as it is now: so a signature for what a future held on another branch of the chain does not fit.
    /// Anyone may send it. It is all or nothing: if the scope or the gate refuses, nothing is registered. The gate refuses a
    /// second registration (`AlreadyResolved`); for someone who wanted to register the same result, that means that it is
    /// registered.
    ///
    /// Warning: the contract at `gate` is called without a check. Members must sign only for gates whose code they know.
    /// @param pins all output pins of the gate in ascending order, or `type(uint96).max` alone for a failure
    function registerOutputs(
        IGate gate,
        uint96[] calldata pins,
        bytes32[] calldata cids,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external;

    /// @notice Tells the members that the primary ring of the calling gate was challenged by `challenger`. A gate of the engine
    /// only.
    function reportChallenge(address challenger) external;

    /// @notice Tells the members that the calling gate has let its fall-back rings in. A gate of the engine only.
    function reportFloodgate() external;

    /// @notice Makes `cid`, the digest of a ring node's header, the head of the ring log, and `heads[i]` the head of the log of
    /// `members[i]`. The form of a header is in `libraries/RingNodeHeader.sol`; the contract does not see the header here, so
    /// the members check it before they sign.
    /// @dev Signed: `RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)`,
    /// where `prev` and `prevHeads` are what the contract holds now. If any of this changed since the members signed, the
    /// signatures do not fit; the first one already recovers to an account that is not a member, so the refusal costs little
    /// gas. At the next try, a member that has moved its head in the meantime can be left out: heads that are not named may
    /// move.
    /// @param members whose heads move: in ascending order, members all, may be empty
    function registerRingNode(
        bytes32 cid,
        address[] calldata members,
        bytes32[] calldata heads,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external;

    /// @notice Removes the member who signed both `one` and `other` as number `seq` of its log, in a new epoch, or freezes its
    /// log, as `forkRule` says. Anyone may. A removed member is not counted any more.
    /// @dev Signed: `LogNode(uint64 seq,bytes32 prev,bytes32 content)`, each by the author. The last member can be removed like
    /// any other; the ring then accepts nothing until another enters, which in a self-kept ring is never. Errors beside those
    /// here: `InvalidSignature(0)` when `one` has no signer, `NotMember` when their author is not a member.
    ///
    /// A fork at one number is proven once, so that a member that entered again is not put out with the old proof. Other
    /// numbers at which the same key signed twice can still be proven, however old they are. So a member that has forked
    /// should enter again with a new key.
    ///
    /// Warning: a member that lost its log and began it again with the same key has signed twice.
    function proveFork(uint64 seq, SignedNode calldata one, SignedNode calldata other) external;

    /// @notice Registers `client`, a ring whose logs this one shall keep. By the account of its member `avatar` only, so by a
    /// compound action that is flushed to `client`.
    /// @dev Warning: a registration is only a request of the client, and free. The members of this ring decide whether they
    /// follow it, and they need the client's replica key for that.
    ///
    /// It is payable because a later version may pay replicas with it; until then the value must be 0.
    function registerRing(IRing client, address avatar) external payable;

    /// @notice Ends the registration of `client`. By the account of `avatar` only, who may be any of its members: the one who
    /// registered it may have left.
    function unregisterRing(IRing client, address avatar) external;

    /// @notice Whether `client` is registered.
    function isClient(IRing client) external view returns (bool);

    /// @notice How many rings are registered.
    function clientCount() external view returns (uint256);

    /// @notice At most `count` registered rings from place `start` on; fewer, or none, where they end.
    /// @dev Warning: when a registration ends, the last ring takes its place. So read several pages at one block.
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
