// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEngine} from "./interfaces/IEngine.sol";
import {GateSpec, IGate} from "./interfaces/IGate.sol";
import {IScope} from "./interfaces/IScope.sol";
import {GateCode} from "./libraries/GateCode.sol";
import {GateSet} from "./libraries/GateSet.sol";
import {DynamicArrayLib} from "solady/src/utils/DynamicArrayLib.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title A gate
/// @notice The gates are clones of one contract. Behind a clone's code is its spec, in the form of `GateCode`.
/// @dev Properties between two transactions:
/// 1. Either no pin is set, or `FAILURE` alone, or all output pins. The first of them tells which.
/// 2. A pin that is set never changes.
contract Gate is IGate {
    using GateCode for bytes;
    using GateSet for GateSet.Set;

    /// @inheritdoc IGate
    uint96 public constant FAILURE = type(uint96).max;

    /// @inheritdoc IGate
    uint256 public constant CHALLENGE_TIMEOUT = 1 hours;

    /// @inheritdoc IGate
    IEngine public immutable engine;

    uint40 private _challengedAt;
    bool private _isFloodgateOpen;

    /// @inheritdoc IGate
    mapping(uint96 pin => uint256 tokenId) public outputOf;

    constructor(IEngine engine_) {
        engine = engine_;
    }

    /// @inheritdoc IGate
    /// @dev Not checked: that the tokens exist. A working ring is a ring of the engine, which has just declared them.
    function output(uint96[] calldata pins, uint256[] calldata tokenIds) external {
        bytes memory code = _code();
        require(_isWorkingRing(code, msg.sender), NotWorkingRing(msg.sender));
        require(pins.length == tokenIds.length && pins.length != 0, LengthMismatch(pins.length, tokenIds.length));
        require(!isResolved(), AlreadyResolved());
        require(_isReady(code), NotReady());
        if (pins[0] == FAILURE) _fail(pins, tokenIds[0]);
        else _setOutputs(code.outputs(), pins, tokenIds);
        emit GateResolved(msg.sender);
    }

    /// @inheritdoc IGate
    function challengePrimaryRing() external {
        bytes memory code = _code();
        require(code.ringCount() > 1, NoFallbackRings());
        require(_isReady(code), NotReady());
        require(!isResolved(), AlreadyResolved());
        require(_challengedAt == 0, AlreadyChallenged(_challengedAt));
        _challengedAt = uint40(block.timestamp);
        for (uint256 i = 0; i < code.ringCount(); i++) {
            code.ring(i).reportChallenge(msg.sender);
        }
    }

    /// @inheritdoc IGate
    function openFloodgate() external {
        uint256 opensAt = _challengedAt != 0 ? _challengedAt + CHALLENGE_TIMEOUT : 0;
        require(opensAt != 0 && block.timestamp >= opensAt, FloodgateClosed(opensAt));
        require(!_isFloodgateOpen, FloodgateAlreadyOpen());
        require(!isResolved(), AlreadyResolved());
        _isFloodgateOpen = true;
        bytes memory code = _code();
        for (uint256 i = 0; i < code.ringCount(); i++) {
            code.ring(i).reportFloodgate();
        }
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
    function isReady() external view returns (bool) {
        return _isReady(_code());
    }

    /// @inheritdoc IGate
    function inputsHash() external view returns (bytes32) {
        bytes memory code = _code();
        uint256[] memory tokenIds = new uint256[](code.inputCount());
        uint256 count = 0;
        for (uint256 place = code.firstFuture(); place < code.length; place = code.futureAfter(place)) {
            (IGate gate, uint96 pin) = code.futureAt(place);
            uint256 tokenId = gate.outputOf(pin);
            require(tokenId != 0, NotReady());
            tokenIds[count++] = tokenId;
        }
        return keccak256(abi.encodePacked(DynamicArrayLib.truncate(tokenIds, count)));
    }

    /// @inheritdoc IGate
    function isResolved() public view returns (bool) {
        return outputOf[0] != 0 || outputOf[FAILURE] != 0;
    }

    /// @inheritdoc IGate
    /// @dev Walks back over the futures that are not set, visiting each gate once: circuits may join again behind a fork,
    /// and calling upwards from gate to gate would take time exponential in their depth. A pin that is set belongs to a
    /// gate that has not failed. Each gate reads its own code, so that the memory for it is given back.
    function isFailed() external view returns (bool) {
        GateSet.Set memory gates = GateSet.from(this);
        for (uint256 i = 0; i < gates.count; i++) {
            IGate gate = gates.items[i];
            if (gate.outputOf(FAILURE) != 0) return true;
            gates.addAll(gate.awaited());
        }
        return false;
    }

    /// @inheritdoc IGate
    function awaited() external view returns (IGate[] memory gates) {
        bytes memory code = _code();
        gates = new IGate[](code.inputCount());
        uint256 count = 0;
        for (uint256 place = code.firstFuture(); place < code.length; place = code.futureAfter(place)) {
            (IGate gate, uint96 pin) = code.futureAt(place);
            if (gate.outputOf(pin) == 0) gates[count++] = gate;
        }
        return GateSet.truncate(gates, count);
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
        require(pins.length == 1, FailureIsNotAnOutput());
        _setPin(FAILURE, tokenId);
        emit GateFailed(msg.sender, tokenId);
    }

    function _setOutputs(uint96 outputs, uint96[] calldata pins, uint256[] calldata tokenIds) private {
        require(pins.length == outputs, NotAllOutputs(pins.length, outputs));
        for (uint256 i = 0; i < pins.length; i++) {
            require(pins[i] == i, UnexpectedPin(i, pins[i]));
            _setPin(pins[i], tokenIds[i]);
        }
    }

    /// @dev Constants are above all variables, so none is 0, which would leave the pin unset.
    function _setPin(uint96 pin, uint256 tokenId) private {
        require(tokenId > type(uint160).max, NotAConstant(tokenId));
        outputOf[pin] = tokenId;
    }

    function _isWorkingRing(bytes memory code, address ring) private view returns (bool) {
        uint256 rings = _isFloodgateOpen ? code.ringCount() : 1;
        for (uint256 i = 0; i < rings; i++) {
            if (address(code.ring(i)) == ring) return true;
        }
        return false;
    }

    function _isReady(bytes memory code) private view returns (bool) {
        for (uint256 place = code.firstFuture(); place < code.length; place = code.futureAfter(place)) {
            (IGate gate, uint96 pin) = code.futureAt(place);
            if (gate.outputOf(pin) == 0) return false;
        }
        return true;
    }

    function _code() private view returns (bytes memory) {
        return LibClone.argsOnClone(address(this));
    }
}
