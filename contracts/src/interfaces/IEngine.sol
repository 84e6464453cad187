// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {GateSpec, IGate} from "./IGate.sol";
import {ForkRule} from "./IMembership.sol";
import {IRing} from "./IRing.sol";
import {IScope} from "./IScope.sol";

/// @title The engine: owns the rings, makes rings, scopes and gates
/// @notice Everything it makes is a clone whose address commits to what it is: a gate's to its whole spec; a ring's to its
/// maker, keeper, first members, entry delay and fork rule; a scope's to its creator and names. If one account makes several
/// equal rings or scopes, the address also depends on how many it made before. So after a reorganisation an address means
/// the same as before, or nothing. It does not matter which of several equal scopes is at an address, because nobody has any
/// power over a scope.
interface IEngine {
    /// @notice Emitted when `ring` was made, whose keeper is `keeper`; 0 for a self-kept one.
    event RingCreated(address indexed ring, address indexed keeper);

    /// @notice Emitted when `keeper` offered `ring` to `newKeeper`, who becomes its keeper by accepting.
    event KeeperTransferStarted(address indexed ring, address indexed keeper, address indexed newKeeper);

    /// @notice Emitted when `newKeeper` took over `ring`.
    event KeeperTransferred(address indexed ring, address indexed keeper, address indexed newKeeper);

    /// @notice Emitted when `keeper` renounced: `ring` is self-kept from now on, for good.
    event KeeperRenounced(address indexed ring, address indexed keeper);

    /// @notice Emitted when `owner` made `scope`.
    event ScopeCreated(address indexed scope, address indexed owner, string name, string symbol);

    /// @notice Emitted when `gate` was made.
    event GateCreated(address indexed gate, GateSpec spec);

    /// @notice Emitted each time `requester` asks for `gate`, the first time (after `GateCreated`) and every other time:
    /// once for each `ring` that the gate is assigned to, the primary ring first.
    event GateRequested(address indexed gate, address indexed ring, address indexed requester);

    /// @notice Thrown when `caller` is not the keeper of `ring`.
    error NotKeeper(IRing ring, address caller);

    /// @notice Thrown when `caller` accepts a ring that it was not offered.
    error NotPendingKeeper(IRing ring, address caller);

    /// @notice Thrown when an entry delay is longer than `max` seconds.
    error DelayTooLong(uint256 delay, uint256 max);

    /// @notice Thrown when a self-kept ring is to be made without members: it could never get any.
    error NoMembers();

    /// @notice Thrown when a keeper renounces a ring of fewer than `min` members without being forced to.
    error TooFewMembers(uint256 members, uint256 min);

    /// @notice Thrown when a name or symbol is longer than `max` bytes.
    error NameTooLong(uint256 length, uint256 max);

    /// @notice Thrown when a spec names a scope that is not of this engine.
    error UnknownScope(IScope scope);

    /// @notice Thrown when a spec names a ring that is not of this engine.
    error UnknownRing(IRing ring);

    /// @notice Thrown when a spec assigns no ring, or more than `max`.
    error WrongRingCount(uint256 rings, uint256 max);

    /// @notice Thrown when a spec names `ring` again, at place `index` of its rings.
    error RepeatedRing(uint256 index, IRing ring);

    /// @notice Thrown when a spec has no input, not even an operation, or more than `max`.
    error WrongInputCount(uint256 inputs, uint256 max);

    /// @notice Thrown when a spec has no output, or more than `max`.
    error WrongOutputCount(uint96 outputs, uint256 max);

    /// @notice Thrown when a gate has too many outputs for the number of futures among its inputs: its ring could not register
    /// them in one transaction. Split the gate, or take fewer futures.
    error TooMuchToRegister(uint256 outputs, uint256 futures);

    /// @notice Thrown when more than `max` variables are among the inputs of the gates of one transaction.
    error TooManyVariables(uint256 max);

    /// @notice Thrown when the engine is made with a contract that rings cannot be clones of.
    error NotARingImplementation(IRing ring);

    /// @notice Thrown when the code of a clone cannot be written. Too little gas was left for it.
    error DeploymentFailed();

    /// @notice Thrown when an input is neither a token nor a future, or both.
    error MalformedInput(uint256 input);

    /// @notice Thrown when an input is a token that is not in the scope.
    error UnknownInput(uint256 input, uint256 tokenId);

    /// @notice Thrown when an input is a future of a contract that is not a gate of this engine.
    error UnknownGate(uint256 input, IGate gate);

    /// @notice Thrown when an input is a future of a gate that keeps its tokens in another scope.
    error ForeignScope(uint256 input, IScope scope);

    /// @notice Thrown when an input is a future of a pin that its gate does not have; the gate has `outputs` of them.
    error UnknownFuturePin(uint256 input, uint96 pin, uint96 outputs);

    /// @notice Thrown when spec `index` of a circuit takes an output of itself or of a later spec.
    error CircuitNotOrdered(uint256 index, uint256 input);

    /// @notice Thrown when the gates of a circuit are together larger than `max`. Make it in several transactions: a gate that
    /// exists is named by its address.
    error CircuitTooLarge(uint256 size, uint256 max);

    /// @notice The most rings a gate may be assigned to, each once.
    function MAX_RINGS() external view returns (uint256);

    /// @notice The most inputs a gate may have.
    function MAX_INPUTS() external view returns (uint256);

    /// @notice The most outputs a gate may have. The largest ring can register this many in one transaction of at most 2^24
    /// gas (EIP-7825), if few of the inputs are futures.
    function MAX_OUTPUTS() external view returns (uint256);

    /// @notice The most that registering a gate's outputs may cost, in units of what a future costs there; an output costs 6 of
    /// them: `6 * outputs + futures` is at most this. With it the largest ring can register the outputs of every gate.
    function MAX_REGISTRATION() external view returns (uint256);

    /// @notice The most variables that `createGate` or `createCircuit` replaces in one transaction.
    function MAX_VARIABLES() external view returns (uint256);

    /// @notice How large the gates of a circuit may be together: each counts 8, and each of its rings and inputs 1. It is the
    /// size of the largest gate, so every circuit takes less than half of 2^24 gas (EIP-7825) to make.
    function MAX_CIRCUIT() external view returns (uint256);

    /// @notice The longest entry delay, in seconds.
    function MAX_ENTRY_DELAY() external view returns (uint256);

    /// @notice The fewest members with which a ring becomes self-kept without force: with fewer, one silent member is enough to
    /// stop every change of the list, or two are enough to make any.
    function MIN_SELF_KEPT() external view returns (uint256);

    /// @notice The contracts whose clones rings, scopes and gates are.
    function implementations() external view returns (IRing ring, IScope scope, IGate gate);

    /// @notice Makes a ring of `members`, which may be in any order; they count at once. Its address commits to all arguments, to
    /// the caller, and to how many equal rings the caller made before.
    /// @param keeper who announces entries and puts members out; 0 for a self-kept ring, whose list only two thirds change
    /// @param entryDelay how long after its announcement an entry counts, and how long a member that the keeper put out is
    /// counted, in seconds, at most `MAX_ENTRY_DELAY`; it never changes. With 0 the keeper can make any quorum at once: for tests
    /// @param forkRule what a proven fork does to its author; it never changes
    /// @dev Errors beside those here, for a member that cannot be one: `IMembers.InvalidMember`, `AlreadyMember` (it is named twice),
    /// `MemberIsContract`, `TooManyMembers`.
    function createRing(address[] calldata members, address keeper, uint256 entryDelay, ForkRule forkRule)
        external
        returns (IRing);

    /// @notice Announces that `member` shall enter `ring` (`IMembership`). Its keeper only.
    function enter(IRing ring, address member) external;

    /// @notice Puts `member` out of `ring`, or cancels its entry (`IMembership`). Its keeper only.
    function exit(IRing ring, address member) external;

    /// @notice Offers `ring` to `newKeeper`, in place of an earlier offer; zero withdraws it. Its keeper only.
    function transferKeeper(IRing ring, address newKeeper) external;

    /// @notice Takes over `ring`. Only the account that it was offered to.
    /// @dev Warning: entries that the keeper before announced stay announced (`IMembership.pendingEntries`).
    function acceptKeeper(IRing ring) external;

    /// @notice Makes `ring` self-kept, for good, and cancels its announced entries. Its keeper only, and not with fewer than
    /// `MIN_SELF_KEPT` members.
    function renounceKeeper(IRing ring) external;

    /// @notice The same with any number of members.
    /// @dev Warning: a ring without members stays without. Of two, both are needed for any change; of one, that one decides.
    function forceRenounceKeeper(IRing ring) external;

    /// @notice Who keeps `ring`; zero if it is self-kept, or no ring of this engine.
    function keeperOf(IRing ring) external view returns (address);

    /// @notice Whom `ring` is offered to; zero for nobody.
    function pendingKeeperOf(IRing ring) external view returns (address);

    /// @notice Makes a scope. `name` and `symbol` are what the ERC-721 functions of these names return, at most 255 bytes.
    function createScope(string calldata name, string calldata symbol) external returns (IScope);

    /// @notice The one gate of `spec`, made if it is new. Either way the caller has requested it.
    /// @dev A variable among the inputs is replaced by the constant that it holds in this transaction. The gate commits to
    /// the constant, and the variable may change afterwards.
    ///
    /// What is checked when the gate is new: scope and rings are of this engine, no ring is named twice, every token is in the
    /// scope, every future is an output pin of a gate of this engine in the same scope.
    function createGate(GateSpec calldata spec) external returns (IGate);

    /// @notice The address of the gate of `spec`, made or not, with the constants that its variables hold now. Reverts for a
    /// malformed spec.
    /// @dev Warning: what `createGate` checks only when the gate is new is not checked here. So an address is told also for a spec
    /// that names an unknown ring, or one ring twice, of which no gate can be made.
    function gateOf(GateSpec calldata spec) external view returns (IGate);

    /// @notice Makes gates that wait for one another. In `specs[k]`, an `Input.gate` of `address(uint160(i + 1))` is the
    /// gate of `specs[i]`, with `i < k`; any other is a gate that exists. All together are at most `MAX_CIRCUIT` in size.
    function createCircuit(GateSpec[] calldata specs) external returns (IGate[] memory);

    /// @notice Whether this engine made the ring at `account`.
    function isRing(address account) external view returns (bool);

    /// @notice Whether this engine made the scope at `account`.
    function isScope(address account) external view returns (bool);

    /// @notice Whether this engine made the gate at `account`.
    function isGate(address account) external view returns (bool);
}
