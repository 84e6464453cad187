// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

import {IScope, Mutability} from "./interfaces/IScope.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";
import {Base58} from "solady/src/utils/Base58.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title A scope
/// @notice The scopes are clones of one contract. Behind a clone's code are its names: one byte that says how long the name
/// is, the name, the symbol.
contract Scope is IScope, ERC721 {
    /// @dev What is kept with the token of a constant: the lowest bit of its digest, and whether that is beyond doubt.
    uint96 private constant LOWEST_BIT = 1;
    uint96 private constant PROVEN = 2;

    /// @inheritdoc IScope
    bytes2 public constant multihashPrefix = 0x1220;

    /// @dev How many variables were declared.
    uint256 private _variableCount;

    mapping(uint256 variable => bytes32) private _variables;

    /// @inheritdoc IScope
    function declareData(bytes32[] calldata cids, Mutability mutability) external returns (uint256[] memory tokenIds) {
        tokenIds = mutability == Mutability.Constant ? _declareConstants(cids) : _declareVariables(cids);
        // Returns the array as it lies there, for 100 gas less for each token than the loop that would copy it.
        assembly ("memory-safe") {
            let place := sub(tokenIds, 32)
            mstore(place, 32)
            return(place, add(64, shl(5, mload(tokenIds))))
        }
    }

    /// @inheritdoc IScope
    function proveData(bytes calldata data) external returns (uint256 tokenId) {
        bytes32 cid = sha256(data);
        tokenId = _constantId(cid);
        uint96 bit = uint96(uint256(cid)) & LOWEST_BIT;
        if (!_exists(tokenId)) _mintAndSetExtraDataUnchecked(msg.sender, tokenId, PROVEN | bit);
        else _setExtraData(tokenId, PROVEN | bit);
        emit DataProven(tokenId, cid);
    }

    /// @inheritdoc IScope
    function writeData(uint256 tokenId, bytes32 cid) external {
        _requireOwnVariable(tokenId);
        _write(tokenId, cid);
    }

    /// @inheritdoc IScope
    function deleteData(uint256 tokenId) external {
        _requireOwnVariable(tokenId);
        delete _variables[tokenId];
        _burn(tokenId);
        emit DataDeleted(tokenId);
    }

    /// @inheritdoc IScope
    function readData(uint256 tokenId) public view returns (bytes32 cid) {
        require(_exists(tokenId), TokenDoesNotExist());
        return _isConstant(tokenId) ? _constant(tokenId) : _variables[tokenId];
    }

    /// @inheritdoc IScope
    function exists(uint256 tokenId) external view returns (bool) {
        return _exists(tokenId);
    }

    /// @notice The name that the scope was made with.
    function name() public view override returns (string memory) {
        return string(LibClone.argsOnClone(address(this), 1, 1 + _nameLength()));
    }

    /// @notice The symbol that the scope was made with.
    function symbol() public view override returns (string memory) {
        return string(LibClone.argsOnClone(address(this), 1 + _nameLength()));
    }

    /// @notice `ipfs://` and the CIDv0 of the data, `Qm…`.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        bytes memory multihash = abi.encodePacked(multihashPrefix, readData(tokenId));
        return string.concat("ipfs://", Base58.encode(multihash));
    }

    function _declareConstants(bytes32[] calldata cids) private returns (uint256[] memory tokenIds) {
        tokenIds = new uint256[](cids.length);
        for (uint256 i = 0; i < cids.length; i++) {
            tokenIds[i] = _declareConstant(cids[i]);
        }
    }

    function _declareVariables(bytes32[] calldata cids) private returns (uint256[] memory tokenIds) {
        tokenIds = new uint256[](cids.length);
        for (uint256 i = 0; i < cids.length; i++) {
            tokenIds[i] = _declareVariable(cids[i]);
        }
    }

    function _declareConstant(bytes32 cid) private returns (uint256 tokenId) {
        tokenId = _constantId(cid);
        if (_exists(tokenId)) {
            bytes32 existing = _constant(tokenId);
            require(existing == cid, DigestTaken(tokenId, existing));
        } else {
            _mintAndSetExtraDataUnchecked(msg.sender, tokenId, uint96(uint256(cid)) & LOWEST_BIT);
        }
    }

    function _declareVariable(bytes32 cid) private returns (uint256 tokenId) {
        tokenId = 2 * _variableCount++ + 1;
        _mint(msg.sender, tokenId);
        _write(tokenId, cid);
    }

    function _write(uint256 tokenId, bytes32 cid) private {
        require(cid != 0, NullDigest());
        _variables[tokenId] = cid;
        emit DataWritten(tokenId, cid);
    }

    function _requireOwnVariable(uint256 tokenId) private view {
        require(!_isConstant(tokenId), ConstantData(tokenId));
        require(ownerOf(tokenId) == msg.sender, NotTokenOwner(tokenId, msg.sender));
    }

    /// @dev The digest of a constant that exists.
    function _constant(uint256 tokenId) private view returns (bytes32) {
        return bytes32(tokenId | (_getExtraData(tokenId) & LOWEST_BIT));
    }

    function _nameLength() private view returns (uint256) {
        return uint256(LibBytes.load(LibClone.argsOnClone(address(this), 0, 1), 0)) >> 248;
    }

    function _constantId(bytes32 cid) private pure returns (uint256 tokenId) {
        tokenId = uint256(cid) & ~uint256(1);
        require(tokenId != 0, NullDigest());
    }

    function _isConstant(uint256 tokenId) private pure returns (bool) {
        return tokenId & 1 == 0;
    }
}
