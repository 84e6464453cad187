// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.27;

/// @notice Constant: there for good, named by its digest. Variable: its owner may write and delete it.
enum Mutability {
    Constant,
    Variable
}

/// @title A scope: tokens that name data
/// @notice Each ERC-721 token stands for a file on IPFS, by the 32-byte digest of its CIDv0 (`Qm…`, what `ipfs add` makes).
///
/// A constant's id is its digest with the lowest bit cleared, so the id is even, and the same data has the same id
/// everywhere. The lowest bit is kept with the token. A variable's id is odd, from a counter.
///
/// Warning: owning a constant gives no power. It can be passed on, not changed or deleted, for gates rest on it.
/// @dev Two digests that differ in the lowest bit only share an id, and at most one of them has data behind it. Who declares
/// the empty one first could keep the other out; `proveData` puts that right, once and for all.
interface IScope {
    /// @notice Emitted when a variable got a value: when it was declared and when it was written.
    event DataWritten(uint256 indexed tokenId, bytes32 cid);

    /// @notice Emitted when a variable was deleted.
    event DataDeleted(uint256 indexed tokenId);

    /// @notice Emitted when the block behind a constant was shown, so that its digest is beyond doubt.
    event DataProven(uint256 indexed tokenId, bytes32 cid);

    /// @notice Thrown when a digest is zero, or a constant's id would be.
    error NullDigest();

    /// @notice Thrown when the id of a constant is taken by `existing`, which differs in the lowest bit. Whoever has the
    /// block shows it to `proveData`.
    error DigestTaken(uint256 tokenId, bytes32 existing);

    /// @notice Thrown when someone tries to change or delete a constant.
    error ConstantData(uint256 tokenId);

    /// @notice Thrown when `caller` does not own the variable.
    error NotTokenOwner(uint256 tokenId, address caller);

    /// @notice What comes before a digest to make it a multihash: sha2-256, 32 bytes.
    function multihashPrefix() external view returns (bytes2);

    /// @notice Declares data and returns the tokens that stand for it; new ones belong to the caller.
    /// @dev A constant that exists costs no write: its id is returned, whoever owns it.
    function declareData(bytes32[] calldata cids, Mutability mutability) external returns (uint256[] memory tokenIds);

    /// @notice Declares the constant whose block is `data` and settles its lowest bit for good. Anyone may.
    /// @param data the root block of the file, dag-pb, whose sha2-256 is the digest
    function proveData(bytes calldata data) external returns (uint256 tokenId);

    /// @notice The digest that `tokenId` stands for. Reverts when there is no such token.
    function readData(uint256 tokenId) external view returns (bytes32 cid);

    /// @notice Gives the variable `tokenId` another digest. Its owner only.
    function writeData(uint256 tokenId, bytes32 cid) external;

    /// @notice Deletes the variable `tokenId`; its id is not used again. Its owner only.
    function deleteData(uint256 tokenId) external;

    /// @notice Whether there is such a token.
    function exists(uint256 tokenId) external view returns (bool);
}
