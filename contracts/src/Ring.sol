// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Avatars} from "./Avatars.sol";
import {Clients} from "./Clients.sol";
import {Membership} from "./Membership.sol";
import {IEngine} from "./interfaces/IEngine.sol";
import {IGate} from "./interfaces/IGate.sol";
import {ForkRule, IMembership} from "./interfaces/IMembership.sol";
import {IRing, SignedNode} from "./interfaces/IRing.sol";
import {Mutability} from "./interfaces/IScope.sol";
import {MemberSet} from "./libraries/MemberSet.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";
import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

/// @title A ring
/// @notice The rings are clones of one contract. Behind a clone's code are its entry delay, 5 bytes, its fork rule, 1 byte, and
/// the engine that made it, 20 bytes. The contract itself has no engine and no members: it accepts nothing.
contract Ring is IRing, Avatars, Clients {
    using MemberSet for bytes;

    bytes32 private constant OUTPUTS_TYPEHASH =
        keccak256("Outputs(address gate,bytes32 inputs,uint256 epoch,uint96[] pins,bytes32[] cids)");

    bytes32 private constant RING_NODE_TYPEHASH = keccak256(
        "RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)"
    );

    bytes32 private constant LOG_NODE_TYPEHASH = keccak256("LogNode(uint64 seq,bytes32 prev,bytes32 content)");

    uint256 private constant MAX_MULTIADDRESS = 256;

    /// @dev How long a ring's arguments are, and where its fork rule and its engine are in them.
    uint256 private constant ARGUMENTS_SIZE = 26;
    uint256 private constant FORK_RULE = 5;
    uint256 private constant ENGINE = 6;

    /// @dev Where the key and the address are that a member announced last: contract code, encoded as two `bytes`.
    mapping(address member => address) private _contacts;

    /// @dev The places in the logs at which a fork was proven. A proof counts once.
    mapping(address author => mapping(uint64 seq => bool)) private _isProven;

    modifier onlyEngine() {
        require(msg.sender == address(engine()), NotEngine(msg.sender));
        _;
    }

    /// @dev A gate of the engine calls the rings that it is assigned to, and no other.
    modifier onlyGate() {
        require(engine().isGate(msg.sender), NotAGate(msg.sender));
        _;
    }

    /// @inheritdoc IRing
    function initialize(address[] calldata members) external onlyEngine {
        _initialize(members);
    }

    /// @inheritdoc IRing
    function enter(address member) external onlyEngine {
        _announceEntry(member);
    }

    /// @inheritdoc IRing
    function exit(address member) external onlyEngine {
        _putOut(member);
    }

    /// @inheritdoc IRing
    function cancelEntries() external onlyEngine {
        _cancelEntries();
    }

    /// @inheritdoc IMembership
    function entryDelay() public view override(IMembership, Membership) returns (uint256) {
        return uint40(bytes5(_arguments()));
    }

    /// @inheritdoc IMembership
    function forkRule() public view returns (ForkRule) {
        return ForkRule(uint8(_arguments()[FORK_RULE]));
    }

    /// @inheritdoc IRing
    function announce(bytes calldata publicKey, bytes calldata multiaddress) external {
        _requireMember(msg.sender);
        uint256 length = multiaddress.length;
        require(length <= MAX_MULTIADDRESS, MultiaddressTooLong(length, MAX_MULTIADDRESS));
        bool isOwnKey = publicKey.length == 64 && address(uint160(uint256(keccak256(publicKey)))) == msg.sender;
        require(isOwnKey, WrongPublicKey(msg.sender));
        _contacts[msg.sender] = SSTORE2.write(abi.encode(publicKey, multiaddress));
        emit MemberAnnounced(msg.sender, publicKey, multiaddress);
    }

    /// @inheritdoc IRing
    function contactOf(address member) external view returns (bytes memory publicKey, bytes memory multiaddress) {
        address contact = _contacts[member];
        if (!isMember(member) || contact == address(0)) return (publicKey, multiaddress);
        return abi.decode(SSTORE2.read(contact), (bytes, bytes));
    }

    /// @inheritdoc IRing
    /// @dev The ring changes no storage of its own here, so a gate that re-enters cannot see a half-finished change.
    function registerOutputs(
        IGate gate,
        uint96[] calldata pins,
        bytes32[] calldata cids,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external {
        require(pins.length == cids.length, LengthMismatch(pins.length, cids.length));
        require(pins.length != 0, NoOutputs());
        _requireQuorum(_outputsDigest(gate, pins, cids), r, s, v);
        emit OutputsRegistered(address(gate), epoch(), pins, cids);
        gate.output(pins, gate.scope().declareData(cids, Mutability.Constant));
    }

    /// @inheritdoc IRing
    function reportChallenge(address challenger) external onlyGate {
        emit PrimaryRingChallenged(msg.sender, challenger);
    }

    /// @inheritdoc IRing
    function reportFloodgate() external onlyGate {
        emit FloodgateOpened(msg.sender);
    }

    /// @inheritdoc IRing
    function registerRingNode(
        bytes32 cid,
        address[] calldata members,
        bytes32[] calldata heads,
        bytes32[] calldata r,
        bytes32[] calldata s,
        uint8[] calldata v
    ) external {
        require(members.length == heads.length, LengthMismatch(members.length, heads.length));
        bytes32 prev = ringNodeHead();
        _requireAscendingMembers(_requireQuorum(_ringNodeDigest(prev, cid, members, heads), r, s, v), members);

        _pushRingNode(cid);
        bool canBeFrozen = forkRule() == ForkRule.Freeze; // where nobody can be, it need not be read
        for (uint256 i = 0; i < members.length; i++) {
            if (canBeFrozen) _requireNotFrozen(members[i]);
            _moveHead(members[i], heads[i]);
        }

        emit RingNodeRegistered(cid, prev, epoch());
    }

    /// @inheritdoc IRing
    function proveFork(uint64 seq, SignedNode calldata one, SignedNode calldata other) external {
        require(one.prev != other.prev || one.content != other.content, SameNode(seq));
        address author = _authorOf(seq, one);
        require(author != address(0), InvalidSignature(0));
        address otherAuthor = _authorOf(seq, other);
        require(author == otherAuthor, DifferentAuthors(author, otherAuthor));
        _requireMember(author);
        require(!_isProven[author][seq], AlreadyProven(author, seq));
        _isProven[author][seq] = true;
        if (forkRule() == ForkRule.Freeze) _freeze(author);
        else _exit(author, 0);
        emit ForkProven(author, seq, one, other);
    }

    /// @inheritdoc IRing
    function engine() public view returns (IEngine) {
        return IEngine(address(bytes20(_arguments() << (8 * ENGINE))));
    }

    /// @inheritdoc IRing
    function eip712Domain()
        public
        view
        override(IRing, EIP712)
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return EIP712.eip712Domain();
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Ring", "1");
    }

    function _outputsDigest(IGate gate, uint96[] calldata pins, bytes32[] calldata cids)
        private
        view
        returns (bytes32)
    {
        bytes32 pinsHash = keccak256(abi.encodePacked(pins));
        bytes32 cidsHash = keccak256(abi.encodePacked(cids));
        bytes32 inputs = gate.inputsHash();
        return _hashTypedData(keccak256(abi.encode(OUTPUTS_TYPEHASH, gate, inputs, epoch(), pinsHash, cidsHash)));
    }

    function _ringNodeDigest(bytes32 prev, bytes32 cid, address[] calldata members, bytes32[] calldata heads)
        private
        view
        returns (bytes32)
    {
        bytes32 movedHash = keccak256(abi.encodePacked(members));
        bytes32 prevHeadsHash = keccak256(abi.encodePacked(_headsOf(members)));
        bytes32 headsHash = keccak256(abi.encodePacked(heads));
        return _hashTypedData(
            keccak256(abi.encode(RING_NODE_TYPEHASH, prev, cid, epoch(), movedHash, prevHeadsHash, headsHash))
        );
    }

    /// @dev The signer of `node` as number `seq` of a log in this ring; zero if the signature is invalid.
    function _authorOf(uint64 seq, SignedNode calldata node) private view returns (address) {
        bytes32 digest = _hashTypedData(keccak256(abi.encode(LOG_NODE_TYPEHASH, seq, node.prev, node.content)));
        return Signatures.signerOf(digest, node.r, node.s, node.v);
    }

    function _arguments() private view returns (bytes32) {
        return LibBytes.load(LibClone.argsOnClone(address(this), 0, ARGUMENTS_SIZE), 0);
    }

    function _isRing(address account) internal view override returns (bool) {
        return engine().isRing(account);
    }

    function _headsOf(address[] calldata members) private view returns (bytes32[] memory heads) {
        heads = new bytes32[](members.length);
        for (uint256 i = 0; i < members.length; i++) {
            heads[i] = logNodeHeads[members[i]];
        }
    }

    /// @dev Ascending, so that no head moves twice in one step.
    function _requireAscendingMembers(bytes memory set, address[] calldata members) private pure {
        address previous = address(0);
        for (uint256 i = 0; i < members.length; i++) {
            address member = members[i];
            require(previous < member, MembersNotAscending(i, member)); // zero is no member either
            require(set.contains(member), NotMember(member));
            previous = member;
        }
    }
}
