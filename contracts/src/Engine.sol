// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {Gate} from "./Gate.sol";
import {Ring} from "./Ring.sol";
import {Scope} from "./Scope.sol";
import {IEngine} from "./interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "./interfaces/IGate.sol";
import {IRing} from "./interfaces/IRing.sol";
import {IScope} from "./interfaces/IScope.sol";
import {GateCode} from "./libraries/GateCode.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title The engine
/// @notice Has no owner and no setting: who deploys it keeps no power over it.
contract Engine is IEngine {
    using GateCode for bytes;

    /// @inheritdoc IEngine
    uint256 public constant MAX_RINGS = 16;

    /// @inheritdoc IEngine
    uint256 public constant MAX_INPUTS = 512;

    uint256 private constant MAX_NAME = 255;

    /// @dev The size of a clone's code before its arguments.
    uint256 private constant CLONE_SIZE = 45;

    /// @dev A gate's arguments are its spec with the salt in it, so CREATE2 needs no other.
    bytes32 private constant NO_SALT = 0;

    IRing private immutable RING;
    IScope private immutable SCOPE;
    IGate private immutable GATE;

    /// @inheritdoc IEngine
    mapping(IRing ring => address) public keeperOf;

    /// @inheritdoc IEngine
    mapping(IRing ring => address) public pendingKeeperOf;

    /// @inheritdoc IEngine
    mapping(address account => bool) public isScope;

    /// @dev How many equal things were made, by the hash of maker and arguments.
    mapping(bytes32 description => uint256) private _made;

    modifier onlyKeeper(IRing ring) {
        require(msg.sender == keeperOf[ring], NotKeeper(ring, msg.sender));
        _;
    }

    constructor() {
        RING = new Ring(this);
        SCOPE = new Scope();
        GATE = new Gate(this);
    }

    /// @inheritdoc IEngine
    function createRing(address[] calldata members) external returns (IRing ring) {
        bytes32 salt = _nextSalt(keccak256(abi.encode(msg.sender, members)));
        ring = IRing(LibClone.cloneDeterministic(address(RING), salt));
        keeperOf[ring] = msg.sender;
        emit RingCreated(address(ring), msg.sender);
        ring.initialize(members);
    }

    /// @inheritdoc IEngine
    function enter(IRing ring, address member) external onlyKeeper(ring) {
        ring.enter(member);
    }

    /// @inheritdoc IEngine
    function exit(IRing ring, address member) external onlyKeeper(ring) {
        ring.exit(member);
    }

    /// @inheritdoc IEngine
    function transferKeeper(IRing ring, address newKeeper) external onlyKeeper(ring) {
        pendingKeeperOf[ring] = newKeeper;
        emit KeeperTransferStarted(address(ring), msg.sender, newKeeper);
    }

    /// @inheritdoc IEngine
    function acceptKeeper(IRing ring) external {
        require(msg.sender == pendingKeeperOf[ring], NotPendingKeeper(ring, msg.sender));
        address keeper = keeperOf[ring];
        delete pendingKeeperOf[ring];
        keeperOf[ring] = msg.sender;
        emit KeeperTransferred(address(ring), keeper, msg.sender);
    }

    /// @inheritdoc IEngine
    function createScope(string calldata name, string calldata symbol) external returns (IScope scope) {
        require(bytes(name).length <= MAX_NAME, NameTooLong(bytes(name).length, MAX_NAME));
        require(bytes(symbol).length <= MAX_NAME, NameTooLong(bytes(symbol).length, MAX_NAME));
        bytes memory names = bytes.concat(bytes1(uint8(bytes(name).length)), bytes(name), bytes(symbol));
        bytes32 salt = _nextSalt(keccak256(abi.encode(msg.sender, name, symbol)));
        scope = IScope(LibClone.cloneDeterministic(address(SCOPE), names, salt));
        isScope[address(scope)] = true;
        emit ScopeCreated(address(scope), msg.sender, name, symbol);
    }

    /// @inheritdoc IEngine
    function createGate(GateSpec calldata spec) external returns (IGate) {
        return _requestGate(spec);
    }

    /// @inheritdoc IEngine
    function createCircuit(GateSpec[] calldata specs) external returns (IGate[] memory gates) {
        gates = new IGate[](specs.length);
        for (uint256 i = 0; i < specs.length; i++) {
            GateSpec memory spec = specs[i];
            _join(spec, i, gates);
            gates[i] = _requestGate(spec);
        }
    }

    /// @inheritdoc IEngine
    function gateOf(GateSpec calldata spec) external view returns (IGate) {
        return _addressOf(_encode(spec));
    }

    /// @inheritdoc IEngine
    function implementations() external view returns (IRing ring, IScope scope, IGate gate) {
        return (RING, SCOPE, GATE);
    }

    /// @inheritdoc IEngine
    /// @dev A ring has a keeper from the moment it is made, and never loses it except to another.
    function isRing(address account) public view returns (bool) {
        return keeperOf[IRing(account)] != address(0);
    }

    /// @inheritdoc IEngine
    function isGate(address account) external view returns (bool result) {
        (result,) = _readGate(account);
    }

    /// @dev The gate of `spec`, made if it is new.
    function _requestGate(GateSpec memory spec) private returns (IGate gate) {
        bytes memory code = _encode(spec);
        gate = _addressOf(code);
        if (address(gate).code.length == 0) {
            _requireSound(spec);
            gate = IGate(LibClone.cloneDeterministic(address(GATE), code, NO_SALT));
            emit GateCreated(address(gate), spec);
        }
        emit GateRequested(address(gate), msg.sender);
    }

    /// @dev Replaces the places of earlier specs by the gates made from them.
    function _join(GateSpec memory spec, uint256 index, IGate[] memory gates) private pure {
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            uint256 place = uint160(address(spec.inputs[i].gate));
            if (place == 0 || place > gates.length) continue;
            require(place <= index, CircuitNotOrdered(index, i));
            spec.inputs[i].gate = gates[place - 1];
        }
    }

    /// @dev The bytes of `spec`, if it has the form of one.
    function _encode(GateSpec memory spec) private pure returns (bytes memory) {
        uint256 rings = spec.rings.length;
        require(rings != 0 && rings <= MAX_RINGS, WrongRingCount(rings, MAX_RINGS));
        uint256 inputs = spec.inputs.length;
        require(inputs != 0 && inputs <= MAX_INPUTS, WrongInputCount(inputs, MAX_INPUTS));
        require(spec.outputs != 0 && spec.outputs != type(uint96).max, WrongOutputCount(spec.outputs));
        for (uint256 i = 0; i < inputs; i++) {
            _requireWellFormed(spec.inputs[i], i);
        }
        return GateCode.encode(spec);
    }

    /// @dev Either a token alone or a gate and a pin.
    function _requireWellFormed(Input memory input, uint256 index) private pure {
        bool isToken = input.tokenId != 0 && address(input.gate) == address(0) && input.pin == 0;
        bool isFuture = input.tokenId == 0 && address(input.gate) != address(0);
        require(isToken || isFuture, MalformedInput(index));
    }

    /// @dev What is asked of a new gate beyond its form. For one that exists it was asked before, and holds for ever,
    /// except that a variable may have been deleted.
    function _requireSound(GateSpec memory spec) private view {
        require(isScope[address(spec.scope)], UnknownScope(spec.scope));
        for (uint256 i = 0; i < spec.rings.length; i++) {
            require(isRing(address(spec.rings[i])), UnknownRing(spec.rings[i]));
        }
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            Input memory input = spec.inputs[i];
            if (input.tokenId == 0) _requireFuture(spec.scope, input, i);
            else require(spec.scope.exists(input.tokenId), UnknownInput(i, input.tokenId));
        }
    }

    function _requireFuture(IScope scope, Input memory input, uint256 index) private view {
        (bool isKnown, bytes memory code) = _readGate(address(input.gate));
        require(isKnown, UnknownGate(index, input.gate));
        require(address(code.scope()) == address(scope), ForeignScope(index, code.scope()));
        require(input.pin < code.outputs(), UnknownFuturePin(index, input.pin, code.outputs()));
    }

    /// @dev Whether this engine made the gate at `account`, and its spec. No record is kept of the gates: only this
    /// engine can have put a clone of GATE at the address that its arguments give.
    function _readGate(address account) private view returns (bool isKnown, bytes memory code) {
        if (account.code.length <= CLONE_SIZE) return (false, code);
        code = LibClone.argsOnClone(account);
        isKnown = address(_addressOf(code)) == account;
    }

    function _addressOf(bytes memory code) private view returns (IGate) {
        return IGate(LibClone.predictDeterministicAddress(address(GATE), code, NO_SALT, address(this)));
    }

    /// @dev A salt for the next thing of this `description`.
    function _nextSalt(bytes32 description) private returns (bytes32) {
        return keccak256(abi.encode(description, _made[description]++));
    }
}
