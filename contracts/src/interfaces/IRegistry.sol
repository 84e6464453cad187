// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What is registered.
enum Kind {
    Service,
    Process
}

/// @notice A definition in the registry, on the word of its owner.
struct Entry {
    /// @notice Who registered it, and may change it.
    address owner;
    /// @notice What it is.
    Kind kind;
    /// @notice Whether its owner advises against using it any more.
    bool withdrawn;
    /// @notice The digest of the definition's CID: the service hash, or that of the process.
    bytes32 hash;
    /// @notice The digest of the CID of a description for people; zero if there is none.
    bytes32 description;
    /// @notice Its name, as its owner chose it. It belongs to nobody: several entries may have the same.
    string name;
    /// @notice Its version, as its owner writes it.
    string version;
}

/// @title A registry of services and processes
/// @notice Names definitions by their hashes, so that people can find them. It has no owner and no setting.
///
/// An entry belongs to the account that made it. The same definition may be registered by several accounts, each with a name
/// and a description of its own, so nobody can take a hash away from others by being first.
///
/// Warning: a name, a version and a description are the word of the entry's owner. Only the hash is bound to the definition.
/// Whoever chooses an entry by its name should look at its owner.
///
/// Prices and payments are not here. A contract for them can name an entry by owner and hash.
interface IRegistry {
    /// @notice Emitted when an entry was made or changed.
    event Registered(
        bytes32 indexed hash, address indexed owner, Kind kind, string name, string version, bytes32 description
    );

    /// @notice Emitted when the owner of an entry advises against it, or for it again.
    event Withdrawn(bytes32 indexed hash, address indexed owner, bool withdrawn);

    /// @notice Thrown when a hash is zero.
    error NullHash();

    /// @notice Thrown when a text has `length` bytes, and not 1 to `most`.
    error WrongLength(uint256 length, uint256 most);

    /// @notice Thrown when `owner` has no entry for `hash`.
    error NotRegistered(bytes32 hash, address owner);

    /// @notice Thrown when an entry would become another kind of thing.
    error OtherKind(bytes32 hash, Kind kind);

    /// @notice Most bytes of a name.
    function MAX_NAME() external view returns (uint256);

    /// @notice Most bytes of a version.
    function MAX_VERSION() external view returns (uint256);

    /// @notice Makes the caller's entry for a definition, or changes its name, version and description.
    function register(Kind kind, bytes32 hash, string calldata name, string calldata version, bytes32 description)
        external;

    /// @notice Says of the caller's entry whether its use is advised against.
    function withdraw(bytes32 hash, bool withdrawn) external;

    /// @notice How many entries there are.
    function entryCount() external view returns (uint256);

    /// @notice Entries in the order in which they were made, from number `from`, at most `limit`.
    function entries(uint256 from, uint256 limit) external view returns (Entry[] memory);

    /// @notice The entry of `owner` for `hash`. Reverts when there is none.
    function entryOf(bytes32 hash, address owner) external view returns (Entry memory);
}
