// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GateSpec, IGate, Input} from "../interfaces/IGate.sol";
import {IRing} from "../interfaces/IRing.sol";
import {IScope} from "../interfaces/IScope.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";

/// @title A gate's spec as bytes: what follows the clone's code, and what its address commits to
/// @notice Every field has one place, so that two specs have the same bytes only if they are the same:
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 20 | scope |
/// | 20 | 12 | number of outputs |
/// | 32 | 32 | salt |
/// | 64 | 1 | number of rings, R |
/// | 65 | 20 R | rings |
/// | 65 + 20 R | 33 each | inputs: 0 and a token id, or 1 and gate and pin |
/// @dev The caller of `encode` has checked the form: each input is a token or a future, and there are fewer than 256 rings.
library GateCode {
    uint256 private constant RINGS = 65;
    uint256 private constant RING_WIDTH = 20;
    uint256 private constant INPUT_WIDTH = 33;
    bytes32 private constant TOKEN = 0;
    bytes32 private constant FUTURE = bytes32(uint256(1) << 248);

    /// @notice The bytes of `spec`.
    function encode(GateSpec memory spec) internal pure returns (bytes memory code) {
        uint256 rings = spec.rings.length;
        uint256 place = RINGS + rings * RING_WIDTH;
        code = new bytes(place + spec.inputs.length * INPUT_WIDTH);
        _put(code, 0, bytes32(bytes20(address(spec.scope))) | bytes32(uint256(spec.outputs)));
        _put(code, 32, spec.salt);
        _put(code, 64, bytes32(rings << 248));
        for (uint256 i = 0; i < rings; i++) {
            _put(code, RINGS + i * RING_WIDTH, bytes32(bytes20(address(spec.rings[i]))));
        }
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            _putInput(code, place + i * INPUT_WIDTH, spec.inputs[i]);
        }
    }

    /// @notice The spec that `code` was made from.
    function decode(bytes memory code) internal pure returns (GateSpec memory spec) {
        spec.scope = scope(code);
        spec.outputs = outputs(code);
        spec.salt = _word(code, 32);
        spec.rings = new IRing[](ringCount(code));
        for (uint256 i = 0; i < spec.rings.length; i++) {
            spec.rings[i] = ring(code, i);
        }
        spec.inputs = new Input[](inputCount(code));
        for (uint256 i = 0; i < spec.inputs.length; i++) {
            spec.inputs[i] = input(code, i);
        }
    }

    /// @notice The scope.
    function scope(bytes memory code) internal pure returns (IScope) {
        return IScope(address(bytes20(_word(code, 0))));
    }

    /// @notice The number of outputs.
    function outputs(bytes memory code) internal pure returns (uint96) {
        return uint96(uint256(_word(code, 0)));
    }

    /// @notice The number of rings.
    function ringCount(bytes memory code) internal pure returns (uint256) {
        return uint256(_word(code, 64)) >> 248;
    }

    /// @notice Ring `index`, which is less than `ringCount(code)`.
    function ring(bytes memory code, uint256 index) internal pure returns (IRing) {
        return IRing(address(bytes20(_word(code, RINGS + index * RING_WIDTH))));
    }

    /// @notice The number of inputs.
    function inputCount(bytes memory code) internal pure returns (uint256) {
        return (code.length - _inputs(code)) / INPUT_WIDTH;
    }

    /// @notice Input `index`, which is less than `inputCount(code)`.
    function input(bytes memory code, uint256 index) internal pure returns (Input memory result) {
        uint256 place = _inputs(code) + index * INPUT_WIDTH;
        if (_isFuture(code, place)) (result.gate, result.pin) = futureAt(code, place);
        else result.tokenId = uint256(_word(code, place + 1));
    }

    /// @notice The place in `code` of the first future; the length of `code` when there is none.
    function firstFuture(bytes memory code) internal pure returns (uint256) {
        return _futureFrom(code, _inputs(code));
    }

    /// @notice The place in `code` of the first future after the one at `place`; the length of `code` when there is none.
    function futureAfter(bytes memory code, uint256 place) internal pure returns (uint256) {
        return _futureFrom(code, place + INPUT_WIDTH);
    }

    /// @notice The future at `place`, which `firstFuture` or `futureAfter` gave.
    function futureAt(bytes memory code, uint256 place) internal pure returns (IGate gate, uint96 pin) {
        uint256 word = uint256(_word(code, place + 1));
        return (IGate(address(uint160(word >> 96))), uint96(word));
    }

    /// @dev The place of the first input from `place` on that is a future. Inputs are `INPUT_WIDTH` apart.
    function _futureFrom(bytes memory code, uint256 place) private pure returns (uint256) {
        unchecked {
            // The place is below the length of the code of a contract.
            while (place < code.length && _word(code, place) & FUTURE == 0) place += INPUT_WIDTH;
        }
        return place;
    }

    /// @dev Where the inputs begin.
    function _inputs(bytes memory code) private pure returns (uint256) {
        return RINGS + ringCount(code) * RING_WIDTH;
    }

    function _isFuture(bytes memory code, uint256 place) private pure returns (bool) {
        return _word(code, place) & FUTURE != 0;
    }

    function _putInput(bytes memory code, uint256 place, Input memory value) private pure {
        bool isToken = value.tokenId != 0;
        _put(code, place, isToken ? TOKEN : FUTURE);
        _put(
            code,
            place + 1,
            isToken ? bytes32(value.tokenId) : bytes32(bytes20(address(value.gate))) | bytes32(uint256(value.pin))
        );
    }

    function _word(bytes memory code, uint256 offset) private pure returns (bytes32) {
        return LibBytes.load(code, offset);
    }

    /// @dev Writes a whole word; what is too much is written over by what comes next. The last field, an input, ends where
    /// the bytes end.
    function _put(bytes memory code, uint256 offset, bytes32 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(code, 32), offset), word)
        }
    }
}
