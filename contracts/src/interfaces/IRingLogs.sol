// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The heads of the logs of a ring and of its members
/// @notice Each member writes a log of its own and the ring as a whole writes the ring log. Both are chains of blocks on
/// IPFS; the contract holds the digests of their newest blocks, the heads.
/// @dev Ring nodes are numbered from 0. The newest `CHECKPOINT_FREQUENCY` are in a circular buffer; each one that fills it
/// is archived for good. Every node names the one before it, so an archived node commits to all nodes before it. In this
/// sense everything is archived before it is overwritten.
interface IRingLogs {
    /// @notice Emitted when the log of `member` moved on to `head`.
    event LogNodeHeadMoved(address indexed member, bytes32 head);

    /// @notice Emitted when ring node `number` was archived for good.
    event RingNodeArchived(uint256 indexed number, bytes32 cid);

    /// @notice Thrown when a digest is zero.
    error NullHead();

    /// @notice Thrown when ring node `number` is not known here: not written yet, or overwritten and between two checkpoints.
    error UnknownRingNode(uint256 number);

    /// @notice How many of the newest ring nodes are kept. Each ring node with a number of this step is archived.
    function CHECKPOINT_FREQUENCY() external view returns (uint256);

    /// @notice The bytes before a digest that make it a CID: CIDv1, dag-cbor, sha2-256, 32 bytes.
    function cidPrefix() external view returns (bytes4);

    /// @notice The digest of the newest log node of `member`, 0 before the first.
    function logNodeHeads(address member) external view returns (bytes32);

    /// @notice The digest of the newest ring node, 0 before the first.
    function ringNodeHead() external view returns (bytes32);

    /// @notice How many ring nodes have been written.
    function ringNodeCount() external view returns (uint256);

    /// @notice The digest in `slot` of the circular buffer: that of the newest ring node whose number is `slot` modulo
    /// `CHECKPOINT_FREQUENCY`.
    function ringLogs(uint256 slot) external view returns (bytes32);

    /// @notice The digest of archived ring node `(checkpoint + 1) * CHECKPOINT_FREQUENCY - 1`, 0 if there is none yet.
    function archive(uint256 checkpoint) external view returns (bytes32);

    /// @notice The digest of ring node `number`, from the buffer or the archive.
    function ringNodeAt(uint256 number) external view returns (bytes32);

    /// @notice Whether ring node `number`, whose header is `header`, lists `entry`: that is, whether two thirds of the
    /// members have agreed on it. So a contract can use any of the thousands of results that one transaction made final.
    /// @dev Checked: that the ring node is in the buffer or the archive, sha-256 of `header` against it, and `path` from `entry`
    /// to the root of the entries. The form of the header, of leaves and of nodes is in `libraries/RingNodeHeader.sol`. It
    /// never reverts, with any arguments, unless there is too little gas.
    ///
    /// Warning: the caller must interpret `entry` itself. Only the members' agreement is proven.
    /// Warning: a ring node that is not a checkpoint is known here only until `CHECKPOINT_FREQUENCY` more have been
    /// written.
    /// @param header the block whose CID was registered, at most 1,024 bytes
    /// @param number of the ring node, from 0
    /// @param entry the bytes of the entry, as they stand in their page
    /// @param path the sibling hashes on the way from the entry to the root, the lowest first
    function proveResult(bytes calldata header, uint256 number, bytes calldata entry, bytes32[] calldata path)
        external
        view
        returns (bool);

    /// @notice The digests of at most `count` ring nodes from number `start` on; fewer, or none, where they end. Reverts with
    /// `UnknownRingNode(start)` when that one is no longer in the buffer.
    function ringNodesFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids);

    /// @notice The digests of at most `count` archived ring nodes from checkpoint `start` on; fewer, or none, where they end.
    function checkpointsFrom(uint256 start, uint256 count) external view returns (bytes32[] memory cids);
}
