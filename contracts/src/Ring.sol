// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Avatars} from "./Avatars.sol";
import {Clients} from "./Clients.sol";
import {IEngine} from "./interfaces/IEngine.sol";
import {IGate} from "./interfaces/IGate.sol";
import {IRing, SignedNode} from "./interfaces/IRing.sol";
import {IScope, Mutability} from "./interfaces/IScope.sol";
import {MemberSet} from "./libraries/MemberSet.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Words} from "./libraries/Words.sol";
import {EIP712} from "solady/src/utils/EIP712.sol";
import {LibCall} from "solady/src/utils/LibCall.sol";

/// @title A ring
/// @notice The rings are clones of one contract, whose own list is never made: it accepts nothing.
contract Ring is IRing, Avatars, Clients {
    using MemberSet for bytes;

    struct Contact {
        bytes publicKey;
        bytes multiaddress;
    }

    bytes32 private constant OUTPUTS_TYPEHASH =
        keccak256("Outputs(address gate,uint256 epoch,uint96[] pins,bytes32[] cids)");

    bytes32 private constant RING_NODE_TYPEHASH = keccak256(
        "RingNode(bytes32 prev,bytes32 cid,uint256 epoch,address[] members,bytes32[] prevHeads,bytes32[] heads)"
    );

    bytes32 private constant LOG_NODE_TYPEHASH = keccak256("LogNode(uint64 seq,bytes32 prev,bytes32 content)");

    uint256 private constant MAX_MULTIADDRESS = 256;

    /// @inheritdoc IRing
    IEngine public immutable engine;

    mapping(address member => Contact) private _contacts;

    modifier onlyEngine() {
        require(msg.sender == address(engine), NotEngine(msg.sender));
        _;
    }

    constructor(IEngine engine_) {
        engine = engine_;
    }

    /// @inheritdoc IRing
    function initialize(address[] calldata members) external onlyEngine {
        _initialize(members);
    }

    /// @inheritdoc IRing
    function enter(address member) external onlyEngine {
        _enter(member);
    }

    /// @inheritdoc IRing
    function exit(address member) external onlyEngine {
        _exit(member);
    }

    /// @inheritdoc IRing
    function announce(bytes calldata publicKey, bytes calldata multiaddress) external {
        _requireMember(msg.sender);
        uint256 length = multiaddress.length;
        require(length <= MAX_MULTIADDRESS, MultiaddressTooLong(length, MAX_MULTIADDRESS));
        bool isOwnKey = publicKey.length == 64 && address(uint160(uint256(keccak256(publicKey)))) == msg.sender;
        require(isOwnKey, WrongPublicKey(msg.sender));
        _contacts[msg.sender] = Contact(publicKey, multiaddress);
        emit MemberAnnounced(msg.sender, publicKey, multiaddress);
    }

    /// @inheritdoc IRing
    function contactOf(address member) external view returns (bytes memory publicKey, bytes memory multiaddress) {
        if (!isMember(member)) return (publicKey, multiaddress);
        Contact storage contact = _contacts[member];
        return (contact.publicKey, contact.multiaddress);
    }

    /// @inheritdoc IRing
    /// @dev The ring changes nothing of its own here, so there is nothing that a gate could find half done by re-entering.
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
        uint256[] calldata words = Words.from(pins); // the gate has fewer pins than any word that is no `uint96`
        _requireQuorum(_outputsDigest(gate, words, cids), r, s, v);

        _emitOutputsRegistered(gate, words, cids);

        bytes memory declaring = abi.encodeCall(IScope.declareData, (cids, Mutability.Constant));
        bytes memory tokenIds = LibCall.callContract(address(gate.scope()), declaring);
        // slither-disable-next-line unused-return // `output` returns nothing
        LibCall.callContract(address(gate), _encodeOutput(words, tokenIds));
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
        for (uint256 i = 0; i < members.length; i++) {
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
        _exit(author);
        emit ForkProven(author, seq, one, other);
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

    /// @dev The calldata of `gate.output(pins, tokenIds)`. `tokenIds` is encoded, as `declareData` returned it: the offset of the
    /// array, 32, which is left standing here and skipped, and the array. To decode it and to encode it again would cost 155
    /// gas for each token.
    function _encodeOutput(uint256[] calldata pins, bytes memory tokenIds) private pure returns (bytes memory) {
        uint256 offset = 128 + 32 * pins.length;
        // Nothing is hashed here, and each array stands behind its length.
        // slither-disable-next-line encode-packed-collision
        return abi.encodePacked(IGate.output.selector, uint256(64), offset, pins.length, pins, tokenIds);
    }

    /// @dev `emit OutputsRegistered(address(gate), epoch(), pins, cids)`, without the 155 gas for each pin that a look at each
    /// costs. The tests expect the event as Solidity emits it.
    function _emitOutputsRegistered(IGate gate, uint256[] calldata pins, bytes32[] calldata cids) private {
        bytes memory data = abi.encode(pins, cids);
        bytes32 topic = OutputsRegistered.selector;
        uint256 epoch_ = epoch();
        assembly ("memory-safe") {
            log3(add(data, 32), mload(data), topic, gate, epoch_)
        }
    }

    function _outputsDigest(IGate gate, uint256[] calldata pins, bytes32[] calldata cids)
        private
        view
        returns (bytes32)
    {
        bytes32 pinsHash = keccak256(abi.encodePacked(pins));
        bytes32 cidsHash = keccak256(abi.encodePacked(cids));
        return _hashTypedData(keccak256(abi.encode(OUTPUTS_TYPEHASH, gate, epoch(), pinsHash, cidsHash)));
    }

    function _ringNodeDigest(bytes32 prev, bytes32 cid, address[] calldata members, bytes32[] calldata heads)
        private
        view
        returns (bytes32)
    {
        bytes32 membersHash = keccak256(abi.encodePacked(members));
        bytes32 prevHeadsHash = keccak256(abi.encodePacked(_headsOf(members)));
        bytes32 headsHash = keccak256(abi.encodePacked(heads));
        return _hashTypedData(
            keccak256(abi.encode(RING_NODE_TYPEHASH, prev, cid, epoch(), membersHash, prevHeadsHash, headsHash))
        );
    }

    /// @dev Who signed `node` as number `seq` of a log in this ring; zero for nobody.
    function _authorOf(uint64 seq, SignedNode calldata node) private view returns (address) {
        bytes32 digest = _hashTypedData(keccak256(abi.encode(LOG_NODE_TYPEHASH, seq, node.prev, node.content)));
        return Signatures.signerOf(digest, node.r, node.s, node.v);
    }

    function _isRing(address account) internal view override returns (bool) {
        return engine.isRing(account);
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
