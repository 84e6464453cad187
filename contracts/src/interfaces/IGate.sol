// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IEngine} from "./IEngine.sol";
import {IRing} from "./IRing.sol";
import {IScope} from "./IScope.sol";

/// @notice What is on an input pin: a token, or, with `tokenId` 0, the output `pin` of another `gate` (a future).
struct Input {
    uint256 tokenId;
    IGate gate;
    uint96 pin;
}

/// @notice One computation. The address of its gate commits to all of it.
/// @param scope where the tokens of inputs and outputs are
/// @param rings who may compute it: the primary ring first, then the fall-backs
/// @param inputs the input pins; `inputs[0]` is the operation
/// @param outputs how many output pins there are, numbered from 0
/// @param salt tells apart computations that are the same in all else
struct GateSpec {
    IScope scope;
    IRing[] rings;
    Input[] inputs;
    uint96 outputs;
    bytes32 salt;
}

/// @title A gate: one computation on chain
/// @notice A gate waits until its futures are set (ready), and is resolved by its working ring: with a constant on each
/// output pin, or with a failure record on the pin `FAILURE` and nothing on the others. What is on a pin stays there.
/// @dev The working ring is the primary one. If it is silent, anyone may challenge it, and `CHALLENGE_TIMEOUT` later let
/// in the fall-back rings, first come; the primary ring is not shut out.
interface IGate {
    /// @notice Emitted when `pin` was set to the constant `tokenId`. `FAILURE` is a pin here too.
    event OutputSet(uint96 indexed pin, uint256 tokenId);

    /// @notice Emitted once, when the gate was resolved, by its last output or by failure.
    event GateResolved(address indexed ring);

    /// @notice Emitted when the program failed, with the token of the failure record.
    event GateFailed(address indexed ring, uint256 tokenId);

    /// @notice Emitted when the primary ring was challenged; `CHALLENGE_TIMEOUT` runs from here.
    event PrimaryRingChallenged(address indexed challenger);

    /// @notice Emitted when the fall-back rings were let in.
    event FloodgateOpened();

    /// @notice Thrown when `caller` is not a ring that may set outputs now.
    error NotWorkingRing(address caller);

    /// @notice Thrown while a future is not set.
    error NotReady();

    /// @notice Thrown when the gate has all it can get.
    error AlreadyResolved();

    /// @notice Thrown when `pin` is set already.
    error PinAlreadySet(uint96 pin);

    /// @notice Thrown when the gate has fewer than `pin + 1` outputs.
    error UnknownPin(uint96 pin, uint96 outputs);

    /// @notice Thrown when failure comes together with outputs or after one.
    error FailureIsNotAnOutput();

    /// @notice Thrown when what is to be put on a pin is not a constant.
    error NotAConstant(uint256 tokenId);

    /// @notice Thrown when pins and tokens differ in number, or there are none.
    error LengthMismatch(uint256 pins, uint256 tokenIds);

    /// @notice Thrown when there is nobody to let in.
    error NoFallbackRings();

    /// @notice Thrown when the primary ring has been challenged already.
    error AlreadyChallenged(uint256 since);

    /// @notice Thrown when the floodgate is to be opened before `opensAt` (0: there was no challenge).
    error FloodgateClosed(uint256 opensAt);

    /// @notice Thrown when the floodgate is open already.
    error FloodgateAlreadyOpen();

    /// @notice The pin of the failure record, `type(uint96).max`.
    function FAILURE() external view returns (uint96);

    /// @notice How long a challenged ring has before others are let in, in seconds.
    function CHALLENGE_TIMEOUT() external view returns (uint256);

    /// @notice The engine that made the gate.
    function engine() external view returns (IEngine);

    /// @notice Where the tokens on its pins are.
    function scope() external view returns (IScope);

    /// @notice All that the gate was made from.
    function spec() external view returns (GateSpec memory);

    /// @notice Puts `tokenIds[i]` on `pins[i]`. A working ring only, when the gate is ready.
    /// @dev To report failure, `pins` is `[FAILURE]`.
    function output(uint96[] calldata pins, uint256[] calldata tokenIds) external;

    /// @notice The token on output `pin`, 0 while unset.
    function outputOf(uint96 pin) external view returns (uint256 tokenId);

    /// @notice Whether all futures are set, so that the gate can be computed.
    function isReady() external view returns (bool);

    /// @notice Whether all outputs are set, or the program failed.
    function isResolved() external view returns (bool);

    /// @notice Whether the program failed, or one whose output this gate waits for has, however far back.
    function isFailed() external view returns (bool);

    /// @notice Whether `ring` may set outputs now.
    function isWorkingRing(address ring) external view returns (bool);

    /// @notice When the primary ring was challenged, in seconds since 1970; 0 if it was not.
    function challengedAt() external view returns (uint256);

    /// @notice Whether the fall-back rings were let in.
    function isFloodgateOpen() external view returns (bool);

    /// @notice Starts the clock for a primary ring that is silent though the gate is ready. Anyone may, once.
    function challengePrimaryRing() external;

    /// @notice Lets the fall-back rings in, `CHALLENGE_TIMEOUT` after the challenge. Anyone may, once.
    function openFloodgate() external;
}
