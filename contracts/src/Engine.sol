// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Gate} from "./Gate.sol";
import {Scope} from "./Scope.sol";
import {IEngine} from "./interfaces/IEngine.sol";
import {GateSpec, IGate, Input} from "./interfaces/IGate.sol";
import {ForkRule} from "./interfaces/IMembership.sol";
import {IRing} from "./interfaces/IRing.sol";
import {IScope} from "./interfaces/IScope.sol";
import {GateCode} from "./libraries/GateCode.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title The engine
/// @notice Has no owner and no setting: the account that deploys it has no power over it.
contract Engine is IEngine {
    /// @dev What is needed about a gate when another one waits for its outputs; one slot.
    struct GateRecord {
        IScope scope;
        uint96 outputs;
    }

    /// @dev A ring of this engine, and its keeper; zero if it is self-kept.
    struct Kept {
        address keeper;
        bool isRing;
    }

    /// @inheritdoc IEngine
    uint256 public constant MAX_ENTRY_DELAY = 3650 days;

    /// @inheritdoc IEngine
    uint256 public constant MIN_SELF_KEPT = 4;

    /// @inheritdoc IEngine
    uint256 public constant MAX_RINGS = 16;

    /// @inheritdoc IEngine
    uint256 public constant MAX_INPUTS = 512;

    /// @inheritdoc IEngine
    uint256 public constant MAX_OUTPUTS = 300;

    /// @inheritdoc IEngine
    uint256 public constant MAX_REGISTRATION = 1_820;

    /// @inheritdoc IEngine
    uint256 public constant MAX_VARIABLES = 64;

    /// @inheritdoc IEngine
    uint256 public constant MAX_CIRCUIT = GATE_COST + MAX_RINGS + MAX_INPUTS;

    /// @dev What a gate costs when it is made, without its rings and inputs, in units of what an input costs, 14,000 gas.
    uint256 private constant GATE_COST = 8;

    /// @dev What an output costs at registration, 50,000 gas, in units of what a future costs there, 8,000 gas.
    uint256 private constant OUTPUT_COST = 6;

    uint256 private constant MAX_NAME = 255;

    /// @dev Variables are below, constants above.
    uint256 private constant MAX_VARIABLE_ID = type(uint160).max;

    /// @dev A gate's arguments are its spec with the salt in it, so CREATE2 needs no other.
    bytes32 private constant NO_SALT = 0;

    IRing private immutable RING;
    IScope private immutable SCOPE;
    IGate private immutable GATE;

    mapping(IRing ring => Kept) private _kept;

    /// @inheritdoc IEngine
    mapping(IRing ring => address) public pendingKeeperOf;

    /// @inheritdoc IEngine
    mapping(address account => bool) public isScope;

    /// @dev How many equal things were made, by the hash of maker and arguments.
    mapping(bytes32 description => uint256) private _made;

    /// @dev The gates that were made here. A gate has at least one output.
    mapping(address gate => GateRecord) private _gates;

    /// @dev The keeper of a self-kept ring is the zero address, from which nobody can send.
    modifier onlyKeeper(IRing ring) {
        require(msg.sender == keeperOf(ring), NotKeeper(ring, msg.sender));
        _;
    }

    /// @param ring the contract whose clones all rings shall be. It is too large to be made here as the others are, in a
    /// transaction that fits into a block of 10,000,000 gas.
    constructor(IRing ring) {
        _requireRingImplementation(ring);
        RING = ring;
        SCOPE = new Scope();
        GATE = new Gate(this);
    }

    /// @inheritdoc IEngine
    function createRing(address[] calldata members, address keeper, uint256 entryDelay, ForkRule forkRule)
        external
        returns (IRing ring)
    {
        require(entryDelay <= MAX_ENTRY_DELAY, DelayTooLong(entryDelay, MAX_ENTRY_DELAY));
        require(keeper != address(0) || members.length != 0, NoMembers());
        bytes32 salt = _nextSalt(keccak256(abi.encode(msg.sender, members, keeper, entryDelay, forkRule)));
        bytes memory arguments = abi.encodePacked(uint40(entryDelay), forkRule, this);
        ring = IRing(LibClone.cloneDeterministic(address(RING), arguments, salt));
        _kept[ring] = Kept(keeper, true);
        emit RingCreated(address(ring), keeper);
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
        address keeper = keeperOf(ring);
        delete pendingKeeperOf[ring];
        _kept[ring].keeper = msg.sender;
        emit KeeperTransferred(address(ring), keeper, msg.sender);
    }

    /// @inheritdoc IEngine
    function renounceKeeper(IRing ring) external onlyKeeper(ring) {
        uint256 members = ring.memberCount();
        require(members >= MIN_SELF_KEPT, TooFewMembers(members, MIN_SELF_KEPT));
        _renounce(ring);
    }

    /// @inheritdoc IEngine
    function forceRenounceKeeper(IRing ring) external onlyKeeper(ring) {
        _renounce(ring);
    }

    /// @inheritdoc IEngine
    function keeperOf(IRing ring) public view returns (address) {
        return _kept[ring].keeper;
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
    function createGate(GateSpec calldata spec) external returns (IGate gate) {
        (gate,) = _requestGate(spec, 0);
    }

    /// @inheritdoc IEngine
    function createCircuit(GateSpec[] calldata specs) external returns (IGate[] memory gates) {
        _requireCircuit(specs);
        gates = new IGate[](specs.length);
        uint256 variables = 0;
        for (uint256 i = 0; i < specs.length; i++) {
            GateSpec memory spec = specs[i];
            _join(spec, i, gates);
            (gates[i], variables) = _requestGate(spec, variables);
        }
    }

    /// @inheritdoc IEngine
    function gateOf(GateSpec calldata spec) external view returns (IGate) {
        GateSpec memory copy = spec;
        _replaceVariables(copy, 0);
        return _addressOf(_encode(copy));
    }

    /// @inheritdoc IEngine
    function implementations() external view returns (IRing ring, IScope scope, IGate gate) {
        return (RING, SCOPE, GATE);
    }

    /// @inheritdoc IEngine
    function isRing(address account) public view returns (bool) {
        return _kept[IRing(account)].isRing;
    }

    /// @inheritdoc IEngine
    function isGate(address account) external view returns (bool) {
        return _gates[account].outputs != 0;
    }

    /// @dev Makes `ring` self-kept, for good: nobody is offered it, and nobody can be entered but by two thirds.
    function _renounce(IRing ring) private {
        delete pendingKeeperOf[ring];
        _kept[ring].keeper = address(0);
        emit KeeperRenounced(address(ring), msg.sender);
        ring.cancelEntries();
    }

    /// @dev The gate of `spec`, made if it is new. `variables` were replaced before in this transaction; so many now.
    function _requestGate(GateSpec memory spec, uint256 variables) private returns (IGate gate, uint256) {
        variables = _replaceVariables(spec, variables);
        bytes memory code = _encode(spec);
        gate = _addressOf(code);
        if (_gates[address(gate)].outputs == 0) _createGate(spec, code);
        for (uint256 i = 0; i < spec.rings.length; i++) {
            emit GateRequested(address(gate), address(spec.rings[i]), msg.sender);
        }
        return (gate, variables);
    }

    /// @dev Makes the gate of `spec`, whose bytes are `code`.
    function _createGate(GateSpec memory spec, bytes memory code) private {
        _requireSound(spec);
        address gate = LibClone.cloneDeterministic(address(GATE), code, NO_SALT);
        _gates[gate] = GateRecord(spec.scope, spec.outputs);
        emit GateCreated(gate, spec);
    }

    /// @dev Replaces each variable among the inputs by the constant that it holds now. `count` were replaced before; returns the
    /// new count.
    function _replaceVariables(GateSpec memory spec, uint256 count) private view returns (uint256) {
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            Input memory input = spec.inputs[i];
            if (input.tokenId == 0 || input.tokenId > MAX_VARIABLE_ID) continue;
            require(count++ < MAX_VARIABLES, TooManyVariables(MAX_VARIABLES));
            require(isScope[address(spec.scope)], UnknownScope(spec.scope));
            require(spec.scope.exists(input.tokenId), UnknownInput(i, input.tokenId));
            input.tokenId = uint256(spec.scope.readData(input.tokenId));
        }
        return count;
    }

    /// @dev All gates of a circuit together are at most as large as the largest gate.
    function _requireCircuit(GateSpec[] calldata specs) private pure {
        uint256 size = GATE_COST * specs.length;
        for (uint256 i = 0; i < specs.length; i++) {
            size += specs[i].rings.length + specs[i].inputs.length;
        }
        require(size <= MAX_CIRCUIT, CircuitTooLarge(size, MAX_CIRCUIT));
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

    /// @dev The bytes of `spec`. Reverts if it is malformed.
    function _encode(GateSpec memory spec) private pure returns (bytes memory) {
        uint256 rings = spec.rings.length;
        require(rings != 0 && rings <= MAX_RINGS, WrongRingCount(rings, MAX_RINGS));
        uint256 inputs = spec.inputs.length;
        require(inputs != 0 && inputs <= MAX_INPUTS, WrongInputCount(inputs, MAX_INPUTS));
        bool isCount = spec.outputs != 0 && spec.outputs <= MAX_OUTPUTS;
        require(isCount, WrongOutputCount(spec.outputs, MAX_OUTPUTS));
        uint256 futures = 0;
        for (uint256 i = 0; i < inputs; i++) {
            _requireWellFormed(spec.inputs[i], i);
            if (spec.inputs[i].tokenId == 0) futures++;
        }
        require(OUTPUT_COST * spec.outputs + futures <= MAX_REGISTRATION, TooMuchToRegister(spec.outputs, futures));
        return GateCode.encode(spec);
    }

    /// @dev Either a token alone or a gate and a pin.
    function _requireWellFormed(Input memory input, uint256 index) private pure {
        bool isToken = input.tokenId != 0 && address(input.gate) == address(0) && input.pin == 0;
        bool isFuture = input.tokenId == 0 && address(input.gate) != address(0);
        require(isToken || isFuture, MalformedInput(index));
    }

    /// @dev Checks everything about a new gate except its form. For a gate that exists it was checked before, and stays
    /// true.
    function _requireSound(GateSpec memory spec) private view {
        require(isScope[address(spec.scope)], UnknownScope(spec.scope));
        _requireRings(spec.rings);
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            Input memory input = spec.inputs[i];
            if (input.tokenId == 0) _requireFuture(spec.scope, input, i);
            else require(spec.scope.exists(input.tokenId), UnknownInput(i, input.tokenId));
        }
    }

    /// @dev Each ring once: one that is named again would be told of each request again.
    function _requireRings(IRing[] memory rings) private view {
        for (uint256 i = 0; i < rings.length; i++) {
            IRing ring = rings[i];
            require(isRing(address(ring)), UnknownRing(ring));
            for (uint256 k = 0; k < i; k++) {
                require(rings[k] != ring, RepeatedRing(i, ring));
            }
        }
    }

    function _requireFuture(IScope scope, Input memory input, uint256 index) private view {
        GateRecord memory upstream = _gates[address(input.gate)];
        require(upstream.outputs != 0, UnknownGate(index, input.gate));
        require(address(upstream.scope) == address(scope), ForeignScope(index, upstream.scope));
        require(input.pin < upstream.outputs, UnknownFuturePin(index, input.pin, upstream.outputs));
    }

    function _addressOf(bytes memory code) private view returns (IGate) {
        return IGate(LibClone.predictDeterministicAddress(address(GATE), code, NO_SALT, address(this)));
    }

    /// @dev A salt for the next thing of this `description`. The number only makes a difference between things that are equal
    /// in everything else. So an address means the same on every branch of the chain.
    function _nextSalt(bytes32 description) private returns (bytes32) {
        return keccak256(abi.encode(description, _made[description]++));
    }

    /// @dev By its EIP-712 domain: a ring of the version that this engine goes with, and not a clone with members of its own.
    function _requireRingImplementation(IRing ring) private view {
        require(address(ring).code.length != 0, NotARingImplementation(ring));
        // The other fields do not matter here.
        // slither-disable-next-line unused-return
        (, string memory name, string memory version,, address verifier,,) = ring.eip712Domain();
        bool isRingContract = keccak256(abi.encode(name, version)) == keccak256(abi.encode("Ring", "1"));
        bool isFresh = verifier == address(ring) && ring.memberCount() == 0 && ring.epoch() == 0;
        require(isRingContract && isFresh, NotARingImplementation(ring));
    }
}
