// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

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
/// @param salt makes different gates of computations that are the same in everything else
struct GateSpec {
    IScope scope;
    IRing[] rings;
    Input[] inputs;
    uint96 outputs;
    bytes32 salt;
}

/// @title A gate: one computation on chain
/// @notice A gate waits until its futures are set (ready), and is then resolved by one ring in one call: with a constant on
/// each of its output pins, or with a failure record on the pin `FAILURE` and nothing on the others. A pin never changes
/// after it is set.
///
/// Each input is a constant or a future. So the result follows from the gate and the tokens that its futures hold, which
/// `inputsHash` names.
/// @dev The working ring is the primary one. If it is silent, anyone may challenge it, and `CHALLENGE_TIMEOUT` later let in
/// the fall-back rings. Then the first ring to register decides; the primary ring may still do so. The assigned rings
/// (`IRing`) emit the events of challenge and floodgate, because members follow the events of rings only.
interface IGate {
    /// @notice Emitted once, when `ring` resolved the gate, with outputs or with a failure.
    event GateResolved(address indexed ring);

    /// @notice Emitted before `GateResolved` when the program failed, with the token of the failure record.
    event GateFailed(address indexed ring, uint256 tokenId);

    /// @notice Thrown when `caller` is not a ring that may set outputs now.
    error NotWorkingRing(address caller);

    /// @notice Thrown while a future is not set.
    error NotReady();

    /// @notice Thrown when the gate has been resolved: by outputs or by a failure.
    error AlreadyResolved();

    /// @notice Thrown when `pins[index]` is not pin `index`: the pins of all outputs are given, from 0 on.
    error UnexpectedPin(uint256 index, uint96 pin);

    /// @notice Thrown when a call brings `pins` outputs to a gate that has `outputs` of them. All come in one call.
    error NotAllOutputs(uint256 pins, uint96 outputs);

    /// @notice Thrown when a failure comes together with outputs.
    error FailureIsNotAnOutput();

    /// @notice Thrown when what is to be put on a pin is not a constant.
    error NotAConstant(uint256 tokenId);

    /// @notice Thrown when pins and tokens differ in number, or there are none.
    error LengthMismatch(uint256 pins, uint256 tokenIds);

    /// @notice Thrown when the gate has no fall-back rings.
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

    /// @notice Resolves the gate: puts `tokenIds[i]` on `pins[i]`. A working ring only, once, when the gate is ready.
    /// @param pins all output pins in ascending order, 0, 1, 2, …; or `[FAILURE]` to report that the program failed
    function output(uint96[] calldata pins, uint256[] calldata tokenIds) external;

    /// @notice The token on output `pin`, 0 while unset.
    function outputOf(uint96 pin) external view returns (uint256 tokenId);

    /// @notice Whether all futures are set, so that the gate can be computed.
    function isReady() external view returns (bool);

    /// @notice The hash of what the futures hold: `keccak256(abi.encodePacked(uint256[] tokens))` of the tokens that they
    /// hold, in the order of the input pins. Without futures it is keccak256(""). Reverts with `NotReady` while one is
    /// unset.
    /// @dev The gate's address commits to all other inputs; so the gate and `inputsHash` together name all inputs.
    function inputsHash() external view returns (bytes32);

    /// @notice Whether all outputs are set, or the program failed.
    function isResolved() external view returns (bool);

    /// @notice Whether the program failed, or the program of a gate that this one waits for, directly or through others.
    /// @dev Its cost grows with the number of futures behind the gate, which has no bound. Call it with a generous gas
    /// limit, and not together with other calls. `isResolved` looks at this gate only.
    function isFailed() external view returns (bool);

    /// @notice The gates that this one waits for, one for each future that is not set, in the order of the input pins.
    function awaited() external view returns (IGate[] memory);

    /// @notice Whether `ring` may set outputs now.
    function isWorkingRing(address ring) external view returns (bool);

    /// @notice When the primary ring was challenged, in seconds since 1970; 0 if it was not.
    function challengedAt() external view returns (uint256);

    /// @notice Whether the fall-back rings were let in.
    function isFloodgateOpen() external view returns (bool);

    /// @notice Challenges a primary ring that is silent although the gate is ready: `CHALLENGE_TIMEOUT` begins. Anyone may,
    /// once.
    function challengePrimaryRing() external;

    /// @notice Lets the fall-back rings in, `CHALLENGE_TIMEOUT` after the challenge. Anyone may, once.
    function openFloodgate() external;
}
