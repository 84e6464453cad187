// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Entry, IRegistry, Kind} from "./interfaces/IRegistry.sol";

/// @title A registry of services and processes
/// @notice Has no owner and no setting: the account that deploys it has no power over it.
contract Registry is IRegistry {
    /// @inheritdoc IRegistry
    uint256 public constant MAX_NAME = 64;

    /// @inheritdoc IRegistry
    uint256 public constant MAX_VERSION = 32;

    Entry[] private _entries;

    /// @dev The place of an entry in `_entries`, counted from 1; zero if there is none.
    mapping(bytes32 hash => mapping(address owner => uint256)) private _places;

    /// @inheritdoc IRegistry
    function register(Kind kind, bytes32 hash, string calldata name, string calldata version, bytes32 description)
        external
    {
        require(hash != 0, NullHash());
        _requireLength(name, MAX_NAME);
        _requireLength(version, MAX_VERSION);
        uint256 place = _places[hash][msg.sender];
        if (place == 0) {
            _entries.push(Entry(msg.sender, kind, false, hash, description, name, version));
            _places[hash][msg.sender] = _entries.length;
        } else {
            Entry storage entry = _entries[place - 1];
            require(entry.kind == kind, OtherKind(hash, entry.kind));
            (entry.name, entry.version, entry.description) = (name, version, description);
        }
        emit Registered(hash, msg.sender, kind, name, version, description);
    }

    /// @inheritdoc IRegistry
    function withdraw(bytes32 hash, bool withdrawn) external {
        _entry(hash, msg.sender).withdrawn = withdrawn;
        emit Withdrawn(hash, msg.sender, withdrawn);
    }

    /// @inheritdoc IRegistry
    function entryCount() external view returns (uint256) {
        return _entries.length;
    }

    /// @inheritdoc IRegistry
    function entries(uint256 from, uint256 limit) external view returns (Entry[] memory page) {
        uint256 count = _entries.length;
        uint256 left = from < count ? count - from : 0;
        page = new Entry[](limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _entries[from + i];
        }
    }

    /// @inheritdoc IRegistry
    function entryOf(bytes32 hash, address owner) external view returns (Entry memory) {
        return _entry(hash, owner);
    }

    function _entry(bytes32 hash, address owner) private view returns (Entry storage) {
        uint256 place = _places[hash][owner];
        require(place != 0, NotRegistered(hash, owner));
        return _entries[place - 1];
    }

    function _requireLength(string calldata text, uint256 most) private pure {
        uint256 length = bytes(text).length;
        require(length != 0 && length <= most, WrongLength(length, most));
    }
}
