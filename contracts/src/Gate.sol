// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IEngine} from "./interfaces/IEngine.sol";
import {GateSpec, IGate} from "./interfaces/IGate.sol";
import {IScope} from "./interfaces/IScope.sol";
import {GateCode} from "./libraries/GateCode.sol";
import {GateSet} from "./libraries/GateSet.sol";
import {Words} from "./libraries/Words.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title A gate
/// @notice The gates are clones of one contract. Behind a clone's code is its spec, in the form of `GateCode`.
contract Gate is IGate {
    using GateCode for bytes;
    using GateSet for GateSet.Set;

    /// @dev A struct, so that the place of a pin is computed once for a look and a write.
    struct Output {
        uint256 tokenId;
    }

    /// @inheritdoc IGate
    uint96 public constant FAILURE = type(uint96).max;

    /// @inheritdoc IGate
    uint256 public constant CHALLENGE_TIMEOUT = 1 hours;

    /// @inheritdoc IGate
    IEngine public immutable engine;

    /// @dev One slot. `partialOutputs` counts the outputs of gates that get them in several parts; it stays 0 when all come
    /// at once, as they usually do, for then the slot need not be written at all.
    uint96 private _partialOutputs;
    uint40 private _challengedAt;
    bool private _isFloodgateOpen;
    bool private _hasFailed;

    mapping(uint256 pin => Output) private _outputs;

    constructor(IEngine engine_) {
        engine = engine_;
    }

    /// @inheritdoc IGate
    /// @dev Not checked: that the tokens exist. A working ring is a ring of the engine, which has just declared them.
    function output(uint96[] calldata pins, uint256[] calldata tokenIds) external {
        bytes memory code = _code();
        require(_isWorkingRing(code, msg.sender), NotWorkingRing(msg.sender));
        require(pins.length == tokenIds.length && pins.length != 0, LengthMismatch(pins.length, tokenIds.length));
        require(_isReady(code), NotReady());
        require(!_hasFailed, AlreadyResolved());
        if (pins[0] == FAILURE) _fail(pins, tokenIds[0]);
        else _setOutputs(code.outputs(), Words.from(pins), tokenIds);
    }

    /// @inheritdoc IGate
    function challengePrimaryRing() external {
        bytes memory code = _code();
        require(code.ringCount() > 1, NoFallbackRings());
        require(_isReady(code), NotReady());
        require(!_isResolved(code.outputs()), AlreadyResolved());
        require(_challengedAt == 0, AlreadyChallenged(_challengedAt));
        _challengedAt = uint40(block.timestamp);
        emit PrimaryRingChallenged(msg.sender);
    }

    /// @inheritdoc IGate
    function openFloodgate() external {
        uint256 opensAt = _challengedAt != 0 ? _challengedAt + CHALLENGE_TIMEOUT : 0;
        require(opensAt != 0 && block.timestamp >= opensAt, FloodgateClosed(opensAt));
        require(!_isFloodgateOpen, FloodgateAlreadyOpen());
        require(!_isResolved(_code().outputs()), AlreadyResolved());
        _isFloodgateOpen = true;
        emit FloodgateOpened();
    }

    /// @inheritdoc IGate
    function scope() external view returns (IScope) {
        return _code().scope();
    }

    /// @inheritdoc IGate
    function spec() external view returns (GateSpec memory) {
        return _code().decode();
    }

    /// @inheritdoc IGate
    function outputOf(uint96 pin) external view returns (uint256 tokenId) {
        return _outputs[pin].tokenId;
    }

    /// @inheritdoc IGate
    function isReady() external view returns (bool) {
        return _isReady(_code());
    }

    /// @inheritdoc IGate
    function isResolved() external view returns (bool) {
        return _isResolved(_code().outputs());
    }

    /// @inheritdoc IGate
    /// @dev Walks back over the futures that are not set, visiting each gate once: circuits may join again behind a fork,
    /// and calling upwards from gate to gate would take time exponential in their depth. A pin that is set belongs to a
    /// gate that has not failed.
    function isFailed() external view returns (bool) {
        GateSet.Set memory gates = GateSet.empty();
        gates.add(this);
        for (uint256 i = 0; i < gates.count; i++) {
            IGate gate = gates.items[i];
            if (gate.outputOf(FAILURE) != 0) return true;
            _addUnsetFutures(gates, LibClone.argsOnClone(address(gate)));
        }
        return false;
    }

    /// @inheritdoc IGate
    function isWorkingRing(address ring) external view returns (bool) {
        return _isWorkingRing(_code(), ring);
    }

    /// @inheritdoc IGate
    function challengedAt() external view returns (uint256) {
        return _challengedAt;
    }

    /// @inheritdoc IGate
    function isFloodgateOpen() external view returns (bool) {
        return _isFloodgateOpen;
    }

    function _fail(uint96[] calldata pins, uint256 tokenId) private {
        require(pins.length == 1 && _partialOutputs == 0 && _outputs[0].tokenId == 0, FailureIsNotAnOutput());
        _setPin(FAILURE, tokenId);
        _hasFailed = true;
        emit GateFailed(msg.sender, tokenId);
        emit GateResolved(msg.sender);
    }

    function _setOutputs(uint256 outputs, uint256[] calldata pins, uint256[] calldata tokenIds) private {
        for (uint256 i = 0; i < pins.length; i++) {
            uint256 pin = pins[i];
            if (pin >= outputs) revert UnknownPin(uint96(pin), uint96(outputs));
            _setPin(pin, tokenIds[i]);
        }
        // Each pin was below `outputs` and not set before, so there are no more than `outputs` in all.
        uint96 count = _partialOutputs + uint96(pins.length);
        if (pins.length != outputs) _partialOutputs = count;
        if (count == outputs) emit GateResolved(msg.sender);
    }

    function _setPin(uint256 pin, uint256 tokenId) private {
        if (tokenId == 0 || tokenId & 1 != 0) revert NotAConstant(tokenId);
        Output storage place = _outputs[pin];
        if (place.tokenId != 0) revert PinAlreadySet(uint96(pin));
        place.tokenId = tokenId;
        emit OutputSet(uint96(pin), tokenId);
    }

    function _isWorkingRing(bytes memory code, address ring) private view returns (bool) {
        uint256 rings = _isFloodgateOpen ? code.ringCount() : 1;
        for (uint256 i = 0; i < rings; i++) {
            if (address(code.ring(i)) == ring) return true;
        }
        return false;
    }

    function _isReady(bytes memory code) private view returns (bool) {
        uint256 step = GateCode.INPUT_WIDTH;
        for (uint256 place = code.nextFuture(0); place < code.length; place = code.nextFuture(place + step)) {
            (IGate gate, uint96 pin) = code.futureAt(place);
            if (gate.outputOf(pin) == 0) return false;
        }
        return true;
    }

    /// @dev With all outputs in one call the count stays 0 and pin 0 tells; else the count does.
    function _isResolved(uint96 outputs) private view returns (bool) {
        if (_hasFailed || _partialOutputs == outputs) return true;
        return _partialOutputs == 0 && _outputs[0].tokenId != 0;
    }

    function _addUnsetFutures(GateSet.Set memory gates, bytes memory code) private view {
        uint256 step = GateCode.INPUT_WIDTH;
        for (uint256 place = code.nextFuture(0); place < code.length; place = code.nextFuture(place + step)) {
            (IGate gate, uint96 pin) = code.futureAt(place);
            if (gate.outputOf(pin) == 0) gates.add(gate);
        }
    }

    function _code() private view returns (bytes memory) {
        return LibClone.argsOnClone(address(this));
    }
}
