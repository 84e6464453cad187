// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {GateSpec, IGate} from "./IGate.sol";
import {IRing} from "./IRing.sol";
import {IScope} from "./IScope.sol";

/// @title The engine: owns the rings, makes rings, scopes and gates
/// @notice All it makes are clones whose addresses commit to what they are: a gate's to its whole spec, a ring's to its
/// keeper and first members, a scope's to its creator and names; equal rings and scopes of one account are told apart by how
/// many of them that account made before. After a reorganisation, an address means what it meant or nothing.
interface IEngine {
    /// @notice Emitted when `keeper` made `ring`.
    event RingCreated(address indexed ring, address indexed keeper);

    /// @notice Emitted when `keeper` offered `ring` to `newKeeper`, who becomes its keeper by accepting.
    event KeeperTransferStarted(address indexed ring, address indexed keeper, address indexed newKeeper);

    /// @notice Emitted when `newKeeper` took over `ring`.
    event KeeperTransferred(address indexed ring, address indexed keeper, address indexed newKeeper);

    /// @notice Emitted when `owner` made `scope`.
    event ScopeCreated(address indexed scope, address indexed owner, string name, string symbol);

    /// @notice Emitted when `gate` came into being.
    event GateCreated(address indexed gate, GateSpec spec);

    /// @notice Emitted each time someone asks for `gate`, the first time (after `GateCreated`) and every other.
    event GateRequested(address indexed gate, address indexed requester);

    /// @notice Thrown when `caller` is not the keeper of `ring`.
    error NotKeeper(IRing ring, address caller);

    /// @notice Thrown when `caller` accepts a ring that it was not offered.
    error NotPendingKeeper(IRing ring, address caller);

    /// @notice Thrown when a name or symbol is longer than `max` bytes.
    error NameTooLong(uint256 length, uint256 max);

    /// @notice Thrown when a spec names a scope that is not of this engine.
    error UnknownScope(IScope scope);

    /// @notice Thrown when a spec names a ring that is not of this engine.
    error UnknownRing(IRing ring);

    /// @notice Thrown when a spec assigns no ring, or more than `max`.
    error WrongRingCount(uint256 rings, uint256 max);

    /// @notice Thrown when a spec has no input, not even an operation, or more than `max`.
    error WrongInputCount(uint256 inputs, uint256 max);

    /// @notice Thrown when a spec has no output, or takes the pin of failure for one.
    error WrongOutputCount(uint96 outputs);

    /// @notice Thrown when an input is neither a token nor a future, or both.
    error MalformedInput(uint256 input);

    /// @notice Thrown when an input is a token that is not in the scope.
    error UnknownInput(uint256 input, uint256 tokenId);

    /// @notice Thrown when an input is a future of a contract that is not a gate of this engine.
    error UnknownGate(uint256 input, IGate gate);

    /// @notice Thrown when an input is a future of a gate that keeps its tokens in another scope.
    error ForeignScope(uint256 input, IScope scope);

    /// @notice Thrown when an input is a future of a pin that its gate, with `outputs` of them, has not got.
    error UnknownFuturePin(uint256 input, uint96 pin, uint96 outputs);

    /// @notice Thrown when spec `index` of a circuit takes an output of itself or of a later spec.
    error CircuitNotOrdered(uint256 index, uint256 input);

    /// @notice The most rings a gate may be assigned to.
    function MAX_RINGS() external view returns (uint256);

    /// @notice The most inputs a gate may have.
    function MAX_INPUTS() external view returns (uint256);

    /// @notice The contracts whose clones rings, scopes and gates are.
    function implementations() external view returns (IRing ring, IScope scope, IGate gate);

    /// @notice Makes a ring of `members`, which may be in any order. The caller becomes its keeper.
    function createRing(address[] calldata members) external returns (IRing);

    /// @notice Makes `member` a member of `ring`. Its keeper only.
    function enter(IRing ring, address member) external;

    /// @notice Ends the membership of `member` in `ring`. Its keeper only.
    function exit(IRing ring, address member) external;

    /// @notice Offers `ring` to `newKeeper`, in place of an earlier offer; zero withdraws it. Its keeper only.
    function transferKeeper(IRing ring, address newKeeper) external;

    /// @notice Takes over `ring`. Whom it was offered to only.
    function acceptKeeper(IRing ring) external;

    /// @notice Who decides about the members of `ring`; zero if it is no ring of this engine.
    function keeperOf(IRing ring) external view returns (address);

    /// @notice Whom `ring` is offered to; zero for nobody.
    function pendingKeeperOf(IRing ring) external view returns (address);

    /// @notice Makes a scope. `name` and `symbol` are what the ERC-721 functions of these names return, at most 255 bytes.
    function createScope(string calldata name, string calldata symbol) external returns (IScope);

    /// @notice The one gate of `spec`, made if it is new. Either way the caller has requested it.
    /// @dev What is checked when it is new: scope and rings are of this engine, every token is in the scope, every future is an
    /// output pin of a gate of this engine in the same scope.
    function createGate(GateSpec calldata spec) external returns (IGate);

    /// @notice The address of the gate of `spec`, made or not. Reverts for a spec that no gate could have by its form.
    function gateOf(GateSpec calldata spec) external view returns (IGate);

    /// @notice Makes gates that wait for one another. In `specs[k]`, an `Input.gate` of `address(uint160(i + 1))` is the
    /// gate of `specs[i]`, with `i < k`; any other is a gate that exists.
    function createCircuit(GateSpec[] calldata specs) external returns (IGate[] memory);

    /// @notice Whether this engine made the ring at `account`.
    function isRing(address account) external view returns (bool);

    /// @notice Whether this engine made the scope at `account`.
    function isScope(address account) external view returns (bool);

    /// @notice Whether this engine made the gate at `account`.
    function isGate(address account) external view returns (bool);
}
