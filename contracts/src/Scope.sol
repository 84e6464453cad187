// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IScope, Mutability} from "./interfaces/IScope.sol";
import {ERC721} from "solady/src/tokens/ERC721.sol";
import {Base58} from "solady/src/utils/Base58.sol";
import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";

/// @title A scope
/// @notice The scopes are clones of one contract. Behind a clone's code are its names: one byte that says how long the name
/// is, the name, the symbol.
contract Scope is IScope, ERC721 {
    /// @dev What a token is, kept in the slot of its owner.
    uint96 private constant CONSTANT = 0;
    uint96 private constant VARIABLE = 1;

    /// @inheritdoc IScope
    bytes2 public constant multihashPrefix = 0x1220;

    /// @inheritdoc IScope
    mapping(address owner => uint256) public variableCountOf;

    mapping(uint256 variable => bytes32) private _variables;

    /// @inheritdoc IScope
    function declareData(bytes32[] calldata cids, Mutability mutability) external returns (uint256[] memory tokenIds) {
        tokenIds = new uint256[](cids.length);
        for (uint256 i = 0; i < cids.length; i++) {
            tokenIds[i] = mutability == Mutability.Constant ? _declareConstant(cids[i]) : _declareVariable(cids[i]);
        }
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
        _setExtraData(tokenId, CONSTANT);
        emit DataDeleted(tokenId);
    }

    /// @inheritdoc IScope
    function readData(uint256 tokenId) public view returns (bytes32 cid) {
        require(_exists(tokenId), TokenDoesNotExist());
        return _isVariable(tokenId) ? _variables[tokenId] : bytes32(tokenId);
    }

    /// @inheritdoc IScope
    function exists(uint256 tokenId) external view returns (bool) {
        return _exists(tokenId);
    }

    /// @inheritdoc IScope
    function isVariable(uint256 tokenId) external view returns (bool) {
        return _isVariable(tokenId);
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

    /// @notice As in ERC-721, but without ether, which ERC-721 would allow here.
    function approve(address account, uint256 tokenId) public payable override {
        _refuseEther();
        super.approve(account, tokenId);
    }

    /// @notice As in ERC-721, but without ether, which ERC-721 would allow here. `safeTransferFrom` comes through here too.
    function transferFrom(address from, address to, uint256 tokenId) public payable override {
        _refuseEther();
        super.transferFrom(from, to, tokenId);
    }

    function _declareConstant(bytes32 cid) private returns (uint256 tokenId) {
        require(cid != 0, NullDigest());
        require(uint256(cid) > type(uint160).max, DigestTooSmall(cid));
        tokenId = uint256(cid);
        if (!_exists(tokenId)) _mintAndSetExtraDataUnchecked(msg.sender, tokenId, CONSTANT);
    }

    /// @dev No account but the caller can take this id: it would have to find the same 160 bits of a hash.
    function _declareVariable(bytes32 cid) private returns (uint256 tokenId) {
        uint256 number = variableCountOf[msg.sender]++;
        tokenId = uint160(uint256(keccak256(abi.encode(msg.sender, number))));
        _mint(msg.sender, tokenId);
        _setExtraData(tokenId, VARIABLE);
        _write(tokenId, cid);
    }

    /// @dev The value of a variable is also declared as a constant, because a gate that is made with the variable takes the
    /// constant.
    function _write(uint256 tokenId, bytes32 cid) private {
        _declareConstant(cid);
        _variables[tokenId] = cid;
        emit DataWritten(tokenId, cid);
    }

    function _requireOwnVariable(uint256 tokenId) private view {
        require(_exists(tokenId), TokenDoesNotExist());
        require(_isVariable(tokenId), ConstantData(tokenId));
        require(_ownerOf(tokenId) == msg.sender, NotTokenOwner(tokenId, msg.sender));
    }

    function _isVariable(uint256 tokenId) private view returns (bool) {
        return _getExtraData(tokenId) == VARIABLE;
    }

    function _refuseEther() private view {
        require(msg.value == 0, EtherNotAccepted(msg.value));
    }

    function _nameLength() private view returns (uint256) {
        return uint256(LibBytes.load(LibClone.argsOnClone(address(this), 0, 1), 0)) >> 248;
    }
}
