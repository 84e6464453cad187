// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice A constant never changes and is named by its digest. A variable may be written and deleted by its owner.
enum Mutability {
    Constant,
    Variable
}

/// @title A scope: tokens that name data
/// @notice Each ERC-721 token stands for a file on IPFS, by the 32-byte digest of its CIDv0 (`Qm…`, what `ipfs add` makes).
///
/// The id of a constant is its digest, all 256 bits of it, so the same data has the same id in every scope, on every branch
/// of the chain, whoever declares it and whenever. Declaring a constant again changes nothing and returns the same id.
///
/// The id of a variable is `uint160(keccak256(abi.encode(owner, n)))`, where `owner` declared it and `n` counts the variables
/// that this account declared in this scope before. Digests below 2^160 are refused, so no constant has the id of a variable.
///
/// Warning: owning a constant gives no power. It can be transferred, but not changed or deleted, because gates depend on
/// it.
///
/// Warning: the id of a variable says nothing about its content, and after a reorganisation the content may be different.
/// Nothing that is signed should name a variable.
interface IScope {
    /// @notice Emitted when the variable `tokenId` got a value: when it was declared and when it was written.
    event DataWritten(uint256 indexed tokenId, bytes32 cid);

    /// @notice Emitted when a variable was deleted.
    event DataDeleted(uint256 indexed tokenId);

    /// @notice Thrown when a digest is zero.
    error NullDigest();

    /// @notice Thrown when a digest is below 2^160, where the ids of variables are. No file that anybody knows has such a
    /// digest: finding one takes 2^96 attempts.
    error DigestTooSmall(bytes32 cid);

    /// @notice Thrown when someone tries to change or delete a constant.
    error ConstantData(uint256 tokenId);

    /// @notice Thrown when `caller` does not own the variable.
    error NotTokenOwner(uint256 tokenId, address caller);

    /// @notice Thrown when ether is sent with a call. A scope could not give it back.
    error EtherNotAccepted(uint256 value);

    /// @notice What comes before a digest to make it a multihash: sha2-256, 32 bytes.
    function multihashPrefix() external view returns (bytes2);

    /// @notice Declares data and returns the tokens that stand for it; new ones belong to the caller.
    /// @dev A constant that exists costs no write: its id is returned, whoever owns it. Declaring a variable always makes a
    /// new one, and also declares the constant that it holds.
    function declareData(bytes32[] calldata cids, Mutability mutability) external returns (uint256[] memory tokenIds);

    /// @notice The digest that `tokenId` stands for. Reverts when there is no such token.
    function readData(uint256 tokenId) external view returns (bytes32 cid);

    /// @notice Gives the variable `tokenId` another digest, which is declared as a constant too. Its owner only.
    function writeData(uint256 tokenId, bytes32 cid) external;

    /// @notice Deletes the variable `tokenId`; its id is not used again. Its owner only.
    function deleteData(uint256 tokenId) external;

    /// @notice Whether there is such a token.
    function exists(uint256 tokenId) external view returns (bool);

    /// @notice Whether there is such a token and it is a variable.
    function isVariable(uint256 tokenId) external view returns (bool);

    /// @notice How many variables `owner` has declared here, deleted ones included. It is the `n` of its next one.
    function variableCountOf(address owner) external view returns (uint256);
}
